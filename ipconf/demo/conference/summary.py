"""The end of the conference: who heard and saw whom, what was checked, where the recordings are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..meters import per_cent
from ..summary import mark, plain_table, print_end, print_faults
from .log import ConferenceLog
from .matrix import Cell
from .scenes import Person, Phase
from .script import HUB_KEY, HUB_NAME
from .sentences import STYLE_OF
from .sights import SightCell
from .verdict import Verdict
from .view import leg_numbers

Cells = Mapping[tuple[Phase, Person], Text]
"""What is told of each person in each phase."""

ANY_WIDTH = 1000
"""Columns that no table has."""


def print_summary(console: Console, log: ConferenceLog, verdict: Verdict) -> None:
    """Print all of it; the last line says whether the demo passed."""
    console.print()
    console.print(_numbers(log))
    console.print()
    cells = {(c.phase, c.listener): _heard(c) for c in verdict.cells}
    _print_matrix(console, log, "who heard whom", cells)
    if log.script.slots:
        console.print()
        sights = {(c.phase, c.viewer): _seen(c) for c in verdict.sights}
        _print_matrix(console, log, "who saw whom", sights)
        console.print(_pictures(log))
    console.print(_legend(log))
    console.print(_answers(verdict))
    styled = {key: (side.name, STYLE_OF[side.name]) for key, side in log.people.items()}
    styled[HUB_KEY] = HUB_NAME, STYLE_OF[HUB_NAME]
    failed = print_faults(console, verdict.checks, styled)
    print_files(console, log)
    senses = "heard and saw" if log.script.slots else "heard"
    sentence = f"PASSED: everybody {senses} exactly whom they should, and every expected event came"
    print_end(console, failed, len(verdict.checks), sentence)


def print_files(console: Console, log: ConferenceLog) -> None:
    """Where to hear what everybody heard, and to see all of it."""
    console.print()
    for side in log.people.values():
        line = Text.assemble("What ", (side.name, STYLE_OF[side.name]), f" heard: {side.recording}")
        console.print(line, soft_wrap=True)
    if log.mosaic is not None:
        console.print(f"What all heard and saw: {log.mosaic}", soft_wrap=True)
    console.print()


def _numbers(log: ConferenceLog) -> Table:
    table = plain_table()
    table.add_column("legs, at last")
    headings = ("loss", "jitter", "rtt", "in", "out", "packets in", "out", "lost on purpose")
    for heading in headings:
        table.add_column(heading, justify="right")
    for person in log.script.people:
        leg = log.numbers.get(person.key)
        if leg is not None:
            counts = (leg["in_packets"], leg["out_packets"], leg["dropped_on_purpose"])
            name = Text(person.name, STYLE_OF[person.name])
            table.add_row(name, *leg_numbers(leg).values(), *(f"{count:,}" for count in counts))
    return table


def _print_matrix(console: Console, log: ConferenceLog, title: str, cells: Cells) -> None:
    """In as many tables, one below the other, as the console's width asks for."""
    rest = log.script.people
    unlimited = console.options.update(max_width=ANY_WIDTH)
    while rest:
        count = len(rest)
        table = _matrix(log, title, cells, rest)
        while count > 1 and console.measure(table, options=unlimited).maximum > console.width:
            count -= 1
            table = _matrix(log, title, cells, rest[:count])
        console.print(table)
        rest = rest[count:]


def _matrix(log: ConferenceLog, title: str, cells: Cells, people: Sequence[Person]) -> Table:
    """A row for each phase, a column for each of these people."""
    table = plain_table()
    table.add_column(title)
    for person in people:
        table.add_column(person.name, header_style=STYLE_OF[person.name], no_wrap=True)
    unknown = Text("✗ ?", "bold red")
    for phase in log.script.phases:
        row = [cells.get((phase, person), unknown) for person in people]
        table.add_row(f"{phase.span.start_s:4.0f} s  {phase.title}", *row)
    return table


def _heard(cell: Cell) -> Text:
    expected = cell.phase.heard_by(cell.listener)
    if cell.right:
        return _right(cell.heard)
    return _wrong(cell.heard, bool(cell.doubtful) or cell.heard == expected, expected)


def _seen(cell: SightCell) -> Text:
    expected = cell.expected
    if cell.right:
        return _right(cell.seen)
    doubt = bool(cell.doubtful) or expected.allows(cell.seen)
    return _wrong(cell.seen, doubt, expected.always | expected.choice)


def _right(found: frozenset[Person]) -> Text:
    return Text.assemble(("✓ ", "green"), *_initials(found))


def _wrong(found: frozenset[Person], doubt: bool, expected: frozenset[Person]) -> Text:
    text = Text.assemble(("✗ ", "bold red"), *_initials(found)).append("?" if doubt else "")
    return text.append(" not ").append_text(Text.assemble(*_initials(expected)))


def _initials(people: frozenset[Person]) -> list[tuple[str, str]]:
    if not people:
        return [("·", "bright_black")]
    ordered = sorted(people, key=lambda person: person.number)
    return [(person.name[0], STYLE_OF[person.name]) for person in ordered]


def _pictures(log: ConferenceLog) -> Text:
    """How many pictures were seen in all."""
    stretches = [stretch for side in log.people.values() for stretch in side.stretches]
    seen = sum(stretch.pictures for stretch in stretches)
    missing = sum(stretch.missing for stretch in stretches)
    share = per_cent(missing / (seen + missing)) if seen else "all"
    return Text(
        f"{seen:,} pictures were looked at, {share} of those in between were missing.", "dim"
    )


def _legend(log: ConferenceLog) -> Text:
    heard = (
        "Initials: who was found in what that person heard; · nobody. Who talks says their line "
    )
    heard += "in each phase, heard or not."
    small = log.script.small_screen.name
    seen = f" {small} sees one at a time." if log.script.slots else ""
    return Text(f"{heard}{seen}\n", "dim")


def _answers(verdict: Verdict) -> Table:
    """A row for each question: for how many sides it was answered well."""
    table = plain_table()
    table.add_column("checked")
    table.add_column(HUB_NAME, header_style=STYLE_OF[HUB_NAME])
    table.add_column("people")
    for question in dict.fromkeys(check.question for check in verdict.checks):
        checks = [check for check in verdict.checks if check.question == question]
        hub = [check for check in checks if check.party == HUB_KEY]
        people = [check for check in checks if check.party != HUB_KEY]
        passed = sum(check.passed for check in people)
        table.add_row(
            question,
            mark(hub[0].passed, hub[0].found) if hub else Text(),
            mark(passed == len(people), f"{passed} of {len(people)}") if people else Text(),
        )
    return table
