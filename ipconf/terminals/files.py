"""The terminal that plays the audio of a media file.

greeting = ClipPlayer("greeting.ogg")    # select it on an audio capture stream
"""

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import av
import numpy as np

from ..errors import MediaError
from ..events import FileCause, FileState
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from .base import CaptureTerminal, Samples
from .convert import check_channels, with_channels
from .worker import Worker

READ_AHEAD_BLOCKS = 50
"""Decoded audio waiting to be played: one second."""


class ClipPlayer(CaptureTerminal):
    """Plays the audio of a file that FFmpeg can read, once or in a `loop`.

    Raises MediaError when the file cannot be opened or holds no audio. Reports ACTIVE when it
    begins, IDLE with END_OF_FILE when all was played, IDLE with READ_ERROR when decoding failed.
    """

    terminal_class: ClassVar[str] = "clip"

    def __init__(self, path: str | Path, loop: bool = False, *, channels: int = 1) -> None:
        super().__init__(Path(path).name, MediaType.AUDIO, Direction.CAPTURE)
        self.path = Path(path)
        self.state = FileState.IDLE
        self._loops = loop
        self._channels = check_channels(channels)
        self._decoded: queue.Queue[Samples | Exception | None] = queue.Queue(READ_AHEAD_BLOCKS)
        self._worker: Worker | None = None
        try:
            self._container = av.open(str(path))
        except (OSError, ValueError, av.FFmpegError) as exc:
            raise MediaError(f"cannot open {path}: {exc}") from exc
        if not self._container.streams.audio:
            self._container.close()
            raise MediaError(f"{path} holds no audio")

    def read(self, now: float) -> Samples | None:
        """The next 20 ms; None at the end, and while the file cannot be read fast enough."""
        if self._closed:
            return None
        if self._worker is None:
            self._worker = Worker(self._decode, f"{self.identity} decoder")
            self._report(FileState.ACTIVE, FileCause.NORMAL)
        try:
            block = self._decoded.get_nowait()
        except queue.Empty:
            return None
        if block is None:
            self._report(FileState.IDLE, FileCause.END_OF_FILE)
        elif isinstance(block, Exception):
            self._report(FileState.IDLE, FileCause.READ_ERROR, block)
            self.fail(block)
        else:
            return block
        return None

    def close(self) -> None:
        """Stop playing and close the file."""
        if self._closed:
            return
        super().close()
        if self._worker is None:
            self._container.close()
        while not self._decoded.empty():  # the decoder may be waiting for room
            self._decoded.get_nowait()

    async def wait_closed(self) -> None:
        """After `close`: return when the decoder has ended."""
        if self._closed and self._worker is not None:
            await self._worker.wait()

    def _report(self, state: FileState, cause: FileCause, error: Exception | None = None) -> None:
        self.state = state
        if self._host is not None:
            self._host.terminal_event(self, state=state, cause=cause, error=error)

    def _decode(self) -> None:
        """In the thread: decode until the end, or until the player is closed."""
        end: Exception | None = None
        try:
            for block in self._blocks():
                self._decoded.put(block)
                if self._closed:
                    return
        except Exception as exc:  # whatever a broken file makes a decoder raise
            end = MediaError(f"cannot decode {self.path}: {exc}")
        finally:
            self._container.close()
        self._decoded.put(end)

    def _blocks(self) -> Iterator[Samples]:
        stream = self._container.streams.audio[0]
        layout = "mono" if stream.channels == 1 else "stereo"
        resampler = av.AudioResampler("s16", layout, AUDIO_RATE_HZ, AUDIO_FRAME_SAMPLES)
        decoded = True
        while decoded:
            decoded = False
            for frame in self._container.decode(stream):
                decoded = True
                yield from map(self._block, resampler.resample(frame))
            if not self._loops:
                break
            self._container.seek(0)
        yield from map(self._block, resampler.resample(None))

    def _block(self, frame: av.AudioFrame) -> Samples:
        samples = frame.to_ndarray().astype(np.int16, copy=False)
        samples = samples.reshape(-1, frame.layout.nb_channels)
        block = np.zeros((AUDIO_FRAME_SAMPLES, self._channels), np.int16)
        block[: len(samples)] = with_channels(samples, self._channels)  # the last may be short
        return block
