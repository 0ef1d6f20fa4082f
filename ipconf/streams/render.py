"""What audio and video have in common on their way in: who of all people is decoded.

    a source sends ──▶ a substream (`seating`) ──▶ rendered? a terminal is there, nobody paused it
                                                ──▶ one of the decoders (`places`, `receivers`)

Whoever is decoded is mapped; `_map` finds out anew who that is, after every change.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import av

from ..engine.places import Claim, Places, Rank, rank_of_talk
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..model import Cause, Direction, GoneReason, MediaType
from ..rtp_streams import Stream, StreamOwner
from ..stats import StreamStats
from ..terminals.base import Samples, Terminal
from ..terminals.faults import as_error
from ..terminals.packets import PacketSink, PacketTaker
from ..terminals.payloads import Payload, PayloadTerminal
from ..ticker import FAULTS
from .arriving import ArrivingSections
from .receivers import Receivers
from .runnable import Runnable, Wish
from .seating import Seating
from .substreams import SubStream

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed

MEDIA_TIMEOUT_S = 5.0
"""Without a packet for so long a stream is inactive, for MEDIA_TIMEOUT, until one comes."""
WATCH_TICKS = 10
"""Whether what decodes still works is looked at every 100 ms ..."""
IDLE_TICKS = 50
"""... and where nothing does, every 0.5 s whether media flows."""
IDLE_S = 2.0
"""Who has sent nothing for so long makes place for others."""
CROWD_S = 0.1
"""Where there are more people than places, it is looked so often who talks, comes and leaves."""
ENDED_BECAUSE = {
    GoneReason.TIMEOUT: Cause.MEDIA_TIMEOUT,
    GoneReason.CLOSED: Cause.LOCAL_REQUEST,
}
"""The cause of a stream's end by what became of its last source; else the far end ended it."""


class RenderStream(Stream):
    """An arriving stream; its substreams carry one source each."""

    receivers: Receivers[Any]
    _every = 1  # ticks between calls of `_tick`
    _warm_in_pause = False  # whether receivers outlive a pause

    def __init__(self, owner: StreamOwner, media_type: MediaType) -> None:
        super().__init__(owner, media_type, Direction.RENDER)
        self._seating = Seating(self)
        self._sections = ArrivingSections()
        self._decoders: Places[int, SubStream] = Places()
        self._decoded: set[SubStream] = set()
        self._recorded: set[SubStream] = set()  # whose payloads a terminal takes
        self._sinks: tuple[PacketSink, ...] = ()  # who takes packets as they come, now
        self._passed: dict[RemoteSource, PacketTaker] = {}  # whose packets need no look
        self._ticks = 0  # between calls of `_tick`, now
        self._crowded = False
        self._mapped_at = 0.0
        self._last_packet = 0.0
        self._past_packets = self._past_octets = self._past_frames = 0
        self.refused = 0
        """Packets of sources for which there was no substream."""
        self.undecoded = 0
        """Packets of people who were not rendered, for want of a terminal or a decoder, and of
        layers of a picture that is rendered from another one."""

    @property
    def substreams(self) -> tuple[SubStream, ...]:
        return self._seating.substreams

    def substream_of(self, source: RemoteSource) -> SubStream | None:
        """The substream that carries a source, if it has sent anything yet."""
        return self._seating.by_source.get(source)

    def create_substream(self) -> SubStream:
        self._check_open()
        return self._seating.create()

    def remove_substream(self, substream: SubStream) -> None:
        self._seating.remove(substream, self._owner.now())
        self._settle(Cause.LOCAL_REQUEST)

    def connect(self, channel: Channel, agreed: Agreed) -> None:
        self.receivers.renew()
        self._sections.add(channel, agreed)
        super().connect(channel, agreed)

    def add_section(self, channel: Channel, agreed: Agreed) -> None:
        self._sections.add(channel, agreed)
        for sink in self._sinks:
            sink.section(agreed.mid, agreed.receive, agreed.content)

    def disconnect(self, cause: Cause) -> None:
        self._sections.clear()
        super().disconnect(cause)

    def close(self) -> None:
        super().close()
        self._seating.close()

    def measure(self, now: float) -> None:
        for substream in self._seating.by_source.values():
            substream.measure(now)

    def stats(self) -> StreamStats:
        shares = tuple(substream.stats() for substream in self.substreams)
        levels = [s.level_dbov for s in shares if s.level_dbov is not None]
        counted = [(s.packets, s.octets) for s in shares]
        counted += [(s.packets, s.octets) for s in self._spares()]
        return StreamStats(
            identity=self.identity,
            media_type=self.media_type.value,
            direction=self.direction.value,
            running=self.running,
            active=self.active,
            packets=self._past_packets + sum(packets for packets, _ in counted),
            octets=self._past_octets + sum(octets for _, octets in counted),
            frames=self._past_frames + sum(s.decoded for s in shares),
            bit_rate_bps=sum(s.bit_rate_bps for s in shares),
            frame_rate=sum(s.frame_rate for s in shares),
            level_dbov=max(levels, default=None),
            decoders=self._count_decoders(),
            undecoded=self.undecoded,
            refused=self.refused,
            substreams=shares,
        )

    # -- from the channel

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that the session has validated; called for each one."""
        substream = self._seating.by_source.get(packet.source)  # type: ignore[arg-type]
        if substream is None:
            if not packet.payload:
                return  # a probe is no media yet
            if not self._is_spare(packet.source):  # type: ignore[arg-type]
                substream = self._seating.admit(packet.source, now)  # type: ignore[arg-type]
                if substream is None:
                    self.refused += 1
                    return
                self._people_changed(now)
        self._last_packet = now
        if self._running:
            if not self._active:
                self._set_active()
            for sink in self._sinks:
                sink.packet_arrived(packet, now)
            if substream in self._decoded or substream in self._recorded:
                self._push(substream, packet, now)
            elif not self._sinks:
                self.undecoded += 1
            elif len(self._sinks) == 1 and packet.source is not None:
                self._pass(packet.source, self._sinks[0])

    def _is_spare(self, source: RemoteSource) -> bool:
        """Whether a source needs no substream, because another one shows the same."""
        return False

    def _spares(self) -> Iterable[RemoteSource]:
        """All of which that is so."""
        return ()

    def whose(self, source: RemoteSource | None) -> RemoteSource | None:
        """The source of the person whose media a source sends; None for nobody's."""
        return source

    def content_of(self, source: RemoteSource | None) -> str:
        """What the far end says that the section of a source shows (RFC 4796), or ""."""
        return self._sections.content_of(source)

    def source_gone(self, source: RemoteSource, reason: GoneReason) -> None:
        """A source is no more: its substream ends, or is empty again."""
        substream = self.substream_of(source)
        if substream is None:
            return
        self._past_frames += substream.decoded
        self._forget_packets(source)
        now = self._owner.now()
        self._seating.leave(source, now)
        if not self._seating.by_source:
            timeout = reason is GoneReason.TIMEOUT
            self._cause = Cause.MEDIA_RECOVERED if timeout else Cause.REMOTE_REQUEST
            self._set_inactive(ENDED_BECAUSE.get(reason, Cause.REMOTE_REQUEST))
        self._people_changed(now)

    def _forget_packets(self, source: RemoteSource) -> None:
        self._stop_passing()
        self._past_packets += source.packets
        self._past_octets += source.octets
        for sink in self._sinks:
            sink.source_gone(source)

    def forget(self, substream: SubStream) -> None:
        """Somebody else is on the substream from now on, or nobody."""
        self.receivers.forget(substream)

    # -- rules

    def substream_changed(self, substream: SubStream) -> None:
        """A substream was started, paused or stopped, or its terminals are others."""
        if not substream.running:
            self.receivers.drop(substream)
        self._settle(Cause.LOCAL_REQUEST)

    def _wanted(self) -> bool:
        return self._wish is Wish.RUN and (bool(self._usable()) or self._seating.any_terminal)

    def _settle(self, cause: Cause, failure: Cause = Cause.LOCAL_REQUEST) -> None:
        super()._settle(cause, failure)
        self._stop_passing()  # sinks are told of all that has come before they end
        self._serve_sinks()
        self._keep_pace()
        self._map()

    def _serve_sinks(self) -> None:
        """Begin and end with terminals that take packets, after every change."""
        agreed = self._agreed if self._running else None
        usable = self._usable() if agreed is not None else ()
        sinks = tuple(t for t in usable if isinstance(t, PacketSink))
        for sink in self._sinks:
            if sink not in sinks:
                sink.end()
        for sink in sinks:
            if agreed is not None and sink not in self._sinks:
                sink.begin(agreed.receive)
                self._sections.tell(sink)
        self._sinks = sinks

    def _keep_pace(self) -> None:
        """Tick as often as somebody is rendered; else only to see whether media flows."""
        rendered = bool(self._renderers()) or self._seating.any_terminal
        ticks = (self._every if rendered else IDLE_TICKS) if self._running else 0
        if ticks != self._ticks:
            if self._ticks:
                self._owner.ticker.remove(self._tick)
            if ticks:
                self._owner.ticker.add(self._tick, ticks)
            self._ticks = ticks

    def _renderers(self) -> list[Terminal]:
        """The stream's own terminals that want decoded media."""
        usable = self._usable()
        return [t for t in usable if t not in self._sinks] if self._sinks else usable

    def _begin(self) -> None:
        self._last_packet = self._owner.now()
        if self._cause is Cause.LOCAL_REQUEST and not self._seating.by_source:
            self._cause = Cause.REMOTE_REQUEST  # we are ready; it is the far end that begins

    def _end(self) -> None:
        """The ticks end with `_keep_pace`."""

    def _release(self) -> None:
        for substream, _ in self.receivers.items():
            self.receivers.drop(substream)

    def _people_changed(self, now: float) -> None:
        # Hundreds may come or leave at once, and each look costs as much as there are people.
        crowded = self._crowded and self._running
        if not crowded or now - self._mapped_at >= CROWD_S:
            self._map()

    def _map(self) -> None:
        """Find out again who is rendered, and tell it; those who no longer are first."""
        now = self._mapped_at = self._owner.now()
        self._stop_passing()
        mapped = self._choose(now)
        if self._running and self._seating.fill(mapped, self._rank, now):
            mapped = self._choose(now)
        self._retire()
        roster, substreams = self._owner.roster, self.substreams
        for substream in substreams:
            if substream not in mapped:
                roster.substream_unmapped(substream, now)
        for substream in substreams:
            if substream in mapped:
                roster.substream_mapped(substream, now)

    def _choose(self, now: float) -> set[SubStream]:
        """Who is decoded or recorded. Decoded are those who are rendered, if they are too many the
        ones who talk.
        """
        rendered = self._rendered(now)
        candidates = rendered if self._running else ()
        ranks = {substream: self._rank(substream, now) for substream in candidates}
        limit = self._owner.settings.max_decoded_sources
        self._crowded = self._crowded or len(ranks) > limit
        self._decoders.settle(range(limit), ranks, now)
        self._decoded = set(self._decoders.held.values())
        people = self._seating.by_source.values() if self._running else ()
        self._recorded = {s for s in people if s.running and s.payload_terminals}
        return self._decoded | self._recorded

    def _retire(self) -> None:
        """Do without the receivers of those who are no longer decoded."""
        if self._running or not self._warm_in_pause:
            for substream, _ in self.receivers.items():
                if substream not in self._decoded:
                    self.receivers.drop(substream)

    def _rank(self, substream: SubStream, now: float) -> Rank:
        """How much somebody deserves a place where there are not enough."""
        source = substream.source
        assert source is not None  # nobody asks about empty ones
        if substream.usable_terminals:
            return Rank(Claim.CHOSEN)
        sends = source.last_rtp is not None and now - source.last_rtp < IDLE_S
        whose = self.whose(source)
        talked_at = self._owner.roster.talked_at(whose) if whose is not None else -math.inf
        return rank_of_talk(talked_at, sends=sends and substream.enabled)

    def _watch(self, now: float, number: int) -> None:
        """What has to be looked at in every tick."""
        if self._active and now - self._last_packet > MEDIA_TIMEOUT_S:
            self._stop_passing()
            if now - self._last_packet > MEDIA_TIMEOUT_S:
                self._cause = Cause.MEDIA_RECOVERED
                self._set_inactive(Cause.MEDIA_TIMEOUT)
        if number % WATCH_TICKS == 0:
            self.receivers.watch(now)
        if self._crowded:
            self._people_changed(now)

    def _pass(self, source: RemoteSource, sink: PacketSink) -> None:
        """Do no more than needed about a source whose packets go to this sink alone."""
        self._passed[source] = sink.taker(source)
        channel = self._channel
        if channel is not None:
            skimmer = sink.skimmer(source, channel.session.skimming)
            if skimmer is not None:
                channel.skim(source, skimmer)

    def _stop_passing(self) -> None:
        """Look at the next packet of everybody again: what becomes of it may be different now."""
        if self._channel is not None and self._passed:
            self._channel.look_again(self._passed)
        for source in self._passed:
            if source.last_rtp is not None:
                self._last_packet = max(self._last_packet, source.last_rtp)
        self._passed.clear()

    def _write(
        self, host: Runnable, terminal: Terminal, media: Samples | av.VideoFrame, at: float
    ) -> None:
        try:
            terminal.render(host, media, at)  # type: ignore[attr-defined]
        except FAULTS as exc:  # a terminal is anybody's code; its fault stays its own
            terminal.fail(as_error(terminal, exc))

    def _write_payload(self, terminal: PayloadTerminal, payload: Payload, at: float) -> None:
        try:
            terminal.write_payload(payload, at)
        except FAULTS as exc:  # as above
            terminal.fail(as_error(terminal, exc))

    def _push(self, substream: SubStream, packet: RtpPacket, now: float) -> None:
        self.receivers.push(substream, packet, now)

    def _count_decoders(self) -> int:
        return len(self.receivers)

    @abstractmethod
    def _rendered(self, now: float) -> list[SubStream]:
        """Who has a terminal, and is not paused; sets `_crowded` if others lack one."""

    @abstractmethod
    def _tick(self, now: float, number: int) -> None: ...
