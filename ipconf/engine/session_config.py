"""What an RTP session is told at the start, and what it counts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields

from ..model import MediaType, SdesType
from .rtp_wire import HeaderExtensions

MAX_SOURCES = 512
"""Remote sources of one session, contributing ones included."""


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """One negotiated payload type of a section (a=rtpmap, a=fmtp, a=rtcp-fb)."""

    payload_type: int
    name: str
    """As registered, "opus" or "VP8" or "rtx"; compare in lower case."""
    clock_rate: int
    """RTP timestamp ticks per second."""
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    feedback: frozenset[str] = frozenset()
    """RTCP feedback the format is used with: "nack", "nack pli", "ccm fir", "goog-remb"."""
    apt: int | None = None
    """For "rtx": the payload type whose packets it retransmits (RFC 4588 section 8.6)."""

    @property
    def is_rtx(self) -> bool:
        """Whether this format carries retransmissions rather than media."""
        return self.name.lower() == "rtx"


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of the session description."""

    mid: str
    medium: MediaType
    formats: tuple[PayloadFormat, ...]
    """What may arrive, and what is sent unless `sent` says otherwise."""
    ssrcs: Mapping[int, str] = field(default_factory=dict)
    """SSRCs the far end announced, each with its CNAME or "" (a=ssrc, RFC 5576)."""
    repair: Mapping[int, int] = field(default_factory=dict)
    """The media SSRC by retransmission SSRC, far end's (a=ssrc-group:FID, RFC 5576)."""
    sent: tuple[PayloadFormat, ...] = ()
    """Formats that are sent under other payload types than they arrive (RFC 3264 section 5.1)."""
    local_ssrc: int | None = None
    """Our SSRC if the description already named it; None: the session draws one."""
    local_repair_ssrc: int | None = None
    """Our retransmission SSRC, likewise."""
    rids: tuple[str, ...] = ()
    """RTP stream ids of the layers that may arrive of one picture (RFC 8853)."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Everything a session must know; rates are bit/s, times are seconds."""

    sections: tuple[Section, ...]
    extensions: HeaderExtensions
    identity: Mapping[SdesType, str]
    """Our SDES items; CNAME must be among them."""
    private: Mapping[str, str] = field(default_factory=dict)
    """Our PRIV items by prefix."""
    bandwidth_bps: float = 1_000_000
    min_interval_s: float = 5.0
    member_timeout_s: float | None = None
    """None: five deterministic RTCP intervals (RFC 3550 section 6.3.5)."""
    unicast: bool = False
    """The first report goes out at once (RFC 3550 section 6.2), and with it our name."""
    reduced_size: bool = False
    """Early feedback goes without SR, RR and SDES (a=rtcp-rsize, RFC 5506)."""
    single_chunk_sdes: bool = True
    """Describe one person in each SDES packet: some receivers, plain aiortc among them, misread
    several."""
    one_person: bool = False
    """All that the far end sends is one person's, whom a source without CNAME belongs to as well:
    who speaks WebRTC has one CNAME on a connection (RFC 8834 section 4.9)."""
    unix_offset_s: float = 0.0
    """Unix time is `now` plus this."""
    max_sources: int = MAX_SOURCES
    own_origin: Hashable = None
    """Where our own packets come from when a group brings them back. They make us a source like the
    others then, which no loop is (RFC 3550 section 8.2). None: nothing comes back on purpose."""


@dataclass(slots=True)
class SessionStats:
    """What a session counted since it began; datagrams where nothing else is said."""

    rtp_received: int = 0
    rtp_sent: int = 0
    rtcp_received: int = 0
    rtcp_sent: int = 0
    malformed: int = 0
    """Neither RTP nor RTCP."""
    malformed_rtcp: int = 0
    """Parts of RTCP compounds that made no sense."""
    unknown_payload_type: int = 0
    unvalidated: int = 0
    """RTP of sources that never passed validation, or not yet (RFC 3550 appendix A.1)."""
    discarded: int = 0
    """RTP of a source that just left, or too far from its other packets to be believed."""
    duplicates: int = 0
    probes: int = 0
    """RTP without payload."""
    repaired: int = 0
    """Packets that came as retransmissions."""
    unassignable_repairs: int = 0
    """Retransmissions of which nobody knows whose packets they repeat."""
    resends_refused: int = 0
    """Packets not repeated because repeats took too much already."""
    own_ssrc: int = 0
    """Our own packets that came back, and others' under an SSRC of ours."""
    collisions: int = 0
    """Times we had to change an SSRC."""
    foreign_collisions: int = 0
    """Packets that used an SSRC which belongs to somebody at another address."""
    refused_sources: int = 0
    """Times a source was turned away because the session has `max_sources`."""

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
