"""Who is seen by whom by right, by the script: the pinned one, then who talks, then who talked."""

from __future__ import annotations

from dataclasses import dataclass

from .scenes import Person, Phase
from .script import Script


@dataclass(frozen=True, slots=True)
class Sight:
    """Whom somebody is to see towards the end of a phase."""

    always: frozenset[Person]
    """Who must be seen."""
    choice: frozenset[Person] = frozenset()
    """Who talk, or talked, at the same time: as many as there is room for, who may take turns."""
    room: int = 0
    """How many that is."""

    def allows(self, seen: frozenset[Person]) -> bool:
        """Whether it is right to see these, and nobody else."""
        return self.always <= seen <= self.always | self.choice


def sight(script: Script, phase: Phase, viewer: Person) -> Sight:
    """Whom that person is to see in that phase."""
    if viewer in phase.deaf:
        return Sight(frozenset())
    there = frozenset(script.people) - phase.unseen - {viewer}
    slots = 1 if viewer == script.small_screen else script.slots
    room = min(slots, len(there))
    always: frozenset[Person] = frozenset()
    for group in _by_importance(script, phase, viewer, there):
        if len(group) > room:
            return Sight(always, group, room) if room else Sight(always)
        always |= group
        room -= len(group)
    return Sight(always)


def _by_importance(
    script: Script, phase: Phase, viewer: Person, there: frozenset[Person]
) -> list[frozenset[Person]]:
    """These people, in groups of which each goes before the next."""
    pinned = {phase.pinned} if phase.pinned and viewer == script.small_screen else ()
    number = script.phases.index(phase)
    lines = [past.heard for past in reversed(script.phases[: number + 1])]
    groups = []
    rest = there
    for group in (frozenset(pinned), *lines, there):
        groups.append(rest & group)
        rest -= group
    return groups
