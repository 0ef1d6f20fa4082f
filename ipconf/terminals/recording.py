"""The terminals through which a `FileRecorder` gets its media."""

from typing import TYPE_CHECKING, ClassVar

import av

from ..events import FileCause, FileState, FileTerminalEvent
from ..model import Direction, MediaType
from .base import RenderTerminal, Samples, TerminalHost

if TYPE_CHECKING:
    from .files import FileRecorder


class RecordingTrack(RenderTerminal):
    """The audio or the video of a `FileRecorder`."""

    terminal_class: ClassVar[str] = "file recording"

    def __init__(self, recorder: "FileRecorder", media_type: MediaType) -> None:
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
        self.post(FileTerminalEvent, state=state, cause=cause, error=error)
