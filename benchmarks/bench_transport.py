"""What DTLS-SRTP and ICE cost for each packet in a hub of many legs, on asyncio and on uvloop.

    load process ── a packet every 20 ms and leg ──> hub: unprotect, count
    hub: compose, protect, send on every leg, every 20 ms ──> load process, which knows the tone

Sending is measured inside the hub's tick. All that is left (event loop, receiving, unprotecting,
ICE consent both ways) is put down to the packets received.
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
LEGS = 200
QUICK_LEGS = 20
RUNS = 3
WARM_UP_S = 1.0


async def _measure(loop: str, legs: int, seconds: float) -> tuple[float, float]:
    """CPU microseconds for a packet received, and for one sent."""
    async with Child("load", "--uvloop") as load, Child("subject_hub", loop) as hub:
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
    """Both loops in turns; the goals are for the faster one, which is an extra of the package."""
    loops = ["--asyncio", "--uvloop"] if find_spec("uvloop") else ["--asyncio"]
    legs = plan.pick(LEGS, QUICK_LEGS)
    results: dict[str, list[tuple[float, float]]] = {loop: [] for loop in loops}
    for _ in range(min(plan.runs, RUNS)):
        for loop, runs in results.items():
            runs.append(await attempt(partial(_measure, loop, legs, plan.window_s)))
    for loop, runs in results.items():
        judged = loop == loops[-1]
        for what, values, goal in zip(
            ("packet received", "packet sent"),
            zip(*runs, strict=True),
            (RECEIVED_GOAL_US, SENT_GOAL_US),
            strict=True,
        ):
            name = f"transport, {legs} legs on {loop[2:]}: a {what}, CPU"
            note = f"{min(values):.1f} to {max(values):.1f} us in {len(values)} runs"
            yield Row(name, median(values), "us", goal if judged else None, note)
