"""Who is present: sources become people, people come, change, leave, vanish and return.

    heard ──▶ undecided ──a CNAME, or 2 s without──▶ present ──BYE, closed──▶ left
                                                       ▲ │
                                          heard again  │ ▼  silence
                                                    timed out  (remembered for 10 minutes)

Rules for whoever changes this file:
1. State changes first and the event is posted after it: a handler sees what the event says.
2. Events pair up within a stay: New or Recovered with Left or TimedOut, NewSubStream with Removed,
   Mapped with Unmapped, Active with Inactive. Before someone leaves, all they hold is taken back.
3. A source has one entry, an entry at most one person; only `_place` and `_detach` join and part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ..events import (
    NewParticipant,
    NewSubStream,
    ParticipantActive,
    ParticipantEvent,
    ParticipantInactive,
    ParticipantInfoChanged,
    ParticipantLeft,
    ParticipantRecovered,
    ParticipantTimedOut,
    SubStreamEvent,
    SubStreamMapped,
    SubStreamRemoved,
    SubStreamUnmapped,
)
from ..model import GoneReason, SdesType
from .activity import is_active
from .news import News
from .person import Person, Share, SourceEntry

if TYPE_CHECKING:
    from .participant import Participant
    from .reception import RemoteSource

CNAME_GRACE_S = 2.0
"""How long a source may stay without a CNAME before it is announced under its SSRC."""
MAX_SOURCES_OF_ONE = 128
"""Sources of a person: whatever comes of one of them is judged by all."""
REMEMBERED_PEOPLE = 256
"""Timed-out people whose return is noticed."""
REMEMBERED_S = 600.0
"""For how long after the timeout it is."""


class Post(Protocol):
    """Takes an event to be: its class, `at`, `participant`, and the other fields of that class."""

    def __call__(
        self, kind: type[ParticipantEvent], at: float, person: Participant | None, /, **fields: Any
    ) -> None: ...


class Presence:
    """The people of one call; `present` in the order of their coming, `by_cname` for look-ups."""

    def __init__(
        self,
        post: Post,
        mixer_of: Callable[[RemoteSource], SourceEntry | None],
        max_people: int,
        grace_s: float = CNAME_GRACE_S,
    ) -> None:
        self.present: dict[Person, None] = {}
        self.by_cname: dict[str, Person] = {}
        self.timed_out: dict[str, Person] = {}  # oldest first
        self.refused = 0
        self._post = post
        self._mixer_of = mixer_of
        self._max_people = max_people
        self._grace_s = grace_s
        self._undecided: dict[SourceEntry, None] = {}  # in the order of their deadlines
        self._news = News(self._post_news)

    def add(self, entry: SourceEntry, now: float) -> bool:
        """A new source; False when it would be a person too many, or a source of theirs."""
        cname = entry.source.items.get(SdesType.CNAME, "")
        if not self._has_room(cname):
            self.refused += 1
            return False
        if cname:
            self._place(entry, cname, now)
        else:
            entry.decide_at = now + self._grace_s
            self._undecided[entry] = None
        return True

    def describe(self, entry: SourceEntry, changed: Iterable[SdesType], now: float) -> None:
        """Items of a source have changed."""
        cname = entry.source.items.get(SdesType.CNAME, "")
        person = entry.person
        if person is None:
            if cname:
                self._undecided.pop(entry, None)
                self._place_if_room(entry, cname, now)
            return
        news: tuple[SdesType, ...] = ()
        if cname and cname != person.cname:
            self._forget(now)
            alone = len(person.entries) == 1
            unknown = cname not in self.by_cname and cname not in self.timed_out
            if unknown and (alone or not person.cname):
                self._rename(person, cname)
                news = (SdesType.CNAME,)
            elif self._has_room(cname) or (alone and cname not in self.by_cname):
                self._detach(entry, person, GoneReason.MERGED, "", now)
                self._place(entry, cname, now)
                return
            else:
                self.refused += 1
        news += person.learn(entry.source, changed)
        if news:
            self._news.add(person, news, now)

    def remove(self, entry: SourceEntry, reason: GoneReason, text: str, now: float) -> None:
        """A source is no more; a person whose last one it was is gone with it."""
        self._undecided.pop(entry, None)
        if entry.person is not None:
            self._detach(entry, entry.person, reason, text, now)

    def refresh(self, entry: SourceEntry, now: float) -> None:
        """Post Active or Inactive where the person of that source has become so."""
        person = entry.person
        if person is not None:
            self._refresh(person, now)

    def post_share(
        self, kind: type[SubStreamEvent], share: Share, person: Person | None, now: float
    ) -> None:
        """Post an event about a substream, unless nobody is announced on it yet."""
        if person is not None:
            self._post(kind, now, person.participant, substream=share.substream)

    def next_deadline(self) -> float:
        """When `handle_timer` is due; infinity when nothing is."""
        first = next(iter(self._undecided), None)
        return min(first.decide_at if first else math.inf, self._news.due)

    def handle_timer(self, now: float) -> None:
        """Announce who stayed without a CNAME, tell news that waited, forget the long gone."""
        for entry in [entry for entry in self._undecided if entry.decide_at <= now]:
            del self._undecided[entry]
            self._place(entry, None, now)
        self._news.handle_timer(now)
        self._forget(now)

    def _has_room(self, cname: str) -> bool:
        known = self.by_cname.get(cname)
        if known is not None:
            return len(known.entries) < MAX_SOURCES_OF_ONE
        return len(self.present) + len(self._undecided) < self._max_people

    def _forget(self, now: float) -> None:
        for cname, person in tuple(self.timed_out.items()):
            recent = person.left_at is not None and now - person.left_at < REMEMBERED_S
            if recent and len(self.timed_out) <= REMEMBERED_PEOPLE:
                return
            del self.timed_out[cname]

    def _rename(self, person: Person, cname: str) -> None:
        if person.cname:
            del self.by_cname[person.cname]
        person.cname = cname
        self.by_cname[cname] = person

    def _place_if_room(self, entry: SourceEntry, cname: str, now: float) -> None:
        """Place a source that had a place among the undecided, unless its person is full: then it
        is nobody's.
        """
        if cname in self.by_cname and not self._has_room(cname):
            self.refused += 1
        else:
            self._place(entry, cname, now)

    def _place(self, entry: SourceEntry, cname: str | None, now: float) -> None:
        person = self.by_cname.get(cname) if cname else self._sender_of(entry.source)
        arrival: type[ParticipantEvent] | None = None
        if person is None:
            arrival, person = self._arrive(entry, cname, now)
        entry.person = person
        person.entries = (*person.entries, entry)
        news = person.learn(entry.source, (*entry.source.items, SdesType.PRIV))
        if arrival is not None:
            self._post(arrival, now, person.participant)
        elif news:
            self._news.add(person, news, now)
        for share in entry.shares:
            self.post_share(NewSubStream, share, person, now)
            if share.mapped:
                self.post_share(SubStreamMapped, share, person, now)
        self._refresh(person, now)

    def _sender_of(self, source: RemoteSource) -> Person | None:
        """Who sends other layers of the same picture."""
        if source.rid is None:
            return None
        for person in self.present:
            if any(source.is_layer_with(entry.source) for entry in person.entries):
                return person if len(person.entries) < MAX_SOURCES_OF_ONE else None
        return None

    def _arrive(
        self, entry: SourceEntry, cname: str | None, now: float
    ) -> tuple[type[ParticipantEvent], Person]:
        self._forget(now)
        person = self.timed_out.pop(cname, None) if cname else None
        arrival = ParticipantRecovered if person else NewParticipant
        if person is None:
            person = Person(cname, entry.source, self._mixer_of)
        if cname:
            self.by_cname[cname] = person
        person.joined_at, person.left_at = now, None
        self.present[person] = None
        return arrival, person

    def _detach(
        self, entry: SourceEntry, person: Person, reason: GoneReason, text: str, now: float
    ) -> None:
        person.entries = tuple(e for e in person.entries if e is not entry)
        entry.person = None
        self._refresh(person, now)
        for share in entry.shares:
            if share.mapped:
                self.post_share(SubStreamUnmapped, share, person, now)
            self.post_share(SubStreamRemoved, share, person, now)
        if not person.entries:
            self._leave(person, reason, text, now)

    def _leave(self, person: Person, reason: GoneReason, text: str, now: float) -> None:
        self._news.flush(person, now)
        del self.present[person]
        if person.cname:
            del self.by_cname[person.cname]
        person.left_at = now
        if reason is not GoneReason.TIMEOUT:
            self._post(ParticipantLeft, now, person.participant, reason=reason, text=text)
            return
        if person.cname:
            self.timed_out[person.cname] = person
            self._forget(now)
        self._post(ParticipantTimedOut, now, person.participant)

    def _post_news(self, person: Person, kinds: tuple[SdesType, ...], now: float) -> None:
        self._post(ParticipantInfoChanged, now, person.participant, changed=kinds)

    def _refresh(self, person: Person, now: float) -> None:
        active = is_active(person)
        if active is not person.active:
            person.active = active
            kind = ParticipantActive if active else ParticipantInactive
            self._post(kind, now, person.participant)
