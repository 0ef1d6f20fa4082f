"""What a codec that fails costs: one event, and one more attempt each second."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from ..model import Cause

RETRY_S = 1.0
"""After a failure nothing is tried for so long."""


class Report(Protocol):
    """Tells the application of a failure (`Stream.report_stream_failure`)."""

    def __call__(self, error: Exception, cause: Cause) -> None: ...


class Failures:
    """The failures of one stream's codecs, by who they hit: a substream, or the stream itself.

    Each is reported once, as often as it comes and whomever it hits, until what failed has worked
    again.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._told: dict[Hashable, str] = {}
        self._retry_at: dict[Hashable, float] = {}

    def failed(self, who: Hashable, error: Exception, now: float, cause: Cause) -> None:
        """Something failed; `blocks` says so from now on for a second."""
        self._retry_at[who] = now + RETRY_S
        text = f"{type(error).__name__}: {error}"
        known = text in self._told.values()
        self._told[who] = text
        if not known:
            self._report(error, cause)

    def blocks(self, who: Hashable, now: float) -> bool:
        """Whether it failed so recently that it is not worth another try."""
        return now < self._retry_at.get(who, now)

    @property
    def failing(self) -> tuple[Hashable, ...]:
        """Whoever has failed, and not worked since."""
        return tuple(self._told)

    def worked(self, who: Hashable) -> None:
        """It works, or is no more: its next failure is news again."""
        self._told.pop(who, None)
        self._retry_at.pop(who, None)

    def clear(self) -> None:
        """Things are different now: everything may be tried, and told, again."""
        self._told.clear()
        self._retry_at.clear()
