"""Telephone events in descriptions: which payload type and clock they have in each section."""

from __future__ import annotations

import asyncio

import pytest
from multicast_lab import conference
from offers import CHROMIUM, FIREFOX, TELEPHONE, PaperTransport

from ipconf import CallSettings, MediaType
from ipconf.calls.negotiator import Negotiator
from ipconf.codecs.registry import offered_formats
from ipconf.engine.session_config import PayloadFormat
from ipconf.engine.telephone_events import DIGITS, digits_of, is_telephone_event
from ipconf.sdp import Media
from ipconf.transports.group_lines import GroupLine, agree_on_description
from ipconf.transports.negotiation import Agreed

AUDIO, VIDEO = MediaType.AUDIO, MediaType.VIDEO
PHONE = "m=audio 4000 RTP/AVP"


def answer(offer: str, **changes: object) -> tuple[str, dict[MediaType, Agreed]]:
    """Our answer to an offer, and what was agreed on."""
    settings = CallSettings(**changes)
    formats = {medium: offered_formats(medium, settings) for medium in (AUDIO, VIDEO)}
    us = Negotiator(formats, settings, lambda: PaperTransport(settings), "us@here")
    text = asyncio.run(us.answer(offer))
    return text, {line.medium: line for bearer in us.bearers for line in bearer.lines}


def plain(*lines: str) -> str:
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
    return "".join(f"{text}\r\n" for text in [*head, *lines])


def events_of(line: Agreed) -> list[tuple[int, int]]:
    """Payload type and clock of what telephone events are sent as."""
    return [(f.payload_type, f.clock_rate) for f in line.riding if is_telephone_event(f)]


def heard(line: Agreed) -> list[tuple[int, int]]:
    """Of what they may arrive as."""
    return [(f.payload_type, f.clock_rate) for f in line.receive if is_telephone_event(f)]


def test_a_telephone_with_one_payload_type_in_two_sections() -> None:
    text, lines = answer(TELEPHONE, transport="rtp", audio_codecs=("G722", "PCMU", "opus"))
    assert lines[AUDIO].send.name == "G722"
    assert events_of(lines[AUDIO]) == heard(lines[AUDIO]) == [(101, 8_000)]
    assert lines[VIDEO].send.payload_type == 96
    assert "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n" in text


def test_pictures_may_have_the_payload_type_of_digits() -> None:
    offer = plain(
        f"{PHONE} 0 96",
        "a=rtpmap:96 telephone-event/8000",
        "m=video 4002 RTP/AVP 96",
        "a=rtpmap:96 VP8/90000",
    )
    text, lines = answer(offer, transport="rtp")
    assert events_of(lines[AUDIO]) == [(96, 8_000)]
    assert (lines[VIDEO].send.payload_type, lines[VIDEO].send.name) == (96, "VP8")
    assert text.count("a=rtpmap:96 ") == 2


@pytest.mark.parametrize("number", range(96, 102))
def test_digits_have_the_payload_type_of_the_offer(number: int) -> None:
    offer = plain(f"{PHONE} 8 {number}", f"a=rtpmap:{number} TELEPHONE-EVENT/8000/1")
    text, lines = answer(offer, transport="rtp")
    assert events_of(lines[AUDIO]) == heard(lines[AUDIO]) == [(number, 8_000)]
    assert f"RTP/AVP 8 {number}\r\n" in text


@pytest.mark.parametrize(
    ("codecs", "sent"), [(("opus",), (110, 48_000)), (("PCMU", "opus"), (126, 8_000))]
)
def test_digits_have_the_clock_of_the_sound_that_is_sent(
    codecs: tuple[str, ...], sent: tuple[int, int]
) -> None:
    _, lines = answer(CHROMIUM, audio_codecs=codecs)
    assert events_of(lines[AUDIO]) == [sent]
    if len(codecs) == 2:  # the far end may send either, whatever we do
        assert heard(lines[AUDIO]) == [(110, 48_000), (126, 8_000)]


def test_a_clock_that_the_far_end_has_no_digits_for() -> None:
    _, lines = answer(FIREFOX, audio_codecs=("opus", "PCMU"))
    assert lines[AUDIO].send.name == "opus"
    assert events_of(lines[AUDIO]) == []
    assert heard(lines[AUDIO]) == [(101, 8_000)]


def test_the_far_ends_list_is_kept_and_ours_is_said() -> None:
    offer = plain(f"{PHONE} 0 100", "a=rtpmap:100 telephone-event/8000", "a=fmtp:100 0-11,16")
    text, lines = answer(offer, transport="rtp")
    (sent,) = (f for f in lines[AUDIO].riding if is_telephone_event(f))
    assert digits_of(sent) == "0123456789*#!"
    (may_come,) = (f for f in lines[AUDIO].receive if is_telephone_event(f))
    assert digits_of(may_come) == DIGITS
    assert "a=fmtp:100 0-16\r\n" in text


@pytest.mark.parametrize(
    ("formats", "attributes", "sent"),
    [
        # Two of one kind: the first counts.
        ("0 100 101", ["100 telephone-event/8000", "101 telephone-event/8000"], [(100, 8_000)]),
        # The payload type of G.711, mapped otherwise, is no G.711.
        ("8 0", ["0 telephone-event/8000"], [(0, 8_000)]),
        ("0 101", ["101 telephone-event/16000"], []),
        ("0 101", ["101 telephone-event/8000/2"], []),
        ("0 101", ["101 telephone-event/0"], []),
        ("0", ["101 telephone-event/8000"], []),  # not in the m-line
        ("0 101 101", ["101 telephone-event/8000", "101 opus/48000/2"], [(101, 8_000)]),
        ("0 13 101", ["13 telephone-event/8000", "101 CN/8000"], [(13, 8_000)]),
    ],
)
def test_odd_maps(formats: str, attributes: list[str], sent: list[tuple[int, int]]) -> None:
    offer = plain(f"{PHONE} {formats}", *(f"a=rtpmap:{text}" for text in attributes))
    text, lines = answer(offer, transport="rtp")
    line = lines[AUDIO]
    assert events_of(line) == heard(line) == sent
    assert not is_telephone_event(line.send)
    types = [f.payload_type for f in line.receive]
    assert len(set(types)) == len(types)
    clocks = {f.payload_type: f.clock_rate for f in line.receive}
    for number, clock in clocks.items():
        name = next(f.name for f in line.receive if f.payload_type == number)
        assert f"a=rtpmap:{number} {name}/{clock}" in text


def test_digits_alone_are_no_sound() -> None:
    offer = plain(
        f"{PHONE} 101",
        "a=rtpmap:101 telephone-event/8000",
        "m=video 4002 RTP/AVP 96",
        "a=rtpmap:96 VP8/90000",
    )
    text, lines = answer(offer, transport="rtp")
    assert AUDIO not in lines
    assert "m=audio 0 " in text


def test_a_group_has_digits_if_its_description_has() -> None:
    media = Media(medium="audio", port=5004, formats=("0", "13", "97"))
    media = media.with_attribute("rtpmap", "97 telephone-event/8000")
    settings = CallSettings()
    formats: dict[MediaType, tuple[PayloadFormat, ...]] = {AUDIO: offered_formats(AUDIO, settings)}
    description = conference(media.with_attribute("fmtp", "97 0-11"))
    (line,) = agree_on_description(description, formats, settings)
    assert isinstance(line, GroupLine)
    riding = [(f.payload_type, f.name) for f in line.agreed.riding]
    assert riding == [(13, "CN"), (97, "telephone-event")]
    assert digits_of(line.agreed.riding[1]) == "0123456789*#"
