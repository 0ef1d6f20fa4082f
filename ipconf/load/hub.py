"""The process of the hub: one conference, which takes calls by the dozen and is measured.

`python -m ipconf.load.hub [--uvloop]`; see `processes`.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from ..call import Call
from ..conference import Conference
from ..events import TspData
from ..model import CallSettings, ConferenceSettings, MediaType
from ..msp import MediaServiceProvider
from ..ticker import AUDIO_TICKS
from ..tsp_data import Description, Disconnect
from .processes import Broken, Commands, serve

_STATM = Path("/proc/self/statm")
_SCHEDSTAT = Path("/proc/self/schedstat")


class Hub:
    """A conference whose legs are the answers to offers."""

    media = (MediaType.AUDIO,)

    def __init__(self) -> None:
        self._provider = MediaServiceProvider()
        self._conference: Conference | None = None
        self._settings = CallSettings()
        self._calls: list[Call] = []
        self._late: list[float] = []
        self.commands: Commands = {
            "open": self.open,
            "answer": self.answer,
            "connected": self.connected,
            "usage": self.usage,
            "measure": self.measure,
            "close": self._provider.close,
        }

    @property
    def conference(self) -> Conference:
        """Where the legs meet; `open` begins it."""
        assert self._conference is not None
        return self._conference

    async def open(self, settings: dict[str, Any], legs: int) -> None:
        """Begin a conference for so many legs, whose calls have these settings."""
        await self._provider.__aenter__()
        self._provider.ticker.add(self._tick, AUDIO_TICKS)  # first, so that it sees ticks begin
        limits = ConferenceSettings(max_legs=legs, max_talkers=min(max(legs, 64), 512))
        self._settings = CallSettings(**settings)
        self._conference = self._provider.create_conference("load", limits)

    def _tick(self, now: float, number: int) -> None:
        # Not `now`: a loop may have taken its time well before it came to the timer.
        self._late.append(time.monotonic() - self._provider.ticker._due)

    async def answer(self, offers: list[str]) -> list[str]:
        """Let a leg join with each of these offers; the answers to them."""
        answers: dict[Call | None, str] = {}
        with closing(self._provider.events(TspData)) as messages:
            calls = [self._provider.create_call(self.media, self._settings) for _ in offers]
            for call, offer in zip(calls, offers, strict=True):
                self.conference.add(call)
                call.receive_tsp_data(Description(type="offer", sdp=offer))
            while len(answers) < len(offers):
                message = await anext(messages)
                if isinstance(message.data, Disconnect):
                    raise Broken(message.data.reason)
                if isinstance(message.data, Description):
                    answers[message.call] = message.data.sdp
        self._calls.extend(calls)
        return [answers[call] for call in calls]

    async def connected(self) -> None:
        """Return once all calls are."""
        for call in self._calls:
            await call.wait_connected()

    async def usage(self) -> dict[str, float]:
        """CPU seconds of this process since its start, and memory in RAM in bytes (0: unknown)."""
        return {"cpu": time.process_time(), "resident": _resident_bytes()}

    async def measure(self, seconds: float) -> dict[str, Any]:
        """What happens in that time: CPU seconds, seconds that passed, how late ticks were."""
        self._late.clear()
        skipped = self._provider.ticker.skipped
        wall, cpu, waited = time.monotonic(), time.process_time(), _waited_s()
        await asyncio.sleep(seconds)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        waited = _waited_s() - waited
        return {
            "cpu": cpu,
            "seconds": wall,
            "waited": waited,
            "late": self._late,
            "mixes": self.conference.bridge.mixes,
            "people": len(self.conference.attendees),
            "skipped": self._provider.ticker.skipped - skipped,
            "resident": _resident_bytes(),
        }


def _waited_s() -> float:
    """How long the main thread has waited for a processor that others had; 0 where unknown."""
    return int(_SCHEDSTAT.read_text().split()[1]) / 1e9 if _SCHEDSTAT.exists() else 0.0


def _resident_bytes() -> int:
    if not _STATM.exists():
        return 0
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    serve(lambda: Hub().commands)
