"""The jitter buffer for audio: packets in as they arrive, out as they are to be played.

Everything is measured in RTP timestamps. While it plays, the buffer has a position, the timestamp
to play next, and its delay is how much later that is played than the fastest packet of that
timestamp would have arrived. When nothing is there to play, the position is given up; the next
packet is played when `DelayEstimator.target_s` says so. That is how delay grows after late packets
and how it falls back after pauses; in between the player shrinks or stretches sound by
`surplus_s`. Where something else than jitter needs more delay, `floor_s` says so.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable

from ..model import AUDIO_FRAME_S
from .delay import TELEPHONE, DelayEstimator, Targets
from .received import ReceivedWindow
from .rtp_wire import RtpPacket
from .timeline import LATE_JUMP_S, SILENT_AFTER_S, Timeline

MAX_PACKETS = 128
"""Held at most; 2.56 s of usual 20 ms packets."""
CONCEAL_LIMIT_S = 0.1
"""Concealment sounds like the voice for so long; then silence is better."""
START_TOLERANCE_S = 0.005
"""A packet that is due in less than this is played now, a quarter of a tick early."""
ALIGN_S = 0.005
"""Timestamps that overlap or gape by less are sloppiness of the sender, not loss."""


class Playout(enum.Enum):
    """What to play when there is no packet to play."""

    CONCEAL = "conceal"
    """Continue the sound: something is missing, or late."""
    EMPTY = "empty"
    """Nothing: the source is silent, or has not begun."""


class AudioJitterBuffer:
    """Packets of one source, ordered and timed.

    `duration` tells how many ticks of the clock a packet plays, 0 if it is not playable.
    `push` each packet when it arrives; `pull` what to play, as often as sound is needed.
    """

    def __init__(
        self,
        clock_rate: int,
        duration: Callable[[RtpPacket], int],
        targets: Targets = TELEPHONE,
    ) -> None:
        self._clock_rate = clock_rate
        self._duration = duration
        self._sloppy = int(clock_rate * ALIGN_S)
        self._timeline = Timeline(clock_rate)
        self._delay = self._timeline.delay = DelayEstimator(targets)
        self._received = ReceivedWindow()
        # Timestamps in here are the timeline's.
        self._queue: deque[tuple[int, int, RtpPacket]] = deque()
        self._position: int | None = None
        """What is to be played next; None while waiting for something to play."""
        self._expected: int | None = None
        """What was to be played next when that waiting began."""
        self._last_sequence = 0
        self._last_duration = 0
        self._lead_s = 0.0
        self._conceal_left: int | None = None
        self._pulled_at = self._fed_until = -math.inf
        """When the player took something last, and when it should come back for more."""
        self._waited = 0
        """Ticks since then; whether sound is missing there is known when the next packet comes."""
        self.span = 0
        """Ticks that the latest answer of `pull` stands for."""
        self.following: RtpPacket | None = None
        """After CONCEAL: the packet right behind what is to be concealed, if it is there."""
        self.delay_s = 0.0
        """How much later than the fastest packets would allow the latest packet was played."""
        self.floor_s = 0.0
        """The least delay that is wanted, whatever the jitter: pictures may take so long."""
        self.surplus_s = 0.0
        """How much of that is not needed; negative: how much is missing."""
        self.concealed = 0
        """Ticks of media that were replaced because they were lost or late."""
        self.late = 0
        """Packets that came after their time."""
        self.duplicates = 0
        self.discarded = 0
        """Packets that were unplayable, off the timeline, too many, or skipped to catch up."""

    @property
    def target_s(self) -> float:
        """The delay that hides the jitter of late."""
        return self._delay.target_s

    @property
    def playing(self) -> bool:
        """Whether the latest answer of `pull` was, or replaced, a packet that had its time."""
        return self._position is not None

    @property
    def ready(self) -> bool:
        """Whether the next `pull` returns a packet."""
        position, queue = self._position, self._queue
        return position is not None and bool(queue) and queue[0][0] - position <= self._sloppy

    def push(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that arrived at `now`; in any order, as often as it comes."""
        duration = self._duration(packet)
        if not duration:
            self.discarded += 1
            return
        if not self._received.add(packet.sequence):
            self.duplicates += 1
            return
        # A program that stood still finds late packets, and plays late: no delay hides that.
        overdue = now - self._fed_until
        self._delay.excused_s = overdue if 0.0 < overdue < LATE_JUMP_S else 0.0
        timestamp = self._timeline.place(packet, now)
        if timestamp is None:
            self._received.remove(packet.sequence)
            self.discarded += 1
            return
        position = self._position
        if position is not None and timestamp < position - self._sloppy:
            self.late += 1
            return
        if duration != self._last_duration:
            # Several short packets make a tick: the last of them must be there as well.
            self._last_duration = duration
            self._lead_s = max(0.0, AUDIO_FRAME_S - duration / self._clock_rate)
        self._insert(timestamp, duration, packet)

    def skip(self, packet: RtpPacket) -> None:
        """Take note of a packet that is no sound, so that it does not count as lost sound."""
        self._received.add(packet.sequence)

    def pull(self, now: float, wanted: int) -> RtpPacket | Playout:
        """What comes next to fill `wanted` ticks; `span` says how many it stands for.

        That may be more, for a packet and for what conceals one, but never for EMPTY.
        """
        answer = self._next(now, wanted)
        if now != self._pulled_at:
            self._pulled_at = self._fed_until = now
        self._fed_until += self.span / self._clock_rate
        return answer

    def _next(self, now: float, wanted: int) -> RtpPacket | Playout:
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

    def timestamp_at(self, now: float) -> int | None:
        """The RTP timestamp (32 bits) of what is next, if that is pulled at `now`.

        In a pause it is that of the sound which would be played then; None before any sound.
        """
        position = self._position
        if position is None:
            if self._expected is None:
                return None
            position = int(self._due(now))
        return self._timeline.original(position)

    def margin_at(self, now: float) -> float:
        """The delay of what is next, if that is pulled at `now`; to compare with `floor_s`."""
        position, delay = self._position, self._delay
        if position is None:
            return max(delay.target_s, self.floor_s)
        return now - position / self._clock_rate - delay.base_s - self._lead_s

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

    def _insert(self, timestamp: int, duration: int, packet: RtpPacket) -> None:
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
        target = delay.target_s
        if target < self.floor_s:
            target = self.floor_s
        self.surplus_s = self.delay_s - target - self._lead_s
        return packet

    def _bridge(self, position: int, gap: int, now: float, wanted: int) -> RtpPacket | Playout:
        """Conceal what was lost before the first packet in the queue; a pause is no loss."""
        left = self._conceal_left
        sequence = self._queue[0][2].sequence
        if left is None:
            missing = self._received.missing_between(self._last_sequence, sequence)
            left = min(gap, missing * self._last_duration)
        if left <= 0:
            if self._conceal_left == 0:  # all that was lost is concealed and counted
                self._last_sequence = sequence - 1
            self._stop()
            return self._wait(now, wanted)
        span = min(left, max(wanted, self._last_duration))
        self._conceal_left = left - span
        self._position = position + span
        self.concealed += span
        self.span = span
        self.following = self._queue[0][2] if gap - span <= self._sloppy else None
        return Playout.CONCEAL

    def _stop(self) -> None:
        """Give up the position: the next packet is played when it is due."""
        self._expected = self._position
        self._position = self._conceal_left = None
        self._waited = 0

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
        self.following = None
        if self._expected is None:  # nothing was played yet
            return Playout.EMPTY
        self._waited += wanted
        if self._waited <= self._clock_rate * CONCEAL_LIMIT_S:
            return Playout.CONCEAL
        return Playout.EMPTY

    def _due(self, now: float) -> float:
        """The latest timestamp that is due."""
        delay = self._delay
        target_s = max(delay.target_s, self.floor_s)
        lag_s = delay.base_s + target_s + self._lead_s - START_TOLERANCE_S
        return (now - lag_s) * self._clock_rate

    def _settle(self, first: int, sequence: int, skipped: int) -> None:
        """Decide whether the wait that ends now hid lost or late sound, or was a pause."""
        if not self._waited or self._expected is None:
            return
        gap = first - self._expected
        lost = 0
        if gap <= self._sloppy:
            lost = self._waited
        elif missing := self._received.missing_between(self._last_sequence, sequence):
            lost = min(gap, missing * self._last_duration) + skipped * self._last_duration
        # What lasts longer than a pause was one, whatever else happened in it.
        self.concealed += min(lost, int(self._clock_rate * SILENT_AFTER_S))
        self._waited = 0
