"""What the video codecs have in common: FFmpeg's encoders and decoders driven for live pictures.

Everything runs on the calling thread, with one thread each.
"""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from ..errors import MediaError
from ..model import VIDEO_CLOCK_HZ
from .base import VideoEncoder

REBUILD_RATIO = 0.2
"""A new bit rate this much off the encoder's own is worth a new encoder, and its key frame."""
MIN_BITRATE_BPS = 30_000
"""Less is no video; a receiver may ask for any number (REMB)."""
KEY_FRAME_INTERVAL = 3000
"""Pictures between key frames that nobody asked for; 100 s at 30 fps."""
MAX_DECODED_PIXELS = 4096 * 2304
"""More than any camera in a call sends."""
TIME_BASE = Fraction(1, VIDEO_CLOCK_HZ)
NOMINAL_FPS = 30

_NOMINAL_STEP_TICKS = VIDEO_CLOCK_HZ // NOMINAL_FPS
_MAX_STEP_TICKS = VIDEO_CLOCK_HZ
"""A longer pause between pictures counts as one second in rate control."""


class PictureEncoder(VideoEncoder):
    """Encodes for calls: no delay, each picture decodable if the last was.

    A picture of another size, or a bit rate far from the present one, starts a new encoder of
    FFmpeg's and so a key frame.
    """

    codec = ""
    """FFmpeg's name of the encoder."""

    def __init__(self, bitrate_bps: int) -> None:
        self.bitrate_bps = bitrate_bps
        self._context: VideoCodecContext | None = None
        self._reformatter = VideoReformatter()
        self._pts = 0
        self._last_source_s: float | None = None

    @property
    def bitrate_bps(self) -> int:
        """Target bit rate, at least 30 kbit/s; may be set at any time."""
        return self._bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None:
        self._bitrate_bps = max(value, MIN_BITRATE_BPS)

    def encode(self, frame: av.VideoFrame, key_frame: bool) -> tuple[list[bytes], bool]:
        """The payloads of one picture and whether it is a key frame; asks for one if `key_frame`.

        The frame is not changed, so several encoders may share it. No payloads: the encoder left
        the picture out to hold its bit rate.
        """
        width, height = self._size(frame.width, frame.height)
        context = self._fitting_context(width, height)
        try:
            packets = context.encode(self._own_frame(frame, width, height, key_frame))
        except (av.FFmpegError, ValueError) as exc:
            self._context = None
            raise MediaError(f"{self.codec} failed to encode a picture: {exc}") from exc
        data = b"".join([bytes(packet) for packet in packets])
        return self._payloads(data) if data else ([], False)

    @abstractmethod
    def _size(self, width: int, height: int) -> tuple[int, int]:
        """The size to encode a picture of that size in, of even sides; MediaError if none."""

    @abstractmethod
    def _options(self) -> dict[str, str]:
        """FFmpeg's options for a new encoder."""

    @abstractmethod
    def _payloads(self, data: bytes) -> tuple[list[bytes], bool]:
        """One encoded picture as payloads, and whether it is a key frame."""

    def _own_frame(
        self, frame: av.VideoFrame, width: int, height: int, key_frame: bool
    ) -> av.VideoFrame:
        """A frame with the same picture, of that size, and attributes of our own."""
        fitting = self._reformatter.reformat(frame, width, height, "yuv420p", threads=1)
        planes = np.asarray(fitting.to_ndarray(), np.uint8)
        own = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        self._pts += self._step_ticks(frame.time)
        own.pts = self._pts
        own.time_base = TIME_BASE
        if key_frame:
            own.pict_type = PictureType.I
        return own

    def _step_ticks(self, source_s: float | None) -> int:
        """Time since the last picture; sources that jump or have no time count as 30 fps."""
        last, self._last_source_s = self._last_source_s, source_s
        if last is None or source_s is None or source_s <= last:
            return _NOMINAL_STEP_TICKS
        return min(max(1, round((source_s - last) * VIDEO_CLOCK_HZ)), _MAX_STEP_TICKS)

    def _fitting_context(self, width: int, height: int) -> VideoCodecContext:
        context = self._context
        if (
            context is None
            or context.width != width
            or context.height != height
            or abs(self._bitrate_bps - (context.bit_rate or 0)) > REBUILD_RATIO * self._bitrate_bps
        ):
            context = self._context = self._create_context(width, height)
        return context

    def _create_context(self, width: int, height: int) -> VideoCodecContext:
        context = av.CodecContext.create(self.codec, "w")
        assert isinstance(context, VideoCodecContext)
        context.width = width
        context.height = height
        context.pix_fmt = "yuv420p"
        context.time_base = TIME_BASE
        context.framerate = Fraction(NOMINAL_FPS)
        context.bit_rate = self._bitrate_bps
        context.gop_size = KEY_FRAME_INTERVAL
        context.thread_count = 1
        context.options = self._options()
        return context
