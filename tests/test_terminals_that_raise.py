"""Terminals whose code raises where it is taken, given back or closed: nobody else is disturbed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from call_ends import EventLog
from conference_lab import meeting
from memory_calls import memory_calls
from peers import scenario
from senses import AUDIO, RENDER
from stream_lab import Lab, Window

from ipconf import Direction, FileRecorder, MediaType, RenderTerminal
from ipconf.errors import MediaError, TerminalInUseError
from ipconf.events import (
    CallMediaEvent,
    FileState,
    LegFailed,
    ParticipantLeft,
    TerminalFailed,
)
from ipconf.model import Cause
from ipconf.terminals.base import Samples, TerminalHost
from ipconf.terminals.registry import TerminalClass, TerminalRegistry
from ipconf.terminals.tones import ToneTerminal

FAULTS = [OSError("no device"), asyncio.CancelledError()]
"""The second is what the result of a task that was cancelled raises, in code that only asks it."""
FAILED = ("TerminalFailed", Cause.BAD_DEVICE)
ENDED = ("StreamInactive", Cause.LOCAL_REQUEST)

faulty = pytest.mark.parametrize("fault", FAULTS, ids=["error", "cancelled"])


class Stubborn(RenderTerminal):
    """Raises where it is told to, with or without having done its work before."""

    def __init__(self, fault: BaseException, *steps: str, after: bool = False) -> None:
        super().__init__("stubborn", AUDIO, RENDER)
        self._fault = fault
        self._steps = steps
        self._after = after

    def _do(self, step: str, work: Callable[[], None]) -> None:
        if step not in self._steps or self._after:
            work()
        if step in self._steps:
            raise self._fault

    def attach(self, host: TerminalHost) -> None:
        self._do("attach", lambda: super(Stubborn, self).attach(host))

    def detach(self, host: TerminalHost) -> None:
        self._do("detach", lambda: super(Stubborn, self).detach(host))

    def close(self) -> None:
        self._do("close", super().close)

    async def wait_closed(self) -> None:
        self._do("wait_closed", lambda: None)

    def write(self, media: object, at: float) -> None:
        pass


def sounding() -> Lab:
    """A stream on which somebody is heard."""
    lab = Lab(AUDIO)
    lab.connect()
    return lab


def error_of(lab: Lab) -> Exception | None:
    """What the only TerminalFailed of late tells."""
    (failed,) = [event for event in lab.events if isinstance(event, TerminalFailed)]
    return failed.error


# -- given back


@faulty
@pytest.mark.parametrize("after", [False, True])
def test_the_only_terminal_of_a_stream_fails_as_it_is_taken_off(
    fault: BaseException, after: bool
) -> None:
    lab = sounding()
    terminal = Stubborn(fault, "detach", after=after)
    lab.stream.select_terminal(terminal)
    lab.join("ann")
    lab.run(1)
    lab.events.clear()
    lab.stream.unselect_terminal(terminal)
    assert lab.stream.terminals == () and not lab.stream.running and not lab.stream.active
    error = error_of(lab)
    assert error is fault or "ask a task whether it was cancelled" in str(error)
    assert lab.told(CallMediaEvent) == [FAILED, ENDED]  # and no StreamFailed: nobody misses it
    assert not terminal.in_use


def test_one_that_had_failed_before_may_fail_again_as_it_is_taken_off() -> None:
    lab = sounding()
    terminal = Stubborn(OSError(), "detach")
    lab.stream.select_terminal(terminal)
    terminal.fail(OSError("broken"))
    assert ("StreamFailed", Cause.BAD_DEVICE) in lab.told(CallMediaEvent)
    lab.stream.unselect_terminal(terminal)
    assert lab.told(CallMediaEvent) == [FAILED]


@faulty
def test_a_person_leaves_all_the_same(fault: BaseException) -> None:
    lab = sounding()
    ann = lab.join("ann")
    lab.run(1)
    terminal = Stubborn(fault, "detach")
    ann.substream.select_terminal(terminal)
    lab.run(1)
    lab.events.clear()
    ann.leave()
    lab.run(1)
    kinds = [type(event) for event in lab.events]
    assert kinds.count(TerminalFailed) == kinds.count(ParticipantLeft) == 1
    assert lab.told(CallMediaEvent) == [FAILED, ("StreamInactive", Cause.REMOTE_REQUEST)]
    assert lab.stream.substreams == () and lab.roster.participants == ()
    assert not terminal.in_use


def test_a_terminal_that_fails_as_it_leaves_can_be_selected_elsewhere() -> None:
    here, there = sounding(), sounding()
    terminal = Stubborn(OSError(), "detach")
    here.stream.select_terminal(terminal)
    here.stream.hand_over(terminal, there.stream)
    assert there.stream.terminals == (terminal,) and here.told(CallMediaEvent) == [FAILED]


@faulty
@scenario()
async def test_a_call_and_its_provider_close_all_the_same(fault: BaseException) -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        good, after = Window(AUDIO), Window(AUDIO)
        bad = Stubborn(fault, "detach"), Stubborn(fault, "detach")
        for terminal in (good, *bad, after):
            y.stream(AUDIO, RENDER).select_terminal(terminal)
        x.select_terminal(ToneTerminal())
        await tsp.connect(pair=(x, y))
        log = EventLog(y)
        await y.close()
        assert not any(terminal.in_use for terminal in (good, *bad, after))
        failed = [await log.until(TerminalFailed) for _ in bad]
        assert [event.terminal for event in failed] == list(bad)
        assert {event.cause for event in failed} == {Cause.BAD_DEVICE}
        x.stream(AUDIO, RENDER).select_terminal(bad[0])  # and the provider closes with it


@scenario()
async def test_a_stream_that_cannot_be_closed_holds_up_nothing_else() -> None:
    class Broken(Exception):
        pass

    def fail() -> None:
        raise Broken

    async with memory_calls({AUDIO}) as (_, x, y):
        tone, ear = ToneTerminal(), Window(AUDIO)
        recorded = y._provider.terminals.create("tone", AUDIO, Direction.CAPTURE)
        for terminal in (tone, ear):
            y.select_terminal(terminal)
        events = y.events()
        close = y.stream(AUDIO, Direction.CAPTURE).close
        y.stream(AUDIO, Direction.CAPTURE).close = fail  # type: ignore[method-assign]
        with pytest.raises(Broken):
            await y._provider.close()
        assert recorded.closed and not ear.in_use and y._provider.calls == ()
        assert [event async for event in events] == []
        close()


# -- taken


@faulty
@pytest.mark.parametrize("after", [False, True])
def test_a_terminal_that_cannot_be_taken_is_not_in_use(fault: BaseException, after: bool) -> None:
    lab = sounding()
    terminal = Stubborn(fault, "attach", after=after)
    with pytest.raises(MediaError, match="stubborn \\d+ cannot be opened"):
        lab.stream.select_terminal(terminal)
    assert lab.stream.terminals == () and not terminal.in_use
    connect_fail = Cause.CONNECT_FAIL
    assert lab.told(CallMediaEvent) == [
        ("TerminalFailed", connect_fail),
        ("StreamFailed", connect_fail),
    ]


def test_a_terminal_in_use_stays_where_it_is() -> None:
    here, there = sounding(), sounding()
    (window,) = here.windows(1)
    with pytest.raises(TerminalInUseError):
        there.stream.select_terminal(window)
    assert window.hosts == (here.stream,) and there.told(CallMediaEvent) == []


# -- in a conference


@faulty
@scenario()
async def test_a_local_leg_gives_its_terminals_back_all_the_same(fault: BaseException) -> None:
    async with meeting("") as there:
        failures = there.conference.events(LegFailed)
        bad, good = Stubborn(fault, "detach"), Window(AUDIO)
        leg = there.conference.add_local("Desk", bad, good)
        leg.unselect_terminal(bad)
        assert leg.terminals == (good,) and not bad.in_use
        assert (await anext(failures)).terminal is bad
        leg.select_terminal(bad)
        await there.conference.remove(leg)
        assert not bad.in_use and not good.in_use and there.conference.legs == ()
        with pytest.raises(MediaError, match="cannot be opened"):
            there.conference.add_local("Desk", Stubborn(fault, "attach"))
        assert there.conference.legs == ()


# -- closed


@faulty
@pytest.mark.parametrize("step", ["close", "wait_closed"])
@scenario()
async def test_a_registry_closes_all_others(
    fault: BaseException, step: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    registry = TerminalRegistry([Stubborn(fault, step)])
    stubborn = TerminalClass(
        "stubborn", frozenset({AUDIO}), frozenset({RENDER}), lambda *_: Stubborn(fault, step)
    )
    registry.register(stubborn)
    made = [registry.create("stubborn", AUDIO, RENDER) for _ in range(3)]
    multitrack = MediaType.MULTITRACK
    recorder = registry.create("file recording", multitrack, RENDER, path=tmp_path / "call.wav")
    assert isinstance(recorder, FileRecorder)
    recorder.start()
    await registry.close()
    assert recorder.closed and recorder.state is FileState.IDLE
    assert not recorder._recordings or not recorder._recordings[-1].is_writing
    texts = [record.message for record in caplog.records]
    assert len(texts) == 1 + len(made) and all("could not be closed" in text for text in texts)


@scenario()
async def test_waiting_for_a_registry_to_close_can_be_given_up() -> None:
    class Slow(ToneTerminal):
        async def wait_closed(self) -> None:
            await asyncio.Event().wait()

    registry = TerminalRegistry([Slow()])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await registry.close()


def test_the_terminals_that_stay_hear_on() -> None:
    lab = sounding()
    bad, ear = Stubborn(OSError(), "detach"), Window(AUDIO)
    lab.stream.select_terminal(bad)
    lab.stream.select_terminal(ear)
    lab.join("ann")
    lab.run(1)
    lab.stream.unselect_terminal(bad)
    heard: list[Samples] = ear.got
    heard.clear()
    lab.run(1)
    assert len(heard) == pytest.approx(50, abs=1) and lab.stream.active
