"""What an RTP session has to say to its owner, besides the RTP packets themselves."""

from __future__ import annotations

from dataclasses import dataclass

from ..model import GoneReason, SdesType
from .reception import RemoteSource
from .rtp_wire import RtpPacket


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this RTCP datagram."""

    datagram: bytes


@dataclass(frozen=True, slots=True)
class SourceHeard:
    """A new source is a member of the session now."""

    source: RemoteSource


@dataclass(frozen=True, slots=True)
class SourceDescribed:
    """Items of a source changed; `changed` says which, the source has the new values."""

    source: RemoteSource
    changed: tuple[SdesType, ...]


@dataclass(frozen=True, slots=True)
class SourceGone:
    """A source is no longer a member; `text` is the reason it gave in its BYE, often empty.

    `GoneReason.CLOSED` says that it never was one: it turned out to carry retransmissions.
    """

    source: RemoteSource
    reason: GoneReason
    text: str


@dataclass(frozen=True, slots=True)
class KeyFrameRequested:
    """Somebody needs a key frame of our `ssrc` (PLI, RFC 4585; FIR, RFC 5104)."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class ResendRequested:
    """Somebody misses these packets of our `ssrc`, 16-bit sequence numbers (NACK, RFC 4585)."""

    ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BitrateLimited:
    """The receiver estimates that our `ssrcs` together get no more than `bps` through (REMB)."""

    bps: int
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LocalSsrcChanged:
    """Somebody else has our SSRC: from here on we send as `new` (RFC 3550 section 8.2)."""

    old: int
    new: int


Output = (
    RtpPacket
    | Transmit
    | SourceHeard
    | SourceDescribed
    | SourceGone
    | KeyFrameRequested
    | ResendRequested
    | BitrateLimited
    | LocalSsrcChanged
)
