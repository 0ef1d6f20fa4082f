"""A group of thousands and its RTCP on a virtual clock (RFC 3550 section 6.3).

Each member has a real `RtcpTimer`. What a member knows besides is not kept for each of them: where
nothing is lost and everything takes the same time, everybody has heard the same packets, and so
there is one table for all. Complete `RtpSession`s take part that keep their own: each receives all
packets, as bytes, and has to send what the member does in whose place it is, at the same instant.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Iterable

from ipconf.codecs.registry import FORMATS
from ipconf.engine.outputs import Transmit
from ipconf.engine.rtcp_timing import LOWER_LAYER_OCTETS, RtcpTimer
from ipconf.engine.rtcp_wire import (
    Goodbye,
    ReceiverReport,
    SdesItem,
    compose,
    describe_source,
    pack_item,
)
from ipconf.engine.rtp_wire import HeaderExtensions
from ipconf.engine.session import RtpSession, Section, SessionConfig
from ipconf.model import MediaType, SdesType

BANDWIDTH_BPS = 64_000
"""Of the session: one talker with Opus and its headers."""
DELAY_S = 0.05
"""From anybody to everybody."""
SENDER_REPORT_OCTETS = 20
"""What a sender report has and a receiver report has not."""
SAME_S = 1e-6
"""Instants that differ by no more are the same: sums of times are rounded."""


def _cname(member: int) -> str:
    return f"member-{member:06}@group.example.net"


def report_of(member: int) -> bytes:
    """What a silent member says: an empty receiver report and its CNAME."""
    item = pack_item(SdesItem(SdesType.CNAME, _cname(member)))
    return compose(ReceiverReport(member)) + describe_source(member, item)


def goodbye_of(member: int) -> bytes:
    """The same, with a BYE."""
    return report_of(member) + compose(Goodbye((member,)))


REPORT_OCTETS = len(report_of(1)) + LOWER_LAYER_OCTETS
GOODBYE_OCTETS = len(goodbye_of(1)) + LOWER_LAYER_OCTETS


class Complete:
    """A whole session in the place of one member, and the times at which it sent."""

    def __init__(self, member: int, bandwidth_bps: float, seed: int) -> None:
        self.member = member
        self.rng = random.Random(seed)
        sound = FORMATS[MediaType.AUDIO]
        config = SessionConfig(
            sections=(Section("0", MediaType.AUDIO, sound, local_ssrc=member),),
            extensions=HeaderExtensions({}),
            identity={SdesType.CNAME: _cname(member)},
            bandwidth_bps=bandwidth_bps,
            max_sources=1_000_000,
        )
        self.session = RtpSession(config, self.rng, 0.0)
        self.sent: list[tuple[float, bytes]] = []

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for output in self.session.handle_timer(now):
            if isinstance(output, Transmit):
                self.sent.append((now, output.datagram))


class Crowd:
    """`count` members, numbered from 1, who all join at 0 and know nobody; times in seconds.

    `senders` of them, the first, send media all the time, and are known for that from the start.
    """

    def __init__(
        self,
        count: int,
        *,
        timer: type[RtcpTimer] = RtcpTimer,
        bandwidth_bps: float = BANDWIDTH_BPS,
        delay_s: float = DELAY_S,
        senders: int = 0,
        complete: int = 0,
        seed: int = 1,
    ) -> None:
        self.now = 0.0
        self.bandwidth_bps = bandwidth_bps
        self.known: set[int] = set()
        """Whom everybody has heard: the one table for all."""
        self.sent: list[tuple[float, int, int]] = []
        """Of each report: when, who, and octets with those of IP and UDP."""
        self.goodbyes: list[float] = []
        self._delay_s = delay_s
        self._senders = senders
        self._rng = rng = random.Random(seed)
        self._timers = [timer(bandwidth_bps, rng, 0.0) for _ in range(count)]
        self._average = RtcpTimer(bandwidth_bps, rng, 0.0)  # whose average size is everybody's
        self._air: deque[tuple[float, int, bool]] = deque()
        self._leaving: set[int] = set()
        self._left = 0
        self.complete = [Complete(count - n, bandwidth_bps, seed + n) for n in range(complete)]
        for whole in self.complete:
            own = random.Random()
            twin = self._timers[whole.member - 1] = timer(bandwidth_bps, own, 0.0)
            twin.tn = whole.session.next_deadline()
            own.setstate(whole.rng.getstate())
        self._stay_queue = self._queue_of(range(1, count + 1))
        self._leave_queue: list[tuple[float, int]] = []

    def _queue_of(self, members: Iterable[int]) -> list[tuple[float, int]]:
        queue = [(self._timers[member - 1].tn, member) for member in members]
        heapq.heapify(queue)
        return queue

    def know_everybody(self) -> None:
        """As after a long time: everybody has reported at some time, and knows the others."""
        self.known.update(range(1, len(self._timers) + 1))
        self._average.avg_rtcp_size = REPORT_OCTETS
        for member, timer in enumerate(self._timers, 1):
            self._tell(timer, member)
            timer.initial = False
            timer.pmembers = timer.members
            interval_s = timer.draw_interval_s()
            timer.tp = -self._rng.random() * interval_s
            timer.tn = timer.tp + interval_s
        self._stay_queue = self._queue_of(range(1, len(self._timers) + 1))

    def _tell(self, timer: RtcpTimer, member: int) -> None:
        """Let a member know what everybody does."""
        if member in self._leaving:
            timer.members = 1 + self._left  # of all that goes on only the BYEs count
            return
        timer.members = len(self.known) + (member not in self.known)
        timer.avg_rtcp_size = self._average.avg_rtcp_size
        timer.senders = self._senders
        timer.we_sent = member <= self._senders

    def run(self, until: float) -> None:
        """Let time pass."""
        while True:
            arrival = self._air[0][0] if self._air else math.inf
            queue = min(self._stay_queue, self._leave_queue, key=_first_due)
            due = _first_due(queue)
            due_complete = min((w.session.next_deadline() for w in self.complete), default=math.inf)
            self.now = min(arrival, due, due_complete)
            if self.now > until:
                break
            if arrival <= self.now:
                self._arrive(*self._air.popleft())
            elif due <= self.now:
                self._expire(queue)
            else:
                for whole in self.complete:
                    if whole.session.next_deadline() <= self.now:
                        whole.handle_timer(self.now)
        self.now = until

    def _expire(self, queue: list[tuple[float, int]]) -> None:
        _, member = heapq.heappop(queue)
        timer = self._timers[member - 1]
        self._tell(timer, member)
        leaving = member in self._leaving
        if timer.expired(self.now):
            self._air.append((self.now + self._delay_s, member, leaving))
            if leaving:
                self.goodbyes.append(self.now)
                return
            octets = REPORT_OCTETS + SENDER_REPORT_OCTETS * timer.we_sent
            timer.sent(octets, self.now)
            self.sent.append((self.now, member, octets))
        heapq.heappush(queue, (timer.tn, member))

    def _arrive(self, _: float, member: int, leaving: bool) -> None:
        if leaving:
            self._average.received(GOODBYE_OCTETS)
            self._left += 1
            self.known.discard(member)
            self._shrink()
        else:
            self._average.received(REPORT_OCTETS + SENDER_REPORT_OCTETS * (member <= self._senders))
            self.known.add(member)
        if self.complete:
            datagram = goodbye_of(member) if leaving else report_of(member)
            for whole in self.complete:
                if whole.member != member:
                    whole.session.receive(datagram, self.now, member)

    def _shrink(self) -> None:
        """Reverse reconsideration of everybody who stays (section 6.3.4)."""
        if not self._stay_queue:
            return
        staying = [member for _, member in self._stay_queue]
        for member in staying:
            members = len(self.known) + (member not in self.known)
            self._timers[member - 1].members_left(members, self.now)
        self._stay_queue = self._queue_of(staying)

    def vanish(self, members: Iterable[int]) -> None:
        """Those leave now, and all say so at once: the mixer did that spoke for them, say."""
        self._leaving = set(members)
        for member in self._leaving:
            self.goodbyes.append(self.now)
            self._air.append((self.now + self._delay_s, member, True))
        self._forget_timers()

    def _forget_timers(self) -> None:
        self._stay_queue = [entry for entry in self._stay_queue if entry[1] not in self._leaving]
        heapq.heapify(self._stay_queue)

    def leave(self, members: Iterable[int]) -> None:
        """Those leave now, and each waits for its turn to say so (section 6.3.7)."""
        self._leaving = set(members)
        for member in self._leaving:
            self._timers[member - 1].begin_bye(GOODBYE_OCTETS, self.now)
        for whole in self.complete:
            if whole.member in self._leaving:
                whole.session.leave("", self.now)
        self._forget_timers()
        self._leave_queue = self._queue_of(self._leaving)

    def share(self, begin: float, end: float) -> float:
        """Reports from `begin` to `end` as a share of the bandwidth of the session."""
        octets = sum(octets for at, _, octets in self.sent if begin <= at < end)
        return octets * 8 / (end - begin) / self.bandwidth_bps

    def disagreements(self) -> list[str]:
        """Where a complete session knows or did something else than the member in its place."""
        wrong = []
        for whole in self.complete:
            known = set(whole.session.sources) | {whole.member}
            if whole.member not in self._leaving and known != self.known | {whole.member}:
                wrong.append(f"member {whole.member} knows {len(known)}, not {len(self.known)}")
            expected = [at for at, member, _ in self.sent if member == whole.member]
            reports = [at for at, datagram in whole.sent if datagram == report_of(whole.member)]
            if not _are_same(reports, expected):
                wrong.append(f"member {whole.member} sent at {reports}, not at {expected}")
            goodbyes = [at for at, d in whole.sent if d == goodbye_of(whole.member)]
            if len(reports) + len(goodbyes) != len(whole.sent):
                wrong.append(f"member {whole.member} sent something else")
            if any(all(abs(at - other) > SAME_S for other in self.goodbyes) for at in goodbyes):
                wrong.append(f"member {whole.member} said BYE at {goodbyes}")
        return wrong


def _first_due(queue: list[tuple[float, int]]) -> float:
    return queue[0][0] if queue else math.inf


def _are_same(times: list[float], others: list[float]) -> bool:
    return len(times) == len(others) and all(
        abs(at - other) <= SAME_S for at, other in zip(times, others, strict=True)
    )
