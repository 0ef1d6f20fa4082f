"""What a call holds, and that a thousand closed calls hold nothing.

Calls come in pairs, both ends in one process: what a pair costs, halved, is one call. Media flows
both ways in every one of them before it counts.
"""

from __future__ import annotations

from typing import Any

from .children import Child
from .gauges import slope
from .report import Plan, Row

MEMORY_GOAL_MB = 3.0
CHURNED_CALLS = 1000
ROUNDS = 10
WARM_ROUNDS = 2
"""Until allocators and caches have grown to what they need."""
GROWTH_GOAL_KB = 1.0
"""For each call; a leaked call would be a hundred times that."""
MEGABYTE = 1e6


async def _memory(plan: Plan, video: bool) -> Row:
    """Megabytes for each call beyond the first pair."""
    pairs = plan.pick(10 if video else 25, 3)
    async with Child("subject_calls") as subject:
        settle_s = 1.0 if plan.quick else 3.0
        first = await subject.ask("hold", pairs=1, video=video, settle_s=settle_s)
        all_of_them = await subject.ask("hold", pairs=pairs, video=video, settle_s=settle_s)
    grown = all_of_them["resident_bytes"] - first["resident_bytes"]
    name = "audio and video" if video else "audio"
    note = (
        f"{first['resident_bytes'] / MEGABYTE:.0f} MB with the first two; "
        f"{all_of_them['threads'] - first['threads']} threads more for {2 * pairs} calls"
    )
    each = grown / MEGABYTE / (2 * pairs)
    return Row(f"memory of a call beyond the first, {name}", each, "MB", MEMORY_GOAL_MB, note)


async def _leftovers(plan: Plan) -> list[Row]:
    """What a thousand calls leave, beyond what there was after the first few."""
    async with Child("subject_calls") as subject:
        rounds: list[dict[str, Any]] = []
        for _ in range(ROUNDS):
            pairs = plan.pick(CHURNED_CALLS, 200) // ROUNDS // 2
            rounds.append(await subject.ask("churn", pairs=pairs))
    first, last = rounds[WARM_ROUNDS - 1], rounds[-1]
    calls = sum(r["calls"] for r in rounds)
    rows = [
        Row(f"{what} left by {calls} closed calls", last[key] - first[key], "more", 0)
        for what, key in (("tasks", "tasks"), ("threads", "threads"), ("open files", "files"))
    ]
    rows.append(Row(f"Call objects left by {calls} closed calls", last["alive"], "more", 0))
    sizes = [r["resident_bytes"] / 1e3 for r in rounds[WARM_ROUNDS:]]
    growth = max(0.0, slope(sizes) / last["calls"])
    note = f"{sizes[0] / 1e3:.1f} to {sizes[-1] / 1e3:.1f} MB in all"
    rows.append(Row("memory left by a closed call", growth, "kB", GROWTH_GOAL_KB, note))
    cpu_ms = sum(r["cpu"] for r in rounds) / calls * 1e3
    rows.append(Row("a call set up, heard and closed, one end: CPU", cpu_ms, "ms"))
    return rows


async def run(plan: Plan) -> list[Row]:
    """Each in a process of its own."""
    return [await _memory(plan, False), await _memory(plan, True), *await _leftovers(plan)]
