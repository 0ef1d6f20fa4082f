"""What the regular reports of a mixer say of the others (RFC 3550 sections 6.3.9 and 7).

They repeat what is new, and describe everybody in turn: so what was lost is said again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable

from .forwarding import ForwardedPeople
from .rtcp_packing import ByePacker, ChunkPacker
from .rtcp_timing import Allowance, RtcpTimer
from .session_config import SessionConfig

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


class Turns:
    """Whose turn it is in the reports of one session."""

    __slots__ = (
        "described",
        "_allowance",
        "_leg",
        "_marks",
        "_people",
        "_round",
        "_serial",
        "_single",
    )

    def __init__(
        self,
        people: ForwardedPeople,
        leg: Hashable,
        config: SessionConfig,
        timer: RtcpTimer,
        now: float,
    ) -> None:
        self.described = 0
        """How many people the latest report describes."""
        self._people = people
        self._leg = leg
        self._single = config.single_chunk_sdes
        self._allowance = Allowance(timer.rtcp_octets_per_s * TURN_SHARE, TURN_OCTETS, now)
        self._serial = 0  # who is next in the rotation, and in which round
        self._round = 0
        self._marks = deque([(people.news.end, people.byes.end)], maxlen=max(BYE_REPEATS) + 1)

    def begin(self) -> None:
        """Describe everybody in full, from the first on: somebody may know nobody."""
        self._serial = self._round = 0

    @property
    def settled(self) -> bool:
        """Whether everybody was described again, and what is new was repeated."""
        marks = self._marks
        before = marks[min(SETTLED_REPORTS, len(marks) - 1)]
        return self._round > 0 and before == (self._people.news.end, self._people.byes.end)

    def take(self, now: float, room: float) -> bytes:
        """The packets that go along with a report, of so many octets at most."""
        people = self._people
        room = min(room, self._allowance.left(now))
        self._marks.appendleft((people.news.end, people.byes.end))
        byes = self._repeated_byes(room)
        chunks = ChunkPacker(room - len(byes), single=self._single)
        self._repeat_news(chunks)
        self._rotate(chunks)
        packets = chunks.packets() + byes
        self._allowance.spend(len(packets), now)
        self.described = len(chunks)
        return packets

    def _repeated_byes(self, room: float) -> bytes:
        packer = ByePacker(room)
        people, marks = self._people, self._marks
        for age in (age for age in BYE_REPEATS if age < len(marks)):
            for _, departure in people.byes.between(marks[age][1], marks[age - 1][1]):
                if departure.leg != self._leg and departure.csrc not in people:
                    packer.add(departure.csrc, departure.reason)
        return packer.packets()

    def _repeat_news(self, chunks: ChunkPacker) -> None:
        marks = self._marks
        for age in (age for age in NEWS_REPEATS if age < len(marks)):
            for position, person in self._people.news.between(marks[age][0], marks[age - 1][0]):
                if position != person.news_at or person.leg == self._leg:
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
        leg, turn = self._leg, self._round
        for person in self._people.following(begin):
            if person.serial >= end:
                break
            # Who has missed the news learns all in the first round.
            packet = person.in_turn(turn) if turn else person.in_full()
            if person.leg != leg and not chunks.add(person.csrc, packet):
                return False
            self._serial = person.serial + 1
        return True
