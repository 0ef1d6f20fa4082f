"""What carries the media of a call: a channel for each transport that is connected."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from ..engine.reception import RemoteSource
from ..engine.rtp_wire import HeaderExtensions
from ..engine.session import RtpSession
from ..engine.session_config import Section, SessionConfig
from ..model import CallSettings, CallState, Cause, GoneReason, MediaType, SdesType
from ..participants import LocalParticipant, Roster
from ..rtp_streams import Stream
from ..stats import CallStats, call_stats
from ..streams.capture import CaptureStream
from ..streams.render import RenderStream
from ..ticker import Ticker
from .agreement import Agreement, Carrier
from .channel import Channel
from .sections import Allotment

ROSTER_CHECK_TICKS = 10
"""The roster's timers are looked at every 100 ms."""
MEASURE_TICKS = 100
"""Rates are measured every second."""


class CallMedia:
    """Puts a session on each transport that is connected, and connects the streams to it."""

    def __init__(
        self,
        capture: Mapping[MediaType, CaptureStream],
        render: Mapping[MediaType, RenderStream],
        roster: Roster,
        ticker: Ticker,
        now: Callable[[], float],
        unix_offset_s: float,
        further: Sequence[CaptureStream] = (),
    ) -> None:
        """`further` are sent streams of video besides the first; they may become others."""
        self._further = further
        self._allotment: Allotment | None = None
        self._capture = capture
        self._render = render
        self._roster = roster
        self._ticker = ticker
        self._now = now
        self._unix_offset_s = unix_offset_s
        self._channels: list[Channel] = []
        self._last_stats: CallStats | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those of now; none before the call is connected, and after."""
        return tuple(self._channels)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All streams, sent ones first."""
        return (*self._capture.values(), *self._further, *self._render.values())

    def arriving(self, medium: MediaType) -> RenderStream:
        """The stream of that medium that arrives."""
        return self._render[medium]

    def allot(self, negotiator: Agreement) -> Allotment:
        """Find out which stream has which of the sections that were agreed on."""
        lines = [line for bearer in negotiator.bearers for line in bearer.lines]
        self._allotment = allotment = Allotment(
            lines, negotiator.slides, self._capture, self._render, self._further
        )
        return allotment

    def add(
        self,
        bearer: Carrier,
        negotiator: Agreement,
        settings: CallSettings,
        local: LocalParticipant,
        lost: Callable[[Channel, GoneReason], None],
    ) -> None:
        """Use a transport that has connected; `lost` is called if it ends by itself."""
        config = self._session_config(bearer, negotiator, settings, local)
        session = RtpSession(config, random.Random(), self._now())
        allotment = self._allotment
        assert allotment is not None  # what connects was agreed on
        render = {line.mid: self._render[line.medium] for line in bearer.lines}
        capture = {line.mid: allotment.senders[line.mid] for line in bearer.lines if line.sends}
        channel = Channel(
            bearer.transport, session, self._roster, render, capture, settings.max_packets_per_s
        )
        channel.begin_low()
        bearer.transport.closed = partial(lost, channel)
        if not self._channels:
            self._last_stats = None
            self._ticker.add(self._tick, ROSTER_CHECK_TICKS)
        self._channels.append(channel)
        for line in bearer.lines:
            if line.sends:
                allotment.connect(capture[line.mid], channel, line)
            if line.receives:
                allotment.connect(allotment.receivers[line.mid], channel, line)

    def _session_config(
        self,
        bearer: Carrier,
        negotiator: Agreement,
        settings: CallSettings,
        local: LocalParticipant,
    ) -> SessionConfig:
        terms = negotiator.terms(bearer)
        return SessionConfig(
            sections=tuple(
                Section(
                    mid=line.mid,
                    medium=line.medium,
                    formats=line.receive,
                    sent=(*line.sendable, *line.riding),
                    ssrcs=line.ssrcs,
                    repair=line.repair,
                    rids=tuple(layer.rid for layer in line.layers),
                    local_ssrc=negotiator.ssrcs[line.mid],
                    local_repair_ssrc=negotiator.repair_ssrcs[line.mid],
                )
                for line in bearer.lines
            ),
            extensions=HeaderExtensions(
                {uri: number for line in bearer.lines for uri, number in line.extensions.items()}
            ),
            identity=local.items,
            private=local.private,
            bandwidth_bps=terms.bandwidth_bps,
            min_interval_s=terms.min_interval_s,
            member_timeout_s=settings.member_timeout_s,
            unicast=terms.unicast,
            one_person=terms.one_person,
            single_chunk_sdes=terms.single_chunk_sdes,
            reduced_size=terms.reduced_size,
            unix_offset_s=self._unix_offset_s,
            max_sources=terms.max_sources,
            own_origin=terms.own_origin,
        )

    def leave(self, reason: str) -> list[Channel]:
        """Say BYE on every channel; those are returned on which it has to wait for its turn."""
        for channel in self._channels:
            channel.leave(reason)
        return [channel for channel in self._channels if not channel.session.left]

    def forget_ourselves(self) -> None:
        """What we send does not come back any more."""
        for channel in self._channels:
            channel.forget_ourselves()

    def stats(self, state: CallState) -> CallStats:
        """A snapshot; when nothing is connected any more, that of the end."""
        for channel in self._channels:
            channel.catch_up()
        return call_stats(state, self._channels, self.streams, self._roster, self._last_stats)

    def lost(self, channels: Iterable[Channel], gone: GoneReason, text: str = "") -> None:
        """Everybody on these channels is gone, for that reason; they are useless from now on."""
        if self._last_stats is None:  # while people are there to be asked
            self._last_stats = self.stats(CallState.CONNECTED)
        for channel in channels:
            channel.lost(gone, text)

    def drop(self, cause: Cause, gone: GoneReason) -> None:
        """End what carries media now; whoever was there leaves with it, for `gone`."""
        if self._channels:
            self._ticker.remove(self._tick)
            self.lost(self._channels, gone)
        self._channels = []
        for stream in self.streams:
            stream.disconnect(cause)

    def describe(self, local: LocalParticipant) -> None:
        """Announce other SDES items of ours from now on."""
        for channel in self._channels:
            channel.describe(local.items, local.private)

    def mixer_of(self, source: RemoteSource) -> RemoteSource | None:
        """Who mixed a contributing source: the one source of its session that sends sound.

        Where several do, it is the one of who lists the contributing source or describes it.
        """
        if source.medium is MediaType.VIDEO:
            return None  # nobody mixes pictures: who is shown has a substream
        for channel in self._channels:
            members = channel.session.sources
            if members.get(source.ssrc) is source:
                mixers = [m for m in members.values() if m.medium is MediaType.AUDIO]
                if len(mixers) > 1 and source.mixer is not None:
                    mixers = [m for m in mixers if _are_one_person(m, source.mixer)]
                return mixers[0] if len(mixers) == 1 else None
        return None

    def _tick(self, now: float, number: int) -> None:
        if self._roster.next_deadline() <= now:
            self._roster.handle_timer(now)
        if number % MEASURE_TICKS == 0:
            for channel in self._channels:
                channel.catch_up()
            for stream in self.streams:
                stream.measure(now)


def _are_one_person(one: RemoteSource, other: RemoteSource) -> bool:
    cname = one.items.get(SdesType.CNAME)
    return one is other or (cname is not None and cname == other.items.get(SdesType.CNAME))
