"""The demo without a screen: events line by line, as they come."""

from __future__ import annotations

from typing import Self

from rich.console import Console

from .log import Entry
from .sentences import event_line, scene_line
from .story import Role, Scene


class LinePrinter:
    """An audience (`director.Audience`) that prints."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """There is nothing to clean up."""

    def connected(self) -> None:
        """The events say so."""

    def scene_began(self, scene: Scene) -> None:
        self._console.print(scene_line(scene), soft_wrap=True)

    def event_came(self, role: Role, event: Entry) -> None:
        self._console.print(event_line(role, event), soft_wrap=True)
