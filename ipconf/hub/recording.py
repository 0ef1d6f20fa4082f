"""Recordings of a conference: start, pause and stop, and what becomes of them.

    recording = conference.record("meeting.mkv", RecordingKind.TRACKS)
    ...
    recording.stop()
    await recording.wait_complete()

What blocks is done by the file's thread; that a disk is full ends a recording and nothing else.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from ..errors import InvalidStateError, MediaError
from ..events import (
    FileState,
    RecordingEvent,
    RecordingFailed,
    RecordingPaused,
    RecordingStarted,
    RecordingStopped,
)
from ..terminals.file_formats import path_of
from .recording_hooks import post

if TYPE_CHECKING:
    from ..conference import Conference

LOOK_S = 0.2
"""So often it is looked who has come and gone."""


class Pause(NamedTuple):
    """A time that is not in the file."""

    at_s: float
    """Where in the file."""
    for_s: float
    """How long it was."""


class ConferenceRecording(ABC):
    """One recording of a conference into one file; it stops by itself when the conference ends."""

    def __init__(self, conference: Conference, path: str | Path) -> None:
        self.conference = conference
        self.path = path_of(path)
        self.identity = f"recording {self.path.name}"
        self.error: MediaError | None = None
        """Why it failed, if it did."""
        self.pauses: list[Pause] = []
        self._state = FileState.IDLE
        self._used = False
        self._origin = 0.0  # the position of what is due at 0 of the provider's clock, negated
        self._since = 0.0
        self._paused_at = 0.0
        self._ended_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity!r} {self._state.value}>"

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()
        await self.wait_complete()

    # -- what applications use

    @property
    def state(self) -> FileState:
        """ACTIVE while it records, PAUSED, or IDLE before and after that."""
        return self._state

    @property
    def position_s(self) -> float:
        """How much is recorded."""
        match self._state:
            case FileState.ACTIVE:
                return self.conference.now() - self._origin
            case FileState.PAUSED:
                return self._paused_at - self._origin
            case _:
                return self._ended_at

    @property
    @abstractmethod
    def dropped(self) -> int:
        """Payloads, blocks and pictures given up because the disk or an encoder was too slow."""

    @property
    @abstractmethod
    def is_writing(self) -> bool:
        """Whether the file is being written, perhaps only completed."""

    def start(self) -> None:
        """Record from now on, or go on after `pause`; harmless while it does.

        Raises MediaError when the file cannot be written, InvalidStateError when that was recorded
        already, or somebody else writes it.
        """
        now = self.conference.now()
        if self._state is FileState.PAUSED:
            self.pauses.append(Pause(self.position_s, now - self._paused_at))
            self._origin += now - self._paused_at
        elif self._state is FileState.ACTIVE:
            return
        else:
            if self._used or self.conference.ended:
                raise InvalidStateError(f"{self.identity} is over; make another one")
            self._open()
            self._used, self._origin = True, now
            self._look()
        self._since = now
        self._enter(FileState.ACTIVE, RecordingStarted)

    def pause(self) -> None:
        """Record nothing until `start`; the time in between is left out."""
        if self._state is FileState.ACTIVE:
            self._paused_at = self.conference.now()
            self._enter(FileState.PAUSED, RecordingPaused)

    def stop(self) -> None:
        """Record no more; the file is completed in the background: see `wait_complete`."""
        if self._end():
            post(self.conference, RecordingStopped, recording=self)

    @abstractmethod
    async def wait_complete(self) -> None:
        """After `stop`, or a failure: return when nothing more is written."""

    # -- inside

    def position(self, at: float) -> float | None:
        """Where in the file that is which is due at `at`; None where it is not to be recorded."""
        if self._state is not FileState.ACTIVE or at < self._since:
            return None
        return at - self._origin

    @abstractmethod
    def _open(self) -> None:
        """Begin the file; MediaError if it cannot be written."""

    @abstractmethod
    def _work(self) -> None:
        """Do what is to be done every `LOOK_S`."""

    @abstractmethod
    def _finish(self) -> None:
        """Let everybody go, and complete the file."""

    def _enter(self, state: FileState, kind: type[RecordingEvent]) -> None:
        self._state = state
        post(self.conference, kind, recording=self)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_S, self._look)
        if self.conference.ended:
            self.stop()
        else:
            self._work()

    def _end(self) -> bool:
        if self._state is FileState.IDLE:
            return False
        self._ended_at = self.position_s
        self._state = FileState.IDLE
        if self._timer is not None:
            self._timer.cancel()
        self._finish()
        return True

    def _fail(self, error: MediaError) -> None:
        """The file cannot be written; called on the loop, perhaps behind the end."""
        self.error = self.error or error
        self._end()
        post(self.conference, RecordingFailed, recording=self, error=error)
