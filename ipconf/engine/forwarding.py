"""Who is in a conference: what a mixer tells each leg of the others (RFC 3550 section 7).

One `ForwardedPeople` serves all sessions of a conference. It holds each person once, and what has
changed in two logs; a session (`engine/forwarder.py`) only remembers how far it has read. Sans-IO.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ..errors import ConfigurationError
from ..model import SdesType
from .forwarded_person import LEFT, ForwardedPerson
from .rtcp_packing import cut_reason
from .sdes import checked_texts

NEWS_KEPT = 1024
"""Joins and changes that are kept for sessions that have not told them yet, or tell them again."""
BYES_KEPT = 4096
"""Departures that are; a session tells hundreds of them in a datagram."""
T = TypeVar("T")
Wake = Callable[[], None]
"""Asks for the timer of a session to be planned anew."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Somebody left."""

    csrc: int
    leg: Hashable
    reason: str


class Log(Generic[T]):
    """What happened, by position from 0 on; the latest `limit` are kept, at least."""

    def __init__(self, limit: int) -> None:
        self.end = 0
        """Position of what happens next."""
        self._limit = limit
        self._kept: list[T] = []
        self._times: list[float] = []
        self._start = 0

    def add(self, entry: T, now: float) -> None:
        """It happens now."""
        self.end += 1
        self._kept.append(entry)
        self._times.append(now)
        if len(self._kept) >= 2 * self._limit:  # seldom, so that it costs little
            del self._kept[: self._limit], self._times[: self._limit]
            self._start += self._limit

    def time_of(self, position: int) -> float:
        """When that happened, or the oldest that is kept of what followed it."""
        return self._times[max(position - self._start, 0)]

    def between(self, begin: int, end: int) -> Iterator[tuple[int, T]]:
        """What happened from `begin` to before `end`, as far as it is kept, with its positions."""
        begin = max(begin, self._start)
        return enumerate(self._kept[begin - self._start : max(end - self._start, 0)], begin)


class Page(NamedTuple):
    """What of the news several sessions can say as it stands."""

    packets: bytes
    described: int
    """How many people."""
    legs: frozenset[Hashable]
    """Theirs; their sessions cannot use it."""
    news_told: int
    first_untold: int
    """How far it goes, for who has read as much as who made it."""


class ForwardedPeople:
    """The people of a conference, by the CSRC that is theirs alone in it.

    The sessions of all legs attach with `RtpSession.forward`, each under its leg's key, and tell
    of everybody who is on another leg. Telling costs `put` and `remove` nothing.
    """

    def __init__(self) -> None:
        self.news: Log[ForwardedPerson] = Log(NEWS_KEPT)
        """Who joined or changed."""
        self.byes: Log[Departure] = Log(BYES_KEPT)
        self.pages: dict[Hashable, Page] = {}
        """What sessions say until anything changes, by what it goes on from."""
        self._by_csrc: dict[int, ForwardedPerson] = {}
        self._order: list[ForwardedPerson] = []
        self._serials: list[int] = []  # theirs
        self._on_leg: Counter[Hashable] = Counter()
        self._next_serial = 0
        self._wakes: dict[Hashable, Wake] = {}

    def __len__(self) -> int:
        return len(self._by_csrc)

    def __contains__(self, csrc: int) -> bool:
        return csrc in self._by_csrc

    def tells(self, csrc: int, leg: Hashable) -> bool:
        """Whether the far end of that leg is told of somebody under that CSRC."""
        person = self._by_csrc.get(csrc)
        return person is not None and person.leg != leg

    @property
    def next_serial(self) -> int:
        """That of whoever joins next."""
        return self._next_serial

    def put(
        self,
        csrc: int,
        items: Mapping[SdesType, str],
        private: Mapping[str, str],
        leg: Hashable,
        now: float,
    ) -> None:
        """Somebody joins on that leg, or their items are these from now on.

        `ConfigurationError` without a CNAME, when a text does not fit an SDES item, for a CSRC
        that is none, and for one that somebody on another leg has.
        """
        texts = checked_texts(items, private)
        person = self._by_csrc.get(csrc)
        if not 0 < csrc < 1 << 32:
            raise ConfigurationError(f"a CSRC has 32 bits and is not 0, so {csrc} is none")
        if person is None:
            person = ForwardedPerson(csrc, leg, self._next_serial)
            self._next_serial += 1
            self._by_csrc[csrc] = person
            self._order.append(person)
            self._serials.append(person.serial)
            self._on_leg[leg] += 1
        elif person.leg != leg:
            raise ConfigurationError(
                f"CSRC {csrc} belongs to somebody on leg {person.leg!r}; remove them first"
            )
        if person.change(texts):
            person.news_at = self.news.end
            self.news.add(person, now)
            self._wake()

    def remove(self, csrc: int, now: float, reason: str = "") -> None:
        """They left; a reason of more than 255 bytes is cut. Nothing happens if nobody has it."""
        person = self._by_csrc.pop(csrc, None)
        if person is None:
            return
        person.news_at = LEFT
        place = bisect_left(self._serials, person.serial)
        del self._order[place], self._serials[place]
        self._on_leg[person.leg] -= 1
        if not self._on_leg[person.leg]:
            del self._on_leg[person.leg]
        self.byes.add(Departure(csrc, person.leg, cut_reason(reason)), now)
        self._wake()

    # -- for sessions -----------------------------------------------------------------------

    def following(self, serial: int) -> list[ForwardedPerson]:
        """Who joined under that serial or later, in that order."""
        return self._order[bisect_left(self._serials, serial) :]

    def count_beside(self, leg: Hashable) -> int:
        """How many are on other legs."""
        return len(self._by_csrc) - self._on_leg.get(leg, 0)

    def wake_at_news(self, session: Hashable, wake: Wake) -> None:
        """Call `wake` once when anything happens next."""
        self._wakes[session] = wake

    def forget_wake(self, session: Hashable) -> None:
        """Do not, after all."""
        self._wakes.pop(session, None)

    def _wake(self) -> None:
        self.pages.clear()
        wakes, self._wakes = self._wakes, {}
        for wake in wakes.values():
            wake()
