"""What the script of the conference is made of: people, phases, cues, and who writes them down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..story import Span

NAMES = (
    "Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi", "Ivan", "Judy", "Kim",
    "Liam",
)  # fmt: skip
PAUSE_S = 0.7
"""After each line: it has been heard when the next begins, and all have been told."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the conference; `number` says whose voice it is, counted from 0."""

    number: int

    @property
    def name(self) -> str:
        """For display."""
        return NAMES[self.number]

    @property
    def key(self) -> str:
        """In logs and file names, and the CNAME."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch in which some talk; who is `unheard` does it in vain, who is `deaf` hears none."""

    title: str
    span: Span
    talkers: tuple[Person, ...]
    unheard: frozenset[Person] = frozenset()
    deaf: frozenset[Person] = frozenset()
    dark: frozenset[Person] = frozenset()
    """Whose camera is off."""
    pinned: Person | None = None
    """Whom the viewer with the small screen sees whoever talks."""

    def heard_by(self, listener: Person) -> frozenset[Person]:
        """Whom that person hears by right."""
        if listener in self.deaf:
            return frozenset()
        return frozenset(self.talkers) - self.unheard - {listener}

    @property
    def heard(self) -> frozenset[Person]:
        """Who is heard, by all others who are there."""
        return frozenset(self.talkers) - self.unheard

    @property
    def unseen(self) -> frozenset[Person]:
        """Who can be seen by nobody."""
        return self.deaf | self.dark


@dataclass(frozen=True, slots=True)
class Cue:
    """At `at_s` the hub, or a person's own process, is given an order; the caption tells of it."""

    at_s: float
    order: Mapping[str, Any]
    caption: str
    person: Person
    to_hub: bool = True


class Writer:
    """Puts one thing after the other."""

    def __init__(self, now_s: float, line_s: float) -> None:
        self.now_s = now_s
        self.phases: list[Phase] = []
        self.cues: list[Cue] = []
        self.dark: frozenset[Person] = frozenset()
        """Whose camera is off from now on."""
        self.pinned: Person | None = None
        """Who is pinned from now on."""
        self._line_s = line_s

    def phase(
        self,
        title: str,
        talkers: Iterable[Person],
        *,
        unheard: Iterable[Person] = (),
        off: Iterable[Person] = (),
    ) -> None:
        """The next line of these; who is off is neither heard nor hears."""
        span = Span(self.now_s, self.now_s + self._line_s)
        silent = frozenset(unheard) | frozenset(off)
        self.phases.append(
            Phase(title, span, tuple(talkers), silent, frozenset(off), self.dark, self.pinned)
        )
        self.now_s += self._line_s + PAUSE_S

    def cue(
        self,
        order: Mapping[str, Any],
        caption: str,
        person: Person,
        *,
        to_hub: bool = True,
        at_s: float | None = None,
    ) -> float:
        """An order, late in the pause before the next line unless `at_s` is given; returns when."""
        if at_s is None:
            at_s = self.now_s - PAUSE_S / 3
        self.cues.append(Cue(at_s, {"person": person.key, **order}, caption, person, to_hub))
        return at_s

    def pin(self, viewer: Person, pinned: Person | None) -> None:
        """Who sees one person at a time wants this one, or whoever talks."""
        order = {"order": "watch", "pinned": None if pinned is None else pinned.key}
        seen = "whoever talks" if pinned is None else f"{pinned.name} pinned"
        self.cue(order, f"{viewer.name}'s screen has room for one: {seen}", viewer)
        self.pinned = pinned

    def camera(self, person: Person, on: bool) -> None:
        """Somebody switches their camera on or off."""
        caption = f"{person.name}'s camera goes {'on' if on else 'off'}"
        self.cue({"order": "camera", "on": on}, caption, person, to_hub=False)
        self.dark = self.dark - {person} if on else self.dark | {person}
