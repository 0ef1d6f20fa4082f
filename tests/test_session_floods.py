"""What one datagram of a stranger may cost a session with many members."""

from __future__ import annotations

import time

import pytest
from sessions import hear, of_type, rtp, sdes, session

from ipconf.engine.outputs import SourceHeard
from ipconf.engine.rtcp_wire import (
    MAX_COMPOUND_BYTES,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SdesChunk,
    SdesItem,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.engine.session import RtpSession

HERE, ELSEWHERE = ("10.77.0.1", 5005), ("10.77.0.9", 5005)


def invented(first: int, count: int) -> bytes:
    """A compound that describes so many sources, in as few bytes as can be."""
    name = (SdesItem(1, "x"),)
    chunks = [SdesChunk(first + n, name) for n in range(count)]
    groups = [tuple(chunks[at : at + 31]) for at in range(0, count, 31)]
    return compose_compound([ReceiverReport(first), *map(SourceDescription, groups)])


def crowded(members: int) -> RtpSession:
    """A session with so many others, each at an address of their own."""
    ours = session(max_sources=members + 10)
    for ssrc in range(1, members + 1):
        report = compose_compound([ReceiverReport(ssrc), sdes(ssrc, (1, f"member {ssrc}"))])
        ours.receive(report, 0.0, ("10.1.0.0", ssrc))
    assert len(ours.sources) == members
    return ours


def test_a_datagram_with_thousands_of_made_up_sources_is_not_looked_at() -> None:
    ours = session(max_sources=20_000)
    assert ours.receive(invented(1, 5_000), 0.0, HERE) == []
    assert not ours.sources and ours.stats.malformed == 1


def test_as_much_as_a_large_frame_carries_is_read() -> None:
    ours = session(max_sources=20_000)
    datagram = invented(1, 1_000)
    assert MAX_COMPOUND_BYTES - 1_000 < len(datagram) <= MAX_COMPOUND_BYTES
    assert len(of_type(ours.receive(datagram, 0.0, HERE), SourceHeard)) == 1_000


@pytest.mark.parametrize("about_us", [False, True])
def test_a_strangers_report_costs_no_more_with_many_members(about_us: bool) -> None:
    few, many = crowded(10), crowded(5_000)

    def cost_s(ours: RtpSession) -> float:
        blocks = (ReportBlock(ours.local("a").ssrc, 0, 0, 0, 0, 0, 0),) if about_us else ()
        datagram = compose(ReceiverReport(2**31, blocks))
        runs = []
        for _ in range(5):
            begin = time.process_time()
            for _ in range(50):
                ours.receive(datagram, 1.0, ("10.1.0.0", 1))  # beside a member: nobody new
            runs.append(time.process_time() - begin)
        return min(runs)  # what else the process does comes now and then

    assert cost_s(many) < 10 * cost_s(few)  # with a look at each member it is a hundred times
    assert 2**31 not in many.sources


def test_a_datagram_of_many_byes_costs_no_more_with_many_members() -> None:
    # Each of a source whose RTCP has come from nowhere yet, from where somebody else reports.
    few, many = crowded(10), crowded(5_000)
    liar, suspect = 2**20, 2**20 + 1
    byes = [Goodbye((suspect,) * 31)] * 11

    def cost_s(ours: RtpSession) -> float:
        for ssrc, media_origin in ((liar, ("10.77.0.9", 5004)), (suspect, ("10.77.0.8", 5004))):
            for turn in range(2):
                ours.receive(rtp(ssrc, turn), 0.1, media_origin)
        ours.receive(compose_compound([ReceiverReport(liar), sdes(liar, (1, "x"))]), 0.2, ELSEWHERE)
        datagram = compose_compound([ReceiverReport(suspect), *byes])
        runs = []
        for _ in range(5):
            begin = time.process_time()
            assert ours.receive(datagram, 0.3, ELSEWHERE) == []
            runs.append(time.process_time() - begin)
        assert suspect in ours.sources
        return min(runs)

    assert cost_s(many) < 10 * cost_s(few)  # with a look at each member it is a hundred times


def test_a_datagram_of_byes_of_mixers_costs_no_more_with_many_members() -> None:
    few, many = crowded(10), crowded(5_000)

    def cost_s(ours: RtpSession) -> float:
        mixers = range(2**20, 2**20 + 5)
        runs = []
        for turn in range(5):
            now = 1.0 + turn
            for mixer in mixers:
                told = [ReceiverReport(mixer), *(sdes(n, (1, str(n))) for n in (mixer, mixer + 50))]
                ours.receive(compose_compound(told), now, HERE)
            begin = time.process_time()
            gone = ours.receive(compose(Goodbye(tuple(mixers))), now, HERE)
            runs.append(time.process_time() - begin)
            assert [o.source.ssrc for o in gone] == [n + k for n in mixers for k in (0, 50)]
        return min(runs)

    assert cost_s(many) < 10 * cost_s(few)


def test_beside_whom_a_report_without_a_name_is_nobody_new_may_leave_or_move() -> None:
    ours = session()
    unnamed = compose(ReceiverReport(9))

    def is_heard(origin: tuple[str, int], now: float) -> bool:
        return any(of_type(ours.receive(unnamed, now, origin), SourceHeard) for _ in range(3))

    report = compose_compound([ReceiverReport(7), sdes(7, (1, "them"))])
    ours.receive(report, 0.0, HERE)
    ours.receive(compose_compound([ReceiverReport(8), sdes(8, (1, "others"))]), 0.0, HERE)
    assert not is_heard(HERE, 1.0)
    ours.receive(report, 100.0, ELSEWHERE)  # after so long a time they may have moved
    assert not is_heard(HERE, 100.0)  # the others are still there
    ours.receive(compose(Goodbye((8,))), 101.0, HERE)
    assert not is_heard(ELSEWHERE, 102.0)
    assert is_heard(HERE, 102.0)


def test_media_and_reports_of_one_source_are_two_addresses_until_it_leaves() -> None:
    ours = session()
    hear(ours, 7, 0.0)  # from nowhere that is known
    ours.receive(compose_compound([ReceiverReport(7), sdes(7, (1, "them"))]), 0.1, HERE)
    for origin in (None, HERE):
        for _ in range(3):
            assert not of_type(ours.receive(compose(ReceiverReport(9)), 1.0, origin), SourceHeard)
    ours.receive(compose(Goodbye((7,))), 2.0, HERE)
    assert any(
        of_type(ours.receive(compose(ReceiverReport(9)), 3.0, None), SourceHeard) for _ in range(3)
    )
