"""The numbers as a page: `python -m benchmarks --results benchmarks/RESULTS.md`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .janus import janus_version
from .machine import Machine, cpu_model
from .picture import draw
from .report import Plan, Row, environment, number

PICTURE = "growth.png"
SHORT = (
    "**Made by a short run, which shows that everything works and is no evidence of how fast it "
    "is.**"
)


def write_results(
    rows: Sequence[Row], failures: Sequence[str], plan: Plan, options: str, path: Path
) -> None:
    """Write the page, and beside it the picture, if there is enough for one.

    `options` is what the run was started with.
    """
    machine = Machine.now()
    drawn = draw(rows, machine.datagram_us, path.parent / PICTURE)
    lines = compose(rows, failures, plan, options, machine, PICTURE if drawn else None)
    path.write_text("\n".join(lines) + "\n")


def compose(
    rows: Sequence[Row],
    failures: Sequence[str],
    plan: Plan,
    options: str,
    machine: Machine,
    picture: str | None,
) -> list[str]:
    """The lines of the page."""
    lines = ["# Results", ""]
    if plan.quick:
        lines += [SHORT, ""]
    lines += [_how(options), "", *_surroundings(machine), "", _verdict(rows), ""]
    if failures:
        lines += ["What did not work, and is not below:", ""]
        lines += [f"* {_plain(failure)}" for failure in failures]
        lines.append("")
    lines += ["## All numbers", "", *_all(rows), ""]
    for name in dict.fromkeys(row.place.table for row in rows if row.place is not None):
        lines += [f"## {name}", "", *_table(name, rows), ""]
    if picture is not None:
        caption = "The dashed line is what the kernel takes alone, for one datagram each way per"
        lines += [f"![CPU of the hub over its legs]({picture})", "", f"{caption} leg and 20 ms."]
    return lines[: -1 if not lines[-1] else None]


def _how(options: str) -> str:
    command = f"python -m benchmarks {options}".strip()
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. CPU is that of one process, in cores"
        " or microseconds; numbers are medians, a run counts only if everything that was sent was"
        " heard. Runs of those that are compared took turns."
    )


def _surroundings(machine: Machine) -> list[str]:
    said = {
        "processor": cpu_model(),
        **environment(),
        "load average": f"{machine.load_average:.2f} when this was written",
        "janus": janus_version(),
        "Opus": f"{machine.encode_us:.0f} us of CPU to encode 20 ms",
        "kernel": f"{machine.datagram_us:.1f} us of CPU for a sendto and a recvfrom",
    }
    return ["| | |", "|---|---|", *(f"| {name} | {_plain(text)} |" for name, text in said.items())]


def _verdict(rows: Sequence[Row]) -> str:
    """How many goals were met, and by name which were not."""
    judged = [row for row in rows if row.met is not None]
    missed = [row for row in judged if not row.met]
    unknown = [row for row in rows if row.goal is not None and row.measured is None]
    text = f"**{len(judged) - len(missed)} of {len(judged)} goals are met.**"
    if missed:
        named = "; ".join(f"{row.what} ({row.told}, goal {_goal(row)})" for row in missed)
        text += f" Not met: {_plain(named)}."
    if unknown:
        text += f" Not measured: {_plain('; '.join(row.what for row in unknown))}."
    return text


def _all(rows: Iterable[Row]) -> list[str]:
    lines = ["| what | measured | goal | | how |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (row.what, row.told, _goal(row), _judged(row), row.note)
        lines.append(f"| {' | '.join(map(_plain, cells))} |")
    return lines


def _judged(row: Row) -> str:
    if row.goal is not None and row.measured is None:
        return "not measured"
    return {None: "", True: "met", False: "**not met**"}[row.met]


def _goal(row: Row) -> str:
    return "" if row.goal is None else f"{number(row.goal)} {row.unit}"


def _table(name: str, rows: Iterable[Row]) -> list[str]:
    """A table of several lines and columns; a goal stands behind its number."""
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.place is not None and row.place.table == name:
            told = row.told if row.goal is None else f"{row.told} (goal {_goal(row)})"
            cells.setdefault(row.place.line, {})[row.place.column] = told
    if all(line.isdecimal() for line in cells):
        cells = dict(sorted(cells.items(), key=lambda item: int(item[0])))
    columns = list(dict.fromkeys(column for line in cells.values() for column in line))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for heading, line in cells.items():
        lines.append(f"| {heading} | {' | '.join(line.get(c, '') for c in columns)} |")
    return lines


def _plain(text: str) -> str:
    """Text that a table of Markdown can hold."""
    return text.replace("|", "/").replace("\n", " ")
