"""VP8 (RFC 6386) with libvpx, driven through PyAV on the calling thread."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from ..errors import MediaError
from ..model import VIDEO_CLOCK_HZ
from .base import VideoDecoder, VideoEncoder
from .vp8_payload import INTER_FRAME, PICTURE_ID_MASK, packetize

REBUILD_RATIO = 0.2
"""A new bit rate this much off the encoder's own is worth a new encoder, and its key frame."""
MIN_BITRATE_BPS = 30_000
"""Less is no video; a receiver may ask for any number (REMB)."""
KEY_FRAME_INTERVAL = 3000
"""Pictures between key frames that nobody asked for; 100 s at 30 fps."""
MAX_SIDE = 16383
"""Width and height have 14 bits (RFC 6386 section 9.1)."""
MAX_DECODED_PIXELS = 4096 * 2304
"""More than any camera in a call sends."""

_TIME_BASE = Fraction(1, VIDEO_CLOCK_HZ)
_KEY_FRAME_HEADER = struct.Struct("<6xHH")
"""Frame tag and start code, then width and height with two bits of scaling each on top."""
_NOMINAL_FPS = 30
_NOMINAL_STEP_TICKS = VIDEO_CLOCK_HZ // _NOMINAL_FPS
_MAX_STEP_TICKS = VIDEO_CLOCK_HZ
"""A longer pause between pictures counts as one second in rate control."""
_QUALITY_RANGE = (2, 56)
"""Quantisers of 0..63 to choose from, as video calls use them."""


def _check_size(data: bytes) -> None:
    """Keep ten bytes of a key frame from making libvpx allocate hundreds of megabytes."""
    if data[0] & INTER_FRAME or len(data) < _KEY_FRAME_HEADER.size:
        return
    width, height = _KEY_FRAME_HEADER.unpack_from(data)
    if (width & MAX_SIDE) * (height & MAX_SIDE) > MAX_DECODED_PIXELS:
        raise MediaError(f"a picture of {width & MAX_SIDE}x{height & MAX_SIDE} is not for a call")


class Vp8Encoder(VideoEncoder):
    """Encodes for calls: no delay, constant bit rate, each picture decodable if the last was.

    A picture of another size, or a bit rate far from the present one, starts a new libvpx encoder
    and so a key frame. Picture ids run on through that.
    """

    def __init__(self, bitrate_bps: int, picture_id: int = 0) -> None:
        self.bitrate_bps = bitrate_bps
        self._picture_id = picture_id & PICTURE_ID_MASK
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
        context = self._fitting_context(frame.width & ~1, frame.height & ~1)
        try:
            packets = context.encode(self._own_frame(frame, key_frame))
        except (av.FFmpegError, ValueError) as exc:
            self._context = None
            raise MediaError(f"libvpx failed to encode a picture: {exc}") from exc
        data = b"".join([bytes(packet) for packet in packets])
        if not data:
            return [], False
        payloads = packetize(data, self._picture_id)
        self._picture_id = (self._picture_id + 1) & PICTURE_ID_MASK
        return payloads, not data[0] & INTER_FRAME

    def _own_frame(self, frame: av.VideoFrame, key_frame: bool) -> av.VideoFrame:
        """A frame with the same picture, of even sides, and attributes of our own."""
        even = self._reformatter.reformat(
            frame, frame.width & ~1, frame.height & ~1, "yuv420p", threads=1
        )
        planes = np.asarray(even.to_ndarray(), np.uint8)
        own = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        self._pts += self._step_ticks(frame.time)
        own.pts = self._pts
        own.time_base = _TIME_BASE
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
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise MediaError(f"VP8 holds pictures up to {MAX_SIDE} a side, not {width}x{height}")
        context = av.CodecContext.create("libvpx", "w")
        context.width = width
        context.height = height
        context.pix_fmt = "yuv420p"
        context.time_base = _TIME_BASE
        context.framerate = Fraction(_NOMINAL_FPS)
        context.bit_rate = self._bitrate_bps
        context.gop_size = KEY_FRAME_INTERVAL
        context.qmin, context.qmax = _QUALITY_RANGE
        context.thread_count = 1
        rate = str(self._bitrate_bps)
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "error-resilient": "1",
            "static-thresh": "1",
            # Constant bit rate: FFmpeg's libvpx wrapper takes it from min = max = target, and
            # one second of buffer from bufsize = target.
            "minrate": rate,
            "maxrate": rate,
            "bufsize": rate,
            "undershoot-pct": "100",
            "overshoot-pct": "15",
        }
        return context


class Vp8Decoder(VideoDecoder):
    """Decodes assembled pictures on the calling thread."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libvpx", "r")
        context.thread_count = 1
        self._context = context

    def decode(self, data: bytes) -> list[av.VideoFrame]:
        """The picture, or none if it is not to be shown; MediaError if it makes no sense."""
        if not data:
            raise MediaError("no VP8 picture is empty")
        _check_size(data)
        try:
            return self._context.decode(av.Packet(data))
        except av.FFmpegError as exc:
            raise MediaError(f"libvpx cannot decode a picture: {exc}") from exc
