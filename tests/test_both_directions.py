"""Terminals for both directions (MSPI: TD_BIDIRECTIONAL): on one stream each way, and moved."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from call_ends import Ends
from memory_calls import memory_calls
from peers import eventually, scenario
from senses import AUDIO, CAPTURE, RENDER
from terminal_lab import Host

from ipconf import (
    Call,
    CaptureTerminal,
    Direction,
    ParticipantSubStreamControl,
    RenderTerminal,
    ToneTerminal,
)
from ipconf.errors import InvalidTerminalError, TerminalInUseError


class Handset(CaptureTerminal, RenderTerminal):
    """Says what somebody else says into it, one block later."""

    def __init__(self) -> None:
        super().__init__("handset", AUDIO, Direction.BIDIRECTIONAL)
        self.heard: list[np.ndarray] = []

    def read(self, now: float) -> np.ndarray | None:
        return self.heard.pop(0) if self.heard else None

    def write(self, media: Any, at: float) -> None:
        self.heard.append(media)


def host(direction: Direction) -> Host:
    """A stream of that direction."""
    made = Host()
    made.direction = direction  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(("first", "second"), [*product((CAPTURE, RENDER), repeat=2)])
def test_it_is_on_one_stream_of_each_direction(first: Direction, second: Direction) -> None:
    handset, one, other = Handset(), host(first), host(second)
    handset.attach(one)
    handset.attach(one)  # it has it
    if first is second:
        with pytest.raises(TerminalInUseError, match="unselect it there first"):
            handset.attach(other)
        assert handset.hosts == (one,)
    else:
        handset.attach(other)
        handset.fail(RuntimeError("unplugged"))
        assert handset.hosts == (one, other) and one.failures == other.failures != []
        for third in (host(CAPTURE), host(RENDER)):
            with pytest.raises(TerminalInUseError):
                handset.attach(third)
        handset.detach(one)
        assert handset.in_use
        handset.attach(host(first))


@pytest.mark.parametrize("direction", [CAPTURE, RENDER])
def test_a_host_for_both_directions_has_all_of_it(direction: Direction) -> None:
    for one, other in (Host(), host(direction)), (host(direction), Host()), (Host(), Host()):
        handset = Handset()
        handset.attach(one)
        with pytest.raises(TerminalInUseError):
            handset.attach(other)
        handset.detach(one)
        handset.attach(other)


def test_a_shared_one_is_on_as_many_as_like() -> None:
    handset = Handset()
    handset.shared = True
    hosts = [host(direction) for direction in (CAPTURE, RENDER) * 2]
    for each in hosts:
        handset.attach(each)
    assert handset.hosts == tuple(hosts)


def test_a_terminal_for_one_direction_is_on_one_stream() -> None:
    tone = ToneTerminal()
    tone.attach(host(CAPTURE))
    with pytest.raises(TerminalInUseError):
        tone.attach(host(RENDER))


def _by_hand(call: Call, handset: Handset) -> None:
    for direction in (CAPTURE, RENDER):
        call.stream(AUDIO, direction).select_terminal(handset)


def _by_call(call: Call, handset: Handset) -> None:
    call.select_terminal(handset)


@pytest.mark.parametrize("select", [_by_hand, _by_call])
@scenario()
async def test_it_speaks_and_hears(select: Callable[[Call, Handset], None]) -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        alice, handset = Ends(x, 440), Handset()
        select(y, handset)
        for place in y.streams:
            with pytest.raises(InvalidTerminalError, match="already on"):
                place.select_terminal(handset)
        third = tsp.providers[1].create_call({AUDIO})
        with pytest.raises(TerminalInUseError):
            third.select_terminal(handset)
        await tsp.connect(pair=(x, y))
        await alice.hears(440)  # it comes back
        y.stream(AUDIO, CAPTURE).unselect_terminal(handset)
        assert y.stream(AUDIO, RENDER).terminals == (handset,)


@scenario()
async def test_one_person_on_it_still_hears_it() -> None:
    async with memory_calls({AUDIO}) as (tsp, x, y):
        alice, handset = Ends(x, 440), Handset()
        y.select_terminal(handset)
        await tsp.connect(pair=(x, y))
        (person,) = await eventually(lambda: y.participants, "Alice is there")
        (share,) = await eventually(lambda: person.substreams, "she sends sound")
        y.query(ParticipantSubStreamControl).switch_terminal(handset, share)
        assert [place.terminals for place in (*y.streams, share)] == [(handset,), (), (handset,)]
        while not alice.heard.empty():  # what came by the stream before
            alice.heard.get_nowait()
        await alice.hears(440)
