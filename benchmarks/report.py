"""What was measured, beside what was promised."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from ipconf.load.processes import Broken

__all__ = ["Broken", "Place", "Plan", "Row", "attempt", "environment", "number", "show", "write"]

T = TypeVar("T")

ATTEMPTS = 3
"""A machine that is busy with something else may spoil a measurement or two."""
MESSAGE_CHARACTERS = 300
"""Of what went wrong, as much as is shown when it is tried again."""


async def attempt(measure: Callable[[], Awaitable[T]]) -> T:
    """What `measure` returns; a broken measurement is thrown away and repeated."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await measure()
        except Broken as exc:
            print(f"  once more: {str(exc)[:MESSAGE_CHARACTERS]}", file=sys.stderr, flush=True)
    return await measure()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number stands in a table of several lines and columns, all by their headings."""

    table: str
    line: str
    column: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; where there is a goal less is better."""

    what: str
    measured: float | None
    """None for what could not be measured here; the note says why."""
    unit: str
    goal: float | None = None
    """The most there may be; None for what is only told for comparison."""
    note: str = ""
    place: Place | None = None
    """Where else it is told."""

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached; None without a goal, or a number."""
        if self.goal is None or self.measured is None:
            return None
        return self.measured <= self.goal

    @property
    def told(self) -> str:
        """The number with its unit."""
        return "-" if self.measured is None else f"{number(self.measured)} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    quick: bool = False
    full: bool = False
    """Everything, however long it takes."""

    @property
    def runs(self) -> int:
        """How often each competitor has its turn."""
        return 1 if self.quick else 5

    @property
    def window_s(self) -> float:
        """How long each turn is measured."""
        return 2.0 if self.quick else 6.0

    def pick(self, usual: int, quick: int) -> int:
        """The first number, or with `--quick` the second."""
        return quick if self.quick else usual


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(title=", ".join(f"{k} {v}" for k, v in environment().items()))
    for heading in ("what", "measured", "goal", "met", "note"):
        table.add_column(heading, justify="right" if heading in ("measured", "goal") else "left")
    for row in rows:
        goal = "" if row.goal is None else f"{number(row.goal)} {row.unit}"
        met = {None: "", True: "yes", False: "NO"}[row.met]
        table.add_row(row.what, row.told, goal, met, row.note)
    Console(width=None if os.isatty(1) else 160).print(table)


def write(rows: Iterable[Row], path: Path) -> None:
    """Write the table as JSON, with what it was measured on."""
    lines = [{**asdict(row), "met": row.met} for row in rows]
    path.write_text(json.dumps({"environment": environment(), "rows": lines}, indent=1) + "\n")


def number(value: float) -> str:
    """A number as people write it: three digits that matter, no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def environment() -> dict[str, str]:
    """What the numbers depend on."""
    load, _, _ = os.getloadavg()
    return {
        "Python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "load average": f"{load:.1f}",
        **{name: _version(name) for name in ("aiortc", "av", "numpy", "uvloop")},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
