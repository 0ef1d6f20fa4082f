"""Legs, the ways into a conference: calls (`call_legs`), terminals here (`local_legs`)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..engine.reception import RemoteSource
from ..stats import CallStats
from .people import Attendee, Role
from .stats import LegStats, PictureStats
from .voices import Voice

if TYPE_CHECKING:
    from ..conference import Conference


QUIET_S = 2.0
"""Who has sent nothing for so long gives way to who sends, where a leg is full."""


def longest_quiet(sources: Iterable[RemoteSource], now: float) -> RemoteSource | None:
    """Who of them has sent no media for longest; None where nobody has been quiet for `QUIET_S`."""
    quiet = min(sources, key=_sent_at, default=None)
    return quiet if quiet is not None and now - _sent_at(quiet) >= QUIET_S else None


def _sent_at(source: RemoteSource) -> float:
    return -math.inf if source.last_rtp is None else source.last_rtp


class Leg(ABC):
    """One way into a conference: a call, or a program of this machine."""

    def __init__(self, conference: Conference, identity: str, name: str, role: Role) -> None:
        self.conference = conference
        self.identity = identity
        """Unique in the conference, for logs and for messages."""
        self.name = name
        """Goes before what people on it announce; "" for none."""
        self.role = role
        self.known_as = identity
        """What it was called before its people left."""
        self.attendees: tuple[Attendee, ...] = ()
        """Who is on it, in the order of their coming."""
        self.voices: dict[object, Voice] = {}
        self.row: tuple[tuple[int, float], ...] | None = None
        """What it heard at the end of the latest tick, for the bridge; None: nothing at all."""
        self.active = True
        """Whether it takes part."""
        self.refused = 0
        """Packets of more sources than a leg may have."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity!r} {self.display_name!r}>"

    @property
    def display_name(self) -> str:
        """Of the people on it, or its own; of a leg that is gone, the last one."""
        there = ", ".join(person.name for person in self.attendees)
        return self.name or there or self.known_as

    @property
    def is_shared(self) -> bool:
        """Whether there are several people on it, or may be at any time: what is done to the leg is
        done to all of them."""
        return len(self.attendees) > 1

    def stats(self) -> LegStats:
        """What it has counted."""
        voices = self.voices.values()
        return LegStats(
            identity=self.identity,
            name=self.display_name,
            people=len(self.attendees),
            voices=len(voices),
            awake=sum(voice.awake for voice in voices),
            failed=sum(voice.failed for voice in voices),
            refused=self.refused,
            looped=self.looped,
            pictures=self._picture_stats(),
            call=self._call_stats(),
        )

    @property
    def looped(self) -> int:
        """Packets that were left out because they brought back what is sent to it."""
        return 0

    def _call_stats(self) -> CallStats | None:
        return None

    def _picture_stats(self) -> PictureStats | None:
        return None

    @abstractmethod
    def detach(self) -> None:
        """Give back what takes part here."""

    @property
    @abstractmethod
    def hears(self) -> bool:
        """Whether sound can be sent to it now."""
