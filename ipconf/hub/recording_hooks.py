"""What a recording needs of its conference that no application needs."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from ..events import ConferenceEvent
from ..terminals.base import RenderTerminal
from .local_legs import LocalLeg
from .people import Role

if TYPE_CHECKING:
    from ..conference import Conference

_numbers = count(1)


def post(conference: Conference, kind: type[ConferenceEvent], **fields: Any) -> None:
    """Tell something about the conference."""
    conference.post(kind, **fields)


def listen(conference: Conference, ear: RenderTerminal) -> LocalLeg:
    """Let a terminal hear what is said in the main room, as nobody: only the bridge knows it."""
    leg = LocalLeg(conference, f"listener {next(_numbers)}", "", Role.LISTENER)
    conference.bridge.add(leg)
    leg.select_terminal(ear)
    return leg


def dismiss(leg: LocalLeg) -> None:
    """Let it hear no more; harmless when repeated."""
    if leg.active:
        leg.active = False
        leg.conference.bridge.remove(leg)
        leg.detach()
