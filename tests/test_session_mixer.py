"""A session as a leg of a mixer, and as its far end (RFC 3550 sections 6.5, 6.6 and 7)."""

from __future__ import annotations

import gc
import math
from itertools import pairwise

import pytest
from aiortc.rtp import RtcpByePacket, RtcpSdesPacket
from aiortc.rtp import RtcpPacket as AiortcPacket
from mixer_lab import Conference, items
from sessions import AUDIO, OPUS, VIDEO, hear, of_type, rtp, sdes, sent, session

from ipconf.engine.forwarded_person import MAX_CHUNK_OCTETS
from ipconf.engine.forwarder import (
    COALESCE_S,
    NEWS_OCTETS,
    NEWS_SHARE,
    PEAK_SHARE,
    RUSH_S,
    SPACING_S,
    UNHEARD_S,
)
from ipconf.engine.forwarding import BYES_KEPT, ForwardedPeople
from ipconf.engine.forwarding_turns import BYE_REPEATS, TURN_SHARE
from ipconf.engine.members import ORIGIN_QUIET_INTERVALS
from ipconf.engine.outputs import SourceGone, SourceHeard, Transmit
from ipconf.engine.rtcp_timing import MIN_INTERVAL_S
from ipconf.engine.rtcp_wire import (
    Goodbye,
    PictureLoss,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.engine.session import RtpSession
from ipconf.errors import ClosedError, ConfigurationError
from ipconf.model import GoneReason, SdesType

CNAME, NAME, PRIV = SdesType.CNAME, SdesType.NAME, SdesType.PRIV
HERE, THERE = "here", "there"
QUIET_S = ORIGIN_QUIET_INTERVALS * MIN_INTERVAL_S
"""In a small group: what a mixer named so long ago may speak from elsewhere."""


class Leg:
    """A mixer's session and what it sends while its timer runs."""

    def __init__(self, people: ForwardedPeople, key: object = HERE, **values: object) -> None:
        self.session = session("mixer", **({"unicast": True, "min_interval_s": 1.0} | values))
        self.wakes = 0
        self.sent: list[tuple[float, bytes]] = []
        self.session.forward(people, key, self._wake, 0.0)

    def _wake(self) -> None:
        self.wakes += 1

    @property
    def ssrc(self) -> int:
        return self.session.local("a").ssrc

    def run(self, until: float) -> list[tuple[float, list[RtcpPacket]]]:
        """Run the timer: the compounds that were sent, taken apart."""
        told = []
        while (now := self.session.next_deadline()) <= until:
            outputs = self.session.handle_timer(max(now, 0.0))
            self.sent += [(now, o.datagram) for o in outputs if isinstance(o, Transmit)]
            told += [(now, packets) for packets in sent(outputs)]
        return told


def chunks(packets: list[RtcpPacket], mixer: int) -> dict[int, dict[tuple[int, str], str]]:
    """What a compound says of others, by CSRC: texts by kind and prefix."""
    found: dict[int, dict[tuple[int, str], str]] = {}
    for packet in of_type(packets, SourceDescription):
        for chunk in packet.chunks:
            if chunk.ssrc != mixer:
                assert chunk.ssrc not in found
                found[chunk.ssrc] = {(i.type, i.prefix): i.text for i in chunk.items}
    return found


def byes(packets: list[RtcpPacket]) -> list[tuple[int, str]]:
    return [(csrc, p.reason) for p in of_type(packets, Goodbye) for csrc in p.ssrcs]


def filled(number: int, **more: str) -> ForwardedPeople:
    """So many people on another leg, with CSRCs from 1000 on."""
    people = ForwardedPeople()
    for csrc in range(1000, 1000 + number):
        people.put(csrc, items(f"guest {csrc}", **more), {}, THERE, 0.0)
    return people


def settled(people: ForwardedPeople, until: float = 10.0, **values: object) -> Leg:
    """A leg that has told everybody."""
    leg = Leg(people, **values)
    leg.run(until)
    return leg


# -- what is told, and when


def test_who_is_there_is_told_in_regular_compounds_at_once() -> None:
    people = filled(3)
    people.put(2000, items("ourselves"), {}, HERE, 0.0)
    leg = Leg(people)
    leg.session.send("a", OPUS, 0, b"x", 0.0)
    leg.session.receive(compose_compound([ReceiverReport(7, ()), sdes(7, (1, "far"))]), 0.0)
    told = [packets for _, packets in leg.run(0.1)]
    assert len(told) == 2  # the first report, and all that is known
    for packets in told:
        assert isinstance(packets[0], SenderReport)
        assert packets[1].chunks[0].ssrc == leg.ssrc
        assert packets[1].chunks[0].items[0].text == "mixer"
        assert not packets[0].reports
    assert chunks(told[1], leg.ssrc) == {
        csrc: {(CNAME, ""): f"guest {csrc}", (NAME, ""): f"Name of guest {csrc}"}
        for csrc in (1000, 1001, 1002)
    }


def test_a_far_end_that_is_silent_is_told_once_and_again_when_it_is_heard() -> None:
    people = filled(3)
    leg = Leg(people)
    assert UNHEARD_S <= 0.2
    told = [chunks(packets, leg.ssrc) for _, packets in leg.run(0.2)]
    assert [len(of_others) for of_others in told] == [0, 3]
    leg.session.receive(compose_compound([ReceiverReport(7, ()), sdes(7, (1, "far"))]), 0.3)
    ((_, packets),) = leg.run(0.4)
    assert len(chunks(packets, leg.ssrc)) == 3


def test_nobody_is_told_of_themselves() -> None:
    people = ForwardedPeople()
    legs = {key: Leg(people, key) for key in "abc"}
    for number, key in enumerate("aabc"):
        people.put(1000 + number, items(f"{key}{number}"), {}, key, 0.0)
    for now in range(1, 40):
        told = {key: leg.run(now) for key, leg in legs.items()}
        if now == 30:
            people.remove(1000, 30.0)
        for key, compounds in told.items():
            for _, packets in compounds:
                for chunk in chunks(packets, legs[key].ssrc).values():
                    assert not chunk[CNAME, ""].startswith(key)
                assert key != "a" or not byes(packets)


def test_a_join_a_change_and_a_bye_are_told_within_a_tenth_of_a_second() -> None:
    people = filled(1)
    leg = settled(people)
    people.put(1001, items("new"), {"seat": "4"}, THERE, 10.0)
    assert leg.session.next_deadline() == pytest.approx(10.0 + COALESCE_S)
    assert COALESCE_S <= 0.1
    ((_, packets),) = leg.run(10.1)
    assert chunks(packets, leg.ssrc) == {
        1001: {(CNAME, ""): "new", (NAME, ""): "Name of new", (PRIV, "seat"): "4"}
    }
    people.put(1001, {CNAME: "new", NAME: "Newer"}, {}, THERE, 20.0)
    leg.run(20.0)
    told = chunks(leg.run(20.1)[-1][1], leg.ssrc)
    assert told == {1001: {(CNAME, ""): "new", (NAME, ""): "Newer", (PRIV, "seat"): ""}}
    people.remove(1001, 30.0, "supper")
    leg.run(30.0)
    packets = leg.run(30.1)[-1][1]
    assert [type(p) for p in packets] == [ReceiverReport, SourceDescription, Goodbye]
    assert packets[0].ssrc == packets[1].chunks[0].ssrc == leg.ssrc
    assert packets[2] == Goodbye((1001,), "supper")


def test_news_is_packed_once_for_all_legs_but_those_of_whom_it_is() -> None:
    people = filled(3)
    legs = {key: settled(people, key=key) for key in ("c", "a", "b", "d")}
    for number, key in enumerate(("a", "a", "b")):
        people.put(2000 + number, items(f"new {number}"), {}, key, 10.0)
    told = {}
    for key, leg in legs.items():
        leg.sent.clear()
        ((_, packets),) = [(at, packets) for at, packets in leg.run(10.09) if at > 10.079]
        told[key] = set(chunks(packets, leg.ssrc))
    everybody = {2000, 2001, 2002}
    assert told == {"a": {2002}, "b": {2000, 2001}, "c": everybody, "d": everybody}
    (page,) = people.pages.values()
    assert all(leg.sent[-1][1].endswith(page.packets) for key, leg in legs.items() if key in "cd")
    people.put(2000, items("new 0", LOC="here"), {}, "a", 11.0)
    assert not people.pages


def test_what_does_not_change_anything_is_no_news() -> None:
    people = filled(1)
    leg = settled(people)
    people.put(1000, items("guest 1000"), {}, THERE, 10.0)
    people.remove(5, 10.0)
    assert leg.wakes == 0
    assert leg.session.next_deadline() > 10.0 + COALESCE_S


def test_a_hundred_joins_in_a_second_are_a_few_compounds() -> None:
    people = filled(1)
    leg = settled(people)
    told = []
    for turn in range(100):
        now = 10.0 + turn / 100
        people.put(2000 + turn, items(f"new {turn}"), {}, THERE, now)
        told += leg.run(now)
    told += leg.run(11.2)
    assert len(told) <= 16
    known = {csrc for _, packets in told for csrc in chunks(packets, leg.ssrc)}
    assert known >= set(range(2000, 2100))
    assert leg.wakes <= len(told) + 1


def test_a_few_joins_in_a_row_are_told_within_a_fifth_of_a_second_each() -> None:
    people = filled(1)
    leg = settled(people)
    came, told = {}, {}
    for turn in range(20):
        now = 10.0 + turn * 0.05
        came[2000 + turn] = now
        people.put(2000 + turn, items(f"new {turn}"), {}, THERE, now)
        for at, packets in [*leg.run(now), *(leg.run(12.0) if turn == 19 else ())]:
            for csrc in chunks(packets, leg.ssrc):
                told.setdefault(csrc, at)
    assert max(told[csrc] - at for csrc, at in came.items()) <= max(RUSH_S, COALESCE_S) + 0.001
    assert RUSH_S <= 0.2


def test_a_hundred_joins_at_once_are_fewer_still() -> None:
    people = filled(1)
    leg = settled(people)
    for turn in range(100):
        people.put(2000 + turn, items(f"new {turn}"), {}, THERE, 10.0)
    assert leg.wakes == 1
    told = leg.run(10.9)
    assert len(told) <= 7
    assert all(b - a >= SPACING_S for a, b in pairwise(t for t, p in told if len(p) > 10))
    known = [csrc for _, packets in told for csrc in chunks(packets, leg.ssrc)]
    assert set(known) >= set(range(2000, 2100))


def test_people_who_come_and_go_at_once_are_told_as_they_are() -> None:
    people = filled(2)
    leg = settled(people)
    people.put(5000, items("hasty"), {}, THERE, 10.0)
    people.remove(5000, 10.01, "wrong room")
    people.remove(1000, 10.02)
    people.put(1000, items("another"), {}, THERE, 10.03)
    packets = leg.run(10.1)[-1][1]
    assert set(chunks(packets, leg.ssrc)) == {1000}
    assert byes(packets) == [(5000, "wrong room")]


def test_many_byes_take_one_datagram_and_none_is_lost() -> None:
    people = filled(400)
    leg = settled(people, bandwidth_bps=100_000.0, until=60.0)
    for csrc in range(1000, 1400):
        people.remove(csrc, 60.0, "end" if csrc % 2 else "")
    told = [packets for _, packets in leg.run(60.7) if byes(packets)]
    assert len(told) <= 4
    assert {csrc for packets in told for csrc, _ in byes(packets)} == set(range(1000, 1400))
    assert all(reason == ("end" if csrc % 2 else "") for p in told for csrc, reason in byes(p))


def test_news_that_is_too_old_is_left_to_the_rotation_but_byes_are_not() -> None:
    people = filled(2)
    leg = settled(people)
    people.remove(1000, 10.0, "first")
    people.put(2000, items("early"), {}, THERE, 10.0)
    for turn in range(BYES_KEPT - 1):
        people.put(3000, items("restless", LOC=str(turn)), {}, THERE, 10.0)
        people.put(4000, items("guest"), {}, THERE, 10.0)
        people.remove(4000, 10.0)
    told = [packets for _, packets in leg.run(14.0)]
    assert (1000, "first") in [bye for packets in told for bye in byes(packets)]
    texts = [chunks(packets, leg.ssrc).get(3000, {}) for packets in told]
    assert {(CNAME, ""): "restless"}.items() <= texts[0].items()
    assert texts[0][SdesType.LOC, ""] == str(BYES_KEPT - 2)
    assert any(2000 in chunks(packets, leg.ssrc) for packets in told)


def test_items_rotate_as_they_should() -> None:
    people = filled(1, LOC="Room 5", TOOL="phone")
    leg = settled(people, until=60.0)
    reports = [chunks(packets, leg.ssrc)[1000] for _, packets in leg.run(160.0)]
    assert all((CNAME, "") in told for told in reports)
    named = [(NAME, "") in told for told in reports]
    assert named[0] is not named[1]
    assert all(a is not b for a, b in pairwise(named))
    for kind in (SdesType.LOC, SdesType.TOOL):
        share = sum((kind, "") in told for told in reports) / len(reports)
        assert share == pytest.approx(1 / 4, abs=0.05)
    assert all(len(told) == 2 for told in reports)


def test_everybody_is_described_in_turn_also_while_people_come_and_go() -> None:
    people = filled(200)
    leg = settled(people)
    told: dict[int, list[float]] = {}
    for turn in range(100):
        now = 10.0 + turn
        people.remove(1100 + turn // 2, now)
        people.put(5000 + turn, items(f"new {turn}"), {}, THERE, now)
        for at, packets in leg.run(now):
            for csrc in chunks(packets, leg.ssrc):
                told.setdefault(csrc, [10.0]).append(at)
    for csrc in range(1000, 1100):
        assert max(b - a for a, b in pairwise(told[csrc])) < 40.0


def test_news_is_repeated_in_two_reports() -> None:
    people = filled(300)
    leg = settled(people, until=60.0)
    people.put(1000, items("guest 1000", LOC="elsewhere"), {}, THERE, 60.0)
    told = [chunks(packets, leg.ssrc).get(1000, {}) for _, packets in leg.run(66.0)]
    assert sum((SdesType.LOC, "") in texts for texts in told) == 3


def test_the_first_round_says_everything_again() -> None:
    people = filled(40, LOC="here", NOTE="busy", TOOL="phone")
    leg = Leg(people)
    leg.run(0.4)  # all of it is lost
    known: dict[int, int] = {}
    for _, packets in leg.run(8.0):
        for csrc, texts in chunks(packets, leg.ssrc).items():
            known[csrc] = max(known.get(csrc, 0), len(texts))
    assert known == dict.fromkeys(range(1000, 1040), 5)


def test_a_bye_is_repeated_in_a_few_reports_and_not_when_they_are_back() -> None:
    people = filled(2)
    leg = settled(people)
    people.remove(1000, 10.0, "bye")
    people.remove(1001, 10.0, "soon back")
    said = [bool([b for b in byes(packets) if b[0] == 1000]) for _, packets in leg.run(14.0)]
    people.put(1001, items("guest 1001"), {}, THERE, 14.0)
    later = leg.run(300.0)
    said += [bool([b for b in byes(packets) if b[0] == 1000]) for _, packets in later]
    assert said[:6] == [True, True, True, False, False, True]  # the fifth is other news
    assert said.count(True) == 1 + len(BYE_REPEATS)
    assert not [b for _, packets in later for b in byes(packets) if b[0] == 1001]
    assert not any(said[-10:])


def test_long_items_do_not_burst_a_compound() -> None:
    long = {kind.name: "x" * 255 for kind in SdesType if kind not in (CNAME, PRIV)}
    people = ForwardedPeople()
    for csrc in range(1000, 1010):
        person = items("c" * 251 + str(csrc), **long)
        people.put(csrc, person, {f"p{n}": "y" * 250 for n in range(10)}, THERE, 0.0)
    for sections in ((AUDIO,), (AUDIO, VIDEO)):
        leg = Leg(people, sections=sections)
        told = [packets for _, packets in leg.run(1500.0)]  # `sent` looks at the sizes
        known: dict[int, set[tuple[int, str]]] = {}
        for packets in told:
            for csrc, texts in chunks(packets, leg.ssrc).items():
                if csrc >= 1000 and csrc < 1010:
                    known.setdefault(csrc, set()).update(texts)
                    assert sum(2 + len(text) for text in texts.values()) < MAX_CHUNK_OCTETS
        assert all(len(known[csrc]) == 8 - 1 + 10 for csrc in range(1000, 1010))


def test_reasons_are_cut_and_feedback_and_reports_go_on() -> None:
    people = filled(300)
    leg = settled(people, sections=(AUDIO, VIDEO), reduced_size=True)
    hear(leg.session, 7, 10.0, payload_type=96)
    hear(leg.session, 8, 10.0, count=30)
    (early,) = sent(leg.session.request_key_frame(7, 10.1))
    assert [type(p) for p in early] == [PictureLoss]
    people.remove(1000, 10.1, "ü" * 300)
    told = [packets for _, packets in leg.run(13.0)]
    assert (1000, "ü" * 127) in [bye for packets in told for bye in byes(packets)]
    blocks = [
        block.ssrc
        for packets in told
        for packet in of_type(packets, ReceiverReport)
        for block in packet.reports
    ]
    assert {7, 8} <= set(blocks)


# -- bandwidth, size, speed


@pytest.mark.parametrize("number", [5, 300])
@pytest.mark.parametrize("bandwidth_bps", [64_000, 1_000_000])
def test_the_bandwidth_of_rtcp_is_kept(number: int, bandwidth_bps: float) -> None:
    conference = Conference(1, bandwidth_bps=bandwidth_bps)
    for csrc in range(1000, 1000 + number):
        conference.put(csrc, 7)
    seconds = 300.0
    conference.net.run(seconds)
    hub, far = conference.hubs[0], conference.fars[0]
    octets = sum(len(d) + 28 for _, d in (*hub.transmitted, *far.transmitted))
    assert octets <= 0.05 * bandwidth_bps / 8 * seconds + NEWS_OCTETS
    late = sum(len(d) + 28 for t, d in (*hub.transmitted, *far.transmitted) if t > 60.0)
    assert late <= 0.05 * bandwidth_bps / 8 * (seconds - 60.0)
    conference.assert_told()
    assert hub.session._parts.timer.avg_rtcp_size < 140  # of one member, not of a compound


def pauses(leg: Leg, until: float) -> float:
    """The mean time between reports from now to then, in seconds."""
    times = [at for at, _ in leg.run(until)]
    return (times[-1] - times[0]) / (len(times) - 1)


def test_reports_that_nobody_waits_for_are_rarer() -> None:
    people = filled(40)
    leg = settled(people, until=60.0)
    assert pauses(leg, 360.0) == pytest.approx(MIN_INTERVAL_S, rel=0.15)
    people.put(1000, items("guest 1000", LOC="elsewhere"), {}, THERE, 360.0)
    assert pauses(leg, 365.0) < 1.5
    sound = settled(people, until=60.0)
    told = 0
    for second in range(60, 160):
        hear(sound.session, 7, float(second), sequence=second * 2)  # and a second of silence
        told += len(sound.run(second + 1.0))
    assert told == pytest.approx(100, rel=0.15)
    pictures = settled(people, until=60.0, sections=(AUDIO, VIDEO))
    assert pauses(pictures, 160.0) == pytest.approx(1.0, rel=0.15)


def test_endless_news_keeps_to_its_share() -> None:
    people = filled(100)
    leg = settled(people)
    begun = sum(len(d) + 28 for _, d in leg.sent)
    rtcp = 1_000_000 * 0.05 / 8
    peak: dict[int, int] = {}
    for turn in range(3000):
        now = 10.0 + turn * 0.02
        for csrc in range(1000 + turn % 20, 1100, 20):
            people.put(csrc, items(f"guest {csrc}", LOC=str(turn)), {}, THERE, now)
        leg.run(now)
    octets = sum(len(d) + 28 for _, d in leg.sent) - begun
    assert octets <= NEWS_OCTETS + 60.0 * rtcp * (NEWS_SHARE + TURN_SHARE) + 65 * 128
    assert octets >= NEWS_OCTETS  # so that this test can fail
    for at, datagram in leg.sent:
        peak[int(at)] = peak.get(int(at), 0) + len(datagram)
    assert max(peak.values()) <= 1_000_000 / 8 * PEAK_SHARE + 3 * 1200


def reachable(root: object, but: object) -> int:
    """How many objects hang on `root`, those of `but` left out; types and modules as well."""
    seen = {id(but)}
    waiting = [root]
    while waiting:
        found = waiting.pop()
        if id(found) not in seen and not isinstance(found, type) and not callable(found):
            seen.add(id(found))
            waiting += gc.get_referents(found)
    return len(seen)


def test_a_leg_remembers_no_more_for_more_people() -> None:
    sizes = []
    for number in (5, 300):
        people = filled(number)
        leg = settled(people, until=60.0)
        leg.session._parts.reporter.recent.clear()
        sizes.append(reachable(leg.session, people))
    assert sizes[0] > 100  # it does look into the session
    assert abs(sizes[0] - sizes[1]) < 60  # numbers above 256 are objects, smaller ones are not


def test_news_costs_each_session_one_call_until_it_has_told_it() -> None:
    people = filled(1)
    legs = [settled(people, until=5.0) for _ in range(50)]
    for turn in range(200):
        people.put(2000 + turn, items(f"new {turn}"), {}, THERE, 5.0)
    assert [leg.wakes for leg in legs] == [1] * 50
    for leg in legs:
        leg.run(7.0)
    people.remove(2000, 7.0)
    assert [leg.wakes for leg in legs] == [2] * 50


# -- the wire


def test_aiortc_reads_what_a_leg_with_single_chunks_sends() -> None:
    people = filled(60, LOC="Köln")
    leg = settled(people, single_chunk_sdes=True)
    for csrc in range(1000, 1040):
        people.remove(csrc, 10.0, "the end" if csrc % 3 else "")
    leg.run(20.0)
    described, left = set(), set()
    for _, datagram in leg.sent:
        for packet in AiortcPacket.parse(datagram):
            if isinstance(packet, RtcpSdesPacket):
                (chunk,) = packet.chunks
                assert dict(chunk.items)[1].decode() in (f"guest {chunk.ssrc}", "mixer")
                described.add(chunk.ssrc)
            elif isinstance(packet, RtcpByePacket):
                left.update(packet.sources)
    assert described == {leg.ssrc, *range(1000, 1060)}
    assert left == set(range(1000, 1040))


def test_several_chunks_in_a_packet_take_less_room() -> None:
    told, octets = {}, {}
    for single in (True, False):
        leg = Leg(filled(31), single_chunk_sdes=single)
        told[single] = leg.run(0.4)
        octets[single] = sum(len(datagram) for _, datagram in leg.sent)
    of_all = [p for _, packets in told[False] for p in of_type(packets, SourceDescription)]
    assert max(len(p.chunks) for p in of_all) > 10
    of_each = [p for _, packets in told[True] for p in of_type(packets, SourceDescription)]
    assert {len(p.chunks) for p in of_each} == {1}
    assert octets[True] - octets[False] > 4 * 25


# -- the end, and misuse


def test_a_mixer_that_leaves_says_bye_for_all_it_speaks_for_itself_last() -> None:
    people = filled(150)
    people.put(2000, items("ourselves"), {}, HERE, 0.0)
    leg = settled(people)
    farewells = sent(leg.session.leave("x" * 255, 10.0))
    left = [ssrc for packets in farewells for ssrc, _ in byes(packets)]
    assert sorted(left) == sorted([*range(1000, 1150), leg.ssrc])
    assert leg.ssrc in [ssrc for ssrc, _ in byes(farewells[-1])]
    assert leg.session.next_deadline() == math.inf
    people.remove(1000, 11.0)
    assert leg.wakes == 0


def test_in_a_group_the_bye_of_a_mixer_waits_for_its_turn() -> None:
    people = filled(100)
    leg = settled(people, unicast=False)
    assert leg.session.leave("", 10.0) == []
    told = leg.run(100.0)
    assert {s for _, packets in told for s, _ in byes(packets)} == {leg.ssrc, *range(1000, 1100)}
    assert leg.session.left


def test_misuse_is_refused() -> None:
    people = filled(1)
    for csrc in (0, 1 << 32, -1):
        with pytest.raises(ConfigurationError, match="32 bits"):
            people.put(csrc, items("x"), {}, THERE, 0.0)
    with pytest.raises(ConfigurationError, match="CNAME"):
        people.put(5, {NAME: "x"}, {}, THERE, 0.0)
    with pytest.raises(ConfigurationError, match="too long"):
        people.put(5, {CNAME: "x", NAME: "x" * 256}, {}, THERE, 0.0)
    with pytest.raises(ConfigurationError, match="belongs to somebody"):
        people.put(1000, items("thief"), {}, HERE, 0.0)
    assert (len(people), 1000 in people, 5 in people) == (1, True, False)
    leg = Leg(people)
    leg.session.forward(people, HERE, leg._wake, 0.0)  # it goes on
    with pytest.raises(ConfigurationError, match="already"):
        leg.session.forward(filled(1), HERE, leg._wake, 0.0)
    leg.session.leave("", 1.0)
    with pytest.raises(ClosedError):
        leg.session.forward(people, HERE, leg._wake, 1.0)


# -- the far end


def told_by_mixer(*csrcs: int, ssrc: int = 7, leaving: tuple[int, ...] = ()) -> bytes:
    """A mixer's compound that describes these people."""
    packets: list[RtcpPacket] = [ReceiverReport(ssrc, ()), sdes(ssrc, (1, f"mixer {ssrc}"))]
    packets += [sdes(csrc, (1, f"guest {csrc}")) for csrc in csrcs]
    if leaving:
        packets.append(Goodbye(leaving, "bye"))
    return compose_compound(packets)


def far_end(**values: object) -> RtpSession:
    """It has a mixer, 7 at "mixer", that told of 71 and 72; 8 at "else" speaks for itself."""
    ours = session(member_timeout_s=5.0, **values)
    ours.receive(told_by_mixer(71, 72), 1.0, "mixer")
    ours.receive(compose_compound([ReceiverReport(8, ()), sdes(8, (1, "ed"))]), 1.0, "else")
    return ours


def media_from(origin: str, ours: RtpSession, ssrc: int, now: float, **values: object) -> None:
    """Two packets of a source from an address."""
    for turn in (1, 2):
        ours.receive(rtp(ssrc, turn, **values), now + turn * 0.02, origin)


def expire(ours: RtpSession, until: float) -> list[tuple[int, GoneReason]]:
    gone = []
    while (now := ours.next_deadline()) <= until:
        gone += [(o.source.ssrc, o.reason) for o in of_type(ours.handle_timer(now), SourceGone)]
    return gone


def test_people_are_known_before_they_are_heard() -> None:
    ours = far_end()
    for csrc in (71, 72):
        guest = ours.sources[csrc]
        assert guest.contributing
        assert guest.mixer is ours.sources[7]
        assert guest.items == {CNAME: f"guest {csrc}"}
    assert ours.sources[8].mixer is ours.sources[7].mixer is None
    assert ours._parts.timer.members == 1 + 4
    media_from("mixer", ours, 7, 1.1, csrcs=(71, 73))
    assert ours.sources[73].mixer is ours.sources[7]


def test_who_is_described_lives_as_long_as_the_mixer() -> None:
    ours = far_end()
    media_from("mixer", ours, 7, 1.5, csrcs=(73,))
    gone = []
    for second in range(2, 30):
        ours.receive(told_by_mixer(), second, "mixer")
        gone += expire(ours, second + 0.9)
    # Who does not report, and who was only heard, time out by themselves.
    assert gone == [(8, GoneReason.TIMEOUT), (73, GoneReason.TIMEOUT)]
    assert expire(ours, 100.0) == [(ssrc, GoneReason.TIMEOUT) for ssrc in (7, 71, 72)]


def test_all_that_a_mixer_spoke_for_go_with_its_bye() -> None:
    ours = far_end()
    media_from("mixer", ours, 7, 1.5, csrcs=(73,))
    outputs = ours.receive(compose(Goodbye((7,), "over")), 2.0, "mixer")
    gone = [(o.source.ssrc, o.reason, o.text) for o in of_type(outputs, SourceGone)]
    assert gone == [(ssrc, GoneReason.BYE, "over") for ssrc in (7, 71, 72, 73)]
    assert set(ours.sources) == {8}
    assert ours._parts.timer.members == 2


def test_the_bye_for_somebody_counts_from_their_mixer_only() -> None:
    ours = far_end()
    assert ours.receive(compose(Goodbye((71,))), 2.0, "else") == []
    ours.receive(told_by_mixer(71, ssrc=9), 2.0, "else")
    assert ours.receive(compose(Goodbye((71,))), 2.1, "else") == []
    (gone,) = ours.receive(told_by_mixer(72, leaving=(71,)), 2.2, "mixer")
    assert (gone.source.ssrc, gone.text) == (71, "bye")
    # Another mixer that described them, and left, did not take them along.
    ours.receive(compose(Goodbye((9,))), 2.3, "else")
    assert 72 in ours.sources


def test_who_speaks_directly_is_nobody_elses() -> None:
    ours = far_end()
    ours.receive(told_by_mixer(8), 2.0, "mixer")
    media_from("mixer", ours, 7, 2.1, csrcs=(8,))
    assert not ours.sources[8].contributing
    assert ours.receive(told_by_mixer(leaving=(8,)), 2.2, "mixer") == []
    outputs = ours.receive(compose(Goodbye((7,))), 2.3, "mixer")
    assert [o.source.ssrc for o in outputs] == [7, 71, 72]
    assert 8 in ours.sources


def test_a_bye_from_where_somebody_else_is_does_not_count() -> None:
    ours = far_end()
    media_from("mixer media", ours, 7, 1.1)
    media_from("nine", ours, 9, 1.2)  # and no RTCP yet
    assert ours.receive(told_by_mixer(leaving=(9,)), 1.3, "mixer") == []
    (gone,) = ours.receive(compose(Goodbye((9,))), 1.4, "nine, next port")
    assert gone.source.ssrc == 9


def test_where_addresses_are_unknown_direct_sources_still_depend_on_nobody() -> None:
    ours = session()
    ours.receive(told_by_mixer(71), 1.0)
    ours.receive(told_by_mixer(ssrc=8), 1.0)
    ours.receive(told_by_mixer(8), 1.1)
    outputs = ours.receive(compose(Goodbye((7,))), 1.2)
    assert [o.source.ssrc for o in outputs] == [7, 71]
    assert set(ours.sources) == {8}


def test_who_was_described_by_nobody_in_particular_finds_a_mixer() -> None:
    ours = far_end()
    media_from("mixer media", ours, 7, 1.1)
    ours.receive(compose(sdes(75, (1, "guest 75"))), 1.2, "mixer")
    assert ours.sources[75].mixer is None
    ours.receive(told_by_mixer(75), 1.3, "mixer")
    assert ours.sources[75].mixer is ours.sources[7]


def speak(ours: RtpSession, voice: str, ssrc: int, now: float, origin: str) -> None:
    """Somebody speaks for themselves, in media or by a report."""
    if voice == "media":
        media_from(origin, ours, ssrc, now)
    else:
        ours.receive(told_by_mixer(ssrc=ssrc), now, origin)


@pytest.mark.parametrize("voice", ["media", "report"])
@pytest.mark.parametrize(("origin", "at"), [("mixer", 2.0), ("guest", 1.0 + QUIET_S)])
def test_who_begins_to_speak_directly_no_longer_depends_on_the_mixer(
    voice: str, origin: str, at: float
) -> None:
    ours = far_end()
    speak(ours, voice, 71, at, origin)
    guest = ours.sources[71]
    assert not guest.contributing
    assert guest.mixer is None
    ours.receive(compose(Goodbye((7,))), at + 0.3, "mixer")
    assert set(ours.sources) == {8, 71}


@pytest.mark.parametrize("voice", ["media", "report"])
def test_nobody_takes_over_whom_a_mixer_names(voice: str) -> None:
    ours = far_end()
    for turn in range(300):
        now = 1.1 + turn * 0.1
        ours.receive(rtp(7, turn, csrcs=(71,)), now, "mixer")
        speak(ours, voice, 71, now + 0.01, "stranger")
        ours.receive(told_by_mixer(ssrc=71, leaving=(71,)), now + 0.08, "stranger")
    guest = ours.sources[71]
    assert guest.contributing
    assert guest.mixer is ours.sources[7]
    assert guest.packets == 0
    assert ours.stats.foreign_collisions > 300
    outputs = ours.receive(compose(Goodbye((7,))), 40.0, "mixer")
    assert [o.source.ssrc for o in of_type(outputs, SourceGone)] == [7, 71, 72]


def test_a_report_that_says_bye_makes_nobody_speak_directly() -> None:
    ours = far_end()
    ours.receive(told_by_mixer(72), QUIET_S, "mixer")
    assert ours.receive(told_by_mixer(ssrc=71, leaving=(71,)), 1.0 + QUIET_S, "stranger") == []
    assert ours.sources[71].contributing


def test_a_mixer_cannot_take_the_name_of_who_it_does_not_speak_for() -> None:
    ours = far_end()
    forged = compose_compound(
        [ReceiverReport(9, ()), sdes(9, (1, "nine")), sdes(71, (1, "guest 71"), (2, "Mallory"))]
    )
    ours.receive(forged, 1.5, "else")
    assert NAME not in ours.sources[71].items


def test_a_liar_fills_the_table_and_no_more() -> None:
    ours = session(max_sources=50)
    for turn in range(100):
        ours.receive(told_by_mixer(*range(1000 + turn * 15, 1015 + turn * 15)), 1.0 + turn * 0.01)
    assert len(ours.sources) == 50
    assert ours.stats.refused_sources == 1500 - 49


def test_packets_that_were_late_do_not_bring_back_who_left() -> None:
    ours = far_end()
    media_from("mixer", ours, 7, 1.5, csrcs=(71,))
    ours.receive(told_by_mixer(leaving=(71,)), 2.0, "mixer")
    outputs = ours.receive(rtp(7, 3, csrcs=(71,)), 2.01, "mixer")
    assert not of_type(outputs, SourceHeard)
    assert not of_type(ours.receive(told_by_mixer(71), 2.02, "mixer"), SourceHeard)


def test_reports_of_those_a_mixer_tells_of_are_not_rare_because_its_compounds_are_long() -> None:
    ours = session()
    for turn in range(50):
        ours.receive(told_by_mixer(*range(1000, 1030)), 1.0 + turn)
    assert ours._parts.timer.avg_rtcp_size < 60
