"""How late the event loop comes: what media and guests wait for when the machine is too busy."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from itertools import accumulate

EVERY_S = 0.25
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Lateness:
    """Sets itself a timer again and again, and counts by how much it is late; `close` ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0
        self._due = 0.0
        self._timer = self._next()

    def close(self) -> None:
        """Set no timer any more."""
        self._timer.cancel()

    def buckets(self) -> list[tuple[str, float]]:
        """How often it was at most so many seconds late; the last is how often in all."""
        bounds = [*map(str, BOUNDS_S), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True))

    def _next(self) -> asyncio.TimerHandle:
        self._due = self._loop.time() + EVERY_S
        return self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        late_s = max(0.0, self._loop.time() - self._due)
        self._counts[bisect_left(BOUNDS_S, late_s)] += 1
        self.total_s += late_s
        self._timer = self._next()
