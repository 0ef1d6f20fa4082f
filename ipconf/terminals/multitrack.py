"""Terminals that have tracks, and what all file terminals have in common.

A multitrack terminal is never selected itself: its tracks are, each on a stream of its medium.
"""

from abc import ABC, abstractmethod

from ..errors import ClosedError, InvalidTerminalError, TerminalInUseError
from ..events import FileCause, FileState, FileTerminalEvent
from ..model import Direction, MediaType
from .base import Terminal, TerminalHost, one_host_per_call


class MultiTrackTerminal(Terminal, ABC):
    """A terminal made of others, its tracks (MSPI: ITMultiTrackTerminal)."""

    allowed_media = (MediaType.MULTITRACK,)

    def __init__(self, name: str, direction: Direction) -> None:
        super().__init__(name, MediaType.MULTITRACK, direction)

    @property
    @abstractmethod
    def tracks(self) -> tuple[Terminal, ...]:
        """The tracks there are (a snapshot); select them on streams."""

    @abstractmethod
    def create_track(self, media_type: MediaType) -> Terminal:
        """A new track for that medium; NotSupportedError if the terminal cannot have one."""

    @abstractmethod
    def remove_track(self, track: Terminal) -> None:
        """Do without that track.

        Raises NotSupportedError if the tracks are not ours to choose, InvalidTerminalError if it is
        no track of this terminal and TerminalInUseError while a stream has it.
        """

    @property
    def media_types_in_use(self) -> frozenset[MediaType]:
        """The media of all tracks, and of theirs if they have some."""
        media: set[MediaType] = set()
        for track in self.tracks:
            if isinstance(track, MultiTrackTerminal):
                media |= track.media_types_in_use
            else:
                media.add(track.media_type)
        return frozenset(media)

    @property
    def directions_in_use(self) -> frozenset[Direction]:
        """The directions of all tracks; several of them are what TD_MULTITRACK_MIXED means."""
        directions: set[Direction] = set()
        for track in self.tracks:
            if isinstance(track, MultiTrackTerminal):
                directions |= track.directions_in_use
            else:
                directions.add(track.direction)
        return frozenset(directions)

    @property
    def in_use(self) -> bool:
        """Whether a stream has selected one of the tracks."""
        return any(track.in_use for track in self.tracks)

    def attach(self, host: TerminalHost) -> None:
        """Always InvalidTerminalError: select one of the tracks instead."""
        raise InvalidTerminalError(f"{self.identity} has tracks; select one of its `tracks`")

    def close(self) -> None:
        """Close the terminal and its tracks."""
        super().close()
        for track in self.tracks:
            track.close()

    def _check_removable(self, track: Terminal) -> None:
        if track not in self.tracks:
            raise InvalidTerminalError(f"{track.identity} is no track of {self.identity}")
        if track.in_use:
            raise TerminalInUseError(f"{track.identity} is selected on a stream; unselect it first")


class MediaControl(ABC):
    """What starts, pauses and stops (MSPI: ITMediaControl)."""

    @property
    @abstractmethod
    def state(self) -> FileState:
        """What it does now."""

    @abstractmethod
    def start(self) -> None:
        """Begin, or go on after `pause`; harmless when it runs."""

    @abstractmethod
    def pause(self) -> None:
        """Stay where it is until `start`; harmless unless it runs."""

    @abstractmethod
    def stop(self) -> None:
        """End, and go back to the beginning; harmless when it is idle."""


class FileTerminal(MultiTrackTerminal, MediaControl):
    """A file to play or to record, and who is told about it.

    Each call with a selected track hears of every change of state once. A call that comes later
    hears that the terminal is active with the first media that it gets from it or gives to it.
    """

    def __init__(self, name: str, direction: Direction) -> None:
        super().__init__(name, direction)
        self._state = FileState.IDLE
        self._told: frozenset[object] = frozenset()
        """The calls that know the present state."""

    @property
    def state(self) -> FileState:
        """IDLE, ACTIVE or PAUSED."""
        return self._state

    def _enter(
        self,
        state: FileState,
        cause: FileCause = FileCause.NORMAL,
        error: Exception | None = None,
        track: Terminal | None = None,
    ) -> None:
        """Be in that state from now on, and tell the calls; `track` if it is only about that."""
        if state is not self._state:
            self._state, self._told = state, frozenset()
        tracks = self.tracks if track is None else (track,)
        for host in one_host_per_call(tuple(host for each in tracks for host in each.hosts)):
            self._tell(host, cause, error, track)

    def _greet(self, hosts: tuple[TerminalHost, ...]) -> None:
        """Media go to or come from these hosts: tell those who do not know it yet."""
        for host in hosts:
            if host.owner not in self._told:
                self._tell(host, FileCause.NORMAL)

    def _tell(
        self,
        host: TerminalHost,
        cause: FileCause,
        error: Exception | None = None,
        track: Terminal | None = None,
    ) -> None:
        self._told |= {host.owner}
        host.terminal_event(
            FileTerminalEvent,
            terminal=self,
            track=track,
            state=self._state,
            cause=cause,
            error=error,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.identity} is closed; create a new terminal")
