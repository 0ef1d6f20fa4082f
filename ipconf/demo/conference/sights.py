"""Who saw whom in which phase, by the pictures that came, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..story import Span
from .log import ConferenceLog, PersonLog
from .matrix import keys_of, names_of
from .scenes import PAUSE_S, Person, Phase
from .seeing import Sight, sight
from .watching import NOBODY, Stretch

SETTLE_S = 1.2
"""After a line began: a camera that is off is noticed after a second, and who talks after less."""
AFTER_S = PAUSE_S / 2
"""After a line: until then nothing else is seen."""
SEEN, UNSEEN = 0.6, 0.2
"""Shares of that time: who is there in more is seen, who is there in less is not. What is in
between is neither, and so never right."""
MAX_SHARE = 1.3
"""Who is there in more is seen twice."""
MAX_MISNAMED = 4
"""A name comes with a packet, a picture when it is decoded and due: so many may be under the name
of whoever comes next."""


@dataclass(frozen=True, slots=True)
class SightCell:
    """What one person saw in one phase."""

    viewer: Person
    phase: Phase
    expected: Sight
    shares: dict[Person, float]
    """How much of the time each was seen, where that was at all."""
    trouble: tuple[str, ...] = ()
    """What was wrong with the pictures themselves."""

    @property
    def seen(self) -> frozenset[Person]:
        """Who was seen; of those who may take turns, whoever had one."""
        choice = self.expected.choice
        return frozenset(
            p for p, share in self.shares.items() if share >= (UNSEEN if p in choice else SEEN)
        )

    @property
    def doubtful(self) -> frozenset[Person]:
        """Who was neither seen nor unseen."""
        return frozenset(
            p
            for p, share in self.shares.items()
            if p not in self.expected.choice and UNSEEN < share < SEEN or share > MAX_SHARE
        )

    @property
    def right(self) -> bool:
        """Whether exactly those were seen who should have been, each under their name."""
        expected = self.expected
        if self.doubtful or self.trouble or not expected.allows(self.seen):
            return False
        turns = sum(self.shares.get(person, 0.0) for person in expected.choice)
        return SEEN * expected.room <= turns <= MAX_SHARE * expected.room

    @property
    def fault(self) -> str:
        """What is not right, in a sentence."""
        always, choice, room = self.expected.always, self.expected.choice, self.expected.room
        parts = [names_of(always)] if always or not choice else []
        parts += [f"{room} of {names_of(choice)} at a time"] if choice else []
        expected = " and ".join(parts)
        shares = ", ".join(f"{person.name} {share:.0%}" for person, share in self.shares.items())
        trouble = "".join(f"; {each}" for each in self.trouble)
        return (
            f"{self.phase.title}, {self.phase.span.start_s:.1f} s: saw {names_of(self.seen)} "
            f"instead of {expected} (shares: {shares or 'none'}{trouble}; a busy machine loses "
            "media)"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "phase": self.phase.title,
            **asdict(self.phase.span),
            "viewer": self.viewer.key,
            "expected": keys_of(self.expected.always),
            "or": keys_of(self.expected.choice),
            "seen": keys_of(self.seen),
            "shares": {person.key: round(share, 3) for person, share in self.shares.items()},
            "trouble": list(self.trouble),
            "right": self.right,
        }


def sight_row(log: ConferenceLog, side: PersonLog) -> Iterator[SightCell]:
    """What that person saw in each phase."""
    people = {person.key: person for person in log.script.people}
    for phase in log.script.phases:
        span = Span(phase.span.start_s + SETTLE_S, phase.span.end_s + AFTER_S)
        shares: dict[Person, float] = {}
        trouble: list[str] = []
        for stretch in side.stretches:
            common_s = min(span.end_s, stretch.end_s) - max(span.start_s, stretch.start_s)
            if common_s < 0:
                continue
            trouble += troubles(stretch)
            if stretch.who in people:
                person = people[stretch.who]
                share = common_s / (span.end_s - span.start_s)
                shares[person] = shares.get(person, 0.0) + share
        expected = sight(log.script, phase, side.person)
        yield SightCell(side.person, phase, expected, shares, tuple(trouble))


def troubles(stretch: Stretch) -> Iterator[str]:
    """What is wrong with the pictures of a stretch, whoever should be seen in it."""
    if stretch.who == NOBODY:
        yield f"{stretch.pictures} pictures were nobody's"
        return
    if stretch.stale:
        yield f"{stretch.stale} of {stretch.who}'s pictures were not new"
    if stretch.misnamed > MAX_MISNAMED:
        yield f"{stretch.misnamed} of {stretch.who}'s pictures came under another name"
    if not stretch.named:
        yield f"none of {stretch.who}'s pictures came under their name"
