"""The end of the conference: who heard whom, what was checked, where the recordings are."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..summary import mark, plain_table, print_end, print_faults
from .log import ConferenceLog
from .matrix import Cell
from .script import HUB_KEY, HUB_NAME, Person, Phase
from .sentences import STYLE_OF
from .verdict import Verdict
from .view import leg_numbers


def print_summary(console: Console, log: ConferenceLog, verdict: Verdict) -> None:
    """Print all of it; the last line says whether the demo passed."""
    console.print()
    console.print(_numbers(log))
    console.print()
    console.print(_matrix(log, verdict.cells))
    console.print(_legend())
    console.print(_answers(verdict))
    styled = {key: (side.name, STYLE_OF[side.name]) for key, side in log.people.items()}
    styled[HUB_KEY] = HUB_NAME, STYLE_OF[HUB_NAME]
    failed = print_faults(console, verdict.checks, styled)
    print_files(console, log)
    sentence = "PASSED: everybody heard exactly whom they should, and every expected event came"
    print_end(console, failed, len(verdict.checks), sentence)


def print_files(console: Console, log: ConferenceLog) -> None:
    """Where to hear what everybody heard."""
    console.print()
    for side in log.people.values():
        line = Text.assemble("What ", (side.name, STYLE_OF[side.name]), f" heard: {side.recording}")
        console.print(line, soft_wrap=True)
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


def _matrix(log: ConferenceLog, cells: list[Cell]) -> Table:
    """A row for each phase, a column for each listener."""
    table = plain_table()
    table.add_column("who heard whom")
    for person in log.script.people:
        table.add_column(person.name, header_style=STYLE_OF[person.name], no_wrap=True)
    found = {(cell.phase, cell.listener): cell for cell in cells}
    for phase in log.script.phases:
        row = [_heard(found.get((phase, person)), phase, person) for person in log.script.people]
        table.add_row(f"{phase.span.start_s:4.0f} s  {phase.title}", *row)
    return table


def _heard(cell: Cell | None, phase: Phase, listener: Person) -> Text:
    expected = phase.heard_by(listener)
    if cell is None:
        return Text("✗ ?", "bold red")
    if cell.right:
        return Text.assemble(("✓ ", "green"), *_initials(cell.heard))
    found = Text.assemble(("✗ ", "bold red"), *_initials(cell.heard))
    found.append("?" if cell.doubtful or cell.heard == expected else "")
    return found.append(" not ").append_text(Text.assemble(*_initials(expected)))


def _initials(people: frozenset[Person]) -> list[tuple[str, str]]:
    if not people:
        return [("·", "bright_black")]
    ordered = sorted(people, key=lambda person: person.number)
    return [(person.name[0], STYLE_OF[person.name]) for person in ordered]


def _legend() -> Text:
    return Text(
        "Initials: who was found in what that person heard; · nobody. Who talks says their line in "
        "each phase, heard or not.\n",
        "dim",
    )


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
