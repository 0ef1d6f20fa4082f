"""Reading the process: CPU, threads, memory, open files. Those without /proc know less."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

_PROC = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process holds."""

    tasks: int
    threads: int
    files: int
    """Open descriptors, sockets among them."""
    resident_bytes: int


def threads() -> int:
    """Threads of this process, those of libraries included."""
    task = _PROC / "task"
    return len(os.listdir(task)) if task.exists() else threading.active_count()


def resident_bytes() -> int:
    """Memory of this process that is in RAM; OSError without /proc."""
    pages = int((_PROC / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def holdings() -> Holdings:
    """What this process holds after its garbage has been collected."""
    gc.collect()
    return Holdings(
        tasks=len(asyncio.all_tasks()),
        threads=threads(),
        files=len(os.listdir(_PROC / "fd")),
        resident_bytes=resident_bytes(),
    )


def cpu_of_process(pid: int) -> float:
    """CPU seconds that a process has used, all threads of it, in steps of 10 ms (proc(5))."""
    fields = (_PROC.parent / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


async def cpu_share(seconds: float) -> tuple[float, float]:
    """Let the loop run for that long: CPU seconds used meanwhile, and seconds that passed."""
    wall, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return time.process_time() - cpu, time.monotonic() - wall


async def hub_usage(work: asyncio.Task[None] | None, seconds: float) -> dict[str, Any]:
    """CPU seconds of a hub in that time, of all threads, and seconds that passed.

    Raises what has ended its `work`, if anything did.
    """
    if work is not None and work.done():
        work.result()
    cpu, passed = await cpu_share(seconds)
    return {"cpu": cpu, "seconds": passed, "skipped": 0}


def cpu_us_each(work: Callable[[], int]) -> float:
    """CPU microseconds of each of the things that one call of `work` says it did."""
    gc.collect()
    cpu = time.process_time()
    done = work()
    return (time.process_time() - cpu) * 1e6 / done


def slope(values: Sequence[float]) -> float:
    """By how much values grow from each to the next, whatever single ones do (Theil and Sen)."""
    pairs = combinations(enumerate(values), 2)
    return median((later - earlier) / (j - i) for (i, earlier), (j, later) in pairs)
