"""How long packets of one source take, and how much delay hides the differences.

A packet's transit is its arrival minus its timestamp, in seconds; only differences of transits mean
anything, since the clocks are not synchronised. The base is the shortest transit of late, the
target is what must be added to it so that nearly all packets are there when they are played. That
goes by what was late just now, and by what was late more than once; a burst of jitter counts once,
however many packets it delays. A delay of less than a tick costs little and is remembered longest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

SMALL_TARGET_S = 0.020
"""A target up to this, one tick, costs little and is kept for longer."""
MAX_TARGET_S = 0.200
"""Beyond this people talk over each other (ITU-T G.114 names 150 ms as the border)."""
MARGIN_S = 0.010
"""Added to the largest difference seen, for the next one that is a little larger."""
BUCKET_S = 0.25
"""Extremes are kept per quarter of a second of arrivals."""
BUCKETS = 20
"""5 s are remembered: a delay that comes back every 2 s is there twice at any time."""
SMALL_BUCKETS = 80
"""20 s, for which small delays are remembered if they come back."""
RECENT_BUCKETS = 3
"""Of which the latest are believed as they are, so that new jitter counts at once."""
RECURRENCE_BUCKETS = 6
"""An older delay is believed if another so large lies that far from it: jitter that recurs. What
comes closer together is one burst, 1.25 s long at most, and forgotten after 0.75 s."""


class Targets(NamedTuple):
    """Where the target begins, and what it never falls below; seconds."""

    start_s: float = 0.040
    """Until something is known: wireless links vary that much."""
    least_s: float = 0.020
    """One tick: who listens hears each packet that is late."""


TELEPHONE = Targets()
"""For who hears the sound."""
MIXER = Targets(start_s=0.015, least_s=MARGIN_S)
"""For who passes it on to others, which have a buffer of their own: every delay adds up."""


class DelayEstimator:
    """Tracks the transit of one source's packets; `add` each, then read `base_s` and `target_s`."""

    __slots__ = (
        "_bucket_ends",
        "_habit",
        "_high",
        "_highest",
        "_history",
        "_lateness",
        "_least_s",
        "_low",
        "base_s",
        "excused_s",
        "target_s",
    )

    def __init__(self, targets: Targets = TELEPHONE) -> None:
        self._least_s = targets.least_s
        self.base_s = 0.0
        self.target_s = targets.start_s
        self.excused_s = 0.0
        """So much of the next transit the player has caused, who did not look in time."""
        self._lateness: deque[float] = deque(maxlen=SMALL_BUCKETS)
        self._habit = 0.0
        self._history: deque[tuple[float, float]] = deque(maxlen=BUCKETS - 1)
        self._bucket_ends = 0.0
        self._low = self._high = self._highest = 0.0

    def restart(self, transit: float, now: float) -> None:
        """Forget all transits but this one; the target stays for the time being."""
        transit -= self.excused_s
        self._history.clear()
        self._history.append((transit, transit + self.target_s - MARGIN_S))
        self._low = self._high = transit
        self._bucket_ends = now + BUCKET_S
        self._evaluate()

    def add(self, transit: float, now: float) -> None:
        """Count a packet's transit in seconds."""
        if self.excused_s and transit > self.base_s:
            transit = max(self.base_s, transit - self.excused_s)
        if now >= self._bucket_ends:
            self._history.append((self._low, self._high))
            self._lateness.append(self._high - self.base_s)
            self._low = self._high = transit
            self._bucket_ends = now + BUCKET_S
            self._evaluate()
            return
        if transit > self._high:
            self._high = transit
            if transit > self._highest:
                self._highest = transit
                self._set_target()
        elif transit < self._low:
            self._low = transit
            if transit < self.base_s:
                self.base_s = transit
                self._set_target()

    def _evaluate(self) -> None:
        lows = [self._low, *[low for low, _ in reversed(self._history)]]
        self.base_s = min(lows)
        if min(lows[: RECENT_BUCKETS + 1]) > self.base_s + MAX_TARGET_S:
            # Even the fastest packets of late took longer than can be hidden: another path, or
            # timestamps that jumped. What was before is no measure any more.
            recent = list(self._history)[-RECENT_BUCKETS:]
            self._history.clear()
            self._history.extend(recent)
            self.base_s = min(lows[: RECENT_BUCKETS + 1])
        highs = [self._high, *[high for _, high in reversed(self._history)]]
        self._highest = max(*highs[: RECENT_BUCKETS + 1], _recurring(highs))
        if self._least_s < SMALL_TARGET_S:
            self._habit = _recurring(self._lateness)
        self._set_target()

    def _set_target(self) -> None:
        target = self._highest - self.base_s + MARGIN_S
        small = min(self._habit + MARGIN_S, SMALL_TARGET_S)
        self.target_s = min(max(target, small, self._least_s), MAX_TARGET_S)


def _recurring(highs: Sequence[float]) -> float:
    # The largest value that two buckets reach which are no part of one burst.
    largest = recurring = -math.inf
    for one, other in zip(highs, islice(highs, RECURRENCE_BUCKETS, None), strict=False):
        if one > largest:
            largest = one
        if other > recurring < largest:
            recurring = min(largest, other)
    return recurring
