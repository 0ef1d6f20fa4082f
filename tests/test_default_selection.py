"""Default terminal selection: the call finds the streams that a terminal goes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from call_ends import Ends, EventLog
from memory_calls import memory_calls
from peers import eventually, scenario
from senses import ALICE, AUDIO, CAPTURE, RENDER, VIDEO, PictureTerminal, Sink
from terminal_lab import file_audio, file_tracks, film_file, pitch_hz, sine, sound_file

from ipconf import (
    Call,
    CaptureTerminal,
    Direction,
    FilePlayback,
    FileRecorder,
    MediaType,
    NullTerminal,
    RenderTerminal,
    Terminal,
    TerminalClass,
    TestPictureTerminal,
    ToneTerminal,
)
from ipconf import errors as e
from ipconf.events import CallMediaEvent, StreamActive, TerminalFailed
from ipconf.terminals.classes import BUILT_IN
from ipconf.terminals.multitrack import MultiTrackTerminal

MULTITRACK, BOTH_WAYS = MediaType.MULTITRACK, Direction.BIDIRECTIONAL


class Headset(CaptureTerminal, RenderTerminal):
    """Says what somebody else says into it, one block later."""

    terminal_class = "headset"

    def __init__(self, medium: MediaType = AUDIO) -> None:
        super().__init__("headset", medium, BOTH_WAYS)
        self.heard: list[np.ndarray] = []

    def read(self, now: float) -> np.ndarray | None:
        return self.heard.pop(0) if self.heard else None

    def write(self, media: Any, at: float) -> None:
        self.heard.append(media)


class Unplugged(NullTerminal):
    """Cannot be opened."""

    def attach(self, host: object) -> None:
        raise OSError("no such device")


def selected(call: Call) -> dict[str, tuple[Terminal, ...]]:
    """The terminals of each stream that has some."""
    return {stream.identity: stream.terminals for stream in call.streams if stream.terminals}


def by_hand(call: Call, terminal: Terminal) -> None:
    call.stream(terminal.media_type, terminal.direction).select_terminal(terminal)


def by_call(call: Call, terminal: Terminal) -> None:
    call.select_terminal(terminal)


# -- selecting


@pytest.mark.parametrize("select", [by_hand, by_call])
@scenario()
async def test_each_terminal_finds_its_stream(select: Callable[[Call, Terminal], None]) -> None:
    """By hand or by the call: the same streams run, the same is told, the same is heard."""
    async with memory_calls() as (tsp, x, y):
        log, bob = EventLog(x), Ends(y)
        tone, camera = ToneTerminal(440), PictureTerminal(ALICE)
        for terminal in (tone, camera):
            select(x, terminal)
        assert selected(x) == {"audio capture": (tone,), "video capture": (camera,)}
        await tsp.connect(pair=(x, y))
        await bob.gets(440, ALICE)
        active = [(event.stream.identity, event.cause) for event in log.of(CallMediaEvent)]
        assert sorted(identity for identity, _ in active) == ["audio capture", "video capture"]
        assert len(log.of(StreamActive)) == 2
        # Also while the call is up.
        bell = ToneTerminal(880)
        x.unselect_terminal(tone)
        select(x, bell)
        await bob.hears(880)


@scenario()
async def test_a_terminal_for_both_directions_goes_both_ways() -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        alice, headset = Ends(x, 440), Headset()
        y.select_terminal(headset)
        assert selected(y) == {"audio capture": (headset,), "audio render": (headset,)}
        await tsp.connect(pair=(x, y))
        await alice.hears(440)  # it comes back
        y.unselect_terminal(headset)
        assert selected(y) == {} and not headset.in_use


@scenario()
async def test_a_film_is_played_on_two_streams(tmp_path: Path) -> None:
    film = FilePlayback([film_file(tmp_path / "film.mkv", 2.0)], loop=True)
    async with memory_calls() as (tsp, x, y):
        x.select_terminal(film)
        assert selected(x) == {"audio capture": (film.audio,), "video capture": (film.video,)}
        bob = Ends(y)
        await tsp.connect(pair=(x, y))
        film.start()
        assert len(await bob.heard.get()) and (await bob.seen.get()).width == 160
        x.unselect_terminal(film)
        assert selected(x) == {} and not film.in_use
    film.close()
    await film.wait_closed()


@scenario()
async def test_a_recorder_gets_the_tracks_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "call.mkv"
    async with memory_calls() as (tsp, x, y):
        log, bob = EventLog(y), Ends(y)
        Ends(x, 440, ALICE)
        recorder = y.request_terminal("file recording", MULTITRACK, RENDER, path=path)
        assert isinstance(recorder, FileRecorder)
        sound = recorder.create_track(AUDIO, "Alice")
        y.select_terminal(recorder)
        assert y.stream(AUDIO, RENDER).terminals == (bob.ear, sound)
        assert y.stream(VIDEO, RENDER).terminals == (bob.eye, recorder.video)
        assert len(recorder.tracks) == 2
        recorder.start()
        await tsp.connect(pair=(x, y))
        await bob.gets(440, ALICE)
        y.unselect_terminal(recorder)
        assert y.stream(AUDIO, RENDER).terminals == (bob.ear,)
        assert len(recorder.tracks) == 2  # they belong to the file
        recorder.close()
        await recorder.wait_closed()
        assert not log.of(TerminalFailed)
    assert file_tracks(path) == ["audio", "video"]
    assert pitch_hz(file_audio(path)[4_800:]) == pytest.approx(440, abs=5)


@scenario()
async def test_a_recorder_takes_of_a_call_what_its_file_can_hold(tmp_path: Path) -> None:
    async with memory_calls() as (_, x, y):
        recorder = FileRecorder(tmp_path / "call.wav")
        x.select_terminal(recorder)
        assert selected(x) == {"audio render": (recorder.audio,)}
        y.select_terminal(recorder)  # two calls on one track are mixed
        assert len(recorder.tracks) == 1 and len(recorder.audio.hosts) == 2
        x.unselect_terminal(recorder)
        assert selected(x) == {} and selected(y) == {"audio render": (recorder.audio,)}


@scenario()
async def test_unselecting_finds_tracks_wherever_they_are(tmp_path: Path) -> None:
    async with memory_calls() as (tsp, x, y):
        recorder = FileRecorder(tmp_path / "call.mkv")
        Ends(x, 440)
        y.stream(AUDIO, RENDER).select_terminal(recorder.audio)
        await tsp.connect(pair=(x, y))
        (person,) = await eventually(lambda: y.participants, "Alice is there")
        (share,) = await eventually(lambda: person.substreams, "she sends sound")
        share.select_terminal(theirs := recorder.create_track(AUDIO, "Alice"))
        share.select_terminal(other := NullTerminal(AUDIO))
        y.unselect_terminal(recorder)
        assert selected(y) == {} and share.terminals == (other,) and not theirs.in_use
        y.unselect_terminal(other)
        assert share.terminals == ()


class Album(MultiTrackTerminal):
    """A terminal whose tracks have tracks."""

    def __init__(self, *sides: Terminal) -> None:
        super().__init__("album", CAPTURE)
        self.sides = sides

    @property
    def tracks(self) -> tuple[Terminal, ...]:
        return self.sides

    def create_track(self, media_type: MediaType) -> Terminal:
        raise e.NotSupportedError("an album is as it was made")

    def remove_track(self, track: Terminal) -> None:
        raise AssertionError("nothing was created")


@scenario()
async def test_tracks_of_tracks_are_selected(tmp_path: Path) -> None:
    sides = [FilePlayback([sound_file(tmp_path / f"{n}.wav", sine(0.2))]) for n in "AB"]
    album, picture = Album(*sides), TestPictureTerminal("cover")
    album.sides += (picture,)
    async with memory_calls() as (_, x, _):
        x.select_terminal(album)
        sounds = tuple(side.audio for side in sides)
        assert selected(x) == {"audio capture": sounds, "video capture": (picture,)}
        x.unselect_terminal(album)
        assert selected(x) == {} and not album.in_use
        with pytest.raises(e.InvalidTerminalError, match="can have no track for audio or video"):
            x.select_terminal(Album())


# -- all or nothing


@scenario()
async def test_a_film_of_which_a_track_has_no_place_is_not_selected(tmp_path: Path) -> None:
    film = FilePlayback([film_file(tmp_path / "film.mkv", 0.4)])
    async with memory_calls() as (tsp, x, y):
        camera = TestPictureTerminal("one")
        x.select_terminal(camera)
        with pytest.raises(e.MaxTerminalsError, match="takes 1 terminal; unselect"):
            x.select_terminal(film)
        assert selected(x) == {"video capture": (camera,)} and not film.in_use
        listener = tsp.providers[1].create_call({AUDIO})
        with pytest.raises(e.InvalidMediaTypeError, match="without video; name it"):
            listener.select_terminal(film)
        assert selected(listener) == {} and not film.in_use
        # Half of it is there already, and stays.
        y.select_terminal(film.video)
        with pytest.raises(e.InvalidTerminalError, match="already on video capture"):
            y.select_terminal(film)
        assert selected(y) == {"video capture": (film.video,)}


@scenario()
async def test_tracks_made_for_nothing_are_removed_again(tmp_path: Path) -> None:
    async with memory_calls() as (_, x, y):
        recorder = FileRecorder(tmp_path / "call.mkv")
        y.select_terminal(recorder.video)
        with pytest.raises(e.TerminalInUseError, match="unselect it there first"):
            x.select_terminal(recorder)
        assert selected(x) == {} and recorder.tracks == (recorder.video,)


@scenario()
async def test_a_terminal_that_cannot_be_opened_fails_as_by_hand() -> None:
    async with memory_calls() as (_, x, _):
        log = EventLog(x)
        with pytest.raises(e.MediaError, match="cannot be opened: no such device"):
            x.select_terminal(Unplugged(AUDIO))
        assert (await log.until(TerminalFailed)).stream is x.stream(AUDIO, RENDER)
        assert selected(x) == {}


# -- requesting


@scenario()
async def test_a_device_that_is_free_comes_first() -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        registry = tsp.providers[0].terminals
        first, second = ToneTerminal(), ToneTerminal()
        for device in (TestPictureTerminal("one"), NullTerminal(AUDIO), first, second):
            registry.add_static(device)
        by_class = next(each for each in BUILT_IN if each.name == "tone")
        for expected in (first, second):
            tone = x.request_terminal(by_class, AUDIO, CAPTURE)
            assert tone is expected
            x.select_terminal(tone)
        made = x.request_terminal("tone", AUDIO, CAPTURE, frequency_hz=880.0)
        assert isinstance(made, ToneTerminal) and made.frequency_hz == 880.0
        assert made not in registry.static
        x.unselect_terminal(first)
        assert x.request_terminal("tone", AUDIO, CAPTURE) is first
        assert y.request_terminal("tone", AUDIO, CAPTURE) not in registry.static


@scenario()
async def test_a_device_for_both_directions_is_found_for_one() -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        headset = Headset()
        tsp.providers[0].terminals.add_static(headset)
        for direction in (CAPTURE, RENDER, BOTH_WAYS):
            assert x.request_terminal("headset", AUDIO, direction) is headset
        x.stream(AUDIO, RENDER).select_terminal(headset)
        with pytest.raises(e.TerminalInUseError, match="unselect it there first"):
            x.request_terminal("headset", AUDIO, CAPTURE)
        with pytest.raises(e.InvalidTerminalClassError, match="there are"):
            y.request_terminal("headset", AUDIO, CAPTURE)


@scenario()
async def test_what_was_requested_is_selected_and_heard() -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        heard: asyncio.Queue[Any] = asyncio.Queue()
        sink = TerminalClass(
            "sink",
            frozenset({AUDIO}),
            frozenset({RENDER}),
            lambda medium, direction: Sink(medium, heard),
        )
        tsp.providers[1].terminals.register(sink)
        x.select_terminal(x.request_terminal("tone", AUDIO, CAPTURE))
        y.select_terminal(y.request_terminal(sink, AUDIO, RENDER))
        await tsp.connect(pair=(x, y))
        assert (await heard.get()).shape[1] == 1


# -- mistakes


def _recorder(call: Call, path: Path) -> None:
    call.select_terminal(FileRecorder(path / "call.wav"))


def _twice(call: Call, path: Path) -> None:
    camera = TestPictureTerminal("one")
    call.select_terminal(camera)
    try:
        call.select_terminal(camera)
    finally:
        call.unselect_terminal(camera)


def _half_a_headset(call: Call, path: Path) -> None:
    half = NullTerminal(VIDEO)
    half.direction = BOTH_WAYS
    call.select_terminal(half)


def _closed_film(call: Call, path: Path) -> None:
    film = FilePlayback([film_file(path / "film.mkv", 0.2, sound=False)])
    film.close()
    call.select_terminal(film)


MISTAKES: list[tuple[type[e.UsageError], str, Callable[[Call, Path], object]]] = [
    (
        e.InvalidTerminalError,
        r"request_terminal\(\) gives you one",
        lambda call, _: call.select_terminal("tone"),  # type: ignore[arg-type]
    ),
    (
        e.InvalidTerminalError,
        r"request_terminal\(\) gives you one",
        lambda call, _: call.unselect_terminal(ToneTerminal),  # type: ignore[arg-type]
    ),
    (
        e.InvalidMediaTypeError,
        r"without audio; name it in create_call",
        lambda call, _: call.select_terminal(ToneTerminal()),
    ),
    (e.InvalidTerminalError, "no track for video.*choose another", _recorder),
    (e.InvalidTerminalError, "already on video capture", _twice),
    (e.InvalidTerminalError, "takes a terminal for video capture", _half_a_headset),
    (e.ClosedError, "create a new terminal", _closed_film),
    (
        e.InvalidTerminalError,
        "not selected in call 1; see the `terminals`",
        lambda call, _: call.unselect_terminal(TestPictureTerminal("one")),
    ),
    (
        e.InvalidMediaTypeError,
        r"without audio; name it in create_call",
        lambda call, _: call.request_terminal("tone", AUDIO, CAPTURE),
    ),
    (
        e.InvalidMediaTypeError,
        "'tone' terminals carry audio",
        lambda call, _: call.request_terminal("tone", VIDEO, CAPTURE),
    ),
    (
        e.InvalidDirectionError,
        "'test picture' terminals are for capture",
        lambda call, _: call.request_terminal("test picture", VIDEO, RENDER),
    ),
    (
        e.InvalidTerminalClassError,
        "no terminal class 'hologram': there are",
        lambda call, _: call.request_terminal("hologram", VIDEO, RENDER),
    ),
    (
        e.InvalidTerminalClassError,
        "no terminal class 'unregistered': there are",
        lambda call, _: call.request_terminal(
            TerminalClass("unregistered", frozenset({VIDEO}), frozenset({RENDER}), NullTerminal),
            VIDEO,
            RENDER,
        ),
    ),
]


@pytest.mark.parametrize(
    ("error", "advice", "mistake"), MISTAKES, ids=[error.__name__ for error, _, _ in MISTAKES]
)
@scenario()
async def test_a_mistake_changes_nothing(
    tmp_path: Path,
    error: type[e.UsageError],
    advice: str,
    mistake: Callable[[Call, Path], object],
) -> None:
    async with memory_calls({VIDEO}) as (_, x, _):
        events = x.events()
        with pytest.raises(error, match=advice) as caught:
            mistake(x, tmp_path)
        assert caught.type is error and selected(x) == {}
        await x.close()
        assert [event async for event in events] == []


@scenario()
async def test_a_terminal_of_another_call_and_a_call_that_is_over(tmp_path: Path) -> None:
    async with memory_calls() as (_, x, y):
        tone = ToneTerminal()
        x.select_terminal(tone)
        with pytest.raises(e.TerminalInUseError, match="unselect it there first"):
            y.select_terminal(tone)
        with pytest.raises(e.InvalidTerminalError, match="not selected in"):
            y.unselect_terminal(tone)
        assert x.stream(AUDIO, CAPTURE).terminals == (tone,)
        await x.close()
        clip = FilePlayback([sound_file(tmp_path / "clip.wav", sine(0.2))])
        for terminal in (tone, clip, FileRecorder(tmp_path / "call.mkv")):
            with pytest.raises(e.ClosedError, match="its call has ended"):
                x.select_terminal(terminal)
            assert not terminal.in_use
