"""The end of the demo: what was counted, what was checked, where the recordings are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .log import DemoLog, Entry, PartyLog
from .meters import milliseconds, own_row, per_cent, person_row
from .sentences import ROLE_STYLES
from .story import ROLES
from .verdict import Check

MAX_FAULTS = 8
"""What is printed of a check that failed."""


def print_summary(console: Console, log: DemoLog, checks: Sequence[Check]) -> None:
    """Print all of it; the last line says whether the demo passed."""
    console.print()
    console.print(_numbers(log))
    console.print()
    console.print(_answers(checks))
    styled = {key: (party.role.name, ROLE_STYLES[key]) for key, party in log.parties.items()}
    failed = print_faults(console, checks, styled)
    print_files(console, log)
    sentence = "PASSED: each party heard and saw the other, and every expected event came"
    print_end(console, failed, len(checks), sentence)


def print_faults(
    console: Console, checks: Sequence[Check], styled: Mapping[str, tuple[str, str]]
) -> int:
    """What is wrong, by checks; returns how many failed. `styled`: names and styles by party."""
    failed = [check for check in checks if not check.passed]
    for check in failed:
        question = f": {check.question}"
        console.print(Text.assemble(("✗ ", "bold red"), styled[check.party], question))
        left_out = len(check.faults) - MAX_FAULTS
        for fault in check.faults[-MAX_FAULTS:]:
            console.print(Padding(Text(fault), (0, 0, 0, 4), expand=False))
        if left_out > 0:
            console.print(f"    ... and {left_out} before that, see --json")
    return len(failed)


def print_end(console: Console, failed: int, checks: int, sentence: str) -> None:
    """The last line; the sentence is for when nothing failed."""
    if failed:
        console.print(f"FAILED: {failed} of {checks} checks", style="bold red")
    else:
        console.print(sentence, style="bold green", soft_wrap=True)


def print_files(console: Console, log: DemoLog) -> None:
    """Where to hear and see what the parties did."""
    console.print()
    for party in log.parties.values():
        line = Text.assemble(
            "What ",
            (party.role.name, ROLE_STYLES[party.role.key]),
            f" heard and saw: {party.recording}",
        )
        console.print(line, soft_wrap=True)
    console.print()


def _numbers(log: DemoLog) -> Table:
    table = plain_table()
    table.add_column("before the farewell")
    for role in ROLES:
        table.add_column(role.name, justify="right", header_style=ROLE_STYLES[role.key])
    columns = [_party_numbers(party) for party in log.parties.values()]
    for heading in columns[0]:
        table.add_row(heading, *(column.get(heading, "") for column in columns))
    return table


def _party_numbers(party: PartyLog) -> dict[str, str]:
    statistics = party.statistics
    transports = statistics.get("transports", ())
    sessions = statistics.get("sessions", ())
    people = [person_row(statistics, person) for person in statistics.get("people", ())]
    arrived = statistics.get("participants", {}).values()
    sent = own_row(statistics, False) if statistics else None
    counted = {
        heading: f"{sum(each[name] for each in counters):,}"
        for heading, counters, name in (
            ("datagrams sent", transports, "sent"),
            ("datagrams received", transports, "received"),
            ("lost on purpose", transports, "dropped_on_purpose"),
            ("repaired by retransmission", sessions, "repaired"),
        )
    }
    return counted | {
        "loss since the return": ", ".join(map(_loss, arrived)),
        "jitter": ", ".join(milliseconds(row.jitter_s) for row in people),
        "round trip": milliseconds(sent.round_trip_s) if sent else "",
    }


def _loss(arrived: Entry) -> str:
    expected = arrived["packets"] + arrived["lost"]
    return per_cent(arrived["lost"] / expected if expected > 0 else None)


def _answers(checks: Sequence[Check]) -> Table:
    table = plain_table()
    table.add_column("checked")
    for role in ROLES:
        table.add_column(role.name, header_style=ROLE_STYLES[role.key])
    answers: dict[str, dict[str, Text]] = {}
    for check in checks:
        answers.setdefault(check.question, {})[check.party] = mark(check.passed, check.found)
    for question, by_party in answers.items():
        table.add_row(question, *(by_party.get(role.key, Text("")) for role in ROLES))
    return table


def mark(passed: bool, found: str) -> Text:
    """An answer: what was found, where that is as it should be."""
    sign = Text("✓ ", "green") if passed else Text("✗ ", "bold red")
    return sign.append(found if passed else "no, see below", "default")


def plain_table() -> Table:
    """A table with a line under its headings."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False, header_style="bright_black")
