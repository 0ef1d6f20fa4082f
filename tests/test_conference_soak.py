"""A thousand joins and leaves in random order, with loss: everybody knows the truth at the end."""

from __future__ import annotations

import gc
import random
from contextlib import AsyncExitStack
from itertools import count

from memory_calls import MemoryProvider, Plug
from peers import eventually, scenario
from senses import AUDIO, CAPTURE, RENDER

from ipconf import Call, LoopbackTsp, NetworkImpairment, NullTerminal, ToneTerminal
from ipconf.hub.legs import Leg
from ipconf.hub.voices import Voice

STEPS = 1000
PEOPLE = 10
LOSS_PERCENT = 10


@scenario(limit_s=120)
async def test_a_thousand_joins_and_leaves() -> None:
    await _come_and_go()
    await eventually(lambda: not _left(), "no leg or voice is left")


async def _come_and_go() -> None:
    rng = random.Random(7)
    board: dict[int, Plug] = {}
    free = count(2, 2)
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(MemoryProvider("Hub", board, free))
        conference = await stack.enter_async_context(hub.create_conference())
        tsps = {}
        for number in range(PEOPLE):
            name = f"p{number}"
            provider = await stack.enter_async_context(MemoryProvider(name, board, free))
            tsps[name] = await stack.enter_async_context(LoopbackTsp(provider, hub))
        there: dict[str, tuple[Call, Call]] = {}
        for step in range(STEPS):
            name = rng.choice(list(tsps))
            if name in there:
                call, far = there.pop(name)
                if rng.random() < 0.3:
                    await conference.remove(conference.leg_of(far), "enough")
                await call.close()
                await far.close()
                continue
            call, far = there[name] = tsps[name].pair({AUDIO})
            far.query(NetworkImpairment).set_loss(LOSS_PERCENT, seed=step)
            if rng.random() < 0.5:
                call.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal())
            call.stream(AUDIO, RENDER).select_terminal(NullTerminal(AUDIO))
            conference.add(far, name=name)
            await tsps[name].connect(pair=(call, far))
        truth = set(there)
        await eventually(lambda: {leg.name for leg in conference.legs} == truth)
        await eventually(lambda: {p.name for p in conference.attendees} == truth, limit_s=20)
        for name, (call, _) in there.items():
            await eventually(
                lambda c=call, n=name: {p.name for p in c.participants} - {"Hub"} == truth - {n},
                limit_s=20,
            )
        assert len(hub.calls) == len(there)
        await conference.end()
        assert not conference.attendees and not conference.state().legs


def _left() -> list[object]:
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, Leg | Voice)]
