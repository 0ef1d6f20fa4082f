"""Asking senders for no more than so many bit/s (REMB), and being asked."""

from __future__ import annotations

from sessions import AUDIO, VP8, hear, of_type, sent, session

from ipconf.engine.outputs import BitrateLimited, Transmit
from ipconf.engine.rtcp_wire import (
    ReceiverReport,
    Remb,
    SourceDescription,
)
from ipconf.engine.session import PayloadFormat, RtpSession, Section
from ipconf.model import MediaType

REMB = "goog-remb"


def section(mid: str, payload_type: int, *feedback: str) -> Section:
    formats = (
        PayloadFormat(payload_type, "VP8", 90000, feedback=frozenset(feedback)),
        PayloadFormat(payload_type + 1, "RTX", 90000, apt=payload_type),
    )
    return Section(mid, MediaType.VIDEO, formats)


def receiving(*feedback: str, **values: object) -> RtpSession:
    """A session that receives video of the sources 7 and 8 on one section, of 9 on another."""
    sections = (AUDIO, section("v", VP8, *feedback), section("w", VP8 + 10, *feedback))
    ours = session(sections=sections, **values)
    for ssrc, payload_type in ((7, VP8), (8, VP8), (9, VP8 + 10)):
        hear(ours, ssrc, 0.1, payload_type=payload_type)
    return ours


def test_the_limit_is_told_at_once() -> None:
    ours = receiving(REMB)
    (packets,) = sent(ours.limit_bitrate([7], 300_000, 0.2))
    assert [type(packet) for packet in packets] == [ReceiverReport, SourceDescription, Remb]
    assert packets[-1] == Remb(ours.local("v").ssrc, 300_000, (7,))


def test_one_limit_is_for_all_sources_together() -> None:
    ours = receiving(REMB, reduced_size=True)
    (packets,) = sent(ours.limit_bitrate(iter([9, 7, 8]), 500_000, 0.2))
    assert packets == [Remb(ours.local("w").ssrc, 500_000, (9, 7, 8))]


def test_nothing_is_told_where_it_was_not_negotiated() -> None:
    assert receiving("nack pli").limit_bitrate([7, 9], 300_000, 0.2) == []


def test_nothing_is_told_of_who_is_not_there() -> None:
    ours = receiving(REMB)
    assert ours.limit_bitrate([], 300_000, 0.2) == []
    assert ours.limit_bitrate([1, 2], 300_000, 0.2) == []
    (packets,) = sent(ours.limit_bitrate([1, 8, 2], 300_000, 0.2))
    assert of_type(packets, Remb)[0].ssrcs == (8,)


def test_nothing_is_told_once_we_have_left() -> None:
    ours = receiving(REMB)
    assert ours.limit_bitrate([7], 300_000, 0.2)
    assert ours.leave("", 0.3)
    assert ours.limit_bitrate([7], 300_000, 0.4) == []


def test_the_limit_of_the_moment_is_told_though_it_changes_all_the_time() -> None:
    """Within the bandwidth of RTCP: what waits goes with the next datagram, the newest last."""
    ours, told = receiving(REMB, reduced_size=True), []
    for step in range(200):
        outputs = ours.limit_bitrate([7], 300_000 + step * 1000, 1 + step / 100)
        due = ours.next_deadline()
        outputs += ours.handle_timer(due) if due <= 1 + step / 100 else []
        told += [limit for packets in sent(outputs) for limit in of_type(packets, Remb)]
    assert told, "some were told"
    rates = [limit.bitrate_bps for limit in told]
    assert rates == sorted(rates)
    assert rates[-1] > 450_000


def test_a_peer_reads_what_is_told() -> None:
    """Both ends are sessions of ours; the wire keeps 18 bits of the rate."""
    peer = session("peer", seed=2, sections=(section("v", VP8, REMB),))
    ours = session(seed=3, sections=(section("v", VP8, REMB),), reduced_size=True)
    source = peer.local("v")
    for step in range(3):
        datagram = peer.send("v", VP8, step * 3000, b"\x10media", step / 30)
        ours.receive(datagram, step / 30)
    for bps in (0, 50_000, 1_234_567_890):
        outputs = ours.limit_bitrate([source.ssrc], bps, 1.0)
        (limit,) = [
            limited
            for output in outputs
            if isinstance(output, Transmit)
            for limited in of_type(peer.receive(output.datagram, 1.0), BitrateLimited)
        ]
        assert limit.ssrcs == (source.ssrc,)
        assert bps * (1 - 2**-17) <= limit.bps <= bps
