"""The terminals that play and record media files, and the shortest way to play one."""

from pathlib import Path
from typing import ClassVar

import av

from ..errors import MediaError
from ..events import FileState
from ..model import Direction, MediaType
from .base import CaptureTerminal, Samples, TerminalHost
from .payload_recording import PayloadRecorder
from .playback import FilePlayback
from .recording import FileRecorder

__all__ = ["ClipPlayer", "FilePlayback", "FileRecorder", "PayloadRecorder"]


class ClipPlayer(CaptureTerminal):
    """The sound of one file, from the first moment that a stream listens: a `FilePlayback` for the
    simplest case.

    Raises MediaError when the file cannot be opened or holds no audio. The events are those of
    `playback`.
    """

    terminal_class: ClassVar[str] = "clip"

    def __init__(self, path: str | Path, loop: bool = False, *, channels: int = 1) -> None:
        self.playback = FilePlayback([path], loop=loop, channels=channels)
        """What pauses, seeks and plays the file again."""
        if MediaType.AUDIO not in self.playback.media_types_in_use:
            raise MediaError(f"{path} holds no audio")
        self._track = self.playback.audio
        self._began = False
        super().__init__(self.playback.name, MediaType.AUDIO, Direction.CAPTURE)

    @property
    def path(self) -> Path:
        """The file."""
        return self.playback.play_list[0]

    @property
    def state(self) -> FileState:
        """Whether it is being played."""
        return self.playback.state

    def attach(self, host: TerminalHost) -> None:
        """As for every terminal."""
        super().attach(host)
        self._track.attach(host)

    def detach(self, host: TerminalHost) -> None:
        """As for every terminal."""
        super().detach(host)
        self._track.detach(host)

    def read(self, now: float) -> Samples | av.VideoFrame | None:
        """The next 20 ms; None after the end."""
        if not self._began and not self._closed:
            self._began = True
            self.playback.start()
        return self._track.read(now)

    def close(self) -> None:
        """Stop playing and give up the file."""
        super().close()
        self.playback.close()

    async def wait_closed(self) -> None:
        """After `close`: return when the thread that reads the file has ended."""
        await self.playback.wait_closed()
