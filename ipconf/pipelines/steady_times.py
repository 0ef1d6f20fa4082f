"""When media of one source are due that nobody plays: as regular as their timestamps."""

from __future__ import annotations

from ..engine.rtp_wire import RtpPacket
from ..engine.timeline import Timeline

MAX_DRIFT_S = 0.25
"""So far may those times be from the fastest packets, before they jump to them."""


class SteadyTimes:
    """Turns timestamps of a clock into times on ours.

    There is no hurry and no jitter to hide, so nothing is shrunk or stretched: the times only jump
    when clocks have drifted apart, or the source has begun anew.
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._timeline = Timeline(clock_rate)
        self._offset_s: float | None = None

    def due(self, packet: RtpPacket, now: float) -> float | None:
        """When the packet that came at `now` is due; None if it does not fit the others."""
        place = self._timeline.place(packet, now)
        if place is None:
            return None
        base_s = self._timeline.delay.base_s
        if self._offset_s is None or abs(base_s - self._offset_s) > MAX_DRIFT_S:
            self._offset_s = base_s
        return self._offset_s + place / self._clock_rate
