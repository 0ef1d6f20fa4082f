"""RTCP of thousands, on a virtual clock (RFC 3550 section 6.3; docs/rtcp-at-scale.md)."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sessions import sdes, session

from ipconf.engine.members import MAX_EXPIRED
from ipconf.engine.outputs import Output, SourceGone, SourceHeard
from ipconf.engine.rtcp_timing import LOWER_LAYER_OCTETS
from ipconf.engine.rtcp_wire import ReceiverReport, compose_compound
from ipconf.engine.session import RtpSession
from ipconf.model import GoneReason
from ipconf.participants import Roster

if TYPE_CHECKING:
    from benchmarks.rtcp_crowd import Crowd

ROOT = Path(__file__).parent.parent
MANY, FEWER = 10_000, 1_000
MEMBER_BYTES = 1_680
"""For each silent member: ten thousand are to take 20 MB, with what the allocator wastes."""


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks are no part of the package."""
    monkeypatch.syspath_prepend(ROOT)


def sent_before(crowd: Crowd, when: float) -> int:
    return sum(at < when for at, _, _ in crowd.sent)


def busiest(times: list[float], span_s: float) -> int:
    """The most of those times that lie within any `span_s`."""
    first = most = 0
    for last, at in enumerate(times):
        while times[first] < at - span_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_ten_thousand_that_join_at_once_send_as_complete_sessions_do() -> None:
    """Sessions that receive every packet know the same people, and send at the same instants."""
    from benchmarks.rtcp_crowd import Crowd

    crowd = Crowd(MANY, complete=1)
    crowd.run(4_200.0)
    assert len(crowd.known) == MANY
    assert all(len(whole.session.sources) == MANY - 1 for whole in crowd.complete)
    assert all(whole.sent for whole in crowd.complete)
    assert crowd.disagreements() == []
    # Nobody sends media, so that the senders' quarter of the 5 % is not used.
    assert crowd.share(3_600.0, 4_200.0) == pytest.approx(0.05 * 0.75, rel=0.1)


def test_a_complete_session_finds_what_the_simplified_ones_get_wrong() -> None:
    from benchmarks.rtcp_crowd import Crowd
    from benchmarks.rtcp_scale import Rfc1889Timer

    crowd = Crowd(100, timer=Rfc1889Timer, complete=1)
    crowd.run(60.0)
    assert crowd.disagreements()


@pytest.mark.parametrize("count", [FEWER, MANY])
def test_a_step_join_does_not_flood(count: int) -> None:
    """In the first interval ten thousand send about as much as the bandwidth allows."""
    from benchmarks.rtcp_crowd import BANDWIDTH_BPS, REPORT_OCTETS
    from benchmarks.rtcp_scale import Rfc1889Timer, joined

    allowed_per_s = BANDWIDTH_BPS * 0.05 / 8 / REPORT_OCTETS
    ours, others = joined(count, until=30.0), joined(count, Rfc1889Timer, until=30.0)
    assert 5 < sent_before(ours, 3.1) < 2.5 * 3.1 * allowed_per_s
    assert sent_before(ours, 30.0) < 2.5 * 30.0 * allowed_per_s
    # Without reconsideration: all of them, whatever the bandwidth.
    assert sent_before(others, 3.8) >= count


def test_a_long_delay_lets_more_through() -> None:
    """Nobody reconsiders what is not heard yet: the limit of the rule."""
    from benchmarks.rtcp_scale import joined

    near, far = (joined(MANY, delay_s=delay, until=5.0) for delay in (0.05, 0.25))
    assert 2 * sent_before(near, 3.1) < sent_before(far, 3.1) < MANY / 50


def test_a_steady_group_keeps_to_its_share() -> None:
    from benchmarks.rtcp_scale import TALKERS, steady_share

    for count in (TALKERS, 100, FEWER, MANY):
        everybody, senders = steady_share(count)
        assert everybody <= 0.05 and senders <= 0.05 / 4
        if count >= 100:  # before, the minimum of 5 s makes it less
            assert everybody - senders == pytest.approx(0.05 * 0.75, rel=0.1)


def test_byes_of_all_are_spread() -> None:
    """As they are by complete sessions, which know everybody when they leave."""
    from benchmarks.rtcp_crowd import BANDWIDTH_BPS, GOODBYE_OCTETS, Crowd

    crowd = Crowd(FEWER, complete=2)
    crowd.run(600.0)
    assert len(crowd.known) == FEWER and crowd.disagreements() == []
    begin = crowd.now
    crowd.leave(range(1, FEWER + 1))
    crowd.run(begin + 1_000.0)
    assert len(crowd.goodbyes) == FEWER and crowd.disagreements() == []
    assert all(whole.session.left for whole in crowd.complete)
    assert crowd.goodbyes[0] >= begin + 1.0
    assert busiest(crowd.goodbyes, 1.0) < FEWER / 20
    settled = [at for at in crowd.goodbyes if at > begin + 30.0]
    octets_per_s = len(settled) * GOODBYE_OCTETS / (settled[-1] - settled[0])
    assert octets_per_s <= 1.1 * BANDWIDTH_BPS * 0.05 / 8


def test_those_who_stay_report_as_often_as_a_small_group_does() -> None:
    """Reverse reconsideration: else they are silent for as long as the large group made them."""
    from benchmarks.rtcp_scale import WithoutReverse, remaining

    interval_s = 20 * 80 * 8 / (64_000 * 0.05 * 0.75)
    ours = remaining(FEWER, 20, until=20 * interval_s)
    assert len(ours.known) == 20
    assert {who for at, who, _ in ours.sent if at < 3 * interval_s} == ours.known
    late = remaining(FEWER, 20, WithoutReverse, until=5 * interval_s)
    assert len({who for _, who, _ in late.sent}) < 10  # the others are thought to be gone by now


def introduction(ssrc: int) -> bytes:
    """The RTCP of a member that tells three items."""
    items = ((1, f"{ssrc:012x}@host{ssrc:05}.example.net"), (2, f"Member {ssrc:05}"))
    return compose_compound([ReceiverReport(ssrc), sdes(ssrc, *items, (6, "program 1.0"))])


def host_of(ssrc: int) -> tuple[str, int]:
    return f"10.1.{ssrc >> 8}.{ssrc & 255}", 5005


def silent_members(ours: RtpSession, count: int) -> list[Output]:
    """So many who are known by their RTCP alone; what the session says of them."""
    ssrcs = range(1, count + 1)
    return [o for ssrc in ssrcs for o in ours.receive(introduction(ssrc), 0.0, host_of(ssrc))]


def test_a_silent_member_takes_little_memory() -> None:
    """In the session and among the people, with all that is told of them."""
    ours = session(max_sources=FEWER)
    roster = Roster(lambda *ignored, **fields: None, max_people=FEWER)
    silent_members(session(max_sources=10), 10)  # what is made once is there now
    gc.collect()
    tracemalloc.start()
    try:
        for output in silent_members(ours, FEWER):
            if isinstance(output, SourceHeard):
                roster.source_heard(output.source, 0.0)
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / FEWER
    finally:
        tracemalloc.stop()
    assert len(roster.participants) == FEWER
    assert each < MEMBER_BYTES


def test_many_that_time_out_do_so_bit_by_bit() -> None:
    """So that what arrives meanwhile is heard, also of those whose turn has not come."""
    ours = session(max_sources=FEWER, member_timeout_s=60.0)
    silent_members(ours, FEWER)
    first = [o for o in ours.handle_timer(61.0) if isinstance(o, SourceGone)]
    assert len(first) == MAX_EXPIRED
    assert {gone.reason for gone in first} == {GoneReason.TIMEOUT}
    assert ours.next_deadline() <= 61.0
    ours.receive(introduction(FEWER), 61.0, host_of(FEWER))
    while ours.next_deadline() <= 61.0:
        ours.handle_timer(61.0)
    assert set(ours.sources) == {FEWER}


def test_a_time_out_is_not_shortened_by_those_before() -> None:
    """While many are removed the group shrinks: who reports as it had to is not gone for that."""
    ours = session(max_sources=FEWER, bandwidth_bps=64_000)
    silent_members(ours, FEWER)
    octets = len(introduction(FEWER)) + LOWER_LAYER_OCTETS
    timeout_s = 5 * octets * FEWER * 8 / (64_000 * 0.05 * 0.75)
    staying = range(FEWER - 99, FEWER + 1)
    for ssrc in staying:
        ours.receive(introduction(ssrc), timeout_s / 2, host_of(ssrc))
    now = timeout_s * 1.02
    while ours.next_deadline() <= now:
        ours.handle_timer(now)
    assert set(ours.sources) == set(staying)
