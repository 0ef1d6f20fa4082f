"""Who is in a conference: what a mixer tells each leg of the others (RFC 3550 section 7).

One `ForwardedPeople` serves all sessions of a conference. It holds each person once, and what has
changed in two logs; a session (`engine/forwarder.py`) only remembers how far it has read. Sans-IO.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import ConfigurationError
from ..model import SdesType
from .rtcp_packing import cut_reason
from .rtcp_wire import describe_source
from .sdes import CNAME_KEY, NAME_EVERY, NAME_KEY, ItemKey, checked_texts, is_rare, pack

MAX_CHUNK_OCTETS = 560
"""Largest description of one person: a CNAME and another item of any length."""
NEWS_KEPT = 1024
"""Joins and changes that are kept for sessions that have not told them yet, or tell them again."""
BYES_KEPT = 4096
"""Departures that are; a session tells hundreds of them in a datagram."""
MAX_TAKEN_BACK = 16
"""Items of one person that were taken back and are still said to be empty."""
LEFT = -1
"""Position of news that is none any more: its person has left."""
_CHUNK_FRAME_OCTETS = 8  # SSRC, terminator with padding

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


class ForwardedPerson:
    """One person: their SDES items, packed once for all sessions."""

    __slots__ = (
        "csrc",
        "leg",
        "news_at",
        "serial",
        "_in_full",
        "_rare",
        "_taken_back",
        "_texts",
        "_turns",
    )

    def __init__(self, csrc: int, leg: Hashable, serial: int) -> None:
        self.csrc = csrc
        self.leg = leg
        """Where they are: nobody there is told of them."""
        self.serial = serial
        """Rises with each who joins."""
        self.news_at = 0
        """Position of the latest news about them, or `LEFT`."""
        self._texts: dict[ItemKey, str] = {}
        self._taken_back: dict[ItemKey, str] = {}
        self._rare: list[ItemKey] = []
        self._in_full = b""
        self._turns: dict[int, bytes] = {}

    def change(self, texts: dict[ItemKey, str]) -> bool:
        """Say these items from now on, those that changed first; whether any did."""
        old = self._texts
        changed = [key for key in {**old, **texts} if old.get(key) != texts.get(key)]
        if not changed:
            return False
        for key in changed:
            self._taken_back.pop(key, None)
            if key not in texts:
                self._taken_back[key] = ""
        for key in list(self._taken_back)[:-MAX_TAKEN_BACK]:
            del self._taken_back[key]
        first = [key for key in changed if key in texts]
        self._texts = {CNAME_KEY: texts[CNAME_KEY], **{key: texts[key] for key in first}, **texts}
        self._rare = [key for key in (*self._texts, *self._taken_back) if is_rare(key)]
        self._in_full = b""
        self._turns.clear()
        return True

    def in_full(self) -> bytes:
        """An SDES packet with all items that fit, the latest first."""
        if not self._in_full:
            self._in_full = self._packet([CNAME_KEY, *self._taken_back, *self._texts])
        return self._in_full

    def in_turn(self, turn: int) -> bytes:
        """The SDES packet of the `turn`-th report: CNAME, and NAME or a rare item (6.3.9)."""
        rare = self._rare
        turn %= NAME_EVERY * max(len(rare), 1)
        packet = self._turns.get(turn)
        if packet is None:
            named = turn % NAME_EVERY == 0 or not rare
            packet = self._packet([CNAME_KEY, NAME_KEY if named else rare[turn // NAME_EVERY]])
            self._turns[turn] = packet
        return packet

    def _packet(self, keys: list[ItemKey]) -> bytes:
        room = MAX_CHUNK_OCTETS - _CHUNK_FRAME_OCTETS
        items = b""
        for key in dict.fromkeys(keys):
            text = self._texts.get(key)
            if text is None and key not in self._taken_back:
                continue  # they have no NAME
            item = pack(key, text or "")
            if len(items) + len(item) <= room:
                items += item
        return describe_source(self.csrc, items)


class ForwardedPeople:
    """The people of a conference, by the CSRC that is theirs alone in it.

    The sessions of all legs attach with `RtpSession.forward`, each under its leg's key, and tell
    of everybody who is on another leg. Telling costs `put` and `remove` nothing.
    """

    def __init__(self) -> None:
        self.news: Log[ForwardedPerson] = Log(NEWS_KEPT)
        """Who joined or changed."""
        self.byes: Log[Departure] = Log(BYES_KEPT)
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

    def following(self, serial: int, limit: int | None = None) -> list[ForwardedPerson]:
        """Who joined under that serial or later, so many of them at most, in that order."""
        place = bisect_left(self._serials, serial)
        return self._order[place : None if limit is None else place + limit]

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
        wakes, self._wakes = self._wakes, {}
        for wake in wakes.values():
            wake()
