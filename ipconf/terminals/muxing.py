"""Encodes audio and video into a media file and keeps it true to time; blocks, so use a thread.

What is missing becomes silence or a held picture.
"""

from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from ..model import AUDIO_RATE_HZ, MediaType
from .base import Samples
from .convert import MAX_BLOCK_S, MAX_PICTURE_SIDE
from .file_formats import FORMATS, check_size, format_of
from .file_writer import FileWriter, Piece, Track
from .tracks import AudioTrack, VideoTrack

DEFAULT_SIZE = (640, 360)
"""Width and height when no picture has arrived by the time the file must begin."""

Media = Samples | av.VideoFrame
"""Audio is (n, channels) at 48 kHz."""


class MediaWriter(FileWriter[Media]):
    """A media file in the making; audio from several sources to one track is mixed.

    `size` is the width and height of video tracks, by default those of the first frame; pictures
    of other sizes are fitted in. Raises ConfigurationError for an unknown ending and MediaError
    when the file cannot be written.
    """

    def __init__(self, path: str | Path, size: tuple[int, int] | None = None) -> None:
        path = Path(path)
        self._format = format_of(path, FORMATS)
        self._size = check_size(size)
        super().__init__(path, self._format)
        self._container: OutputContainer = av.open(
            self._file, "w", format=self._format.container, container_options=self._format.options
        )

    def _close_container(self) -> None:
        self._container.close()

    def _medium_of(self, media: Media) -> MediaType:
        return MediaType.VIDEO if isinstance(media, av.VideoFrame) else MediaType.AUDIO

    def _is_usable(self, media: Media) -> bool:
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

    def _make_track(self, medium: MediaType, title: str, first: Media | None) -> Track:
        metadata = {self._format.title: title}
        if medium is MediaType.AUDIO:
            channels = first.shape[1] if isinstance(first, np.ndarray) else 1
            return AudioTrack(self._container, metadata, self._format.audio, channels)
        width, height = self._size or DEFAULT_SIZE
        if self._size is None and isinstance(first, av.VideoFrame):
            width, height = first.width, first.height
        even = (max(2, width & ~1), max(2, height & ~1))
        codec, options = self._format.video or "", self._format.video_options
        return VideoTrack(self._container, metadata, codec, options, even)

    def _put(self, track: Track, piece: Piece[Media], at_s: float) -> bool:
        media = piece.media
        if isinstance(track, VideoTrack):
            return isinstance(media, av.VideoFrame) and track.put(media, at_s)
        assert isinstance(track, AudioTrack) and isinstance(media, np.ndarray)
        return track.put(media, at_s, piece.source)
