"""RTCP datagrams: every byte string gives packets or a WireError, bad ones spoil no good ones."""

from dataclasses import replace

import pytest
from aiortc import rtp as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from ipconf.engine.rtcp_wire import (
    MAX_COUNT,
    PAYLOAD_FEEDBACK,
    TRANSPORT_FEEDBACK,
    App,
    ExtendedReport,
    FullIntra,
    Goodbye,
    Nack,
    OtherFeedback,
    PictureLoss,
    ReceiverReport,
    Remb,
    ReportBlock,
    RtcpPacket,
    SdesChunk,
    SdesItem,
    SenderReport,
    SourceDescription,
    compose,
    compose_compound,
    parse_compound,
)
from ipconf.errors import WireError
from ipconf.model import SdesType

modest = settings(max_examples=100, deadline=None, derandomize=True)

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
words = st.integers(0, 5).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))
short_text = st.text(max_size=60)  # at most 240 bytes

blocks = st.builds(ReportBlock, u32, u8, st.integers(-(1 << 23), (1 << 23) - 1), u32, u32, u32, u32)
block_tuples = st.lists(blocks, max_size=MAX_COUNT).map(tuple)
items = st.builds(SdesItem, u8.filter(lambda kind: kind not in (0, SdesType.PRIV)), short_text)
private_items = st.builds(
    SdesItem, st.just(8), st.text(max_size=31), prefix=st.text(min_size=1, max_size=31)
)
chunks = st.builds(SdesChunk, u32, st.lists(items | private_items, max_size=5).map(tuple))
remb_rates = st.builds(lambda m, e: m << e, st.integers(0, (1 << 18) - 1), st.integers(0, 63))

strategies: dict[str, st.SearchStrategy[RtcpPacket]] = {
    "SR": st.builds(
        SenderReport, u32, st.integers(0, (1 << 64) - 1), u32, u32, u32, block_tuples, words
    ),
    "RR": st.builds(ReceiverReport, u32, block_tuples, words),
    "SDES": st.builds(SourceDescription, st.lists(chunks, max_size=6).map(tuple)),
    "BYE": st.builds(Goodbye, st.lists(u32, max_size=MAX_COUNT).map(tuple), short_text),
    "APP": st.builds(
        App,
        st.integers(0, MAX_COUNT),
        u32,
        st.text(st.characters(max_codepoint=255), min_size=4, max_size=4),
        words,
    ),
    "XR": st.builds(ExtendedReport, u32, words),
    "NACK": st.builds(Nack, u32, u32, st.lists(u16, min_size=1, max_size=60).map(tuple)),
    "PLI": st.builds(PictureLoss, u32, u32),
    "FIR": st.builds(
        FullIntra, u32, st.lists(st.tuples(u32, u8), min_size=1, max_size=9).map(tuple)
    ),
    "REMB": st.builds(Remb, u32, remb_rates, st.lists(u32, max_size=9).map(tuple)),
    "transport feedback": st.builds(
        OtherFeedback, st.just(TRANSPORT_FEEDBACK), st.integers(2, 31), u32, u32, words
    ),
    "payload feedback": st.builds(
        OtherFeedback, st.just(PAYLOAD_FEEDBACK), st.sampled_from([2, 3, 5, 31]), u32, u32, words
    ),
}
packets = st.one_of(*strategies.values())

BLOCK = ReportBlock(0xB10C, 128, -5, 70_000, 12, 0x1234_5678, 65_536)
SR = SenderReport(1, 0x0123_4567_89AB_CDEF, 2, 3, 4, (BLOCK,))
CNAME = SourceDescription((SdesChunk(1, (SdesItem(SdesType.CNAME, "me@here"),)),))
BYE = Goodbye((1,), "supper")


def parse(data: bytes) -> list[RtcpPacket]:
    found, malformed = parse_compound(data)
    assert malformed == 0
    return found


def frame(packet_type: int, count: int, body: bytes, *, padding: bool = False) -> bytes:
    assert len(body) % 4 == 0
    head = 0x80 | (0x20 if padding else 0) | count
    return bytes((head, packet_type)) + (len(body) // 4).to_bytes(2, "big") + body


# Any bytes, any packet


@modest
@given(st.binary(max_size=120))
def test_any_bytes_give_packets_or_a_wire_error(data: bytes) -> None:
    try:
        found, malformed = parse_compound(data)
    except WireError as exc:
        assert str(exc)
    else:
        assert len(found) + malformed <= len(data) // 4 + 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(198, 209), st.integers(0, 63), words | st.just(b"REMB\2" + bytes(3))),
        min_size=1,
        max_size=5,
    )
)
def test_any_bodies_give_packets_that_can_be_sent_on(
    bodies: list[tuple[int, int, bytes]],
) -> None:
    data = b"".join(
        frame(kind, flags & 31, body, padding=flags > 31) for kind, flags, body in bodies
    )
    found, malformed = parse_compound(data)
    assert len(found) + malformed <= len(bodies)
    assert parse(compose_compound(found)) == found if found else True


@pytest.mark.parametrize("name", strategies)
def test_what_is_composed_is_parsed(name: str) -> None:
    @modest
    @given(strategies[name])
    def check(packet: RtcpPacket) -> None:
        data = compose(packet)
        assert len(data) % 4 == 0
        assert parse(data) == [packet]

    check()


@modest
@given(st.lists(packets, min_size=1, max_size=8))
def test_compounds_keep_order_and_everything(compound: list[RtcpPacket]) -> None:
    assert parse(compose_compound(compound)) == compound


@modest
@given(st.lists(packets, min_size=1, max_size=4), st.data())
def test_a_damaged_compound_raises_nothing_else(
    compound: list[RtcpPacket], data: st.DataObject
) -> None:
    octets = bytearray(compose_compound(compound))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(u8)
    cut = data.draw(st.integers(0, len(octets)))
    for damaged in (bytes(octets), bytes(octets[:cut])):
        try:
            found, _ = parse_compound(damaged)
        except WireError:
            continue
        assert all(compose(packet) for packet in found)


# The datagram


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc8\x00",
        b"\x00\xc8\x00\x00",
        b"\xc0\xc8\x00\x00",
        b"\x80\xc9\x00\x01\x00\x00\x00",
        b"\x80\xc9\xff\xff" + bytes(100),
    ],
)
def test_what_is_no_rtcp_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="are no RTCP"):
        parse_compound(data)


def test_a_bad_packet_in_the_middle_spoils_no_other() -> None:
    head, tail = compose_compound([SR, CNAME]), compose(BYE)
    for bad in (
        frame(200, 0, bytes(20)),  # a sender report is longer
        frame(201, 2, bytes(28)),  # one block, not two
        frame(201, 0, b""),
        frame(202, 2, bytes(8)),  # the second chunk is not there
        frame(202, 1, bytes(4) + b"\1\7me"),  # the CNAME goes beyond the packet
        frame(202, 1, bytes(4) + b"\6\1t\1"),  # as does its length
        frame(203, 2, bytes(4)),
        frame(204, 0, bytes(4)),
        frame(205, 1, bytes(8)),  # no sequence number
        frame(205, 9, bytes(4)),
        frame(206, 4, bytes(8)),
        frame(206, 4, bytes(12)),
        frame(206, 15, bytes(8) + b"REMB"),
        frame(206, 15, bytes(8) + b"REMB\2\0\0\0" + bytes(4)),
        frame(207, 0, b""),
        b"\x40" + compose(BYE)[1:],  # version 1
        frame(201, 0, bytes(7) + b"\4", padding=True),  # padding before the last packet
    ):
        assert parse_compound(head + bad + tail) == ([SR, CNAME, BYE], 1)


def test_a_packet_beyond_the_end_spoils_none_before_it() -> None:
    head = compose_compound([SR, CNAME])
    assert parse_compound(head + compose(BYE)[:-4]) == ([SR, CNAME], 1)
    for crumbs in (b"\x80", b"\x80\xcb", b"\x80\xcb\x00"):
        assert parse_compound(head + crumbs) == ([SR, CNAME], 1)


@pytest.mark.parametrize("packet_type", [192, 195, 199, 208, 223, 255])
def test_unknown_types_are_passed_over(packet_type: int) -> None:
    unknown = frame(packet_type, 31, b"whatever")
    assert parse(unknown) == []
    assert parse(compose(SR) + unknown + compose(BYE)) == [SR, BYE]


@pytest.mark.parametrize("packet", [CNAME, BYE, PictureLoss(1, 2), App(0, 1, "PING")])
def test_any_packet_may_come_alone_and_first(packet: RtcpPacket) -> None:
    assert parse(compose(packet)) == [packet]
    assert parse(compose(packet) + compose(SR)) == [packet, SR]


@pytest.mark.parametrize("padding", [4, 8, 252])
@pytest.mark.parametrize(
    "packet",
    [SR, ReceiverReport(1, (BLOCK,), b"ext."), CNAME, BYE, Goodbye((1, 2)), Nack(1, 2, (3,))],
)
def test_padding_of_the_last_packet_is_taken_off(packet: RtcpPacket, padding: int) -> None:
    plain = compose(packet)
    body = plain[4:] + bytes(padding - 1) + bytes((padding,))
    padded = frame(plain[1], plain[0] & 31, body, padding=True)
    assert parse(padded) == [packet]
    assert parse(compose(SR) + padded) == [SR, packet]


@pytest.mark.parametrize("padding", [0, 1, 3, 5, 12, 255])
def test_padding_that_cannot_be_is_malformed(padding: int) -> None:
    padded = frame(201, 0, bytes(7) + bytes((padding,)), padding=True)
    assert parse_compound(compose(BYE) + padded) == ([BYE], 1)
    assert parse_compound(padded) == ([], 1)


# Reports


def test_a_sender_report_byte_by_byte() -> None:
    assert compose(SR).hex(" ", 4) == (
        "81c8000c 00000001 01234567 89abcdef 00000002 00000003 00000004 "
        "0000b10c 80fffffb 00011170 0000000c 12345678 00010000"
    )


@pytest.mark.parametrize("lost", [0, 1, -1, (1 << 23) - 1, -(1 << 23)])
def test_cumulative_loss_is_signed(lost: int) -> None:
    report = ReceiverReport(1, (replace(BLOCK, cumulative_lost=lost),))
    assert parse(compose(report)) == [report]


def test_31_report_blocks_are_the_most() -> None:
    blocks = tuple(replace(BLOCK, ssrc=ssrc) for ssrc in range(MAX_COUNT))
    for report in (ReceiverReport(1, blocks), replace(SR, reports=blocks)):
        assert parse(compose(report)) == [report]
        with pytest.raises(WireError, match="31"):
            compose(replace(report, reports=(*blocks, BLOCK)))


def test_profile_extensions_of_reports_are_kept() -> None:
    for report in (replace(SR, extension=b"profile+"), ReceiverReport(1, (), b"profile+")):
        assert parse(compose(report)) == [report]
        with pytest.raises(WireError, match="whole 32-bit words"):
            compose(replace(report, extension=b"odd"))


# Source descriptions


@pytest.mark.parametrize("size", range(256))
def test_chunks_are_aligned_for_every_length_of_cname(size: int) -> None:
    cname = SdesItem(SdesType.CNAME, "c" * size)
    first = SdesChunk(1, (cname,))
    data = compose(SourceDescription((first,)))
    assert len(data) == 8 + (2 + size) // 4 * 4 + 4  # at least one zero byte, up to a full word
    both = SourceDescription((first, SdesChunk(2, (cname, SdesItem(SdesType.NAME, "Bo")))))
    assert parse(compose(both)) == [both]


def test_31_chunks_are_the_most() -> None:
    chunks = tuple(SdesChunk(n, (SdesItem(1, "c" * n),)) for n in range(MAX_COUNT))
    assert parse(compose(SourceDescription(chunks))) == [SourceDescription(chunks)]
    with pytest.raises(WireError, match="31"):
        compose(SourceDescription((*chunks, SdesChunk(99))))


def test_empty_things_are_accepted() -> None:
    for description in (
        SourceDescription(()),
        SourceDescription((SdesChunk(1),)),
        SourceDescription((SdesChunk(1, (SdesItem(SdesType.CNAME, ""),)), SdesChunk(2))),
    ):
        assert parse(compose(description)) == [description]
    assert parse(frame(202, 1, bytes(4) + b"\1\0\0\0")) == [
        SourceDescription((SdesChunk(0, (SdesItem(1, ""),)),))
    ]


def test_more_zeros_than_needed_do_no_harm() -> None:
    assert parse(frame(202, 1, compose(CNAME)[4:] + bytes(4))) == [CNAME]


def test_a_last_chunk_may_lack_its_end() -> None:
    (packet,) = parse(frame(202, 1, b"\0\0\0\1\1\2me"))
    assert packet == SourceDescription((SdesChunk(1, (SdesItem(1, "me"),)),))
    (packet,) = parse(frame(202, 1, b"\0\0\0\1\2\0\1\0"))
    assert packet == SourceDescription((SdesChunk(1, (SdesItem(2, ""), SdesItem(1, ""))),))
    assert parse(frame(202, 1, b"\0\0\0\1")) == [SourceDescription((SdesChunk(1),))]


def test_private_items_have_a_prefix() -> None:
    item = SdesItem(SdesType.PRIV, "blue", "colour")
    data = compose(SourceDescription((SdesChunk(1, (item,)),)))
    assert b"\x08\x0b\x06colourblue\0" in data
    nameless = SdesItem(SdesType.PRIV, "", "")
    longest = SdesItem(SdesType.PRIV, "x" * 200, "p" * 54)
    both = SourceDescription((SdesChunk(1, (item, nameless, longest)),))
    assert parse(compose(both)) == [both]


def test_a_broken_private_item_leaves_the_others() -> None:
    for broken in (b"\x08\0", b"\x08\3\3ab", b"\x08\2\xffa"):
        body = bytes(4) + b"\1\2me" + broken + b"\2\2Bo" + b"\0"
        (packet,) = parse(frame(202, 1, body + bytes(-len(body) % 4)))
        assert packet == SourceDescription((SdesChunk(0, (SdesItem(1, "me"), SdesItem(2, "Bo"))),))


def test_text_that_is_no_utf_8_is_replaced() -> None:
    (packet,) = parse(frame(202, 1, bytes(4) + b"\2\4caf\xe9\0\0"))
    assert packet == SourceDescription((SdesChunk(0, (SdesItem(2, "caf\ufffd"),)),))


def test_replaced_text_still_fits_an_item() -> None:
    for kind, value in ((1, b"\xff" * 255), (8, b"\x64" + b"\xff" * 254)):
        body = bytes(4) + bytes((kind, 255)) + value
        found = parse(frame(202, 1, body + bytes(4 - len(body) % 4)))
        assert parse(compose_compound(found)) == found


@pytest.mark.parametrize(
    "item",
    [
        SdesItem(1, "x" * 256),
        SdesItem(1, "\u00e9" * 128),
        SdesItem(1, "\ud800"),
        SdesItem(8, "x" * 200, "p" * 55),
        SdesItem(8, "x", "p" * 256),
        SdesItem(2, "x", "prefix"),
        SdesItem(0, "x"),
        SdesItem(256, "x"),
    ],
)
def test_items_that_do_not_fit_are_refused(item: SdesItem) -> None:
    with pytest.raises(WireError):
        compose(SourceDescription((SdesChunk(1, (item,)),)))


# BYE and APP


@pytest.mark.parametrize("size", range(256))
def test_reasons_of_every_length(size: int) -> None:
    goodbye = Goodbye((1, 2), "r" * size)
    data = compose(goodbye)
    assert parse(data) == [goodbye]
    assert len(data) == 12 + (0 if size == 0 else (1 + size + 3) // 4 * 4)


def test_goodbyes_at_the_edges() -> None:
    assert parse(frame(203, 0, b"")) == [Goodbye(())]
    assert parse(frame(203, 1, b"\0\0\0\7\0\0\0\0")) == [Goodbye((7,))]
    assert parse(frame(203, 1, b"\0\0\0\7\xffcut")) == [Goodbye((7,), "cut")]
    everyone = Goodbye(tuple(range(MAX_COUNT)), "closing time")
    assert parse(compose(everyone)) == [everyone]
    for goodbye in (Goodbye(tuple(range(32))), Goodbye((1,), "r" * 256), Goodbye((-1,))):
        with pytest.raises(WireError):
            compose(goodbye)


def test_names_of_app_packets_need_not_be_ascii() -> None:
    app = App(31, 1, "\0A\x80\xff", b"data")
    assert parse(compose(app)) == [app]


@pytest.mark.parametrize(
    "app", [App(32, 1, "NAME"), App(-1, 1, "NAME"), App(0, 1, "NAM"), App(0, 1, "NAM\u0100")]
)
def test_app_packets_that_do_not_fit_are_refused(app: App) -> None:
    with pytest.raises(WireError):
        compose(app)


# Feedback


def test_a_nack_covers_17_in_a_word_and_wraps_around() -> None:
    assert compose(Nack(1, 2, tuple(range(100, 117))))[12:].hex() == "0064ffff"
    assert compose(Nack(1, 2, tuple(range(100, 118))))[12:].hex() == "0064ffff" + "00750000"
    assert compose(Nack(1, 2, (65534, 65535, 0, 3)))[12:].hex() == "fffe0013"
    assert parse(compose(Nack(1, 2, (65534, 65535, 0, 3)))) == [Nack(1, 2, (65534, 65535, 0, 3))]


@given(remb=st.integers(0, (1 << 81) - 1))
@modest
def test_a_remb_keeps_18_bits_and_never_grows(remb: int) -> None:
    (packet,) = parse(compose(Remb(1, remb, (2,))))
    assert isinstance(packet, Remb)
    assert remb - (remb >> 17) <= packet.bitrate_bps <= remb


@pytest.mark.parametrize(
    "packet",
    [
        Nack(1, 2, ()),
        Nack(1, 2, (1 << 16,)),
        Nack(1, 2, (5, -1)),
        FullIntra(1, ()),
        FullIntra(1, ((2, 256),)),
        Remb(1, -1, ()),
        Remb(1, 1 << 81, ()),
        Remb(1, 1, tuple(range(256))),
        OtherFeedback(204, 1, 1, 2),
        OtherFeedback(205, 32, 1, 2),
        OtherFeedback(205, 15, 1, 2, b"odd"),
        PictureLoss(1, 1 << 32),
        ExtendedReport(1, bytes(1 << 18)),
        replace(SR, ntp=1 << 64),
        ReceiverReport(1, (replace(BLOCK, fraction_lost=256),)),
        ReceiverReport(1, (replace(BLOCK, cumulative_lost=1 << 23),)),
    ],
)
def test_values_that_do_not_fit_are_refused(packet: RtcpPacket) -> None:
    with pytest.raises(WireError):
        compose(packet)


def test_application_feedback_that_is_no_remb_is_kept() -> None:
    (packet,) = parse(frame(206, 15, bytes(7) + b"\1goog"))
    assert packet == OtherFeedback(PAYLOAD_FEEDBACK, 15, 0, 1, b"goog")


# Against a parser and composer that nobody here wrote


def theirs_of(block: ReportBlock) -> reference.RtcpReceiverInfo:
    return reference.RtcpReceiverInfo(
        ssrc=block.ssrc,
        fraction_lost=block.fraction_lost,
        packets_lost=block.cumulative_lost,
        highest_sequence=block.highest_sequence,
        jitter=block.jitter,
        lsr=block.last_sr,
        dlsr=block.delay_since_sr,
    )


@modest
@given(st.lists(blocks, max_size=MAX_COUNT), st.integers(0, (1 << 64) - 1), short_text)
def test_aiortc_and_this_package_read_each_others_reports(
    reported: list[ReportBlock], ntp: int, cname: str
) -> None:
    # One chunk each: the other side misreads several (its chunks are not aligned).
    info = reference.RtcpSenderInfo(ntp, 2, 3, 4)
    theirs: list[reference.AnyRtcpPacket] = [
        reference.RtcpSrPacket(1, info, [theirs_of(block) for block in reported]),
        reference.RtcpRrPacket(1, [theirs_of(block) for block in reported]),
        reference.RtcpSdesPacket([reference.RtcpSourceInfo(1, [(1, cname.encode())])]),
        reference.RtcpByePacket([1, 2]),
    ]
    ours: list[RtcpPacket] = [
        SenderReport(1, ntp, 2, 3, 4, tuple(reported)),
        ReceiverReport(1, tuple(reported)),
        SourceDescription((SdesChunk(1, (SdesItem(1, cname),)),)),
        Goodbye((1, 2)),
    ]
    assert parse(b"".join(map(bytes, theirs))) == ours
    assert reference.RtcpPacket.parse(compose_compound(ours)) == theirs


@modest
@given(st.lists(u16, min_size=1, max_size=40, unique=True).map(sorted), remb_rates)
def test_aiortc_and_this_package_read_each_others_feedback(missing: list[int], rate: int) -> None:
    remb = reference.pack_remb_fci(rate, [7, 8])
    theirs: list[reference.AnyRtcpPacket] = [
        reference.RtcpRtpfbPacket(reference.RTCP_RTPFB_NACK, 1, 2, missing),
        reference.RtcpPsfbPacket(reference.RTCP_PSFB_PLI, 1, 2),
        reference.RtcpPsfbPacket(reference.RTCP_PSFB_FIR, 1, 0, b"\0\0\0\7\5\0\0\0"),
        reference.RtcpPsfbPacket(reference.RTCP_PSFB_APP, 1, 0, remb),
    ]
    ours: list[RtcpPacket] = [
        Nack(1, 2, tuple(missing)),
        PictureLoss(1, 2),
        FullIntra(1, ((7, 5),)),
        Remb(1, rate, (7, 8)),
    ]
    assert parse(b"".join(map(bytes, theirs))) == ours
    assert compose_compound(ours) == b"".join(map(bytes, theirs))
