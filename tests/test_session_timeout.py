"""Sources that fall silent (RFC 3550 section 6.3.5)."""

import pytest
from sessions import hear, of_type, rtp, sdes, session
from simnet import SessionEnd, SimNet

from ipconf.engine.outputs import SourceGone, SourceHeard
from ipconf.engine.rtcp_wire import ReceiverReport, compose, compose_compound
from ipconf.engine.session import RtpSession
from ipconf.model import GoneReason


def run(ours: RtpSession, until: float) -> list[tuple[float, SourceGone]]:
    """Run the session's timer; who went, and when."""
    gone = []
    while (now := ours.next_deadline()) <= until:
        gone += [(now, output) for output in of_type(ours.handle_timer(now), SourceGone)]
    return gone


def test_a_silent_source_is_gone_after_five_intervals_of_five_seconds() -> None:
    ours = session(min_interval_s=1.0)
    hear(ours, 7, 10.0)
    ((when, gone),) = run(ours, 100.0)
    assert when == pytest.approx(35.02)
    assert (gone.source.ssrc, gone.reason, gone.text) == (7, GoneReason.TIMEOUT, "")
    assert not ours.sources


def test_the_time_out_is_a_setting() -> None:
    ours = session(member_timeout_s=3.0)
    hear(ours, 7, 10.0)
    ((when, _),) = run(ours, 100.0)
    assert when == pytest.approx(13.02)


@pytest.mark.parametrize("alive", ["media", "reports", "descriptions", "contributions"])
def test_any_sign_of_life_keeps_a_source(alive: str) -> None:
    ours = session(member_timeout_s=3.0)
    ours.receive(compose(sdes(71, (1, "guest"))), 0.0)
    hear(ours, 7, 0.0)
    datagrams = {
        "reports": compose(ReceiverReport(71, ())),
        "descriptions": compose(sdes(71, (1, "guest"))),
    }
    for turn in range(10):
        if alive == "media":
            hear(ours, 71, turn * 2.0, sequence=2 * turn)
        elif alive == "contributions":
            ours.receive(rtp(7, 5 + turn, csrcs=(71,)), turn * 2.0)
        else:
            ours.receive(datagrams[alive], turn * 2.0)
        run(ours, turn * 2.0 + 1.9)
        assert 71 in ours.sources
    assert 71 in [gone.source.ssrc for _, gone in run(ours, 100.0)]


def test_sources_go_in_the_order_they_fell_silent() -> None:
    ours = session(member_timeout_s=3.0)
    for ssrc, heard_at in ((7, 1.2), (8, 1.0), (9, 1.1)):
        hear(ours, ssrc, heard_at)
    assert [gone.source.ssrc for _, gone in run(ours, 20.0)] == [8, 9, 7]


def test_a_source_that_returns_is_a_new_one() -> None:
    ours = session(member_timeout_s=3.0)
    hear(ours, 7, 1.0)
    first = ours.sources[7]
    run(ours, 20.0)
    outputs = hear(ours, 7, 20.0, sequence=500)
    assert of_type(outputs, SourceHeard) == [SourceHeard(ours.sources[7])]
    assert ours.sources[7] is not first
    assert ours.sources[7].packets == 2


def test_contributors_time_out_alike() -> None:
    ours = session(member_timeout_s=3.0)
    hear(ours, 7, 1.0, csrcs=(71,))
    for turn in range(200):
        ours.receive(rtp(7, 3 + turn), 1.05 + turn * 0.02)
    assert [gone.source.ssrc for _, gone in run(ours, 5.05)] == [71]


def test_in_a_large_group_the_time_out_grows_with_the_interval() -> None:
    ours = session(bandwidth_bps=10_000)
    for ssrc in range(1, 400):
        ours.receive(compose_compound([ReceiverReport(ssrc, ()), sdes(ssrc, (1, "x"))]), 1.0)
    # 400 members of some 100 octets share 47 octets per second: an interval of minutes.
    assert run(ours, 300.0) == []
    assert len(ours.sources) == 399


def test_a_candidate_that_falls_silent_is_forgotten() -> None:
    ours = session(member_timeout_s=3.0)
    ours.receive(rtp(7, 1), 1.0)
    run(ours, 30.0)
    assert ours.receive(rtp(7, 2), 30.0) == []


def test_many_sources_do_not_keep_the_timer_busy() -> None:
    ours = session(member_timeout_s=2.0)
    wakes = 0
    for tick in range(1000):
        now = tick * 0.02
        ssrc = 1000 + tick % 99  # each just in time
        ours.receive(compose(sdes(ssrc, (1, f"c{ssrc}"))), now)
        if ours.next_deadline() <= now:
            wakes += 1
            ours.handle_timer(now)
    assert len(ours.sources) == 99
    assert wakes < 20 / 2.0 * 20 + 20  # a check per twentieth of the time-out, and reports


def test_a_crash_is_noticed_and_the_return_too() -> None:
    net = SimNet(11)
    ends = {n: SessionEnd(net, n, session(n, s, min_interval_s=1.0)) for s, n in enumerate("abc")}
    for end in ends.values():
        end.talk(100.0)
    net.at(20.0, ends["c"].port.disconnect)
    net.run(60.0)
    for name in "ab":
        ((when, gone),) = [
            (at, output) for at, output in ends[name].said if isinstance(output, SourceGone)
        ]
        assert gone.source.ssrc == ends["c"].session.local("a").ssrc
        assert gone.reason is GoneReason.TIMEOUT
        assert 44.9 <= when <= 46.5
    ends["c"].port.reconnect()
    ends["c"].talk(20.0)
    net.run(70.0)
    assert len(ends["a"].heard()) == len(ends["b"].heard()) == 3
    assert len(ends["a"].session.sources) == 2


def test_a_quiet_listener_stays_as_long_as_it_reports() -> None:
    net = SimNet(12)
    ends = {n: SessionEnd(net, n, session(n, s)) for s, n in enumerate(("talker", "listener"))}
    ends["talker"].talk(120.0)
    net.run(120.0)
    assert not ends["talker"].gone()
    assert len(ends["talker"].session.sources) == 1
