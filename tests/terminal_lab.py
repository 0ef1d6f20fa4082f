"""What the tests of terminals share: a host that remembers, and ways to measure media."""

import asyncio
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ipconf import FileRecorder
from ipconf.events import FileCause, FileState, FileTerminalEvent, TerminalEvent
from ipconf.model import MediaType
from ipconf.terminals.base import CaptureTerminal, Terminal
from ipconf.terminals.convert import AudioConverter, to_array
from ipconf.terminals.muxing import MediaWriter

RATE_HZ = 48_000
BLOCK = 960
START_S = 1000.0
"""The clock of a test begins anywhere."""


class Host:
    """Stands for the stream that a terminal is selected on, in a call of its own or `owner`."""

    def __init__(self, owner: object = None) -> None:
        self.owner = owner or object()
        self.failures: list[tuple[Terminal, Exception]] = []
        self.told: list[tuple[type[TerminalEvent], dict[str, Any]]] = []

    def terminal_failed(self, terminal: Terminal, error: Exception) -> None:
        self.failures.append((terminal, error))

    def terminal_event(self, kind: type[TerminalEvent], **fields: Any) -> None:
        self.told.append((kind, fields))

    @property
    def files(self) -> list[dict[str, Any]]:
        """The fields of the events of file terminals."""
        return [fields for kind, fields in self.told if kind is FileTerminalEvent]

    @property
    def states(self) -> list[tuple[FileState, FileCause]]:
        return [(fields["state"], fields["cause"]) for fields in self.files]


def sine(seconds: float, hz: float = 1000.0, peak: int = 10_000, rate_hz: int = RATE_HZ) -> NDArray:
    """Mono int16, shape (n, 1)."""
    wave = peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return np.rint(wave).astype(np.int16)[:, np.newaxis]


def rms(samples: NDArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))


def pitch_hz(samples: NDArray, rate_hz: int = RATE_HZ) -> float:
    """The strongest frequency of the first channel."""
    wave = samples[:, 0] * np.hanning(len(samples))
    return float(np.argmax(np.abs(np.fft.rfft(wave)))) * rate_hz / len(samples)


def solid_frame(width: int, height: int, luma: int) -> av.VideoFrame:
    """A grey yuv420p picture."""
    rgb = np.full((height, width, 3), luma, np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


def luma_of(frame: av.VideoFrame) -> NDArray:
    return frame.to_ndarray(format="gray")


def file_audio(path: Path, track: int = 0) -> NDArray:
    """All audio of a track as mono int16 at 48 kHz, shape (n, 1)."""
    converter = AudioConverter(RATE_HZ, 1)
    with av.open(str(path)) as container:
        parts = [converter.convert(*to_array(f, RATE_HZ)) for f in container.decode(audio=track)]
    return np.concatenate(parts)


def file_frames(path: Path, track: int = 0) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=track))


def file_tracks(path: Path) -> list[str]:
    """The kinds of the streams of a file."""
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def file_names(path: Path) -> list[str]:
    """What the streams of a file are called."""
    with av.open(str(path)) as container:
        return [s.metadata.get("title") or s.metadata["handler_name"] for s in container.streams]


def file_length_s(path: Path) -> float:
    """What the file says about itself."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / av.time_base


class Reader:
    """Reads a track as its stream does, as fast as its thread decodes, on a clock of its own."""

    def __init__(self, track: CaptureTerminal, host: Host | None = None) -> None:
        self.now = START_S
        self.track = track
        self.host = host or Host()
        self.step_s = 0.02 if track.media_type is MediaType.AUDIO else 0.01
        if not track.in_use:
            track.attach(self.host)

    async def poll(self) -> Any:
        """One read, after which the other threads get a chance."""
        media = self.track.capture(self.now)
        self.now += self.step_s
        await asyncio.sleep(0)
        return media

    async def take(self, count: int) -> list[Any]:
        """So many blocks or pictures; fewer if the end comes first."""
        taken: list[Any] = []
        while len(taken) < count and not self.has_ended:
            media = await self.poll()
            if media is not None:
                taken.append(media)
        return taken

    async def sound(self, limit: int = 5_000) -> NDArray:
        """All blocks up to the end, or the first `limit` of them, put together."""
        return np.concatenate([np.zeros((0, 1), np.int16), *await self.take(limit)])

    @property
    def has_ended(self) -> bool:
        """Whether the last event says so."""
        return bool(self.host.states) and self.host.states[-1][0] is FileState.IDLE


async def written(recorder: FileRecorder) -> None:
    """Let a recorder's thread catch up, as it does while time passes."""
    while recorder.backlog > 20:  # noqa: ASYNC110 - it is a thread that works
        await asyncio.sleep(0)


def write_audio(
    writer: MediaWriter, wave: NDArray, at: float = START_S, source: object = None
) -> None:
    """Blocks of 20 ms, one after the other."""
    for start in range(0, len(wave), BLOCK):
        writer.write(wave[start : start + BLOCK], at + start / RATE_HZ, source=source)


def sound_file(path: Path, wave: NDArray) -> Path:
    """A recording of that sound."""
    writer = MediaWriter(path)
    write_audio(writer, wave)
    writer.close()
    return path


def film_file(path: Path, seconds: float, *, sound: bool = True, fps: int = 25) -> Path:
    """A recording whose pictures get lighter by 2 each, with a tone of 1 kHz."""
    writer = MediaWriter(path)
    for n in range(round(seconds * fps)):
        if sound:
            writer.write(sine(1 / fps), START_S + n / fps)
        writer.write(solid_frame(160, 120, 16 + 2 * n), START_S + n / fps)
    writer.close()
    return path


def foreign_file(path: Path, codec: str, rate_hz: int, layout: str, wave: NDArray) -> Path:
    """Sound in a file that others made: (n, channels) samples at any rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wave).reshape(1, -1), format="s16", layout=layout
        )
        frame.sample_rate = rate_hz
        frame.pts, frame.time_base = 0, Fraction(1, rate_hz)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
