"""A process to measure: a conference that shows people to each other, and may record.

`python -m benchmarks.subject_gallery [--uvloop]`; see `ipconf.load.hub`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from ipconf import MediaType, RecordingKind
from ipconf.load.hub import Hub

from .children import serve


class Gallery(Hub):
    """Its calls have pictures."""

    media = (MediaType.AUDIO, MediaType.VIDEO)

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="gallery")
        self.commands = {
            **self.commands,
            "seen": self.seen,
            "pin": self.pin,
            "unpin": self.unpin,
            "record": self.record,
            "measure": self.measure_forwarding,
            "close": self.end,
        }

    async def seen(self) -> int:
        """How many slots of all legs show somebody."""
        views = self.conference.state().views.values()
        return sum(who is not None for view in views for who in view)

    async def pin(self, number: int) -> float:
        """Let everybody see the person of that leg; when that was, in `time.monotonic`."""
        person = self.conference.leg_of(self._calls[number]).attendees[0]
        self.conference.pin(person)
        return time.monotonic()

    async def unpin(self, number: int) -> None:
        """Let them see who talks again."""
        self.conference.unpin(self.conference.leg_of(self._calls[number]).attendees[0])

    async def record(self, kind: str, ending: str) -> None:
        """Record what happens."""
        path = Path(self._folder.name) / f"{kind}.{ending}"
        self.conference.record(path, RecordingKind(kind))

    async def measure_forwarding(self, seconds: float) -> dict[str, Any]:
        """As of every hub, and how many packets were "forwarded"."""
        before = self._forwarded
        answer = await super().measure(seconds)
        return {**answer, "forwarded": self._forwarded - before}

    @property
    def _forwarded(self) -> int:
        views = self.conference.video.views.values()
        return sum(slot.forwarded for view in views for slot in view.slots)

    async def end(self) -> None:
        """Hang up, and end recordings."""
        await self.conference.end()
        await self._provider.close()
        self._folder.cleanup()


if __name__ == "__main__":
    serve(lambda: Gallery().commands)
