"""Where the packets of one source lie in time."""

from __future__ import annotations

from .delay import DelayEstimator
from .rtp_wire import RtpPacket

LATE_JUMP_S = 2.0
"""Networks stand still for a second; packets that seem later have other timestamps."""
EARLY_JUMP_S = 0.3
"""No packet overtakes the fastest ones by so much."""
SILENT_AFTER_S = 1.0
"""A source that sends nothing for so long has paused; what was measured before is stale."""

_TIMESTAMP_MASK = (1 << 32) - 1


class Timeline:
    """Gives each packet a timestamp that neither wraps around nor jumps, and measures delay.

    A packet whose timestamp does not fit its arrival is refused; if the next one does not fit in
    the same way, the source has jumped, and its timestamps are shifted so that time goes on.
    """

    __slots__ = ("_clock_rate", "_heard_at", "_newest", "_shift", "_stray", "delay")

    def __init__(self, clock_rate: int) -> None:
        self.delay = DelayEstimator()
        self._clock_rate = clock_rate
        self._newest: int | None = None
        self._shift = 0
        self._heard_at = 0.0
        self._stray: tuple[int, int, float] | None = None

    def place(self, packet: RtpPacket, now: float) -> int | None:
        """The packet's timestamp on the timeline; None for a packet that does not fit."""
        newest = self._newest
        if newest is None:
            return self._begin(packet.timestamp, now)
        ahead = (packet.timestamp + self._shift - newest) & _TIMESTAMP_MASK
        timestamp = newest + ahead - (ahead >> 31 << 32)  # signed difference modulo 2**32
        delay = self.delay
        transit = now - timestamp / self._clock_rate
        paused = now - self._heard_at > SILENT_AFTER_S
        if not -EARLY_JUMP_S < transit - delay.base_s < LATE_JUMP_S:
            if not paused and not self._confirms_jump(packet, now):
                return None
            shifted = int((now - delay.base_s) * self._clock_rate)
            self._shift += shifted - timestamp
            timestamp = shifted
            transit = now - timestamp / self._clock_rate
        self._heard_at = now
        self._stray = None
        if paused:
            delay.restart(transit, now)
        else:
            delay.add(transit, now)
        if timestamp > newest:
            self._newest = timestamp
        return timestamp

    def original(self, timestamp: int) -> int:
        """The RTP timestamp, 32 bits, that a packet of that place has now."""
        return (timestamp - self._shift) & _TIMESTAMP_MASK

    def _begin(self, timestamp: int, now: float) -> int:
        self._newest = timestamp
        self._heard_at = now
        self.delay.restart(now - timestamp / self._clock_rate, now)
        return timestamp

    def _confirms_jump(self, packet: RtpPacket, now: float) -> bool:
        """Whether the packet fits the one that did not fit before it; else it takes its place."""
        stray = self._stray
        self._stray = (packet.sequence, packet.timestamp, now)
        if stray is None or stray[0] == packet.sequence:
            return False
        ahead = (packet.timestamp - stray[1]) & _TIMESTAMP_MASK
        step_s = (ahead - (ahead >> 31 << 32)) / self._clock_rate
        return -EARLY_JUMP_S < now - stray[2] - step_s < LATE_JUMP_S
