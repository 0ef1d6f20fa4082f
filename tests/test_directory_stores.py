"""Directories over their stores, on virtual time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from peers import eventually, scenario
from sdp_lab import NOW, tea

from ipconf.directory import (
    Directory,
    DirectoryEntry,
    DirectoryStore,
    EntryKind,
    MemoryStore,
    Scope,
    SqliteStore,
    StoredEntry,
)
from ipconf.directory.entries import matches
from ipconf.errors import (
    ClosedError,
    ConfigurationError,
    InvalidStateError,
    LimitError,
    MediaError,
    NoItemError,
    NotSupportedError,
)
from ipconf.sdp import Key

ANN = DirectoryEntry.person("Ann", "sip:ann@example.com")
HOUR = 3600.0


class Clock:
    """What time it is, since 1970."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def conference(name: str) -> DirectoryEntry:
    """One of that name."""
    return DirectoryEntry.conference(tea(name=name))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DirectoryStore:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "directory")


@pytest.fixture
def directory(store: DirectoryStore, clock: Clock) -> Directory:
    return Directory(store, clock=clock)


def test_entries_come_change_and_go(directory: Directory) -> None:
    entry = conference("Tea").replace(scope=Scope.SITE)
    directory.add(entry)
    directory.add(ANN)
    assert directory.find() == (entry, ANN)
    assert directory.get("Tea") == entry
    assert entry.description is not None
    edited = entry.replace(description=entry.description.replace(information="at five"))
    assert directory.get("Tea") == entry
    directory.modify(edited)
    assert directory.find() == (edited, ANN)
    directory.delete("Tea")
    assert directory.find() == (ANN,)
    for missing in (
        lambda: directory.get("Tea"),
        lambda: directory.delete("Tea"),
        lambda: directory.modify(edited),
        lambda: directory.refresh("Tea"),
        lambda: directory.delete("Ann"),
    ):
        with pytest.raises(NoItemError, match="there is no conference"):
            missing()
    directory.delete("Ann", EntryKind.PERSON)
    assert directory.find() == ()


def test_names_are_taken_once_for_each_kind(directory: Directory) -> None:
    directory.add(conference("Ann"))
    directory.add(ANN)
    with pytest.raises(InvalidStateError, match="there is a person 'Ann' already"):
        directory.add(ANN)
    assert directory.find(kind=EntryKind.PERSON) == (ANN,)
    assert directory.get("Ann", EntryKind.PERSON) == ANN


def test_finding_by_name(directory: Directory) -> None:
    for name in ("Tea", "tea at five", "Coffee", "x*y", "x.y"):
        directory.add(conference(name))

    def found(pattern: str) -> list[str]:
        return [entry.name for entry in directory.find(pattern)]

    assert found("tea*") == ["Tea", "tea at five"]
    assert found("*e") == ["tea at five", "Coffee"]
    assert found("*f*e") == ["tea at five", "Coffee"]
    assert found("TEA") == ["Tea"]
    assert found("x.y") == ["x.y"]
    assert found("x*y") == ["x*y", "x.y"]
    assert found("") == found("te") == found("tea*tea") == []


def test_patterns_take_no_time() -> None:
    assert not matches("a" * 255, "*a" * 100 + "b")
    assert matches("a" * 255, "*a" * 100)
    assert not matches("aba", "ab*ba")
    assert matches("ab\nba", "ab*ba")


def test_a_changed_description_has_to_be_a_later_edition(directory: Directory) -> None:
    entry = conference("Tea")
    directory.add(entry)
    assert entry.description is not None
    origin = entry.description.origin
    same = entry.replace(description=entry.description.replace(uri="u", origin=origin))
    with pytest.raises(ConfigurationError, match="a changed one needs a higher version"):
        directory.modify(same)
    directory.modify(entry.replace(scope=Scope.WORLD))
    assert directory.get("Tea").scope is Scope.WORLD


def test_a_persons_address_is_for_good(directory: Directory) -> None:
    directory.add(ANN)
    with pytest.raises(NotSupportedError, match="delete and add them"):
        directory.modify(ANN.replace(address="sip:ann@example.org"))
    directory.delete("Ann", EntryKind.PERSON)
    directory.add(ANN.replace(address="sip:ann@example.org"))


def test_entries_expire_unless_they_are_refreshed(directory: Directory, clock: Clock) -> None:
    directory.add(conference("One"), ttl_s=300)
    directory.add(conference("Two"), ttl_s=300)
    directory.add(conference("Hour"))
    clock.now += 200
    directory.refresh("Two")
    assert directory.expires_at("Two") == NOW + 500
    clock.now = NOW + 299
    assert len(directory.find()) == 3
    clock.now = NOW + 300
    assert [e.name for e in directory.find()] == ["Two", "Hour"]
    directory.add(conference("One"))
    clock.now = NOW + 500
    assert [e.name for e in directory.find()] == ["Hour", "One"]
    for short in (299.0, float("nan"), -1.0):
        with pytest.raises(ConfigurationError, match="give 300 s or more"):
            directory.add(conference("x"), ttl_s=short)
        with pytest.raises(ConfigurationError, match="give 300 s or more"):
            Directory(MemoryStore(), default_ttl_s=short)


def test_what_is_added_from_then_on_refreshes_itself(directory: Directory, clock: Clock) -> None:
    directory.add(conference("Before"), ttl_s=400)
    directory.auto_refresh = True
    directory.add(conference("Kept"), ttl_s=400)
    directory.auto_refresh = False
    directory.add(conference("After"), ttl_s=400)
    for _ in range(10):
        due = directory.next_deadline()
        assert due is not None
        assert clock.now <= due <= clock.now + 400
        clock.now = due
        directory.handle_timer()
    assert clock.now > NOW + 1000
    assert [e.name for e in directory.find()] == ["Kept"]
    directory.delete("Kept")
    assert directory.next_deadline() is None


def test_the_schedule(directory: Directory) -> None:
    entry = conference("Tea").scheduled(NOW + HOUR, NOW + 2 * HOUR)
    directory.add(entry)
    directory.add(conference("Always").scheduled(NOW))
    directory.add(ANN)
    assert entry.description is not None
    assert entry.description.origin.session_version > tea(name="Tea").origin.session_version

    def found(hours: float) -> list[str]:
        at = NOW + hours * HOUR
        return [e.name for e in directory.find(active_at=at)]

    assert found(0.5) == ["Always", "Ann"]
    assert found(1.5) == ["Tea", "Always", "Ann"]
    assert found(2.5) == ["Always", "Ann"]
    assert ANN.scheduled(NOW) == ANN


def test_what_an_entry_says() -> None:
    entry = conference("Tea")
    assert (entry.originator, entry.is_encrypted, entry.scope) == ("-", False, Scope.LOCAL)
    assert entry.description is not None
    secret = entry.replace(description=entry.description.replace(key=Key(method="prompt")))
    assert secret.is_encrypted
    assert (ANN.originator, ANN.is_encrypted) == ("", False)
    for make in (
        lambda: DirectoryEntry(name="x"),
        lambda: DirectoryEntry(name="x", kind=EntryKind.PERSON),
        lambda: ANN.replace(description=tea()),
        lambda: entry.replace(address="x"),
        lambda: DirectoryEntry.person("", "x"),
    ):
        with pytest.raises(ConfigurationError):
            make()


def test_a_directory_is_bounded(store: DirectoryStore) -> None:
    directory = Directory(store, max_entries=2)
    directory.add(ANN)
    directory.add(conference("Tea"))
    with pytest.raises(LimitError, match="has 2 entries"):
        directory.add(conference("Coffee"))


def test_a_closed_directory(directory: Directory) -> None:
    directory.close()
    directory.close()
    for use in (directory.find, lambda: directory.add(ANN), lambda: directory.get("x")):
        with pytest.raises(ClosedError):
            use()


@scenario()
async def test_the_loop_refreshes_and_forgets(clock: Clock) -> None:
    class Counting(MemoryStore):
        """Tells how often something was put."""

        def __init__(self) -> None:
            super().__init__()
            self.puts = 0
            self.reached = asyncio.Event()

        def put(self, stored: StoredEntry) -> None:
            super().put(stored)
            self.puts += 1
            clock.now += 300
            if self.puts == 2:
                raise MediaError("no room on the disk")
            if self.puts == 3:
                self.reached.set()

    store, told = Counting(), []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(str(context["exception"]))
    )
    async with Directory(store, auto_refresh=True, clock=clock) as kept:
        kept.add(ANN, ttl_s=600)
        await eventually(lambda: told == ["no room on the disk"])
        kept.refresh("Ann", EntryKind.PERSON)
        await store.reached.wait()
    with pytest.raises(ClosedError):
        kept.find()


def test_a_file_is_there_in_the_next_run_and_for_others(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "directory"
    one, two = (Directory(SqliteStore(path), clock=clock) for _ in range(2))
    entry = conference("Tea").replace(scope=Scope.REGION)
    one.add(entry)
    assert two.find() == (entry,)
    two.delete("Tea")
    assert one.find() == ()
    one.add(ANN)
    one.close()
    two.close()
    again = Directory(SqliteStore(path), clock=clock)
    assert again.find() == (ANN,)
    clock.now += 2 * HOUR
    assert again.find() == ()
    again.close()


def test_files_that_are_no_directories(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    for path in (tmp_path / "text", tmp_path / "missing" / "directory", tmp_path):
        with pytest.raises(MediaError, match="cannot be used"):
            SqliteStore(path)
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(MediaError, match="of another version, 99"):
        SqliteStore(tmp_path / "newer")


def test_rows_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    directory = Directory(SqliteStore(path))
    directory.add(ANN)
    directory.add(conference("Tea"))
    database = sqlite3.connect(path)
    spoil: Callable[[str], object] = database.execute
    spoil("UPDATE entries SET description = 'v=7' WHERE name = 'Tea'")
    database.commit()
    database.close()
    assert directory.find() == (ANN,)
    directory.close()
    with pytest.raises(ClosedError):
        directory.store.count()
