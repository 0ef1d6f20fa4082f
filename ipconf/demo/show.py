"""What the command line needs of a demo, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from .conference.director import ConferenceDirector
from .conference.headless import ConferencePrinter
from .conference.log import ConferenceLog
from .conference.script import MIN_PARTIES, Script
from .conference.summary import print_files as print_conference_files
from .conference.summary import print_summary as print_conference_summary
from .conference.verdict import Verdict
from .conference.verdict import judge as judge_conference
from .conference.view import ConferenceView
from .director import Director
from .headless import LinePrinter
from .log import DemoLog
from .story import DEFAULT_DURATION_S, MAX_DURATION_S, MIN_DURATION_S, Story
from .summary import print_files, print_summary
from .verdict import Check, judge
from .view import LiveView


class Show(ABC):
    """A demo: it is played once, then judged, then talked about."""

    recordings: Sequence[Path]
    """The files that it will write."""

    @abstractmethod
    async def play(self, console: Console, *, live: bool) -> None:
        """Play it, to be seen live or line by line."""

    @abstractmethod
    def judge(self) -> bool:
        """Whether all was as it should be; reads the recordings, which takes seconds."""

    @abstractmethod
    def report(self) -> dict[str, Any]:
        """All events, statistics and checks, as plain values."""

    @abstractmethod
    def print_summary(self, console: Console) -> None:
        """What was counted and checked; the last line says whether it passed."""

    @abstractmethod
    def print_files(self, console: Console) -> None:
        """Where the recordings are."""


def make_show(
    parties: int,
    duration_s: float | None,
    loss_percent: float,
    folder: Path,
    *,
    video: bool = True,
) -> Show:
    """The demo for so many parties; ValueError for a number, or a duration, out of bounds.

    Only a conference can be without `video`; ValueError for two parties.
    """
    if parties < MIN_PARTIES - 1:
        raise ValueError(f"{parties} parties: it takes two or more")
    if parties < MIN_PARTIES:
        if not video:
            raise ValueError("two parties see each other: give --parties 3 or more without video")
        return CallShow(duration_s, loss_percent, folder)
    return ConferenceShow(Script(parties, duration_s, loss_percent, video=video), folder)


class CallShow(Show):
    """Two parties call each other, with pictures."""

    def __init__(self, duration_s: float | None, loss_percent: float, folder: Path) -> None:
        duration_s = DEFAULT_DURATION_S if duration_s is None else duration_s
        if not MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
            raise ValueError(
                f"{duration_s:g} seconds: everything that happens takes {MIN_DURATION_S:g} s or "
                f"more; give {MIN_DURATION_S:g} to {MAX_DURATION_S:g}"
            )
        self._log = DemoLog.empty(Story(duration_s, loss_percent), folder)
        self._checks: list[Check] = []
        self.recordings = [party.recording for party in self._log.parties.values()]

    async def play(self, console: Console, *, live: bool) -> None:
        async with LiveView(console, self._log) if live else LinePrinter(console) as audience:
            await Director(self._log, audience).play()

    def judge(self) -> bool:
        self._checks = judge(self._log)
        return all(check.passed for check in self._checks)

    def report(self) -> dict[str, Any]:
        return _checks_json(self._checks) | self._log.to_json()

    def print_summary(self, console: Console) -> None:
        print_summary(console, self._log, self._checks)

    def print_files(self, console: Console) -> None:
        print_files(console, self._log)


class ConferenceShow(Show):
    """Three or more meet in a hub."""

    def __init__(self, script: Script, folder: Path) -> None:
        self._log = ConferenceLog.empty(script, folder)
        self._verdict = Verdict()
        self.recordings = [side.recording for side in self._log.people.values()]
        if self._log.mosaic is not None:
            self.recordings.append(self._log.mosaic)

    async def play(self, console: Console, *, live: bool) -> None:
        view = ConferenceView(console, self._log) if live else ConferencePrinter(console)
        async with view as audience:
            await ConferenceDirector(self._log, audience).play()

    def judge(self) -> bool:
        self._verdict = judge_conference(self._log)
        return self._verdict.passed

    def report(self) -> dict[str, Any]:
        matrices = {
            "matrix": [cell.to_json() for cell in self._verdict.cells],
            "sights": [cell.to_json() for cell in self._verdict.sights],
        }
        return _checks_json(self._verdict.checks) | matrices | self._log.to_json()

    def print_summary(self, console: Console) -> None:
        print_conference_summary(console, self._log, self._verdict)

    def print_files(self, console: Console) -> None:
        print_conference_files(console, self._log)


def _checks_json(checks: Sequence[Check]) -> dict[str, Any]:
    return {"checks": [{"passed": check.passed, **asdict(check)} for check in checks]}
