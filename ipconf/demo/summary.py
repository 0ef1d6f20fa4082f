"""The end of the demo: what was counted, what was checked, where the recordings are."""

from __future__ import annotations

from collections.abc import Sequence

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
    failed = [check for check in checks if not check.passed]
    for check in failed:
        role = log.parties[check.party].role
        console.print(
            Text.assemble(
                ("✗ ", "bold red"), (role.name, ROLE_STYLES[role.key]), f": {check.question}"
            )
        )
        left_out = len(check.faults) - MAX_FAULTS
        for fault in check.faults[-MAX_FAULTS:]:
            console.print(Padding(Text(fault), (0, 0, 0, 4), expand=False))
        if left_out > 0:
            console.print(f"    ... and {left_out} before that, see --json")
    print_files(console, log)
    if failed:
        console.print(f"FAILED: {len(failed)} of {len(checks)} checks", style="bold red")
    else:
        sentence = "PASSED: each party heard and saw the other, and every expected event came"
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
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False, header_style="bright_black")
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
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False, header_style="bright_black")
    table.add_column("checked")
    for role in ROLES:
        table.add_column(role.name, header_style=ROLE_STYLES[role.key])
    answers: dict[str, dict[str, Text]] = {}
    for check in checks:
        mark = Text("✓ ", "green") if check.passed else Text("✗ ", "bold red")
        found = check.found if check.passed else "no, see below"
        answers.setdefault(check.question, {})[check.party] = mark.append(found, "default")
    for question, by_party in answers.items():
        table.add_row(question, *(by_party.get(role.key, Text("")) for role in ROLES))
    return table
