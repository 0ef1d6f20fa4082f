"""RTP that is not simply the next packet of a known source (RFC 3550 section 8.2, A.1, RFC 4588).

New sources, foreign addresses, retransmissions, repeats, new starts, moved sections.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from ..model import GoneReason
from .outputs import Output
from .reception import Arrival, RemoteSource
from .routing import Route
from .rtp_wire import RtpPacket
from .session_parts import SessionParts

_RTX_HEADER_BYTES = 2


class RtpReceiver:
    """The slow path of `RtpSession.receive`."""

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts

    def receive(self, packet: RtpPacket, now: float, origin: Hashable) -> list[Output]:
        """Find out what the packet is and deal with it."""
        parts = self._parts
        outputs: list[Output] = []
        local = parts.local.by_ssrc.get(packet.ssrc)
        if local is not None and not parts.is_own(origin):
            if local.is_echo(packet):
                parts.stats.own_ssrc += 1
                return outputs
            if not parts.resolve_conflict(packet.ssrc, origin, now, outputs):
                return outputs
        source = parts.members.sources.get(packet.ssrc)
        route = parts.routes.find(packet, source)
        if route is None:
            parts.stats.unknown_payload_type += 1
        elif packet.ssrc in parts.repairs or packet.payload_type in route.repairs:
            self._repair(packet, source, route, now, outputs)
        elif packet.payload_type not in route.rates:
            parts.stats.unknown_payload_type += 1
        elif parts.members.just_left(packet.ssrc, now):
            parts.stats.discarded += 1
        elif source is None or not source.rates:
            self._probate(packet, source, route, now, origin, outputs)
        elif self._take_origin(source, origin, now):
            self._join(source, route, (packet,), outputs)
            self._accept(source, packet, now, outputs)
        return outputs

    def _take_origin(self, source: RemoteSource, origin: Hashable, now: float) -> bool:
        if source.rtp_origin == origin:
            return True
        if not self._parts.members.accept_rtp_origin(source, origin, now):
            return False
        self._parts.members.origins.set_rtp(source, origin)
        return True

    def _join(
        self,
        source: RemoteSource,
        route: Route,
        packets: Iterable[RtpPacket],
        outputs: list[Output],
    ) -> None:
        source.mid = route.section.mid
        source.medium = route.section.medium
        source.rates = route.rates
        if source.rid is None and route.rids:  # a layer is one for as long as it is there
            source.rid = next((p.rid for p in packets if p.rid in route.rids), None)
            if source.rid is not None:
                self._parts.members.naming.unnamed(source, outputs)

    def _probate(
        self,
        packet: RtpPacket,
        source: RemoteSource | None,
        route: Route,
        now: float,
        origin: Hashable,
        outputs: list[Output],
    ) -> None:
        parts = self._parts
        if not packet.payload:
            parts.stats.probes += 1  # bandwidth is probed before there is media: that is nobody
            return
        members = parts.members
        if source is not None and not members.accept_directly(source, origin, now):
            return
        parts.stats.unvalidated += 1
        packets = parts.probation.add_packet(packet, now, origin)
        if not packets:
            return
        source = source or parts.members.admit(packet.ssrc, now, outputs)
        if source is None:
            return
        parts.stats.unvalidated -= len(packets)
        named = self._named_route(packets, route, packet.payload_type)
        self._join(source, named, packets, outputs)
        parts.members.origins.set_rtp(source, origin)
        source.speak_directly()
        self._start(source, packets, outputs)

    def _named_route(self, packets: Iterable[RtpPacket], route: Route, payload_type: int) -> Route:
        # Not every packet names its section (RFC 8843 section 9.2); one that did speaks for all.
        for packet in packets:
            named = self._parts.routes.find(packet) if packet.mid is not None else None
            if named is not None and payload_type in named.rates:
                return named
        return route

    def _start(
        self, source: RemoteSource, packets: Iterable[RtpPacket], outputs: list[Output]
    ) -> None:
        known = [p for p in packets if p.payload_type in source.rates]
        source.begin(known[0].sequence)
        for packet in known:
            self._accept(source, packet, packet.arrival, outputs)

    def _accept(
        self, source: RemoteSource, packet: RtpPacket, now: float, outputs: list[Output]
    ) -> None:
        verdict = source.accept(packet, source.rates[packet.payload_type], now)
        self.settle(source, packet, verdict, now, outputs)

    def settle(
        self,
        source: RemoteSource,
        packet: RtpPacket,
        verdict: Arrival,
        now: float,
        outputs: list[Output],
    ) -> None:
        """Deal with a packet of which its source found out `verdict`."""
        stats = self._parts.stats
        if verdict is Arrival.GOOD:
            if packet.csrcs:
                self._parts.members.contribute(packet, now, outputs)
            if not packet.payload:
                stats.probes += 1  # nothing to play, but it has a place in the sequence
            outputs.append(packet)
        elif verdict is Arrival.DUPLICATE:
            stats.duplicates += 1
        elif verdict is Arrival.STRAY:
            stats.discarded += 1
        elif (held := source.held) is not None:
            stats.discarded -= 1
            packet.arrival = now
            self._start(source, (held, packet), outputs)

    def _peers(self, route: Route, rid: str | None) -> Iterator[int]:
        """The media SSRCs of a section; those of one layer of its picture, if it is given."""
        mid = route.section.mid
        for source in self._parts.members.sources.values():
            if source.rates and source.mid == mid and rid in (None, source.rid):
                yield source.ssrc

    def _repair(
        self,
        packet: RtpPacket,
        source: RemoteSource | None,
        route: Route,
        now: float,
        outputs: list[Output],
    ) -> None:
        parts = self._parts
        if source is not None:  # until now it looked like a member
            parts.members.remove(source, GoneReason.CLOSED, "", now, outputs)
        if len(packet.payload) <= _RTX_HEADER_BYTES:
            parts.stats.probes += 1
            return
        sequence = int.from_bytes(packet.payload[:_RTX_HEADER_BYTES], "big")
        named = packet.repaired_rid in route.rids
        peers = self._peers(route, packet.repaired_rid if named else None)
        ssrc = parts.repairs.media_ssrc(packet.ssrc, sequence, peers, named=named)
        media = parts.members.sources.get(ssrc) if ssrc is not None else None
        original_type = route.repairs.get(packet.payload_type, -1)
        if media is None or original_type not in media.rates:
            parts.stats.unassignable_repairs += 1
            return
        packet.ssrc = media.ssrc
        packet.payload_type = original_type
        packet.sequence = sequence
        packet.payload = packet.payload[_RTX_HEADER_BYTES:]
        if media.accept_repair(packet, now):
            parts.stats.repaired += 1
            outputs.append(packet)
        else:
            parts.stats.duplicates += 1
