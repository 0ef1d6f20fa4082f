"""A directory that is the network: what is put is announced, what others announce is listed."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import NotSupportedError
from .entries import DirectoryEntry, EntryKind, matches
from .heard import HeardConference
from .scopes import Scope, scope_of
from .store import DirectoryStore, EntryKey, StoredEntry
from .udp import SapPort


class SapStore(DirectoryStore):
    """Conferences on a `SapPort`, which somebody else opens and closes.

    Only one's own can be changed. Others' are listed until they are withdrawn, over or no longer
    heard; several may have the same name.
    """

    def __init__(self, port: SapPort) -> None:
        self._port = port
        self._own: dict[EntryKey, StoredEntry] = {}

    def put(self, stored: StoredEntry) -> None:
        description = stored.entry.description
        if description is None:
            raise NotSupportedError("only conferences are announced: list people in another store")
        before = self._own.get(stored.key)
        if before is not None and before.entry.description is not None:
            old = before.entry.description.origin.identity
            if old != description.origin.identity:
                self._port.withdraw(old)
        if before is None or before.entry != stored.entry:
            self._port.announce(description, ttl=stored.entry.scope.ttl)
        self._own[stored.key] = stored

    def remove(self, key: EntryKey) -> None:
        gone = self._own.pop(key, None)
        if gone is not None and gone.entry.description is not None:
            identity = gone.entry.description.origin.identity
            if any(d.origin.identity == identity for d in self._port.announcer.descriptions):
                self._port.withdraw(identity)

    def get(self, key: EntryKey) -> StoredEntry | None:
        return self._own.get(key)

    def all(self, pattern: str = "*") -> Iterable[StoredEntry]:
        heard = (StoredEntry(entry_of(h), None) for h in self._port.listener.conferences)
        return tuple(s for s in (*self._own.values(), *heard) if matches(s.entry.name, pattern))


def entry_of(heard: HeardConference) -> DirectoryEntry:
    """What is heard as an entry; its scope is that of its media, as far as they tell one."""
    description = heard.description
    connections = [c for m in description.media for c in description.connections_of(m)]
    ttls = [c.ttl for c in connections if c.ttl is not None]
    scope = scope_of(max(ttls)) if ttls else Scope.LOCAL
    return DirectoryEntry(
        name=description.name[:255],
        kind=EntryKind.CONFERENCE,
        description=description,
        scope=scope,
    )
