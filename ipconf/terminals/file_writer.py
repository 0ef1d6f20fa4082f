"""What writing media files has in common, whether media are encoded for it or not; it blocks.

Every piece of media comes with the time at which it is due. The file starts with the first of
them, so a second of the file is a second of the call and audio stays with video. What is written so
far can be played at any moment, should the process or the machine end.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from weakref import WeakValueDictionary

from ..errors import InvalidStateError, MediaError
from ..model import MediaType
from .file_formats import Kind

LAG_S = 1.0
"""A track this far behind another has a gap, which is filled now."""
MAX_GAP_S = 600.0
"""A longer gap is a pause that nobody wants to hear: the file goes on at once."""

M = TypeVar("M")


class Piece(NamedTuple, Generic[M]):
    """What is to be written, and where."""

    media: M
    at: float
    track: Hashable
    source: object


class Track(Protocol):
    """A track of a file; positions are seconds from its start."""

    @property
    def end_s(self) -> float:
        """The position up to which there are media."""

    def advance(self, to_s: float) -> None:
        """Nothing more will come for before that position: fill what is missing."""

    def finish(self, end_s: float) -> None:
        """The file ends there."""


class FileWriter(ABC, Generic[M]):
    """A media file in the making.

    MediaError when it cannot be written, InvalidStateError while another writer of this process
    does so.
    """

    grace_s = 2.0
    """The file begins when all tracks have media, at the latest so long after the first came."""
    max_waiting = 256
    """Pieces kept back meanwhile, should their times not advance."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        self._kind = kind
        self._planned: dict[Hashable, MediaType] = {}
        self._titles: Mapping[Hashable, str] = {}
        self._is_plan_complete = False
        self._waiting: list[Piece[M]] = []
        self._origin = 0.0
        self._tracks: dict[Hashable, Track] = {}
        self.began = False
        """Whether the tracks of the file are settled."""
        self.ignored = 0
        """Pieces too late to be used, of no use, or for no track that the file has."""
        self._file = self._open_file()
        # FFmpeg crashes when a file is used again whose header could not be written.
        self._intact = True

    def plan(
        self, tracks: Mapping[Hashable, MediaType], titles: Mapping[Hashable, str] | None = None
    ) -> None:
        """These are the tracks, by any keys, and there will be no others.

        `titles` are what players call them, by default "audio" and "video". Without a plan there
        is one for each medium that comes before the file begins; its key is the medium.
        """
        self._planned, self._is_plan_complete = dict(tracks), True
        self._titles = titles or {}

    def write(self, media: M, at: float, track: Hashable = None, source: object = None) -> None:
        """Add media that are due at `at` seconds of any clock.

        Raises OSError or an error of FFmpeg when the file cannot be written any more.
        """
        medium = self._medium_of(media)
        key = medium if track is None else track
        if not (math.isfinite(at) and self._is_usable(media) and self._has_room(key, medium)):
            self.ignored += 1
            return
        if not self._intact:
            raise MediaError(f"{self.path} is broken since an earlier write failed")
        self._intact = False
        piece = Piece(media, at, key, source)
        if self.began:
            self._place(piece)
        else:
            self._waiting.append(piece)
            if self._is_complete(at):
                self._begin()
        self._intact = True

    def close(self) -> None:
        """Complete the file; one that nothing was written to has no content.

        Raises OSError or an error of FFmpeg like `write` when that fails.
        """
        try:
            if self._intact:
                self._finish()
        finally:
            try:
                self._close_container()
            finally:
                self._file.close()
                _writers.pop(self._key, None)

    def _open_file(self) -> FileIO:
        path = self.path
        self._key = path.resolve()
        if self._key in _writers:
            raise InvalidStateError(
                f"{path} is being recorded already; stop that recorder and wait until it is "
                "complete, or choose another name"
            )
        if path.is_fifo():
            raise MediaError(f"cannot write {path}: it is a pipe, which may hold us up; use a file")
        try:
            file = FileIO(path, "w")
        except OSError as exc:
            raise MediaError(f"cannot write {path}: {exc.strerror or exc}") from exc
        _writers[self._key] = self
        return file

    @abstractmethod
    def _close_container(self) -> None:
        """Nothing more will be written."""

    @abstractmethod
    def _medium_of(self, media: M) -> MediaType:
        """Which medium that is."""

    @abstractmethod
    def _is_usable(self, media: M) -> bool:
        """Whether it can be written at all."""

    @abstractmethod
    def _make_track(self, medium: MediaType, title: str, first: M | None) -> Track:
        """A track whose first media are those; None: there are none yet."""

    @abstractmethod
    def _put(self, track: Track, piece: Piece[M], at_s: float) -> bool:
        """Write a piece at that position; False when it is too late."""

    def _finish(self) -> None:
        if not self.began and self._waiting:
            self._begin()
        end_s = self._end_s()
        for track in self._tracks.values():
            track.finish(end_s)

    def _has_room(self, key: Hashable, medium: MediaType) -> bool:
        if not (self.began or self._is_plan_complete) and self._kind.limit(medium):
            self._planned.setdefault(key, medium)
        return self._planned.get(key) is medium

    def _is_complete(self, at: float) -> bool:
        """Whether there are media for all tracks, or have had the time to come."""
        late = at - self._waiting[0].at >= self.grace_s or len(self._waiting) >= self.max_waiting
        come = {piece.track for piece in self._waiting}
        if self._is_plan_complete:
            return late or len(come) == len(self._planned)
        return late or len(come) == sum(self._kind.limit(medium) > 0 for medium in _MEDIA)

    def _begin(self) -> None:
        for medium in _MEDIA:
            for key, planned in self._planned.items():
                if planned is medium:
                    first = next((p.media for p in self._waiting if p.track == key), None)
                    title = self._titles.get(key, medium.value).encode("utf-8", "replace").decode()
                    self._tracks[key] = self._make_track(medium, title, first)
        self.began = True
        self._origin = min(piece.at for piece in self._waiting)
        for piece in sorted(self._waiting, key=lambda piece: piece.at):
            self._place(piece)
        self._waiting.clear()

    def _place(self, piece: Piece[M]) -> None:
        at_s, end_s = piece.at - self._origin, self._end_s()
        if at_s > end_s + MAX_GAP_S:
            self._origin, at_s = piece.at - end_s, end_s
        track = self._tracks[piece.track]
        self.ignored += not self._put(track, piece, at_s)
        for other in self._tracks.values():
            if other is not track:
                other.advance(at_s - LAG_S)

    def _end_s(self) -> float:
        return max((track.end_s for track in self._tracks.values()), default=0.0)


_MEDIA = (MediaType.AUDIO, MediaType.VIDEO)

_writers: WeakValueDictionary[Path, FileWriter[Any]] = WeakValueDictionary()
"""Who writes which file now: two at once would spoil it."""
