"""What one session of a mixer still has to tell of the others (RFC 3550 sections 6.3.9 and 7).

News goes out soon: joins, changes and departures together, in compounds of their own. Besides,
every regular report repeats some of it, and goes on describing everybody in turn. So what was lost
is said again, and a session remembers positions only, however many people there are.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator

from .forwarded_person import ForwardedPerson
from .forwarding import ForwardedPeople, Page, Wake
from .forwarding_turns import Turns
from .local_sources import LocalSources
from .members import Members
from .rtcp_packing import ByePacker, ChunkPacker
from .rtcp_timing import LOWER_LAYER_OCTETS, Allowance, RtcpTimer
from .session_config import SessionConfig

COALESCE_S = 0.08
"""News waits so long for more of it."""
RUSH_S = 0.2
"""And so long after the news before: while people pour in, few compounds tell of many."""
SPACING_S = 0.05
"""Compounds that tell what did not fit the one before go no faster,"""
UNHEARD_S = 0.2
"""A far end that nothing came from is told after that time: before, it may not listen yet."""
PEAK_SHARE = 0.25
"""and take no more than this share of the session bandwidth."""
NEWS_OCTETS = 40_000
"""News that may go beyond `NEWS_SHARE` after a pause: some 400 people described."""
NEWS_SHARE = 0.2
"""Share of the RTCP bandwidth for news in the long run."""


class Forwarder:
    """The cursor of one session in the people of its conference."""

    __slots__ = (
        "described",
        "leg",
        "people",
        "_byes_told",
        "_first_untold",
        "_free_at",
        "_greet_at",
        "_last_untold",
        "_members",
        "_news",
        "_news_told",
        "_peak_octets_per_s",
        "_single",
        "_speaker",
        "_ssrc",
        "_timer",
        "_turns",
        "_wake",
    )

    def __init__(
        self,
        people: ForwardedPeople,
        leg: Hashable,
        wake: Wake,
        config: SessionConfig,
        local: LocalSources,
        members: Members,
        timer: RtcpTimer,
        now: float,
    ) -> None:
        self.people = people
        self.leg = leg
        self.described = 0
        """How many people the latest compound describes."""
        self._wake = wake
        self._speaker = next(iter(local.by_mid.values()))
        self._members = members
        self._timer = timer
        self._single = config.single_chunk_sdes
        self._peak_octets_per_s = config.bandwidth_bps / 8 * PEAK_SHARE
        self._news = Allowance(timer.rtcp_octets_per_s * NEWS_SHARE, NEWS_OCTETS, now)
        self._turns = Turns(people, leg, config, timer, now)
        self._free_at = now
        self._news_told = people.news.end
        self._byes_told = people.byes.end
        self._ssrc = 0
        """Under which we told of everybody; 0 while we have not."""
        self._greet_at = now + (COALESCE_S if members.sources else UNHEARD_S)
        self._first_untold = self._last_untold = 0
        self.count_members()

    @property
    def due(self) -> float:
        """When `take_news` has something; infinity for never."""
        return max(self._next_telling(), self._free_at)

    def _next_telling(self) -> float:
        greet_at = self._next_greeting()
        if greet_at < math.inf:
            return greet_at
        if self._first_untold < self._last_untold:
            return -math.inf
        news, byes = self.people.news, self.people.byes
        since = math.inf
        if self._news_told < news.end:
            since = news.time_of(self._news_told)
        if self._byes_told < byes.end:
            since = min(since, byes.time_of(self._byes_told))
        return since + COALESCE_S

    def _next_greeting(self) -> float:
        # Somebody new has missed what was told, and under another SSRC we are another mixer.
        if self._ssrc and self._ssrc != self._speaker.ssrc:
            return -math.inf
        return min(self._greet_at, self._members.newcomer_since + COALESCE_S)

    def count_members(self) -> None:
        """Those we tell of are members of the session, to the far end and to us (6.2.1)."""
        self._timer.represented = self.people.count_beside(self.leg)

    def take_news(self, now: float, room: float) -> bytes:
        """The packets of a compound with news; empty when it concerns nobody here."""
        if self._next_greeting() < math.inf:
            self._greet()
        byes = self._next_byes(room)
        page = self._next_page(room - len(byes))
        self._news_told, self._first_untold = page.news_told, page.first_untold
        packets = page.packets + byes
        if packets:
            octets = len(packets) + LOWER_LAYER_OCTETS
            pause_s = RUSH_S if self._next_telling() == math.inf else SPACING_S
            pause_s = max(pause_s, octets / self._peak_octets_per_s, self._news.spend(octets, now))
            self._free_at = now + pause_s
        if self._next_telling() == math.inf:
            self.people.wake_at_news(self, self._wake)
        self.described = page.described
        return packets

    def _greet(self) -> None:
        self._ssrc = self._speaker.ssrc
        self._greet_at = math.inf
        self._members.greeted()
        self._first_untold, self._last_untold = 0, self.people.next_serial
        self._news_told = self.people.news.end
        self._turns.begin()

    def _next_byes(self, room: float) -> bytes:
        packer = ByePacker(room)
        people = self.people
        for position, departure in people.byes.between(self._byes_told, people.byes.end):
            concerns = departure.leg != self.leg and departure.csrc not in people
            if concerns and not packer.add(departure.csrc, departure.reason):
                self._byes_told = position
                return packer.packets()
        self._byes_told = people.byes.end
        return packer.packets()

    def _next_page(self, room: float) -> Page:
        # Most sessions are told the same at the same time, so that one of them packs it for all.
        key = (self._news_told, self._first_untold, self._last_untold, room, self._single)
        page = self.people.pages.get(key)
        if page is None or self.leg in page.legs:
            page, for_all = self._pack_page(room)
            if for_all:
                self.people.pages[key] = page
        return page

    def _pack_page(self, room: float) -> tuple[Page, bool]:
        # -> also whether nobody was left out for being on this leg
        chunks = ChunkPacker(room, single=self._single)
        legs: set[Hashable] = set()
        own = False
        for position, serial, person in self._waiting():
            if person.leg == self.leg:
                own = True
            elif chunks.add(person.csrc, person.in_full()):
                legs.add(person.leg)
            else:
                reached = position, serial
                break
        else:
            reached = self.people.news.end, self._last_untold
        return Page(chunks.packets(), len(chunks), frozenset(legs), *reached), not own

    def _waiting(self) -> Iterator[tuple[int, int, ForwardedPerson]]:
        # Who is to be told of, each after what is told before them.
        first, last = self._first_untold, self._last_untold
        news = self.people.news
        for position, person in news.between(self._news_told, news.end):
            # Of some there is later news, some left, and the turn of others comes.
            if position == person.news_at and not first <= person.serial < last:
                yield position, first, person
        if first < last:
            for person in self.people.following(first):
                yield news.end, person.serial, person

    def take_turn(self, now: float, room: float) -> bytes:
        """The packets that go along with a regular report."""
        # First they are told of everybody.
        packets = self._turns.take(now, room) if self._ssrc else b""
        self.described = self._turns.described if packets else 0
        return packets

    @property
    def settled(self) -> bool:
        """Whether regular reports say nothing that is new to anybody."""
        return self._turns.settled

    def everybody(self) -> list[int]:
        """The CSRCs of all that were told of, for our own BYE (section 6.6)."""
        return [person.csrc for person in self.people.following(0) if person.leg != self.leg]

    def detach(self) -> None:
        """Nothing is to be told any more."""
        self.people.forget_wake(self)
