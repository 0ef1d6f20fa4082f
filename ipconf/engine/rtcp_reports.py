"""Sender and receiver reports of RTCP (RFC 3550 sections 6.4.1 and 6.4.2)."""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from ..errors import WireError

_BLOCK = struct.Struct("!6I")
_SSRC = struct.Struct("!I")
_SENDER = struct.Struct("!IQIII")
_LOST_LIMIT = 1 << 23  # cumulative_lost is a signed field of 24 bits


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How well one source was received, as the sender of the report saw it."""

    ssrc: int
    """The source that this is about."""
    fraction_lost: int
    """Share of packets lost since the last report, in 1/256: 0 to 255."""
    cumulative_lost: int
    """Packets lost since the beginning, 24 bits signed; duplicates can make it negative."""
    highest_sequence: int
    """Extended highest sequence number received, 32 bits."""
    jitter: int
    """Interarrival jitter in ticks of the payload's clock."""
    last_sr: int
    """Middle 32 bits of the NTP time in the last sender report; 0 if there was none."""
    delay_since_sr: int
    """Time since that sender report arrived, in 1/65536 s."""


# +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
# |                 SSRC_n (SSRC of first source)                 |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# | fraction lost |       cumulative number of packets lost       |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |           extended highest sequence number received           |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |                      interarrival jitter                      |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |                         last SR (LSR)                         |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |                   delay since last SR (DLSR)                  |
# +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+


def _pack_block(block: ReportBlock) -> bytes:
    if not (0 <= block.fraction_lost < 256 and -_LOST_LIMIT <= block.cumulative_lost < _LOST_LIMIT):
        raise WireError(
            f"fraction_lost {block.fraction_lost} must fit 8 bits and cumulative_lost "
            f"{block.cumulative_lost} 24 bits; clamp them"
        )
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | block.cumulative_lost & 0xFF_FFFF,
        block.highest_sequence,
        block.jitter,
        block.last_sr,
        block.delay_since_sr,
    )


def _unpack_blocks(count: int, body: bytes, start: int) -> tuple[tuple[ReportBlock, ...], bytes]:
    # -> the blocks, and the profile-specific extension behind them
    end = start + count * _BLOCK.size
    if end > len(body):
        raise WireError(f"a report with {count} blocks has {end} bytes, this has {len(body)}")
    blocks = []
    for ssrc, loss, highest, jitter, last_sr, delay in _BLOCK.iter_unpack(body[start:end]):
        lost = loss & 0xFF_FFFF
        if lost >= _LOST_LIMIT:
            lost -= 2 * _LOST_LIMIT
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
    return tuple(blocks), body[end:]


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a source sent so far, and how it received others (RFC 3550 section 6.4.1)."""

    packet_type: ClassVar[int] = 200

    ssrc: int
    ntp: int
    """Time of the report: NTP, 64 bits, seconds since 1900 in 32.32 fixed point."""
    rtp_timestamp: int
    """The same instant on the clock of the source's RTP timestamps."""
    packet_count: int
    """RTP packets sent, modulo 2**32."""
    octet_count: int
    """Payload bytes sent, modulo 2**32."""
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""
    """Profile-specific extension, whole 32-bit words, as it stands."""

    #         0                   1                   2                   3
    #         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # header |V=2|P|    RC   |   PT=SR=200   |             length            |
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        |                         SSRC of sender                        |
    #        +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    # sender |              NTP timestamp, most significant word             |
    # info   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        |             NTP timestamp, least significant word             |
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        |                         RTP timestamp                         |
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        |                     sender's packet count                     |
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        |                      sender's octet count                     |
    #        +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    #        |                  report blocks, then extension                |

    def pack(self) -> tuple[int, bytes]:
        """The count field and the body, for `compose`."""
        head = _SENDER.pack(
            self.ssrc, self.ntp, self.rtp_timestamp, self.packet_count, self.octet_count
        )
        body = head + b"".join(map(_pack_block, self.reports)) + self.extension
        return len(self.reports), body

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """The report in a body; `WireError` when it is too short for its blocks."""
        reports, extension = _unpack_blocks(count, body, _SENDER.size)
        ssrc, ntp, rtp_timestamp, packet_count, octet_count = _SENDER.unpack_from(body)
        return cls(ssrc, ntp, rtp_timestamp, packet_count, octet_count, reports, extension)


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """How someone who sends no media received others (RFC 3550 section 6.4.2)."""

    packet_type: ClassVar[int] = 201

    ssrc: int
    """Who reports."""
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""
    """Profile-specific extension, whole 32-bit words, as it stands."""

    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # header |V=2|P|    RC   |   PT=RR=201   |             length            |
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        |                     SSRC of packet sender                     |
    #        +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    #        |                  report blocks, then extension                |

    def pack(self) -> tuple[int, bytes]:
        """The count field and the body, for `compose`."""
        body = _SSRC.pack(self.ssrc) + b"".join(map(_pack_block, self.reports)) + self.extension
        return len(self.reports), body

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """The report in a body; `WireError` when it is too short for its blocks."""
        reports, extension = _unpack_blocks(count, body, _SSRC.size)
        (ssrc,) = _SSRC.unpack_from(body)
        return cls(ssrc, reports, extension)
