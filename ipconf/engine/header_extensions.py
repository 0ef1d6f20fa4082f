"""Header extensions of RTP packets: what the elements mean, and their bytes (RFC 8285).

An element that is unknown or broken never spoils its packet: it is left out, as if it were absent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import WireError

if TYPE_CHECKING:
    from .rtp_wire import RtpPacket

AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""Level of the packet's audio, client to mixer (RFC 6464)."""
CSRC_LEVEL_URI = "urn:ietf:params:rtp-hdrext:csrc-audio-level"
"""Levels of the contributing sources, mixer to client (RFC 6465)."""
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
"""Which media section a packet belongs to (RFC 8843 section 15)."""
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
"""Which of several encodings of a picture a packet belongs to (RFC 8852)."""
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
"""Which of several encodings a retransmission repairs (RFC 8852)."""
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
"""When the packet was sent, 6.18 fixed-point seconds (libwebrtc; not an RFC)."""

ONE_BYTE_PROFILE = 0xBEDE
"""Marks a block of elements with one-byte headers (RFC 8285 section 4.2)."""
TWO_BYTE_PROFILE = 0x1000
"""Marks a block of elements with two-byte headers; the low four bits are free (section 4.3)."""

_MAX_ONE_BYTE_ID = 14
_MAX_ONE_BYTE_SIZE = 16
_MAX_LEVEL = 127
_BLOCK_HEAD = struct.Struct("!HH")  # profile, length in 32-bit words


def _read_level(packet: RtpPacket, value: bytes) -> None:
    if len(value) == 1:
        octet = value[0]
        packet.voice = octet > _MAX_LEVEL
        packet.level = octet & _MAX_LEVEL


def _read_csrc_levels(packet: RtpPacket, value: bytes) -> None:
    # RFC 6465 section 3: there are as many levels as CSRCs; else nobody knows whose they are.
    if len(value) == len(packet.csrcs):
        packet.csrc_levels = tuple([octet & _MAX_LEVEL for octet in value])


def _read_mid(packet: RtpPacket, value: bytes) -> None:
    packet.mid = _text(value) or packet.mid


def _read_rid(packet: RtpPacket, value: bytes) -> None:
    packet.rid = _text(value) or packet.rid


def _read_repaired_rid(packet: RtpPacket, value: bytes) -> None:
    packet.repaired_rid = _text(value) or packet.repaired_rid


def _read_abs_send_time(packet: RtpPacket, value: bytes) -> None:
    if len(value) == 3:
        packet.abs_send_time = int.from_bytes(value, "big")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


Reader = Callable[["RtpPacket", bytes], None]
"""Puts an element's value into a packet, or leaves the packet as it is."""

_READERS: dict[str, Reader] = {
    AUDIO_LEVEL_URI: _read_level,
    CSRC_LEVEL_URI: _read_csrc_levels,
    MID_URI: _read_mid,
    RID_URI: _read_rid,
    REPAIRED_RID_URI: _read_repaired_rid,
    ABS_SEND_TIME_URI: _read_abs_send_time,
}


@dataclass(frozen=True, slots=True)
class HeaderExtensions:
    """What the header extension ids of a transport mean, as negotiated (RFC 8285 section 5).

    `ids` gives the id by URI: 1 to 14 fit one-byte headers, up to 255 two-byte headers. URIs
    this package does not know may stand in it. An id out of range or given twice: `WireError`.
    """

    ids: Mapping[str, int]
    readers: tuple[Reader | None, ...] = field(init=False, repr=False, compare=False)
    """What to do with an element, by id; None where it means nothing here."""
    level_head: int = field(init=False, repr=False, compare=False)
    """The one-byte head of an audio level's element; -1 where there are none."""

    def __post_init__(self) -> None:
        readers: list[Reader | None] = [None] * 256
        for uri, identifier in self.ids.items():
            if not 0 < identifier < 256:
                raise WireError(f"header extension id {identifier} of {uri} is not in 1..255")
            readers[identifier] = _READERS.get(uri)
        if len(set(self.ids.values())) < len(self.ids):
            raise WireError(f"a header extension id means two things: {dict(self.ids)}")
        object.__setattr__(self, "ids", MappingProxyType(dict(self.ids)))
        object.__setattr__(self, "readers", tuple(readers))
        level_id = self.ids.get(AUDIO_LEVEL_URI, 0)
        level_head = level_id << 4 if 0 < level_id <= _MAX_ONE_BYTE_ID else -1  # of one byte
        object.__setattr__(self, "level_head", level_head)


#  0                   1                   2                   3
#  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |       0xBE    |    0xDE       |       length in words         |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |  ID   |len - 1|     value     |  ID   |len - 1|     value    ...   one-byte headers
#
# |         0x100         |appbits|       length in words         |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |      ID       |      len      |     value    ...                   two-byte headers


def read_one_byte(
    packet: RtpPacket, data: bytes, position: int, end: int, readers: tuple[Reader | None, ...]
) -> None:
    """Read the elements in data[position:end] into the packet (RFC 8285 section 4.2)."""
    while position < end:
        head = data[position]
        position += 1
        if not head:
            continue  # padding
        if head < 0x10 or head >= 0xF0:
            return  # id 0 with a length, or the reserved id 15: what follows is not for us
        start = position
        position += (head & 0x0F) + 1
        reader = readers[head >> 4]
        if reader is not None and position <= end:
            reader(packet, data[start:position])


def read_two_byte(
    packet: RtpPacket, data: bytes, position: int, end: int, readers: tuple[Reader | None, ...]
) -> None:
    """Read the elements in data[position:end] into the packet (RFC 8285 section 4.3)."""
    while position + 1 < end:
        identifier = data[position]
        if not identifier:
            position += 1  # padding has no length
            continue
        start = position + 2
        position = start + data[position + 1]
        reader = readers[identifier]
        if reader is not None and position <= end:
            reader(packet, data[start:position])


def compose_extension(
    ids: HeaderExtensions,
    *,
    level: int | None = None,
    voice: bool = False,
    csrc_levels: Sequence[int] = (),
    mid: str | None = None,
    abs_send_time: int | None = None,
    rid: str | None = None,
    repaired_rid: str | None = None,
) -> bytes:
    """The header extension block with what is given and negotiated; b"" when that is nothing.

    The units are those of `RtpPacket`; empty texts are left out. Two-byte headers are used only
    when an id or a value's size needs them. `WireError` when a value does not fit its element.
    """
    negotiated = ids.ids
    elements: list[tuple[int, bytes]] = []
    try:
        if level is not None and AUDIO_LEVEL_URI in negotiated:
            octet = _checked_level(level) | 0x80 if voice else _checked_level(level)
            elements.append((negotiated[AUDIO_LEVEL_URI], bytes((octet,))))
        if csrc_levels and CSRC_LEVEL_URI in negotiated:
            elements.append((negotiated[CSRC_LEVEL_URI], bytes(map(_checked_level, csrc_levels))))
        if abs_send_time is not None and ABS_SEND_TIME_URI in negotiated:
            elements.append((negotiated[ABS_SEND_TIME_URI], abs_send_time.to_bytes(3, "big")))
        if mid and MID_URI in negotiated:
            elements.append((negotiated[MID_URI], mid.encode()))
        if rid and RID_URI in negotiated:
            elements.append((negotiated[RID_URI], rid.encode()))
        if repaired_rid and REPAIRED_RID_URI in negotiated:
            elements.append((negotiated[REPAIRED_RID_URI], repaired_rid.encode()))
        return _pack_elements(elements) if elements else b""
    except (ValueError, OverflowError) as exc:
        raise WireError(f"a value does not fit its header extension: {exc}") from None


def _checked_level(level: int) -> int:
    if not 0 <= level <= _MAX_LEVEL:
        raise ValueError(f"levels go from 0 to {_MAX_LEVEL}, not {level}")
    return level


def _pack_elements(elements: list[tuple[int, bytes]]) -> bytes:
    profile = ONE_BYTE_PROFILE
    body = b""
    for identifier, value in elements:
        size = len(value)
        if identifier > _MAX_ONE_BYTE_ID or size > _MAX_ONE_BYTE_SIZE:
            profile = TWO_BYTE_PROFILE
            body = b"".join([bytes((i, len(v))) + v for i, v in elements])
            break
        body += bytes((identifier << 4 | size - 1,)) + value
    words = (len(body) + 3) >> 2
    return _BLOCK_HEAD.pack(profile, words) + body + bytes(-len(body) & 3)
