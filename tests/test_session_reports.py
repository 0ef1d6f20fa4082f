"""Sender and receiver reports: counts, loss, jitter, round trip (RFC 3550 6.4, A.3, A.8)."""

import pytest
from sessions import (
    AUDIO,
    OPUS,
    VIDEO,
    VP8,
    hear,
    next_report,
    of_type,
    rtp,
    sdes,
    sent,
    session,
)

from ipconf.engine.local_source import MAX_REPORTERS
from ipconf.engine.reception import NTP_UNIX_OFFSET_S
from ipconf.engine.rtcp_wire import (
    Goodbye,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.engine.session import PayloadFormat, RtpSession, Section
from ipconf.model import MediaType, SdesType

LONG = {SdesType.CNAME: "c" * 255, SdesType.NAME: "n" * 255, SdesType.NOTE: "x" * 255}


def blocks_about(packets: list[RtcpPacket], ssrc: int) -> list[object]:
    reports = of_type(packets, SenderReport | ReceiverReport)
    return [block for report in reports for block in report.reports if block.ssrc == ssrc]


def test_who_sent_nothing_gives_a_receiver_report() -> None:
    ours = session()
    _, packets = next_report(ours)
    assert [type(p) for p in packets] == [ReceiverReport, SourceDescription]
    assert packets[0] == ReceiverReport(ours.local("a").ssrc, ())


def test_who_sends_gives_a_sender_report() -> None:
    ours = session()
    for turn in range(10):
        ours.send("a", OPUS, 5000 + turn * 960, bytes(80), 0.1 + turn * 0.02)
    now, (report, _) = next_report(ours)
    unix = now + 1_800_000_000.0
    assert isinstance(report, SenderReport)
    assert report.ssrc == ours.local("a").ssrc
    assert report.ntp / 2**32 == pytest.approx(unix + NTP_UNIX_OFFSET_S, abs=1e-5)
    assert (report.packet_count, report.octet_count) == (10, 800)
    # The timestamp belongs to the instant of the report, not of the last packet.
    assert report.rtp_timestamp == pytest.approx(5000 + 9 * 960 + (now - 0.28) * 48000, abs=1)


def test_a_sender_that_stopped_gives_receiver_reports_again() -> None:
    ours = session()
    ours.send("a", OPUS, 0, b"x", 0.1)
    kinds = [type(next_report(ours)[1][0]) for _ in range(6)]
    assert kinds[0] is SenderReport
    assert kinds[-1] is ReceiverReport
    assert kinds == sorted(kinds, key=lambda kind: kind is ReceiverReport)  # and stays so


def test_loss_is_reported_per_interval_and_in_all() -> None:
    ours = session()
    for sequence in range(100, 200):
        if sequence % 4 or sequence < 110:  # the first ten all arrive
            ours.receive(rtp(7, sequence), 0.5)
    _, packets = next_report(ours)
    (block,) = blocks_about(packets, 7)
    # Lost: 112, 116, ... 196, which is 22 of 100; 22 * 256 // 100 = 56.
    assert (block.fraction_lost, block.cumulative_lost, block.highest_sequence) == (56, 22, 199)
    assert ours.sources[7].fraction_lost == pytest.approx(0.22)
    for sequence in range(200, 210):
        ours.receive(rtp(7, sequence), ours.next_deadline() - 0.1)
    _, packets = next_report(ours)
    (block,) = blocks_about(packets, 7)
    assert (block.fraction_lost, block.cumulative_lost) == (0, 22)
    assert (ours.sources[7].lost, ours.sources[7].expected) == (22, 110)


def test_duplicates_make_loss_negative_but_no_fraction() -> None:
    ours = session()
    hear(ours, 7, 0.1, count=5)
    hear(ours, 7, 0.2, count=3)
    _, packets = next_report(ours)
    (block,) = blocks_about(packets, 7)
    assert (block.fraction_lost, block.cumulative_lost) == (0, -3)


def test_cumulative_loss_stays_within_24_bits() -> None:
    ours = session()
    hear(ours, 7, 0.1, sequence=0)
    sequence = 1
    for _ in range(3000):  # loses 2998 of every 2999 packets: nearly nine million
        sequence += 2999
        ours.receive(rtp(7, sequence & 0xFFFF), 0.2)
    (block,) = blocks_about(next_report(ours)[1], 7)
    assert (block.cumulative_lost, block.fraction_lost) == (0x7FFFFF, 255)


def test_an_even_stream_has_no_jitter() -> None:
    ours = session()
    hear(ours, 7, 1.0, count=100)
    assert ours.sources[7].jitter_s == pytest.approx(0.0, abs=1e-4)


def test_jitter_follows_the_formula() -> None:
    ours = session()
    jitter = 0.0
    for turn in range(20):
        late_s = 0.010 if turn % 2 else 0.0
        ours.receive(rtp(7, 1 + turn, timestamp=turn * 960), 1.0 + turn * 0.02 + late_s)
        if turn:
            jitter += (0.010 * 48000 - jitter) / 16
    assert ours.sources[7].jitter_s * 48000 == pytest.approx(jitter, abs=2)
    (block,) = blocks_about(next_report(ours)[1], 7)
    assert block.jitter == pytest.approx(jitter, abs=2)


def test_the_end_of_a_wrap_around_of_timestamps_is_no_jitter() -> None:
    ours = session()
    for turn in range(10):
        ours.receive(rtp(7, 1 + turn, timestamp=0xFFFFFFFF - 4000 + turn * 960), 1 + turn * 0.02)
    assert ours.sources[7].jitter_s == pytest.approx(0.0, abs=1e-4)


def test_a_new_media_clock_is_no_jitter() -> None:
    ours = session()
    hear(ours, 7, 1.0, count=10)
    for turn in range(10):
        ours.receive(rtp(7, 11 + turn, timestamp=3_000_000_000 + turn * 960), 1.2 + turn * 0.02)
    assert ours.sources[7].jitter_s == pytest.approx(0.0, abs=1e-4)


def test_the_last_sender_report_is_referred_to() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    ours.receive(compose(SenderReport(7, 0x0123_4567_89AB_CDEF, 960, 2, 10)), 0.25)
    now, packets = next_report(ours)
    (block,) = blocks_about(packets, 7)
    assert block.last_sr == 0x4567_89AB
    assert block.delay_since_sr == pytest.approx((now - 0.25) * 65536, abs=1)


def test_without_a_sender_report_there_is_nothing_to_refer_to() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    (block,) = blocks_about(next_report(ours)[1], 7)
    assert (block.last_sr, block.delay_since_sr) == (0, 0)


def exchange(delay_s: float) -> tuple[RtpSession, RtpSession]:
    """We send a report, they answer 0.2 s after it came; each way takes `delay_s`."""
    ours, theirs = session("us", 1), session("them", 2)
    for turn in range(3):
        packet = ours.send("a", OPUS, turn * 960, b"x", 0.1)
        theirs.receive(packet, 0.1 + delay_s)
    now = ours.next_deadline()
    for output in ours.handle_timer(now):
        theirs.receive(output.datagram, now + delay_s)  # type: ignore[union-attr]
    answered = now + delay_s + 0.2
    for source in theirs.sources.values():
        block = source.report(answered)
        answer = compose_compound(
            [
                ReceiverReport(theirs.local("a").ssrc, (block,)),
                sdes(theirs.local("a").ssrc, (1, "them")),
            ]
        )
    ours.receive(answer, answered + delay_s)
    return ours, theirs


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.05, 1.5])
def test_the_round_trip_comes_out_of_the_reports(delay_s: float) -> None:
    ours, theirs = exchange(delay_s)
    ssrc = theirs.local("a").ssrc
    assert ours.sources[ssrc].round_trip_s == pytest.approx(2 * delay_s, abs=1e-3)
    report = ours.local("a").reports[ssrc]
    assert report.round_trip_s == ours.sources[ssrc].round_trip_s
    assert (report.fraction_lost, report.lost) == (0.0, 0)
    assert report.highest_sequence & 0xFFFF == (ours.local("a").sequence - 1) & 0xFFFF


def test_an_absurd_round_trip_is_no_round_trip() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    ours.send("a", OPUS, 0, b"x", 0.2)
    block = ours.sources[7].report(0.3)
    forged = type(block)(ours.local("a").ssrc, 128, 5, 9, 4800, 0x12345678, 0)
    ours.receive(compose(ReceiverReport(7, (forged,))), 0.5)
    report = ours.local("a").reports[7]
    assert report.round_trip_s is None
    assert (report.fraction_lost, report.lost, report.jitter_s) == (0.5, 5, 0.1)
    assert ours.sources[7].round_trip_s is None


def test_wallclock_time_comes_from_the_sender_report() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    source = ours.sources[7]
    assert source.wallclock(0) is None
    ntp = (1_800_000_000 + NTP_UNIX_OFFSET_S) << 32
    ours.receive(compose(SenderReport(7, ntp, 0xFFFFFF00, 2, 10)), 0.2)
    assert source.wallclock(0xFFFFFF00) == 1_800_000_000.0
    assert source.wallclock((0xFFFFFF00 + 48000) & 0xFFFFFFFF) == 1_800_000_001.0
    assert source.wallclock(0xFFFFFF00 - 24000) == 1_799_999_999.5


def test_only_sources_that_sent_since_the_last_report_are_reported() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    assert len(blocks_about(next_report(ours)[1], 7)) == 1
    assert blocks_about(next_report(ours)[1], 7) == []
    hear(ours, 7, ours.next_deadline() - 0.1, sequence=3, count=1)
    assert len(blocks_about(next_report(ours)[1], 7)) == 1


def test_reports_go_out_under_our_ssrc_of_the_same_section() -> None:
    ours = session(sections=(AUDIO, VIDEO))
    hear(ours, 7, 0.1)
    hear(ours, 8, 0.1, payload_type=VP8)
    _, packets = next_report(ours)
    reports = of_type(packets, ReceiverReport)
    assert {r.ssrc: [b.ssrc for b in r.reports] for r in reports} == {
        ours.local("a").ssrc: [7],
        ours.local("v").ssrc: [8],
    }
    assert [type(p) for p in packets] == 2 * [ReceiverReport] + 2 * [SourceDescription]


def test_more_than_31_sources_take_several_receiver_reports() -> None:
    ours = session()
    for ssrc in range(100, 135):
        hear(ours, ssrc, 0.1)
    _, packets = next_report(ours)
    reports = of_type(packets, ReceiverReport)
    assert [len(r.reports) for r in reports] == [31, 4]
    assert {r.ssrc for r in reports} == {ours.local("a").ssrc}
    assert sorted(b.ssrc for r in reports for b in r.reports) == list(range(100, 135))


def test_more_sources_than_a_datagram_holds_take_turns() -> None:
    ours = session()
    reported: list[int] = []
    for turn in range(4):
        for ssrc in range(100, 200):
            hear(ours, ssrc, ours.next_deadline() - 0.1, sequence=1 + 2 * turn)
        _, packets = next_report(ours)
        blocks = [b for r in of_type(packets, ReceiverReport) for b in r.reports]
        assert len(blocks) > 31
        reported += [b.ssrc for b in blocks]
    assert set(reported) == set(range(100, 200))
    assert max(reported.count(ssrc) for ssrc in range(100, 200)) == 2


def test_a_report_still_fits_with_long_descriptions_of_two_sections() -> None:
    ours = session(sections=(AUDIO, VIDEO), identity=LONG)
    for ssrc in range(100, 150):
        hear(ours, ssrc, 0.1)
    _, packets = next_report(ours)  # checks the size
    assert sum(len(r.reports) for r in of_type(packets, ReceiverReport)) > 10


def test_reports_about_us_are_kept_per_reporter_and_forgotten_with_them() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    block = ours.sources[7].report(0.2)
    about_us = type(block)(ours.local("a").ssrc, 0, 0, 1, 0, 0, 0)
    report = [ReceiverReport(7, (about_us,)), sdes(7, (1, "them"))]
    ours.receive(compose_compound(report), 0.3)
    assert set(ours.local("a").reports) == {7}
    ours.receive(compose(Goodbye((7,))), 0.4)
    assert not ours.local("a").reports


def about_us(ours: RtpSession, reporter: int, fraction: int) -> bytes:
    """A receiver report that says how our sound arrives, and no name."""
    block = ReportBlock(ours.local("a").ssrc, fraction, 0, 1, 0, 0, 0)
    return compose(ReceiverReport(reporter, (block,)))


def acquainted() -> RtpSession:
    """A session that knows 7, whose RTP comes from one port and RTCP from the next, at 1.0."""
    ours = session()
    for turn in range(2):
        ours.receive(rtp(7, turn), 1.0, ("them", 5004))
    named = compose_compound([ReceiverReport(7, ()), sdes(7, (1, "them"))])
    ours.receive(named + about_us(ours, 7, 64), 1.0, ("them", 5005))
    assert ours.local("a").reports[7].fraction_lost == 0.25
    return ours


def test_a_report_from_a_strange_address_does_not_replace_a_members() -> None:
    ours = acquainted()
    for after_s in (0.1, 3.0, 4.0):  # reports are seconds apart: silence in between is no absence
        ours.receive(about_us(ours, 7, 255), 1.0 + after_s, ("stranger", 1))
    assert ours.local("a").reports[7].fraction_lost == 0.25
    assert ours.stats.foreign_collisions == 3
    ours.receive(about_us(ours, 7, 128), 5.5, ("them", 5005))
    assert ours.local("a").reports[7].fraction_lost == 0.5


def test_a_member_may_report_from_where_its_media_comes() -> None:
    ours = acquainted()
    ours.receive(about_us(ours, 7, 128), 1.5, ("them", 5004))
    assert ours.local("a").reports[7].fraction_lost == 0.5


def test_a_member_that_moved_is_believed_after_two_intervals_of_silence() -> None:
    ours = acquainted()
    ours.receive(about_us(ours, 7, 128), 11.5, ("elsewhere", 1))
    assert ours.local("a").reports[7].fraction_lost == 0.5


def test_reports_of_strangers_are_not_kept() -> None:
    ours = acquainted()
    for reporter in range(1000, 6000):
        ours.receive(about_us(ours, reporter, 255), 1.1, ("stranger", 1))
    assert set(ours.local("a").reports) == {7}
    assert set(ours.sources) == {7}


def test_reports_under_ssrcs_beside_a_member_count_and_are_bounded() -> None:
    # A browser reports under an SSRC of its own where it only receives.
    ours = acquainted()
    ours.receive(about_us(ours, 1, 128), 1.1, ("them", 5005))
    assert ours.local("a").reports[1].fraction_lost == 0.5
    for reporter in range(1000, 6000):
        ours.receive(about_us(ours, reporter, 255), 1.2, ("them", 5005))
        ours.receive(about_us(ours, 7, 64), 1.2, ("them", 5005))
    assert len(ours.local("a").reports) == MAX_REPORTERS
    assert ours.local("a").reports[7].fraction_lost == 0.25
    assert set(ours.sources) == {7}


def test_a_stranger_cannot_ask_or_slow_us() -> None:
    ours = acquainted()
    own = ours.local("a").ssrc
    for request in (PictureLoss(9, own), Nack(9, own, (1,)), Remb(9, 1000, (own,))):
        assert ours.receive(compose(request), 1.1, ("stranger", 1)) == []
        assert len(ours.receive(compose(request), 1.1, ("them", 5005))) == 1


def test_jitter_uses_the_rate_of_the_payload_type() -> None:
    formats = (PayloadFormat(0, "PCMU", 8000),)
    ours = session(sections=(Section("a", MediaType.AUDIO, formats),))
    for turn in range(400):
        late_s = 0.010 if turn % 2 else 0.0
        packet = rtp(7, turn, timestamp=turn * 160, payload_type=0)
        ours.receive(packet, 1.0 + turn * 0.02 + late_s)
    assert ours.sources[7].jitter_s == pytest.approx(0.010, rel=0.02)


def test_nothing_is_sent_before_it_is_due() -> None:
    ours = session()
    assert sent(ours.handle_timer(ours.next_deadline() - 0.01)) == []
