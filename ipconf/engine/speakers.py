"""How loud sound is, and who talks: levels in dBov and their hysteresis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SILENT_LEVEL = 127
"""The lowest level there is, digital silence (RFC 6464 section 3)."""
TALK_LEVEL = 45
"""Sound this loud may be talk: -45 dBov or more, above the noise of most rooms."""
TALK_UPDATES = 2
"""A single loud packet is a click, two of them are talk."""
TALK_WITHIN_S = 0.1
"""How close together those two must be."""
TALK_HOLD_S = 0.6
"""Pauses between words are shorter than this and do not end the talk."""

_FULL_SCALE_DB = 20 * math.log10(32767)
_SILENT_POWER = 1e-7
"""Mean square of less than one step in a long block: nothing but zeros."""

_BORDERS = 10 ** ((_FULL_SCALE_DB - np.arange(SILENT_LEVEL - 0.5, 0, -1)) / 10)
"""Mean squares between the levels, those of 127 and 126 first."""


def level_of(samples: NDArray[np.int16]) -> int:
    """The level of 16-bit sound of any shape, as 0 (loudest) .. 127 for 0 .. -127 dBov (RFC 6464).

    The mean power of all channels counts; a square wave of full scale is 0 dBov. No samples are
    silence.
    """
    size = samples.size
    if not size:
        return SILENT_LEVEL
    wave = samples.reshape(-1).astype(np.float32)
    power = float(wave.dot(wave)) / size
    if power < _SILENT_POWER:
        return SILENT_LEVEL
    return min(SILENT_LEVEL, max(0, round(_FULL_SCALE_DB - 10 * math.log10(power))))


def levels_of(blocks: Sequence[NDArray[np.int16]]) -> list[int]:
    """The level of each of several blocks, as `level_of` tells it; for many in half the time."""
    if len({block.shape for block in blocks}) != 1:
        return [level_of(block) for block in blocks]
    waves = np.concatenate(blocks).reshape(len(blocks), -1).astype(np.float32)
    powers = np.vecdot(waves, waves) / waves.shape[1]
    found: list[int] = (SILENT_LEVEL - _BORDERS.searchsorted(powers, side="right")).tolist()
    return found


class TalkDetector:
    """Whether one source talks: begins on two loud levels in a row, ends after 0.6 s without."""

    __slots__ = ("_loud", "_loud_at", "talked_at", "talking")

    def __init__(self) -> None:
        self.talking = False
        self.talked_at = -math.inf
        """When the latest talk ended."""
        self._loud = 0
        self._loud_at = -math.inf

    def update(self, level: int, now: float) -> bool | None:
        """Take a level, 0 (loudest) .. 127; True: talk began, False: it ended, None: no change."""
        if level > TALK_LEVEL:
            return self.expire(now)
        self._loud = self._loud + 1 if now - self._loud_at <= TALK_WITHIN_S else 1
        self._loud_at = now
        if self.talking or self._loud < TALK_UPDATES:
            return None
        self.talking = True
        return True

    def expire(self, now: float) -> bool | None:
        """Notice that a source stopped sending: False if its talk ended by that, else None."""
        if self.talking and now - self._loud_at >= TALK_HOLD_S:
            self.talking = False
            self.talked_at = self._loud_at
            self._loud = 0
            return False
        return None
