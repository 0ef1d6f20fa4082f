"""What an application does wrong: each mistake has its exception, and a sentence with advice.

One case or more for each error that MSPI tells apart (TAPI_E_*), as far as a call can meet it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from call_ends import Ends, loopback
from peers import eventually, scenario
from senses import ALICE, AUDIO, CAPTURE, RENDER, VIDEO

from ipconf import (
    Call,
    CallSettings,
    Direction,
    Identity,
    MediaServiceProvider,
    MediaType,
    NullTerminal,
    Participant,
    ParticipantControl,
    ParticipantSubStreamControl,
    SdesType,
    Stream,
    Terminal,
    TestPictureTerminal,
    ToneTerminal,
)
from ipconf import errors as e
from ipconf.tsp_data import Connect


@dataclass
class Scene:
    """A call with a person in it who sends a picture, and one that is closed."""

    msp: MediaServiceProvider
    call: Call
    ends: Ends
    closed: Call

    @property
    def person(self) -> Participant:
        return self.call.participants[0]

    def stream(self, medium: MediaType = AUDIO, direction: Direction = CAPTURE) -> Stream:
        return self.call.stream(medium, direction)

    def select(self, terminal: Terminal, medium: MediaType = AUDIO) -> None:
        self.stream(medium).select_terminal(terminal)


def _two_cameras(scene: Scene) -> None:
    for name in ("one", "two"):
        scene.select(TestPictureTerminal(name), VIDEO)


def _on_two_streams(scene: Scene) -> None:
    tone = ToneTerminal()
    scene.msp.create_call().stream(AUDIO, CAPTURE).select_terminal(tone)
    scene.select(tone)


def _start_without_terminal(scene: Scene) -> None:
    scene.stream().stop()
    scene.stream().start()


def _aim_a_camera(scene: Scene) -> None:
    view = scene.call.query(ParticipantSubStreamControl)
    view.switch_terminal(TestPictureTerminal("one"), scene.person.substreams[0])


def _ask_another_call(scene: Scene) -> None:
    view = scene.msp.create_call().query(ParticipantSubStreamControl)
    view.participant_of(scene.person.substreams[0])


def _look_for_their_sound(scene: Scene) -> None:
    scene.call.query(ParticipantSubStreamControl).substream_of(scene.person, AUDIO)


MISTAKES: list[tuple[type[e.UsageError], str, Callable[[Scene], object]]] = [
    (
        e.ConfigurationError,
        "connect_timeout_s: .*greater",
        lambda s: CallSettings(connect_timeout_s=0),
    ),
    (e.ConfigurationError, "an SDES item holds 255", lambda s: Identity(name="x" * 256)),
    (
        e.InvalidMediaTypeError,
        "MediaType.AUDIO, MediaType.VIDEO or both",
        lambda s: s.msp.create_call(()),
    ),
    (e.InvalidMediaTypeError, r"name it in create_call", lambda s: s.closed.stream(VIDEO, RENDER)),
    (e.InvalidDirectionError, "take a render terminal", _aim_a_camera),
    (
        e.InvalidTerminalError,
        "takes a terminal for audio",
        lambda s: s.select(TestPictureTerminal("x")),
    ),
    (e.InvalidTerminalError, "capture", lambda s: s.select(NullTerminal(AUDIO))),
    (
        e.InvalidTerminalError,
        "already on",
        lambda s: s.stream(VIDEO, RENDER).select_terminal(s.ends.eye),
    ),
    (
        e.InvalidTerminalError,
        "not selected on",
        lambda s: s.stream().unselect_terminal(ToneTerminal()),
    ),
    (
        e.InvalidTerminalClassError,
        "there are .*tone",
        lambda s: s.msp.terminals.create("hologram", VIDEO, RENDER),
    ),
    (
        e.InvalidStreamError,
        "one of their .streams.",
        lambda s: s.person.set_enabled(s.stream(VIDEO), False),
    ),
    (e.InvalidStreamError, "no substream of this call", _ask_another_call),
    (
        e.InvalidStreamError,
        "one of its .substreams.",
        lambda s: s.stream(VIDEO, RENDER).remove_substream(None),  # type: ignore[arg-type]
    ),
    (
        e.InvalidStreamError,
        "one of its .streams.",
        lambda s: s.call.remove_stream(s.closed.streams[0]),
    ),
    (
        e.InvalidStreamError,
        "not an open call",
        lambda s: s.msp.receive_tsp_data(s.closed, Connect()),
    ),
    (e.NotSupportedError, r"stop\(\) it instead", lambda s: s.call.remove_stream(s.stream())),
    (
        e.NotSupportedError,
        "in its settings",
        lambda s: s.call.local_participant.set(SdesType.CNAME, "x"),
    ),
    (e.InterfaceNotFoundError, "it has: .*ParticipantControl", lambda s: s.call.query(Participant)),
    (e.NoItemError, "has not announced EMAIL", lambda s: s.person.info(SdesType.EMAIL)),
    (e.NoItemError, "nobody present", lambda s: s.call.query(ParticipantControl).find("?")),
    (e.NoItemError, "is on no audio substream", _look_for_their_sound),
    (e.MaxStreamsError, r"use stream\(\)", lambda s: s.call.create_stream(AUDIO, CAPTURE)),
    (e.MaxTerminalsError, "unselect .* first", _two_cameras),
    (e.ClosedError, "create a new call", lambda s: s.closed.receive_tsp_data(Connect())),
    (
        e.ClosedError,
        "its call has ended",
        lambda s: s.closed.streams[0].select_terminal(ToneTerminal()),
    ),
    (e.ClosedError, "inside .async with.", lambda s: MediaServiceProvider().create_call()),
    (e.NotStoppedError, "starts by itself", lambda s: s.stream(VIDEO, RENDER).start()),
    (e.NoTerminalSelectedError, "select one first", _start_without_terminal),
    (e.TerminalInUseError, "unselect it there first", _on_two_streams),
]


def _name(value: object) -> str | None:
    return value.__name__ if isinstance(value, type) else ""


@pytest.mark.parametrize(("error", "advice", "mistake"), MISTAKES, ids=_name)
@scenario()
async def test_a_mistake_is_answered_with_advice(
    error: type[e.UsageError], advice: str, mistake: Callable[[Scene], object]
) -> None:
    async with loopback() as (tsp, x, y):
        ends, closed = Ends(x), tsp.providers[0].create_call({AUDIO})
        await closed.close()
        Ends(y, None, ALICE)
        await tsp.connect(pair=(x, y))
        await eventually(lambda: x.stream(VIDEO, RENDER).active, "their picture")
        with pytest.raises(error, match=advice) as caught:
            mistake(Scene(tsp.providers[0], x, ends, closed))
        assert caught.type is error
        message = str(caught.value)
        assert len(message.split()) > 4 and not message.endswith(".")
        # It changed nothing: what worked before works on.
        await ends.sees(ALICE, 1)


@scenario()
async def test_a_mute_of_somebody_who_has_left() -> None:
    async with loopback() as (tsp, x, y):
        Ends(x), Ends(y, None, ALICE)
        await tsp.connect(pair=(x, y))
        stream = x.stream(VIDEO, RENDER)
        await eventually(lambda: stream.active, "their picture")
        (person,) = x.participants
        await y.disconnect()
        await eventually(lambda: not person.present, "they leave")
        with pytest.raises(e.InvalidStateError, match="wait until they return"):
            person.set_enabled(stream, False)


def test_every_usage_error_that_a_call_can_meet_is_in_the_table() -> None:
    def leaves(kind: type[Exception]) -> set[type[Exception]]:
        below = {leaf for child in kind.__subclasses__() for leaf in leaves(child)}
        return below or {kind}

    beyond_a_call = {e.ConferenceFullError}
    assert leaves(e.UsageError) - {error for error, _, _ in MISTAKES} == beyond_a_call
