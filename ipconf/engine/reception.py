"""One remote source: its sequence numbers, loss, jitter and clock (RFC 3550 appendices A.1 to A.8).

A source exists from the moment its session believes in it; the probation before that is in
`probation.py`. `accept` runs once per RTP packet and is written for speed.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType

from ..model import MediaType, SdesType
from .rtcp_wire import ReportBlock
from .rtp_wire import RtpPacket

MAX_DROPOUT = 3000
"""A gap of more packets is a new start of the source (RFC 3550 appendix A.1)."""
MAX_MISORDER = 100
"""A packet so far behind is no longer late but a new start (RFC 3550 appendix A.1)."""
MAX_PRIVATE_ITEMS = 16
"""PRIV prefixes kept per source."""
NTP_UNIX_OFFSET_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970 (RFC 868)."""

_SEEN_BITS = 512  # how far back repeated packets are recognised, retransmissions included
_SEEN_MASK = (1 << _SEEN_BITS) - 1
_JITTER_GAIN = 1 / 16  # RFC 3550 appendix A.8
# A step of the media clock against the arrival clock by more than this is a new clock, not jitter.
_MAX_TRANSIT_STEP_S = 5
_MAX_CUMULATIVE_LOST = 0x7FFFFF
_NO_FORMATS: Mapping[int, int] = MappingProxyType({})
NO_ITEMS: Mapping[str, str] = MappingProxyType({})
"""The private items of nearly everybody."""


class Origin(enum.Enum):
    """Stands for a sender address that nobody knows yet."""

    UNKNOWN = 0


class Arrival(enum.Enum):
    """What `RemoteSource.accept` found out about a packet."""

    GOOD = 0
    """Deliver it."""
    DUPLICATE = 1
    """It was here before."""
    STRAY = 2
    """Too far from the others; kept in `held` until its neighbour confirms it."""
    RESTART = 3
    """It confirms `held`: the source starts anew, `begin` and accept both."""


_GOOD, _DUPLICATE, _STRAY, _RESTART = Arrival


class RemoteSource:
    """A member of the session that is not this end: one SSRC (RFC 3550 section 3).

    Owned by its session; others read. Times are seconds of the session clock.
    """

    __slots__ = (
        "clock_rate",
        "contributing",
        "duplicates",
        "fraction_lost",
        "held",
        "highest",
        "intra_number",
        "items",
        "key_frame_asked_at",
        "jitter_ticks",
        "last_heard",
        "last_rtp",
        "last_sr",
        "level",
        "medium",
        "mid",
        "mixed",
        "mixer",
        "octets",
        "packets",
        "private",
        "rates",
        "repaired",
        "reported_at",
        "rid",
        "round_trip_s",
        "rtcp_origin",
        "rtp_origin",
        "ssrc",
        "_base",
        "_expected_before",
        "_expected_prior",
        "_packets_before",
        "_packets_prior",
        "_packets_reported",
        "_seen",
        "_seen_to",
        "_transit",
    )

    def __init__(self, ssrc: int, now: float, *, contributing: bool = False) -> None:
        self.ssrc = ssrc
        self.contributing = contributing
        """Known only from others: as a CSRC, or described by a mixer."""
        self.mixer: RemoteSource | None = None
        """Who speaks for it where it is contributing: lists it as a CSRC, or describes it."""
        self.mixed: dict[RemoteSource, None] | None = None
        """Whom it speaks for itself, in the order of their coming; None until it is anybody."""
        self.medium: MediaType | None = None
        """None as long as it sent no RTP."""
        self.mid: str | None = None
        self.rid: str | None = None
        """RTP stream id (RFC 8852): which layer of its section's picture this is, if it is one."""
        self.items: dict[SdesType, str] = {}
        self.private: Mapping[str, str] = NO_ITEMS
        """PRIV items by prefix, at most `MAX_PRIVATE_ITEMS`."""
        self.clock_rate = 0
        """Ticks per second of the payload type it sends now."""
        self.packets = 0
        """RTP packets, late and repeated ones included, retransmissions not."""
        self.octets = 0
        """Payload octets in them."""
        self.duplicates = 0
        self.repaired = 0
        """Packets that came as retransmissions."""
        self.fraction_lost = 0.0
        """Share of the packets expected between the last two reports that did not come."""
        self.round_trip_s: float | None = None
        """To the source and back, from the latest report that it made about us."""
        self.last_heard = now
        """When RTP or RTCP of it last came, or somebody named it as a contributor."""
        self.last_rtp: float | None = None
        self.level: int | None = None
        """Latest audio level, 0 (loudest) to 127 for 0 to -127 dBov (RFC 6464, RFC 6465)."""
        self.last_sr: tuple[int, int, float] | None = None
        """Latest sender report: NTP time (64 bits), RTP timestamp, arrival."""
        self.rtp_origin: Hashable = Origin.UNKNOWN
        """Address its RTP comes from (RFC 3550 section 8.2); `Origin.UNKNOWN` before any."""
        self.rtcp_origin: Hashable = Origin.UNKNOWN
        self.rates: Mapping[int, int] = _NO_FORMATS
        """Clock rate by payload type, of the section it belongs to."""
        self.highest = 0
        """Highest sequence number, extended."""
        self.held: RtpPacket | None = None
        self.jitter_ticks = 0.0
        self.reported_at = now
        """When it was last in a report of ours."""
        self.key_frame_asked_at: float | None = None
        self.intra_number = 0
        """Of our latest FIR (RFC 5104 section 4.3.1.1)."""
        self._base = 0
        # Bit n: the packet `_seen_to - n` was here. From there to `highest` all came, in order.
        self._seen = self._seen_to = 0
        self._transit = 0
        self._expected_before = self._packets_before = 0  # up to the latest new start
        self._expected_prior = self._packets_prior = 0  # from there to the latest report
        self._packets_reported = 0

    def __repr__(self) -> str:
        return f"<RemoteSource {self.ssrc:08x} {self.items.get(SdesType.CNAME, '')!r}>"

    @property
    def identity(self) -> str:
        """The SSRC as a name for logs."""
        return f"ssrc {self.ssrc:08x}"

    @property
    def alive_at(self) -> float:
        """When there was the last sign of life (RFC 3550 section 6.3.5).

        Somebody whom a mixer describes is there as long as the mixer is: it has many to speak for,
        and says BYE for them.
        """
        if self.mixer is not None and SdesType.CNAME in self.items:
            return self.mixer.last_heard
        return self.last_heard

    def is_layer_with(self, other: RemoteSource) -> bool:
        """Whether the two are layers of one picture; sections of all sessions have mids of their
        own.
        """
        layers = self.rid is not None and other.rid is not None
        return layers and self.mid == other.mid and self.rtp_origin == other.rtp_origin

    def speak_through(self, mixer: RemoteSource | None) -> None:
        """From now on `mixer` speaks for it; None where that is nobody known."""
        self.forgo_mixer()
        self.mixer = mixer
        if mixer is not None:
            if mixer.mixed is None:
                mixer.mixed = {}
            mixer.mixed[self] = None

    def forgo_mixer(self) -> None:
        """It goes with its mixer no more, of which it still tells who that was."""
        if self.mixer is not None and self.mixer.mixed is not None:
            self.mixer.mixed.pop(self, None)

    def speak_directly(self) -> None:
        """It is heard itself: nobody speaks for it any longer."""
        self.contributing = False
        self.speak_through(None)

    @property
    def expected(self) -> int:
        """RTP packets it has sent, as far as the sequence numbers tell (appendix A.3)."""
        if not self.packets:
            return 0
        return self._expected_before + self.highest - self._base + 1

    @property
    def lost(self) -> int:
        """Packets expected less packets received; negative when repeats outweigh losses (A.3)."""
        return self.expected - self.packets

    @property
    def jitter_s(self) -> float:
        """Interarrival jitter in seconds (appendix A.8)."""
        return self.jitter_ticks / self.clock_rate if self.clock_rate else 0.0

    def wallclock(self, rtp_timestamp: int) -> float | None:
        """The Unix time in seconds at which media with that RTP timestamp was captured.

        From the latest sender report (RFC 3550 section 6.4.1), on the sender's clock; None
        before one came, or if the sender has no such clock. For timestamps within half a
        wrap-around of the report.
        """
        if self.last_sr is None or not self.clock_rate:
            return None
        ntp, reference, _ = self.last_sr
        if not ntp:
            return None
        ticks = ((rtp_timestamp - reference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        return ntp / 2**32 - NTP_UNIX_OFFSET_S + ticks / self.clock_rate

    @property
    def has_news(self) -> bool:
        """Whether RTP came since the latest report about it (RFC 3550 section 6.4)."""
        return self.packets > self._packets_reported

    def begin(self, sequence: int) -> None:
        """Start counting at that 16-bit number, at the first time or anew (A.1, init_seq).

        Extended sequence numbers go on rising, so that none ever comes twice.
        """
        if self.packets:
            self._expected_before = self.expected
            self._packets_before = self.packets
            sequence += (self.highest | 0xFFFF) + 1
        self.highest = sequence - 1
        self._base = sequence
        self._seen, self._seen_to = 0, self.highest
        self._expected_prior = self._packets_prior = 0
        self.clock_rate = 0
        self.held = None

    def accept(self, packet: RtpPacket, rate: int, now: float) -> Arrival:
        """Count a packet of this source and fill in its session attributes (A.1, A.3, A.8).

        `rate` is the clock rate of its payload type, 0 where that tells no jitter. STRAY and
        RESTART are not counted.
        """
        ahead = (packet.sequence - self.highest) & 0xFFFF
        if ahead == 1:
            self.highest = packet.extended = self.highest + 1
            verdict = _GOOD
        else:
            verdict = self._accept_odd(packet, ahead, now)
            if verdict is _STRAY or verdict is _RESTART:
                return verdict
        self.packets += 1
        self.octets += len(packet.payload)
        self.last_rtp = self.last_heard = packet.arrival = now
        packet.source = self
        if packet.level is not None:
            self.level = packet.level
        if rate:
            self._follow_clock(rate, ((packet.timestamp, now),))
        return verdict

    def accept_run(
        self, payload_type: int, sequence: int, stamps: Sequence[tuple[int, float]], octets: int
    ) -> bool:
        """As `accept`, for packets that stay in one piece; False unless they are simply the next.

        `sequence` is the number of the first, `stamps` are timestamp and arrival of each, `octets`
        those of all payloads.
        """
        rate = self.rates.get(payload_type)
        if rate is None or (sequence - self.highest) & 0xFFFF != 1:
            return False
        self.highest += len(stamps)
        self.packets += len(stamps)
        self.octets += octets
        self.last_rtp = self.last_heard = stamps[-1][1]
        self._follow_clock(rate, stamps)
        return True

    def _follow_clock(self, rate: int, stamps: Sequence[tuple[int, float]]) -> None:
        """Reckon the interarrival jitter (appendix A.8)."""
        last, jitter = self._transit, self.jitter_ticks
        farthest = rate * _MAX_TRANSIT_STEP_S if rate == self.clock_rate else 0
        for timestamp, now in stamps:
            transit = (int(now * rate) - timestamp) & 0xFFFFFFFF
            step = (transit - last) & 0xFFFFFFFF
            if step > 0x7FFFFFFF:
                step = 0x100000000 - step
            if step < farthest:
                jitter += (step - jitter) * _JITTER_GAIN
            elif not farthest:
                self.clock_rate, jitter, farthest = rate, 0.0, rate * _MAX_TRANSIT_STEP_S
            last = transit
        self._transit, self.jitter_ticks = last, jitter

    def _accept_odd(self, packet: RtpPacket, ahead: int, now: float) -> Arrival:
        if 0 < ahead < MAX_DROPOUT:
            self._seen = (self._all_seen() << ahead | 1) & _SEEN_MASK
            self.highest = self._seen_to = packet.extended = self.highest + ahead
            return _GOOD
        if 0 < ahead <= 0x10000 - MAX_MISORDER:
            held = self.held
            if held is not None and packet.sequence == (held.sequence + 1) & 0xFFFF:
                return _RESTART
            packet.arrival = now
            self.held = packet
            return _STRAY
        behind = (0x10000 - ahead) & 0xFFFF
        if not self._mark(behind):
            self.duplicates += 1
            return _DUPLICATE
        packet.extended = self.highest - behind
        self._base = min(self._base, packet.extended)  # overtaken at the very start
        return _GOOD

    def accept_repair(self, packet: RtpPacket, now: float) -> bool:
        """Fill in a packet that came as a retransmission; False when it is no use any more.

        Retransmissions do not count as received (RFC 4588 section 7: a stream of their own).
        """
        ahead = ((packet.sequence - self.highest + 0x8000) & 0xFFFF) - 0x8000
        if ahead > MAX_MISORDER or (ahead <= 0 and not self._mark(-ahead)):
            return False
        packet.extended = self.highest + ahead
        packet.arrival = self.last_heard = now
        packet.source = self
        self.repaired += 1
        return True

    def _mark(self, behind: int) -> bool:
        bit = 1 << behind
        if behind >= _SEEN_BITS or self._all_seen() & bit:
            return False
        self._seen |= bit
        return True

    def _all_seen(self) -> int:
        """`_seen` as of `highest`."""
        run = min(self.highest - self._seen_to, _SEEN_BITS)
        if run:
            self._seen = (self._seen << run | (1 << run) - 1) & _SEEN_MASK
            self._seen_to = self.highest
        return self._seen

    def report(self, now: float) -> ReportBlock:
        """What to tell the source about its packets (section 6.4.1, A.3); starts a new interval."""
        expected = self.highest - self._base + 1
        received = self.packets - self._packets_before
        expected_now = expected - self._expected_prior
        lost_now = expected_now - (received - self._packets_prior)
        self._expected_prior, self._packets_prior = expected, received
        self._packets_reported = self.packets
        self.reported_at = now
        if expected_now <= 0 or lost_now < 0:  # late and repeated packets outweigh the losses
            expected_now, lost_now = 1, 0
        self.fraction_lost = lost_now / expected_now
        last_sr = delay = 0
        if self.last_sr is not None:
            ntp, _, arrival = self.last_sr
            last_sr = ntp >> 16 & 0xFFFFFFFF
            delay = min(int((now - arrival) * 65536), 0xFFFFFFFF)
        return ReportBlock(
            self.ssrc,
            min((lost_now << 8) // expected_now, 255),
            max(-_MAX_CUMULATIVE_LOST - 1, min(expected - received, _MAX_CUMULATIVE_LOST)),
            self.highest & 0xFFFFFFFF,
            int(self.jitter_ticks),
            last_sr,
            delay,
        )
