"""The live view: what both parties know of each other, and what happens, on one screen."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .log import DemoLog, Entry
from .meters import (
    LEVEL_CELLS,
    QUIETEST_DBOV,
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
from .sentences import ROLE_STYLES, event_line, scene_line
from .story import ROLES, Role, Scene

REFRESH_S = 0.125
FALL_DB = 3
"""How far a level falls from one drawing to the next, 24 dB a second."""
WIDE_COLUMNS = 164
"""From here on the two parties fit side by side."""
NARROW_COLUMNS = 76
"""Below that there is no room for names and all numbers."""
HEADER_ROWS = 3
PARTY_ROWS = 5
"""Frame, headings, the party itself and the other one."""
TICKER_LINES = 200
"""More than a screen is high."""
TECHNICAL = {
    "NewSubStream", "SubStreamMapped", "SubStreamUnmapped", "SubStreamRemoved", "StreamActive",
    "StreamInactive", "NewStream", "FileTerminalEvent", "LocalTalking", "LocalSilent",
}  # fmt: skip
"""Events that the panels show already, or that would crowd out the people."""


class LiveView:
    """An audience (`director.Audience`) that draws; `async with` shows it on the terminal."""

    def __init__(self, console: Console, log: DemoLog) -> None:
        self._console = console
        self._log = log
        self._live = Live(self, console=console, screen=True, auto_refresh=False)
        self._refresher: asyncio.Task[None] | None = None
        self._began_at: float | None = None
        self._caption = "Two processes start and call each other"
        self._ticker: deque[Text] = deque(maxlen=TICKER_LINES)
        self._gone: dict[str, Row | None] = dict.fromkeys(self._log.parties)
        self._levels: dict[tuple[str, str], int] = {}
        self._talks = dict.fromkeys(self._log.parties, False)

    async def __aenter__(self) -> Self:
        self._live.start()
        self._refresher = asyncio.create_task(self._refresh())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
        self._live.stop()

    async def _refresh(self) -> None:
        while True:
            self._live.refresh()
            await asyncio.sleep(REFRESH_S)

    # -- what the director tells

    def connected(self) -> None:
        self._began_at = asyncio.get_running_loop().time()
        self._caption = "Alice and Bob are connected"

    def scene_began(self, scene: Scene) -> None:
        self._caption = scene.caption
        self._ticker.append(scene_line(scene))

    def event_came(self, role: Role, event: Entry) -> None:
        if event["event"] not in TECHNICAL:
            self._ticker.append(event_line(role, event))
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
        rows = max(1, self._console.height - HEADER_ROWS - (parties.size or 0) - 2)
        ticker = Group(*list(self._ticker)[-rows:])
        screen = Layout()
        screen.split_column(
            Layout(self._header(), size=HEADER_ROWS),
            parties,
            Layout(Panel(ticker, title="events", title_align="left", border_style="bright_black")),
        )
        return screen

    def _header(self) -> RenderableType:
        now_s = 0.0
        if self._began_at is not None:
            now_s = asyncio.get_running_loop().time() - self._began_at
        story, width = self._log.story, self._console.width
        title = Text.assemble(
            (" ipconf demo", "bold"), ("   two processes, ICE and DTLS-SRTP", "dim"), no_wrap=True
        )
        loss = f"{story.loss_percent:g} % loss   " if story.loss_percent else ""
        clock = Text(f"{loss}{min(now_s, story.duration_s):.0f} s of {story.duration_s:.0f} s ")
        top = Table.grid(expand=True)
        top.add_column(no_wrap=True)
        top.add_column(justify="right", no_wrap=True)
        top.add_row(title, clock)
        bar = Text(" ").append_text(timeline(story, now_s, max(1, width - 2)))
        caption = Text(f" ▸ {self._caption}", "bold magenta", no_wrap=True, overflow="ellipsis")
        return Group(top, bar, caption)

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
        """The row with a level that rises at once and falls slowly, as a needle does."""
        before = self._levels.get((role.key, row.name), QUIETEST_DBOV)
        level = QUIETEST_DBOV if row.level_dbov is None else row.level_dbov
        row.level_dbov = self._levels[role.key, row.name] = max(level, before - FALL_DB)
        return row


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
