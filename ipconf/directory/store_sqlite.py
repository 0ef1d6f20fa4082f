"""A directory in a file, which several processes may use at the same time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..errors import ClosedError, MediaError
from ..sdp import parse_description, write_description
from .entries import DirectoryEntry, EntryKind, matches
from .scopes import Scope
from .store import DirectoryStore, EntryKey, StoredEntry

BUSY_S = 1.0
"""How long another process may keep the file to itself before that is an error."""
VERSION = 1
"""Of the table, in the file's `user_version`; 0 is a new file."""

_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    description TEXT,
    address TEXT,
    expires_at REAL,
    UNIQUE (kind, name)
)
"""
_PUT = """
INSERT INTO entries (kind, name, scope, description, address, expires_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, name) DO UPDATE SET scope = excluded.scope, address = excluded.address,
    description = excluded.description, expires_at = excluded.expires_at
"""
_SELECT = "SELECT kind, name, scope, description, address, expires_at FROM entries"
_Row = tuple[str, str, str, str | None, str | None, float | None]


class SqliteStore(DirectoryStore):
    """Keeps entries in an SQLite file; MediaError if that cannot be read or written.

    Descriptions are in there as SDP. Rows that this package did not write and cannot read are
    passed over.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._database: sqlite3.Connection | None = None
        try:
            self._database = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            self._prepare(self._database)
        except sqlite3.Error as exc:
            self.close()
            raise self._trouble_with(exc) from exc
        except MediaError:
            self.close()
            raise

    def _prepare(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise MediaError(f"{self.path} is a directory of another version, {version}")
        database.execute(_TABLE)
        database.execute(f"PRAGMA user_version = {VERSION}")

    def put(self, stored: StoredEntry) -> None:
        entry = stored.entry
        text = None if entry.description is None else write_description(entry.description)
        with self._trouble() as database:
            database.execute(
                _PUT,
                (
                    entry.kind.value,
                    entry.name,
                    entry.scope.value,
                    text,
                    entry.address,
                    stored.expires_at,
                ),
            )

    def remove(self, key: EntryKey) -> None:
        kind, name = key
        with self._trouble() as database:
            database.execute("DELETE FROM entries WHERE kind = ? AND name = ?", (kind.value, name))

    def get(self, key: EntryKey) -> StoredEntry | None:
        kind, name = key
        with self._trouble() as database:
            row = database.execute(
                f"{_SELECT} WHERE kind = ? AND name = ?", (kind.value, name)
            ).fetchone()
        return None if row is None else _stored(row)

    def all(self, pattern: str = "*") -> Iterable[StoredEntry]:
        with self._trouble() as database:
            rows = database.execute(f"{_SELECT} ORDER BY number").fetchall()
        meant = (_stored(row) for row in rows if matches(row[1], pattern))
        return tuple(stored for stored in meant if stored is not None)

    def count(self) -> int:
        with self._trouble() as database:
            (number,) = database.execute("SELECT count(*) FROM entries").fetchone()
        return int(number)

    def remove_expired(self, now: float) -> None:
        with self._trouble() as database:
            database.execute("DELETE FROM entries WHERE expires_at <= ?", (now,))

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _trouble(self) -> Iterator[sqlite3.Connection]:
        """The database; what SQLite has to say against something is a MediaError."""
        try:
            yield self._open()
        except sqlite3.Error as exc:
            raise self._trouble_with(exc) from exc

    def _trouble_with(self, exc: sqlite3.Error) -> MediaError:
        return MediaError(f"the directory in {self.path} cannot be used: {exc}")

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise ClosedError(f"the directory in {self.path} is closed")
        return self._database


def _stored(row: _Row) -> StoredEntry | None:
    kind, name, scope, text, address, expires_at = row
    try:
        entry = DirectoryEntry(
            name=name,
            kind=EntryKind(kind),
            scope=Scope(scope),
            description=None if text is None else parse_description(text),
            address=address,
        )
    except ValueError:  # what errors of settings and descriptions are, too
        return None
    return StoredEntry(entry, expires_at)
