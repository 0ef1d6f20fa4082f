"""Sessions over a network that loses, repeats and reorders: nobody missing, nothing false."""

import random
from itertools import pairwise

import pytest
from sessions import AUDIO, OPUS, VIDEO, VP8, config, session
from simnet import Link, SessionEnd, SimNet

from ipconf.engine.outputs import (
    KeyFrameRequested,
    LocalSsrcChanged,
    ResendRequested,
    SourceDescribed,
    SourceGone,
    SourceHeard,
)
from ipconf.engine.rtcp_wire import SenderReport, parse_compound
from ipconf.engine.session import RtpSession
from ipconf.model import GoneReason, SdesType


def conference(net: SimNet, *names: str, **values: object) -> dict[str, SessionEnd]:
    return {
        name: SessionEnd(net, name, session(name, seed, **values))
        for seed, name in enumerate(names, 100)
    }


def source_of(hearer: SessionEnd, speaker: SessionEnd, mid: str = "a"):
    return hearer.session.sources[speaker.session.local(mid).ssrc]


def assert_everyone_is_known(ends: dict[str, SessionEnd]) -> None:
    for name, end in ends.items():
        known = {s.items[SdesType.CNAME]: s for s in end.session.sources.values()}
        assert set(known) == set(ends) - {name}
        for other, source in known.items():
            assert source.items[SdesType.NAME] == f"Name of {other}"
        assert len(end.heard()) == len(ends) - 1
        assert not end.gone()
        assert not [o for _, o in end.said if isinstance(o, LocalSsrcChanged)]


LINKS = {
    "clean": Link(),
    "random loss": Link(loss=0.1),
    "bursts": Link(burst=0.01, burst_length=8),
    "reordering": Link(reorder=0.1, reorder_s=0.05),
    "jitter": Link(jitter_s=0.08),
    "duplicates": Link(duplicate=0.2),
    "everything": Link(loss=0.05, burst=0.005, duplicate=0.05, reorder=0.05, jitter_s=0.04),
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("names", ["ab", "abc"])
def test_everyone_is_known_and_nothing_is_false(names: str, link: Link) -> None:
    net = SimNet(21, link)
    ends = conference(net, *names, min_interval_s=1.0)
    for end in ends.values():
        end.talk(30.0)
    net.run(31.0)
    assert_everyone_is_known(ends)
    for end in ends.values():
        stats = end.session.stats
        assert stats.malformed == stats.malformed_rtcp == stats.foreign_collisions == 0
        assert stats.unknown_payload_type == stats.own_ssrc == 0
        keys = [(p.ssrc, p.extended) for p in end.media]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_the_statistics_are_right(link: Link) -> None:
    net = SimNet(22)
    ends = conference(net, "a", "b", min_interval_s=1.0)
    net.set_link("a", "b", link)
    ends["a"].talk(40.0)
    net.run(41.0)
    source = source_of(ends["b"], ends["a"])
    delivered = len(ends["b"].media)
    edge = 20  # at most so many were lost before the first and after the last that arrived
    assert 2000 - edge <= source.expected <= 2000
    assert source.packets - source.duplicates == delivered
    assert source.octets == source.packets * 80
    assert source.lost == source.expected - source.packets
    assert ends["b"].session.stats.duplicates == source.duplicates
    if link == LINKS["clean"]:
        assert (source.lost, source.duplicates) == (0, 0)
        assert source.jitter_s < 1e-9
    if link == LINKS["duplicates"]:
        assert source.duplicates == -source.lost > 300
    if link == LINKS["random loss"]:
        assert source.lost / source.expected == pytest.approx(0.1, abs=0.02)
    if link == LINKS["reordering"]:
        assert (source.lost, source.duplicates) == (0, 0)
    if link == LINKS["jitter"]:
        # The mean difference of two even distributions of 80 ms is a third of that.
        assert source.jitter_s == pytest.approx(0.080 / 3, rel=0.3)


def test_both_sides_agree_about_loss_and_round_trip() -> None:
    net = SimNet(23)
    ends = conference(net, "a", "b", min_interval_s=1.0)
    net.set_link("a", "b", Link(delay_s=0.03, loss=0.2))
    net.set_link("b", "a", Link(delay_s=0.07))
    for end in ends.values():
        end.talk(60.0)
    net.run(60.0)
    for near, far in (("a", "b"), ("b", "a")):
        assert source_of(ends[near], ends[far]).round_trip_s == pytest.approx(0.1, abs=1e-3)
    report = ends["a"].session.local("a").reports[ends["b"].session.local("a").ssrc]
    source = source_of(ends["b"], ends["a"])
    assert report.lost == pytest.approx(source.lost, abs=30)
    assert report.lost / source.expected == pytest.approx(0.2, abs=0.03)
    assert report.fraction_lost == pytest.approx(0.2, abs=0.15)


def test_media_time_and_wall_clock_agree_across_the_network() -> None:
    net = SimNet(24)
    ends = conference(net, "a", "b", min_interval_s=1.0)
    ends["a"].talk(20.0)
    net.run(21.0)
    packet = ends["b"].media[-1]
    wallclock = source_of(ends["b"], ends["a"]).wallclock(packet.timestamp)
    assert wallclock == pytest.approx(1_800_000_000.0 + packet.arrival - 0.02, abs=0.001)


def test_sixty_that_join_at_once_all_know_one_another() -> None:
    net = SimNet(25)
    names = [f"p{n}" for n in range(60)]
    ends = conference(net, *names, bandwidth_bps=1_000_000)
    net.run(30.0)
    assert_everyone_is_known(ends)


def test_a_third_joins_and_leaves() -> None:
    net = SimNet(26, Link(loss=0.02, jitter_s=0.03))
    ends = conference(net, "a", "b", min_interval_s=1.0)
    for end in ends.values():
        end.talk(60.0)
    net.run(20.0)
    late = SessionEnd(net, "c", session("c", 7, 20.0, min_interval_s=1.0))
    late.talk(20.0)
    net.run(40.0)
    ssrc = late.session.local("a").ssrc
    assert all(ssrc in end.session.sources for end in ends.values())
    late.take(late.session.leave("got to go", 40.0))
    net.run(60.0)
    for end in ends.values():
        (gone,) = end.gone()
        assert (gone.source.ssrc, gone.reason, gone.text) == (ssrc, GoneReason.BYE, "got to go")


def test_a_session_that_crashed_returns_under_another_ssrc() -> None:
    net = SimNet(27)
    ends = conference(net, "a", "b", min_interval_s=1.0, member_timeout_s=5.0)
    for end in ends.values():
        end.talk(60.0)
    net.run(10.0)
    ends["b"].port.disconnect()
    net.run(12.0)
    again = SessionEnd(net, "b", session("b", 999, 12.0, min_interval_s=1.0))
    again.talk(20.0)
    net.run(30.0)
    story = [type(o) for _, o in ends["a"].said if not isinstance(o, SourceDescribed)]
    assert story == [SourceHeard, SourceHeard, SourceGone]
    (source,) = ends["a"].session.sources.values()
    assert (source.ssrc, source.items[SdesType.CNAME]) == (again.session.local("a").ssrc, "b")


class Rigged(random.Random):
    """Draws a certain SSRC first."""

    rigged = True

    def getrandbits(self, k: int) -> int:
        if self.rigged:
            self.rigged = False
            return 0x1234ABCD
        return super().getrandbits(k)


def test_two_with_one_ssrc_sort_it_out() -> None:
    net = SimNet(28)
    ends = {
        name: SessionEnd(net, name, RtpSession(config(name), Rigged(seed), 0.0))
        for seed, name in enumerate("ab")
    }
    ends |= conference(net, "c")
    assert ends["a"].session.local("a").ssrc == ends["b"].session.local("a").ssrc
    net.at(0.0, lambda: ends["a"].talk(30.0))
    net.at(5.0, lambda: ends["b"].talk(25.0))
    net.run(31.0)
    ssrcs = {name: end.session.local("a").ssrc for name, end in ends.items()}
    assert len(set(ssrcs.values())) == 3
    for name, end in ends.items():
        known = {s.items[SdesType.CNAME]: s.ssrc for s in end.session.sources.values()}
        assert known == {other: ssrc for other, ssrc in ssrcs.items() if other != name}
    assert 1 <= sum(end.session.stats.collisions for end in ends.values()) <= 2


def test_a_looped_network_does_not_confuse_a_session() -> None:
    net = SimNet(29)
    ends = conference(net, "a", "b", min_interval_s=1.0)

    class Mirror:
        """Sends everything back to everybody, as a bad router might."""

        def __init__(self) -> None:
            self.port = net.join("mirror", self)

        def receive(self, datagram: bytes, now: float, origin: object) -> None:
            self.port.send(datagram)

        def next_deadline(self) -> float:
            return float("inf")

        def handle_timer(self, now: float) -> None:
            pass

    Mirror()
    for end in ends.values():
        end.talk(20.0)
    net.run(21.0)
    assert_everyone_is_known(ends)
    for end in ends.values():
        assert end.session.stats.own_ssrc > 900
        assert end.session.stats.collisions == 0
        (source,) = end.session.sources.values()
        assert (source.duplicates, source.lost) == (0, 0)


def test_one_media_clock_per_section() -> None:
    net = SimNet(30)
    ends = conference(net, "a", "b", sections=(AUDIO, VIDEO), min_interval_s=1.0)
    ends["a"].talk(20.0)
    net.every(1 / 30, lambda: ends["a"].send("v", VP8, round(net.now * 90000), b"f"), count=600)
    net.run(21.0)
    audio, video = source_of(ends["b"], ends["a"]), source_of(ends["b"], ends["a"], "v")
    assert (audio.packets, video.packets) == (1000, 600)
    assert (audio.mid, video.mid) == ("a", "v")
    assert audio.items == video.items
    reports = [
        p
        for _, datagram in ends["a"].transmitted
        for p in parse_compound(datagram)[0]
        if isinstance(p, SenderReport)
    ]
    for mid, rate in (("a", 48000), ("v", 90000)):
        ours = [r for r in reports if r.ssrc == ends["a"].session.local(mid).ssrc]
        for first, second in pairwise(ours):
            ticks = (second.rtp_timestamp - first.rtp_timestamp) & 0xFFFFFFFF
            assert ticks / ((second.ntp - first.ntp) / 2**32) == pytest.approx(rate, rel=1e-3)


def test_lost_video_is_repaired_over_the_network() -> None:
    net = SimNet(31)
    ends = conference(net, "a", "b", sections=(VIDEO,), min_interval_s=1.0, reduced_size=True)
    net.set_link("a", "b", Link(loss=0.1))
    net.every(0.01, lambda: ends["a"].send("v", VP8, round(net.now * 90000), b"f"), count=1000)

    def answer() -> None:
        sender = ends["a"]
        while sender.said:
            _, output = sender.said.pop()
            if isinstance(output, ResendRequested):
                for sequence in output.sequences:
                    if repeat := sender.session.resend("v", sequence, net.now):
                        sender.port.send(repeat)

    def ask() -> None:
        receiver = ends["b"]
        if receiver.media:
            ssrc = receiver.media[0].ssrc
            here = {p.extended for p in receiver.media}
            missing = [n & 0xFFFF for n in range(min(here), max(here)) if n not in here]
            receiver.take(receiver.session.request_resend(ssrc, missing, net.now))

    net.every(0.01, answer, count=1500)
    net.every(0.1, ask, count=150)
    net.run(15.0)
    here = sorted(p.extended for p in ends["b"].media)
    assert here == list(range(here[0], here[0] + len(here)))
    assert len(here) >= 995
    source = source_of(ends["b"], ends["a"], "v")
    assert source.repaired == pytest.approx(100, abs=30)
    assert source.lost == pytest.approx(source.repaired, abs=2)


def test_a_key_frame_request_crosses_the_network() -> None:
    net = SimNet(32)
    ends = conference(net, "a", "b", sections=(VIDEO,), min_interval_s=1.0)
    net.every(0.03, lambda: ends["a"].send("v", VP8, round(net.now * 90000), b"f"), count=100)
    net.run(2.0)
    ssrc = ends["a"].session.local("v").ssrc
    ends["b"].take(ends["b"].session.request_key_frame(ssrc, 2.0))
    net.run(2.1)
    assert [(at, o) for at, o in ends["a"].said if isinstance(o, KeyFrameRequested)] == [
        (pytest.approx(2.02), KeyFrameRequested(ssrc))
    ]


def test_the_same_seed_tells_the_same_story() -> None:
    def story() -> list[object]:
        net = SimNet(33, LINKS["everything"])
        ends = conference(net, "a", "b", "c", min_interval_s=1.0)
        for end in ends.values():
            end.talk(10.0)
        net.run(12.0)
        return [
            (at, type(o), getattr(o, "source", None) and o.source.ssrc)
            for end in ends.values()
            for at, o in end.said
        ] + [end.transmitted for end in ends.values()]

    assert story() == story()


def test_a_mute_sender_becomes_a_listener_and_stays_known() -> None:
    net = SimNet(34)
    ends = conference(net, "a", "b", min_interval_s=1.0)
    ends["a"].talk(5.0)
    net.run(60.0)
    assert_everyone_is_known(ends)
    kinds = [type(parse_compound(d)[0][0]).__name__ for _, d in ends["a"].transmitted]
    assert kinds[0] == "SenderReport"
    assert kinds[-1] == "ReceiverReport"
    assert ends["b"].media[-1].payload_type == OPUS
