"""VP8 (RFC 6386) with libvpx, driven through PyAV on the calling thread."""

from __future__ import annotations

import math
import struct

import av
from av.video.codeccontext import VideoCodecContext

from ..errors import MediaError
from .base import VideoDecoder
from .pictures import MAX_DECODED_PIXELS, PictureEncoder
from .vp8_payload import INTER_FRAME, PICTURE_ID_MASK, packetize

MAX_SIDE = 16383
"""Width and height have 14 bits (RFC 6386 section 9.1)."""
MAX_ENCODED_PIXELS = 1920 * 1080
"""Larger pictures are made smaller. PyAV holds the interpreter while libvpx makes an encoder, 20 ns
a pixel and more, and all sound of the process waits."""

_KEY_FRAME_HEADER = struct.Struct("<6xHH")
"""Frame tag and start code, then width and height with two bits of scaling each on top."""
_QUALITY_RANGE = (2, 56)
"""Quantisers of 0..63 to choose from, as video calls use them."""


def _check_size(data: bytes) -> None:
    """Keep ten bytes of a key frame from making libvpx allocate hundreds of megabytes."""
    if data[0] & INTER_FRAME or len(data) < _KEY_FRAME_HEADER.size:
        return
    width, height = _KEY_FRAME_HEADER.unpack_from(data)
    if (width & MAX_SIDE) * (height & MAX_SIDE) > MAX_DECODED_PIXELS:
        raise MediaError(f"a picture of {width & MAX_SIDE}x{height & MAX_SIDE} is not for a call")


class Vp8Encoder(PictureEncoder):
    """Encodes at a constant bit rate; picture ids run on whatever changes.

    Pictures of more than `MAX_ENCODED_PIXELS` are made smaller, in the same shape.
    """

    codec = "libvpx"

    def __init__(self, bitrate_bps: int, picture_id: int = 0) -> None:
        super().__init__(bitrate_bps)
        self._picture_id = picture_id & PICTURE_ID_MASK

    def _size(self, width: int, height: int) -> tuple[int, int]:
        if not (1 < width <= MAX_SIDE and 1 < height <= MAX_SIDE):
            raise MediaError(
                f"a picture of {width}x{height} cannot be sent: VP8 holds 2 to {MAX_SIDE} pixels a "
                "side; let the terminal give such pictures, or None while it has none"
            )
        scale = min(1.0, math.sqrt(MAX_ENCODED_PIXELS / (width * height)))
        return int(width * scale) & ~1, int(height * scale) & ~1

    def _payloads(self, data: bytes) -> tuple[list[bytes], bool]:
        payloads = packetize(data, self._picture_id)
        self._picture_id = (self._picture_id + 1) & PICTURE_ID_MASK
        return payloads, not data[0] & INTER_FRAME

    def _create_context(self, width: int, height: int) -> VideoCodecContext:
        context = super()._create_context(width, height)
        context.qmin, context.qmax = _QUALITY_RANGE
        return context

    def _options(self) -> dict[str, str]:
        rate = str(self._bitrate_bps)
        return {
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
