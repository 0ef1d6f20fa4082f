"""When RTCP is sent: interval, reconsideration, BYE back-off (RFC 3550 section 6.3, A.7)."""

import heapq
import random
from itertools import pairwise

import pytest
from sessions import AUDIO, OPUS, VIDEO, hear, next_report, rtp, sdes, sent, session
from simnet import Link, SessionEnd, SimNet

from ipconf.engine.rtcp_timing import (
    BYE_BACKOFF_MEMBERS,
    COMPENSATION,
    LOWER_LAYER_OCTETS,
    RtcpTimer,
)
from ipconf.engine.rtcp_wire import (
    Goodbye,
    ReceiverReport,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.model import SdesType

NARROW_BPS = 100_000  # 625 octets of RTCP per second


def timer(seed: int = 1, **values: float) -> RtcpTimer:
    made = RtcpTimer(NARROW_BPS, random.Random(seed), 0.0)
    made.initial = False
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_a_small_group_uses_the_minimum_interval() -> None:
    assert timer(members=2).deterministic_interval_s() == 5.0
    assert timer(members=2, initial=True).deterministic_interval_s() == 2.5


def test_receivers_share_three_quarters_of_the_bandwidth() -> None:
    group = timer(members=1000, senders=10, avg_rtcp_size=120)
    assert group.deterministic_interval_s() == pytest.approx(120 * 990 / (625 * 0.75))


def test_senders_share_a_quarter_of_the_bandwidth() -> None:
    group = timer(members=1000, senders=100, avg_rtcp_size=120, we_sent=True)
    assert group.deterministic_interval_s() == pytest.approx(120 * 100 / (625 * 0.25))


def test_with_many_senders_all_share_alike() -> None:
    for we_sent in (False, True):
        group = timer(members=1000, senders=251, avg_rtcp_size=120, we_sent=we_sent)
        assert group.deterministic_interval_s() == pytest.approx(120 * 1000 / 625)


def test_the_interval_is_spread_evenly_and_compensated() -> None:
    group = timer(members=1000, avg_rtcp_size=120)
    whole = group.deterministic_interval_s()
    drawn = [group.draw_interval_s() * COMPENSATION / whole for _ in range(4000)]
    assert min(drawn) >= 0.5
    assert max(drawn) <= 1.5
    assert sum(drawn) / len(drawn) == pytest.approx(1.0, abs=0.02)


def test_the_average_size_follows_sixteenths() -> None:
    group = timer(avg_rtcp_size=100)
    group.received(260)
    assert group.avg_rtcp_size == 110
    group.sent(110, 1.0)
    assert group.avg_rtcp_size == 110


def test_a_grown_group_makes_the_timer_wait_on() -> None:
    group = timer(members=2)
    group.sent(100, 0.0)
    due = group.tn
    group.members = 1000
    assert not group.expired(due)
    assert group.tn > due
    assert group.pmembers == 1000
    assert group.expired(group.tn + 1000)


def test_a_shrunk_group_brings_the_timer_forward() -> None:
    group = timer(members=1000, avg_rtcp_size=120)
    group.sent(120, 0.0)
    due = group.tn
    group.members_left(500, 100.0)
    assert group.tn == pytest.approx(100 + (due - 100) / 2)
    assert group.tp == pytest.approx(100 - 100 / 2)
    assert group.pmembers == 500


def test_a_group_that_is_as_large_as_before_changes_nothing() -> None:
    group = timer(members=1000)
    group.sent(120, 0.0)
    due = group.tn
    group.members = 1010
    group.members_left(1000, 100.0)
    assert group.tn == due


def test_time_outs_assume_five_seconds_even_where_reports_are_more_frequent() -> None:
    assert timer(members=2, min_interval_s=0.5).member_timeout_s() == 25.0
    assert timer(members=2, min_interval_s=8.0).member_timeout_s() == 40.0


class Crowd:
    """Timers that hear one another without delay, all packets alike."""

    def __init__(self, count: int, octets: float = 120) -> None:
        self.octets = octets
        self.timers = [RtcpTimer(NARROW_BPS, random.Random(seed), 0.0) for seed in range(count)]
        self.heard: set[int] = set()
        self.sent_at: list[float] = []
        for each in self.timers:
            each.avg_rtcp_size = octets
        self.queue = [(each.tn, index) for index, each in enumerate(self.timers)]
        heapq.heapify(self.queue)

    def run(self, until: float) -> None:
        while self.queue[0][0] <= until:
            now, index = heapq.heappop(self.queue)
            each = self.timers[index]
            each.members = len(self.heard | {index})
            if each.expired(now):
                self.heard.add(index)
                self.sent_at.append(now)
                each.sent(self.octets, now)
            heapq.heappush(self.queue, (each.tn, index))

    def leave(self, now: float) -> None:
        """Everybody at once."""
        for each in self.timers:
            each.members = len(self.timers)
            each.begin_bye(self.octets, now)
        self.queue = [(each.tn, index) for index, each in enumerate(self.timers)]
        heapq.heapify(self.queue)
        self.sent_at = []

    def run_byes(self, until: float) -> None:
        while self.queue and self.queue[0][0] <= until:
            now, index = heapq.heappop(self.queue)
            if self.timers[index].expired(now):
                self.sent_at.append(now)
                for _, other in self.queue:
                    self.timers[other].bye_heard(self.octets)
            else:
                heapq.heappush(self.queue, (self.timers[index].tn, index))


def test_a_thousand_that_join_at_once_do_not_flood_the_network() -> None:
    crowd = Crowd(1000)
    crowd.run(10.0)
    # Without reconsideration everybody would have sent within 3.1 s. The RTCP bandwidth carries
    # 3.9 packets of receivers per second.
    assert len(crowd.sent_at) < 150
    crowd.run(3000.0)
    late = [at for at in crowd.sent_at if at > 1500]
    assert len(late) / 1500 == pytest.approx(625 * 0.75 / 120, rel=0.1)
    assert len(crowd.heard) == 1000


def test_a_thousand_that_leave_at_once_do_not_flood_the_network() -> None:
    crowd = Crowd(1000)
    crowd.leave(100.0)
    crowd.run_byes(110.0)
    assert 0 < len(crowd.sent_at) < 150
    crowd.run_byes(2000.0)
    assert len(crowd.sent_at) == 1000


def test_the_first_report_comes_within_the_halved_interval() -> None:
    for seed in range(50):
        ours = session(seed=seed)
        assert 2.5 * 0.5 <= ours.next_deadline() * COMPENSATION <= 2.5 * 1.5


def test_a_call_of_two_reports_every_five_seconds_on_average() -> None:
    net = SimNet(3, Link(delay_s=0.05))
    ends = [SessionEnd(net, name, session(name, seed)) for seed, name in enumerate(("we", "they"))]
    for end in ends:
        end.talk(600.0)
    net.run(600.0)
    for end in ends:
        times = [at for at, _ in end.transmitted]
        gaps = [b - a for a, b in pairwise(times)]
        assert min(gaps) >= 5.0 * 0.5 / COMPENSATION
        # Reconsideration makes it longer than 5 / 1.218 = 4.1 s on average.
        assert sum(gaps) / len(gaps) == pytest.approx(5.0, rel=0.1)


def test_the_minimum_interval_is_a_setting() -> None:
    net = SimNet(3)
    ends = [SessionEnd(net, n, session(n, s, min_interval_s=0.5)) for s, n in enumerate("ab")]
    net.run(60.0)
    for end in ends:
        assert pytest.approx(len(end.transmitted), rel=0.15) == 60 / 0.5


def test_rtcp_stays_below_its_share_of_the_bandwidth() -> None:
    net = SimNet(5)
    values = {"bandwidth_bps": 20_000, "min_interval_s": 0.1}
    ends = [SessionEnd(net, str(n), session(str(n), n, **values)) for n in range(12)]
    for end in ends[:2]:
        net.every(0.5, lambda end=end: end.send("a", OPUS, 0, b"x"), count=600)
    net.run(300.0)
    octets = sum(
        len(datagram) + LOWER_LAYER_OCTETS
        for end in ends
        for at, datagram in end.transmitted
        if at > 100.0
    )
    assert octets / 200 < 1.1 * 20_000 * 0.05 / 8
    assert octets / 200 > 0.5 * 20_000 * 0.05 / 8


def test_two_ssrcs_of_one_end_do_not_halve_the_rate() -> None:
    net = SimNet(5)
    values = {"bandwidth_bps": 20_000, "min_interval_s": 0.1, "sections": (AUDIO, VIDEO)}
    ends = [SessionEnd(net, str(n), session(str(n), n, **values)) for n in range(12)]
    net.run(300.0)
    octets = sum(
        len(datagram) + LOWER_LAYER_OCTETS
        for end in ends
        for at, datagram in end.transmitted
        if at > 100.0
    )
    # Nobody sends, so that the senders' quarter is not used.
    assert octets / 200 == pytest.approx(0.75 * 20_000 * 0.05 / 8, rel=0.15)


def test_a_sender_among_many_listeners_reports_more_often() -> None:
    listener, talker = (crowded(200, bandwidth_bps=NARROW_BPS / 10) for _ in range(2))
    talker.send("a", OPUS, 0, b"x", talker.next_deadline() - 0.1)
    gaps = []
    for ours in (listener, talker):
        before, _ = next_report(ours)
        gaps.append(ours.next_deadline() - before)
    assert gaps[1] < gaps[0] / 10


def crowded(members: int, **values: object):
    """A session with so many members, itself included, that sent something."""
    ours = session(**values)
    for ssrc in range(1, members):
        report = compose_compound([ReceiverReport(ssrc, ()), sdes(ssrc, (1, f"c{ssrc}"))])
        ours.receive(report, 0.0)
    next_report(ours)
    return ours


def test_a_small_group_hears_our_bye_at_once() -> None:
    ours = crowded(BYE_BACKOFF_MEMBERS - 1)
    (farewell,) = sent(ours.leave("bye", 10.0))
    assert farewell[-1] == Goodbye((ours.local("a").ssrc,), "bye")
    assert ours.left
    assert ours.next_deadline() == float("inf")


def test_in_a_large_group_our_bye_waits_for_its_turn() -> None:
    ours = crowded(BYE_BACKOFF_MEMBERS)
    assert ours.leave("bye", 100.0) == []
    assert not ours.left
    assert 101.0 < ours.next_deadline() < 103.1  # it counts as the first of a group of one
    now, farewell = next_report(ours)
    assert now < 103.1
    assert farewell[-1] == Goodbye((ours.local("a").ssrc,), "bye")
    assert ours.left


def test_a_waiting_bye_waits_longer_while_many_leave() -> None:
    ours = crowded(BYE_BACKOFF_MEMBERS, bandwidth_bps=NARROW_BPS / 10)
    ours.leave("bye", 100.0)
    first = ours.next_deadline()
    for ssrc in range(1, 40):
        assert not ours.receive(compose(Goodbye((ssrc,))), 100.5)
    assert ours.handle_timer(first) == []
    assert ours.next_deadline() > first


def test_a_waiting_bye_ignores_all_but_byes() -> None:
    ours = crowded(BYE_BACKOFF_MEMBERS)
    ours.leave("bye", 100.0)
    for ssrc in range(500, 600):
        assert not hear(ours, ssrc, 100.1)
        report = compose_compound([ReceiverReport(ssrc, ()), sdes(ssrc, (1, "x" * 200))])
        assert not ours.receive(report, 100.2)
    assert next_report(ours)[0] < 103.1


def test_early_timer_calls_do_no_harm() -> None:
    ours = session()
    for tick in range(3000):
        due = ours.next_deadline()
        if ours.handle_timer(tick * 0.01):
            assert due <= tick * 0.01
        assert ours.next_deadline() > tick * 0.01
    assert ours.stats.rtcp_sent > 3


def test_the_same_seed_gives_the_same_times() -> None:
    assert session(seed=9).next_deadline() == session(seed=9).next_deadline()
    assert session(seed=9).next_deadline() != session(seed=10).next_deadline()


def test_a_burst_of_byes_brings_our_report_forward() -> None:
    ours = crowded(200, bandwidth_bps=NARROW_BPS / 10)
    due = ours.next_deadline()
    for ssrc in range(1, 150):
        ours.receive(compose(Goodbye((ssrc,))), 10.0)
    assert ours.next_deadline() < 10 + (due - 10) / 2


def test_media_alone_does_not_move_the_timer() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    due = ours.next_deadline()
    for sequence in range(3, 50):
        ours.receive(rtp(7, sequence), 0.2)
    ours.send("a", OPUS, 0, b"x", 0.3)
    assert ours.next_deadline() == due


def test_in_a_unicast_session_the_first_report_goes_at_once_and_names_us() -> None:
    ours = session(unicast=True, now=7.0)
    assert ours.next_deadline() == 7.0
    [compound] = sent(ours.handle_timer(7.0))
    said = {
        item.type
        for packet in compound
        if isinstance(packet, SourceDescription)
        for item in packet.chunks[0].items
    }
    assert {SdesType.CNAME, SdesType.NAME} <= said
    assert ours.next_deadline() > 7.2
