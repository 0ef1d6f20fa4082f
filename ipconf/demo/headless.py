"""The demo without a screen: events line by line, as they come."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.text import Text

from .log import Entry
from .sentences import event_line, scene_line
from .story import Role, Scene


class Printer:
    """Prints lines; `async with` as of what draws."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """There is nothing to clean up."""

    def connected(self) -> None:
        """The events say so."""

    def line(self, text: Text) -> None:
        """Print it, however long it is."""
        self._console.print(text, soft_wrap=True)


class LinePrinter(Printer):
    """An audience (`director.Audience`) that prints."""

    def scene_began(self, scene: Scene) -> None:
        self.line(scene_line(scene))

    def event_came(self, role: Role, event: Entry) -> None:
        self.line(event_line(role, event))
