"""What the tests of terminals share: a host that remembers, and ways to measure media."""

import asyncio
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ipconf.events import FileCause, FileState
from ipconf.terminals.base import CaptureTerminal, Terminal
from ipconf.terminals.convert import AudioConverter, to_array

RATE_HZ = 48_000
BLOCK = 960


class Host:
    """Stands for the stream that a terminal is selected on."""

    def __init__(self) -> None:
        self.failures: list[tuple[Terminal, Exception]] = []
        self.events: list[tuple[Terminal, FileState, FileCause, Exception | None]] = []

    def terminal_failed(self, terminal: Terminal, error: Exception) -> None:
        self.failures.append((terminal, error))

    def terminal_event(
        self,
        terminal: Terminal,
        *,
        state: FileState,
        cause: FileCause,
        error: Exception | None = None,
    ) -> None:
        self.events.append((terminal, state, cause, error))

    @property
    def states(self) -> list[tuple[FileState, FileCause]]:
        return [(state, cause) for _, state, cause, _ in self.events]


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


def file_audio(path: Path) -> NDArray:
    """All audio of a file as mono int16 at 48 kHz, shape (n, 1), placed by its time stamps."""
    converter = AudioConverter(RATE_HZ, 1)
    with av.open(str(path)) as container:
        parts = [converter.convert(*to_array(f, RATE_HZ)) for f in container.decode(audio=0)]
    return np.concatenate(parts)


def file_frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


async def read_until_end(player: CaptureTerminal, host: Host, limit: int = 5_000) -> NDArray:
    """All blocks of a file player, or the first `limit` of them; its thread sets the pace."""
    blocks: list[NDArray] = []
    while len(blocks) < limit and (not host.states or host.states[-1][0] is FileState.ACTIVE):
        block = player.read(len(blocks) * 0.02)
        if block is None:
            await asyncio.sleep(0)
        else:
            assert isinstance(block, np.ndarray)
            blocks.append(block)
    return np.concatenate(blocks)
