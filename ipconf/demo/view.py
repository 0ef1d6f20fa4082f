"""The live view: what both parties know of each other, and what happens, on one screen."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .log import DemoLog, Entry
from .meters import (
    LEVEL_CELLS,
    Needles,
    Row,
    bit_rate,
    level_bar,
    level_number,
    milliseconds,
    own_row,
    per_cent,
    person_row,
    timeline,
)
from .screen import Screen
from .sentences import ROLE_STYLES, event_line, scene_line
from .story import ROLES, Role, Scene

WIDE_COLUMNS = 164
"""From here on the two parties fit side by side."""
NARROW_COLUMNS = 76
"""Below that there is no room for names and all numbers."""
PARTY_ROWS = 5
"""Frame, headings, the party itself and the other one."""
TECHNICAL = {
    "NewSubStream", "SubStreamMapped", "SubStreamUnmapped", "SubStreamRemoved", "StreamActive",
    "StreamInactive", "NewStream", "FileTerminalEvent", "LocalTalking", "LocalSilent",
}  # fmt: skip
"""Events that the panels show already, or that would crowd out the people."""


class LiveView(Screen):
    """An audience (`director.Audience`) that draws; `async with` shows it on the terminal."""

    def __init__(self, console: Console, log: DemoLog) -> None:
        super().__init__(console, "Two processes start and call each other")
        self._log = log
        self._gone: dict[str, Row | None] = dict.fromkeys(self._log.parties)
        self._needles = Needles()
        self._talks = dict.fromkeys(self._log.parties, False)

    # -- what the director tells

    def connected(self) -> None:
        self.begin("Alice and Bob are connected")

    def scene_began(self, scene: Scene) -> None:
        self.caption = scene.caption
        self.ticker.append(scene_line(scene))

    def event_came(self, role: Role, event: Entry) -> None:
        if event["event"] not in TECHNICAL:
            self.ticker.append(event_line(role, event))
        match event["event"]:
            case "LocalTalking" | "LocalSilent":
                self._talks[role.key] = event["event"] == "LocalTalking"
            case "ParticipantTimedOut":
                self._gone[role.key] = Row(event["name"], note="vanished")
            case "ParticipantLeft":
                note = "left" if event["reason"] == "bye" else "call over"
                self._gone[role.key] = Row(event["name"], note=note)
            case "NewParticipant" | "ParticipantRecovered":
                self._gone[role.key] = None

    # -- drawing

    def __rich__(self) -> RenderableType:
        wide = self._console.width >= WIDE_COLUMNS
        parties = Layout(size=PARTY_ROWS * (1 if wide else 2))
        panels = [Layout(self._party(role), size=None if wide else PARTY_ROWS) for role in ROLES]
        (parties.split_row if wide else parties.split_column)(*panels)
        return self.screen(self._header(), parties, parties.size or 0)

    def _header(self) -> RenderableType:
        story = self._log.story
        loss = f"{story.loss_percent:g} % loss   " if story.loss_percent else ""
        clock = f"{loss}{min(self.now_s, story.duration_s):.0f} s of {story.duration_s:.0f} s "
        bar = timeline(story, self.now_s, self.bar_width)
        return self.header("two processes, ICE and DTLS-SRTP", clock, bar)

    def _party(self, role: Role) -> RenderableType:
        party = self._log.parties[role.key]
        table = _PeopleTable(narrow=self._console.width < NARROW_COLUMNS)
        if party.statistics:
            table.add(self._held(role, own_row(party.statistics, self._talks[role.key])), "↑")
            gone = self._gone[role.key]
            if gone is not None:
                table.add_gone(gone)
            else:
                for person in party.statistics["people"]:
                    table.add(self._held(role, person_row(party.statistics, person)), "↓")
        return Panel(
            table.table,
            title=Text(role.name, ROLE_STYLES[role.key]),
            title_align="left",
            subtitle=Text(party.recording.name, "dim"),
            subtitle_align="right",
            border_style=ROLE_STYLES[role.key].removeprefix("bold "),
        )

    def _held(self, role: Role, row: Row) -> Row:
        return self._needles.hold((role.key, row.name), row)


class _PeopleTable:
    """People, a row each; a narrow one leaves out the finer numbers."""

    def __init__(self, narrow: bool) -> None:
        widths = {"dBov": 4, "loss": 5, "jitter": 6, "rtt": 5, "audio": 5, "video": 6, "fps": 3}
        fine = ("dBov", "jitter", "rtt", "fps") if narrow else ()
        self._headings = [heading for heading in widths if heading not in fine]
        self.table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bright_black")
        self.table.add_column("", width=1)
        self.table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
        self.table.add_column("level", width=LEVEL_CELLS, no_wrap=True)
        for heading in self._headings:
            self.table.add_column(heading, width=widths[heading], justify="right", no_wrap=True)

    def add(self, row: Row, arrow: str) -> None:
        cells = {
            "dBov": level_number(row.level_dbov),
            "loss": per_cent(row.fraction_lost),
            "jitter": milliseconds(row.jitter_s),
            "rtt": milliseconds(row.round_trip_s),
            "fps": f"{row.fps:.0f}",
        }
        cells |= {medium: f"{arrow}{bit_rate(bps)}" for medium, bps in row.rates_bps.items()}
        self.table.add_row(
            Text("●", "bold green") if row.talking else Text("○", "bright_black"),
            Text(row.name),
            level_bar(row),
            *(cells.get(heading, "") for heading in self._headings),
        )

    def add_gone(self, row: Row) -> None:
        name = Text(row.name, "bright_black")
        self.table.add_row(Text("×", "bold red"), name, level_bar(row))
