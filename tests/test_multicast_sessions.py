"""RTP sessions in groups: our own packets where they are wanted back, spoofing, floods, and BYE."""

from __future__ import annotations

import random

from sessions import AUDIO, OPUS, config, hear, media, of_type, rtp, sdes, sent, session
from simnet import SessionEnd, SimNet

from ipconf.engine.outputs import (
    LocalSsrcChanged,
    SourceDescribed,
    SourceGone,
    SourceHeard,
    Transmit,
)
from ipconf.engine.rtcp_timing import BYE_BACKOFF_MEMBERS
from ipconf.engine.rtcp_wire import Goodbye, ReceiverReport, compose, compose_compound
from ipconf.engine.session import RtpSession
from ipconf.model import GoneReason, SdesType

HERE = ("10.77.0.1", 40000)
ELSEWHERE = ("10.77.0.9", 40000)


def ours_in_full_loopback() -> RtpSession:
    return session(own_origin=HERE)


def our_packets(ours: RtpSession, count: int = 3) -> list[bytes]:
    return [ours.send("a", OPUS, turn * 960, b"x", turn * 0.02) for turn in range(count)]


def reports(ours: RtpSession) -> list[bytes]:
    outputs = ours.handle_timer(ours.next_deadline())
    return [o.datagram for o in outputs if isinstance(o, Transmit)]


def test_our_own_packets_make_us_a_source_where_they_are_wanted_back() -> None:
    ours = ours_in_full_loopback()
    ssrc = ours.local("a").ssrc
    outputs = [o for p in our_packets(ours) for o in ours.receive(p, 0.1, HERE)]
    assert of_type(outputs, SourceHeard) == [SourceHeard(ours.sources[ssrc])]
    assert len(media(outputs)) == 3
    (report,) = reports(ours)
    (described,) = of_type(ours.receive(report, 3.0, HERE), SourceDescribed)
    assert described.source.items[SdesType.NAME] == "Name of us"
    assert (ours.stats.own_ssrc, ours.stats.collisions) == (0, 0)
    assert ours.local("a").ssrc == ssrc


def test_our_own_packets_from_elsewhere_are_a_loop_all_the_same() -> None:
    ours = ours_in_full_loopback()
    for packet in our_packets(ours):
        assert ours.receive(packet, 0.1, ELSEWHERE) == []
    for report in reports(ours):
        assert ours.receive(report, 3.0, ELSEWHERE) == []
    assert (ours.stats.own_ssrc, ours.stats.collisions) == (4, 0) and not ours.sources


def test_somebody_elses_packets_under_our_ssrc_are_a_collision_all_the_same() -> None:
    ours = ours_in_full_loopback()
    old = ours.local("a").ssrc
    for packet in our_packets(ours):
        ours.receive(packet, 0.1, HERE)
    outputs = ours.receive(rtp(old, 40_000), 1.0, ELSEWHERE)
    assert of_type(outputs, LocalSsrcChanged)
    (goodbye,) = [o.datagram for o in outputs if isinstance(o, Transmit)]
    (gone,) = of_type(ours.receive(goodbye, 1.1, HERE), SourceGone)
    assert gone.source.ssrc == old


def test_when_they_come_back_no_more_we_are_no_source() -> None:
    ours = ours_in_full_loopback()
    hear(ours, 7, 0.0)
    for packet in our_packets(ours):
        ours.receive(packet, 0.1, HERE)
    (gone,) = ours.forget_ourselves(1.0)
    assert isinstance(gone, SourceGone) and gone.reason is GoneReason.CLOSED
    assert gone.source.ssrc == ours.local("a").ssrc and list(ours.sources) == [7]
    assert ours.forget_ourselves(1.0) == []


def test_a_spoofed_goodbye_from_elsewhere_is_not_believed() -> None:
    ours = session()
    for turn in range(3):
        ours.receive(rtp(7, turn), turn * 0.02, HERE)
    ours.receive(compose_compound([ReceiverReport(7), sdes(7, (1, "them"))]), 0.1, HERE)
    assert of_type(ours.receive(compose(Goodbye((7,), "gone!")), 0.2, ELSEWHERE), SourceGone) == []
    assert 7 in ours.sources and ours.stats.foreign_collisions == 1


def test_a_goodbye_does_not_silence_who_keeps_sending() -> None:
    ours = session()
    for turn in range(3):
        ours.receive(rtp(7, turn), turn * 0.02, HERE)
    assert of_type(ours.receive(compose(Goodbye((7,))), 0.1, HERE), SourceGone)
    outputs = [o for t in range(3, 40) for o in ours.receive(rtp(7, t), t * 0.02 + 0.1, HERE)]
    assert of_type(outputs, SourceHeard) and len(media(outputs)) > 5


def test_a_flood_of_made_up_ssrcs_is_bounded() -> None:
    ours = session(max_sources=20)
    for number in range(1000):
        for sequence in range(2):
            ours.receive(rtp(number + 1, sequence), number * 0.001, ELSEWHERE)
        compound = [ReceiverReport(5000 + number), sdes(5000 + number, (1, f"nobody {number}"))]
        ours.receive(compose_compound(compound), number * 0.001, ELSEWHERE)
    assert len(ours.sources) == 20 and ours.stats.refused_sources >= 1900


def group(count: int, net: SimNet) -> list[SessionEnd]:
    """Members who all know one another, after a minute."""
    ends = []
    for number in range(count):
        configured = config(f"member {number}", sections=(AUDIO,), bandwidth_bps=64_000)
        ends.append(SessionEnd(net, str(number), RtpSession(configured, random.Random(number), 0)))
    net.run(60.0)
    return ends


def test_in_a_small_group_bye_is_said_at_once() -> None:
    net = SimNet(1)
    ends = group(5, net)
    ends[0].take(ends[0].session.leave("bye", net.now))
    assert ends[0].session.left
    net.run(net.now + 0.1)
    assert [gone.reason for gone in ends[1].gone()] == [GoneReason.BYE]


def test_in_a_large_group_byes_wait_for_their_turn() -> None:
    """RFC 3550 section 6.3.7: when nearly all leave at once, they do not all say so at once."""
    net = SimNet(1)
    ends = group(BYE_BACKOFF_MEMBERS + 10, net)
    leaving = ends[1:]
    begin = net.now
    for end in leaving:
        end.take(end.session.leave("all of us", net.now))
    assert not any(end.session.left for end in leaving)
    net.run(begin + 1.0)
    assert not any(end.session.left for end in leaving)
    net.run(begin + 120.0)
    times = sorted(at for end in leaving for at, _ in end.transmitted if at > begin)
    assert len(times) == len(leaving) and times[0] >= begin + 1.0
    assert all(
        len(of_type(c, Goodbye)) == 1 for c in sent([Transmit(leaving[0].transmitted[-1][1])])
    )
    most = max(sum(at <= other < at + 1.0 for other in times) for at in times)
    assert most <= len(times) / 2
