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

from ..errors import ConfigurationError, MediaError
from ..model import MediaType
from .base import Samples
from .convert import MAX_PICTURE_SIDE
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
MANY = 32
"""Tracks of one medium in a file that can have several."""


class Format(NamedTuple):
    """How a kind of file is written."""

    container: str
    audio: str
    max_audio: int
    video: str | None
    options: dict[str, str]
    video_options: dict[str, str]

    def limit(self, media_type: MediaType) -> int:
        """How many tracks of that medium a file can have."""
        return self.max_audio if media_type is MediaType.AUDIO else MANY if self.video else 0


# What is ready goes to the disk at once: clusters, fragments and pages of at most a second. A
# hybrid mp4 is a row of fragments until it is closed, and then a common mp4 with its index.
_PACKETS = {"flush_packets": "1"}
_CLUSTERS = _PACKETS | {"cluster_time_limit": "1000"}
_PAGES = _PACKETS | {"page_duration": "500000"}
_FRAGMENTS = _PACKETS | {
    "movflags": "frag_keyframe+delay_moov+default_base_moof+hybrid_fragmented",
    "frag_duration": "1000000",
}
_REALTIME_VP8 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
_REALTIME_H264 = {"preset": "veryfast", "tune": "zerolatency"}

FORMATS = {
    ".mkv": Format("matroska", "libopus", MANY, "libvpx", _CLUSTERS, _REALTIME_VP8),
    ".webm": Format("webm", "libopus", MANY, "libvpx", _CLUSTERS, _REALTIME_VP8),
    ".mp4": Format("mp4", "aac", MANY, "libx264", _FRAGMENTS, _REALTIME_H264),
    ".wav": Format("wav", "pcm_s16le", 1, None, _PACKETS, {}),
    ".mp3": Format("mp3", "libmp3lame", 1, None, _PACKETS, {}),
    ".ogg": Format("ogg", "libopus", 1, None, _PAGES, {}),
}
"""What goes into a file, by the ending of its name."""


def format_of(path: Path) -> Format:
    """How to write that file; ConfigurationError if the ending of its name is unknown."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"{path.name}: end the name in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def check_size(size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size itself if a video can have it, or a ConfigurationError."""
    if size is not None and not all(2 <= side <= MAX_PICTURE_SIDE for side in size):
        raise ConfigurationError(f"a video of {size}: each side has 2 to {MAX_PICTURE_SIDE}")
    return size


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

    def plan(self, tracks: Mapping[Hashable, MediaType]) -> None:
        """These are the tracks, by any keys, and there will be no others.

        Without a plan there is one for each medium that comes in the first two seconds; its key is
        the medium.
        """
        self._planned, self._is_plan_complete = dict(tracks), True

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
        if kind is MediaType.AUDIO:
            channels = first.shape[1] if isinstance(first, np.ndarray) else 1
            return AudioTrack(self._container, self._format.audio, channels)
        width, height = self._size or DEFAULT_SIZE
        if self._size is None and isinstance(first, av.VideoFrame):
            width, height = first.width, first.height
        even = (max(2, width & ~1), max(2, height & ~1))
        codec, options = self._format.video or "", self._format.video_options
        return VideoTrack(self._container, codec, options, even)

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


def _is_usable(media: Samples | av.VideoFrame) -> bool:
    if isinstance(media, av.VideoFrame):
        return min(media.width, media.height) > 0 and (
            max(media.width, media.height) <= MAX_PICTURE_SIDE
        )
    return media.ndim == 2 and media.shape[1] in (1, 2) and media.dtype == np.int16
