"""How high a picture is, read from the head of its key frame without decoding anything."""

from __future__ import annotations

from ..errors import WireError

VP8_HEIGHT_AT = 8
"""Of a VP8 key frame: behind its tag, the start code and the width (RFC 6386 section 9.1)."""
SPS_OCTETS = 96
"""More of a parameter set is not looked at; the size comes within the first few dozen."""
MAX_HEIGHT = 16_384
_CHROMA_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_SCALING_LISTS, _SMALL_LISTS = 8, 6
_MAX_REFERENCES = 255


def vp8_height(frame: bytes) -> int:
    """Lines of the picture that a VP8 key frame begins; 0 where the packet ends before."""
    low_and_high = frame[VP8_HEIGHT_AT : VP8_HEIGHT_AT + 2]
    return int.from_bytes(low_and_high, "little") & 0x3FFF if len(low_and_high) == 2 else 0


def h264_height(sps: bytes) -> int:
    """Lines of the pictures of a sequence parameter set (ITU-T H.264 section 7.3.2.1.1), or 0.

    `sps` is the whole unit. Never raises.
    """
    try:
        height = _height(_Bits(sps[1:SPS_OCTETS].replace(b"\x00\x00\x03", b"\x00\x00")))
    except WireError:
        return 0
    return height if 0 < height <= MAX_HEIGHT else 0


class _Bits:
    """Reads bits and Exp-Golomb numbers (ITU-T H.264 section 9.1); WireError behind the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise WireError("the parameter set is cut")
        return self._value >> self._left & (1 << count) - 1

    def number(self) -> int:
        """ue(v)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """se(v)."""
        number = self.number()
        return (number + 1) // 2 if number & 1 else -(number // 2)


def _height(bits: _Bits) -> int:
    profile = bits.take(8)
    bits.take(16)  # constraints, level
    bits.number()  # its id
    grey = False
    if profile in _CHROMA_PROFILES:
        grey = _skip_chroma(bits)
    bits.number()  # log2_max_frame_num
    _skip_order(bits)
    bits.number()  # max_num_ref_frames
    bits.take(1)
    bits.number()  # width in macroblocks
    rows = bits.number() + 1
    fields = 2 - bits.take(1)  # where pictures may be fields, a row is two of macroblocks
    if fields == 2:
        bits.take(1)
    bits.take(1)
    cropped = 0
    if bits.take(1):
        _, _, top, bottom = (bits.number() for _ in range(4))
        cropped = (top + bottom) * (1 if grey else 2) * fields
    return 16 * rows * fields - cropped


def _skip_chroma(bits: _Bits) -> bool:
    """What only the higher profiles have; whether rows of chroma are as many as of luma."""
    chroma = bits.number()
    if chroma == 3:
        bits.take(1)
    bits.number()
    bits.number()
    bits.take(1)
    if bits.take(1):
        for number in range(_SCALING_LISTS if chroma != 3 else 12):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if number < _SMALL_LISTS else 64)
    return chroma != 1


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _skip_order(bits: _Bits) -> None:
    """How pictures are ordered (pic_order_cnt_type)."""
    kind = bits.number()
    if kind == 0:
        bits.number()
    elif kind == 1:
        bits.take(1)
        bits.number()
        bits.number()
        for _ in range(min(bits.number(), _MAX_REFERENCES)):
            bits.number()
