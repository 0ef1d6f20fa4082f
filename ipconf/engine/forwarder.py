"""What one session of a mixer still has to tell of the others (RFC 3550 sections 6.3.9 and 7).

News goes out soon: joins, changes and departures together, in compounds of their own. Besides,
every regular report repeats some of it, and goes on describing everybody in turn. So what was lost
is said again, and a session remembers positions only, however many people there are.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable

from .forwarding import ForwardedPeople, ForwardedPerson, Wake
from .local_sources import LocalSources
from .members import Members
from .rtcp_packing import ByePacker, ChunkPacker
from .rtcp_timing import LOWER_LAYER_OCTETS, Allowance, RtcpTimer
from .session_config import SessionConfig

COALESCE_S = 0.08
"""News waits so long for more of it."""
SPACING_S = 0.05
"""Compounds with news go no faster,"""
PEAK_SHARE = 0.25
"""and take no more than this share of the session bandwidth."""
NEWS_OCTETS = 40_000
"""News that may go beyond `NEWS_SHARE` after a pause: some 400 people described."""
NEWS_SHARE = 0.2
"""Share of the RTCP bandwidth for news in the long run."""
TURN_SHARE = 0.4
"""Share of the RTCP bandwidth for what regular reports say of others."""
TURN_OCTETS = 1200
"""Octets of that share that are kept for later: a report holds no more."""
NEWS_REPEATS = (1, 2)
"""Which of the regular reports after it say again that somebody joined or changed."""
BYE_REPEATS = (1, 2, 4, 8, 16, 32)
"""Which say again that somebody left: nothing else takes them from the far end's list."""


class Forwarder:
    """The cursor of one session in the people of its conference."""

    __slots__ = (
        "described",
        "leg",
        "people",
        "_audience",
        "_byes_told",
        "_first_untold",
        "_free_at",
        "_last_untold",
        "_local",
        "_marks",
        "_members",
        "_news",
        "_news_told",
        "_peak_octets_per_s",
        "_round",
        "_serial",
        "_single",
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
        self._local = local
        self._members = members
        self._timer = timer
        self._single = config.single_chunk_sdes
        self._peak_octets_per_s = config.bandwidth_bps / 8 * PEAK_SHARE
        self._news = Allowance(timer.rtcp_octets_per_s * NEWS_SHARE, NEWS_OCTETS, now)
        self._turns = Allowance(timer.rtcp_octets_per_s * TURN_SHARE, TURN_OCTETS, now)
        self._free_at = now
        self._news_told = people.news.end
        self._byes_told = people.byes.end
        self._audience: tuple[int, ...] = ()  # nobody was told of everybody yet
        self._first_untold = self._last_untold = 0
        self._serial = 0  # who is next in the rotation, and in which round
        self._round = 0
        self._marks = deque([(self._news_told, self._byes_told)], maxlen=max(BYE_REPEATS) + 1)
        people.wake_at_news(self, wake)
        self.count_members()

    @property
    def due(self) -> float:
        """When `take_news` has something; infinity for never."""
        return max(self._waiting_since() + COALESCE_S, self._free_at)

    def _waiting_since(self) -> float:
        if self._audience != self._audience_now() or self._first_untold < self._last_untold:
            return -math.inf
        news, byes = self.people.news, self.people.byes
        since = news.time_of(self._news_told) if self._news_told < news.end else math.inf
        if self._byes_told < byes.end:
            since = min(since, byes.time_of(self._byes_told))
        return since

    def _audience_now(self) -> tuple[int, ...]:
        # Somebody new has missed what was told, and under another SSRC we are another mixer.
        return self._members.newcomers, next(iter(self._local.by_mid.values())).ssrc

    def count_members(self) -> None:
        """Those we tell of are members of the session, to the far end and to us (6.2.1)."""
        self._timer.represented = self.people.count_beside(self.leg)

    def take_news(self, now: float, room: float) -> bytes:
        """The packets of a compound with news; empty when it concerns nobody here."""
        if self._audience != (audience := self._audience_now()):
            self._audience = audience
            self._first_untold, self._last_untold = 0, self.people.next_serial
            self._serial = self._round = 0
        byes = self._next_byes(room)
        chunks = ChunkPacker(room - len(byes), single=self._single)
        if self._add_news(chunks):
            self._add_untold(chunks)
        packets = chunks.packets() + byes
        if packets:
            octets = len(packets) + LOWER_LAYER_OCTETS
            pause_s = max(SPACING_S, octets / self._peak_octets_per_s)
            self._free_at = now + max(pause_s, self._news.spend(octets, now))
        if self._waiting_since() == math.inf:
            self.people.wake_at_news(self, self._wake)
        self.described = len(chunks.sources)
        return packets

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

    def _add_news(self, chunks: ChunkPacker) -> bool:
        news = self.people.news
        for position, person in news.between(self._news_told, news.end):
            if self._first_untold <= person.serial < self._last_untold:
                continue  # their turn comes
            current = position == person.news_at
            if current and self._concerns(person) and not chunks.add(person.csrc, person.in_full()):
                self._news_told = position
                return False
        self._news_told = news.end
        return True

    def _add_untold(self, chunks: ChunkPacker) -> None:
        while self._first_untold < self._last_untold:
            person = self.people.next_from(self._first_untold)
            if person is None:
                self._first_untold = self._last_untold
                return
            if person.leg != self.leg and not chunks.add(person.csrc, person.in_full()):
                return
            self._first_untold = person.serial + 1

    def _concerns(self, person: ForwardedPerson) -> bool:
        return person.leg != self.leg and self.people.is_present(person)

    def take_turn(self, now: float, room: float) -> bytes:
        """The packets that go along with a regular report."""
        room = min(room, self._turns.left(now))
        self._marks.appendleft((self.people.news.end, self.people.byes.end))
        byes = self._repeated_byes(room)
        chunks = ChunkPacker(room - len(byes), single=self._single)
        self._repeat_news(chunks)
        self._rotate(chunks)
        packets = chunks.packets() + byes
        self._turns.spend(len(packets), now)
        self.described = len(chunks.sources)
        return packets

    def _repeated_byes(self, room: float) -> bytes:
        packer = ByePacker(room)
        people, marks = self.people, self._marks
        for age in (age for age in BYE_REPEATS if age < len(marks)):
            for _, departure in people.byes.between(marks[age][1], marks[age - 1][1]):
                if departure.leg != self.leg and departure.csrc not in people:
                    packer.add(departure.csrc, departure.reason)
        return packer.packets()

    def _repeat_news(self, chunks: ChunkPacker) -> None:
        marks = self._marks
        for age in (age for age in NEWS_REPEATS if age < len(marks)):
            for position, person in self.people.news.between(marks[age][0], marks[age - 1][0]):
                if position == person.news_at and self._concerns(person):
                    chunks.add(person.csrc, person.in_full())

    def _rotate(self, chunks: ChunkPacker) -> None:
        # Everybody at most once in a report.
        for _ in range(len(self.people)):
            person = self.people.next_from(self._serial)
            if person is None:
                self._serial = 0
                self._round += 1
                person = self.people.next_from(0)
            assert person is not None  # there are people
            # Who has missed the news learns all in the first round.
            chunk = person.in_turn(self._round) if self._round else person.in_full()
            if person.leg != self.leg and not chunks.add(person.csrc, chunk):
                return
            self._serial = person.serial + 1

    def everybody(self) -> list[int]:
        """The CSRCs of all that were told of, for our own BYE (section 6.6)."""
        told: list[int] = []
        serial = 0
        while (person := self.people.next_from(serial)) is not None:
            serial = person.serial + 1
            if person.leg != self.leg:
                told.append(person.csrc)
        return told

    def detach(self) -> None:
        """Nothing is to be told any more."""
        self.people.forget_wake(self)
