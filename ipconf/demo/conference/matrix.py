"""Who heard whom in which phase, by what is in the recordings, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..story import Span
from .listening import Recording
from .log import ConferenceLog, PersonLog
from .scenes import Person, Phase

HEARD = 0.4
"""The gain of somebody who was heard is 0.55 or more, also where a tenth of the packets was lost.
Jitter buffers that have to adapt, and the limiter, make it less than 1."""
UNHEARD = 0.2
"""And 0.12 or less of who was not. What is in between is neither, and so never right."""
MAX_REST = 0.7
"""Where somebody must be heard, nobody's is 0.3 of the sound at most, 0.6 while it is stretched or
shrunk. Where nobody must be heard there must be silence."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one person heard in one phase."""

    listener: Person
    phase: Phase
    heard: frozenset[Person]
    doubtful: frozenset[Person]
    """Who was neither heard nor unheard."""
    gains: tuple[float, ...]
    """Of the phase's talkers, in their order."""
    rest: float
    """The share of the sound that is nobody's of them."""

    @property
    def right(self) -> bool:
        """Whether exactly those were heard who should have been, and nothing else."""
        expected = self.phase.heard_by(self.listener)
        rest = MAX_REST if expected else 0.0
        return self.heard == expected and not self.doubtful and self.rest <= rest

    @property
    def fault(self) -> str:
        """What is not right, in a sentence."""
        expected = names_of(self.phase.heard_by(self.listener))
        gains = ", ".join(
            f"{person.name} {gain:.2f}"
            for person, gain in zip(self.phase.talkers, self.gains, strict=True)
        )
        return (
            f"{self.phase.title}, {self.phase.span.start_s:.1f} s: heard {names_of(self.heard)} "
            f"instead of {expected} (gains: {gains}; {self.rest:.0%} is nobody's of them; a "
            "busy machine loses media)"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        people = zip(self.phase.talkers, self.gains, strict=True)
        return {
            "phase": self.phase.title,
            **asdict(self.phase.span),
            "listener": self.listener.key,
            "expected": keys_of(self.phase.heard_by(self.listener)),
            "heard": keys_of(self.heard),
            "gains": {person.key: round(gain, 3) for person, gain in people},
            "rest": round(self.rest, 3),
            "right": self.right,
        }


def row(log: ConferenceLog, side: PersonLog, recording: Recording) -> Iterator[Cell]:
    """What that person heard in each phase."""
    for phase in log.script.phases:
        began_s = side.recording_began_s
        span = Span(phase.span.start_s - began_s, phase.span.end_s - began_s)
        found = recording.who(span, [person.number for person in phase.talkers])
        people = tuple(zip(phase.talkers, found.gains, strict=True))
        yield Cell(
            side.person,
            phase,
            heard=frozenset(p for p, gain in people if gain >= HEARD),
            doubtful=frozenset(p for p, gain in people if UNHEARD < gain < HEARD),
            gains=found.gains,
            rest=found.rest,
        )


def keys_of(people: frozenset[Person]) -> list[str]:
    """For a report, in the order of the people."""
    return [person.key for person in sorted(people, key=lambda p: p.number)]


def names_of(people: frozenset[Person]) -> str:
    """For a sentence."""
    names = [person.name for person in sorted(people, key=lambda p: p.number)]
    return ", ".join(names) or "nobody"
