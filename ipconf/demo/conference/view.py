"""The live view of the conference: everybody's leg, who hears and sees whom, what happens."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..log import Entry
from ..meters import (
    LEVEL_CELLS,
    Needles,
    Row,
    bit_rate,
    level_bar,
    level_number,
    milliseconds,
    per_cent,
    progress,
)
from ..screen import Screen
from .log import ConferenceLog, PersonLog, SideLog
from .scenes import Cue, Person, Phase
from .sentences import STYLE_OF, cue_line, event_line, is_worth_a_line, phase_line

NARROW_COLUMNS = 76
"""Below that there is no room for names and all numbers."""
WIDE_COLUMNS = 90
"""Below that pictures leave no room for the level's number."""
FRAME_ROWS = 3
"""Around the people: frame and headings."""


class ConferenceView(Screen):
    """An audience (`director.Audience`) that draws; `async with` shows it on the terminal."""

    def __init__(self, console: Console, log: ConferenceLog) -> None:
        super().__init__(console, "The hub starts, and everybody calls it")
        self._log = log
        self._needles = Needles()
        self._gone: dict[str, str] = {}
        self._hears: dict[str, dict[str, None]] = {p.key: {} for p in log.script.people}

    # -- what the director tells

    def connected(self) -> None:
        self.begin("Everybody is in the conference")

    def cue_came(self, cue: Cue) -> None:
        self.caption = cue.caption
        self.ticker.append(cue_line(cue))

    def phase_began(self, phase: Phase) -> None:
        self.caption = phase.title
        self.ticker.append(phase_line(phase))

    def event_came(self, side: SideLog, event: Entry) -> None:
        if is_worth_a_line(side, event):
            self.ticker.append(event_line(side, event))
        if isinstance(side, PersonLog):
            self._person_told(self._hears[side.person.key], event)
        match event["event"]:
            case "AttendeeLeft":
                why = event["reason"] == "timeout"
                self._gone[event["person"]] = "vanished" if why else "left"
            case "AttendeeJoined":
                self._gone.pop(event["person"], None)

    @staticmethod
    def _person_told(hears: dict[str, None], event: Entry) -> None:
        match event["event"]:
            case "ParticipantActive":
                hears[event["about"]] = None
            case "ParticipantInactive" | "ParticipantTimedOut" | "ParticipantLeft":
                hears.pop(event["about"], None)

    # -- drawing

    def __rich__(self) -> RenderableType:
        script = self._log.script
        loss = f"{script.loss_percent:g} % loss   " if script.loss_percent else ""
        clock = f"{loss}{min(self.now_s, script.duration_s):.0f} s of {script.duration_s:.0f} s "
        bar = progress(script.duration_s, self.now_s, self.bar_width, self._colour)
        header = self.header("a conference over ICE and DTLS-SRTP", clock, bar)
        return self.screen(header, self._people(), len(script.people) + FRAME_ROWS)

    def _colour(self, at_s: float) -> str:
        script = self._log.script
        if script.mute.start_s <= at_s < script.mute.end_s:
            return "yellow"
        away = script.away.start_s <= at_s < script.away.end_s
        return "red" if away or at_s >= script.removed_s else "green"

    def _people(self) -> RenderableType:
        narrow = self._console.width < NARROW_COLUMNS
        table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bright_black")
        table.add_column("", width=1)
        table.add_column("", width=7, no_wrap=True)
        table.add_column("level", width=LEVEL_CELLS, no_wrap=True)
        table.add_column("hears", ratio=1, no_wrap=True, overflow="ellipsis")
        slots = self._log.script.slots
        if slots:
            table.add_column("sees", width=max(4, 2 * slots - 1), no_wrap=True)
        numbers = {"dBov": 4, "loss": 5, "jitter": 6, "rtt": 5, "in": 5, "out": 5}
        headings = [h for h in numbers if not narrow or h in ("loss", "in", "out")]
        if slots and self._console.width < WIDE_COLUMNS:
            headings = [h for h in headings if h != "dBov"]  # which the bar says, too
        for heading in headings:
            table.add_column(heading, width=numbers[heading], justify="right", no_wrap=True)
        for person in self._log.script.people:
            row, cells = self._row(person)
            mark = Text("●", "bold green") if row.talking else Text("○", "bright_black")
            gone = person.key in self._gone
            table.add_row(
                Text("×", "bold red") if gone else mark,
                Text(person.name, "bright_black" if gone else STYLE_OF[person.name]),
                level_bar(row),
                self._who_is_heard(person),
                *([self._who_is_seen(person)] if slots else ()),
                *(cells.get(heading, "") for heading in headings),
            )
        return Panel(table, title="the hub", title_align="left", border_style="white")

    def _row(self, person: Person) -> tuple[Row, dict[str, str]]:
        """What the hub knows of a person's leg, as a level and as numbers."""
        if person.key in self._gone:
            return Row(person.name, note=self._gone[person.key]), {}
        leg = next((leg for leg in self._log.legs if leg["person"] == person.key), None)
        if leg is None:
            return Row(person.name, note="comes"), {}
        row = Row(person.name, leg["talking"], "muted" if leg["muted"] else "")
        row.level_dbov = leg["level_dbov"]
        number = level_number(row.level_dbov)
        self._needles.hold(person.key, row)
        return row, {"dBov": number, **leg_numbers(leg)}

    def _who_is_heard(self, person: Person) -> Text:
        floor = any(leg["floor"] and leg["person"] == person.key for leg in self._log.legs)
        words = "floor " if self._log.script.slots else "has the floor  "
        text = Text(words, "bold cyan") if floor else Text()
        for other in self._log.script.people:
            if other.key in self._hears[person.key]:
                text.append(f"{other.name} ", STYLE_OF[other.name])
        return text

    def _who_is_seen(self, person: Person) -> Text:
        """An initial, or a dot, for each slot."""
        sees = self._log.people[person.key].sees
        names = [sees.get(slot, "").capitalize() for slot in range(self._log.script.slots)]
        slots = [Text(name[:1] or "·", STYLE_OF.get(name, "bright_black")) for name in names]
        return Text(" ").join(slots)


def leg_numbers(leg: Entry) -> dict[str, str]:
    """How a leg arrives at the hub, and how much goes each way, by heading."""
    return {
        "loss": per_cent(leg["fraction_lost"]),
        "jitter": milliseconds(leg["jitter_s"]),
        "rtt": milliseconds(leg["round_trip_s"]),
        "in": bit_rate(leg["in_bps"]),
        "out": bit_rate(leg["out_bps"]),
    }
