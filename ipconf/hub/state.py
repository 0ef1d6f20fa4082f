"""What a conference looks like from outside: a versioned snapshot, whole or only what changed.

In the spirit of RFC 4575: each change raises the version; who has seen one version can ask for what
has changed since, and gets everything where that is too long ago to be known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .people import Attendee, Role

KEPT_DEPARTURES = 1024
"""Of people who left; who has seen less than that gets the whole state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonState:
    """One person, as plain values."""

    identity: str
    name: str
    cname: str
    leg: str
    role: Role
    csrc: int
    joined_at: float
    """In seconds of the provider's clock."""
    talking: bool
    muted: bool
    deaf: bool
    held: bool
    camera: bool
    """Whether their camera is on, and seen by those who look."""
    screen: bool
    """Whether they show a screen."""
    room: str
    hand_raised_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """One slot of a leg, and what is seen in it."""

    mid: str
    """Its media section, as the far end's description calls it (a=mid)."""
    attendee: Attendee | None
    """None: nobody, or somebody not known yet."""
    content: str
    """"slides" for a screen (RFC 4796)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceState:
    """A conference at one moment."""

    version: int
    since: int | None
    """None: `people` are all; else those who have joined or changed after that version."""
    subject: str
    locked: bool
    ended: bool
    dominant: str | None
    """Who has the floor, by identity."""
    legs: int
    recording: bool
    """Whether what happens is recorded now."""
    people: tuple[PersonState, ...]
    views: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    """Who is seen in each slot of the legs that take pictures, all by identity."""
    gone: tuple[str, ...] = ()
    """Identities of who left after `since`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        for person in values["people"]:
            person["role"] = person["role"].value
        return values


class Versions:
    """Who changed when, by versions."""

    def __init__(self) -> None:
        self.version = 0
        self._changed: dict[Attendee, int] = {}
        self._gone: deque[tuple[int, str]] = deque(maxlen=KEPT_DEPARTURES)
        self._forgotten = 0
        """Up to this version departures are not known any more."""

    def change(self, *people: Attendee) -> None:
        """Something changed: in general, or about these people."""
        self.version += 1
        for person in people:
            if person.present:
                self._changed[person] = self.version
            elif self._changed.pop(person, None) is not None:
                if len(self._gone) == KEPT_DEPARTURES:
                    self._forgotten = self._gone[0][0]
                self._gone.append((self.version, person.identity))

    def knows(self, since: int) -> bool:
        """Whether all changes after that version are known."""
        return self._forgotten <= since <= self.version

    def changed(self, since: int, people: Iterable[Attendee]) -> list[Attendee]:
        """Those of the people who joined or changed after that version."""
        return [person for person in people if self._changed.get(person, 0) > since]

    def gone(self, since: int) -> tuple[str, ...]:
        """Who left after that version."""
        return tuple(identity for version, identity in self._gone if version > since)
