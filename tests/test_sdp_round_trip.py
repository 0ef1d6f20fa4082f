"""Descriptions of conferences: written, read, and malformed at random."""

from __future__ import annotations

import string
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from sdp_lab import SEMINAR

from ipconf.errors import ConfigurationError, DescriptionError
from ipconf.sdp import (
    Attribute,
    Bandwidth,
    ConferenceDescription,
    Connection,
    FurtherLine,
    Key,
    Media,
    Origin,
    Repeat,
    Timing,
    ZoneAdjustment,
    parse_description,
    write_description,
)

EXAMPLES = settings(max_examples=100, deadline=None)

tokens = st.text("!#$%&'*+-._`{|}~" + string.ascii_letters + string.digits, min_size=1, max_size=8)
texts = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)
filled = texts.filter(bool)
words = st.text(string.printable, min_size=1, max_size=8).filter(
    lambda w: not set(w) & set(" \t\r\n\f\v")
)
numbers = st.integers(0, (1 << 64) - 1)
seconds = st.integers(0, 1 << 39)
hosts = st.sampled_from(["192.0.2.1", "host.example.com", "localhost"])
attributes = st.lists(st.builds(Attribute, name=tokens, value=st.none() | texts), max_size=4).map(
    tuple
)
bandwidths = st.lists(st.builds(Bandwidth, modifier=tokens, value=numbers), max_size=2).map(tuple)
keys = (
    st.none()
    | st.just(Key(method="prompt"))
    | st.builds(Key, method=st.sampled_from(["clear", "uri"]), value=texts)
)
further = st.lists(
    st.builds(FurtherLine, type=st.sampled_from("xyfXVM"), value=texts), max_size=2
).map(tuple)
groups = st.one_of(
    st.builds(
        Connection,
        address=st.sampled_from(["224.2.1.1", "239.255.0.7"]),
        ttl=st.integers(0, 255),
        count=st.integers(1, 28),
    ),
    st.builds(
        Connection,
        address_type=st.just("IP6"),
        address=st.just("FF15::101"),
        count=st.integers(1, 9),
    ),
)
connections = st.one_of(
    st.builds(Connection, address=hosts),
    st.builds(Connection, address=st.just("239.1.1.1"), ttl=st.none() | st.integers(0, 255)),
    st.builds(
        Connection,
        network=tokens.filter(lambda t: t != "IN"),
        address_type=tokens,
        address=words.filter(lambda w: "/" not in w),
    ),
)
media = st.builds(
    Media,
    medium=tokens,
    port=st.integers(0, 60_000),
    port_count=st.integers(1, 100),
    protocol=st.lists(tokens, min_size=1, max_size=3).map("/".join),
    formats=st.lists(tokens, min_size=1, max_size=4).map(tuple),
    title=st.none() | filled,
    connections=st.lists(groups, max_size=3).map(tuple),
    bandwidths=bandwidths,
    key=keys,
    attributes=attributes,
    further=further,
)
repeats = st.builds(
    Repeat,
    interval=st.integers(1, 1 << 39),
    duration=seconds,
    offsets=st.lists(seconds, min_size=1, max_size=3).map(tuple),
)
adjustments = st.lists(
    st.builds(ZoneAdjustment, time=seconds, shift=st.integers(-(1 << 39), 1 << 39)), max_size=3
).map(lambda found: tuple(sorted(found, key=lambda a: a.time)))


def timing(start: int, length: int, repeated: list[Repeat], shifts: object) -> Timing:
    """One t= line; without a length it has no end."""
    stop = start + length if length else 0
    return Timing(start=start, stop=stop, repeats=tuple(repeated), adjustments=shifts)


times = st.builds(timing, seconds, seconds, st.lists(repeats, max_size=2), adjustments)
descriptions = st.builds(
    ConferenceDescription,
    origin=st.builds(
        Origin, username=words, session_id=numbers, session_version=numbers, address=hosts
    ),
    name=filled,
    information=st.none() | filled,
    uri=st.none() | filled,
    emails=st.lists(filled, max_size=2).map(tuple),
    phones=st.lists(filled, max_size=2).map(tuple),
    connection=connections,
    bandwidths=bandwidths,
    times=st.lists(times, min_size=1, max_size=2).map(tuple),
    key=keys,
    attributes=attributes,
    further=further,
    media=st.lists(media, max_size=3).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(descriptions)
def test_what_is_written_is_read_as_it_was(description: ConferenceDescription) -> None:
    text = write_description(description)
    assert parse_description(text) == description
    assert parse_description(text.encode()) == description
    assert write_description(parse_description(text)) == text


def test_what_is_read_is_written_as_it_was() -> None:
    assert write_description(parse_description(SEMINAR)) == SEMINAR


def survives(text: str | bytes) -> None:
    """Reading gives a description, all of which can be asked, or the one error."""
    with suppress(DescriptionError):
        read = parse_description(text)
        assert parse_description(write_description(read)) == read
        asked = read.groups, read.is_encrypted, read.ends_at, read.bandwidth_bps
        assert len(asked) == 4
        read.is_active(1e9)
        for part in read.media:
            assert part.rtcp_port < 65536
            assert all(f.clock_rate > 0 for f in part.payload_formats)
            assert read.direction_of(part)
            part.sources  # noqa: B018


@EXAMPLES
@given(st.data())
def test_a_spoilt_description_is_read_or_refused(data: st.DataObject) -> None:
    lines = SEMINAR.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        cut = data.draw(st.integers(0, len(line)))
        what = data.draw(st.sampled_from(["drop", "double", "cut", "put", "swap"]))
        if what == "drop" and len(lines) > 1:
            del lines[place]
        elif what == "double":
            lines.insert(data.draw(st.integers(0, len(lines))), line)
        elif what == "cut":
            lines[place] = line[:cut]
        elif what == "put":
            lines[place] = line[:cut] + data.draw(st.text(max_size=5)) + line[cut:]
        else:
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[place], lines[other] = lines[other], line
    survives("\r\n".join(lines))


@EXAMPLES
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_anything_else_is_refused(text: str | bytes) -> None:
    survives(text)


@EXAMPLES
@given(st.lists(st.tuples(st.sampled_from(string.ascii_letters), texts), max_size=20))
def test_lines_of_anything_are_read_or_refused(lines: list[tuple[str, str]]) -> None:
    head = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=x\nt=0 0\nc=IN IP4 192.0.2.1\n"
    survives(head + "\n".join(f"{letter}={value}" for letter, value in lines))


@EXAMPLES
@given(texts, st.sampled_from(["\r", "\n", "\0"]))
def test_no_value_ends_its_line(text: str, end: str) -> None:
    for make in (
        lambda value: Attribute(name="x", value=value),
        lambda value: FurtherLine(type="x", value=value),
        lambda value: Key(method="clear", value=value),
        lambda value: Origin(username=value, session_id=1, session_version=1, address="h"),
    ):
        try:
            make(text + end + text)
        except ConfigurationError:
            continue
        raise AssertionError("a line end was taken")
