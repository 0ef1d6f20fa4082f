"""Sound and pictures of one person, together again at this end.

Sound sets the pace: a picture is due when the sound of its instant is heard, and waits for that
(`HeldPictures`). Where pictures take longer than sound, sound waits for them (`HoldBack`), as far
as a talk bears it. Times are seconds; ITU-R BT.1359 says that people begin to notice sound that is
45 ms early or 125 ms late.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

MAX_WAIT_S = 0.5
MAX_LATE_S = 1.0
"""A picture that should wait for longer, or came later, has a report that is not to be believed."""
MAX_HELD = 16
"""Pictures of one person; half a second of them at 30 per second."""
EARLY_S = 0.005
"""A picture is shown up to half a tick early, rather than a whole one late."""

MAX_FLOOR_S = 0.250
"""Sound waits no longer than this, whatever pictures take: people want to answer."""
UNNOTICED_S = 0.015
"""Sound may be so much early."""
WINDOW_S = 2.0
"""Pictures of so long tell how long pictures take."""
MIN_PICTURES = 10
"""With fewer of them in that time no lips are seen to move."""
MAX_PICTURES = 120
SHARE_IN_TIME = 0.95
"""So many pictures are to be in time; key frames and others that are late once need not be."""
EVALUATION_S = 0.1
"""So often it is computed anew."""
CALM_S = 3.0
"""When pictures have been faster for so long ..."""
RELEASE = 0.02
"""... sound gains this much in each second."""
MEMORY_S = 5.0
"""So long after the last picture nothing waits for pictures any more, or for sound after sound."""

P = TypeVar("P")


def due_at(captured_at: float, sound_delay_s: float, now: float) -> float | None:
    """When a picture is due whose sound is heard so long after its capture; None: that is absurd.

    `captured_at` is on the sender's clock, and `sound_delay_s` leads from there to ours.
    """
    due = captured_at + sound_delay_s
    return due if now - MAX_LATE_S < due < now + MAX_WAIT_S else None


class HeldPictures(Generic[P]):
    """Decoded pictures of one source that wait until they are due, in order."""

    def __init__(self) -> None:
        self._held: deque[tuple[P, float]] = deque()
        self.delay_s = 0.0
        """How long the picture that came last has to wait."""

    def __len__(self) -> int:
        return len(self._held)

    def put(self, picture: P, due: float, now: float) -> None:
        """Hold a picture; it is shown after those before it, whenever those are due."""
        if self._held:
            due = max(due, self._held[-1][1])
        due = max(due, now)
        self.delay_s = due - now
        self._held.append((picture, due))

    def take(self, now: float) -> list[tuple[P, float]]:
        """The pictures to show now, each with when it is due; the oldest if there are too many."""
        taken = []
        held = self._held
        while held and (held[0][1] < now + EARLY_S or len(held) > MAX_HELD):
            taken.append(held.popleft())
        return taken

    def clear(self) -> None:
        """Nobody wants to see them any more."""
        self._held.clear()


class HoldBack:
    """How long the sound of a person has to wait in its jitter buffer, for their pictures' sake."""

    def __init__(self) -> None:
        self._floor_s = 0.0
        self._needs: deque[tuple[float, float]] = deque(maxlen=MAX_PICTURES)
        self._evaluated_at = 0.0
        self._tight_at = 0.0  # when that floor was needed last

    def add(self, needed_s: float, now: float) -> None:
        """A picture was ready; with that delay of sound, it would have been in time."""
        needs = self._needs
        needs.append((now, needed_s))
        elapsed = now - self._evaluated_at
        if elapsed < EVALUATION_S:
            return
        self._evaluated_at = now
        while needs[0][0] < now - WINDOW_S:
            needs.popleft()
        if len(needs) < MIN_PICTURES:
            return
        ordered = sorted(needed for _, needed in needs)
        needed_s = ordered[int(len(ordered) * SHARE_IN_TIME)] - UNNOTICED_S
        needed_s = min(max(needed_s, 0.0), MAX_FLOOR_S)
        if needed_s >= self._floor_s:
            self._floor_s, self._tight_at = needed_s, now
        elif now - self._tight_at > CALM_S:
            self._floor_s = max(needed_s, self._floor_s - RELEASE * elapsed)

    def floor_at(self, now: float) -> float:
        """The delay of the buffer that lets nearly all pictures be in time; 0 without pictures."""
        if now - self._evaluated_at > MEMORY_S:
            self._floor_s = 0.0
        return self._floor_s
