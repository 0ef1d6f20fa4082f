"""Which media section a packet belongs to, and whose packets a retransmission repeats."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from .reception import RemoteSource
from .rtp_wire import RtpPacket
from .session_config import Section
from .telephone_events import is_telephone_event

MAX_LEARNED_REPAIRS = 64
"""Retransmission SSRCs that were not signalled but understood."""
MAX_REQUESTS = 512
"""Requested packets remembered, to understand the retransmissions that answer them."""


class Route:
    """What a section does with payload types."""

    __slots__ = ("rates", "repairs", "rids", "section")

    def __init__(self, section: Section) -> None:
        self.section = section
        self.rids = section.rids
        self.rates: Mapping[int, int] = {
            f.payload_type: 0 if is_telephone_event(f) else f.clock_rate
            for f in section.formats
            if not f.is_rtx
        }
        """Clock rate by payload type; 0 where timestamps stand still, and tell no jitter."""
        self.repairs: Mapping[int, int] = {
            f.payload_type: f.apt for f in section.formats if f.is_rtx and f.apt is not None
        }
        """Payload type repaired by retransmission payload type (RFC 4588 section 8.6)."""


class Routes:
    """The sections of a session, found in the order of RFC 8843 section 9.2."""

    def __init__(self, sections: tuple[Section, ...]) -> None:
        self._by_mid: dict[str, Route] = {}
        self._by_ssrc: dict[int, Route] = {}
        self._by_type: dict[int, Route] = {}
        for section in sections:
            route = self._by_mid[section.mid] = Route(section)
            self._by_ssrc.update(dict.fromkeys((*section.ssrcs, *section.repair), route))
            for payload_format in section.formats:
                self._by_type.setdefault(payload_format.payload_type, route)

    def find(self, packet: RtpPacket, source: RemoteSource | None = None) -> Route | None:
        """The section of a packet: it says so itself, or its source's, or by payload type."""
        mid = packet.mid
        if mid is None and source is not None:
            mid = source.mid
        route = self._by_mid.get(mid) if mid is not None else None
        if route is None:
            route = self._by_ssrc.get(packet.ssrc) or self._by_type.get(packet.payload_type)
        return route


class Repairs:
    """Which media SSRC belongs to a retransmission SSRC (RFC 4588 section 5.3)."""

    def __init__(self, sections: tuple[Section, ...]) -> None:
        self._signalled = {rtx: ssrc for s in sections for rtx, ssrc in s.repair.items()}
        self._learned: dict[int, int] = {}
        self._requested: deque[tuple[int, int]] = deque(maxlen=MAX_REQUESTS)

    def __contains__(self, ssrc: int) -> bool:
        return ssrc in self._signalled or ssrc in self._learned

    def note_request(self, ssrc: int, sequences: Iterable[int]) -> None:
        """We asked that media source for these packets."""
        self._requested.extend((ssrc, sequence) for sequence in sequences)

    def media_ssrc(
        self, rtx_ssrc: int, sequence: int, sources: Iterable[int], *, named: bool = False
    ) -> int | None:
        """The media source of a retransmission of packet `sequence`; None when nobody knows.

        `sources` are the media SSRCs of its section: where it was not signalled, it belongs to the
        only one there is, or to the only one that was asked for that packet. Where the packet has
        `named` the layer that it repairs (RFC 8852), they are the sources of that one.
        """
        found = self._signalled.get(rtx_ssrc)
        if found is None and not named:
            found = self._learned.get(rtx_ssrc)
        if found is not None:
            return found
        possible = set(sources)
        if len(possible) > 1:
            possible &= {ssrc for ssrc, asked in self._requested if asked == sequence}
        if len(possible) != 1:
            return None
        self._learned.pop(rtx_ssrc, None)
        if len(self._learned) >= MAX_LEARNED_REPAIRS:
            del self._learned[next(iter(self._learned))]
        self._learned[rtx_ssrc] = media = possible.pop()
        return media

    def forget(self, media_ssrc: int) -> None:
        """That media source is gone; what was learned about its retransmissions with it."""
        for rtx in [rtx for rtx, ssrc in self._learned.items() if ssrc == media_ssrc]:
            del self._learned[rtx]
