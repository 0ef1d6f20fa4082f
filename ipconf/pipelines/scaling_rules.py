"""When sound is to be shrunk or stretched, because it is played later or earlier than need be."""

from __future__ import annotations

import enum

from .time_scaling import MAX_SHIFT_S, MIN_SHIFT_S

SHRINK_ABOVE_S = 0.020
"""Delay that is not needed, from which on sound is shrunk; quiet moments are shrunk earlier."""
SHRINK_QUIET_ABOVE_S = 0.015
HELD_ABOVE_S = 2 * MIN_SHIFT_S
"""What is left of a packet is such a delay, too, as the next one is pulled with it in any case."""
HELD_QUIET_ABOVE_S = MIN_SHIFT_S
SHRINK_FAST_ABOVE_S = 0.060
"""From here on more sound is shrunk at a time."""
CATCH_UP_ABOVE_S = 0.250
"""Shrinking this would take seconds: packets are skipped instead."""
STRETCH_BELOW_S = -0.007
"""Delay that is missing, from which on sound is stretched, before the margin is used up."""
PERSISTENCE_S = 0.1
"""How long it must be so: late ticks, which are made good at once, are no reason."""
SCALE_PERIOD_TICKS = 5
"""Shrink or stretch once in 100 ms ..."""
SCALE_PERIOD_FAST_TICKS = 2
"""... or 40 ms if there is much to shrink."""


class Balance(enum.IntEnum):
    """What the delay is, compared with what it should be."""

    SHORT = -1
    RIGHT = 0
    LONG = 1
    MUCH_TOO_LONG = 2


class ScalingRules:
    """The rules for one source; `judge` is to be called for each block, all times are seconds."""

    __slots__ = ("_balance", "_since", "_ticks")

    def __init__(self) -> None:
        self._balance = Balance.RIGHT
        self._since = 0.0
        self._ticks = 0  # since sound was scaled

    def judge(self, surplus_s: float, held_s: float, playing: bool, now: float) -> Balance:
        """What the delay has been for some time, with `held_s` of sound that is left of a packet.

        While nothing plays it is right.
        """
        self._ticks += 1
        balance = _compare(surplus_s, held_s) if playing else Balance.RIGHT
        if balance is not self._balance:
            self._balance, self._since = balance, now
        return balance if now - self._since >= PERSISTENCE_S else Balance.RIGHT

    def is_due(self, surplus_s: float) -> bool:
        """Whether it is time to scale again."""
        fast = surplus_s > SHRINK_FAST_ABOVE_S
        return self._ticks >= (SCALE_PERIOD_FAST_TICKS if fast else SCALE_PERIOD_TICKS)

    def scaled(self) -> None:
        """Sound was scaled, or looked at in vain, which costs something, too."""
        self._ticks = 0


def _compare(surplus_s: float, held_s: float) -> Balance:
    if surplus_s < STRETCH_BELOW_S:
        return Balance.SHORT
    if surplus_s > CATCH_UP_ABOVE_S:
        return Balance.MUCH_TOO_LONG
    long = surplus_s > SHRINK_QUIET_ABOVE_S or held_s >= HELD_QUIET_ABOVE_S
    return Balance.LONG if long else Balance.RIGHT


def longest_cut(surplus_s: float, held_s: float, loud: bool) -> float:
    """How much may be cut out of a block at most; 0 for nothing."""
    if surplus_s > (SHRINK_ABOVE_S if loud else SHRINK_QUIET_ABOVE_S):
        return MAX_SHIFT_S
    enough = held_s >= (HELD_ABOVE_S if loud else HELD_QUIET_ABOVE_S)
    return min(held_s, MAX_SHIFT_S) if enough else 0.0
