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
    Row,
    bit_rate,
    level_bar,
    milliseconds,
    own_row,
    per_cent,
    person_row,
    timeline,
)
from .sentences import ROLE_STYLES, event_line, scene_line
from .story import ROLES, Role, Scene

REFRESH_S = 0.125
WIDE_COLUMNS = 164
"""From here on the two parties fit side by side."""
HEADER_ROWS = 3
PARTY_ROWS = 5
"""Frame, headings, the party itself and the other one."""
TICKER_LINES = 200
"""More than a screen is high."""


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
        self._ticker.append(event_line(role, event))
        match event["event"]:
            case "LocalTalking" | "LocalSilent":
                self._talks[role.key] = event["event"] == "LocalTalking"
            case "ParticipantTimedOut":
                self._gone[role.key] = Row(event["name"], note="vanished")
            case "ParticipantLeft":
                self._gone[role.key] = Row(event["name"], note="left")
            case "NewParticipant" | "ParticipantRecovered":
                self._gone[role.key] = None

    def statistics_came(self, role: Role, statistics: Entry) -> None:
        """They are in the log."""

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
        statistics = self._log.parties[role.key].statistics
        table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bright_black")
        table.add_column("", width=1)
        table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("level", width=LEVEL_CELLS, no_wrap=True)
        for heading, width in _NUMBER_COLUMNS.items():
            table.add_column(heading, width=width, justify="right", no_wrap=True)
        if statistics:
            _add(table, own_row(statistics, self._talks[role.key]), "↑")
            gone = self._gone[role.key]
            if gone is not None:
                _add_gone(table, gone)
            else:
                for person in statistics["people"]:
                    _add(table, person_row(statistics, person), "↓")
        title = Text(f" {role.name} ", ROLE_STYLES[role.key])
        style = ROLE_STYLES[role.key].removeprefix("bold ")
        file = Text(f" {self._log.parties[role.key].recording.name} ", "dim")
        return Panel(
            table, title=title, title_align="left", subtitle=file, subtitle_align="right",
            border_style=style,
        )  # fmt: skip


_NUMBER_COLUMNS = {
    "dBov": 4, "loss": 5, "jitter": 6, "rtt": 5, "audio": 5, "video": 6, "fps": 3,
}  # fmt: skip


def _add(table: Table, row: Row, arrow: str) -> None:
    muted = row.note == "muted"
    name = Text(row.name).append(" muted" if muted else "", "yellow")
    rates = {medium: f"{arrow}{bit_rate(bps)}" for medium, bps in row.rates_bps.items()}
    table.add_row(
        Text("●", "bold green") if row.talking else Text("○", "bright_black"),
        name,
        level_bar(row.level_dbov, muted),
        "" if row.level_dbov is None else str(row.level_dbov),
        per_cent(row.fraction_lost),
        milliseconds(row.jitter_s),
        milliseconds(row.round_trip_s),
        rates.get("audio", ""),
        rates.get("video", ""),
        f"{row.fps:.0f}",
    )


def _add_gone(table: Table, row: Row) -> None:
    style = "red" if row.note == "vanished" else "yellow"
    table.add_row(Text("◌", style), Text(row.name, "bright_black"), Text(row.note, f"bold {style}"))
