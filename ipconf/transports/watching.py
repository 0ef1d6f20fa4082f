"""When to read a file that packets of many calls come from: when it is ready, or by a timer.

Waking up costs more than reading a packet. Where wake-ups follow each other closely the file is
looked at by a timer instead, so that packets of hundreds of calls are worked on in batches, with
warm caches; a single call is told of its packets at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

MAX_BATCH = 256
"""Datagrams read before the loop may do something else; what is left is read right after that."""
QUICK_WAKES = 4
"""So many wake-ups in a row, each within `PAUSE_S` of the last, and the timer takes over."""
PAUSE_S = 0.003
"""From one look of the timer to the next: what that may delay a packet, a seventh of a tick.

With 200 calls of 50 packets a second 30 wait by then. Where none does, readiness wakes again.
"""


class Watch:
    """Calls `read` on the loop when the file may have something, until `close`.

    `read` returns how many datagrams it has taken: all there were, or about `MAX_BATCH`.
    NotImplementedError if the loop watches no files.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, number: int, read: Callable[[], int]
    ) -> None:
        self._loop = loop
        self._number = number
        self._read = read
        self._timer: asyncio.Handle | None = None
        """Set while it, and not the file's readiness, makes us look."""
        self._woken_at = -math.inf
        self._quick_wakes = 0
        loop.add_reader(number, self._woken)

    def close(self) -> None:
        """Look no more; before the file is closed."""
        if self._timer is None:
            self._loop.remove_reader(self._number)
        else:
            self._timer.cancel()
            self._timer = None

    def _woken(self) -> None:
        now = self._loop.time()
        quick = now - self._woken_at < PAUSE_S
        self._woken_at = now
        self._quick_wakes = self._quick_wakes + 1 if quick else 0
        if self._quick_wakes < QUICK_WAKES:
            self._read()
        else:
            self._loop.remove_reader(self._number)
            self._look()

    def _look(self) -> None:
        """What the timer does; it is set first, since reading may raise, or close this."""
        timer = self._timer = self._loop.call_later(PAUSE_S, self._look)
        count = self._read()
        if 0 < count < MAX_BATCH or timer is not self._timer:
            return
        timer.cancel()
        if count:
            self._timer = self._loop.call_soon(self._look)
        else:
            self._timer, self._quick_wakes = None, 0
            self._loop.add_reader(self._number, self._woken)
