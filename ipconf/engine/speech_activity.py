"""How much one person talks now: on three time scales, above a noise floor that adapts.

Time is counted in slots of 20 ms. A register has one bit for each of the last 50 slots, so all that
is remembered of a person is a few numbers, a level costs the same however long they talk, and
packets that were lost or never sent are zeros that nobody has to write.
"""

from __future__ import annotations

import math
from typing import NamedTuple

SLOTS_PER_S = 50

HEIGHT_STEPS = 13
"""The immediate scale: how far above the noise, in steps of 2 dB."""
BLOCK_SLOTS = 5
"""The medium scale: the active ones of the last 5 slots, 0.1 s."""
LONG_BLOCKS = 10
"""The long scale: the active ones of the last 10 blocks, 1 s."""

_STEP_DB = 2.0
_FADE_DB = 2.0
"""Per slot. A peak fades instead of ending: a look between two syllables must not see silence."""
_BLOCK_ACTIVE = 4
"""A block with so many active slots is active; the keystrokes of fast typing make one to three."""
_LONG_SLOTS = BLOCK_SLOTS * LONG_BLOCKS
_REGISTER = (1 << _LONG_SLOTS) - 1
_BLOCK = (1 << BLOCK_SLOTS) - 1
_IS_ACTIVE = tuple(block.bit_count() >= _BLOCK_ACTIVE for block in range(_BLOCK + 1))
_FILL = (0b1, 0b1, 0b11, 0b111)
"""A level counts for the slots since the one before it, up to 60 ms; at least for its own."""
_MOST_SLOTS = len(_FILL) - 1
_PATIENCE_SLOTS = 5
"""For so long after an active level, no level means that it goes on; from then on, silence."""

_QUIETEST_FLOOR = 58.0
"""-58 dBov: noise gates and digital silence are far below and tell nothing about a room."""
_FIRST_FLOOR = 50.0
"""Assumed of somebody new; too loud for most rooms, put right by the first pause."""
_MARGIN_DB = 4.0
"""Sound so far above the floor is active."""
_FALL_DB = 2.0
"""Per slot: the floor gets down within a pause between words, and hardly by one odd packet."""
_RISE_DB = 0.06
"""Per slot, 3 dB/s: little within a sentence, whose gaps lower the floor again."""
_STEADY_DB = 5.0
_STEADY_SLOTS = 30
"""Syllables come several times a second: only noise stays within ±5 dB for 0.6 s."""


class Activity(NamedTuple):
    """Counts on the three scales: 0..13, 0..5 and 0..10."""

    immediate: int
    medium: int
    long: int


NOBODY = Activity(0, 0, 0)


class SpeechActivity:
    """One person's sound, as far as their levels tell it; `now` is when they were heard first."""

    __slots__ = (
        "_anchor",
        "_floor",
        "_heard",
        "_reach",
        "_register",
        "_slot",
        "_steady_since",
        "talked_at",
    )

    def __init__(self, now: float) -> None:
        slot = int(now * SLOTS_PER_S)
        self.talked_at = -math.inf
        """When more than a click was heard last."""
        self._floor = _FIRST_FLOOR
        self._heard = slot - 1
        """The slot of the latest level; `_slot` is that of the latest active one."""
        self._slot = slot
        self._register = 0
        """The slots up to `_slot`, which is the lowest bit."""
        self._reach = -math.inf
        """The height of the highest peak in dB, plus what fades from slot 0 to its slot."""
        self._anchor = 0
        """What levels have been close to since `_steady_since`."""
        self._steady_since = slot

    @property
    def noise_level(self) -> float:
        """What is held for noise, as a level: 0 (loudest) .. 127."""
        return self._floor

    def take(self, level: int, now: float) -> bool:
        """Count a level, 0 (loudest) .. 127; whether it was active."""
        slot = int(now * SLOTS_PER_S)
        slots = slot - self._heard
        self._heard = slot
        if slots > _MOST_SLOTS:
            slots = _MOST_SLOTS
        elif slots < 0:
            slots = 0
        floor = self._floor
        height = floor - level
        if height <= 0:
            if floor < _QUIETEST_FLOOR:
                self._floor = min(_QUIETEST_FLOOR, float(level), floor + slots * _FALL_DB)
            return False
        self._floor = floor - slots * _RISE_DB
        if height < _MARGIN_DB:
            return False
        self._count(level, height, slot, slots)
        if _IS_ACTIVE[self._register & _BLOCK]:
            self.talked_at = now
        return True

    def measure(self, now: float) -> Activity:
        """The activity of the second up to `now`; NOBODY for somebody silent for as long."""
        slot = int(now * SLOTS_PER_S)
        register = (self._register << self._silent_slots(slot)) & _REGISTER
        if not register:
            return NOBODY
        height = self._reach - slot * _FADE_DB
        return Activity(
            min(HEIGHT_STEPS, max(0, int(height / _STEP_DB))),
            (register & _BLOCK).bit_count(),
            _active_blocks(register),
        )

    def _count(self, level: int, height: float, slot: int, slots: int) -> None:
        passed = slot - self._slot
        if not 0 <= passed < _LONG_SLOTS:
            slot, passed = self._jump(slot)
        self._slot = slot
        self._register = (self._register << passed) & _REGISTER | _FILL[slots]
        reach = height + slot * _FADE_DB
        if reach > self._reach:
            self._reach = reach
        if not -_STEADY_DB <= level - self._anchor <= _STEADY_DB or passed > _PATIENCE_SLOTS:
            self._anchor, self._steady_since = level, slot
        elif slot - self._steady_since >= _STEADY_SLOTS:
            self._floor = min(self._floor, float(self._anchor))
            self._register = 0  # what was counted of it was noise

    def _jump(self, slot: int) -> tuple[int, int]:
        """Where to count if time is off the register: the slot, and how many have passed."""
        if -_LONG_SLOTS < slot - self._slot < 0:  # the clock was set back a little: it is now
            return self._slot, 0
        self._reach = -math.inf
        return slot, _LONG_SLOTS  # which empties the register

    def _silent_slots(self, slot: int) -> int:
        """How many slots of silence have followed those of the register, at most 50."""
        age = slot - self._slot
        if abs(age) >= _LONG_SLOTS:
            return _LONG_SLOTS
        goes_on = age <= _PATIENCE_SLOTS and self._heard <= self._slot
        return 0 if goes_on else max(0, age)


def _active_blocks(register: int) -> int:
    blocks = 0
    while register:
        blocks += _IS_ACTIVE[register & _BLOCK]
        register >>= BLOCK_SLOTS
    return blocks
