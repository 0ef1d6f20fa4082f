"""One SSRC of ours: numbering, header extensions, history for repeats, what others report of it."""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ClosedError, ConfigurationError
from ..model import MediaType
from .convoy import RECENT_PACKETS, Convoy, SentRun
from .header_extensions import ONE_BYTE_PROFILE
from .rtp_wire import (
    ABS_SEND_TIME_URI,
    HEADER_SIZE,
    HeaderExtensions,
    RtpPacket,
    compose_extension,
    compose_rtp,
    pack_header,
)
from .sent_packets import HISTORY_PACKETS, SentPacket, SentPackets
from .session_config import Section, SessionStats

MID_PACKETS = 20
"""Packets from the start that name their section, until surely one arrived (RFC 8843 15)."""
MAX_RUNS = 4
"""Times in convoys that are remembered, each with its latest packets."""
MAX_REPORTERS = 512
"""Sources whose reports about one SSRC are kept."""
_RTX_HEADER_BYTES = 2
_MAX_ONE_BYTE_ID = 14  # RFC 8285 section 4.2
_BEHIND = 0x8000  # of two 16-bit numbers, the one this far ahead is the earlier one
_pack_block = struct.Struct("!HHI").pack


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """How one remote source receives our SSRC (RFC 3550 section 6.4.1)."""

    fraction_lost: float
    """0 to 1, since its report before."""
    lost: int
    """Cumulative; negative when repeated packets outweigh the losses."""
    highest_sequence: int
    jitter_s: float
    round_trip_s: float | None
    """None where the report answers no sender report of ours."""
    at: float
    """Session clock in seconds."""


class SharedTail(NamedTuple):
    """All of a packet but what differs between those it is sent to: CSRCs, extension, payload."""

    first: int
    """The first byte of the header (RFC 3550 section 5.1)."""
    data: bytes
    octets: int
    """Of the payload."""


class LocalSource:
    """An SSRC of ours in one media section, owned by its session."""

    __slots__ = (
        "convoy",
        "feedback",
        "in_step",
        "last_sent",
        "left",
        "medium",
        "mid",
        "octets",
        "packets",
        "reports",
        "resent",
        "rtx_ssrc",
        "sequence",
        "ssrc",
        "_by_level",
        "_extensions",
        "_history",
        "_last_rate",
        "_last_time",
        "_last_timestamp",
        "_mid_packets",
        "_rates",
        "_recent",
        "_runs",
        "_rtx_sequence",
        "_rtx_types",
        "_stamp",
        "_stamped",
        "_stats",
    )

    def __init__(self, section: Section, extensions: HeaderExtensions, stats: SessionStats) -> None:
        self.mid = section.mid
        self.medium = section.medium
        self.feedback = frozenset[str]().union(*(f.feedback for f in section.formats))
        """RTCP feedback that the section has negotiated for any of its formats."""
        self.ssrc = 0
        self.left = False
        """Whether the session said goodbye."""
        self.convoy: Convoy | None = None
        """Whose packets are its own, too."""
        self.in_step = 0
        """Packets that were sent so."""
        self.rtx_ssrc: int | None = None
        """SSRC of our retransmissions (RFC 4588 section 4); None where none are negotiated."""
        self._extensions = extensions
        self._stats = stats
        pictures = section.medium is MediaType.VIDEO
        self._stamped = pictures and ABS_SEND_TIME_URI in extensions.ids
        stamp_id = extensions.ids.get(ABS_SEND_TIME_URI, 0)
        # The one word of a block with nothing but the time, which is added; 0: it takes more.
        self._stamp = (stamp_id << 4 | 2) << 24 if 0 < stamp_id <= _MAX_ONE_BYTE_ID else 0
        self._by_level: dict[int, bytes] = {}
        formats = (*section.formats, *section.sent)
        self._rates = {f.payload_type: f.clock_rate for f in formats if not f.is_rtx}
        self._rtx_types = {
            f.apt: f.payload_type for f in section.formats if f.is_rtx and f.apt is not None
        }
        self._history = SentPackets(stats) if pictures else None

    def start(self, ssrc: int, rtx_ssrc: int, rng: random.Random) -> None:
        """Begin as `ssrc`, at a random sequence number (RFC 3550 section 5.1)."""
        if self.convoy is not None:  # it goes on alone: its numbers are others now
            self.convoy.leave(self)
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc if self._rtx_types else None
        self.sequence = rng.getrandbits(16)
        """Of the next packet."""
        self._rtx_sequence = rng.getrandbits(16)
        self.packets = 0
        """RTP packets sent, retransmissions not."""
        self.octets = 0
        """Payload octets in them."""
        self.resent = 0
        self.last_sent: float | None = None
        self.reports: dict[int, ReceptionReport] = {}
        """Latest report about this SSRC by reporter's SSRC."""
        self._last_timestamp = 0
        self._last_time = 0.0
        self._last_rate = 0
        self._mid_packets = MID_PACKETS
        self._recent = [-1] * RECENT_PACKETS
        self._runs: deque[SentRun] = deque(maxlen=MAX_RUNS)
        if self._history is not None:
            self._history = SentPackets(self._stats)

    @property
    def payload_types(self) -> Collection[int]:
        """Those that may be sent."""
        return self._rates.keys()

    def send(
        self,
        payload_type: int,
        timestamp: int,
        payload: bytes,
        now: float,
        *,
        marker: bool,
        level: int | None,
        voice: bool,
        csrcs: Sequence[int],
        csrc_levels: Sequence[int],
        captured_at: float | None,
    ) -> bytes:
        """The next packet; `ConfigurationError` for a payload type the section does not have."""
        if self.convoy is not None:
            self.convoy.leave(self)  # one number must not mean two packets
        rate = self._rates.get(payload_type)
        if rate is None:
            raise ConfigurationError(
                f"section {self.mid!r} has no payload type {payload_type}; "
                f"negotiated are {sorted(self._rates)}"
            )
        sequence = self.sequence
        if self._mid_packets or self._stamped or csrc_levels:
            extension = self._compose_extension(now, level, voice, csrc_levels)
        elif level is None:
            extension = b""
        else:
            key = level << 1 | voice
            cached = self._by_level.get(key)
            if cached is None:
                cached = compose_extension(self._extensions, level=level, voice=voice)
                self._by_level[key] = cached
            extension = cached
        datagram = compose_rtp(
            payload_type,
            sequence,
            timestamp,
            self.ssrc,
            payload,
            marker=marker,
            csrcs=csrcs,
            extension=extension,
        )
        self.sequence = (sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        self.last_sent = now
        self._last_timestamp = timestamp
        self._last_time = now if captured_at is None else captured_at
        self._last_rate = rate
        self._recent[sequence % RECENT_PACKETS] = sequence << 32 | timestamp
        if self._history is not None:
            front = datagram[: len(datagram) - len(payload)]
            self._history.keep(
                SentPacket(sequence, payload_type, timestamp, marker, front, b"", payload)
            )
        return datagram

    def forward(
        self,
        sequence: int,
        payload_type: int,
        timestamp: int,
        head: bytes,
        body: bytes,
        marker: bool,
        csrcs: bytes,
        now: float,
    ) -> bytes | None:
        """A packet of somebody else's stream, under our SSRC and with that number.

        The payload is `head + body`, where many sources may share `body`; `csrcs` are packed. A
        number that skips some leaves a gap, one of a gap fills it. None for one that was sent
        already, or is too late to know: no number may mean two packets (RFC 3711 section 3.3.1).

        The way of a conference's pictures. `ClosedError` once the session said goodbye.
        """
        if self.left:
            raise ClosedError("the session said goodbye; make a new one to send")
        history = self._history
        assert history is not None, "only pictures are forwarded"
        if (sequence - self.sequence) & 0xFFFF < _BEHIND or self.last_sent is None:
            self.sequence = (sequence + 1) & 0xFFFF
            if timestamp != self._last_timestamp or self.last_sent is None:
                # The first packet of a picture; the others come later, but are of that instant.
                self._last_timestamp = timestamp
                self._last_time = now
                self._last_rate = self._rates[payload_type]
        elif (self.sequence - sequence) & 0xFFFF > HISTORY_PACKETS or history.has(sequence):
            return None
        count = len(csrcs) >> 2
        second = payload_type | 0x80 if marker else payload_type
        if self._stamp and not self._mid_packets:
            # 6.18 fixed-point seconds, which wrap around every 64 s.
            front = (
                pack_header(0x90 | count, second, sequence, timestamp, self.ssrc)
                + csrcs
                + _pack_block(ONE_BYTE_PROFILE, 1, self._stamp | int(now * 262144) & 0xFFFFFF)
                + head
            )
        elif self._mid_packets or self._stamped:
            front = self._compose_front(count, second, sequence, timestamp, csrcs, now) + head
        else:
            front = pack_header(0x80 | count, second, sequence, timestamp, self.ssrc) + csrcs + head
        datagram = front + body
        self.packets += 1
        self.octets += len(head) + len(body)
        self.last_sent = now
        self._stats.rtp_sent += 1
        self._recent[sequence % RECENT_PACKETS] = sequence << 32 | timestamp
        history.keep(SentPacket(sequence, payload_type, timestamp, marker, front, head, body))
        return datagram

    def _compose_front(
        self, count: int, second: int, sequence: int, timestamp: int, csrcs: bytes, now: float
    ) -> bytes:
        """All before the payload, with an extension of any kind."""
        extension = self._compose_extension(now, None, False, ())
        first = (0x90 if extension else 0x80) | count
        return pack_header(first, second, sequence, timestamp, self.ssrc) + csrcs + extension

    @property
    def sharing(self) -> Hashable:
        """Sources of which this is equal may send the same tails; None: this one cannot, now."""
        if self._mid_packets or self._stamped or self._history is not None:
            return None
        return tuple(self._extensions.ids.items())

    def tail(
        self, payload: bytes, level: int, csrcs: Sequence[int], csrc_levels: Sequence[int]
    ) -> SharedTail:
        """What a convoy takes; of a source that has something to share."""
        extension = compose_extension(self._extensions, level=level, csrc_levels=csrc_levels)
        packet = compose_rtp(0, 0, 0, 0, payload, csrcs=csrcs, extension=extension)
        return SharedTail(packet[0], packet[HEADER_SIZE:], len(payload))

    def settle(self) -> None:
        """Take in what a convoy has sent for it; before anybody looks at its counters."""
        if self.convoy is not None:
            self.convoy.settle(self)

    def advance(
        self, count: int, octets: int, timestamp: int, payload_type: int, at: float
    ) -> None:
        """So many packets were sent under its next numbers, the latest at `at`, of that timestamp.

        `octets` are those of all payloads.
        """
        self.sequence = self.sequence + count & 0xFFFF
        self.packets += count
        self.in_step += count
        self.octets += octets
        self.last_sent = self._last_time = at
        self._last_timestamp = timestamp
        self._last_rate = self._rates[payload_type]
        self._stats.rtp_sent += count

    def remember(self, run: SentRun) -> None:
        """It has sent these packets: should one come back, it is known."""
        self._runs.append(run)

    def leave(self) -> None:
        """The session says goodbye."""
        if self.convoy is not None:
            self.convoy.leave(self)
        self.left = True

    def _compose_extension(
        self, now: float, level: int | None, voice: bool, csrc_levels: Sequence[int]
    ) -> bytes:
        mid = None
        if self._mid_packets:
            self._mid_packets -= 1
            mid = self.mid
        return compose_extension(
            self._extensions,
            level=level,
            voice=voice,
            csrc_levels=csrc_levels,
            mid=mid,
            # 6.18 fixed-point seconds, which wrap around every 64 s.
            abs_send_time=int(now * 2**18) & 0xFFFFFF if self._stamped else None,
        )

    def resend(self, sequence: int, now: float) -> bytes | None:
        """The packet of that 16-bit number again, as retransmission where negotiated (RFC 4588).

        None when it is not kept (any more), or `SentPackets.repeat` says no.
        """
        sent = None if self._history is None else self._history.repeat(sequence, now)
        if sent is None:
            return None
        _, payload_type, timestamp, marker, front, head, body = sent
        self.resent += 1
        rtx_type = self._rtx_types.get(payload_type)
        if rtx_type is None or self.rtx_ssrc is None:
            return front + body
        rtx_sequence = self._rtx_sequence
        self._rtx_sequence = (rtx_sequence + 1) & 0xFFFF
        return compose_rtp(
            rtx_type,
            rtx_sequence,
            timestamp,
            self.rtx_ssrc,
            sequence.to_bytes(_RTX_HEADER_BYTES, "big") + head + body,
            marker=marker,
            extension=compose_extension(
                self._extensions,
                mid=self.mid,
                abs_send_time=int(now * 2**18) & 0xFFFFFF if self._stamped else None,
            ),
        )

    def is_echo(self, packet: RtpPacket) -> bool:
        """Whether a packet with our SSRC is one that we sent (RFC 3550 section 8.2)."""
        sequence, timestamp = packet.sequence, packet.timestamp
        if packet.ssrc != self.ssrc:
            return True  # retransmissions are told by their random SSRC alone
        if self._recent[sequence % RECENT_PACKETS] == sequence << 32 | timestamp:
            return True
        runs = [*self._runs] if self.convoy is None else [*self._runs, self.convoy.sent_for(self)]
        return any(run.has(sequence, timestamp) for run in runs)

    def media_time(self, now: float) -> int:
        """The RTP timestamp of this instant, from the latest packet's (section 6.4.1)."""
        if self.last_sent is None:
            return 0
        elapsed = round((now - self._last_time) * self._last_rate)
        return (self._last_timestamp + elapsed) & 0xFFFFFFFF

    def note_report(self, reporter: int, report: ReceptionReport) -> None:
        """Keep what `reporter` says about this SSRC."""
        self.reports.pop(reporter, None)
        if len(self.reports) >= MAX_REPORTERS:
            del self.reports[next(iter(self.reports))]  # who has been silent for longest
        self.reports[reporter] = report

    def jitter_s(self, ticks: int) -> float:
        """Jitter that somebody reported about this SSRC, in seconds."""
        return ticks / self._last_rate if self._last_rate else 0.0
