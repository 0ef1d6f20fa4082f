"""Terminals that record a call into a media file.

async with FileRecorder("call.mkv") as recorder:    # select recorder.audio and recorder.video
    ...                                             # on streams; the file is complete after
"""

import contextlib
import queue
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import av

from ..errors import MediaError, NotSupportedError
from ..events import FileCause, FileState
from ..model import Direction, MediaType
from .base import RenderTerminal, Samples, TerminalHost
from .muxing import MediaWriter
from .worker import Worker

RECORD_AHEAD_ITEMS = 128
"""Blocks and frames waiting to be written, about 1.6 s of both media; then the oldest go."""


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


class RecordingTrack(RenderTerminal):
    """The audio or the video of a `FileRecorder`."""

    terminal_class: ClassVar[str] = "file recording"

    def __init__(self, recorder: FileRecorder, media_type: MediaType) -> None:
        super().__init__(f"{recorder.path.name} {media_type.value}", media_type, Direction.RENDER)
        self.recorder = recorder
        self.state = FileState.IDLE
        self._reported_error = False

    def attach(self, host: TerminalHost) -> None:
        """As for every terminal; NotSupportedError when the file cannot have this track."""
        self.recorder.expect(self.media_type)
        super().attach(host)

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Record what the stream received."""
        if self._closed or self.report_error():
            return
        if self.state is FileState.IDLE:
            self._report(FileState.ACTIVE, FileCause.NORMAL)
        self.recorder.put(media, at)

    def close(self) -> None:
        """Record no more; with the last of its tracks the recorder closes."""
        if self._closed:
            return
        super().close()
        if self.state is FileState.ACTIVE:
            self._report(FileState.IDLE, FileCause.NORMAL)
        if self.recorder.audio.closed and self.recorder.video.closed:
            self.recorder.close()

    async def wait_closed(self) -> None:
        """After the recorder was closed: return when the file is complete."""
        if self.recorder.closed:
            await self.recorder.wait_closed()

    def report_error(self) -> bool:
        """Whether writing has failed; tells the stream the first time."""
        error = self.recorder.error
        if error is not None and not self._reported_error:
            self._reported_error = True
            self._report(FileState.IDLE, FileCause.WRITE_ERROR, error)
            self.fail(error)
        return error is not None

    def _report(self, state: FileState, cause: FileCause, error: Exception | None = None) -> None:
        self.state = state
        if self._host is not None:
            self._host.terminal_event(self, state=state, cause=cause, error=error)
