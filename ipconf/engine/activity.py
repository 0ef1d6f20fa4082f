"""Who is active: talking, or for people with video only, sending pictures.

Levels and media arrive per source; the ends of silence-suppressed talk and of stopped video are
found by a check every 0.1 s, armed only while somebody is active.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..model import MediaType
from .person import Person, SourceEntry
from .speakers import TalkDetector

ACTIVITY_CHECK_S = 0.1
"""How often ends of talking and of video are looked for, while anyone is active."""
VIDEO_ALONE_S = 1.0
"""Video that has flowed so long without sound makes active; sound mostly comes sooner."""
MEDIA_SILENCE_S = 2.0
"""Video that pauses longer has stopped; ordinary jams and slow frame rates stay below."""


class Activity:
    """Keeps the talk and the flow of sources; tells when that may have changed someone.

    `changed(entry, now)` asks to look at the entry's person again; `local(talking, now)` is about
    ourselves.
    """

    __slots__ = ("_busy", "_changed", "_local", "_own", "next_check")

    def __init__(
        self,
        changed: Callable[[SourceEntry, float], None],
        local: Callable[[bool, float], None],
    ) -> None:
        self.next_check = math.inf
        self._changed = changed
        self._local = local
        self._own = TalkDetector()
        self._busy: dict[SourceEntry, None] = {}

    def level(self, entry: SourceEntry, level: int, now: float) -> None:
        """A level of one source's sound, 0 (loudest) .. 127 (RFC 6464)."""
        if entry.detector is None:
            entry.detector = TalkDetector()
            self._note(entry, now)  # from now on it is talk that counts
        if entry.detector.update(level, now) is not None:
            self._note(entry, now)

    def media(self, entry: SourceEntry, now: float) -> None:
        """Media of one source; sound counts by its level alone."""
        if entry.source.medium is MediaType.AUDIO:
            return
        if now <= entry.last_media:
            return  # it was told before
        if now - entry.last_media >= MEDIA_SILENCE_S:
            entry.flows_since = now
        entry.last_media = now
        if not entry.flowing and now - entry.flows_since >= VIDEO_ALONE_S:
            entry.flowing = True
            self._note(entry, now)

    def local_level(self, level: int, now: float) -> None:
        """A level of our own capture, muted or not."""
        change = self._own.update(level, now)
        if change is not None:
            self._check_by(now + ACTIVITY_CHECK_S)
            self._local(change, now)

    def forget(self, entry: SourceEntry) -> None:
        """The source is no more."""
        self._busy.pop(entry, None)

    def check(self, now: float) -> None:
        """Find who has stopped; due at `next_check`."""
        if now < self.next_check:
            return
        for entry in tuple(self._busy):
            ended = entry.detector is not None and entry.detector.expire(now) is False
            if entry.flowing and now - entry.last_media >= MEDIA_SILENCE_S:
                entry.flowing, ended = False, True
            if ended:
                self._note(entry, now)
        if self._own.expire(now) is False:
            self._local(False, now)
        busy = self._busy or self._own.talking
        self.next_check = now + ACTIVITY_CHECK_S if busy else math.inf

    def _note(self, entry: SourceEntry, now: float) -> None:
        if entry.talking or entry.flowing:
            self._busy[entry] = None
            self._check_by(now + ACTIVITY_CHECK_S)
        else:
            self._busy.pop(entry, None)
        self._changed(entry, now)

    def _check_by(self, then: float) -> None:
        self.next_check = min(self.next_check, then)


def is_active(person: Person) -> bool:
    """Whether a person talks; of one who sends no sound, whether their video flows.

    A source of which a mixer tells, and that has sent nothing yet, may be somebody's sound.
    """
    audible = any(
        entry.detector is not None or entry.source.medium is not MediaType.VIDEO
        for entry in person.entries
    )
    return any(entry.talking if audible else entry.flowing for entry in person.entries)
