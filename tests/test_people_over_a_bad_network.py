"""Sessions and a roster together over networks that lose, repeat, delay and reorder.

Whatever the network does, the events are those of what people did: all of them, once, in order.
"""

import pytest
from people import LOUD, NAME
from sessions import OPUS, session
from simnet import Link, SessionEnd, SimNet

from ipconf.engine.outputs import Output, SourceDescribed, SourceGone, SourceHeard
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.model import GoneReason, SdesType
from ipconf.participants import Roster

TIMEOUT_S = 6.0
BYE = GoneReason.BYE

NETWORKS = {
    "clean": (1, Link()),
    "random loss": (1, Link(loss=0.1)),
    "bursts of loss": (5, Link(burst=0.01, burst_length=5)),
    "reordering": (1, Link(reorder=0.2, reorder_s=0.09)),
    "duplication": (1, Link(duplicate=0.3)),
    "delay": (1, Link(delay_s=0.4, jitter_s=0.15)),
    "everything": (
        1,
        Link(delay_s=0.1, jitter_s=0.06, loss=0.05, burst=0.005, duplicate=0.1, reorder=0.1),
    ),
}
"""Each with a seed with which no goodbye is lost; what then happens has a test of its own."""


class End(SessionEnd):
    """Somebody with a session, and a roster that hears of all its outputs; `told` are its events.

    An event is its class, the identity of the person, and what else it says.
    """

    def __init__(self, net: SimNet, cname: str, seed: int = 1) -> None:
        self.told: list[tuple] = []
        self.roster = Roster(self._post)
        seed = seed * 100 + ord(cname[0])
        settings = {"min_interval_s": 1.0, "member_timeout_s": TIMEOUT_S}
        super().__init__(net, cname, session(cname, seed, net.now, **settings))

    def _post(self, kind, at, participant, /, **fields):
        assert at == self.net.now
        self.told.append((kind.__name__, participant.identity, *fields.values()))

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
            case RtpPacket(source=source, level=level):
                self.roster.source_level(source, level, now)
            case SourceHeard(source):
                self.roster.source_heard(source, now)
            case SourceDescribed(source, changed):
                self.roster.source_described(source, changed, now)
            case SourceGone(source, reason, text):
                self.roster.source_gone(source, reason, text, now)

    def speak(self, until: float) -> None:
        """Talk from now on, in packets of 20 ms that say how loud."""
        begin = self.net.now

        def packet() -> None:
            now = self.net.now
            if self.port.connected and not self.session.left:
                ticks = round((now - begin) * 48000) & 0xFFFFFFFF
                self.port.send(self.session.send("a", OPUS, ticks, bytes(80), now, level=LOUD))

        self.net.every(0.02, packet, count=round((until - begin) * 50))

    def rename(self, name: str) -> None:
        items = {SdesType.CNAME: self.port.name, NAME: name}
        self.take(self.session.describe(items, {}, self.net.now))

    def hang_up(self, text: str = "") -> None:
        self.take(self.session.leave(text, self.net.now))


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def net(request) -> SimNet:
    return SimNet(*request.param)


def came(cname: str) -> list[tuple]:
    return [("NewParticipant", cname), ("ParticipantActive", cname)]


def vanished(cname: str) -> list[tuple]:
    return [("ParticipantInactive", cname), ("ParticipantTimedOut", cname)]


def returned(cname: str) -> list[tuple]:
    return [("ParticipantRecovered", cname), ("ParticipantActive", cname)]


def left(cname: str, text: str = "") -> list[tuple]:
    return [("ParticipantInactive", cname), ("ParticipantLeft", cname, BYE, text)]


def test_a_call_with_an_orderly_end(net):
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=20)
    net.at(12, lambda: bob.hang_up("good night"))
    net.run(40)
    assert ann.told == came("bob") + left("bob", "good night")
    assert ann.roster.participants == ()


def test_someone_who_only_listens_is_present_but_not_active(net):
    ann, _ = End(net, "ann"), End(net, "bob")
    net.run(30)
    assert ann.told == [("NewParticipant", "bob")]


def test_a_crash_is_a_timeout_and_ends_in_nothing_else(net):
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=20)
    net.at(10, bob.port.disconnect)
    net.run(60)
    assert ann.told == came("bob") + vanished("bob")


def test_a_cable_that_is_put_back_in_time_is_only_a_pause(net):
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=30)
    net.at(10, bob.port.disconnect)
    net.at(13, bob.port.reconnect)
    net.run(25)
    pause = [("ParticipantInactive", "bob"), ("ParticipantActive", "bob")]
    assert ann.told == came("bob") + pause


def test_someone_whose_cable_was_out_for_long_returns_as_the_same(net):
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=60)
    net.at(5, bob.port.disconnect)
    net.at(25, bob.port.reconnect)
    net.run(8)
    (before,) = ann.roster.participants
    net.run(45)
    assert ann.told == came("bob") + vanished("bob") + returned("bob")
    assert ann.roster.participants == (before,)


def test_someone_who_starts_anew_after_a_crash_returns_under_another_ssrc(net):
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=20)
    net.at(5, bob.port.disconnect)
    net.run(25)
    bob_again = End(net, "bob", seed=2)
    bob_again.speak(until=40)
    net.at(35, lambda: bob_again.hang_up("now really"))
    net.run(50)
    assert ann.told == came("bob") + vanished("bob") + returned("bob") + left("bob", "now really")


def test_after_a_goodbye_a_return_is_somebody_new(net):
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=10)
    net.at(8, bob.hang_up)
    net.run(15)
    End(net, "bob", seed=2).speak(until=25)
    net.run(20)
    assert ann.told == came("bob") + left("bob") + came("bob")


def test_a_new_name_in_mid_call_is_told_once(net):
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=40)
    net.at(10, lambda: bob.rename("Robert"))
    net.run(30)
    assert ann.told == [*came("bob"), ("ParticipantInfoChanged", "bob", (NAME,))]
    assert [person.name for person in ann.roster.participants] == ["Robert"]


def test_everyone_sees_the_same_of_a_conference(net):
    ann, bob, carl = End(net, "ann"), End(net, "bob"), End(net, "carl")
    bob.speak(until=60)
    net.at(10, lambda: carl.speak(until=60))
    net.at(20, lambda: bob.rename("Robert"))
    net.at(30, carl.port.disconnect)
    net.at(45, carl.port.reconnect)
    net.run(54)
    of_carl = came("carl") + vanished("carl") + returned("carl")
    assert [line for line in bob.told if line[1] == "carl"] == of_carl
    bob.hang_up("bye")
    net.run(58)
    assert [line for line in ann.told if line[1] == "bob"] == [
        *came("bob"),
        ("ParticipantInfoChanged", "bob", (NAME,)),
        *left("bob", "bye"),
    ]
    assert [line for line in ann.told if line[1] == "carl"] == of_carl
    later = [line for line in ann.told if line not in came("bob") + came("carl")]
    assert later == [
        ("ParticipantInfoChanged", "bob", (NAME,)),
        *vanished("carl"),
        ("ParticipantRecovered", "carl"),
        *left("bob", "bye"),
    ]


def test_a_goodbye_that_is_lost_becomes_a_timeout():
    net = SimNet(8)
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=20)
    net.at(10, lambda: net.set_link("bob", "ann", Link(loss=1.0)))
    net.at(10.1, lambda: bob.hang_up("good night"))
    net.run(30)
    assert ann.told == came("bob") + vanished("bob")


def test_media_that_comes_long_before_the_name_is_a_stand_in_that_is_renamed():
    net = SimNet(9)
    ann, bob = End(net, "ann"), End(net, "bob")
    bob.speak(until=20)
    carry = net.carry
    net.carry = lambda sender, receiver, datagram: (  # RTCP is kept back for 8 s
        None if net.now < 8 and 192 <= datagram[1] <= 223 else carry(sender, receiver, datagram)
    )
    net.run(15)
    unnamed = f"ssrc {bob.session.local('a').ssrc:08x}"
    assert ann.told == [
        *came(unnamed),
        ("ParticipantInfoChanged", "bob", (SdesType.CNAME,)),
        ("ParticipantInfoChanged", "bob", (NAME,)),
    ]
