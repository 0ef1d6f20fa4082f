"""Digits to send as telephone events, one after the other (RFC 4733 section 2.5.1). Sans-IO."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from ..model import AUDIO_FRAME_S
from .telephone_events import DIGITS, MAX_DURATION, EventReport

VOLUME = 10
"""The tone that the far end may make of it has -10 dBm0."""
TIMES = 3
"""The last packet of an event, and of a segment, is sent so often (section 2.5.1.4)."""

_EPSILON_S = 1e-6
_MASK = 0xFFFFFFFF


class EventPacket(NamedTuple):
    """One packet to send."""

    payload: bytes
    timestamp: int
    """Where the event begins, or its segment."""
    marker: bool
    """The first one of an event."""
    age_s: float
    """How long ago that instant is."""


class _Digit(NamedTuple):
    code: int
    duration_s: float
    gap_s: float


class DigitWriter:
    """A queue of digits; `tick` gives the packets for each 20 ms.

    A digit begins with a tick, and tells of itself in the first one, every `packet_ticks` and at
    its end, which is told in two more ticks. Until the gap after it is over, it is `busy`.
    """

    def __init__(self, rate_hz: int, packet_ticks: int = 1) -> None:
        """`rate_hz` is the clock of the format."""
        self._rate_hz = rate_hz
        self._packet_ticks = packet_ticks
        self._waiting: deque[_Digit] = deque()
        self._digit: _Digit | None = None
        self._stamp = 0  # of the segment that is sent
        self._before = 0  # ticks of the clock in segments before it
        self._ticks = 0  # since the digit began
        self._pause = 0  # ticks that are left of it
        self._last: EventPacket | None = None  # repeated in the first ticks of the pause
        self._repeats = 0

    @property
    def busy(self) -> bool:
        """Whether digits are being sent: there is no room for anything else."""
        return bool(self._digit or self._waiting or self._pause)

    @property
    def pending(self) -> str:
        """The one that is being sent, and those that wait."""
        begun = [] if self._digit is None else [self._digit]
        return "".join(DIGITS[digit.code] for digit in (*begun, *self._waiting))

    def put(self, digits: Iterable[str], duration_s: float, gap_s: float) -> None:
        """Send these after all others, each of `DIGITS`."""
        self._waiting.extend(_Digit(DIGITS.index(d), duration_s, gap_s) for d in digits)

    def cancel(self) -> str:
        """Send none of those that wait, which are returned, and end the one that is being sent."""
        unsent = "".join(DIGITS[digit.code] for digit in self._waiting)
        self._waiting.clear()
        if self._digit is not None:
            self._digit = self._digit._replace(duration_s=self._ticks * AUDIO_FRAME_S)
        return unsent

    def tick(self, timestamp: int) -> list[EventPacket]:
        """What is to be sent now; `timestamp` is that of sound that would be sent now."""
        if self._pause:
            return self._repeat()
        if self._digit is None:
            if not self._waiting:
                return []
            self._digit = self._waiting.popleft()
            self._stamp, self._before, self._ticks = timestamp, 0, 0
        return self._report(self._digit)

    def _repeat(self) -> list[EventPacket]:
        self._pause -= 1
        if self._last is None or not self._repeats:
            return []
        self._repeats -= 1
        self._last = self._last._replace(age_s=self._last.age_s + AUDIO_FRAME_S)
        return [self._last]

    def _report(self, digit: _Digit) -> list[EventPacket]:
        self._ticks += 1
        lasted_s = min(self._ticks * AUDIO_FRAME_S, digit.duration_s)
        end = self._ticks * AUDIO_FRAME_S > digit.duration_s - _EPSILON_S
        packets = self._seam(digit, lasted_s)
        if end or self._ticks == 1 or self._ticks % self._packet_ticks == 0:
            duration = round(lasted_s * self._rate_hz) - self._before
            packets.append(self._packet(digit, duration, lasted_s, end=end))
        if end:
            self._digit, self._last, self._repeats = None, packets[-1], TIMES - 1
            self._pause = max(math.ceil(digit.gap_s / AUDIO_FRAME_S - _EPSILON_S), TIMES - 1)
        return packets

    def _seam(self, digit: _Digit, lasted_s: float) -> list[EventPacket]:
        """The end of a segment that is full, all at once, and on to the next."""
        if round(lasted_s * self._rate_hz) - self._before <= MAX_DURATION:
            return []
        packet = self._packet(digit, MAX_DURATION, lasted_s, end=False)
        self._before += MAX_DURATION
        self._stamp = self._stamp + MAX_DURATION & _MASK
        return [packet] * TIMES

    def _packet(self, digit: _Digit, duration: int, lasted_s: float, *, end: bool) -> EventPacket:
        report = EventReport(digit.code, end, VOLUME, duration)
        age_s = (self._ticks - 1) * AUDIO_FRAME_S - self._before / self._rate_hz
        return EventPacket(report.pack(), self._stamp, self._ticks == 1, age_s)
