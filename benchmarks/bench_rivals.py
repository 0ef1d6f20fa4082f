"""The same load on our hub and on others: legs that all talk, so that each needs a mix of its own.

Ours and Janus carry 50 legs of Opus, mono, 48 kHz, over plain RTP, in turns. Plain aiortc knows
DTLS-SRTP alone, and less than 50 legs: what is looked for is how many it carries until it is full,
and ours is given the same. At which quality each works is in `bench_quality`.

Listeners, of whom 3 talk, are carried by ours and by a bare loop as well, which keeps no account of
anything: what it takes on the same machine is what there is to be compared with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from ipconf.load.run import Task

from .bench_conference import carrier_of, load_of, name_of
from .hubs import AIORTC, BARE, COMPARED, JANUS, OURS, AiortcHub, BareHub, MakeHub, OwnHub, carry
from .janus import Janus, janus_version
from .janus_files import BITRATE_BPS, find_janus
from .machine import Machine, described
from .report import Broken, Place, Plan, Row, attempt

LEGS = 50
QUICK_LEGS = 6
RUNS = 3
OWN_GOAL = 0.85
"""Core."""
RATIO_GOAL = 0.7
"""Of what Janus takes for the same."""
LEAST_LEGS, MOST_LEGS = 8, 64
QUICK_MOST_LEGS = 4
STEP = 2
"""How exactly the number of legs is found that a hub carries."""
CHANCES = 2
"""A machine that is busy with something else may spoil one."""
FULL_WINDOW_S = 3.0
LISTENERS = (50, 200, 400)
QUICK_LISTENERS = (10,)
LISTENERS_TALKING = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement of one hub, and the machine at that time."""

    cpu: float
    machine: Machine


async def _turn(make: MakeHub, task: Task) -> Turn:
    machine = Machine.now()
    carried = await carry(make(), task)
    if carried.failures:
        raise Broken(f"{'; '.join(carried.failures)}, at {carried.cpu:.2f} core")
    return Turn(carried.cpu, machine)


def _own(task: Task) -> MakeHub:
    return partial(OwnHub, task.settings, task.legs)


def row_of(
    who: str, task: Task, turns: list[Turn], goal: float | None = None, more: str = ""
) -> Row:
    """The row of one of those that are compared."""
    shares = [turn.cpu for turn in turns]
    note = f"{min(shares):.3f} to {max(shares):.3f} in {len(turns)} runs; "
    note += described([turn.machine for turn in turns])
    place = Place(COMPARED, who, f"{task.legs} legs, all talking, {carrier_of(task)}")
    return Row(_name(who, task), median(shares), "core", goal, note + more, place)


def _name(who: str, task: Task) -> str:
    return name_of(task) if who == OURS else f"{load_of(task)}: {who}"


async def _beside_janus(plan: Plan) -> AsyncIterator[Row]:
    """Ours and Janus in turns, and how they compare."""
    legs = plan.pick(LEGS, QUICK_LEGS)
    task = Task(legs, legs, duration_s=plan.window_s)
    there = find_janus() is not None
    ours: list[Turn] = []
    theirs: list[Turn] = []
    for _ in range(min(plan.runs, RUNS)):
        ours.append(await attempt(partial(_turn, _own(task), task)))
        if there:
            theirs.append(await attempt(partial(_turn, Janus, task)))
    goal, ratio_goal = (None, None) if plan.quick else (OWN_GOAL, RATIO_GOAL)
    yield row_of(OURS, task, ours, goal)
    ratio = f"{load_of(task)}: ours as a share of Janus's"
    if not there:
        yield Row(_name(JANUS, task), None, "core", None, Janus.ABSENT)
        yield Row(ratio, None, "x", ratio_goal, Janus.ABSENT)
        return
    room = f"; AudioBridge {janus_version()}, {BITRATE_BPS // 1000} kbit/s to each leg"
    yield row_of(JANUS, task, theirs, more=room)
    ratios = [own.cpu / other.cpu for own, other in zip(ours, theirs, strict=True)]
    note = f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} runs"
    yield Row(ratio, median(ratios), "x", ratio_goal, note)


async def _beside_bare(plan: Plan) -> AsyncIterator[Row]:
    """Ours and a bare loop in turns, for listeners on plain RTP."""
    for legs in plan.pick(LISTENERS, QUICK_LISTENERS):
        task = Task(legs, LISTENERS_TALKING, duration_s=plan.window_s)
        ours: list[Turn] = []
        bare: list[Turn] = []
        for _ in range(min(plan.runs, RUNS)):
            ours.append(await attempt(partial(_turn, _own(task), task)))
            bare.append(await attempt(partial(_turn, BareHub, task)))
        place = f"{legs} legs, {LISTENERS_TALKING} talking, {carrier_of(task)}"
        for who, turns in ((OURS, ours), (BARE, bare)):
            row = row_of(who, task, turns)
            yield replace(row, what=f"{load_of(task)}: {who}", place=Place(COMPARED, who, place))
        ratios = [own.cpu / other.cpu for own, other in zip(ours, bare, strict=True)]
        note = f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} runs"
        what = f"{load_of(task)}: ours as a multiple of {BARE}'s"
        yield Row(what, median(ratios), "x", note=note)


async def find_most(carries: Callable[[int], Awaitable[object]], least: int, most: int) -> int:
    """The largest number, to within `STEP`, for which `carries` answers something; 0 if none does.

    It is asked for `least` and then for twice as many until it fails, but not beyond `most`.
    """
    good, bad, number = 0, most + STEP, least
    while bad - good > STEP:
        if await carries(number):
            good = number
        else:
            bad = number
        number = min(2 * good, most) if bad > most else (good + bad) // 2
    return good


async def _until_full(plan: Plan) -> AsyncIterator[Row]:
    """How many legs the bridge on plain aiortc carries, and what ours takes for as many."""
    turns: dict[int, Turn] = {}

    def task_of(legs: int) -> Task:
        return Task(legs, legs, transport="webrtc", duration_s=FULL_WINDOW_S)

    async def carries(legs: int) -> Turn | None:
        for _ in range(CHANCES):
            with suppress(Broken):
                turns[legs] = await _turn(AiortcHub, task_of(legs))
                return turns[legs]
        return None

    least = plan.pick(LEAST_LEGS, QUICK_MOST_LEGS)
    most = await find_most(carries, least, plan.pick(MOST_LEGS, QUICK_MOST_LEGS))
    if not most:
        raise Broken("the bridge on plain aiortc carries nobody")
    task = task_of(most)
    yield Row("plain aiortc, all talking, DTLS-SRTP: legs until it is full", most, "legs")
    yield row_of(AIORTC, task, [turns[most]])
    own = replace(task, duration_s=plan.window_s)
    yield row_of(OURS, own, [await attempt(partial(_turn, _own(own), own))])


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Janus first, then aiortc; what is broken of one does not keep the other."""
    failures = []
    for part in (_beside_janus, _beside_bare, _until_full):
        try:
            async for row in part(plan):
                yield row
        except Broken as exc:
            failures.append(str(exc))
    if failures:
        raise Broken("; ".join(failures))
