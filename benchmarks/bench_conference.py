"""What a conference costs: CPU of the hub's process by legs, talkers, codec and transport.

    callers' process ── each leg 50 packets/s with levels ──> hub's process: decode who talks,
    count, decode what 8 legs get <── 50 packets/s each ──    mix, encode each mix once

A run counts only if every leg got every packet, and the 8 heard all talkers but themselves. The
goals hold with uvloop, where it is installed. Machines differ, and differ from minute to minute:
beside each row stands how loaded the machine was, and what two fixed pieces of work took.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from statistics import median

from ipconf.load.run import Outcome, Task, perform, quantile

from .machine import Machine, described
from .report import Broken, Place, Plan, Row, attempt

RUNS = 3
IDLE_S = 2.0
LATE_GOAL_MS = 3.0
LATENCY_GOAL_MS = 40.0
MEMORY_GOAL_KB = 500.0
SET_UP_GOAL_MS = 6.0
IDLE_GOAL_MS = 0.2


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table."""

    task: Task
    goal: float | None
    """Core of the hub."""
    usual: bool = True
    """Whether it is measured without `--full`, too."""
    told: bool = False
    """Whether rows tell what else it takes."""


LISTENERS = (
    Case(Task(10, 3), None, usual=False),
    Case(Task(50, 3), 0.18, usual=False),
    Case(Task(100, 3), None, usual=False),
    Case(Task(200, 3), 0.35, told=True),
    Case(Task(400, 3), 0.55, usual=False),
    Case(Task(50, 3, transport="webrtc"), None, usual=False),
    Case(Task(100, 3, transport="webrtc"), 0.36, told=True),
    Case(Task(300, 3, transport="webrtc"), 0.75, usual=False, told=True),
    Case(Task(200, 3, shared_port=True), None, usual=False),
    Case(Task(300, 3, transport="webrtc", shared_port=True), 0.55, usual=False),
    Case(Task(500, 3, transport="webrtc", shared_port=True), 0.80, usual=False),
)
TALKERS = (Case(Task(100, 100, codec="pcmu"), 0.20),)
GROWTH = "CPU of the hub by its legs, 3 of them talking"
"""The table of all `LISTENERS`."""
QUICK = Case(Task(10, 3), None, told=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement, and the machine at that time."""

    outcome: Outcome
    machine: Machine


async def _measure(task: Task) -> Run:
    machine = Machine.now()
    outcome = await perform(task, IDLE_S)
    if outcome.failures:
        raise Broken(f"{name_of(task)}: {'; '.join(outcome.failures)}, at {outcome.cpu:.2f} core")
    return Run(outcome, machine)


def load_of(task: Task) -> str:
    """What a load is called, whoever carries it."""
    who = "all" if task.talkers == task.legs else str(task.talkers)
    return f"conference, {task.legs} legs, {who} talking, {task.codec}, {carrier_of(task)}"


def carrier_of(task: Task) -> str:
    """What the packets of a load go through."""
    kind = "plain RTP" if task.transport == "rtp" else "DTLS-SRTP"
    return f"{kind}, shared port" if task.shared_port else kind


def _loop(task: Task) -> str:
    return "uvloop" if task.uvloop else "asyncio"


def name_of(task: Task) -> str:
    """What the row of a load is called that our hub carries."""
    return f"{load_of(task)}, {_loop(task)}"


def rows_of(case: Case, runs: list[Run], judged: bool) -> list[Row]:
    """The rows of a case; `judged` by its goals, or only told for comparison."""

    def middle(value: Callable[[Outcome], float]) -> float:
        return median(value(run.outcome) for run in runs)

    name = name_of(case.task)
    shares = [run.outcome.cpu for run in runs]
    late_ms = 1e3 * middle(lambda o: quantile(o.late_s, 0.99))
    around = described([run.machine for run in runs])
    waited = 100 * middle(lambda o: o.waited)
    note = (
        f"{min(shares):.3f} to {max(shares):.3f} in {len(runs)} runs; {around}; "
        f"waited for a core {waited:.0f} % of the time; p99 of ticks {late_ms:.1f} ms"
    )
    growth = case.task.codec == "opus" and case.task.talkers < case.task.legs
    column = f"{carrier_of(case.task)}, {_loop(case.task)}"
    place = Place(GROWTH, str(case.task.legs), column) if growth else None
    rows = [Row(name, median(shares), "core", case.goal if judged else None, note, place)]
    if not case.told or not judged:
        return rows
    latency = middle(lambda o: quantile(o.latencies_s, 0.5))
    worst = 1e3 * middle(lambda o: quantile(o.latencies_s, 0.99))
    memory = middle(lambda o: o.memory_bytes)
    set_up = middle(lambda o: o.set_up_cpu_s)
    idle = middle(lambda o: o.idle)
    return [
        *rows,
        Row(f"{name}: a tick is late, p99", late_ms, "ms", LATE_GOAL_MS, "if the machine is quiet"),
        Row(f"{name}: latency", 1e3 * latency, "ms", LATENCY_GOAL_MS, f"p99 {worst:.0f} ms"),
        Row(f"{name}: memory of a leg", memory / 1e3, "kB", MEMORY_GOAL_KB),
        Row(f"{name}: CPU to set a leg up", 1e3 * set_up, "ms", SET_UP_GOAL_MS, "with ticks"),
        Row(f"{name}: CPU of a leg without media", 1e3 * idle, "ms/s", IDLE_GOAL_MS),
    ]


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Each usual case on the faster loop; with `--full` all, and usual listeners on both loops."""
    fast = find_spec("uvloop") is not None
    cases = [case for case in (*LISTENERS, *TALKERS) if case.usual or plan.full]
    if plan.quick:
        cases = [QUICK]
    usual = [case for case in LISTENERS if case.usual]
    slow = [replace(case, task=replace(case.task, uvloop=False)) for case in usual]
    failures = []
    for case in [*cases, *(slow if plan.full and fast else [])]:
        task = replace(case.task, duration_s=plan.window_s)
        try:
            runs = [await attempt(partial(_measure, task)) for _ in range(min(plan.runs, RUNS))]
        except Broken as exc:
            failures.append(str(exc))
            continue
        for row in rows_of(case, runs, judged=task.uvloop is fast):
            yield row
    if failures:
        raise Broken("; ".join(failures))
