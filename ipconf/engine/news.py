"""What is new about people, told no more often than somebody could read it.

Whoever sends RTCP can change an item with every packet. Changes that come too fast are told
together, the last ones included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..model import SdesType

if TYPE_CHECKING:
    from .person import Person

NEWS_PER_SECOND = 4
"""Times that changes of one person's items are told, in any second."""


class News:
    """Calls `tell(person, kinds, now)` at most `NEWS_PER_SECOND` times in any second, per person.

    What must wait is due at `due`, infinity when nothing does.
    """

    def __init__(self, tell: Callable[[Person, tuple[SdesType, ...], float], None]) -> None:
        self.due = math.inf
        self._tell = tell
        self._waiting: dict[Person, set[SdesType]] = {}

    def add(self, person: Person, kinds: Iterable[SdesType], now: float) -> None:
        """Those items of that person have changed: say so now or later."""
        waiting = self._waiting.setdefault(person, set())
        waiting.update(kinds)
        due = _due(person)
        if due <= now:
            self.flush(person, now)
        else:
            self.due = min(self.due, due)

    def flush(self, person: Person, now: float) -> None:
        """Say what waits: there will be no later."""
        kinds = self._waiting.pop(person, None)
        if kinds:
            person.told_at = (*person.told_at[1 - NEWS_PER_SECOND :], now)
            self._tell(person, tuple(sorted(kinds)), now)

    def handle_timer(self, now: float) -> None:
        """Say what is due."""
        if now < self.due:
            return
        for person in [person for person in self._waiting if _due(person) <= now]:
            self.flush(person, now)
        self.due = min(map(_due, self._waiting), default=math.inf)


def _due(person: Person) -> float:
    told_at = person.told_at
    return told_at[0] + 1.0 if len(told_at) == NEWS_PER_SECOND else -math.inf
