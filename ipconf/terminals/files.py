"""Terminals that play and record media files; a thread each does what blocks.

greeting = ClipPlayer("greeting.ogg")               # select it on an audio capture stream
async with FileRecorder("call.mkv") as recorder:    # select recorder.audio and recorder.video
    ...                                             # on streams; the file is complete after
"""

import contextlib
import queue
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import av
import numpy as np

from ..errors import MediaError, NotSupportedError
from ..events import FileCause, FileState, FileTerminalEvent
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from .base import CaptureTerminal, Samples
from .convert import check_channels, with_channels
from .muxing import MediaWriter
from .recording import RecordingTrack
from .worker import Worker

READ_AHEAD_BLOCKS = 50
"""Decoded audio waiting to be played: one second."""
RECORD_AHEAD_ITEMS = 128
"""Blocks and frames waiting to be written, about 1.6 s of both media; then the oldest go."""


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
        self.post(FileTerminalEvent, state=state, cause=cause, error=error)

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


class FileRecorder:
    """Records audio and video into one file that keeps the time of the call.

    Select `audio` and `video` on streams; a track is part of the file if its terminal was selected
    or written to before the file began, at the latest 2 s after the first media. The ending of
    the name chooses the format (`ipconf.terminals.muxing`); `size` is width and height of the
    video, by default those of the first picture. Raises ConfigurationError for an unknown ending
    and MediaError when the file cannot be made.
    """

    def __init__(self, path: str | Path, *, size: tuple[int, int] | None = None) -> None:
        self._writer = MediaWriter(path, size)
        self.path = self._writer.path
        self.error: MediaError | None = None
        """Why writing failed; what comes afterwards is not recorded."""
        self.dropped = 0
        """Blocks and frames given up because the disk or the encoder was too slow."""
        self.audio = RecordingTrack(self, MediaType.AUDIO)
        self.video = RecordingTrack(self, MediaType.VIDEO)
        self._queue: queue.Queue[tuple[Samples | av.VideoFrame, float] | None] = queue.Queue(
            RECORD_AHEAD_ITEMS
        )
        self._closed = False
        self._worker = Worker(self._record, f"{self.path.name} recorder")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()
        await self.wait_closed()

    @property
    def ignored(self) -> int:
        """Blocks and frames that came too late for their place in the file."""
        return self._writer.ignored

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def expect(self, media_type: MediaType) -> None:
        """A track was selected: the file will have it, or NotSupportedError if it cannot."""
        if media_type not in self._writer.media_types:
            raise NotSupportedError(
                f"{self.path.name} has no {media_type.value} track: choose another format, or "
                "select the terminal before the first media arrive"
            )
        self._writer.expect(media_type)

    def put(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Queue media for the file; called by the tracks."""
        self._enqueue((media, at))

    def close(self) -> None:
        """Take no more media and complete the file in the background: see `wait_closed`."""
        if self._closed:
            return
        self._closed = True
        self.audio.close()
        self.video.close()
        self._enqueue(None)

    async def wait_closed(self) -> None:
        """After `close`: return when the file is complete."""
        await self._worker.wait()
        for track in (self.audio, self.video):
            track.report_error()

    def _enqueue(self, item: tuple[Samples | av.VideoFrame, float] | None) -> None:
        while self._queue.full():
            with contextlib.suppress(queue.Empty):  # the thread was faster
                self._queue.get_nowait()
                self.dropped += 1
        self._queue.put_nowait(item)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as exc:  # a full disk, a broken encoder: the call goes on without
            self.error = self.error or MediaError(f"cannot write {self.path}: {exc}")

    def _record(self) -> None:
        """In the thread: write until closed; after a failure only empty the queue."""
        while (item := self._queue.get()) is not None:
            if self.error is None:
                self._try(partial(self._writer.write, *item))
        self._try(self._writer.close)
