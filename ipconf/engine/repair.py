"""Which packets of a source are missing, and when to ask for them (RFC 4585 section 6.2.1)."""

from __future__ import annotations

MAX_MISSING = 256
"""More at a time are not repaired packet by packet."""
REORDER_S = 0.010
"""A packet may come this much after its successor without being asked for."""
ROUND_TRIP_S = 0.1
"""Until it is measured."""
MIN_RETRY_S = 0.03
"""Asking again sooner only asks for what is on its way."""
GIVE_UP_S = 0.4
"""A picture that stands still for longer is better replaced by a key frame."""
GIVE_UP_UNREPAIRED_S = 0.06
"""Without retransmission only reordering can bring a packet."""


class MissingPackets:
    """The gaps of one source, as extended sequence numbers; `repairable`: NACK was negotiated."""

    __slots__ = ("_entries", "_patience_s", "_repairable")

    def __init__(self, repairable: bool) -> None:
        self._repairable = repairable
        self._patience_s = GIVE_UP_S if repairable else GIVE_UP_UNREPAIRED_S
        # By sequence number: since when it is missing, and when to ask for it.
        self._entries: dict[int, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, first: int, end: int, now: float) -> bool:
        """From `first` to before `end` are missing; False if that is too much to be repaired."""
        if len(self._entries) + end - first > MAX_MISSING:
            return False
        for sequence in range(first, end):
            self._entries.setdefault(sequence, (now, now + REORDER_S))
        return True

    def discard(self, sequence: int) -> None:
        """It came."""
        self._entries.pop(sequence, None)

    def forget_before(self, sequence: int) -> None:
        """Nobody needs what is before `sequence` any more."""
        for old in [s for s in self._entries if s < sequence]:
            del self._entries[old]

    def clear(self) -> None:
        """Nobody needs any of them."""
        self._entries.clear()

    def is_hopeless(self, now: float) -> bool:
        """Whether something is missing for too long."""
        # Entries are in the order they were added, so that the first is the oldest.
        for since, _ in self._entries.values():
            return now - since > self._patience_s
        return False

    def due(self, now: float, round_trip_s: float | None) -> list[int]:
        """What to ask for now; it is due again one round trip later."""
        if not self._repairable:
            return []
        retry_s = max(MIN_RETRY_S, round_trip_s or ROUND_TRIP_S)
        due = [sequence for sequence, (_, at) in self._entries.items() if at <= now]
        for sequence in due:
            self._entries[sequence] = (self._entries[sequence][0], now + retry_s)
        return due
