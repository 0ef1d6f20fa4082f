"""Opus streams, one and many, received or sent: this package against plain aiortc.

    receive: load process ── Opus, DTLS-SRTP ──> subject: unprotect, jitter buffer, decode, terminal
    send:    subject: terminal, encode, protect ──> load process, which decodes and listens

The CPU is all that the subject's process uses; each turn is a process of its own. With one stream
the process sleeps between packets, and most of its CPU goes into waking up with cold caches; with
many it shows what a stream costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from statistics import median
from typing import Any

from .children import Child, connect
from .report import Broken, Plan, Row, attempt

RATIO_GOAL = 0.5
"""Of the CPU that aiortc needs for the same."""
MANY = 40
MANY_SENT = 8
MANY_RUNS = 3
"""Of so many streams the numbers vary less."""
WARM_UP_S = 1.5
"""For probation, the first reports, and buffers to settle."""
FRAMES_PER_S = 50
WHOLE = 0.9
"""Share of the sound that must have been heard for a measurement to count."""
OVERLOADED = 0.5
"""Of aiortc less is enough where it is full: then it is compared by what it has heard."""
SUBJECTS = {"ipconf": "subject_ipconf", "aiortc": "subject_aiortc"}


async def _receive(subject: str, count: int, seconds: float) -> dict[str, Any]:
    async with Child("load") as load, Child(SUBJECTS[subject], "receive") as measured:
        at_rest = await measured.ask("measure", seconds=0) if subject == "ipconf" else None
        await connect(measured, load, count)
        await load.ask("play", sound="tones")
        await asyncio.sleep(WARM_UP_S)
        result: dict[str, Any] = await measured.ask("measure", seconds=seconds)
    sent = FRAMES_PER_S * result["seconds"]
    least = min(result["blocks"], default=0)
    result["full"] = subject == "aiortc" and least < WHOLE * sent
    wanted = (OVERLOADED if result["full"] else WHOLE) * sent
    if len(result["blocks"]) != count or least < wanted or not all(result["tones"]):
        raise Broken(f"{subject} did not hear {count} tones: {result}")
    result["frame cpu"] = result["cpu"] / sum(result["blocks"])
    if at_rest is not None:
        result["new threads"] = result["threads"] - at_rest["threads"]
    return result


async def _send(subject: str, count: int, seconds: float) -> dict[str, Any]:
    async with Child("load") as load, Child(SUBJECTS[subject], "send") as measured:
        await connect(measured, load, count)
        await asyncio.sleep(WARM_UP_S)
        before = await load.ask("heard")
        result: dict[str, Any] = await measured.ask("measure", seconds=seconds)
        after = await load.ask("heard")
    wanted = WHOLE * FRAMES_PER_S * result["seconds"]
    packets = [new["packets"] - old["packets"] for new, old in zip(after, before, strict=True)]
    if len(after) != count or min(packets) < wanted or not all(leg["tone"] for leg in after):
        raise Broken(f"{count} tones of {subject} were not heard: {packets} {after}")
    result["frame cpu"] = result["cpu"] / sum(packets)
    return result


Results = dict[str, list[dict[str, Any]]]


def _compared(what: str, results: Results) -> Row:
    """CPU of both for each 20 ms of a stream, and how they compare turn by turn."""
    frame_us = {name: [r["frame cpu"] * 1e6 for r in runs] for name, runs in results.items()}
    ratios = [ours / theirs for ours, theirs in zip(*frame_us.values(), strict=True)]
    ours, theirs = (median(values) for values in frame_us.values())
    note = (
        f"{ours:.0f} against {theirs:.0f} us for each 20 ms; "
        f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} runs"
    )
    if any(run.get("full") for runs in results.values() for run in runs):
        note += "; aiortc fell behind, and is counted by what it heard"
    return Row(f"{what}: CPU as a share of aiortc's", median(ratios), "x", RATIO_GOAL, note)


async def run_receive(plan: Plan) -> AsyncIterator[Row]:
    """One stream, then forty with a look at the threads."""
    for count in (1, MANY):
        results: Results = {name: [] for name in SUBJECTS}
        for _ in range(plan.runs if count == 1 else min(plan.runs, MANY_RUNS)):
            for name, runs in results.items():
                runs.append(await attempt(partial(_receive, name, count, plan.window_s)))
        yield _compared(f"receiving {_streams(count)}", results)
    grown = max(run["new threads"] for run in results["ipconf"])
    theirs = max(run["threads"] for run in results["aiortc"])
    note = f"a process of aiortc's has {theirs} in all"
    yield Row(f"receiving {_streams(MANY)}: threads for them", grown, "threads", 0, note)


async def run_send(plan: Plan) -> AsyncIterator[Row]:
    """One stream, then as many as aiortc can encode in half a core."""
    for count in (1, MANY_SENT):
        results: Results = {name: [] for name in SUBJECTS}
        for _ in range(plan.runs if count == 1 else min(plan.runs, MANY_RUNS)):
            for name, runs in results.items():
                runs.append(await attempt(partial(_send, name, count, plan.window_s)))
        yield _compared(f"sending {_streams(count)}", results)


def _streams(count: int) -> str:
    return "one Opus stream" if count == 1 else f"{count} Opus streams"
