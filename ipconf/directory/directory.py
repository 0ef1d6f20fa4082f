"""`Directory`: conferences and people under their names, for a time (MSPI: ITDirectory)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from ..errors import (
    ClosedError,
    ConfigurationError,
    InvalidStateError,
    LimitError,
    NoItemError,
    NotSupportedError,
)
from .entries import DirectoryEntry, EntryKind
from .store import DirectoryStore, EntryKey, StoredEntry

MIN_TTL_S = 300.0
"""Shorter lives make more traffic than they are worth (as with Rendezvous)."""
DEFAULT_TTL_S = 3600.0
MAX_ENTRIES = 1000
RETRY_S = 10.0
"""After a store that failed to refresh something."""


@dataclass(frozen=True, slots=True)
class _Life:
    """How long something is listed, and whether it refreshes itself."""

    ttl_s: float
    is_kept: bool
    expires_at: float

    @property
    def due_at(self) -> float:
        """When it has lived half its life and is refreshed, or is over."""
        return self.expires_at - (self.ttl_s / 2 if self.is_kept else 0)


class Directory:
    """Lists entries until their time to live is over, unless they are refreshed.

    `async with` refreshes by itself what was added while `auto_refresh` was set, and closes the
    store at the end; without it `handle_timer` has to be called. Errors of the store are raised as
    they are.
    """

    def __init__(
        self,
        store: DirectoryStore,
        *,
        default_ttl_s: float = DEFAULT_TTL_S,
        auto_refresh: bool = False,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.default_ttl_s = _checked(default_ttl_s)
        """Seconds; what is added lives so long if nothing else is said."""
        self.auto_refresh = auto_refresh
        """Whether entries that are added from now on are refreshed before they expire."""
        self.max_entries = max_entries
        self._clock = clock
        self._added: dict[EntryKey, _Life] = {}
        """What was added here."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._arm()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Refresh nothing any more and close the store; harmless when repeated."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.store.close()

    def add(self, entry: DirectoryEntry, *, ttl_s: float | None = None) -> None:
        """Publish an entry; InvalidStateError if there is one of that name already."""
        key = (entry.kind, entry.name)
        now = self._purge()
        if self.store.get(key) is not None:
            raise InvalidStateError(
                f"there is a {entry.kind.value} {entry.name!r} already: modify or delete it"
            )
        if self.store.count() >= self.max_entries:
            raise LimitError(f"the directory has {self.max_entries} entries, and takes no more")
        life = self.default_ttl_s if ttl_s is None else _checked(ttl_s)
        self.store.put(StoredEntry(entry, now + life))
        self._added[key] = _Life(life, self.auto_refresh, now + life)
        self._arm()

    def modify(self, entry: DirectoryEntry) -> None:
        """Publish an edited entry in place of the one with its name, which lives on as it did.

        NoItemError if there is none; NotSupportedError for another address of a person. A changed
        description has to be a later edition: `ConferenceDescription.replace` sees to that.
        """
        before = self._stored(entry.name, entry.kind)
        if entry.address != before.entry.address:
            raise NotSupportedError("a person's address cannot be modified: delete and add them")
        old, new = before.entry.description, entry.description
        if old is not None and new is not None and old.origin.identity == new.origin.identity:
            versions = old.origin.session_version, new.origin.session_version
            if versions[1] < versions[0] or (old != new and versions[1] == versions[0]):
                raise ConfigurationError(
                    f"the listed description has version {versions[0]}, this one {versions[1]}: a "
                    "changed one needs a higher version"
                )
        self.store.put(StoredEntry(entry, before.expires_at))

    def delete(self, name: str, kind: EntryKind = EntryKind.CONFERENCE) -> None:
        """List an entry no longer; NoItemError if there is none of ours."""
        self._stored(name, kind)
        self._added.pop((kind, name), None)
        self.store.remove((kind, name))

    def refresh(
        self, name: str, kind: EntryKind = EntryKind.CONFERENCE, *, ttl_s: float | None = None
    ) -> None:
        """Let an entry live from now on as if it were new; NoItemError if there is none of ours."""
        stored = self._stored(name, kind)
        key, added = (kind, name), self._added.get((kind, name))
        usual = self.default_ttl_s if added is None else added.ttl_s
        life = usual if ttl_s is None else _checked(ttl_s)
        expires_at = self._clock() + life
        self.store.put(StoredEntry(stored.entry, expires_at))
        self._added[key] = _Life(life, added is not None and added.is_kept, expires_at)
        self._arm()

    def get(self, name: str, kind: EntryKind = EntryKind.CONFERENCE) -> DirectoryEntry:
        """The entry of exactly that name, preferably ours; NoItemError if there is none."""
        self._purge()
        own = self.store.get((kind, name))
        if own is not None:
            return own.entry
        for stored in self.store.all():
            if stored.key == (kind, name):
                return stored.entry
        raise NoItemError(f"there is no {kind.value} {name[:80]!r} in this directory")

    def find(
        self,
        pattern: str = "*",
        kind: EntryKind | None = None,
        *,
        active_at: float | None = None,
    ) -> tuple[DirectoryEntry, ...]:
        """Entries whose names match, where `*` stands for anything, whatever their case.

        `active_at` leaves out conferences that do not take place at that instant.
        """
        self._purge()
        return tuple(
            stored.entry
            for stored in self.store.all(pattern)
            if kind in (None, stored.entry.kind)
            and (active_at is None or stored.entry.is_active(active_at))
        )

    def expires_at(self, name: str, kind: EntryKind = EntryKind.CONFERENCE) -> float | None:
        """When an entry of ours is gone unless it is refreshed, as of `time.time()`."""
        return self._stored(name, kind).expires_at

    def next_deadline(self) -> float | None:
        """When `handle_timer` is to be called, in time of the clock; None if nothing was added."""
        return min((life.due_at for life in self._added.values()), default=None)

    def handle_timer(self) -> None:
        """Refresh what keeps itself and has lived half its life; drop what has expired."""
        now = self._purge()
        for key, life in tuple(self._added.items()):
            if life.due_at > now:
                continue
            stored = self.store.get(key)
            if stored is None or not life.is_kept:
                del self._added[key]
            else:
                self._added[key] = replace(life, expires_at=now + life.ttl_s)
                self.store.put(StoredEntry(stored.entry, now + life.ttl_s))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and not self._is_closed:
            due = self.next_deadline()
            if due is not None:
                self._timer = self._loop.call_later(max(0.0, due - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        try:
            self.handle_timer()
            self._arm()
        except Exception as exc:  # what a store raises must not end the refreshing
            if self._loop is not None:
                context = {"message": "the directory could not be refreshed", "exception": exc}
                self._loop.call_exception_handler(context)
                self._timer = self._loop.call_later(RETRY_S, self._on_timer)

    def _purge(self) -> float:
        """Drop what has expired; returns what time it is."""
        if self._is_closed:
            raise ClosedError("the directory is closed")
        now = self._clock()
        self.store.remove_expired(now)
        return now

    def _stored(self, name: str, kind: EntryKind) -> StoredEntry:
        self._purge()
        stored = self.store.get((kind, name))
        if stored is None:
            raise NoItemError(f"there is no {kind.value} {name[:80]!r} that can be changed here")
        return stored


def _checked(ttl_s: float) -> float:
    if not ttl_s >= MIN_TTL_S:
        raise ConfigurationError(
            f"a life of {ttl_s:g} s is too short: give {MIN_TTL_S:g} s or more"
        )
    return ttl_s
