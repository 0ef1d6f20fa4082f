"""What a newcomer gets wrong: arguments of the wrong kind are answered at once, in a sentence."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
from call_ends import EventLog, provider
from memory_calls import memory_calls
from peers import eventually, scenario
from senses import AUDIO, CAPTURE, RENDER, VIDEO

from ipconf import (
    Call,
    CallSettings,
    CaptureTerminal,
    Cause,
    Direction,
    FilePlayback,
    IceServer,
    Identity,
    MediaServiceProvider,
    MediaType,
    Participant,
    ParticipantSubStreamControl,
    SdesType,
    ToneTerminal,
)
from ipconf import errors as e
from ipconf.event_hub import EventHub
from ipconf.events import (
    Event,
    NewParticipant,
    ParticipantLeft,
    StreamFailed,
    TerminalFailed,
)
from ipconf.participants import LocalParticipant
from ipconf.settings import Settings
from ipconf.tsp_data import Connect

STUN = {"url": "stun:192.0.2.1:3478"}


def says(error: type[Exception], advice: str, mistake: Callable[[], object]) -> None:
    """The mistake is answered by exactly that error, with that advice, in a sentence."""
    with pytest.raises(error, match=advice) as caught:
        mistake()
    message = str(caught.value)
    assert caught.type is error
    assert len(message.split()) > 4 and not message.endswith(".") and "\n" not in message


# -- events


NO_EVENTS: list[Any] = ["NewParticipant", lambda event: True, Call, (NewParticipant,), None]


@pytest.mark.parametrize("kind", [*NO_EVENTS, NewParticipant | ParticipantLeft])
@scenario()
async def test_what_is_no_class_of_events_is_refused_at_once(kind: Any) -> None:
    async with provider() as msp:
        call = msp.create_call({AUDIO})
        for events in (msp.events, call.events):
            says(e.ConfigurationError, "no class of events", lambda ask=events: ask(kind))
        with pytest.raises(e.ConfigurationError, match="no class of events"):
            await call.events().wait_for(kind)
        with pytest.raises(e.ConfigurationError, match="name at least one"):
            await call.events().wait_for()
        msp.create_call({AUDIO})  # and its events are posted as ever


@scenario()
async def test_a_reader_that_cannot_be_told_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub = EventHub()
    bad, good = hub.subscribe((Event,)), hub.subscribe((Event,))
    ended = asyncio.new_event_loop()
    bad._waiter = ended.create_future()
    bad._waiter.add_done_callback(lambda future: None)
    ended.close()  # as when somebody reads in a loop of their own, which is over
    for _ in range(2):
        hub.post(Event(at=1.0))
        assert await anext(good) == Event(at=1.0)
    assert [record.message for record in caplog.records] == [
        "a reader of events cannot be told of any more"
    ]


# -- capture terminals


class Gives(CaptureTerminal):
    """Gives always the same."""

    def __init__(self, medium: MediaType, media: Any) -> None:
        super().__init__("custom", medium, CAPTURE)
        self.media = media

    def read(self, now: float) -> Any:
        return self.media


@pytest.mark.parametrize(
    ("medium", "media", "words"),
    [
        (AUDIO, [0] * 960, "an object of type list; read.. gives int16 of shape"),
        (AUDIO, bytes(1920), "of type bytes; .* or None"),
        (AUDIO, 0, "of type int; .* or None"),
        (AUDIO, np.zeros((960, 1)), "type float64; read.. gives int16"),
        (AUDIO, av.VideoFrame(16, 16), "of type VideoFrame; read.. gives int16"),
        (VIDEO, np.zeros((10, 10, 3), np.uint8), "10, 3. and type uint8; give an av.VideoFrame or"),
        (VIDEO, np.zeros((960, 1), np.int16), "type int16; give an av.VideoFrame or None"),
        (VIDEO, b"jpeg", "of type bytes; give an av.VideoFrame or None"),
    ],
)
@scenario()
async def test_a_terminal_that_gives_something_else_fails_with_advice(
    medium: MediaType, media: object, words: str
) -> None:
    async with memory_calls({medium}) as (tsp, call, far):
        log = EventLog(call)
        bad = Gives(medium, media)
        call.stream(medium, CAPTURE).select_terminal(bad)
        await tsp.connect(pair=(call, far))
        failed = await log.until(TerminalFailed)
        assert (failed.terminal, failed.cause) == (bad, Cause.BAD_DEVICE)
        assert isinstance(failed.error, e.MediaError)
        assert re.search(words, str(failed.error))
        assert (await log.until(StreamFailed)).terminal is bad


# -- arguments


@pytest.mark.parametrize(
    ("advice", "mistake"),
    [
        ("give Identity\\(...\\) as identity", lambda: MediaServiceProvider(CallSettings())),
        ("identity is 'Alice': give Identity", lambda: MediaServiceProvider("Alice")),
        ("give CallSettings", lambda: MediaServiceProvider(settings={"bundle": False})),
        ("5000 to 4000 .* the lower number first", lambda: CallSettings(port_range=(5000, 4000))),
        ("no 'bundel': do you mean 'bundle'", lambda: CallSettings(bundel=False)),
        ("no 'xyzzy': choose from transport, ", lambda: CallSettings(xyzzy=1)),
        (
            "ice_servers.0: .*no 'user': do you",
            lambda: CallSettings(ice_servers=[STUN | {"user": ""}]),
        ),
        ("choose from cname, name", lambda: Identity(xyzzy="x")),
        ("by its name, as cname=.*, not 'Alice' alone", lambda: Identity("Alice")),
        ("by its name, as transport=", lambda: CallSettings("rtp", bundle=False)),
        ("use replace.bundle=", lambda: setattr(CallSettings(), "bundle", False)),
        ("use replace.name=", lambda: setattr(Identity(), "name", "Bob")),
        ("give one as SdesType.EMAIL", lambda: LocalParticipant(Identity()).info("email")),
        ("give one as SdesType.EMAIL", lambda: LocalParticipant(Identity()).set("email", "a@b.c")),
    ],
)
def test_settings_and_identities(advice: str, mistake: Callable[[], object]) -> None:
    says(e.ConfigurationError, advice, mistake)


@pytest.mark.parametrize(
    ("error", "advice", "mistake"),
    [
        (e.ConfigurationError, "give CallSettings", lambda m, c: m.create_call({AUDIO}, {})),
        (
            e.InvalidMediaTypeError,
            "as {MediaType.AUDIO}, not <Me",
            lambda m, c: m.create_call(AUDIO),
        ),
        (e.InvalidMediaTypeError, "give a set of them", lambda m, c: m.create_call("audio")),
        (e.InvalidMediaTypeError, "not {'audio'}", lambda m, c: m.create_call({"audio"})),
        (e.InvalidMediaTypeError, "not \\[\\[", lambda m, c: m.create_call([[AUDIO]])),
        (e.InvalidMediaTypeError, "medium first", lambda m, c: c.stream(CAPTURE, AUDIO)),
        (e.InvalidMediaTypeError, "'audio' is no", lambda m, c: c.stream("audio", CAPTURE)),
        (e.InvalidDirectionError, "not 'render'", lambda m, c: c.stream(AUDIO, "render")),
        (
            e.InvalidDirectionError,
            "not <Dir",
            lambda m, c: c.stream(AUDIO, Direction.BIDIRECTIONAL),
        ),
        (
            e.InvalidMediaTypeError,
            "medium first",
            lambda m, c: c.request_terminal("tone", CAPTURE, AUDIO),
        ),
        (e.InterfaceNotFoundError, "no class; it has: .*Control", lambda m, c: c.query("Windows")),
        (e.InterfaceNotFoundError, "no class; it has: ", lambda m, c: c.query([])),
        (
            e.InvalidStreamError,
            "None is not an open call",
            lambda m, c: m.receive_tsp_data(None, Connect()),
        ),
        (
            e.NotStoppedError,
            "select a terminal; it starts by itself",
            lambda m, c: c.streams[0].start(),
        ),
        (e.InvalidStreamError, "None is no stream of call", lambda m, c: c.remove_stream(None)),
        (
            e.InvalidTerminalClassError,
            "None is no terminal class: give one of",
            lambda m, c: c.request_terminal(None, AUDIO, CAPTURE),
        ),
    ],
)
@scenario()
async def test_providers_and_calls(
    error: type[Exception], advice: str, mistake: Callable[[MediaServiceProvider, Call], object]
) -> None:
    async with provider() as msp:
        call = msp.create_call()
        says(error, advice, lambda: mistake(msp, call))
        assert msp.calls == (call,)


@pytest.mark.parametrize("play_list", [None, 5, "film.mkv", []])
def test_what_is_no_play_list(play_list: Any) -> None:
    with pytest.raises(e.ConfigurationError, match="play list: give"):
        FilePlayback(play_list)


@scenario()
async def test_what_are_no_calls_to_connect() -> None:
    async with memory_calls() as (tsp, x, y):
        for pair in ((None, "call"), (x, None), (None, y)):
            with pytest.raises(e.InvalidStreamError, match="not joined; connect what pair"):
                await tsp.connect(pair=pair)


@scenario()
async def test_what_is_no_stream_of_a_person_and_no_window() -> None:
    async with memory_calls() as (tsp, x, y):
        for call in (x, y):
            call.select_terminal(ToneTerminal())
        await tsp.connect(pair=(x, y))
        (person,) = await eventually(lambda: x.participants, "they join")
        view = x.query(ParticipantSubStreamControl)
        for thing in (None, "audio render", AUDIO):
            for ask in (person.is_enabled, lambda it: person.set_enabled(it, False)):
                says(e.InvalidStreamError, "one of their .streams.", lambda a=ask, t=thing: a(t))
            says(
                e.InvalidStreamError,
                "is no substream of audio capture",
                lambda t=thing: x.stream(AUDIO, CAPTURE).remove_substream(t),
            )
            if thing is not None:
                says(
                    e.InvalidTerminalError,
                    "is no window of video render",
                    lambda t=thing: view.pin(person, t),
                )


@pytest.mark.parametrize("thing", [None, "Bob", Participant])
@scenario()
async def test_what_is_no_person_and_no_substream(thing: Any) -> None:
    async with provider() as msp:
        view = msp.create_call().query(ParticipantSubStreamControl)
        for ask in (view.substream_of, view.pin, view.unpin):
            says(e.ConfigurationError, "take one of the call's", lambda ask=ask: ask(thing))
        says(
            e.InvalidStreamError,
            "no substream of this call: take one",
            lambda: view.participant_of(thing),
        )


@scenario()
async def test_what_is_no_medium_of_a_person() -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        for call in (x, y):
            call.select_terminal(ToneTerminal())
        await tsp.connect(pair=(x, y))
        (person,) = await eventually(lambda: x.participants, "they join")
        view = x.query(ParticipantSubStreamControl)
        for medium in ("video", None):
            says(
                e.InvalidMediaTypeError,
                "is no MediaType: give MediaType.VIDEO",
                lambda medium=medium: view.substream_of(person, medium),
            )


class Offers(MediaServiceProvider):
    """Offers that privately."""

    what: Any = ()

    def private_interfaces(self, call: Call) -> Any:
        return self.what


@pytest.mark.parametrize("what", [None, 5, [ToneTerminal], Participant])
@scenario()
async def test_what_a_provider_of_ones_own_cannot_offer(what: Any) -> None:
    async with Offers() as msp:
        msp.what = what
        says(
            e.ConfigurationError,
            "private_interfaces.. gave .*: return the objects",
            msp.create_call,
        )
        assert not msp.calls
        msp.what = [tone := ToneTerminal()]
        assert msp.create_call().query(ToneTerminal) is tone


@pytest.mark.parametrize("thing", [None, ToneTerminal, "tone"])
@scenario()
async def test_what_is_no_terminal(thing: Any) -> None:
    async with provider() as msp:
        call = msp.create_call({AUDIO})
        for place in (call, call.stream(AUDIO, CAPTURE), call.stream(AUDIO, RENDER)):
            for act in (place.select_terminal, place.unselect_terminal):
                says(e.InvalidTerminalError, "is no terminal; make one", lambda f=act: f(thing))


@scenario()
async def test_what_is_no_kind_of_item_and_no_terminal_for_a_person() -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        for call in (x, y):
            call.select_terminal(ToneTerminal())
        await tsp.connect(pair=(x, y))
        (person,) = await eventually(lambda: x.participants, "they join")
        says(e.ConfigurationError, "give one as SdesType.EMAIL", lambda: person.info("email"))
        assert person.info(SdesType.NAME) == "Bob"
        await eventually(lambda: person.substreams, "they are heard")
        view = x.query(ParticipantSubStreamControl)
        for thing in (None, ToneTerminal):
            says(
                e.InvalidTerminalError,
                "does not take",
                lambda it=thing: view.switch_terminal(it, person.substreams[0]),
            )


def test_one_value_may_stand_for_several() -> None:
    server = IceServer(url="stun:192.0.2.1:3478")
    short = CallSettings(
        ice_addresses="127.0.0.1", ice_servers=server, audio_codecs="opus", video_codecs="vp8"
    )
    assert short == CallSettings(
        ice_addresses=["127.0.0.1"],
        ice_servers=[server],
        audio_codecs=["opus"],
        video_codecs=["VP8"],
    )


# -- what things say of themselves


@pytest.mark.parametrize("kind", [CallSettings, Identity, IceServer])
def test_help_describes_every_field(kind: type[Settings]) -> None:
    shown = inspect.getdoc(kind) or ""
    for name, field in kind.model_fields.items():
        assert field.description and f"\n{name}: {field.description}" in shown
    for name, field in kind.model_fields.items():
        if field.default is None:
            assert "None" in (field.description or ""), name


@scenario()
async def test_providers_calls_and_streams_say_who_they_are() -> None:
    assert repr(MediaServiceProvider(Identity(cname="x1"))) == "<MediaServiceProvider 'x1'>"
    async with provider("Alice") as msp:
        assert repr(msp) == "<MediaServiceProvider 'Alice'>"
        call = msp.create_call({VIDEO})
        assert repr(call) == "<Call 'call 1' of 'Alice' idle>"
        told = [(s["media_type"], s["direction"]) for s in call.stats().to_json()["streams"]]
        assert told == [("video", "capture"), ("video", "render")]
