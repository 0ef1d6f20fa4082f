"""What a directory lists: conferences, and people who can be reached."""

from __future__ import annotations

import enum
from typing import Annotated, Self

from pydantic import Field, model_validator

from ..sdp import ConferenceDescription, Timing
from ..sdp.fields import FilledText
from ..settings import Settings
from .scopes import Scope


def matches(name: str, pattern: str) -> bool:
    """Whether a name is this one, where `*` stands for anything; whatever its case."""
    first, *others = pattern.casefold().split("*")
    name = name.casefold()
    if not others:
        return name == first
    *middle, last = others
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    place, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


class EntryKind(enum.Enum):
    """What an entry is about (MSPI: DIRECTORY_OBJECT_TYPE)."""

    CONFERENCE = "conference"
    PERSON = "person"


class DirectoryEntry(Settings):
    """A conference or a person, as listed (MSPI: ITDirectoryObject); frozen.

    Making or editing one publishes nothing: `Directory.add` and `Directory.modify` do.
    """

    name: Annotated[FilledText, Field(max_length=255)]
    """By which it is found; of each kind there is one of a name."""
    kind: EntryKind = EntryKind.CONFERENCE
    description: ConferenceDescription | None = None
    """Of a conference: how it is joined."""
    address: FilledText | None = None
    """Of a person: where they can be called. Cannot be modified, only added anew."""
    scope: Scope = Scope.LOCAL
    """How far it is announced, where it is."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        is_conference = self.kind is EntryKind.CONFERENCE
        if (self.description is not None) != is_conference or (self.address is None) != (
            is_conference
        ):
            raise ValueError("a conference has a description, a person has an address")
        return self

    @classmethod
    def conference(
        cls, description: ConferenceDescription, *, scope: Scope = Scope.LOCAL
    ) -> DirectoryEntry:
        """An entry under the name that the description has."""
        return cls(name=description.name[:255], description=description, scope=scope)

    @classmethod
    def person(cls, name: str, address: str) -> DirectoryEntry:
        """Somebody who can be called there."""
        return cls(name=name, kind=EntryKind.PERSON, address=address)

    def scheduled(self, starts_at: float, ends_at: float | None = None) -> DirectoryEntry:
        """A copy that takes place from one instant, as of `time.time()`, to another or for good."""
        if self.description is None:
            return self
        times = (Timing.between(starts_at, ends_at),)
        return self.replace(description=self.description.replace(times=times))

    @property
    def originator(self) -> str:
        """Who made the description; "" of a person."""
        return "" if self.description is None else self.description.origin.username

    @property
    def is_encrypted(self) -> bool:
        """Whether the description has a key."""
        return self.description is not None and self.description.is_encrypted

    def is_active(self, unix_s: float) -> bool:
        """Whether it takes place at that instant; people always do."""
        return self.description is None or self.description.is_active(unix_s)
