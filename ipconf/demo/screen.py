"""The screen of a live view: a header with the time, what is special, and a ticker of events."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

REFRESH_S = 0.125
HEADER_ROWS = 3
TICKER_LINES = 200
"""More than a screen is high."""


class Screen(ABC):
    """Draws itself again and again; `async with` shows it on the terminal."""

    def __init__(self, console: Console, caption: str) -> None:
        self._console = console
        self._live = Live(self, console=console, screen=True, auto_refresh=False)
        self._refresher: asyncio.Task[None] | None = None
        self._began_at: float | None = None
        self.caption = caption
        """What is going on."""
        self.ticker: deque[Text] = deque(maxlen=TICKER_LINES)
        """What happened, oldest first."""

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

    def begin(self, caption: str) -> None:
        """The story's time begins now."""
        self._began_at = asyncio.get_running_loop().time()
        self.caption = caption

    @property
    def now_s(self) -> float:
        """The time since it began."""
        if self._began_at is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._began_at

    @property
    def bar_width(self) -> int:
        """Columns for the bar in the header."""
        return max(1, self._console.width - 2)

    @abstractmethod
    def __rich__(self) -> RenderableType:
        """The whole screen, as it is now."""

    def header(self, subtitle: str, clock: str, bar: Text) -> RenderableType:
        """Three lines: title and time, a bar of the time, the caption."""
        title = Text.assemble(
            (" ipconf demo", "bold"), (f"   {subtitle}", "dim"), no_wrap=True, overflow="ellipsis"
        )
        top = Table.grid(expand=True)
        top.add_column(no_wrap=True)
        top.add_column(justify="right", no_wrap=True)
        top.add_row(title, Text(clock))
        caption = Text(f" ▸ {self.caption}", "bold magenta", no_wrap=True, overflow="ellipsis")
        return Group(top, Text(" ").append_text(bar), caption)

    def screen(self, header: RenderableType, middle: RenderableType, rows: int) -> RenderableType:
        """Put together: the middle has its rows, the ticker what is left."""
        left = max(1, self._console.height - HEADER_ROWS - rows - 2)
        ticker = Group(*list(self.ticker)[-left:])
        panel = Panel(ticker, title="events", title_align="left", border_style="bright_black")
        whole = Layout()
        whole.split_column(
            Layout(header, size=HEADER_ROWS), Layout(middle, size=rows), Layout(panel)
        )
        return whole
