"""Where a directory keeps its entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from .entries import DirectoryEntry, EntryKind, matches

EntryKey = tuple[EntryKind, str]


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry, and how long it is listed."""

    entry: DirectoryEntry
    expires_at: float | None
    """Seconds since 1970; None where somebody else decides."""

    @property
    def key(self) -> EntryKey:
        """What there is only one of in a directory."""
        return self.entry.kind, self.entry.name


class DirectoryStore(ABC):
    """Keeps entries; what may be done with them is the business of `Directory`."""

    @abstractmethod
    def put(self, stored: StoredEntry) -> None:
        """Keep this, in place of what has the same key."""

    @abstractmethod
    def remove(self, key: EntryKey) -> None:
        """Keep it no longer; harmless if it is not there."""

    @abstractmethod
    def get(self, key: EntryKey) -> StoredEntry | None:
        """What has this key and can be changed here."""

    @abstractmethod
    def all(self, pattern: str = "*") -> Iterable[StoredEntry]:
        """What has a name like that, a snapshot, in the order in which it was first put."""

    def count(self) -> int:
        """How many entries there are."""
        return len(tuple(self.all()))

    def remove_expired(self, now: float) -> None:
        """Remove what has lived long enough, in seconds since 1970."""
        for stored in self.all():
            if stored.expires_at is not None and stored.expires_at <= now:
                self.remove(stored.key)

    def close(self) -> None:  # noqa: B027 most stores have nothing to close
        """Let go of files; harmless when repeated."""


class MemoryStore(DirectoryStore):
    """Keeps entries as long as the process lives."""

    def __init__(self) -> None:
        self._stored: dict[EntryKey, StoredEntry] = {}

    def put(self, stored: StoredEntry) -> None:
        self._stored[stored.key] = stored

    def remove(self, key: EntryKey) -> None:
        self._stored.pop(key, None)

    def get(self, key: EntryKey) -> StoredEntry | None:
        return self._stored.get(key)

    def all(self, pattern: str = "*") -> Iterable[StoredEntry]:
        return tuple(s for s in self._stored.values() if matches(s.entry.name, pattern))
