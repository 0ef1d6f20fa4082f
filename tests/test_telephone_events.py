"""Telephone events (RFC 4733) as bytes and queues: what is read of packets, what is written."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipconf.codecs.registry import TELEPHONE_EVENTS
from ipconf.engine.digit_reader import BURST, TIMEOUT_S, DigitReader, Pressed, Released
from ipconf.engine.digit_writer import DigitWriter, EventPacket
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.engine.session_config import PayloadFormat
from ipconf.engine.telephone_events import (
    DIGITS,
    MAX_DURATION,
    EventReport,
    digits_of,
    is_telephone_event,
    unpack_reports,
)

RATE = 8_000
TICK_S = 0.02
News = list[Pressed | Released]


def packet(
    sequence: int, timestamp: int, *reports: tuple[int, bool, int], marker: bool = False
) -> RtpPacket:
    payload = b"".join(EventReport(code, end, 10, length).pack() for code, end, length in reports)
    made = RtpPacket(101, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 7, payload, marker)
    made.extended = sequence
    return made


def press(
    code: int, sequence: int, timestamp: int, *, updates: int = 8, ends: int = 3
) -> list[RtpPacket]:
    """All packets of an event of 20 ms for each update, but for the ends that are repeated."""
    made = [packet(sequence, timestamp, (code, False, 160), marker=True)]
    for number in range(1, updates):
        made.append(packet(sequence + number, timestamp, (code, False, 160 * (number + 1))))
    for number in range(ends):
        made.append(packet(sequence + updates + number, timestamp, (code, True, 160 * updates)))
    return made


def read(reader: DigitReader, packets: Iterable[RtpPacket], now: float = 0.0) -> News:
    return [item for one in packets for item in reader.take(one, RATE, now)]


# -- payloads


def test_a_report_is_packed_as_the_rfc_draws_it() -> None:
    """RFC 4733 section 2.3: event, E R volume, duration."""
    assert EventReport(11, True, 10, 1600).pack() == bytes([11, 0x80 | 10, 0x06, 0x40])
    assert unpack_reports(bytes([11, 0xC0 | 10, 0x06, 0x40])) == [EventReport(11, True, 10, 1600)]


@given(st.integers(0, 255), st.booleans(), st.integers(0, 63), st.integers(0, MAX_DURATION))
def test_reports_come_back(code: int, end: bool, volume: int, duration: int) -> None:
    report = EventReport(code, end, volume, duration)
    assert unpack_reports(report.pack() * 2) == [report] * 2


@pytest.mark.parametrize("size", [0, 1, 3, 5, 7, 20, 400])
def test_malformed_payloads_say_nothing(size: int) -> None:
    assert unpack_reports(bytes(size)) == []


# -- descriptions


@pytest.mark.parametrize(
    ("parameters", "digits"),
    [
        ({}, DIGITS[:16]),
        ({"0-15": ""}, DIGITS[:16]),
        ({"0-16": ""}, DIGITS),
        ({"0-11": ""}, "0123456789*#"),
        ({"0-11,16": ""}, "0123456789*#!"),
        ({"0-9, 11": "", "ptime": "20"}, "0123456789#"),
        ({"events": "1,3-5"}, "1345"),
        ({"ptime": "20"}, DIGITS[:16]),
        ({"0-255": ""}, DIGITS),
        ({"32-49": ""}, ""),
        ({"15-3,2": ""}, "2"),
        ({"events": "nonsense"}, ""),
        ({"0-99999999": ""}, ""),
    ],
)
def test_digits_are_those_that_the_far_end_lists(parameters: dict[str, str], digits: str) -> None:
    assert digits_of(PayloadFormat(101, "telephone-event", RATE, parameters=parameters)) == digits


def test_what_is_offered_has_all_digits() -> None:
    for payload_format in TELEPHONE_EVENTS:
        assert is_telephone_event(payload_format)
        assert digits_of(payload_format) == DIGITS


# -- reading


def test_a_digit_is_told_at_once_and_its_end_once() -> None:
    reader = DigitReader()
    first, *others = press(5, 100, 8000)
    assert reader.take(first, RATE, 0.0) == [Pressed("5")]
    assert reader.pressed == "5"
    assert read(reader, others) == [Released("5", 0.16)]
    assert reader.pressed is None
    assert reader.malformed == reader.late == reader.ignored == 0


@pytest.mark.parametrize("code", range(17))
def test_every_digit_has_its_code(code: int) -> None:
    news = read(DigitReader(), press(code, 0, 0))
    assert news == [Pressed(DIGITS[code]), Released(DIGITS[code], 0.16)]


@pytest.mark.parametrize("lost", [{0}, {0, 1, 2}, {1, 2, 3, 4, 5}, {8}, {8, 9}, set(range(10))])
def test_what_is_lost_changes_nothing_if_one_end_comes(lost: set[int]) -> None:
    packets = [one for number, one in enumerate(press(1, 0, 0)) if number not in lost]
    assert read(DigitReader(), packets) == [Pressed("1"), Released("1", 0.16)]


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_and_twice_it_is_one_digit(seed: int) -> None:
    packets = press(9, 65_530, 0xFFFFFF00)
    packets += random.Random(seed).sample(packets, 4)
    random.Random(seed).shuffle(packets)
    reader = DigitReader()
    news = read(reader, packets)
    assert [type(item) for item in news] == [Pressed, Released]
    assert news[0] == Pressed("9")


def test_where_all_ends_are_lost_it_times_out() -> None:
    reader = DigitReader()
    read(reader, press(2, 0, 0, ends=0), 10.0)
    assert reader.expire(9.99 + TIMEOUT_S) == []
    assert reader.expire(10.01 + TIMEOUT_S) == [Released("2", 0.16)]
    assert reader.expire(20.0) == []
    assert read(reader, press(2, 0, 0)[-3:], 20.0) == []  # they come after all


def test_where_all_ends_are_lost_the_next_digit_ends_it() -> None:
    reader = DigitReader()
    read(reader, press(2, 0, 0, ends=0))
    assert read(reader, press(2, 8, 3000)[:1]) == [Released("2", 0.16), Pressed("2")]


def test_the_same_digit_twice_is_two() -> None:
    news = read(DigitReader(), [*press(7, 0, 0), *press(7, 11, 1680)])
    assert news == [Pressed("7"), Released("7", 0.16)] * 2


def test_ends_that_come_after_the_next_digit_began_are_no_digit() -> None:
    one, two = press(1, 0, 0), press(2, 11, 2000)
    news = read(DigitReader(), [*one[:9], *two[:2], *one[9:], *two[2:]])
    assert [item.digit for item in news] == ["1", "1", "2", "2"]


def test_a_digit_that_others_overtook_whole_is_not_told_out_of_turn() -> None:
    reader = DigitReader()
    read(reader, press(2, 11, 2000))
    assert read(reader, press(1, 0, 0)) == []
    assert reader.late == 11


def test_who_begins_anew_with_lower_timestamps_is_read_on() -> None:
    reader = DigitReader()
    read(reader, press(1, 0, 1_000_000))
    assert read(reader, press(2, 50, 10)) == [Pressed("2"), Released("2", 0.16)]


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("lost", [0, 1])
def test_what_lasts_longer_than_a_packet_can_say_goes_on(repeats: int, lost: int) -> None:
    """RFC 4733 section 2.5.1.3; the last packets of a segment may be lost, and be told again."""
    reader = DigitReader()
    full = [packet(10 + n, 0, (3, False, MAX_DURATION)) for n in range(repeats)]
    told = [packet(0, 0, (3, False, 160), marker=True), packet(9, 0, (3, False, 64_000))]
    told += full[lost:]
    told += [packet(20, MAX_DURATION, (3, False, 100)), *full[:1]]
    told += [packet(21 + n, MAX_DURATION, (3, True, 8_000)) for n in range(3)]
    assert read(reader, told) == [Pressed("3"), Released("3", (MAX_DURATION + 8_000) / RATE)]


def test_the_same_digit_long_after_is_no_segment() -> None:
    reader = DigitReader()
    read(reader, press(3, 0, 0, ends=0))
    again = packet(30, 40_000, (3, False, 160))  # its first packet, with the marker, is lost
    assert read(reader, [again]) == [Released("3", 0.16), Pressed("3")]


def test_several_events_in_one_packet() -> None:
    """RFC 4733 section 2.5.1.5: each begins where the one before has ended."""
    both = packet(0, 0, (1, True, 400), (2, True, 800))
    reader = DigitReader()
    expected = [Pressed("1"), Released("1", 0.05), Pressed("2"), Released("2", 0.1)]
    assert reader.take(both, RATE, 0.0) == expected
    assert reader.take(both, RATE, 0.0) == []


def test_other_events_and_nonsense_are_counted_and_nothing_else() -> None:
    reader = DigitReader()
    tone = packet(0, 0, (66, False, 160))
    assert read(reader, [tone, packet(1, 0)]) == []
    broken = packet(2, 0, (1, False, 160))
    broken.payload = b"\x01\x0a\x00"
    assert read(reader, [broken]) == []
    assert (reader.ignored, reader.malformed) == (1, 2)


def test_a_flood_of_digits_is_bounded_and_ends() -> None:
    reader = DigitReader()
    news = read(reader, (packet(n, n * 160, (n % 10, True, 160)) for n in range(5000)), 1.0)
    assert len(news) == 2 * BURST
    assert reader.ignored == 5000 - BURST
    assert read(reader, press(1, 6000, 9_999_999), 2.0) == [Pressed("1"), Released("1", 0.16)]


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3000), st.binary(max_size=9), st.floats(0, 3)),
        max_size=60,
    )
)
def test_whatever_comes_presses_and_releases_take_turns(
    packets: list[tuple[int, int, bytes, float]],
) -> None:
    reader, now, news = DigitReader(), 0.0, News()
    for sequence, timestamp, payload, later in packets:
        now += later
        news += reader.expire(now)
        one = packet(sequence, timestamp)
        one.payload = payload
        news += reader.take(one, RATE, now)
    news += reader.end()
    assert all(isinstance(item, Released if n % 2 else Pressed) for n, item in enumerate(news))
    assert len(news) % 2 == 0
    pairs = zip(news[::2], news[1::2], strict=True)
    assert all(pressed.digit == released.digit for pressed, released in pairs)


# -- writing


def run(writer: DigitWriter, first: int = 0, rate: int = RATE) -> dict[int, list[EventPacket]]:
    """The packets of each tick until there are no more; timestamps go on with the ticks."""
    ticks = {}
    number = 0
    while writer.busy:
        ticks[number] = writer.tick((first + round(number * TICK_S * rate)) & 0xFFFFFFFF)
        number += 1
        assert number < 20_000
    return ticks


def reports(packets: Iterable[EventPacket]) -> list[EventReport]:
    return [report for one in packets for report in unpack_reports(one.payload)]


def test_a_digit_is_a_packet_each_tick_and_three_ends() -> None:
    writer = DigitWriter(RATE)
    writer.put("5", 0.16, 0.05)
    assert writer.busy and writer.pending == "5"
    ticks = run(writer, 1000)
    sent = [one for tick in ticks.values() for one in tick]
    assert [len(ticks[n]) for n in range(len(ticks))] == [1] * 10 + [0]
    assert {one.timestamp for one in sent} == {1000}
    assert [one.marker for one in sent] == [True] + [False] * 9
    told = reports(sent)
    assert [report.duration for report in told] == [160 * n for n in range(1, 9)] + [1280] * 2
    assert [report.end for report in told] == [False] * 7 + [True] * 3
    assert {(report.code, report.volume) for report in told} == {(5, 10)}
    assert [one.age_s for one in sent] == pytest.approx([n * TICK_S for n in range(10)])


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_durations_are_ticks_of_the_clock(rate: int) -> None:
    writer = DigitWriter(rate)
    writer.put("1", 0.05, 0.05)
    told = reports(one for tick in run(writer, rate=rate).values() for one in tick)
    assert [report.duration / rate for report in told] == [0.02, 0.04, 0.05, 0.05, 0.05]


def test_longer_packet_times_tell_less_often() -> None:
    writer = DigitWriter(RATE, packet_ticks=3)
    writer.put("1", 0.16, 0.05)
    told = reports(one for tick in run(writer).values() for one in tick)
    assert [report.duration for report in told] == [160, 480, 960, 1280, 1280, 1280]


@pytest.mark.parametrize("gap_s", [0.04, 0.05, 0.1, 1.0])
def test_there_is_a_gap_between_digits(gap_s: float) -> None:
    writer = DigitWriter(RATE)
    writer.put("12", 0.1, gap_s)
    begins = [n for n, tick in run(writer).items() if tick and tick[0].marker]
    assert begins[0] == 0
    assert gap_s <= begins[1] * TICK_S - 0.1 < gap_s + TICK_S


@pytest.mark.parametrize("rate", [8_000, 48_000])
@pytest.mark.parametrize("duration_s", [0.04, 0.16, 1.3, 1.38, 4.0, 9.0])
def test_what_is_written_is_read(rate: int, duration_s: float) -> None:
    writer, reader = DigitWriter(rate), DigitReader()
    writer.put(DIGITS, duration_s, 0.05)
    news: News = []
    sequence = 0
    for tick in run(writer, 0xFFFF0000, rate).values():
        for one in tick:
            made = RtpPacket(101, sequence & 0xFFFF, one.timestamp, 7, one.payload, one.marker)
            made.extended = sequence
            sequence += 1
            news += reader.take(made, rate, sequence * TICK_S)
    expected = [item for d in DIGITS for item in (Pressed(d), Released(d, duration_s))]
    assert [item.digit for item in news] == [item.digit for item in expected]
    for item in news[1::2]:
        assert isinstance(item, Released)
        assert item.duration_s == pytest.approx(duration_s, abs=1 / rate)
    assert reader.late == reader.malformed == reader.ignored == 0


def test_segments_are_full_and_told_three_times() -> None:
    writer = DigitWriter(48_000)
    writer.put("1", 2.0, 0.05)
    sent = [one for tick in run(writer, rate=48_000).values() for one in tick]
    full = [one for one in sent if unpack_reports(one.payload)[0].duration == MAX_DURATION]
    assert len(full) == 3
    assert {one.timestamp for one in sent} == {0, MAX_DURATION}
    assert [one.marker for one in sent].count(True) == 1
    assert not any(report.end for report in reports(full))
    last = [one for one in sent if one.timestamp]
    assert [round(one.age_s - last[0].age_s, 6) for one in last[:3]] == [0.0, 0.02, 0.04]
    assert last[0].age_s + MAX_DURATION / 48_000 == pytest.approx(1.36)


def test_what_is_cancelled_ends_at_once() -> None:
    writer = DigitWriter(RATE)
    writer.put("123", 1.0, 0.05)
    for number in range(5):
        writer.tick(number * 160)
    assert writer.cancel() == "23"
    assert writer.pending == "1"
    told = reports(one for tick in run(writer).values() for one in tick)
    assert [(report.end, report.duration) for report in told] == [(True, 800)] * 3
    assert writer.cancel() == "" and not writer.busy


def test_more_digits_wait_for_those_before() -> None:
    writer = DigitWriter(RATE)
    writer.put("1", 0.04, 0.04)
    writer.tick(0)
    writer.put("2", 0.08, 0.04)
    assert writer.pending == "12"
    told = reports(one for tick in run(writer).values() for one in tick)
    assert [report.code for report in told] == [1] * 3 + [2] * 6
