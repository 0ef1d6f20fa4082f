"""Signalling messages as JSON: there and back, and nothing but one error for what is none."""

from __future__ import annotations

import json

import pytest
from call_ends import EventLog, loopback
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import scenario

from ipconf import GoneReason, Identity, SdesType
from ipconf.errors import ConfigurationError, NegotiationError
from ipconf.events import ParticipantLeft
from ipconf.tsp_data import (
    MAX_MESSAGE_CHARACTERS,
    MAX_REASON_CHARACTERS,
    Candidate,
    Connect,
    Description,
    Disconnect,
    TspMessage,
    parse_tsp_message,
)

HALF = "\ud800"
"""Half of a surrogate pair: JSON and Python let it into a text, UTF-8 has no bytes for it."""

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
MESSAGES = st.one_of(
    st.builds(Connect),
    st.builds(
        Description,
        type=st.sampled_from(["offer", "answer"]),
        sdp=TEXT,
        answers=st.none() | TEXT,
    ),
    st.builds(Candidate, candidate=TEXT, mid=st.none() | TEXT),
    st.builds(Disconnect, reason=TEXT),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NEARLY = st.fixed_dictionaries(
    {"kind": st.sampled_from(["connect", "description", "candidate", "disconnect", "no such"])},
    optional=dict.fromkeys(("type", "sdp", "answers", "candidate", "mid", "reason"), JSON),
)


@settings(derandomize=True, deadline=None)
@given(MESSAGES)
def test_a_message_survives_its_way_through_json(message: TspMessage) -> None:
    text = message.model_dump_json()
    assert parse_tsp_message(text) == message
    assert parse_tsp_message(text.encode() + b"\n") == message
    assert "\n" not in text  # it is sent as a line


@settings(derandomize=True, deadline=None)
@given(
    st.one_of(
        st.binary(),
        st.text(),
        JSON.map(json.dumps),
        NEARLY.map(json.dumps),
        NEARLY.map(lambda value: json.dumps(value, ensure_ascii=False)),
    )
)
def test_what_is_no_message_is_refused_with_one_error(text: str | bytes) -> None:
    try:
        message = parse_tsp_message(text)
    except NegotiationError as exc:
        assert "signalling message" in str(exc)
    else:
        assert parse_tsp_message(message.model_dump_json()) == message


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"kind":"disconnect","reason":"\xff"}',
        r'{"kind":"disconnect","reason":"\ud800"}',
        '{"kind":"connect","hurry":true}',
        '{"kind":"description","type":"rumour","sdp":""}',
        " " * (MAX_MESSAGE_CHARACTERS + 1),
        HALF,
    ],
    ids=["deep", "bytes", "surrogate", "field", "type", "long", "half a character"],
)
def test_these_are_no_messages(text: str | bytes) -> None:
    with pytest.raises(NegotiationError, match="signalling message"):
        parse_tsp_message(text)


@pytest.mark.parametrize(
    "fields", [{"sdp": f"v=0{HALF}"}, {"sdp": "", "answers": HALF}], ids=["sdp", "answers"]
)
def test_half_a_character_is_no_description(fields: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written as UTF-8"):
        Description(type="offer", **fields)


def test_a_reason_is_made_sayable() -> None:
    assert Disconnect(reason=f"lunch{HALF}!").reason == "lunch?!"
    long = Disconnect(reason="\x00" * MAX_MESSAGE_CHARACTERS)
    assert len(long.reason) == MAX_REASON_CHARACTERS
    assert parse_tsp_message(long.model_dump_json()) == long


def test_half_a_character_is_no_sdes_item() -> None:
    for wrong in ({"name": HALF}, {"private": {HALF: "x"}}, {"private": {"x": HALF}}):
        with pytest.raises(ConfigurationError, match="surrogates not allowed"):
            Identity(**wrong)


@scenario()
async def test_one_can_leave_with_whatever_reason() -> None:
    async with loopback() as (tsp, x, y):
        await tsp.connect(pair=(x, y))
        log = EventLog(x)
        with pytest.raises(ConfigurationError, match="surrogates not allowed"):
            y.local_participant.set(SdesType.NOTE, HALF)
        await y.disconnect(f"lunch{HALF}")
        left = await log.until(ParticipantLeft)
        assert (left.reason, left.text) == (GoneReason.BYE, "lunch?")
