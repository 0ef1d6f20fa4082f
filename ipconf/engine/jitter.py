"""The jitter buffer for audio: packets in as they arrive, out as they are to be played.

Everything is measured in RTP timestamps. While it plays, the buffer has a position, the timestamp
to play next, and its delay is how much later that is played than the fastest packet of that
timestamp would have arrived. When nothing is there to play, the position is given up; the next
packet is played when `DelayEstimator.target_s` says so. That is how delay grows after late packets
and how it falls back after pauses; in between the player shrinks or stretches sound by
`surplus_s`.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable

from ..model import AUDIO_FRAME_S
from .delay import DelayEstimator
from .rtp_wire import RtpPacket

MAX_PACKETS = 128
"""Held at most; 2.56 s of usual 20 ms packets."""
JUMP_S = 2.0
"""A packet so far off the others' timestamps is a jump, or nonsense if it stays alone."""
SILENT_AFTER_S = 1.0
"""A source that sends nothing for so long has paused; what comes then starts anew."""
CONCEAL_LIMIT_S = 0.1
"""Concealment sounds like the voice for so long; then silence is better."""
START_TOLERANCE_S = 0.005
"""A packet that is due in less than this is played now, a quarter of a tick early."""
ALIGN_S = 0.005
"""Timestamps that overlap or gape by less are sloppiness of the sender, not loss."""

_HALF_TIMESTAMP = 1 << 31
_TIMESTAMP_MASK = (1 << 32) - 1
_HALF_SEQUENCE = 1 << 15
_SEQUENCE_MASK = (1 << 16) - 1
_WINDOW = 64
_WINDOW_MASK = (1 << _WINDOW) - 1


class Playout(enum.Enum):
    """What to play when there is no packet to play."""

    CONCEAL = "conceal"
    """Continue the sound: something is missing, or late."""
    EMPTY = "empty"
    """Nothing: the source is silent, or has not begun."""


class AudioJitterBuffer:
    """Packets of one source, ordered and timed.

    `duration` tells how many ticks of the RTP clock a payload plays, 0 if it is not playable.
    `push` each packet when it arrives; `pull` what to play, as often as sound is needed.
    """

    __slots__ = (
        "_clock_rate",
        "_conceal_left",
        "_delay",
        "_duration",
        "_expected",
        "_heard_at",
        "_highest",
        "_last_duration",
        "_last_sequence",
        "_lead_s",
        "_newest",
        "_pending",
        "_position",
        "_queue",
        "_received",
        "_sloppy",
        "_stray",
        "_stray_at",
        "_waited",
        "concealed",
        "delay_s",
        "discarded",
        "duplicates",
        "late",
        "span",
        "surplus_s",
    )

    def __init__(self, clock_rate: int, duration: Callable[[bytes], int]) -> None:
        self._clock_rate = clock_rate
        self._sloppy = int(clock_rate * ALIGN_S)
        self._duration = duration
        self._delay = DelayEstimator()
        self._queue: deque[tuple[int, int, RtpPacket]] = deque()
        # Timestamps in the queue and in _position are extended: they do not wrap around.
        self._position: int | None = None
        self._expected: int | None = None
        self._newest: int | None = None
        self._heard_at = 0.0
        self._stray: RtpPacket | None = None
        self._stray_at = 0.0
        self._highest = 0
        self._received = 0
        self._last_sequence: int | None = None
        self._last_duration = 0
        self._lead_s = 0.0
        self._conceal_left: int | None = None
        self._waited = 0
        self._pending = 0
        self.span = 0
        """Ticks that the latest answer of `pull` stands for."""
        self.delay_s = 0.0
        """How much later than the fastest packets would allow the latest packet was played."""
        self.surplus_s = 0.0
        """How much of that is not needed; negative: how much is missing."""
        self.concealed = 0
        """Ticks of media that were replaced because they were lost or late."""
        self.late = 0
        """Packets that came after their time."""
        self.duplicates = 0
        self.discarded = 0
        """Packets that were not playable, too many, or skipped to catch up."""

    @property
    def target_s(self) -> float:
        """The delay that hides the jitter of late."""
        return self._delay.target_s

    @property
    def held(self) -> int:
        """Packets in the buffer."""
        return len(self._queue)

    @property
    def playing(self) -> bool:
        """Whether the latest answer of `pull` was, or replaced, a packet that had its time."""
        return self._position is not None

    @property
    def ready(self) -> bool:
        """Whether the next `pull` returns a packet."""
        position = self._position
        return (
            position is not None
            and bool(self._queue)
            and abs(self._queue[0][0] - position) <= self._sloppy
        )

    def push(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that arrived at `now`; in any order, as often as it comes."""
        duration = self._duration(packet.payload)
        if not duration:
            self.note(packet.sequence)
            self.discarded += 1
            return
        newest = self._newest
        if newest is None or self._has_paused(now):
            self._restart(packet, duration, now)
            return
        ahead = (packet.timestamp - newest) & _TIMESTAMP_MASK
        timestamp = newest + ahead - (ahead >> 31 << 32)  # signed difference modulo 2**32
        delay = self._delay
        transit = now - timestamp / self._clock_rate
        if not -JUMP_S < transit - delay.base_s < JUMP_S:
            self._jump(packet, duration, now)
            return
        if not self.note(packet.sequence):
            self.duplicates += 1
            return
        self._heard_at = now
        self._stray = None
        delay.add(transit, now)
        position = self._position
        if position is not None and timestamp < position - self._sloppy:
            self.late += 1
            return
        if timestamp > newest:
            self._newest = timestamp
        self._insert(timestamp, duration, packet)

    def note(self, sequence: int) -> bool:
        """Mark a sequence number as received; False if it was before.

        `push` does so itself. It is for packets of the source that are no sound, so that they do
        not count as lost sound.
        """
        ahead = (sequence - self._highest) & _SEQUENCE_MASK
        if ahead < _HALF_SEQUENCE:
            if ahead == 0 and self._received:
                return False
            self._received = (self._received << ahead | 1) & _WINDOW_MASK if ahead < _WINDOW else 1
            self._highest = sequence
            return True
        bit = 1 << (-ahead & _SEQUENCE_MASK) if -ahead & _SEQUENCE_MASK < _WINDOW else 0
        if self._received & bit:
            return False
        self._received |= bit
        return True

    def pull(self, now: float, wanted: int) -> RtpPacket | Playout:
        """What comes next, to fill up to `wanted` ticks; `span` says how many it stands for."""
        position = self._position
        if position is None:
            return self._wait(now, wanted)
        queue = self._queue
        while queue:
            gap = queue[0][0] - position
            if gap > self._sloppy:
                return self._bridge(position, gap, now, wanted)
            if gap >= -self._sloppy:
                return self._play(now)
            queue.popleft()
            self.late += 1
        self._stop()
        return self._wait(now, wanted)

    def catch_up(self, now: float) -> None:
        """Skip to what is due now: for a delay too long to be worked off by shrinking sound."""
        due = self._due(now)
        queue = self._queue
        skipped = 0
        while len(queue) > 1 and queue[1][0] <= due:
            queue.popleft()
            skipped += 1
        if skipped and self._position is not None:
            self.discarded += skipped
            self._position = queue[0][0]
            self._conceal_left = None

    def _has_paused(self, now: float) -> bool:
        silent = now - self._heard_at > SILENT_AFTER_S
        return silent and self._position is None and not self._queue

    def _restart(self, packet: RtpPacket, duration: int, now: float) -> None:
        """Begin a new timeline with this packet."""
        self.discarded += len(self._queue)
        self._queue.clear()
        self._position = self._expected = self._stray = None
        self._heard_at = now
        self._newest = packet.timestamp
        self._highest = packet.sequence
        self._received = 1
        self._delay.restart(now - packet.timestamp / self._clock_rate, now)
        self._insert(packet.timestamp, duration, packet)

    def _jump(self, packet: RtpPacket, duration: int, now: float) -> None:
        """Hold a packet that is far off; if the next one is as far off, the source has jumped."""
        stray, stray_at = self._stray, self._stray_at
        self._stray, self._stray_at = packet, now
        if stray is None or stray.sequence == packet.sequence:
            return
        ahead = (packet.timestamp - stray.timestamp) & _TIMESTAMP_MASK
        step_s = (ahead - (ahead >> 31 << 32)) / self._clock_rate
        if abs(step_s - (now - stray_at)) < JUMP_S:
            self._restart(stray, self._duration(stray.payload), stray_at)
            self.push(packet, now)
        else:
            self.discarded += 1

    def _insert(self, timestamp: int, duration: int, packet: RtpPacket) -> None:
        if duration != self._last_duration:
            # Several short packets make a tick: the last of them must be there as well.
            self._last_duration = duration
            self._lead_s = max(0.0, AUDIO_FRAME_S - duration / self._clock_rate)
        queue = self._queue
        entry = (timestamp, duration, packet)
        if not queue or timestamp > queue[-1][0]:
            queue.append(entry)
        else:
            index = len(queue)
            while index and queue[index - 1][0] > timestamp:
                index -= 1
            if index and queue[index - 1][0] == timestamp:
                self.discarded += 1
                return
            queue.insert(index, entry)
        if len(queue) > MAX_PACKETS:
            queue.popleft()
            self.discarded += 1

    def _play(self, now: float) -> RtpPacket:
        timestamp, duration, packet = self._queue.popleft()
        self._position = timestamp + duration
        self._last_sequence = packet.sequence
        self._conceal_left = None
        self.span = duration
        delay = self._delay
        self.delay_s = now - timestamp / self._clock_rate - delay.base_s
        self.surplus_s = self.delay_s - delay.target_s - self._lead_s
        return packet

    def _bridge(self, position: int, gap: int, now: float, wanted: int) -> RtpPacket | Playout:
        """Conceal what was lost before the first packet in the queue; a pause is no loss."""
        left = self._conceal_left
        sequence = self._queue[0][2].sequence
        if left is None:
            left = min(gap, self._missing_before(sequence) * self._last_duration)
        if left <= 0:
            if self._conceal_left == 0:  # all that was lost is concealed and counted
                self._last_sequence = (sequence - 1) & _SEQUENCE_MASK
            self._stop()
            return self._wait(now, wanted)
        span = min(left, wanted)
        self._conceal_left = left - span
        self._position = position + span
        self.concealed += span
        self.span = span
        return Playout.CONCEAL

    def _stop(self) -> None:
        """Give up the position: the next packet is played when it is due."""
        self._expected = self._position
        self._position = self._conceal_left = None
        self._waited = self._pending = 0

    def _wait(self, now: float, wanted: int) -> RtpPacket | Playout:
        """Begin to play if the first packet is due, and cover the time until then."""
        queue = self._queue
        if queue and queue[0][0] <= (due := self._due(now)):
            first, _, packet = queue[0]
            skipped = 0
            while len(queue) > 1 and queue[1][0] <= due:
                queue.popleft()
                skipped += 1
            self.late += skipped
            self._settle(first, packet.sequence, skipped)
            return self._play(now)
        self.span = wanted
        if self._last_sequence is None:
            return Playout.EMPTY
        self._waited += wanted
        if self._waited <= self._clock_rate * SILENT_AFTER_S:
            self._pending += wanted
        if self._waited <= self._clock_rate * CONCEAL_LIMIT_S:
            return Playout.CONCEAL
        return Playout.EMPTY

    def _due(self, now: float) -> float:
        """The latest timestamp that is due."""
        delay = self._delay
        lag_s = delay.base_s + delay.target_s + self._lead_s - START_TOLERANCE_S
        return (now - lag_s) * self._clock_rate

    def _settle(self, first: int, sequence: int, skipped: int) -> None:
        """Decide whether the wait that ends now hid lost or late sound, or was a pause."""
        pending, self._pending = self._pending, 0
        if not pending:
            return
        if self._expected is not None and first - self._expected <= self._sloppy:
            self.concealed += pending
        elif missing := self._missing_before(sequence):
            self.concealed += min(pending, (missing + skipped) * self._last_duration)

    def _missing_before(self, sequence: int) -> int:
        """How many packets between the one played last and this one have never come."""
        if self._last_sequence is None:
            return 0
        between = ((sequence - self._last_sequence) & _SEQUENCE_MASK) - 1
        if not 0 < between < _HALF_SEQUENCE:
            return 0
        behind = ((self._highest - sequence) & _SEQUENCE_MASK) + 1
        if behind + between > _WINDOW:
            return between
        return between - (self._received >> behind & ((1 << between) - 1)).bit_count()
