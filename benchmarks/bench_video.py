"""What pictures cost a conference: forwarded, in a grid, and recorded.

    viewers' process ── encoded pictures ──> hub's process ── one SSRC for each slot ──> and back

Nothing in the hub is decoded but for a mosaic. All goes over ICE and DTLS-SRTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from ipconf.load.run import AT_ONCE, quantile

from .children import Child
from .hubs import FASTER_LOOP
from .machine import Machine, described
from .report import Broken, Plan, Row, attempt

RUNS = 3
SETTLING_S = 4.0
LEAST_SHARE = 0.97
"""Of the packets that were sent so many must come, or the numbers mean nothing."""
SWITCHES = 8
SWITCH_LIMIT_S = 5.0
FORWARD_GOAL_US, SHARED_GOAL_US, FAN_GOAL = 18.0, 11.0, 0.12
GRID_GOAL, LATENCY_GOAL_MS, SWITCH_GOAL_MS = 0.5, 5.0, 250.0
TRACKS_GOAL, MOSAIC_GOAL = 0.10, 0.30


@dataclass(frozen=True, slots=True)
class Case:
    """A gallery."""

    legs: int
    cameras: int
    slots: int
    shared_port: bool = False
    tones: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """Of the far ends' calls."""
        return {"ice_addresses": "127.0.0.1", "video_sections": self.slots, "video_codecs": "VP8"}

    @property
    def hub_settings(self) -> dict[str, Any]:
        """Of the hub's."""
        return self.settings | {"shared_port": 0 if self.shared_port else None}


class Gallery:
    """The two processes with all legs connected, and pictures on their way."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.hub = Child("subject_gallery", *FASTER_LOOP)
        self.viewers = Child("subject_viewers", *FASTER_LOOP)

    async def __aenter__(self) -> Gallery:
        await self.hub.__aenter__()
        await self.viewers.__aenter__()
        case = self._case
        await self.hub.ask("open", settings=case.hub_settings, legs=case.legs)
        for first in range(0, case.legs, AT_ONCE):
            count = min(AT_ONCE, case.legs - first)
            offers = await self.viewers.ask(
                "offer", count=count, settings=case.settings, cameras=case.cameras, tones=case.tones
            )
            answers = await self.hub.ask("answer", offers=offers)
            await self.viewers.ask("accept", answers=answers)
        await self.hub.ask("connected")
        await self.viewers.ask("shoot")
        await asyncio.sleep(SETTLING_S)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.viewers.__aexit__(*exc)
        await self.hub.__aexit__(*exc)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """Share of a core, packets forwarded a second, and what came at the far ends."""
        used, came = await asyncio.gather(
            self.hub.ask("measure", seconds=seconds), self.viewers.ask("measure", seconds=seconds)
        )
        return {
            **came,
            "core": used["cpu"] / used["seconds"],
            "rate": used["forwarded"] / used["seconds"],
            "expected": came["sent"] / seconds * self._lookers,
        }

    @property
    def _lookers(self) -> int:
        """How many see each camera, all together by the number of cameras."""
        case = self._case
        return (
            case.slots * case.legs // case.cameras if case.cameras > case.slots else case.legs - 1
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement, and the machine at that time."""

    core: float
    rate: float
    delays_s: list[float]
    machine: Machine


async def _forward(case: Case, seconds: float) -> Run:
    machine = Machine.now()
    async with Gallery(case) as gallery:
        got = await gallery.measure(seconds)
    if got["rate"] < LEAST_SHARE * got["expected"]:
        raise Broken(f"{got['rate']:.0f} packets/s were forwarded, not {got['expected']:.0f}")
    if sum(got["came"]) < LEAST_SHARE * got["rate"] * seconds:
        raise Broken(f"{sum(got['came'])} packets came of {got['rate'] * seconds:.0f}")
    return Run(got["core"], got["rate"], got["delays"], machine)


def _rows(name: str, runs: list[Run], goal_us: float | None, goal: float | None) -> list[Row]:
    cores = [run.core for run in runs]
    rate = median(run.rate for run in runs)
    around = described([run.machine for run in runs])
    note = (
        f"{min(cores):.3f} to {max(cores):.3f} in {len(runs)} runs; {rate:.0f} packets/s; {around}"
    )
    each = median(run.core / run.rate for run in runs) * 1e6
    return [
        Row(name, median(cores), "core", goal, note),
        Row(f"{name}: a packet", each, "us", goal_us),
    ]


async def _fan(plan: Plan, shared: bool) -> AsyncIterator[Row]:
    """One camera, and a hundred who look."""
    legs = plan.pick(101, 6)
    case = Case(legs, 1, 1, shared_port=shared)
    runs = [
        await attempt(partial(_forward, case, plan.window_s)) for _ in range(plan.pick(RUNS, 1))
    ]
    name = f"video, 1 sender, {legs - 1} viewers, DTLS-SRTP" + (", shared port" if shared else "")
    goals = (SHARED_GOAL_US, None) if shared else (FORWARD_GOAL_US, FAN_GOAL)
    for row in _rows(name, runs, *(goals if not plan.quick else (None, None))):
        yield row
    if not shared:
        delays = [quantile(run.delays_s, 0.5) for run in runs]
        worst = 1e3 * median(quantile(run.delays_s, 0.99) for run in runs)
        yield Row(
            f"{name}: latency, far end to far end", 1e3 * median(delays), "ms", LATENCY_GOAL_MS,
            f"p99 {worst:.1f} ms, with what both far ends take",
        )  # fmt: skip


async def _grid(plan: Plan) -> AsyncIterator[Row]:
    """Everybody sends, and looks at nine."""
    people, slots = plan.pick((20, 9), (5, 2))
    case = Case(people, people, slots)
    runs = [
        await attempt(partial(_forward, case, plan.window_s)) for _ in range(plan.pick(RUNS, 1))
    ]
    name = f"video, {people} people, each in a grid of {slots}, DTLS-SRTP"
    for row in _rows(name, runs, None, None if plan.quick else GRID_GOAL):
        yield row


async def _switches(plan: Plan) -> Row:
    """From a pin to the first packet of the pinned one's pictures."""
    delays = []
    async with Gallery(Case(4, 4, 1)) as gallery:
        for number in range(plan.pick(SWITCHES, 2)):
            camera = 1 + number % 3
            since = await gallery.hub.ask("pin", number=camera)
            await asyncio.sleep(0)
            delays.append(
                await gallery.viewers.ask(
                    "wait_seen", viewer=0, camera=camera, since=since, limit_s=SWITCH_LIMIT_S
                )
            )
            await gallery.hub.ask("unpin", number=camera)
            await asyncio.sleep(1.2)  # a sender is asked for a key frame once a second
    note = f"at most {1e3 * max(delays):.0f} ms in {len(delays)}"
    return Row(
        "video: from a pin to the new picture", 1e3 * median(delays), "ms", SWITCH_GOAL_MS, note
    )


async def _recording(plan: Plan, kind: str, ending: str, goal: float) -> Row:
    """What a recording of ten people takes more than none."""
    people = plan.pick(10, 3)
    shares = []
    for _ in range(plan.pick(RUNS, 1)):
        async with Gallery(Case(people, people, 1, tones=True)) as gallery:
            before = await gallery.measure(plan.window_s)
            await gallery.hub.ask("record", kind=kind, ending=ending)
            await asyncio.sleep(SETTLING_S)
            after = await gallery.measure(plan.window_s)
        shares.append(after["core"] - before["core"])
    note = f"{min(shares):.3f} to {max(shares):.3f} in {len(shares)} runs; beyond none"
    name = f"recording {people} people, 640x360, {kind}"
    return Row(name, median(shares), "core", None if plan.quick else goal, note)


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Each in processes of its own."""
    for shared in (False, True):
        async for row in _fan(plan, shared):
            yield row
    async for row in _grid(plan):
        yield row
    yield await attempt(partial(_switches, plan))
    yield await attempt(partial(_recording, plan, "tracks", "mkv", TRACKS_GOAL))
    yield await attempt(partial(_recording, plan, "mosaic", "mkv", MOSAIC_GOAL))
