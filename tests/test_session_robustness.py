"""What strangers and broken senders may throw at a session: it never raises and never swells."""

import random
from collections import deque
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import AUDIO, OPUS, RTX, VIDEO, VP8, hear, media, next_report, rtp, sdes, session

from ipconf.engine.rtcp_wire import (
    App,
    ExtendedReport,
    FullIntra,
    Goodbye,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    ReportBlock,
    SenderReport,
    compose,
    compose_compound,
)
from ipconf.engine.session import RtpSession

LIMIT = 40


def footprint(root: object) -> int:
    """How many values an object holds, directly or not."""
    seen: set[int] = set()
    waiting: list[object] = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, type):
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset | deque):
            waiting += value
        waiting += getattr(value, "__dict__", {}).values()
        for kind in type(value).__mro__:
            slots = getattr(kind, "__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                waiting.append(getattr(value, name, None))
    return len(seen)


def victim() -> RtpSession:
    """A session in use: it sends, it hears somebody, it asked for something."""
    ours = session(sections=(AUDIO, VIDEO), max_sources=LIMIT)
    hear(ours, 7, 0.1)
    hear(ours, 8, 0.1, payload_type=VP8)
    for turn in range(3):
        ours.send("a", OPUS, turn * 960, b"sound", 0.2)
        ours.send("v", VP8, turn * 3000, b"picture", 0.2)
    ours.request_resend(8, [3, 4], 0.3)
    return ours


def block(ssrc: int) -> ReportBlock:
    return ReportBlock(ssrc, 255, -1, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def valid_datagrams() -> list[bytes]:
    ours = victim()  # the same seed gives the same SSRCs
    audio, video = ours.local("a").ssrc, ours.local("v").ssrc
    return [
        rtp(7, 3),
        rtp(8, 3, payload_type=VP8),
        rtp(9, 3, payload=b"\0\x02xy", payload_type=RTX),
        rtp(7, 4, csrcs=(71, 72), extension=b"\xbe\xde\0\x01\x10\x85\0\0"),
        rtp(audio, 5),
        compose_compound([SenderReport(7, 1 << 62, 5, 6, 7, (block(audio),)), sdes(7, (1, "x"))]),
        compose_compound([ReceiverReport(8, (block(video), block(99))), sdes(8, (8, "v", "p"))]),
        compose_compound([ReceiverReport(7, ()), Goodbye((7, 8, 9), "reason")]),
        compose(Nack(7, video, (1, 2, 3, 40))),
        compose(PictureLoss(7, video)),
        compose(FullIntra(7, ((video, 1), (audio, 2)))),
        compose(Remb(7, 100_000, (video,))),
        compose(App(1, 7, "name", b"data")),
        compose(ExtendedReport(7, b"\x04\0\0\x02" + bytes(8))),
    ]


VALID = valid_datagrams()


def check(ours: RtpSession, before: int) -> None:
    assert len(ours.sources) <= LIMIT
    assert footprint(ours) < before + 5000
    assert ours.next_deadline() > 0
    for output in ours.handle_timer(ours.next_deadline()):
        assert output


@given(st.lists(st.binary(max_size=200), max_size=30))
@settings(max_examples=200, deadline=None)
def test_arbitrary_datagrams_never_raise(datagrams: list[bytes]) -> None:
    ours = victim()
    before = footprint(ours)
    for turn, datagram in enumerate(datagrams):
        ours.receive(datagram, 1.0 + turn * 0.01, turn % 3)
    check(ours, before)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_mutations_of_valid_datagrams_never_raise(data: st.DataObject) -> None:
    ours = victim()
    before = footprint(ours)
    for turn in range(data.draw(st.integers(1, 12))):
        datagram = bytearray(data.draw(st.sampled_from(VALID)))
        for _ in range(data.draw(st.integers(0, 4))):
            position = data.draw(st.integers(0, len(datagram) - 1))
            datagram[position] = data.draw(st.integers(0, 255))
        end = data.draw(st.one_of(st.just(len(datagram)), st.integers(0, len(datagram))))
        ours.receive(bytes(datagram[:end]), 1.0 + turn * 0.01, data.draw(st.integers(0, 1)))
    check(ours, before)


@pytest.mark.parametrize("datagram", VALID, ids=range(len(VALID)))
def test_every_truncation_is_survived(datagram: bytes) -> None:
    ours = victim()
    for end in range(len(datagram)):
        ours.receive(datagram[:end], 1.0)
    assert ours.stats.malformed > 0


@pytest.mark.parametrize("datagram", [b"", b"\x80", b"\x80\xc8", b"\xff" * 40, bytes(40)])
def test_what_is_no_packet_is_counted(datagram: bytes) -> None:
    ours = session()
    assert not ours.receive(datagram, 1.0)
    assert ours.stats.malformed == 1
    assert ours.stats.rtp_received == ours.stats.rtcp_received == 0


def test_a_broken_part_of_a_compound_does_not_spoil_the_rest() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    broken = compose(SenderReport(7, 1 << 60, 5, 1, 1)) + b"\x9f\xc9\x00\x01" + bytes(4)
    (described,) = ours.receive(broken + compose(sdes(7, (1, "them"))), 1.0)
    assert described.source is ours.sources[7]
    assert ours.sources[7].last_sr is not None
    assert ours.stats.malformed_rtcp == 1


def test_absurd_timestamps_and_sequence_numbers_do_no_harm() -> None:
    ours = session()
    noise = random.Random(1)
    for turn in range(5000):
        ours.receive(rtp(7, noise.getrandbits(16), noise.getrandbits(32)), turn * 0.001)
    hear(ours, 7, 6.0, sequence=100, count=200)
    source = ours.sources[7]
    assert 0 <= source.jitter_s < 5.0
    assert source.packets >= 200
    next_report(ours)


def test_a_clock_that_stands_still_or_is_far_away_does_no_harm() -> None:
    for now in (0.0, 1e-9, 1e9, 1e12):
        ours = session(now=now)
        for turn in range(10):
            ours.receive(rtp(7, turn), now)
            ours.send("a", OPUS, turn, b"x", now)
        next_report(ours)
        assert ours.sources[7].packets == 10


def flood_of_ssrcs(ours: RtpSession, number: int, now: float) -> None:
    ours.receive(rtp(1000 + number, 1), now)


def flood_of_strays(ours: RtpSession, number: int, now: float) -> None:
    ours.receive(rtp(99, number * 7), now)
    ours.receive(rtp(8, number * 700, payload_type=VP8), now)


def flood_of_valid_sources(ours: RtpSession, number: int, now: float) -> None:
    hear(ours, 1000 + number, now)


def flood_of_cnames(ours: RtpSession, number: int, now: float) -> None:
    ours.receive(compose(sdes(1000 + number, (1, f"c{number}"))), now)


def flood_of_reporters(ours: RtpSession, number: int, now: float) -> None:
    report = compose(ReceiverReport(1000 + number, (block(ours.local("a").ssrc),)))
    ours.receive(report, now, number)
    ours.receive(report, now, number)


def flood_of_contributors(ours: RtpSession, number: int, now: float) -> None:
    ours.receive(rtp(7, 3 + number, csrcs=tuple(range(number * 15, number * 15 + 15))), now)


def flood_of_comings_and_goings(ours: RtpSession, number: int, now: float) -> None:
    hear(ours, 1000 + number, now)
    ours.receive(compose(Goodbye((1000 + number,))), now)


def flood_of_collisions(ours: RtpSession, number: int, now: float) -> None:
    ours.receive(rtp(ours.local("a").ssrc, 5), now, number)


def flood_of_feedback(ours: RtpSession, number: int, now: float) -> None:
    video = ours.local("v").ssrc
    ours.receive(compose(FullIntra(number, ((video, number & 0xFF),))), now)
    ours.receive(compose(Nack(number, video, (number & 0xFFFF,))), now)
    ours.request_resend(8, [number & 0xFFFF], now)
    ours.request_key_frame(8, now)


def flood_of_repairs(ours: RtpSession, number: int, now: float) -> None:
    ours.receive(rtp(1000 + number, 1, payload=b"\0\x01x", payload_type=RTX), now)


def flood_of_names(ours: RtpSession, number: int, now: float) -> None:
    items = [(kind, f"text {number}") for kind in range(256) if kind != 8 and kind != 0]
    ours.receive(compose(sdes(7, *items, (8, "x", f"prefix {number}"))), now)


@pytest.mark.parametrize(
    "flood",
    [
        flood_of_ssrcs,
        flood_of_strays,
        flood_of_valid_sources,
        flood_of_cnames,
        flood_of_reporters,
        flood_of_contributors,
        flood_of_comings_and_goings,
        flood_of_collisions,
        flood_of_feedback,
        flood_of_repairs,
        flood_of_names,
    ],
)
def test_a_flood_fills_the_tables_and_no_more(
    flood: Callable[[RtpSession, int, float], None],
) -> None:
    ours = victim()
    for number in range(1500):
        flood(ours, number, 1.0 + number * 1e-4)
    full = footprint(ours)
    for number in range(1500, 4000):
        flood(ours, number, 1.0 + number * 1e-4)
    assert footprint(ours) < full + 600
    assert len(ours.sources) <= LIMIT
    # Who was there is still heard.
    if flood is not flood_of_contributors:
        assert media(hear(ours, 7, 2.0, sequence=3)) == [3, 4]
    next_report(ours)


def test_turned_away_sources_are_counted() -> None:
    ours = session(max_sources=3)
    for ssrc in range(10):
        hear(ours, 100 + ssrc, 1.0)
    assert set(ours.sources) == {100, 101, 102}
    assert ours.stats.refused_sources == 7
    ours.receive(compose(Goodbye((101,))), 2.0)
    hear(ours, 200, 2.1)
    assert set(ours.sources) == {100, 102, 200}


def test_a_real_newcomer_is_heard_through_a_flood_of_strangers() -> None:
    ours = session()
    stranger = 10_000
    heard = []
    for turn in range(10):
        heard += media(ours.receive(rtp(7, turn), 1.0 + turn * 0.02))
        for _ in range(400):
            stranger += 1
            ours.receive(rtp(stranger, 5), 1.0 + turn * 0.02)
    assert heard == list(range(10))


def test_the_counters_say_what_happened() -> None:
    ours = victim()
    counters = ours.stats.as_dict()
    assert counters["rtp_received"] == 4
    assert counters["rtp_sent"] == 6
    assert counters["malformed"] == 0
