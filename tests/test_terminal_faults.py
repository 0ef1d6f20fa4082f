"""What terminals do wrong hits themselves alone: what they let out, and blocks that they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from call_ends import Ends, EventLog, loopback
from peers import scenario, together
from senses import AUDIO, CAPTURE, RENDER, VIDEO
from stream_lab import Lab, Window, decoders

from ipconf.events import StreamFailed, TerminalFailed
from ipconf.model import AUDIO_FRAME_S, Cause, MediaType
from ipconf.terminals.base import CaptureTerminal, Samples
from ipconf.terminals.payloads import Payload, PayloadTerminal

SPEECH = bytes(range(160))
"""20 ms of loud PCMU."""


class Errand(CaptureTerminal):
    """Hands out what a task of its own has made, and does not ask whether it was cancelled."""

    def __init__(self, medium: MediaType) -> None:
        super().__init__("errand", medium, CAPTURE)
        self._task = asyncio.ensure_future(asyncio.sleep(0, np.zeros((960, 1), np.int16)))
        self._task.cancel()

    def read(self, now: float) -> Samples | None:
        return self._task.result() if self._task.done() else None


class Faulty(Window):
    """Does what it is told to with each block or picture."""

    def __init__(self, medium: MediaType, fault: Callable[[Any], object]) -> None:
        super().__init__(medium, "faulty")
        self._fault = fault

    def write(self, media: Any, at: float) -> None:
        self._fault(media)
        super().write(media, at)


class FaultyTaker(PayloadTerminal):
    """Takes payloads as badly."""

    def __init__(self, medium: MediaType) -> None:
        super().__init__("faulty taker", medium, RENDER)

    def write_payload(self, payload: Payload, at: float) -> None:
        let_cancelled_out(payload)


def let_cancelled_out(media: object) -> None:
    raise asyncio.CancelledError


def make_softer(media: Samples) -> None:
    media //= 4


def failures(lab: Lab) -> list[tuple[object, str]]:
    """Which terminals have failed, and why."""
    return [(e.terminal, str(e.error)) for e in lab.events if isinstance(e, TerminalFailed)]


@scenario()
async def test_a_capture_terminal_that_lets_a_cancellation_out_fails_alone() -> None:
    """Its call, the other media of it, and the other calls of the provider go on."""
    async with loopback() as (tsp, x, y):
        second, other = tsp.pair({AUDIO})
        ends = Ends(x, 440), Ends(y, 550), Ends(second, 660), Ends(other, 770)
        for pair in ((x, y), (second, other)):
            await tsp.connect(pair=pair)
        for medium in (AUDIO, VIDEO):
            log, bad = EventLog(x), Errand(medium)
            x.stream(medium, CAPTURE).select_terminal(bad)
            failed = await log.until(TerminalFailed)
            assert (failed.terminal, failed.cause) == (bad, Cause.BAD_DEVICE)
            assert "raised CancelledError; ask a task" in str(failed.error)
            assert len(log.of(StreamFailed)) == (medium is VIDEO)  # where nothing else is on
        await together(*(end.hears(hz) for end, hz in zip(ends, (550, 440, 770, 660), strict=True)))


@pytest.mark.parametrize("medium", [AUDIO, VIDEO], ids=["audio", "video"])
def test_a_render_terminal_that_lets_a_cancellation_out_fails_alone(medium: MediaType) -> None:
    with decoders():
        lab = Lab(medium)
        lab.connect()
        ann = lab.join("ann", payload=SPEECH if medium is AUDIO else None)
        bad, taker = Faulty(medium, let_cancelled_out), FaultyTaker(medium)
        ann.substream.select_terminal(bad)
        ann.substream.select_terminal(taker)
        good = Window(medium)
        ann.substream.select_terminal(good)
        lab.run(1)
    assert len(good.got) > 40
    assert {terminal for terminal, _ in failures(lab)} == {bad, taker}
    assert all("raised CancelledError; ask a task" in why for _, why in failures(lab))


@pytest.mark.parametrize("people", [1, 2])
def test_no_terminal_changes_what_others_hear(people: int) -> None:
    """One who tries fails; it is told, and everybody else hears the sound as it came."""
    lab = Lab(AUDIO)
    lab.connect()
    mixed, alone = (Faulty(AUDIO, make_softer) for _ in range(2))
    senders = [lab.join(f"number {number}", payload=SPEECH) for number in range(people)]
    senders[0].substream.select_terminal(alone)
    lab.stream.select_terminal(mixed)
    (ear,) = lab.windows(1)
    own = Window(AUDIO)
    senders[0].substream.select_terminal(own)
    lab.run(1)
    assert [terminal for terminal, _ in failures(lab)] == [alone, mixed]
    assert all("read-only" in why for _, why in failures(lab))
    assert len(ear.got) == len(own.got) >= 0.8 / AUDIO_FRAME_S
    for one, everybody in zip(own.got, ear.got, strict=True):
        assert not one.flags.writeable and not everybody.flags.writeable
        assert np.array_equal(np.clip(one.astype(np.int32) * people, -32768, 32767), everybody)


def test_a_terminal_with_a_volume_of_its_own_may_change_its_block() -> None:
    """It is a copy that nobody else is given."""
    lab = Lab(AUDIO)
    lab.connect()
    lab.join("ann", payload=SPEECH)
    soft = Faulty(AUDIO, make_softer)
    lab.stream.select_terminal(soft)
    soft.volume = 0x8000
    (ear,) = lab.windows(1)
    lab.run(1)
    assert not failures(lab)
    assert 0 < np.abs(soft.got[-1]).max() < np.abs(ear.got[-1].astype(np.int32)).max() / 4
