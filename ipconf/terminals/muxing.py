"""Writes audio and video into a media file and keeps it true to time; blocks, so use a thread.

Every block and frame comes with the time at which it is due. The file starts with the first of
them; what is missing becomes silence or a held picture, so a second of the file is a second of the
call and audio stays with video. What is written so far can be played at any moment, should the
process or the machine end.
"""

import math
from collections.abc import Hashable, Mapping
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import OutputContainer

from ..errors import MediaError
from ..model import AUDIO_RATE_HZ, MediaType
from .base import Samples
from .convert import MAX_BLOCK_S, MAX_PICTURE_SIDE
from .file_formats import check_size, format_of
from .tracks import AudioTrack, VideoTrack

GRACE_S = 2.0
"""The file begins when media for all tracks are there, at the latest this long after the first."""
MAX_WAITING = 256
"""Blocks and frames kept back meanwhile, should their times not advance."""
LAG_S = 1.0
"""A track this far behind another has a gap, which is filled now."""
MAX_GAP_S = 600.0
"""A longer gap is a pause that nobody wants to hear: the file goes on at once."""
DEFAULT_SIZE = (640, 360)
"""Width and height when no picture has arrived by the time the file must begin."""


class _Piece(NamedTuple):
    media: Samples | av.VideoFrame
    at: float
    track: Hashable
    source: object


class MediaWriter:
    """A media file in the making.

    `size` is the width and height of video tracks, by default those of the first frame; pictures
    of other sizes are fitted in. Raises ConfigurationError for an unknown ending and MediaError
    when the file cannot be written.
    """

    def __init__(self, path: str | Path, size: tuple[int, int] | None = None) -> None:
        self.path = Path(path)
        self._format = format_of(self.path)
        self._size = check_size(size)
        self._planned: dict[Hashable, MediaType] = {}
        self._titles: Mapping[Hashable, str] = {}
        self._is_plan_complete = False
        self._waiting: list[_Piece] = []
        self._origin = 0.0
        self._tracks: dict[Hashable, AudioTrack | VideoTrack] = {}
        self.began = False
        """Whether the tracks of the file are settled."""
        self.ignored = 0
        """Blocks and frames too late to be used, of no use, or for no track that the file has."""
        try:
            self._file = FileIO(self.path, "w")
        except OSError as exc:
            raise MediaError(f"cannot write {path}: {exc}") from exc
        self._container: OutputContainer = av.open(
            self._file,
            "w",
            format=self._format.container,
            container_options=self._format.options,
        )
        # FFmpeg crashes when a file is used again whose header could not be written.
        self._intact = True

    def plan(
        self, tracks: Mapping[Hashable, MediaType], titles: Mapping[Hashable, str] | None = None
    ) -> None:
        """These are the tracks, by any keys, and there will be no others.

        `titles` are what players call them, by default "audio" and "video". Without a plan there
        is one for each medium that comes in the first two seconds; its key is the medium.
        """
        self._planned, self._is_plan_complete = dict(tracks), True
        self._titles = titles or {}

    def write(
        self,
        media: Samples | av.VideoFrame,
        at: float,
        track: Hashable = None,
        source: object = None,
    ) -> None:
        """Add audio (n, channels) at 48 kHz or a frame, due at `at` seconds of any clock.

        Audio from several sources to one track is mixed. Raises OSError or an error of FFmpeg when
        the file cannot be written any more.
        """
        kind = MediaType.VIDEO if isinstance(media, av.VideoFrame) else MediaType.AUDIO
        key = kind if track is None else track
        if not (math.isfinite(at) and _is_usable(media) and self._has_room(key, kind)):
            self.ignored += 1
            return
        if not self._intact:
            raise MediaError(f"{self.path} is broken since an earlier write failed")
        self._intact = False
        piece = _Piece(media, at, key, source)
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
                self._container.close()
            finally:
                self._file.close()

    def _finish(self) -> None:
        if not self.began and self._waiting:
            self._begin()
        end_s = self._end_s()
        for track in self._tracks.values():
            track.finish(end_s)

    def _has_room(self, key: Hashable, kind: MediaType) -> bool:
        if not (self.began or self._is_plan_complete) and self._format.limit(kind):
            self._planned.setdefault(key, kind)
        return self._planned.get(key) is kind

    def _is_complete(self, at: float) -> bool:
        """Whether there are media for all tracks, or have had the time to come."""
        late = at - self._waiting[0].at >= GRACE_S or len(self._waiting) >= MAX_WAITING
        come = {piece.track for piece in self._waiting}
        if self._is_plan_complete:
            return late or len(come) == len(self._planned)
        return late or len(come) == sum(self._format.limit(kind) > 0 for kind in _KINDS)

    def _begin(self) -> None:
        for kind in _KINDS:
            for key, planned in self._planned.items():
                if planned is kind:
                    self._tracks[key] = self._make_track(key, kind)
        self.began = True
        self._origin = min(piece.at for piece in self._waiting)
        for piece in sorted(self._waiting, key=lambda piece: piece.at):
            self._place(piece)
        self._waiting.clear()

    def _make_track(self, key: Hashable, kind: MediaType) -> AudioTrack | VideoTrack:
        first = next((piece.media for piece in self._waiting if piece.track == key), None)
        title = self._titles.get(key, kind.value).encode("utf-8", "replace").decode()
        metadata = {self._format.title: title}
        if kind is MediaType.AUDIO:
            channels = first.shape[1] if isinstance(first, np.ndarray) else 1
            return AudioTrack(self._container, metadata, self._format.audio, channels)
        width, height = self._size or DEFAULT_SIZE
        if self._size is None and isinstance(first, av.VideoFrame):
            width, height = first.width, first.height
        even = (max(2, width & ~1), max(2, height & ~1))
        codec, options = self._format.video or "", self._format.video_options
        return VideoTrack(self._container, metadata, codec, options, even)

    def _place(self, piece: _Piece) -> None:
        at_s, end_s = piece.at - self._origin, self._end_s()
        if at_s > end_s + MAX_GAP_S:
            self._origin, at_s = piece.at - end_s, end_s
        track, media = self._tracks[piece.track], piece.media
        if isinstance(track, VideoTrack):
            placed = isinstance(media, av.VideoFrame) and track.put(media, at_s)
        else:
            placed = isinstance(media, np.ndarray) and track.put(media, at_s, piece.source)
        self.ignored += not placed
        for other in self._tracks.values():
            if other is not track:
                other.advance(at_s - LAG_S)

    def _end_s(self) -> float:
        return max((track.end_s for track in self._tracks.values()), default=0.0)


_KINDS = (MediaType.AUDIO, MediaType.VIDEO)


def _is_usable(media: object) -> bool:
    if isinstance(media, av.VideoFrame):
        return min(media.width, media.height) > 0 and (
            max(media.width, media.height) <= MAX_PICTURE_SIDE
        )
    return (
        isinstance(media, np.ndarray)
        and media.ndim == 2
        and media.shape[1] in (1, 2)
        and 0 < len(media) <= MAX_BLOCK_S * AUDIO_RATE_HZ
        and media.dtype == np.int16
    )
