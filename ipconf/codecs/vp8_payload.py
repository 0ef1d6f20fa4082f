"""How a VP8 picture lies in RTP packets (RFC 7741)."""

from __future__ import annotations

from ..errors import WireError
from .base import MAX_PAYLOAD_BYTES

# The descriptor of RFC 7741 section 4.2 as we write it:
#
#      0 1 2 3 4 5 6 7
#     +-+-+-+-+-+-+-+-+
#     |X|R|N|S|R| PID |  X=1: the next byte is there; S=1: a partition starts here
#     +-+-+-+-+-+-+-+-+
#     |I|L|T|K| RSV   |  I=1: a picture id follows
#     +-+-+-+-+-+-+-+-+
#     |M| picture id  |  M=1: it has 15 bits
#     +               +
#     |               |
#     +-+-+-+-+-+-+-+-+
_EXTENDED = 0x80
_PARTITION_START = 0x10
_PARTITION_MASK = 0x07
_HAS_PICTURE_ID = 0x80
_HAS_TL0PICIDX = 0x40
_HAS_TID_OR_KEYIDX = 0x30
_LONG_PICTURE_ID = 0x80
_DESCRIPTOR_BYTES = 4
PICTURE_ID_MASK = 0x7FFF

INTER_FRAME = 0x01
"""First bit of a picture: 0 for a key frame (RFC 6386 section 9.1)."""
_START_CODE = b"\x9d\x01\x2a"
"""Stands behind the first three bytes of a key frame."""


def _descriptor_size(payload: bytes) -> int:
    """How many bytes the descriptor takes; 0 if the payload ends within it, or right behind it."""
    if len(payload) < 2:
        return 0
    if not payload[0] & _EXTENDED:
        return 1
    flags = payload[1]
    size = 2
    if flags & _HAS_PICTURE_ID:
        if len(payload) == size:
            return 0
        size += 2 if payload[size] & _LONG_PICTURE_ID else 1
    if flags & _HAS_TL0PICIDX:
        size += 1
    if flags & _HAS_TID_OR_KEYIDX:
        size += 1
    return size if len(payload) > size else 0


class Vp8Depacketizer:
    """Reads VP8 payloads (RFC 7741 section 4); without state."""

    __slots__ = ()

    def depayload(self, payload: bytes) -> bytes:
        """The payload without its descriptor; WireError if that is malformed."""
        size = _descriptor_size(payload)
        if not size:
            raise WireError(f"a VP8 payload of {len(payload)} bytes ends within its descriptor")
        return payload[size:]

    def is_start(self, payload: bytes) -> bool:
        """Whether the payload begins the first partition of a picture."""
        return (
            payload[:1] != b""
            and payload[0] & (_PARTITION_START | _PARTITION_MASK) == _PARTITION_START
            and _descriptor_size(payload) > 0
        )

    def is_key_frame(self, payload: bytes) -> bool:
        """Whether the payload begins a picture that needs no other picture."""
        if not self.is_start(payload):
            return False
        size = _descriptor_size(payload)
        return not payload[size] & INTER_FRAME and payload[size + 3 : size + 6] == _START_CODE


def packetize(data: bytes, picture_id: int) -> list[bytes]:
    """One picture as RTP payloads of at most `MAX_PAYLOAD_BYTES`, all about the same size."""
    count = -(-len(data) // (MAX_PAYLOAD_BYTES - _DESCRIPTOR_BYTES))
    rest = bytes((_HAS_PICTURE_ID, _LONG_PICTURE_ID | picture_id >> 8, picture_id & 0xFF))
    first = bytes((_EXTENDED | _PARTITION_START,)) + rest
    other = bytes((_EXTENDED,)) + rest
    cuts = [index * len(data) // count for index in range(count)] + [len(data)]
    return [
        (other if begin else first) + data[begin:end]
        for begin, end in zip(cuts, cuts[1:], strict=False)
    ]
