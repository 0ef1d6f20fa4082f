"""What terminals that record into a file have in common: its tracks, start, pause and stop.

A thread does what blocks (`recorder.Recording`), so that a slow disk never holds up a call.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from ..errors import (
    ConfigurationError,
    InvalidMediaTypeError,
    InvalidStateError,
    MediaError,
    NotSupportedError,
)
from ..events import FileCause, FileState
from ..model import Direction, MediaType
from .base import Terminal, TerminalHost
from .file_formats import Kind, format_of, path_of
from .file_writer import FileWriter
from .multitrack import FileTerminal
from .recorder import Recording

T = TypeVar("T", bound=Terminal)


class Recorder(FileTerminal, Generic[T]):
    """Records into one file, on the time of the call (MSPI: ITMediaRecord); its tracks are `T`."""

    kinds: ClassVar[Mapping[str, Kind]]
    """What it can record, by the ending of the name."""
    ahead: ClassVar[int]
    """Pieces of media waiting to be written for each track; then the oldest go."""
    batch: ClassVar[int] = 1
    """So many of them are written at a time."""

    def __init__(self, path: str | Path) -> None:
        self._path = path_of(path)
        self._kind = format_of(self._path, self.kinds)
        super().__init__(self._path.name, Direction.RENDER)
        self._tracks: list[T] = []
        self._recordings: list[Recording] = []
        """The present one last; before it those whose files are being completed."""
        self._is_new = True  # nothing was recorded to `path` yet
        self._began = False
        self._end_at = -math.inf
        self._skipped_s = 0.0
        self._resumes = False

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()
        await self.wait_closed()

    @property
    def path(self) -> Path:
        """The file. Setting it, before `start` or after `stop`, is how to record another one.

        Raises InvalidStateError while recording, ConfigurationError for an unknown ending or what
        is no path, and NotSupportedError if such a file cannot have the tracks there are.
        """
        return self._path

    @path.setter
    def path(self, path: str | Path) -> None:
        if self._state is not FileState.IDLE:
            raise InvalidStateError(f"{self.identity} is {self._state.value}; stop it first")
        path = path_of(path)
        found = format_of(path, self.kinds)
        for medium in self.media_types_in_use:
            count = sum(track.media_type is medium for track in self._tracks)
            if count > found.limit(medium):
                raise NotSupportedError(
                    f"{path.name} cannot have {count} tracks for {medium.value}; remove tracks or "
                    "choose another format"
                )
        self._path, self._kind, self._is_new = path, found, True

    @property
    def tracks(self) -> tuple[T, ...]:
        """The tracks that were created and not removed."""
        return tuple(self._tracks)

    @property
    def audio(self) -> T:
        """The first track for sound; created when it is asked for."""
        return self._first(MediaType.AUDIO)

    @property
    def video(self) -> T:
        """The first track for pictures; created when it is asked for."""
        return self._first(MediaType.VIDEO)

    @property
    def _recording(self) -> Recording | None:
        return self._recordings[-1] if self._recordings else None

    @property
    def error(self) -> MediaError | None:
        """Why writing the file failed; what came afterwards was not recorded."""
        return self._recording.error if self._recording else None

    @property
    def backlog(self) -> int:
        """Blocks and frames waiting to be written; when there are too many, the oldest go."""
        return self._recording.backlog if self._recording else 0

    @property
    def dropped(self) -> int:
        """Blocks and frames given up because the disk or an encoder was too slow."""
        return self._recording.dropped if self._recording else 0

    @property
    def ignored(self) -> int:
        """Blocks and frames that came too late for their place in the file, or were of no use."""
        return self._recording.ignored if self._recording else 0

    def create_track(self, media_type: MediaType, name: str = "") -> T:
        """Another track, silent or black where nothing is recorded on it; `name` is in the file.

        Raises InvalidMediaTypeError for what is no medium of a track, ConfigurationError for a name
        that is no text, NotSupportedError if the format has no room for it, InvalidStateError once
        media have been recorded and ClosedError.
        """
        self._check_open()
        if media_type not in (MediaType.AUDIO, MediaType.VIDEO):
            raise InvalidMediaTypeError(
                f"{media_type!r} is for no track: give MediaType.AUDIO or MediaType.VIDEO"
            )
        if not isinstance(name, str):
            raise ConfigurationError(f"a track called {name!r}: give its name as text")
        track = self._make_track(media_type, name)
        if self._began:
            raise InvalidStateError(
                f"{self._path.name} has begun; create its tracks before media arrive"
            )
        limit = self._kind.limit(media_type)
        if sum(each.media_type is media_type for each in self._tracks) >= limit:
            able = ", ".join(e for e, kind in self.kinds.items() if kind.limit(media_type) > limit)
            raise NotSupportedError(
                f"{self._path.name} can have {limit} tracks for {media_type.value}; share one "
                f"among streams, or record into one of {able or 'several files'}"
            )
        self._tracks.append(track)
        return track

    def remove_track(self, track: Terminal) -> None:
        """Do without that track; in a file that has begun it remains, silent or still.

        Raises InvalidTerminalError and TerminalInUseError as every multitrack terminal does.
        """
        self._check_removable(track)
        self._tracks = [each for each in self._tracks if each is not track]
        track.close()

    def start(self) -> None:
        """Record from now on, or go on after `pause`; the time in between is left out.

        Tracks can still be created until media arrive; with none the file stays empty. Raises
        MediaError when the file cannot be written, InvalidStateError when it has been, or another
        recorder of this process is at it.
        """
        self._check_open()
        if self._state is FileState.PAUSED:
            self._resumes = True
        elif self._state is FileState.IDLE:
            if not self._is_new:
                raise InvalidStateError(
                    f"{self._path} has been recorded; set `path`, to the same name if it is to be "
                    "overwritten"
                )
            self._open()
            self._is_new, self._resumes = False, False
            self._end_at, self._skipped_s = -math.inf, 0.0
        else:
            return
        self._enter(FileState.ACTIVE)

    def pause(self) -> None:
        """Record nothing until `start`."""
        if self._state is FileState.ACTIVE:
            self._enter(FileState.PAUSED)

    def stop(self) -> None:
        """Record no more; the file is completed in the background: see `wait_complete`."""
        if self._state is not FileState.IDLE:
            self._end(FileCause.NORMAL, None)

    @property
    def is_writing(self) -> bool:
        """Whether a file is neither complete nor given up."""
        return any(recording.is_writing for recording in self._recordings)

    async def wait_complete(self) -> None:
        """After `stop`: return when the file is complete, or has failed (see `error`)."""
        for recording in tuple(self._recordings):
            if recording.finished:
                await recording.wait()

    def close(self) -> None:
        """Stop, for good."""
        self.stop()
        super().close()

    async def wait_closed(self) -> None:
        """After `close`: return when the file is complete, or has failed."""
        await self.wait_complete()

    def put(
        self, track: T, host: TerminalHost | None, media: Any, at: float, length_s: float
    ) -> None:
        """Record what came from `host` on a track; called by the tracks."""
        recording = self._recording
        if self._state is not FileState.ACTIVE or recording is None or track.closed:
            return
        if not math.isfinite(at):
            return  # nobody's clock says so
        if host is not None:
            self._greet((host,))
        if not self._began:
            recording.plan(
                {each: each.media_type for each in self._tracks},
                {each: each.name for each in self._tracks},
            )
        elif self._resumes:
            self._skipped_s = at - self._end_at
        self._began, self._resumes = True, False
        at -= self._skipped_s
        self._end_at = max(self._end_at, at + length_s)
        recording.put(track, host, media, at)

    @abstractmethod
    def _make_track(self, media_type: MediaType, name: str) -> T:
        """A track of that name; "": of any."""

    @abstractmethod
    def _make_writer(self) -> FileWriter[Any]:
        """What writes the file at `path`; MediaError if it cannot be written."""

    def _first(self, media_type: MediaType) -> T:
        found = (track for track in self._tracks if track.media_type is media_type)
        return next(found, None) or self.create_track(media_type)

    def _open(self) -> None:
        self._recordings = [each for each in self._recordings if each.is_writing]
        if self._path in (each.path for each in self._recordings):
            raise InvalidStateError(
                f"{self._path} is being completed; wait for that with `await wait_complete()`"
            )
        writer = self._make_writer()
        self._recordings.append(Recording(writer, self.ahead, self._failed, self.batch))

    def _failed(self, recording: Recording) -> None:
        """Writing has failed, perhaps only the end of a file after `stop`."""
        if recording is self._recording:
            self._end(FileCause.WRITE_ERROR, recording.error)
        else:
            self._enter(self._state, FileCause.WRITE_ERROR, recording.error)

    def _end(self, cause: FileCause, error: MediaError | None) -> None:
        if self._recording is not None:
            self._recording.finish()
        self._began = False
        self._enter(FileState.IDLE, cause, error)
