"""A mixer with a session for each leg, and far ends with rosters, on one simulated network.

Every leg is a link of its own: `hub 0` and `far 0` hear one another and nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping

from people import NAME
from sessions import OPUS, session
from simnet import Link, Port, SessionEnd, SimNet

from ipconf.engine.forwarding import ForwardedPeople
from ipconf.engine.outputs import Output, SourceDescribed, SourceGone, SourceHeard
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.model import SdesType
from ipconf.participants import Participant, Roster

MIXER = "mixer"
"""CNAME of the mixer."""


def items(cname: str, **more: str) -> dict[SdesType, str]:
    """SDES items, NAME among them."""
    told = {SdesType.CNAME: cname, NAME: f"Name of {cname}"}
    return told | {SdesType[kind]: text for kind, text in more.items()}


class Legs(SimNet):
    """A network in which only the two ends of a leg hear one another."""

    def carry(self, sender: Port, receiver: Port, datagram: bytes) -> None:
        if sender.name.split()[1] == receiver.name.split()[1]:
            super().carry(sender, receiver, datagram)


class FarEnd(SessionEnd):
    """A far end, and the roster that hears of its session; `told` are the events."""

    def __init__(self, net: SimNet, number: int, seed: int = 1, **values: object) -> None:
        self.told: list[tuple] = []
        self.roster = Roster(self._post)
        ours = session(f"far {number}", 100 * seed + number, net.now, **values)
        super().__init__(net, f"far {number}", ours)

    def _post(self, kind, at: float, person: Participant, /, **fields) -> None:
        self.told.append((kind.__name__, person.identity, *fields.values()))

    def next_deadline(self) -> float:
        return min(super().next_deadline(), self.roster.next_deadline())

    def handle_timer(self, now: float) -> None:
        self.roster.handle_timer(now)
        super().handle_timer(now)

    def take(self, outputs) -> None:
        outputs = list(outputs)
        for output in outputs:
            self._tell(output, self.net.now)
        super().take(outputs)

    def _tell(self, output: Output, now: float) -> None:
        match output:
            case RtpPacket(csrcs=csrcs, csrc_levels=levels):
                for csrc, level in zip(csrcs, levels or (), strict=False):
                    if (source := self.session.sources.get(csrc)) is not None:
                        self.roster.source_level(source, level, now)
            case SourceHeard(source):
                self.roster.source_heard(source, now)
            case SourceDescribed(source, changed):
                self.roster.source_described(source, changed, now)
            case SourceGone(source, reason, text):
                self.roster.source_gone(source, reason, text, now)

    def people(self) -> dict[str, dict[SdesType, str]]:
        """Who is on the roster, the mixer left out: the items by CNAME."""
        return {
            p.cname: {SdesType.CNAME: p.cname, **p.items}
            for p in self.roster.participants
            if p.cname and p.cname != MIXER
        }


class Conference:
    """The mixer: one session for each leg, all of them telling of one directory of people."""

    def __init__(
        self, legs: int, link: Link | None = None, seed: int = 1, **values: object
    ) -> None:
        self.net = Legs(seed, link)
        self.directory = ForwardedPeople()
        self.truth: dict[int, tuple[int, Mapping[SdesType, str]]] = {}
        """By CSRC: the leg, and the items."""
        self.values: dict[str, object] = {"unicast": True, "min_interval_s": 1.0} | values
        self.hubs: dict[int, SessionEnd] = {}
        self.fars: dict[int, FarEnd] = {}
        for leg in range(legs):
            self.add_leg(leg)

    def add_leg(self, leg: int, talk_s: float = 600.0) -> None:
        """The mixer calls, or is called: both ends of a new leg; the mixer sends sound."""
        net = self.net
        ours = session(MIXER, leg, net.now, **self.values)
        hub = self.hubs[leg] = SessionEnd(net, f"hub {leg}", ours)
        self.fars[leg] = FarEnd(net, leg, **self.values)
        ours.forward(self.directory, leg, lambda: net.arm(hub.port), net.now)
        net.arm(hub.port)
        if talk_s:
            hub.talk(talk_s)

    def put(self, csrc: int, leg: int, **more: str) -> None:
        """Somebody joins, or changes."""
        self.truth[csrc] = leg, items(f"guest {csrc}", **more)
        self.directory.put(csrc, self.truth[csrc][1], {}, leg, self.net.now)

    def remove(self, csrc: int, reason: str = "") -> None:
        """Somebody leaves."""
        del self.truth[csrc]
        self.directory.remove(csrc, self.net.now, reason)

    def told_to(self, leg: int) -> dict[str, dict[SdesType, str]]:
        """What the far end of a leg should know: everybody who is elsewhere."""
        return {told[SdesType.CNAME]: dict(told) for at, told in self.truth.values() if at != leg}

    def assert_told(self) -> None:
        """Every far end knows everybody else, with all items, and nobody besides."""
        for leg, far in self.fars.items():
            assert far.people() == self.told_to(leg)

    def mix(self, leg: int, csrcs: tuple[int, ...], levels: tuple[int, ...]) -> None:
        """A packet of the mix to that leg, in which these people are heard."""
        hub = self.hubs[leg]
        now = self.net.now
        datagram = hub.session.send(
            "a", OPUS, round(now * 48000) & 0xFFFFFFFF, bytes(80), now,
            csrcs=csrcs, csrc_levels=levels,
        )  # fmt: skip
        hub.port.send(datagram)
