"""What one session of a mixer still has to tell of the others (RFC 3550 sections 6.3.9 and 7).

News goes out soon: joins, changes and departures together, in compounds of their own. Besides,
every regular report repeats some of it, and goes on describing everybody in turn. So what was lost
is said again, and a session remembers positions only, however many people there are.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable

from .forwarding import ForwardedPeople, Wake
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
TURN_SHARE = 0.4
"""Share of the RTCP bandwidth for what regular reports say of others."""
TURN_OCTETS = 1200
"""Octets of that share that are kept for later: a report holds no more."""
NEWS_REPEATS = (1, 2)
"""Which of the regular reports after it say again that somebody joined or changed."""
BYE_REPEATS = (1, 2, 4, 8, 16, 32)
"""Which say again that somebody left: nothing else takes them from the far end's list."""

SETTLED_REPORTS = 4
"""Regular reports after news that come as often as they may; later ones need not."""


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
        "_marks",
        "_members",
        "_news",
        "_news_told",
        "_peak_octets_per_s",
        "_round",
        "_serial",
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
        self._turns = Allowance(timer.rtcp_octets_per_s * TURN_SHARE, TURN_OCTETS, now)
        self._free_at = now
        self._news_told = people.news.end
        self._byes_told = people.byes.end
        self._ssrc = 0
        """Under which we told of everybody; 0 while we have not."""
        self._greet_at = now + (COALESCE_S if members.sources else UNHEARD_S)
        self._first_untold = self._last_untold = 0
        self._serial = 0  # who is next in the rotation, and in which round
        self._round = 0
        self._marks = deque([(self._news_told, self._byes_told)], maxlen=max(BYE_REPEATS) + 1)
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

    @property
    def settled(self) -> bool:
        """Whether everybody was described again, and what is new was repeated."""
        marks = self._marks
        before = marks[min(SETTLED_REPORTS, len(marks) - 1)]
        return self._round > 0 and before == (self.people.news.end, self.people.byes.end)

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
        chunks = ChunkPacker(room - len(byes), single=self._single)
        if self._add_news(chunks):
            self._add_untold(chunks)
        packets = chunks.packets() + byes
        if packets:
            octets = len(packets) + LOWER_LAYER_OCTETS
            pause_s = RUSH_S if self._next_telling() == math.inf else SPACING_S
            pause_s = max(pause_s, octets / self._peak_octets_per_s, self._news.spend(octets, now))
            self._free_at = now + pause_s
        if self._next_telling() == math.inf:
            self.people.wake_at_news(self, self._wake)
        self.described = len(chunks)
        return packets

    def _greet(self) -> None:
        self._ssrc = self._speaker.ssrc
        self._greet_at = math.inf
        self._members.greeted()
        self._first_untold, self._last_untold = 0, self.people.next_serial
        self._news_told = self.people.news.end
        self._serial = self._round = 0

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
            if position != person.news_at or person.leg == self.leg:
                continue  # there is later news of them, or they left
            if self._first_untold <= person.serial < self._last_untold:
                continue  # their turn comes
            if not chunks.add(person.csrc, person.in_full()):
                self._news_told = position
                return False
        self._news_told = news.end
        return True

    def _add_untold(self, chunks: ChunkPacker) -> None:
        if self._first_untold >= self._last_untold:
            return
        for person in self.people.following(self._first_untold):
            if person.leg != self.leg and not chunks.add(person.csrc, person.in_full()):
                self._first_untold = person.serial
                return
        self._first_untold = self._last_untold

    def take_turn(self, now: float, room: float) -> bytes:
        """The packets that go along with a regular report."""
        self.described = 0
        if not self._ssrc:
            return b""  # first they are told of everybody
        room = min(room, self._turns.left(now))
        self._marks.appendleft((self.people.news.end, self.people.byes.end))
        byes = self._repeated_byes(room)
        chunks = ChunkPacker(room - len(byes), single=self._single)
        self._repeat_news(chunks)
        self._rotate(chunks)
        packets = chunks.packets() + byes
        self._turns.spend(len(packets), now)
        self.described = len(chunks)
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
                if position != person.news_at or person.leg == self.leg:
                    continue
                if not chunks.add(person.csrc, person.in_full()):
                    return

    def _rotate(self, chunks: ChunkPacker) -> None:
        # Everybody at most once in a report.
        begin = self._serial
        if self._rotate_through(begin, math.inf, chunks) and begin:
            self._serial = 0
            self._round += 1
            self._rotate_through(0, begin, chunks)

    def _rotate_through(self, begin: int, end: float, chunks: ChunkPacker) -> bool:
        leg, turn = self.leg, self._round
        for person in self.people.following(begin):
            if person.serial >= end:
                break
            # Who has missed the news learns all in the first round.
            packet = person.in_turn(turn) if turn else person.in_full()
            if person.leg != leg and not chunks.add(person.csrc, packet):
                return False
            self._serial = person.serial + 1
        return True

    def everybody(self) -> list[int]:
        """The CSRCs of all that were told of, for our own BYE (section 6.6)."""
        return [person.csrc for person in self.people.following(0) if person.leg != self.leg]

    def detach(self) -> None:
        """Nothing is to be told any more."""
        self.people.forget_wake(self)
