"""Who gets one of a few places: a window to be shown in, a decoder to be decoded by.

Places are given by rank, and kept: someone who has one loses it only to somebody of a higher rank,
and, unless that one was chosen by the application, not before `MIN_STAY_S`. Talkers rank alike, so
that they do not take each other's place while they talk; when all are silent, those stay who talked
last. Sans-IO: time is an argument.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

P = TypeVar("P", bound=Hashable)
C = TypeVar("C", bound=Hashable)

MIN_STAY_S = 2.0
"""So long somebody keeps a place before a talker can take it."""


class Claim(enum.IntEnum):
    """How good somebody's reason to have a place is."""

    IDLE = 0
    """They send nothing."""
    SILENT = 1
    UNKNOWN = 2
    """Nobody knows whether they talk, until they are decoded."""
    TALKING = 3
    CHOSEN = 4
    """By the application."""


class Rank(NamedTuple):
    """A claim, and among the silent when they last talked; higher is better."""

    claim: Claim
    talked_at: float = -math.inf


def rank_of_talk(talked_at: float, *, sends: bool = True) -> Rank:
    """The rank of who talked last at `talked_at`; infinity is now, minus infinity never."""
    if not sends:
        return Rank(Claim.IDLE, talked_at)
    return Rank(Claim.TALKING) if talked_at == math.inf else Rank(Claim.SILENT, talked_at)


class Places(Generic[P, C]):
    """Who is on which place now; `settle` finds it out anew."""

    def __init__(self) -> None:
        self.held: dict[P, C] = {}
        self._since: dict[P, float] = {}
        self._left: dict[C, float] = {}

    def settle(
        self,
        places: Iterable[P],
        ranks: Mapping[C, Rank],
        now: float,
        fixed: Mapping[P, C] | None = None,
    ) -> None:
        """Give these places to these candidates; `fixed` says who must be where.

        Of equals those come first who have waited longest, then those who stand first in `ranks`.
        """
        open_places = list(places)
        for place, holder in tuple(self.held.items()):
            if place not in open_places or holder not in ranks:
                self._clear(place, now)
        for place, wanted in (fixed or {}).items():
            if place in open_places and wanted in ranks and self.held.get(place) is not wanted:
                for taken in [p for p, c in self.held.items() if c is wanted or p == place]:
                    self._clear(taken, now)
                self._put(place, wanted, now)
        kept = {place for place, wanted in (fixed or {}).items() if self.held.get(place) is wanted}
        self._fill(open_places, ranks, now, kept)
        self._left = {c: at for c, at in self._left.items() if c in ranks}

    def _fill(self, places: list[P], ranks: Mapping[C, Rank], now: float, kept: set[P]) -> None:
        seated = set(self.held.values())
        waiting = sorted(
            (c for c in ranks if c not in seated),
            key=lambda c: (*ranks[c], -self._left.get(c, -math.inf)),
            reverse=True,
        )
        free = [place for place in places if place not in self.held]
        for place, newcomer in zip(free, waiting, strict=False):
            self._put(place, newcomer, now)
        for newcomer in waiting[len(free) :]:
            weaker = [
                place
                for place, holder in self.held.items()
                if ranks[holder] < ranks[newcomer]
                and place not in kept
                and (ranks[newcomer].claim is Claim.CHOSEN or self._rested(place, now))
            ]
            if not weaker:
                continue
            place = min(weaker, key=lambda place: (*ranks[self.held[place]], self._since[place]))
            self._clear(place, now)
            self._put(place, newcomer, now)

    def _rested(self, place: P, now: float) -> bool:
        return now - self._since[place] >= MIN_STAY_S

    def _put(self, place: P, holder: C, now: float) -> None:
        self.held[place] = holder
        self._since[place] = now
        self._left.pop(holder, None)

    def _clear(self, place: P, now: float) -> None:
        self._left[self.held.pop(place)] = now
        del self._since[place]
