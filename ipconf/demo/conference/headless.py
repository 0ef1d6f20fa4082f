"""The conference without a screen: events line by line, as they come."""

from __future__ import annotations

from ..headless import Printer
from ..log import Entry
from .log import SideLog
from .scenes import Cue, Phase
from .sentences import cue_line, event_line, is_worth_a_line, phase_line


class ConferencePrinter(Printer):
    """An audience (`director.Audience`) that prints."""

    def cue_came(self, cue: Cue) -> None:
        self.line(cue_line(cue))

    def phase_began(self, phase: Phase) -> None:
        self.line(phase_line(phase))

    def event_came(self, side: SideLog, event: Entry) -> None:
        if is_worth_a_line(side, event):
            self.line(event_line(side, event))
