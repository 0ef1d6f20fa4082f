"""What DTLS-SRTP and ICE cost for each packet in a hub of many legs, on asyncio and on uvloop.

    load process ── a packet every 20 ms and leg ──> hub: unprotect, count
    hub: compose, protect, send on every leg, every 20 ms ──> load process, which knows the tone

Sending is measured inside the hub's tick. All that is left (event loop, receiving, unprotecting,
ICE consent both ways) is put down to the packets received. The floor is the same hub where nothing
of this package but the reading of sockets is in the packets' way, in turns with it: machines
differ, and differ from minute to minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from importlib.util import find_spec
from statistics import median

from .bench_audio import FRAMES_PER_S, WHOLE
from .children import Child, connect
from .report import Broken, Plan, Row, attempt

RECEIVED_GOAL_US = 22.0
SENT_GOAL_US = 18.0
FLOOR_US = (17.0, 15.0)
"""What the floor was where those goals were set: to be near it is the goal on any machine."""
LEGS = 200
QUICK_LEGS = 20
RUNS = 3
WARM_UP_S = 1.0


async def _measure(legs: int, seconds: float, *options: str) -> tuple[float, float]:
    """CPU microseconds for a packet received, and for one sent."""
    async with Child("load", "--uvloop") as load, Child("subject_hub", *options) as hub:
        await connect(hub, load, legs)
        await load.ask("play", sound="tones")
        await hub.ask("tick")
        await asyncio.sleep(WARM_UP_S)
        before = await load.ask("heard")
        result = await hub.ask("measure", seconds=seconds)
        after = await load.ask("heard")
    wanted = WHOLE * FRAMES_PER_S * seconds
    returned = [new["packets"] - old["packets"] for new, old in zip(after, before, strict=True)]
    arrived = result["arrived"]
    tones = all(leg["tone"] for leg in after)
    if min(*returned, *arrived) < wanted or not tones or result["unauthenticated"]:
        raise Broken(f"packets were lost: {min(arrived)} came, {min(returned)} returned, {result}")
    received_us = (result["cpu"] - result["send cpu"]) / sum(arrived) * 1e6
    return received_us, result["send cpu"] / result["sent"] * 1e6


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Each loop and the floor in turns; the goals are for the faster loop, an extra."""
    loops = ["--asyncio", "--uvloop"] if find_spec("uvloop") else ["--asyncio"]
    legs = plan.pick(LEGS, QUICK_LEGS)
    floor: list[tuple[float, float]] = []
    results: dict[str, list[tuple[float, float]]] = {loop: [] for loop in loops}
    for _ in range(min(plan.runs, RUNS)):
        for loop, runs in results.items():
            runs.append(await attempt(partial(_measure, legs, plan.window_s, loop)))
        shortest = partial(_measure, legs, plan.window_s, loops[-1], "--floor")
        floor.append(await attempt(shortest))
    goals = (RECEIVED_GOAL_US, SENT_GOAL_US)
    for loop, runs in results.items():
        judged = loop == loops[-1]
        for index, what in enumerate(("received", "sent")):
            values, least = ([run[index] for run in kind] for kind in (runs, floor))
            name = f"transport, {legs} legs on {loop[2:]}: a packet {what}, CPU"
            note = f"{min(values):.1f} to {max(values):.1f} us in {len(values)} runs"
            yield Row(name, median(values), "us", goals[index] if judged else None, note)
            if judged:
                ratios = [value / bottom for value, bottom in zip(values, least, strict=True)]
                name = f"transport, {legs} legs on {loop[2:]}: a packet {what}, against the floor"
                note = f"{median(least):.1f} us is the least that is possible here today"
                yield Row(name, median(ratios), "x", goals[index] / FLOOR_US[index], note)
