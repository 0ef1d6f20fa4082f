"""H.264 (ITU-T H.264), encoded with x264 and decoded with FFmpeg, on the calling thread."""

from __future__ import annotations

import math

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from ..engine.session_config import PayloadFormat
from ..errors import MediaError
from .base import MAX_PAYLOAD_BYTES, VideoDecoder
from .h264_payload import has_key_frame, packetize, split_units
from .h264_profile import MAX_PICTURE_BLOCKS, mode_of, profile_of
from .pictures import MAX_DECODED_PIXELS, PictureEncoder

PRESET = "superfast"
"""1.7 ms for 640x360 at 500 kbit/s, where "veryfast" takes 2.9 ms to look 0.1 dB better."""
BLOCK_SIDE = 16
"""Pixels of a macroblock's side."""
_STEP_DOWN = 0.99
"""How much smaller a picture that does not fit is tried next."""


class H264Encoder(PictureEncoder):
    """Encodes constrained baseline; parameter sets come with each key frame.

    `payload_format` is the far end's: its packetization mode is used, and pictures larger than its
    level holds are made smaller.
    """

    codec = "libx264"

    def __init__(self, payload_format: PayloadFormat, bitrate_bps: int) -> None:
        super().__init__(bitrate_bps)
        parameters = payload_format.parameters
        mode, profile = mode_of(parameters), profile_of(parameters)
        if mode is None or profile is None:
            raise MediaError(
                f"no H.264 here for {dict(parameters)}; negotiate "
                "packetization-mode 0 or 1 and a baseline, main or high profile"
            )
        self._mode = mode
        self._max_blocks = MAX_PICTURE_BLOCKS[profile.level]

    def _size(self, width: int, height: int) -> tuple[int, int]:
        if width < 2 or height < 2:
            raise MediaError(
                f"a picture of {width}x{height} cannot be sent: H.264 needs two pixels a side; let "
                "the terminal give such pictures, or None while it has none"
            )
        longest = math.isqrt(8 * self._max_blocks)  # ITU-T H.264 section A.3.1
        scale = min(1.0, math.sqrt(self._max_blocks * BLOCK_SIDE**2 / (width * height)))
        while True:
            columns, rows = _blocks(width * scale), _blocks(height * scale)
            if columns * rows <= self._max_blocks and max(columns, rows) <= longest:
                return max(2, int(width * scale) & ~1), max(2, int(height * scale) & ~1)
            scale *= _STEP_DOWN

    def _payloads(self, data: bytes) -> tuple[list[bytes], bool]:
        units = split_units(data)
        return packetize(units, self._mode), has_key_frame(units)

    def _create_context(self, width: int, height: int) -> VideoCodecContext:
        context = super()._create_context(width, height)
        context.profile = "Baseline"
        return context

    def _options(self) -> dict[str, str]:
        rate = str(self._bitrate_bps)
        # Key frames come when somebody needs one, not when the scene changes.
        x264 = "scenecut=0"
        if self._mode == 0:  # every slice must fit one packet
            x264 += f":slice-max-size={MAX_PAYLOAD_BYTES}"
        return {
            "preset": PRESET,
            "tune": "zerolatency",
            "forced-idr": "1",
            "maxrate": rate,
            "bufsize": rate,
            "x264-params": x264,
        }


class H264Decoder(VideoDecoder):
    """Decodes assembled pictures in Annex B form, of any usual profile.

    `parameter_sets` are those that came with the description, for streams that repeat none.
    """

    def __init__(self, parameter_sets: bytes = b"") -> None:
        self._parameter_sets = parameter_sets
        context = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        context.flags |= Flags.low_delay
        context.options = {"max_pixels": str(MAX_DECODED_PIXELS)}
        self._context = context

    def decode(self, data: bytes) -> list[av.VideoFrame]:
        """The picture, or none if it is not to be shown; MediaError if it makes no sense."""
        if not data:
            raise MediaError("no H.264 picture is empty")
        sets, self._parameter_sets = self._parameter_sets, b""
        try:
            return self._context.decode(av.Packet(sets + data))
        except av.FFmpegError as exc:
            raise MediaError(f"FFmpeg cannot decode an H.264 picture: {exc}") from exc


def _blocks(pixels: float) -> int:
    return math.ceil(pixels / BLOCK_SIDE)
