"""What a call holds, and that a thousand closed calls hold nothing.

Calls come in pairs, both ends in one process: what a pair costs, halved, is one call. Media flows
both ways in every one of them before it counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from .children import Child
from .gauges import slope
from .report import Plan, Row

MEMORY_GOAL_MB = 3.0
ROUNDS = 10
WARM_ROUNDS = 4
"""Until allocators and caches have grown to what they need."""
GROWTH_GOAL_KB = 1.0
"""For each call; a leaked call would be a hundred times that."""
MEGABYTE = 1e6


async def _memory(plan: Plan, video: bool) -> Row:
    """Megabytes for each call beyond the first pair."""
    pairs = plan.pick(8 if video else 25, 3)
    async with Child("subject_calls") as subject:
        settle_s = 1.0 if plan.quick else 3.0
        first = await subject.ask("hold", pairs=1, video=video, settle_s=settle_s)
        whole = await subject.ask("hold", pairs=pairs, video=video, settle_s=settle_s)
    each = (whole["resident_bytes"] - first["resident_bytes"]) / MEGABYTE / (2 * pairs)
    note = f"{first['resident_bytes'] / MEGABYTE:.0f} MB with the first two"
    if video:
        # libvpx takes this much whoever uses it; there is nothing to be promised about it.
        return Row("memory of a call beyond the first, video too", each, "MB", None, note)
    return Row("memory of a call beyond the first, audio", each, "MB", MEMORY_GOAL_MB, note)


async def _leftovers(calls: int, video: bool) -> list[Row]:
    """What that many calls leave, beyond what there was after the first of them."""
    async with Child("subject_calls") as subject:
        pairs = calls // ROUNDS // 2
        rounds = [await subject.ask("churn", pairs=pairs, video=video) for _ in range(ROUNDS)]
    first, last = rounds[WARM_ROUNDS - 1], rounds[-1]
    kind = "closed video calls" if video else "closed calls"
    left = {key: last[key] - first[key] for key in ("tasks", "threads", "files")}
    alive = max(r["alive"] for r in rounds)
    note = ", ".join(f"{count} {what}" for what, count in left.items())
    total = sum(max(0, count) for count in left.values()) + alive
    sizes = [r["resident_bytes"] / 1e3 for r in rounds[WARM_ROUNDS:]]
    growth = max(0.0, slope(sizes) / last["calls"])
    cpu_ms = sum(r["cpu"] for r in rounds) / calls * 1e3
    return [
        Row(f"left by {calls} {kind}", total, "things", 0, f"{note}, {alive} Call objects"),
        Row(
            f"memory left by each of {calls} {kind}",
            growth,
            "kB",
            GROWTH_GOAL_KB,
            f"{sizes[0] / 1e3:.1f} MB at first, {sizes[-1] / 1e3:.1f} MB in the end",
        ),
        Row(f"CPU of each of {calls} {kind}", cpu_ms, "ms", None, "one end, first to last"),
    ]


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Each in a process of its own."""
    yield await _memory(plan, video=False)
    yield await _memory(plan, video=True)
    for row in await _leftovers(plan.pick(1000, 100), video=False):
        yield row
    for row in await _leftovers(plan.pick(400, 20), video=True):
        yield row
