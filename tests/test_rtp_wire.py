"""RTP packets and header extensions: every byte string gives a packet or a WireError."""

from collections.abc import Callable

import pytest
from aiortc import rtp as reference
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from hypothesis import given, settings
from hypothesis import strategies as st

from ipconf.engine.rtp_wire import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    CSRC_LEVEL_URI,
    MAX_CSRCS,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    HeaderExtensions,
    RtpPacket,
    compose_extension,
    compose_rtp,
    is_rtcp,
    parse_rtp,
)
from ipconf.errors import WireError

modest = settings(max_examples=150, deadline=None, derandomize=True)

LEVEL, CSRC_LEVEL, SEND_TIME, MID, RID, REPAIRED = 1, 2, 3, 4, 10, 11
IDS = {
    AUDIO_LEVEL_URI: LEVEL,
    CSRC_LEVEL_URI: CSRC_LEVEL,
    ABS_SEND_TIME_URI: SEND_TIME,
    MID_URI: MID,
    RID_URI: RID,
    REPAIRED_RID_URI: REPAIRED,
    "urn:ietf:params:rtp-hdrext:toffset": 14,
}
KNOWN = HeaderExtensions(IDS)
NOTHING = HeaderExtensions({})

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
levels = st.integers(0, 127)


def packet_with(block: bytes, *, csrcs: tuple[int, ...] = ()) -> bytes:
    return compose_rtp(111, 7, 960, 0xDECAF, b"payload", csrcs=csrcs, extension=block)


def one_byte(elements: bytes) -> bytes:
    elements += bytes(-len(elements) % 4)
    return b"\xbe\xde" + (len(elements) // 4).to_bytes(2, "big") + elements


def two_byte(elements: bytes, appbits: int = 0) -> bytes:
    elements += bytes(-len(elements) % 4)
    return bytes((0x10, appbits)) + (len(elements) // 4).to_bytes(2, "big") + elements


def read(block: bytes, *, csrcs: tuple[int, ...] = ()) -> RtpPacket:
    packet = parse_rtp(packet_with(block, csrcs=csrcs), KNOWN)
    assert packet.payload == b"payload"  # whatever stands in the extension
    return packet


@modest
@given(st.binary(max_size=80))
def test_any_bytes_give_a_packet_or_a_wire_error(data: bytes) -> None:
    try:
        packet = parse_rtp(data, KNOWN)
    except WireError as exc:
        assert str(exc)
    else:
        assert len(packet.payload) + packet.padding <= len(data) - 12


@modest
@given(
    st.integers(0, 0x3F),
    st.binary(min_size=11, max_size=11),
    st.sampled_from([b"\xbe\xde", b"\x10\x00", b"\x10\x0f", b"\x12\x34"]),
    st.integers(0, 6),
    st.binary(max_size=40),
)
def test_any_bytes_behind_a_version_2_give_a_packet_or_a_wire_error(
    flags: int, head: bytes, profile: bytes, words: int, rest: bytes
) -> None:
    data = bytes((0x80 | flags,)) + head + profile + words.to_bytes(2, "big") + rest
    try:
        packet = parse_rtp(data, KNOWN)
    except WireError as exc:
        assert str(exc)
    else:
        assert len(packet.csrcs) == flags & 0x0F
        assert data.endswith(packet.payload + data[len(data) - packet.padding :])


@modest
@given(
    st.integers(0, 127),
    u16,
    u32,
    u32,
    st.binary(max_size=64),
    st.booleans(),
    st.lists(u32, max_size=MAX_CSRCS),
    st.none() | levels,
    st.booleans(),
    st.none() | st.text(min_size=1, max_size=20),
    st.none() | st.integers(0, 0xFF_FFFF),
    st.none() | st.text(min_size=1, max_size=8),
    st.integers(0, 15),
)
def test_what_is_composed_is_parsed(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool,
    csrcs: list[int],
    level: int | None,
    voice: bool,
    mid: str | None,
    send_time: int | None,
    rid: str | None,
    id_step: int,
) -> None:
    # With higher ids the same goes through two-byte headers.
    ids = HeaderExtensions({uri: number + id_step for uri, number in IDS.items()})
    csrc_levels = tuple(ssrc & 0x7F for ssrc in csrcs)
    block = compose_extension(
        ids,
        level=level,
        voice=voice,
        csrc_levels=csrc_levels,
        mid=mid,
        abs_send_time=send_time,
        rid=rid,
    )
    data = compose_rtp(
        payload_type,
        sequence,
        timestamp,
        ssrc,
        payload,
        marker=marker,
        csrcs=csrcs,
        extension=block,
    )
    packet = parse_rtp(data, ids)
    assert (packet.payload_type, packet.sequence) == (payload_type, sequence)
    assert (packet.timestamp, packet.ssrc) == (timestamp, ssrc)
    assert (packet.payload, packet.marker, packet.padding) == (payload, marker, 0)
    assert (packet.csrcs, packet.csrc_levels) == (tuple(csrcs), csrc_levels)
    assert (packet.level, packet.voice) == (level, voice and level is not None)
    assert (packet.mid, packet.abs_send_time, packet.rid) == (mid, send_time, rid)


def test_a_fresh_packet_is_nobodys() -> None:
    packet = parse_rtp(packet_with(b""), KNOWN)
    assert packet.source is None
    assert (packet.extended, packet.arrival) == (0, 0.0)
    assert "ssrc=000decaf" in repr(packet)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "at least 12"),
        (bytes(11), "at least 12"),
        (bytes(12), "version is 0"),
        (b"\x40" + bytes(11), "version is 1"),
        (b"\xc0" + bytes(11), "version is 3"),
        (b"\x81" + bytes(14), "1 CSRCs"),
        (b"\x8f" + bytes(70), "15 CSRCs"),
        (b"\x90" + bytes(14), "head of its header extension"),
        (b"\x90" + bytes(11) + b"\xbe\xde\x00\x02" + bytes(7), "2 words goes beyond"),
        (b"\x90" + bytes(11) + b"\xbe\xde\xff\xff" + bytes(40), "65535 words goes beyond"),
        (b"\xa0" + bytes(11), "0 bytes of padding"),
        (b"\xa0" + bytes(12), "0 bytes of padding"),
        (b"\xa0" + bytes(11) + b"\x02", "2 bytes of padding"),
        (b"\xa1" + bytes(15) + b"\x05\x05\x05\x05", "5 bytes of padding"),
    ],
)
def test_what_is_no_packet_says_why(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parse_rtp(data, KNOWN)


def test_padding_is_taken_off() -> None:
    head = b"\xa0" + compose_rtp(96, 1, 2, 3, b"")[1:]
    packet = parse_rtp(head + b"media" + b"\0\0\3", KNOWN)
    assert (packet.payload, packet.padding) == (b"media", 3)
    probe = parse_rtp(head + bytes(254) + b"\xff", KNOWN)
    assert (probe.payload, probe.padding) == (b"", 255)


@pytest.mark.parametrize("csrcs", [(), (5,), tuple(range(MAX_CSRCS))])
@pytest.mark.parametrize(
    "block", [b"", b"\xbe\xde\0\0", one_byte(b"\x10\x05\0\x40"), two_byte(b"\x01\x01\x05\x04")]
)
def test_an_empty_payload_is_a_packet(csrcs: tuple[int, ...], block: bytes) -> None:
    packet = parse_rtp(compose_rtp(13, 1, 2, 3, b"", csrcs=csrcs, extension=block), KNOWN)
    assert (packet.payload, packet.csrcs, packet.mid) == (b"", csrcs, None)
    assert packet.level == (5 if len(block) > 4 else None)


def test_extension_and_padding_and_csrcs_together() -> None:
    data = packet_with(one_byte(b"\x10\x85"), csrcs=(5, 6)) + b"\0\0\0\4"
    packet = parse_rtp(bytes((data[0] | 0x20,)) + data[1:], KNOWN)
    assert (packet.level, packet.voice, packet.csrcs) == (5, True, (5, 6))
    assert (packet.payload, packet.padding) == (b"payload", 4)


@modest
@given(st.sampled_from([1, 14, 15, 200, None]), st.binary(min_size=4, max_size=4), st.booleans())
def test_a_level_alone_is_read_as_among_others(
    number: int | None, word: bytes, marker: bool
) -> None:
    """Such packets have a way of their own; a word of padding behind it is no such packet."""
    known = HeaderExtensions({} if number is None else {AUDIO_LEVEL_URI: number, MID_URI: 4})
    for head in {word[0], (number or 0) << 4 & 0xFF, 0x40}:
        for rest in (word[2:], b"\0\0", b"\x40a", b"\x10\x05", b"\0\x05"):
            elements = bytes((head, word[1])) + rest
            short, long = (
                parse_rtp(
                    compose_rtp(111, 7, 960, 5, b"sound", marker=marker, extension=one_byte(block)),
                    known,
                )
                for block in (elements, bytes(4) + elements)
            )
            for name in RtpPacket.__slots__:
                assert getattr(short, name) == getattr(long, name), name


def test_a_level_alone() -> None:
    packet = read(one_byte(b"\x10\x85"))
    assert (packet.level, packet.voice, packet.marker) == (5, True, False)
    assert parse_rtp(packet_with(one_byte(b"\x10\x7f")), KNOWN).level == 127
    assert parse_rtp(packet_with(one_byte(b"\x10\x7f")), NOTHING).level is None


# Header extensions that are broken, or unusual


def test_a_level_of_two_bytes_is_no_level() -> None:
    assert read(one_byte(b"\x11\x85\x85")).level is None
    assert read(two_byte(b"\x01\x02\x85\x85")).level is None


def test_a_broken_element_does_not_hide_the_next() -> None:
    packet = read(one_byte(b"\x11\x85\x85" + b"\x30\x01" + b"\x40\xff" + b"\x40a" + b"\x10\x05"))
    assert (packet.level, packet.abs_send_time, packet.mid) == (5, None, "a")


def test_an_element_beyond_the_block_is_no_element() -> None:
    packet = read(one_byte(b"\x10\x05\x42a"))  # a mid of three bytes, one is there
    assert (packet.level, packet.mid) == (5, None)
    packet = read(two_byte(b"\x01\x01\x05\x04\x05abc"))
    assert (packet.level, packet.mid) == (5, None)
    assert read(two_byte(b"\x01\x01\x05\x04")).level == 5  # an id without its length


def test_an_extension_may_be_empty() -> None:
    assert read(b"\xbe\xde\0\0").level is None
    assert read(b"\x10\0\0\0").level is None


def test_padding_may_stand_between_elements() -> None:
    for block in (one_byte(b"\0\0\x10\x05\0\x40a"), two_byte(b"\0\0\0\x01\x01\x05\0\x04\x01a")):
        packet = read(block)
        assert (packet.level, packet.mid) == (5, "a")


@pytest.mark.parametrize("stop", [b"\xf0\0", b"\xff" + bytes(16), b"\x01\0\0", b"\x0f" + bytes(16)])
def test_id_15_and_id_0_with_a_length_end_the_block(stop: bytes) -> None:
    packet = read(one_byte(b"\x10\x05" + stop + b"\x40a"))
    assert (packet.level, packet.mid) == (5, None)


def test_id_15_has_its_meaning_in_two_byte_headers() -> None:
    ids = HeaderExtensions({MID_URI: 15})
    block = compose_extension(ids, mid="a")
    assert block == two_byte(b"\x0f\x01a")
    assert parse_rtp(packet_with(block), ids).mid == "a"


@pytest.mark.parametrize("appbits", range(16))
def test_two_byte_headers_with_any_appbits(appbits: int) -> None:
    assert read(two_byte(b"\x01\x01\x85", appbits)).level == 5


def test_two_byte_elements_may_be_empty() -> None:
    packet = read(two_byte(b"\x01\x00\x03\x00\x04\x00\x0a\x00\x04\x01a"))
    assert (packet.level, packet.abs_send_time, packet.mid, packet.rid) == (None, None, "a", None)


@pytest.mark.parametrize("profile", [b"\xbe\xdf", b"\x11\x00", b"\x20\x00", b"\0\0"])
def test_other_profiles_are_passed_over(profile: bytes) -> None:
    assert read(profile + b"\0\1\x10\x05\0\0").level is None


def test_ids_that_were_not_negotiated_mean_nothing() -> None:
    block = compose_extension(KNOWN, level=5, mid="a", abs_send_time=1)
    packet = parse_rtp(packet_with(block), NOTHING)
    assert (packet.level, packet.mid, packet.abs_send_time) == (None, None, None)
    assert read(one_byte(b"\xe2abc\x10\x05")).level == 5  # a URI that only others know


def test_text_that_is_no_utf_8_is_no_text() -> None:
    packet = read(one_byte(b"\x41\xff\xfe\xa0\x80"))
    assert (packet.mid, packet.rid) == (None, None)


def test_a_repair_packet_tells_the_stream_it_repairs() -> None:
    assert read(one_byte(bytes((REPAIRED << 4,)) + b"h")).repaired_rid == "h"


def test_levels_of_contributors_come_one_for_each() -> None:
    block = compose_extension(KNOWN, csrc_levels=(3, 127))
    assert read(block, csrcs=(8, 9)).csrc_levels == (3, 127)
    assert read(block, csrcs=(8,)).csrc_levels == ()
    assert read(block).csrc_levels == ()
    assert read(one_byte(b"\x20\xff"), csrcs=(8,)).csrc_levels == (127,)  # the top bit is reserved


# Composing


def test_the_block_of_a_level() -> None:
    assert compose_extension(KNOWN, level=5) == b"\xbe\xde\0\1\x10\x05\0\0"
    assert compose_extension(KNOWN, level=5, voice=True) == b"\xbe\xde\0\1\x10\x85\0\0"


def test_nothing_negotiated_or_given_makes_no_block() -> None:
    assert compose_extension(NOTHING, level=5, mid="a", rid="b", abs_send_time=1) == b""
    assert compose_extension(NOTHING, csrc_levels=(1,)) == b""
    assert compose_extension(KNOWN, mid="", rid="") == b""
    assert compose_extension(KNOWN) == b""


@pytest.mark.parametrize(
    ("octet", "level", "voice"), [(0, 0, False), (127, 127, False), (128, 0, True)]
)
def test_the_top_bit_of_a_level_is_voice(octet: int, level: int, voice: bool) -> None:
    packet = read(one_byte(bytes((0x10, octet))))
    assert (packet.level, packet.voice) == (level, voice)


@pytest.mark.parametrize("identifier", range(1, 256))
def test_ids_over_14_take_two_byte_headers(identifier: int) -> None:
    ids = HeaderExtensions({MID_URI: identifier})
    block = compose_extension(ids, mid="a")
    assert block[:2] == (b"\xbe\xde" if identifier <= 14 else b"\x10\x00")
    assert parse_rtp(packet_with(block), ids).mid == "a"


def test_a_long_value_takes_two_byte_headers_for_all() -> None:
    assert compose_extension(KNOWN, mid="m" * 16)[:2] == b"\xbe\xde"
    block = compose_extension(KNOWN, level=5, mid="m" * 17)
    assert block[:2] == b"\x10\x00"
    packet = read(block)
    assert (packet.level, packet.mid) == (5, "m" * 17)


@pytest.mark.parametrize(
    "values",
    [
        {"level": 128},
        {"level": -1},
        {"csrc_levels": (1, 200)},
        {"abs_send_time": 1 << 24},
        {"abs_send_time": -1},
        {"mid": "m" * 256},
        {"mid": "\ud800"},
    ],
)
def test_values_that_do_not_fit_an_element_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(WireError, match="does not fit its header extension"):
        compose_extension(KNOWN, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "compose",
    [
        lambda: compose_rtp(128, 0, 0, 0, b""),
        lambda: compose_rtp(-1, 0, 0, 0, b""),
        lambda: compose_rtp(0, 1 << 16, 0, 0, b""),
        lambda: compose_rtp(0, 0, 1 << 32, 0, b""),
        lambda: compose_rtp(0, 0, 0, -1, b""),
        lambda: compose_rtp(0, 0, 0, 0, b"", csrcs=range(16)),
        lambda: compose_rtp(0, 0, 0, 0, b"", csrcs=(1 << 32,)),
        lambda: compose_rtp(0, 0, 0, 0, b"", extension=b"\xbe\xde\0\0\0"),
    ],
)
def test_values_that_do_not_fit_the_header_are_refused(compose: Callable[[], bytes]) -> None:
    with pytest.raises(WireError):
        compose()


@pytest.mark.parametrize("ids", [{MID_URI: 0}, {MID_URI: 256}, {MID_URI: 3, RID_URI: 3}])
def test_ids_must_be_usable_and_unique(ids: dict[str, int]) -> None:
    with pytest.raises(WireError):
        HeaderExtensions(ids)


def test_extensions_do_not_change_afterwards() -> None:
    ids = {MID_URI: 4}
    extensions = HeaderExtensions(ids)
    ids[RID_URI] = 5
    assert extensions.ids == {MID_URI: 4}
    assert extensions == HeaderExtensions({MID_URI: 4}) != NOTHING


def test_rtcp_is_told_apart_by_its_second_byte() -> None:
    told = [number for number in range(256) if is_rtcp(bytes((0x80, number)))]
    assert told == list(range(192, 224))
    assert not is_rtcp(b"")
    assert not is_rtcp(b"\x80")


# Against a parser and composer that nobody here wrote


def reference_ids() -> reference.HeaderExtensionsMap:
    names = RTCRtpParameters(
        headerExtensions=[
            RTCRtpHeaderExtensionParameters(id=number, uri=uri) for uri, number in IDS.items()
        ]
    )
    known = reference.HeaderExtensionsMap()
    known.configure(names)
    return known


@modest
@given(
    st.booleans(),
    st.integers(0, 127),
    st.binary(min_size=1, max_size=30),
    st.lists(u32, max_size=MAX_CSRCS),
    st.none() | levels,
    st.booleans(),
    st.none() | st.text("abc123", min_size=1, max_size=20),
    st.none() | st.integers(0, 0xFF_FFFF),
    st.integers(0, 255),
)
def test_aiortc_and_this_package_read_each_other(
    marker: bool,
    payload_type: int,
    payload: bytes,
    csrcs: list[int],
    level: int | None,
    voice: bool,
    mid: str | None,
    send_time: int | None,
    padding: int,
) -> None:
    theirs = reference.RtpPacket(payload_type, marker, 65535, 1 << 31, 77, payload)
    theirs.csrc = csrcs
    theirs.padding_size = padding
    theirs.extensions.mid = mid
    theirs.extensions.abs_send_time = send_time
    theirs.extensions.audio_level = None if level is None else (voice, level)
    ours = parse_rtp(theirs.serialize(reference_ids()), KNOWN)
    assert (ours.payload_type, ours.marker, ours.sequence) == (payload_type, marker, 65535)
    assert (ours.timestamp, ours.ssrc, ours.csrcs) == (1 << 31, 77, tuple(csrcs))
    assert (ours.payload, ours.padding) == (payload, padding)
    assert (ours.mid, ours.abs_send_time, ours.level) == (mid, send_time, level)

    block = compose_extension(KNOWN, level=level, voice=voice, mid=mid, abs_send_time=send_time)
    data = compose_rtp(
        payload_type, 65535, 1 << 31, 77, payload, marker=marker, csrcs=csrcs, extension=block
    )
    back = reference.RtpPacket.parse(data, reference_ids())
    assert (back.payload_type, bool(back.marker), back.sequence_number) == (
        payload_type,
        marker,
        65535,
    )
    assert (back.timestamp, back.ssrc, back.csrc) == (1 << 31, 77, csrcs)
    assert back.payload == payload
    assert back.extensions == theirs.extensions
