"""Asking for key frames and lost packets, and being asked (RFC 4585, 4588, 5104, 5506; REMB)."""

import pytest
from sessions import (
    AUDIO,
    EXTENSIONS,
    OPUS,
    RTX,
    VIDEO,
    VP8,
    hear,
    media,
    next_report,
    of_type,
    rtp,
    sdes,
    sent,
    session,
)

from ipconf.engine.early_feedback import KEY_FRAME_SPACING_S, MAX_NACK_SEQUENCES
from ipconf.engine.outputs import (
    BitrateLimited,
    KeyFrameRequested,
    ResendRequested,
    SourceHeard,
)
from ipconf.engine.rtcp_receiver import MAX_RESEND_SEQUENCES
from ipconf.engine.rtcp_wire import (
    FullIntra,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.engine.rtp_wire import parse_rtp
from ipconf.engine.sent_packets import (
    HISTORY_PACKETS,
    RESEND_BURST_OCTETS,
    RESEND_SHARE,
    RESEND_SPACING_S,
)
from ipconf.engine.session import PayloadFormat, RtpSession, Section
from ipconf.model import MediaType


def video_session(*feedback: str, rtx: bool = True, **values: object) -> RtpSession:
    formats = [PayloadFormat(VP8, "VP8", 90000, feedback=frozenset(feedback))]
    if rtx:
        formats.append(PayloadFormat(RTX, "RTX", 90000, apt=VP8))
    return session(sections=(Section("v", MediaType.VIDEO, tuple(formats)),), **values)


def receiving(*feedback: str, **values: object) -> RtpSession:
    """A session that receives video of source 7, packets 1 and 2."""
    ours = video_session(*feedback, **values)
    hear(ours, 7, 0.1, payload_type=VP8)
    return ours


# -- asking


def test_a_key_frame_is_asked_for_at_once() -> None:
    ours = receiving("nack pli")
    (packets,) = sent(ours.request_key_frame(7, 0.2))
    assert [type(p) for p in packets] == [ReceiverReport, SourceDescription, PictureLoss]
    assert packets[-1] == PictureLoss(ours.local("v").ssrc, 7)
    assert packets[0].reports == ()  # the loss interval goes on


def test_reduced_size_feedback_stands_alone() -> None:
    ours = receiving("nack pli", reduced_size=True)
    (packets,) = sent(ours.request_key_frame(7, 0.2))
    assert packets == [PictureLoss(ours.local("v").ssrc, 7)]


def test_a_key_frame_is_not_asked_for_all_the_time() -> None:
    ours = receiving("nack pli")
    hear(ours, 8, 0.1, payload_type=VP8)
    assert ours.request_key_frame(7, 1.0)
    assert not ours.request_key_frame(7, 1.0 + 0.9 * KEY_FRAME_SPACING_S)
    assert ours.request_key_frame(8, 1.1)
    assert ours.request_key_frame(7, 1.0 + KEY_FRAME_SPACING_S)


def test_fir_is_used_where_only_that_was_negotiated() -> None:
    ours = receiving("ccm fir")
    for number in (1, 2, 3):
        (packets,) = sent(ours.request_key_frame(7, float(number)))
        assert packets[-1] == FullIntra(ours.local("v").ssrc, ((7, number),))


def test_pli_goes_before_fir() -> None:
    (packets,) = sent(receiving("ccm fir", "nack pli").request_key_frame(7, 1.0))
    assert isinstance(packets[-1], PictureLoss)


def test_nothing_is_asked_that_was_not_negotiated() -> None:
    ours = receiving()
    assert ours.request_key_frame(7, 1.0) == ours.request_resend(7, [1], 1.0) == []


def test_nothing_is_asked_of_who_is_not_there() -> None:
    ours = receiving("nack", "nack pli")
    assert ours.request_key_frame(8, 1.0) == ours.request_resend(8, [1], 1.0) == []
    assert ours.request_resend(7, [], 1.0) == []


def test_missing_packets_are_asked_for_once_each() -> None:
    ours = receiving("nack")
    (packets,) = sent(ours.request_resend(7, [5, 6, 6, 9], 1.0))
    assert packets[-1] == Nack(ours.local("v").ssrc, 7, (5, 6, 9))


def test_no_more_is_asked_for_than_is_worth_it() -> None:
    ours = receiving("nack")
    (packets,) = sent(ours.request_resend(7, range(5000), 1.0))
    assert packets[-1].sequences == tuple(range(MAX_NACK_SEQUENCES))


def test_feedback_keeps_to_the_bandwidth_and_waits_its_turn() -> None:
    ours = receiving("nack", reduced_size=True, bandwidth_bps=64_000)
    next_report(ours)  # a regular one, so that none is due for a while
    begin = ours.next_deadline() - 2.0
    octets = 0
    for turn in range(1000):
        now = begin + turn * 0.001
        outputs = ours.request_resend(7, [turn], now) + (
            ours.handle_timer(now) if now >= ours.next_deadline() else []
        )
        octets += sum(len(o.datagram) + 28 for o in outputs)
    # The burst, half of 400 octets per second for a second, and the one that overdraws.
    assert 1500 < octets < 1500 + 200 + 200


def test_feedback_that_waited_goes_with_the_next_report() -> None:
    ours = receiving("nack", "nack pli")
    hear(ours, 8, 0.1, payload_type=VP8)
    group(ours)
    next_report(ours)
    due = ours.next_deadline()
    assert ours.request_key_frame(8, due - 0.1) == []
    now, packets = next_report(ours)
    assert now >= due
    assert of_type(packets, PictureLoss) == [PictureLoss(ours.local("v").ssrc, 8)]


def group(ours: RtpSession, now: float = 0.2) -> None:
    """Let there be people at several addresses."""
    for ssrc in (41, 42, 43):
        report = compose_compound([ReceiverReport(ssrc, ()), sdes(ssrc, (1, f"c{ssrc}"))])
        ours.receive(report, now, f"address {ssrc}")


def test_in_a_group_feedback_waits_a_random_time() -> None:
    ours = receiving("nack pli", reduced_size=True)
    group(ours)
    now, _ = next_report(ours)
    assert ours.request_key_frame(7, now + 0.1) == []
    assert now + 0.1 <= ours.next_deadline() <= now + 0.1 + 2.5
    when, packets = next_report(ours)
    assert packets == [PictureLoss(ours.local("v").ssrc, 7)]
    assert when <= now + 2.6


def test_in_a_group_the_same_request_of_another_is_enough() -> None:
    ours = receiving("nack pli", "nack", reduced_size=True)
    group(ours)
    now, _ = next_report(ours)
    ours.request_key_frame(7, now + 0.1)
    ours.receive(compose(PictureLoss(41, 7)), now + 0.1, "address 41")
    ours.request_resend(7, [5, 6], now + 0.1)
    ours.receive(compose(Nack(42, 7, (4, 5, 6, 7))), now + 0.1, "address 42")
    _, packets = next_report(ours)
    assert not of_type(packets, PictureLoss | Nack)


def test_in_a_group_another_request_of_another_is_not_enough() -> None:
    ours = receiving("nack pli", "nack", reduced_size=True)
    group(ours)
    now, _ = next_report(ours)
    ours.request_resend(7, [5, 6], now + 0.1)
    ours.receive(compose(Nack(42, 7, (5,))), now + 0.1, "address 42")
    ours.receive(compose(PictureLoss(41, 7)), now + 0.1, "address 41")
    ours.receive(compose(Nack(42, 8, (5, 6))), now + 0.1, "address 42")
    _, packets = next_report(ours)
    assert packets == [Nack(ours.local("v").ssrc, 7, (5, 6))]


def test_in_a_group_an_early_report_makes_the_next_one_late() -> None:
    ours = receiving("nack pli", reduced_size=True)
    group(ours)
    last, _ = next_report(ours)
    regular = ours.next_deadline()
    ours.request_key_frame(7, last + 0.1)
    early, _ = next_report(ours)
    assert ours.next_deadline() == pytest.approx(last + 2 * (regular - last))
    assert ours.request_key_frame(7, early + 1.0) == []
    assert ours.next_deadline() == pytest.approx(last + 2 * (regular - last))


def test_in_a_group_early_reports_are_allowed_again_after_a_regular_one() -> None:
    ours = receiving("nack pli", reduced_size=True)
    group(ours)
    regular, _ = next_report(ours)
    early = 0
    for _ in range(20):
        hear(ours, 7, regular, payload_type=VP8)
        group(ours, regular)
        assert not ours.request_key_frame(7, regular + 0.1)
        regular, packets = next_report(ours)
        assert isinstance(packets[-1], PictureLoss)
        if packets[:-1] == []:
            early += 1
            regular, packets = next_report(ours)
        assert isinstance(packets[0], ReceiverReport)
    assert early > 10  # the others came so late that the regular report was as good


def test_a_request_that_waits_is_dropped_with_the_ssrc_it_names() -> None:
    ours = receiving("nack pli")
    group(ours)
    now, _ = next_report(ours)
    ours.request_key_frame(7, now + 0.1)
    ours.receive(rtp(ours.local("v").ssrc, 9, payload_type=VP8), now + 0.1, "elsewhere")
    assert not of_type(next_report(ours)[1], PictureLoss)


# -- being asked


def test_a_picture_loss_of_ours_is_told() -> None:
    ours = video_session("nack pli")
    ssrc = ours.local("v").ssrc
    assert ours.receive(compose(PictureLoss(7, ssrc)), 1.0) == [KeyFrameRequested(ssrc)]
    assert ours.receive(compose(PictureLoss(7, 99)), 1.0) == []


def test_a_repeated_fir_is_one_request() -> None:
    ours = video_session("ccm fir")
    ssrc = ours.local("v").ssrc
    for number, asked in ((1, True), (1, False), (2, True), (1, True)):
        outputs = ours.receive(compose(FullIntra(7, ((99, 1), (ssrc, number)))), 1.0)
        assert outputs == ([KeyFrameRequested(ssrc)] if asked else [])


def test_a_nack_of_ours_is_told_with_each_packet_once_and_bounded() -> None:
    ours = video_session("nack")
    ssrc = ours.local("v").ssrc
    nack = Nack(7, ssrc, (5, 6, 5, 9))
    assert ours.receive(compose(nack), 1.0) == [ResendRequested(ssrc, (5, 6, 9))]
    (request,) = ours.receive(compose(Nack(7, ssrc, tuple(range(2000)))), 1.0)
    assert len(request.sequences) == MAX_RESEND_SEQUENCES


def test_a_bit_rate_limit_of_ours_is_told() -> None:
    ours = video_session()
    ssrc = ours.local("v").ssrc
    outputs = ours.receive(compose(Remb(7, 300_000, (99, ssrc))), 1.0)
    assert outputs == [BitrateLimited(300_000, (ssrc,))]
    assert ours.receive(compose(Remb(7, 300_000, (99,))), 1.0) == []


# -- repeating


def test_a_repeat_is_a_retransmission() -> None:
    ours = video_session("nack")
    local = ours.local("v")
    sequence = local.sequence
    ours.send("v", VP8, 4711, b"picture", 1.0, marker=True)
    repeat = ours.resend("v", sequence, 1.0)
    assert repeat is not None
    packet = parse_rtp(repeat, EXTENSIONS)
    assert (packet.ssrc, packet.payload_type) == (local.rtx_ssrc, RTX)
    assert (packet.timestamp, packet.marker) == (4711, True)
    assert packet.payload == sequence.to_bytes(2, "big") + b"picture"
    assert packet.mid == "v"
    again = ours.resend("v", sequence, 1.0 + RESEND_SPACING_S)
    assert again is not None
    assert parse_rtp(again, EXTENSIONS).sequence == (packet.sequence + 1) & 0xFFFF
    assert (local.packets, local.resent, ours.stats.rtp_sent) == (1, 2, 3)


def test_without_rtx_a_repeat_is_the_same_packet() -> None:
    ours = video_session("nack", rtx=False)
    assert ours.local("v").rtx_ssrc is None
    sequence = ours.local("v").sequence
    original = ours.send("v", VP8, 0, b"picture", 1.0)
    assert ours.resend("v", sequence, 1.0) == original


def test_a_packet_is_not_repeated_twice_at_once() -> None:
    ours = video_session("nack")
    sequence = ours.local("v").sequence
    ours.send("v", VP8, 0, b"picture", 1.0)
    assert ours.resend("v", sequence, 1.0)
    assert ours.resend("v", sequence, 1.0 + RESEND_SPACING_S / 2) is None


def test_what_is_not_kept_is_not_repeated() -> None:
    ours = session(sections=(AUDIO, VIDEO))
    first = ours.local("v").sequence
    for turn in range(HISTORY_PACKETS + 1):
        ours.send("v", VP8, turn, b"picture", 1.0)
    assert ours.resend("v", first, 2.0) is None
    assert ours.resend("v", (first + 1) & 0xFFFF, 2.0)
    assert ours.resend("v", (first + HISTORY_PACKETS + 1) & 0xFFFF, 2.0) is None
    audio = ours.local("a").sequence
    ours.send("a", OPUS, 0, b"sound", 1.0)
    assert ours.resend("a", audio, 2.0) is None


def flood(ours: RtpSession, begin: float, end: float, sending: bool = True) -> tuple[int, int]:
    """A peer asks for the last 200 packets every 20 ms, while we send: octets sent, repeated."""
    local = ours.local("v")
    original = repeated = 0
    for turn in range(round((end - begin) * 50)):
        now = begin + turn * RESEND_SPACING_S
        if sending:
            for _ in range(2):
                original += len(ours.send("v", VP8, round(now * 90000), bytes(1100), now))
        asked = [(local.sequence - 1 - back) & 0xFFFF for back in range(200)]
        for output in ours.receive(compose(Nack(7, local.ssrc, tuple(sorted(asked)))), now):
            assert isinstance(output, ResendRequested)
            for sequence in output.sequences:
                repeated += len(ours.resend("v", sequence, now) or b"")
    return original, repeated


def test_a_flood_of_requests_does_not_make_us_send_much_more() -> None:
    ours = receiving("nack")
    original, repeated = flood(ours, 1.0, 11.0)
    assert original > 1_000_000
    headers = 1.02  # those of retransmissions are longer by two octets and a name
    most = (RESEND_BURST_OCTETS + original * RESEND_SHARE) * headers
    assert 0.95 * most <= repeated <= most
    assert ours.stats.resends_refused > 50_000
    assert ours.stats.as_dict()["resends_refused"] == ours.stats.resends_refused
    assert flood(ours, 11.0, 21.0, sending=False)[1] <= 2400  # nothing sent, nothing repeated


def test_heavy_loss_that_comes_and_goes_is_repaired_in_full() -> None:
    ours = receiving("nack")
    local = ours.local("v")
    for turn in range(5000):
        now = 10 + turn * 0.02
        ours.send("v", VP8, turn * 1800, bytes(1100), now)
        if turn % 500 >= 300:  # for 4 s out of 10, every third packet
            sequence = (local.sequence - 1) & 0xFFFF
            assert turn % 3 or ours.resend("v", sequence, now + 0.01)
    assert ours.stats.resends_refused == 0


# -- receiving repeats


def repair(sequence: int, ssrc: int = 9, own_sequence: int = 700, **values: object) -> bytes:
    payload = sequence.to_bytes(2, "big") + b"media"
    return rtp(ssrc, own_sequence, 123, payload, payload_type=RTX, **values)


def signalled() -> RtpSession:
    formats = VIDEO.formats
    section = Section("v", MediaType.VIDEO, formats, ssrcs={7: "them", 9: "them"}, repair={9: 7})
    return session(sections=(section,))


def test_a_retransmission_becomes_the_packet_that_was_lost() -> None:
    ours = signalled()
    hear(ours, 7, 0.1, payload_type=VP8)
    ours.receive(rtp(7, 4, payload_type=VP8), 0.2)
    (packet,) = ours.receive(repair(3, marker=True), 0.3)
    assert (packet.ssrc, packet.sequence, packet.payload_type) == (7, 3, VP8)
    assert (packet.payload, packet.timestamp, packet.marker) == (b"media", 123, True)
    assert (packet.source, packet.extended, packet.arrival) == (ours.sources[7], 3, 0.3)
    source = ours.sources[7]
    assert (source.repaired, source.lost, ours.stats.repaired) == (1, 1, 1)
    assert 9 not in ours.sources


def test_a_retransmission_of_what_arrived_is_dropped() -> None:
    ours = signalled()
    hear(ours, 7, 0.1, payload_type=VP8)
    assert ours.receive(repair(2), 0.3) == []
    assert ours.stats.duplicates == 1


def test_the_original_after_its_retransmission_is_dropped() -> None:
    ours = signalled()
    hear(ours, 7, 0.1, payload_type=VP8)
    ours.receive(rtp(7, 4, payload_type=VP8), 0.2)
    assert media(ours.receive(repair(3), 0.3)) == [3]
    assert ours.receive(rtp(7, 3, payload_type=VP8), 0.4) == []
    assert ours.sources[7].lost == 0


def test_an_unsignalled_retransmission_belongs_to_the_only_source() -> None:
    ours = session(sections=(AUDIO, VIDEO))
    hear(ours, 6, 0.1)
    hear(ours, 7, 0.1, payload_type=VP8)
    ours.receive(rtp(7, 4, payload_type=VP8), 0.2)
    (packet,) = ours.receive(repair(3), 0.3)
    assert packet.source is ours.sources[7]


def test_of_several_sources_it_belongs_to_the_one_that_was_asked() -> None:
    ours = session(sections=(VIDEO,))
    for ssrc in (7, 8):
        hear(ours, ssrc, 0.1, payload_type=VP8)
        ours.receive(rtp(ssrc, 5, payload_type=VP8), 0.2)
    assert ours.receive(repair(3), 0.3) == []
    assert ours.stats.unassignable_repairs == 1
    ours.request_resend(8, [3], 0.3)
    (packet,) = ours.receive(repair(3), 0.4)
    assert packet.source is ours.sources[8]
    (packet,) = ours.receive(repair(4), 0.5)  # what was learned holds
    assert packet.source is ours.sources[8]


def test_a_retransmission_without_content_is_a_probe() -> None:
    ours = signalled()
    hear(ours, 7, 0.1, payload_type=VP8)
    assert ours.receive(rtp(9, 1, payload=b"\0\x03", payload_type=RTX), 0.3) == []
    assert ours.stats.probes == 1


def test_a_retransmission_of_nobody_is_dropped() -> None:
    ours = signalled()
    assert ours.receive(repair(3), 0.3) == []
    assert (ours.stats.unassignable_repairs, dict(ours.sources)) == (1, {})


def test_reports_of_a_retransmission_ssrc_make_no_source() -> None:
    ours = signalled()
    report = compose_compound([ReceiverReport(9, ()), sdes(9, (1, "them"))])
    assert ours.receive(report, 0.3) == []


def test_two_sessions_repair_each_others_losses() -> None:
    ours, theirs = session("us", 1, sections=(VIDEO,)), session("them", 2, sections=(VIDEO,))
    packets = [ours.send("v", VP8, turn * 3000, bytes([turn]), 0.1) for turn in range(20)]
    first = parse_rtp(packets[0], EXTENSIONS).sequence
    delivered = []
    for turn, packet in enumerate(packets):
        if turn not in (5, 6, 11):
            delivered += theirs.receive(packet, 0.2)
    missing = [(first + turn) & 0xFFFF for turn in (5, 6, 11)]
    (nack,) = theirs.request_resend(ours.local("v").ssrc, missing, 0.3)
    (request,) = of_type(ours.receive(nack.datagram, 0.4), ResendRequested)
    assert request == ResendRequested(ours.local("v").ssrc, tuple(missing))
    for sequence in request.sequences:
        repeat = ours.resend("v", sequence, 0.4)
        assert repeat is not None
        delivered += theirs.receive(repeat, 0.5)
    assert isinstance(delivered.pop(0), SourceHeard)
    assert sorted(p.extended - first for p in delivered) == list(range(20))
    assert {p.payload[0] for p in delivered} == set(range(20))
