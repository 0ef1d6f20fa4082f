"""RTP packets as bytes (RFC 3550 section 5.1), with the header extensions this package knows.

Parsing is the hottest path of the package: one struct, one object, no copies but the payload's.
All names of `header_extensions` that a session needs are handed through here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import WireError
from .header_extensions import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    CSRC_LEVEL_URI,
    MID_URI,
    ONE_BYTE_PROFILE,
    REPAIRED_RID_URI,
    RID_URI,
    TWO_BYTE_PROFILE,
    HeaderExtensions,
    compose_extension,
    read_one_byte,
    read_two_byte,
)

if TYPE_CHECKING:
    from .reception import RemoteSource

__all__ = [
    "ABS_SEND_TIME_URI",
    "AUDIO_LEVEL_URI",
    "CSRC_LEVEL_URI",
    "HEADER_SIZE",
    "MAX_CSRCS",
    "MID_URI",
    "REPAIRED_RID_URI",
    "RID_URI",
    "HeaderExtensions",
    "RtpPacket",
    "compose_extension",
    "compose_rtp",
    "is_rtcp",
    "pack_header",
    "parse_rtp",
]

HEADER_SIZE = 12
"""Bytes of an RTP header without CSRCs and extension."""
MAX_CSRCS = 15
"""The CC field has four bits (RFC 3550 section 5.1)."""

_HEADER = struct.Struct("!BBHII")
_unpack_header = _HEADER.unpack_from
pack_header = _HEADER.pack
"""Twelve bytes of the first two, sequence number, timestamp and SSRC."""
_unpack_block_head = struct.Struct("!HH").unpack_from
_unpack_short_block = struct.Struct("!IBBH").unpack_from
SHORT_BLOCK = ONE_BYTE_PROFILE << 16 | 1
"""The head of an extension block of one word."""
SHORT_BLOCK_END = HEADER_SIZE + 8
"""Where the payload begins after one, in a packet without CSRCs."""
_CSRCS = tuple(struct.Struct(f"!{count}I") for count in range(MAX_CSRCS + 1))


class RtpPacket:
    """One RTP packet as it arrived; `source`, `extended` and `arrival` are for the session."""

    __slots__ = (
        "abs_send_time",
        "arrival",
        "csrc_levels",
        "csrcs",
        "extended",
        "level",
        "marker",
        "mid",
        "padding",
        "payload",
        "payload_type",
        "repaired_rid",
        "rid",
        "sequence",
        "source",
        "ssrc",
        "timestamp",
        "voice",
    )

    def __init__(
        self,
        payload_type: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        payload: bytes,
        marker: bool = False,
        csrcs: tuple[int, ...] = (),
        padding: int = 0,
    ) -> None:
        self.payload_type = payload_type
        self.sequence = sequence
        """16 bits, wraps around."""
        self.timestamp = timestamp
        """32 bits, in ticks of the payload's clock, wraps around."""
        self.ssrc = ssrc
        self.payload = payload
        """Without padding; b"" with `padding` > 0 is a bandwidth probe."""
        self.marker = marker
        self.csrcs = csrcs
        self.padding = padding
        """Number of padding bytes behind the payload."""
        self.level: int | None = None
        """Audio level, 0 (loudest) to 127 (silence) for 0 to -127 dBov (RFC 6464)."""
        self.voice = False
        """The sender believes this is voice (RFC 6464); means nothing where `level` is None."""
        self.csrc_levels: tuple[int, ...] = ()
        """One level for each of `csrcs`, on the same scale (RFC 6465); or none at all."""
        self.mid: str | None = None
        self.rid: str | None = None
        """RTP stream id as it stands there, whether or not it was agreed on (RFC 8852)."""
        self.repaired_rid: str | None = None
        """The RTP stream id of what a retransmission repairs, likewise."""
        self.abs_send_time: int | None = None
        """24 bits, in units of 2**-18 s, wraps around every 64 s."""
        self.source: RemoteSource | None = None
        self.extended = 0
        """Sequence number plus 2**16 for every wrap-around (RFC 3550 appendix A.1)."""
        self.arrival = 0.0
        """Session clock in seconds."""

    def __repr__(self) -> str:
        return (
            f"RtpPacket(ssrc={self.ssrc:08x}, payload_type={self.payload_type}, "
            f"sequence={self.sequence}, timestamp={self.timestamp}, {len(self.payload)} bytes)"
        )


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram is RTCP rather than RTP where both share a port (RFC 5761 section 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223


#  0                   1                   2                   3
#  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |V=2|P|X|  CC   |M|     PT      |       sequence number         |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |                           timestamp                           |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |           synchronization source (SSRC) identifier            |
# +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
# |            contributing source (CSRC) identifiers             |
# |                             ....                              |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |      defined by profile       |       length in words         |   if X
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+


def parse_rtp(data: bytes, extensions: HeaderExtensions) -> RtpPacket:
    """Take an RTP packet apart (RFC 3550 section 5.1); `WireError` where that is impossible.

    Header extension elements that are unknown or broken are left out of the result.
    """
    end = len(data)
    if end < HEADER_SIZE:
        raise WireError(f"an RTP packet has at least {HEADER_SIZE} bytes, this has {end}")
    first, second, sequence, timestamp, ssrc = _unpack_header(data)
    if first == 0x80:  # no padding, no extension, no CSRCs: nothing else to look at
        return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[12:], second > 127)
    if first == 0x90 and end >= SHORT_BLOCK_END:
        # Nearly all sound has an extension with its level and no more (RFC 6464 section 3).
        block, head, octet, rest = _unpack_short_block(data, HEADER_SIZE)
        if block == SHORT_BLOCK and head == extensions.level_head and not rest:
            payload = data[SHORT_BLOCK_END:]
            packet = RtpPacket(second & 0x7F, sequence, timestamp, ssrc, payload, second > 127)
            packet.level, packet.voice = octet & 0x7F, octet > 127
            return packet
    if first >> 6 != 2:
        raise WireError(f"RTP version is {first >> 6}, not 2")
    csrcs: tuple[int, ...] = ()
    position = HEADER_SIZE
    if count := first & 0x0F:
        position += 4 * count
        if position > end:
            raise WireError(f"RTP packet ends inside its {count} CSRCs")
        csrcs = _CSRCS[count].unpack_from(data, HEADER_SIZE)
    profile = block = 0
    if first & 0x10:
        block = position + 4
        if block > end:
            raise WireError("RTP packet ends inside the head of its header extension")
        profile, words = _unpack_block_head(data, position)
        position = block + 4 * words
        if position > end:
            raise WireError(f"RTP header extension of {words} words goes beyond the packet")
    padding = 0
    if first & 0x20:
        padding = data[-1]
        end -= padding
        if not padding or position > end:
            raise WireError(f"RTP packet cannot have {padding} bytes of padding")
    packet = RtpPacket(
        second & 0x7F, sequence, timestamp, ssrc, data[position:end], second > 127, csrcs, padding
    )
    if profile == ONE_BYTE_PROFILE:
        read_one_byte(packet, data, block, position, extensions.readers)
    elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
        read_two_byte(packet, data, block, position, extensions.readers)
    return packet


def compose_rtp(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    *,
    marker: bool = False,
    csrcs: Sequence[int] = (),
    extension: bytes = b"",
) -> bytes:
    """Put an RTP packet together; `extension` is a whole block, as of `compose_extension`.

    `WireError` when there are more than `MAX_CSRCS` CSRCs or a value does not fit its field.
    """
    if payload_type > 127 or len(csrcs) > MAX_CSRCS or len(extension) & 3:
        raise WireError(
            f"an RTP packet takes a payload type up to 127 (not {payload_type}), {MAX_CSRCS} CSRCs "
            f"(not {len(csrcs)}) and whole words of extension (not {len(extension)} bytes)"
        )
    try:
        header = pack_header(
            (0x90 if extension else 0x80) | len(csrcs),
            payload_type | 0x80 if marker else payload_type,
            sequence,
            timestamp,
            ssrc,
        )
        if csrcs:
            header += _CSRCS[len(csrcs)].pack(*csrcs)
    except struct.error as exc:
        raise WireError(f"a value does not fit the RTP header: {exc}") from None
    return header + extension + payload
