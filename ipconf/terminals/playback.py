"""Plays media files into calls.

    music = FilePlayback(["intro.ogg", "theme.mp4"], loop=True)
    call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(music.audio)
    call.stream(MediaType.VIDEO, Direction.CAPTURE).select_terminal(music.video)
    music.start()

Sound and pictures of a file stay together whichever of them is selected, and when. A thread decodes
a second ahead.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import av
import numpy as np

from ..errors import (
    ConfigurationError,
    InvalidStateError,
    MediaError,
    NotSupportedError,
    TerminalInUseError,
)
from ..events import FileCause, FileState
from ..model import Direction, MediaType
from .base import CaptureTerminal, Samples, Terminal
from .convert import check_channels
from .decoding import MediaFile, probe_all
from .multitrack import FileTerminal
from .player import Player
from .reader import FileReader, PlayList

MEDIA = (MediaType.AUDIO, MediaType.VIDEO)


class PlaybackTrack(CaptureTerminal):
    """The sound or the pictures of a `FilePlayback`."""

    terminal_class: ClassVar[str] = "file playback track"

    def __init__(self, playback: "FilePlayback", media_type: MediaType) -> None:
        super().__init__(f"{playback.name} {media_type.value}", media_type, Direction.CAPTURE)
        self.playback = playback
        """The terminal that starts, pauses and stops it (MSPI: get_ControllingTerminal)."""

    def read(self, now: float) -> Samples | av.VideoFrame | None:
        """The next 20 ms, or the picture that is due; None unless the files are being played."""
        return None if self._closed else self.playback.read(self, now)


class FilePlayback(FileTerminal):
    """Plays a list of files one after the other, once or in a `loop` (MSPI: ITMediaPlayback).

    wav, mp3, ogg, mp4, mkv and webm can be played; of several streams of a medium in a file it is
    the first. `channels` is what the sound is made to have. Raises MediaError if one of the files
    cannot be opened, is none, as a pipe, or holds nothing to play, and ConfigurationError for what
    is no list of paths. All files are looked into here and now.

    What happens is told by `FileTerminalEvent`s: END_OF_FILE after the last file; READ_ERROR, with
    the error, for a file that turns out broken, of which the rest is left out.
    """

    terminal_class: ClassVar[str] = "file playback"

    def __init__(
        self, play_list: Iterable[str | Path], *, loop: bool = False, channels: int = 1
    ) -> None:
        files = probe_all(play_list)
        super().__init__(files[0].path.name, Direction.CAPTURE)
        self._channels = check_channels(channels)
        self._list = PlayList(files, loop)
        self._tracks: tuple[PlaybackTrack, ...] = ()
        self._tracks = self._tracks_for(files)
        self._player: Player | None = None
        self._start_s = 0.0
        self._readers: list[FileReader] = []

    @property
    def play_list(self) -> tuple[Path, ...]:
        """The files to play. Setting it needs an idle terminal, else InvalidStateError.

        Tracks of media that the new files have too stay as they are. TerminalInUseError if one of
        the others is selected, MediaError as above; then the old list stays.
        """
        return tuple(file.path for file in self._list.files)

    @play_list.setter
    def play_list(self, paths: Iterable[str | Path]) -> None:
        self._check_open()
        if self._state is not FileState.IDLE:
            raise InvalidStateError(f"{self.identity} is {self._state.value}; stop it first")
        files = probe_all(paths)
        tracks = self._tracks_for(files)
        gone = [track for track in self._tracks if track not in tracks]
        for track in gone:
            if track.in_use:
                raise TerminalInUseError(
                    f"the new files have no {track.media_type.value}, but {track.identity} is "
                    "selected on a stream; unselect it first"
                )
        for track in gone:
            track.close()
        self._list, self._tracks, self._start_s = PlayList(files, self.loop), tracks, 0.0

    @property
    def loop(self) -> bool:
        """Whether to begin again at the end; can be changed at any time."""
        return self._list.loop

    @loop.setter
    def loop(self, loop: bool) -> None:
        self._list.loop = loop

    @property
    def tracks(self) -> tuple[PlaybackTrack, ...]:
        """One for each medium that the files have, audio first."""
        return self._tracks

    @property
    def audio(self) -> PlaybackTrack:
        """The track to select for sound; NotSupportedError if the files have none."""
        return self._track(MediaType.AUDIO)

    @property
    def video(self) -> PlaybackTrack:
        """The track to select for pictures; NotSupportedError if the files have none."""
        return self._track(MediaType.VIDEO)

    def create_track(self, media_type: MediaType) -> Terminal:
        """Always NotSupportedError: the files say which tracks there are."""
        raise NotSupportedError(f"the files of {self.identity} say which `tracks` it has")

    def remove_track(self, track: Terminal) -> None:
        """Always NotSupportedError: the files say which tracks there are."""
        raise NotSupportedError(
            f"the files of {self.identity} say which `tracks` it has; leave {track.identity} "
            "unselected instead"
        )

    @property
    def duration_s(self) -> float | None:
        """How long all files last; None if one of them does not say so."""
        return self._list.duration_s

    @property
    def position_s(self) -> float:
        """What of the play list has been played, in seconds."""
        return self._start_s if self._player is None else self._player.position_s

    def seek(self, position_s: float) -> None:
        """Go on, or begin, at that position; ConfigurationError if the files are shorter."""
        self._check_open()
        number = isinstance(position_s, int | float | np.number)
        if not number or not 0 <= position_s <= (self.duration_s or float("inf")):
            raise ConfigurationError(
                f"there is no {position_s!r} s in files of {self.duration_s} s: give 0 to that"
            )
        self._start_s = position_s
        self._rewind()
        if self._state is not FileState.IDLE:
            self._begin()

    def start(self) -> None:
        """Play from the position; time passes while a stream reads one of the tracks."""
        self._check_open()
        if self._state is FileState.ACTIVE:
            return
        if self._player is None:
            self._begin()
        self._enter(FileState.ACTIVE)

    def pause(self) -> None:
        """Stay at the position until `start`."""
        if self._state is FileState.ACTIVE:
            self._enter(FileState.PAUSED)

    def stop(self) -> None:
        """End playing; the position is the beginning of the first file again."""
        if self._state is not FileState.IDLE:
            self._end(FileCause.NORMAL, None)

    def close(self) -> None:
        """Stop and give up the files."""
        self.stop()
        super().close()

    async def wait_closed(self) -> None:
        """After `close`: return when the threads that read the files have ended."""
        while self._closed and self._readers:
            await self._readers.pop().wait()

    def read(self, track: PlaybackTrack, now: float) -> Samples | av.VideoFrame | None:
        """What is due on a track; called by the tracks."""
        player = self._player
        if player is None or self._state is not FileState.ACTIVE:
            return None
        self._greet(track.hosts)
        media = player.read(track.media_type, now)
        while (problem := player.take_problem()) is not None:
            self._report(problem.error, problem.medium)
        if media is None and player.has_ended:
            self._finish(player)
        return media

    def _finish(self, player: Player) -> None:
        last: MediaError | None = None
        for problem in player.reader.problems:
            if problem.medium is not None:
                self._report(problem.error, problem.medium)
            else:
                last = problem.error
        self._end(FileCause.END_OF_FILE if last is None else FileCause.READ_ERROR, last)

    def _report(self, error: MediaError, medium: MediaType | None) -> None:
        """Something cannot be played, the rest can."""
        track = None if medium is None else self._track(medium)
        self._enter(FileState.ACTIVE, FileCause.READ_ERROR, error, track)

    def _begin(self) -> None:
        wanted = self._selected
        reader = FileReader(self._list, self._start_s, self._channels, wanted, self.identity)
        self._readers = [*(r for r in self._readers if r.is_reading), reader]
        self._player = Player(reader, self._channels)

    def _rewind(self) -> None:
        if self._player is not None:
            self._player.reader.close()
            self._player = None

    def _end(self, cause: FileCause, error: MediaError | None) -> None:
        self._rewind()
        self._start_s = 0.0
        self._enter(FileState.IDLE, cause, error)

    def _selected(self) -> frozenset[MediaType]:
        return frozenset(track.media_type for track in self._tracks if track.in_use)

    def _track(self, media_type: MediaType) -> PlaybackTrack:
        for track in self._tracks:
            if track.media_type is media_type:
                return track
        raise NotSupportedError(f"{self.name} has no {media_type.value}; see its `tracks`")

    def _tracks_for(self, files: tuple[MediaFile, ...]) -> tuple[PlaybackTrack, ...]:
        """A track for each medium of these files: those there are, and new ones."""
        media = frozenset[MediaType]().union(*(file.media_types for file in files))
        present = {track.media_type: track for track in self._tracks}
        return tuple(present.get(m) or PlaybackTrack(self, m) for m in MEDIA if m in media)
