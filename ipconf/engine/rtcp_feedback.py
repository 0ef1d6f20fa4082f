"""Feedback packets of RTCP: repeat a packet, send a key frame, send less (RFC 4585, RFC 5104)."""

import struct
from dataclasses import dataclass
from typing import ClassVar

from ..errors import WireError

TRANSPORT_FEEDBACK = 205
"""Packet type RTPFB (RFC 4585 section 6.2)."""
PAYLOAD_FEEDBACK = 206
"""Packet type PSFB (RFC 4585 section 6.3)."""

_NACK_FMT = 1
_PLI_FMT = 1
_FIR_FMT = 4
_AFB_FMT = 15

_HEAD = struct.Struct("!II")
_NACK_ENTRY = struct.Struct("!HH")
_FIR_ENTRY = struct.Struct("!IBxxx")
_REMB_NAME = b"REMB"
_REMB_HEAD = struct.Struct("!4sBBH")
_REMB_MANTISSA_BITS = 18

#  0                   1                   2                   3
#  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |V=2|P|   FMT   |       PT      |          length               |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |                  SSRC of packet sender                        |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# |                  SSRC of media source                         |
# +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
# :            Feedback Control Information (FCI)                 :


@dataclass(frozen=True, slots=True)
class Nack:
    """Please send these packets again (RFC 4585 section 6.2.1); at least one sequence number."""

    packet_type: ClassVar[int] = TRANSPORT_FEEDBACK

    sender: int
    media: int
    """SSRC of the source whose packets are missing."""
    sequences: tuple[int, ...]
    """16-bit sequence numbers; ascending ones (modulo 2**16) take the least room."""

    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |            PID                |             BLP               |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

    def pack(self) -> tuple[int, bytes]:
        """The FMT field and the body, for `compose`."""
        if not self.sequences or max(self.sequences) > 0xFFFF or min(self.sequences) < 0:
            raise WireError("a NACK names at least one sequence number, each of 16 bits")
        entries = []
        first, *others = self.sequences
        following = 0
        for sequence in others:
            offset = (sequence - first - 1) & 0xFFFF
            if offset < 16 and following < 1 << offset:  # else the order would be lost
                following |= 1 << offset
            else:
                entries.append(_NACK_ENTRY.pack(first, following))
                first, following = sequence, 0
        entries.append(_NACK_ENTRY.pack(first, following))
        return _NACK_FMT, _HEAD.pack(self.sender, self.media) + b"".join(entries)


def _unpack_nack(sender: int, media: int, fci: bytes) -> Nack:
    if not fci:
        raise WireError("a NACK names at least one sequence number")
    sequences = []
    for first, following in _NACK_ENTRY.iter_unpack(fci):
        sequences.append(first)
        while following:
            first = (first + 1) & 0xFFFF
            if following & 1:
                sequences.append(first)
            following >>= 1
    return Nack(sender, media, tuple(sequences))


@dataclass(frozen=True, slots=True)
class PictureLoss:
    """The picture is broken, a key frame helps: PLI, without FCI (RFC 4585 section 6.3.1)."""

    packet_type: ClassVar[int] = PAYLOAD_FEEDBACK

    sender: int
    media: int
    """SSRC of the source whose picture it is."""

    def pack(self) -> tuple[int, bytes]:
        """The FMT field and the body, for `compose`."""
        return _PLI_FMT, _HEAD.pack(self.sender, self.media)


@dataclass(frozen=True, slots=True)
class FullIntra:
    """Send a key frame, for whatever reason: FIR (RFC 5104 section 4.3.1); at least one entry."""

    packet_type: ClassVar[int] = PAYLOAD_FEEDBACK

    sender: int
    entries: tuple[tuple[int, int], ...]
    """(SSRC asked, command number); a repeated request keeps the number, 8 bits, a new one adds
    one to it."""

    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |                              SSRC                             |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # | Seq nr.       |    Reserved = 0                               |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

    def pack(self) -> tuple[int, bytes]:
        """The FMT field and the body, for `compose`."""
        if not self.entries:
            raise WireError("a FIR names at least one source")
        # The media SSRC of the head is 0: the entries say who is meant.
        return _FIR_FMT, _HEAD.pack(self.sender, 0) + b"".join(
            _FIR_ENTRY.pack(ssrc, number) for ssrc, number in self.entries
        )


def _unpack_full_intra(sender: int, fci: bytes) -> FullIntra:
    if not fci or len(fci) % _FIR_ENTRY.size:
        raise WireError(f"a FIR has entries of {_FIR_ENTRY.size} bytes, this has {len(fci)}")
    return FullIntra(sender, tuple((ssrc, n) for ssrc, n in _FIR_ENTRY.iter_unpack(fci)))


@dataclass(frozen=True, slots=True)
class Remb:
    """Send no more than this: REMB (draft-alvestrand-rmcat-remb-03 section 2.2)."""

    packet_type: ClassVar[int] = PAYLOAD_FEEDBACK

    sender: int
    bitrate_bps: int
    """For all of `ssrcs` together; the wire keeps the 18 highest bits and drops the rest."""
    ssrcs: tuple[int, ...]

    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |  Unique identifier 'R' 'E' 'M' 'B'                            |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |  Num SSRC     | BR Exp    |  BR Mantissa                      |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |   SSRC feedback                                               |

    def pack(self) -> tuple[int, bytes]:
        """The FMT field and the body, for `compose`."""
        exponent = max(0, self.bitrate_bps.bit_length() - _REMB_MANTISSA_BITS)
        mantissa = self.bitrate_bps >> exponent
        fci = _REMB_HEAD.pack(
            _REMB_NAME, len(self.ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF
        )
        fci += struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        return _AFB_FMT, _HEAD.pack(self.sender, 0) + fci


def _unpack_remb(sender: int, fci: bytes) -> Remb:
    if len(fci) < _REMB_HEAD.size or len(fci) < _REMB_HEAD.size + 4 * fci[4]:
        raise WireError(f"{len(fci)} bytes are too short for a REMB")
    _, count, high, low = _REMB_HEAD.unpack_from(fci)
    mantissa = (high & 3) << 16 | low
    ssrcs = struct.unpack_from(f"!{count}I", fci, _REMB_HEAD.size)
    return Remb(sender, mantissa << (high >> 2), ssrcs)


@dataclass(frozen=True, slots=True)
class OtherFeedback:
    """A feedback packet that this package has no class for, with its FCI as it stands."""

    packet_type: int
    """`TRANSPORT_FEEDBACK` or `PAYLOAD_FEEDBACK`."""
    fmt: int
    sender: int
    media: int
    fci: bytes = b""

    def pack(self) -> tuple[int, bytes]:
        """The FMT field and the body, for `compose`."""
        if self.packet_type not in (TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK):
            raise WireError(f"packet type {self.packet_type} is no feedback")
        return self.fmt, _HEAD.pack(self.sender, self.media) + self.fci


Feedback = Nack | PictureLoss | FullIntra | Remb | OtherFeedback


def unpack_feedback(packet_type: int, fmt: int, body: bytes) -> Feedback:
    """The feedback in the body of an RTPFB or PSFB packet; `WireError` when it is malformed."""
    if len(body) < _HEAD.size:
        raise WireError(f"feedback has at least {_HEAD.size} bytes, this has {len(body)}")
    sender, media = _HEAD.unpack_from(body)
    fci = body[_HEAD.size :]
    kind = (packet_type, fmt)
    if kind == (TRANSPORT_FEEDBACK, _NACK_FMT):
        return _unpack_nack(sender, media, fci)
    if kind == (PAYLOAD_FEEDBACK, _PLI_FMT):
        return PictureLoss(sender, media)
    if kind == (PAYLOAD_FEEDBACK, _FIR_FMT):
        return _unpack_full_intra(sender, fci)
    if kind == (PAYLOAD_FEEDBACK, _AFB_FMT) and fci.startswith(_REMB_NAME):
        return _unpack_remb(sender, fci)
    return OtherFeedback(packet_type, fmt, sender, media, fci)
