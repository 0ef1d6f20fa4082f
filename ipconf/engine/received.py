"""Which of a source's latest sequence numbers were received."""

from __future__ import annotations

WINDOW = 64
"""Sequence numbers looked back; 1.28 s of usual 20 ms packets."""

_SEQUENCE_MASK = (1 << 16) - 1
_HALF_SEQUENCE = 1 << 15
_WINDOW_MASK = (1 << WINDOW) - 1


class ReceivedWindow:
    """The latest 64 sequence numbers of 16 bits as a bit field; nothing here grows."""

    __slots__ = ("_bits", "_highest")

    def __init__(self) -> None:
        self._highest = 0
        self._bits = 0

    def add(self, sequence: int) -> bool:
        """Mark it as received; False if it was before."""
        ahead = (sequence - self._highest) & _SEQUENCE_MASK
        if 0 < ahead < _HALF_SEQUENCE:
            self._bits = (self._bits << ahead | 1) & _WINDOW_MASK if ahead < WINDOW else 1
            self._highest = sequence
            return True
        behind = -ahead & _SEQUENCE_MASK
        if behind >= WINDOW:  # the source has begun anew, lower
            self._bits = 1
            self._highest = sequence
            return True
        bit = 1 << behind
        if self._bits & bit:
            return False
        self._bits |= bit
        return True

    def remove(self, sequence: int) -> None:
        """Unmark it: what came was of no use."""
        behind = (self._highest - sequence) & _SEQUENCE_MASK
        if behind < WINDOW:
            self._bits &= ~(1 << behind)

    def missing_between(self, first: int, last: int) -> int:
        """How many of the numbers between the two, neither counted, were not received."""
        between = ((last - first) & _SEQUENCE_MASK) - 1
        if not 0 < between < _HALF_SEQUENCE:
            return 0
        behind = ((self._highest - last) & _SEQUENCE_MASK) + 1
        if behind + between > WINDOW:
            return between
        return between - (self._bits >> behind & ((1 << between) - 1)).bit_count()
