"""One transport with the RTP session on it: moves datagrams in, outputs on, and keeps the timer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..engine.forwarding import ForwardedPeople
from ..engine.outputs import (
    BitrateLimited,
    KeyFrameRequested,
    LocalSsrcChanged,
    Output,
    ResendRequested,
    SourceDescribed,
    SourceGone,
    SourceHeard,
    Transmit,
)
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session import RtpSession
from ..engine.skimming import Skimmer, Timed
from ..model import GoneReason, SdesType
from ..participants import Roster
from ..transports.backlog import Backlog
from ..transports.base import RtpTransport

if TYPE_CHECKING:
    from ..streams.capture import CaptureStream
    from ..streams.render import RenderStream


FAREWELL_LIMIT_S = 10.0
"""So long a BYE may wait for its turn in a large group; then it is not said (RFC 3550 6.3.7)."""
FLOOD_SLOT_S = 0.1
"""Packets are counted anew so often: bursts pass, floods do not."""
TIMER_GRAIN_S = 0.001
"""Loops count milliseconds; who comes a little early comes in vain, and once more."""


class Channel:
    """Joins a transport, its session, and the streams that the session's sections belong to."""

    def __init__(
        self,
        transport: RtpTransport,
        session: RtpSession,
        roster: Roster,
        render: Mapping[str, RenderStream],
        capture: Mapping[str, CaptureStream],
        max_packets_per_s: int = 5000,
    ) -> None:
        self.transport = transport
        self.session = session
        self._roster = roster
        self._render = render
        self._capture = capture
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._closed = False
        self._slot_packets = math.ceil(max_packets_per_s * FLOOD_SLOT_S)
        self._slot_ends = self._slot_room = 0.0
        self._skimmers = session.skimming.skimmers
        self._skimmer: Skimmer | None = None  # the only one
        self._backlog: Backlog | None = None
        self._skim = session.skimming.take
        session.skimming.catch_up = self.catch_up
        transport.sink = self._arrived
        self._arm()

    # -- in

    def _arrived(self, datagram: bytes, now: float, origin: Hashable = None) -> None:
        if now >= self._slot_ends:
            self._slot_ends, self._slot_room = now + FLOOD_SLOT_S, self._slot_packets
        self._slot_room -= 1
        if self._slot_room < 0:
            self.transport.counters.flooded += 1
            return
        skimmer = self._skimmer
        asleep = self._skimmers and (skimmer is None or not skimmer.awake)
        if asleep and self._skim(((datagram, now),), origin):
            return
        self._receive(datagram, now, origin)

    def _take_run(self, run: list[Timed], origin: Hashable) -> None:
        """Take what has waited in a backlog; it came when it says."""
        latest = run[-1][1]
        slots = 1 + int((latest - run[0][1]) / FLOOD_SLOT_S)
        if len(run) > self._slot_packets * slots:
            for datagram, now in run:
                self._arrived(datagram, now, origin)
            return
        if latest >= self._slot_ends:
            self._slot_ends, self._slot_room = latest + FLOOD_SLOT_S, self._slot_packets
        self._slot_room -= len(run) // slots
        while run:
            taken = self._skim(run, origin) if self._skimmers else 0
            if not taken:
                datagram, now = run[0]
                self._receive(datagram, now, origin)
            run = run[taken or 1 :]

    def _receive(self, datagram: bytes, now: float, origin: Hashable) -> None:
        outputs = self.session.receive(datagram, now, origin)
        only_media = bool(outputs)
        for output in outputs:
            if type(output) is RtpPacket:
                stream = self._render.get(output.source.mid)  # type: ignore[union-attr, arg-type]
                if stream is not None:
                    stream.packet_arrived(output, now)
            else:
                self._dispatch(output, now)
                only_media = False
        if not only_media:
            # RTCP, of which nothing may come out, and newcomers may move the next deadline; media
            # does not.
            self._arm()

    def skim(self, source: RemoteSource, skimmer: Skimmer) -> None:
        """Let `skimmer` have the packets of a source unparsed, and those it can do without later.

        Until `look_again`.
        """
        self._skimmers[source.ssrc] = skimmer
        self.catch_up()
        self._skimmer = skimmer if len(self._skimmers) == 1 else None
        mark = self.session.skimming.mark(source.ssrc)
        alone = self._skimmer is not None
        self._backlog = None
        if alone and mark is not None:
            prompt = self.session.skimming.prompt
            self._backlog = Backlog(mark, skimmer, self._take_run, prompt)
        self.transport.hold(self._backlog)

    def look_again(self, sources: Iterable[RemoteSource]) -> None:
        """Take the packets of these sources whole again."""
        self.catch_up()
        skimmed = [source for source in sources if self._skimmers.pop(source.ssrc, None)]
        if skimmed:
            self._let_nothing_wait()

    def _let_nothing_wait(self) -> None:
        self._skimmer = self._backlog = None
        self.transport.hold(None)

    def catch_up(self) -> None:
        """Take what has arrived and was let wait."""
        if self._backlog is not None:
            self._backlog.release()

    def _dispatch(self, output: Output, now: float) -> None:
        match output:
            case Transmit(datagram):
                self._transmit(datagram)
            case LocalSsrcChanged(_, new):
                self.begin_low()
                for mid, stream in self._capture.items():
                    if self.session.local(mid).ssrc == new:
                        stream.ssrc_changed(mid)
            case SourceHeard(source):
                self._roster.source_heard(source, now)
            case SourceDescribed(source, changed):
                self._roster.source_described(source, changed, now)
            case SourceGone(source, reason, text):
                self._source_gone(source, reason, text, now)
            case KeyFrameRequested(ssrc):
                for stream, mid in self._senders_of(ssrc):
                    stream.key_frame_requested(mid)
            case ResendRequested(ssrc, sequences):
                self._resend(ssrc, sequences, now)
            case BitrateLimited(bps, ssrcs):
                for stream, mid in self._senders_of(*ssrcs):
                    stream.bitrate_limited(mid, bps, ssrcs)

    def _transmit(self, datagram: bytes) -> None:
        # Where others have our key, an SSRC that somebody else sends under is not even taken leave
        # of: the goodbye would be encrypted as a packet of theirs is.
        lost = self.transport.shares_key and not self._is_ours(datagram)
        if not lost:
            self.transport.send(datagram)

    def _is_ours(self, compound: bytes) -> bool:
        return int.from_bytes(compound[4:8], "big") in self.session.ssrcs

    def begin_low(self) -> None:
        """Begin in the lower half of all sequence numbers where we are decrypted (RFC 3711 3.3.1).

        Who misses the packets before they begin anew could not tell how often they have.
        """
        if self.transport.encrypts:
            for mid in self._capture:
                source = self.session.local(mid)
                if source.last_sent is None:
                    source.sequence &= 0x7FFF

    def _source_gone(self, source: RemoteSource, reason: GoneReason, text: str, now: float) -> None:
        for stream in self._render.values():
            stream.source_gone(source, reason)
        self._roster.source_gone(source, reason, text, now)

    def _senders_of(self, *ssrcs: int) -> list[tuple[CaptureStream, str]]:
        """The streams that send as these SSRCs, each with the mid of the section."""
        local = self.session.local
        return [(stream, mid) for mid, stream in self._capture.items() if local(mid).ssrc in ssrcs]

    def _resend(self, ssrc: int, sequences: Iterable[int], now: float) -> None:
        for _, mid in self._senders_of(ssrc):
            for sequence in sequences:
                datagram = self.session.resend(mid, sequence, now)
                if datagram is not None:
                    self.transport.send(datagram)

    # -- out

    def send(
        self,
        mid: str,
        payload_type: int,
        timestamp: int,
        payload: bytes,
        now: float,
        *,
        marker: bool = False,
        level: int | None = None,
        voice: bool = False,
        captured_at: float | None = None,
        csrcs: Sequence[int] = (),
        csrc_levels: Sequence[int] = (),
    ) -> None:
        """Send one RTP packet of the section `mid`; what it says is as for `RtpSession.send`."""
        self.transport.send(
            self.session.send(
                mid, payload_type, timestamp, payload, now,
                marker=marker, level=level, voice=voice, captured_at=captured_at,
                csrcs=csrcs, csrc_levels=csrc_levels,
            )
        )  # fmt: skip

    def request_key_frame(self, ssrc: int, now: float) -> None:
        """Ask the sender of a source for a key frame, as often as the session allows."""
        self._handle(self.session.request_key_frame(ssrc, now), now)

    def request_resend(self, ssrc: int, sequences: Iterable[int], now: float) -> None:
        """Ask the sender of a source for packets that are missing."""
        self._handle(self.session.request_resend(ssrc, sequences, now), now)

    def limit_bitrate(self, ssrcs: Iterable[int], bps: int, now: float) -> None:
        """Ask the sender of these sources for no more than that, of all together."""
        self._handle(self.session.limit_bitrate(ssrcs, bps, now), now)

    def describe(self, items: Mapping[SdesType, str], private: Mapping[str, str]) -> None:
        """Announce other SDES items of ours from now on."""
        now = self._loop.time()
        self._handle(self.session.describe(items, private, now), now)

    def forward(self, people: ForwardedPeople, leg: Hashable) -> None:
        """Tell the far end of the people of a conference, but for those on `leg`, until the end."""
        self.session.forward(people, leg, self._arm, self._loop.time())
        self._arm()

    # -- time and the end

    def _handle(self, outputs: Iterable[Output], now: float) -> None:
        for output in outputs:
            self._dispatch(output, now)
        self._arm()

    def _arm(self) -> None:
        due = self.session.next_deadline()
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
        self._due = due
        if not self._closed and due < math.inf:
            self._timer = self._loop.call_at(due + TIMER_GRAIN_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.catch_up()
        now = self._loop.time()
        self._handle(self.session.handle_timer(now), now)

    def leave(self, reason: str) -> None:
        """Say BYE now."""
        self.catch_up()
        now = self._loop.time()
        self._handle(self.session.leave(reason, now), now)

    async def farewell(self) -> None:
        """After `leave` and `lost`: return when the BYE, which waited for its turn, is out."""
        self.transport.sink = self._goodbye_heard
        deadline = self._loop.time() + FAREWELL_LIMIT_S
        while (due := self.session.next_deadline()) <= deadline:
            await asyncio.sleep(max(due + TIMER_GRAIN_S - self._loop.time(), 0.0))
            for output in self.session.handle_timer(self._loop.time()):
                self._dispatch(output, self._loop.time())

    def _goodbye_heard(self, datagram: bytes, now: float, origin: Hashable = None) -> None:
        self.session.receive(datagram, now, origin)  # of which nothing comes but our own turn

    def forget_ourselves(self) -> None:
        """What we send does not come back any more."""
        now = self._loop.time()
        self._handle(self.session.forget_ourselves(now), now)

    def lost(self, reason: GoneReason, text: str = "") -> None:
        """The transport ended: everybody on it is gone, and what still comes is ignored."""
        self.catch_up()
        self._let_nothing_wait()
        self._closed = True
        self.transport.sink = _ignore
        if self._timer is not None:
            self._timer.cancel()
        now = self._loop.time()
        for source in tuple(self.session.sources.values()):
            self._source_gone(source, reason, text, now)


def _ignore(datagram: bytes, now: float, origin: Hashable = None) -> None:
    """The sink of a transport whose session is over."""
