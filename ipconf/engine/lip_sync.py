"""Sound and pictures of one person, together again at this end.

Sound sets the pace: a picture is due when the sound of its instant is heard, and waits for that
(`Pace`, `HeldPictures`). Where pictures take longer than sound, sound waits for them (`HoldBack`),
as far as a talk bears it. Times are seconds; ITU-R BT.1359 says that people begin to notice sound
that is 45 ms early or 125 ms late.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from ..model import AUDIO_FRAME_S

MAX_WAIT_S = 0.5
MAX_LATE_S = 1.0
"""A picture that should wait for longer, or came later, has a report that is not to be believed."""
MAX_HELD = 16
"""Pictures of one person; half a second of them at 30 per second."""
EARLY_S = 0.005
"""A picture is shown up to half a tick early, rather than a whole one late."""

UNMOVED_S = 0.002
"""Pictures that wait follow sound that is stretched or shrunk by more than this."""

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
SLACK_S = 0.010
"""When pictures have been faster by so much ..."""
CALM_S = 3.0
"""... for so long ..."""
RELEASE = 0.02
"""... sound gains this much in each second."""
MEMORY_S = 5.0
"""So long after the last picture nothing waits for pictures any more, or for sound after sound."""

MAX_TICK_LATE_S = 0.11
"""Ticks are made good for so long; then time was lost."""
FOLLOW = 0.02
"""Share of a tick's lateness by which the schedule follows: lasting, it is a new schedule."""

P = TypeVar("P")


def due_at(captured_at: float, sound_delay_s: float, now: float) -> float | None:
    """When a picture is due whose sound is heard so long after its capture; None: that is absurd.

    `captured_at` is on the sender's clock, and `sound_delay_s` leads from there to ours.
    """
    due = captured_at + sound_delay_s
    return due if now - MAX_LATE_S < due < now + MAX_WAIT_S else None


class Pace:
    """When the blocks of sound are due that are pulled one in each tick: evenly.

    `due` is that of the latest one. Ticks come late on a busy machine, and what they missed is made
    good; sound that is played is none the less one block after the other.
    """

    def __init__(self) -> None:
        self.due = 0.0

    def tick(self, now: float) -> float:
        """When the block is due that is pulled now: its length later, if the tick is in time."""
        due = self.due + AUDIO_FRAME_S
        late = now + AUDIO_FRAME_S - due
        follows = 1.0 if late < 0 or late > MAX_TICK_LATE_S else FOLLOW
        self.due = due + late * follows
        return self.due


class HeldPictures(Generic[P]):
    """Decoded pictures of one source that wait until they are due, in order."""

    def __init__(self) -> None:
        self._held: deque[tuple[P, int, float]] = deque()
        self._newest_due = 0.0
        self._shown_at = 0.0
        self.delay_s = 0.0
        """How long the picture that came last has to wait."""

    def __len__(self) -> int:
        return len(self._held)

    def put(self, picture: P, timestamp: int, due: float, now: float) -> None:
        """Hold a picture of that RTP timestamp; it is not shown before those that came before."""
        due = self._newest_due = max(due, now, self._newest_due)
        self.delay_s = due - now
        self._held.append((picture, timestamp, due))

    @property
    def next_timestamp(self) -> int:
        """The RTP timestamp of the picture that is due first; there must be one."""
        return self._held[0][1]

    def retime(self, due: float, now: float) -> None:
        """That picture is due at another time than before, and so are those that follow."""
        shift = max(due, now, self._shown_at) - self._held[0][2]
        if abs(shift) > UNMOVED_S:
            self._held = deque((picture, at, due + shift) for picture, at, due in self._held)
            self._newest_due += shift

    def take(self, now: float) -> list[tuple[P, float]]:
        """The pictures to show now, each with when it is due; the oldest if there are too many."""
        taken = []
        held = self._held
        while held and (held[0][2] < now + EARLY_S or len(held) > MAX_HELD):
            picture, _, due = held.popleft()
            self._shown_at = due
            taken.append((picture, due))
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
        while needs[0][0] < now - WINDOW_S:
            needs.popleft()
        if len(needs) < MIN_PICTURES:
            return
        self._evaluated_at = now
        ordered = sorted(needed for _, needed in needs)
        needed_s = ordered[int(len(ordered) * SHARE_IN_TIME)] - UNNOTICED_S
        needed_s = min(max(needed_s, 0.0), MAX_FLOOR_S)
        if needed_s > self._floor_s - SLACK_S:
            self._floor_s, self._tight_at = max(needed_s, self._floor_s), now
        elif now - self._tight_at > CALM_S:
            self._floor_s = max(needed_s, self._floor_s - RELEASE * elapsed)

    def floor_at(self, now: float) -> float:
        """The delay of the buffer that lets nearly all pictures be in time; 0 without pictures."""
        if now - self._evaluated_at > MEMORY_S:
            self._floor_s = 0.0
        return self._floor_s
