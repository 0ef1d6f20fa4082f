"""Writes audio and video into a media file and keeps it true to time; blocks, so use a thread.

Every block and frame comes with the time at which it is due. The file starts with the first of
them; what is missing becomes silence or a held picture, so a second of the file is a second of the
call and audio stays with video. Names ending in .mkv and .webm hold Opus and VP8, .mp4 AAC and
H.264, .wav PCM.
"""

import math
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import av
from av.container import OutputContainer

from ..errors import ConfigurationError, MediaError
from ..model import MediaType
from .base import Samples
from .convert import MAX_PICTURE_SIDE
from .tracks import AudioTrack, VideoTrack

GRACE_S = 2.0
"""The file begins when all its media are there, at the latest this long after the first."""
MAX_WAITING = 256
"""Blocks and frames kept back meanwhile, should their times not advance."""
LAG_S = 1.0
"""A medium this far behind the other has a gap, which is filled now."""
MAX_GAP_S = 600.0
"""A longer gap is a pause that nobody wants to hear: the file goes on at once."""
DEFAULT_SIZE = (640, 360)
"""Width and height when no picture has arrived by the time the file must begin."""


class _Format(NamedTuple):
    container: str
    audio: str
    video: str | None
    options: dict[str, str]
    video_options: dict[str, str]


# Clusters of at most a second, flushed as they end: what a crash leaves behind can be played.
_CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1"}
_REALTIME_VP8 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
_REALTIME_H264 = {"preset": "veryfast", "tune": "zerolatency"}

FORMATS = {
    ".mkv": _Format("matroska", "libopus", "libvpx", _CLUSTERS, _REALTIME_VP8),
    ".webm": _Format("webm", "libopus", "libvpx", _CLUSTERS, _REALTIME_VP8),
    ".mp4": _Format("mp4", "aac", "libx264", {}, _REALTIME_H264),
    ".wav": _Format("wav", "pcm_s16le", None, {}, {}),
}
"""What goes into a file, by the ending of its name."""


class MediaWriter:
    """A media file in the making.

    `size` is the width and height of the video track, by default those of the first frame;
    pictures of other sizes are fitted in. Raises ConfigurationError for an unknown ending and
    MediaError when the file cannot be written.
    """

    def __init__(self, path: str | Path, size: tuple[int, int] | None = None) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in FORMATS:
            raise ConfigurationError(f"{self.path.name}: end the name in {', '.join(FORMATS)}")
        if size is not None and not all(2 <= side <= MAX_PICTURE_SIDE for side in size):
            raise ConfigurationError(f"a video of {size}: each side has 2 to {MAX_PICTURE_SIDE}")
        self._format = FORMATS[self.path.suffix.lower()]
        self._size = size
        self._expected: set[MediaType] = set()
        self._waiting: list[tuple[Samples | av.VideoFrame, float]] = []
        self._origin = 0.0
        self._audio: AudioTrack | None = None
        self._video: VideoTrack | None = None
        self.began = False
        """Whether the tracks of the file are settled."""
        self.ignored = 0
        """Blocks and frames too late to be used, or for a track the file does not have."""
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

    @property
    def media_types(self) -> frozenset[MediaType]:
        """The media that the file can hold; once it has begun, those that it does hold."""
        if not self.began:
            video = {MediaType.VIDEO} if self._format.video else set()
            return frozenset({MediaType.AUDIO} | video)
        tracks = {MediaType.AUDIO: self._audio, MediaType.VIDEO: self._video}
        return frozenset(kind for kind, track in tracks.items() if track is not None)

    def expect(self, media_type: MediaType) -> None:
        """That medium will come, if late: the file gets a track for it."""
        self._expected.add(media_type)

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Add audio (n, channels) at 48 kHz or a frame, due at `at` seconds of any clock.

        Raises OSError or an error of FFmpeg when the file cannot be written any more.
        """
        kind = MediaType.VIDEO if isinstance(media, av.VideoFrame) else MediaType.AUDIO
        if not math.isfinite(at) or kind not in self.media_types:
            self.ignored += 1
            return
        if not self._intact:
            raise MediaError(f"{self.path} is broken since an earlier write failed")
        self._intact = False
        if self.began:
            self._place(media, at)
        else:
            self.expect(kind)
            self._waiting.append((media, at))
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
        for track in (self._audio, self._video):
            if track is not None:
                track.finish(end_s)

    def _is_complete(self, at: float) -> bool:
        """Whether all media have come, or have had the time to."""
        kinds = {isinstance(media, av.VideoFrame) for media, _ in self._waiting}
        late = at - self._waiting[0][1] >= GRACE_S or len(self._waiting) >= MAX_WAITING
        return late or len(kinds) == len(self.media_types)

    def _begin(self) -> None:
        frames = [media for media, _ in self._waiting if isinstance(media, av.VideoFrame)]
        blocks = [media for media, _ in self._waiting if not isinstance(media, av.VideoFrame)]
        if MediaType.AUDIO in self._expected:
            channels = blocks[0].shape[1] if blocks else 1
            self._audio = AudioTrack(self._container, self._format.audio, channels)
        if MediaType.VIDEO in self._expected and self._format.video:
            size = self._size or ((frames[0].width, frames[0].height) if frames else DEFAULT_SIZE)
            even = (max(2, size[0] & ~1), max(2, size[1] & ~1))
            options = self._format.video_options
            self._video = VideoTrack(self._container, self._format.video, options, even)
        self.began = True
        self._origin = min(at for _, at in self._waiting)
        for media, at in sorted(self._waiting, key=lambda entry: entry[1]):
            self._place(media, at)
        self._waiting.clear()

    def _place(self, media: Samples | av.VideoFrame, at: float) -> None:
        at_s, end_s = at - self._origin, self._end_s()
        if at_s > end_s + MAX_GAP_S:
            self._origin, at_s = at - end_s, end_s
        placed = False
        if isinstance(media, av.VideoFrame):
            if self._video is not None:
                placed = self._video.put(media, at_s)
                if self._audio is not None:
                    self._audio.advance(at_s - LAG_S)
        elif self._audio is not None:
            placed = self._audio.put(media, at_s)
            if self._video is not None:
                self._video.advance(at_s - LAG_S)
        self.ignored += not placed

    def _end_s(self) -> float:
        return max(track.end_s if track else 0.0 for track in (self._audio, self._video))
