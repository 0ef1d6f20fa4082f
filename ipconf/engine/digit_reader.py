"""The digits that one source sends as telephone events (RFC 4733 section 2.5.2). Sans-IO.

An event is told as soon as anything of it comes, whichever packet that is, and once again when it
is over. Its packets all have the timestamp of its beginning, by which they are known.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .rtp_wire import RtpPacket
from .telephone_events import DIGITS, MAX_DURATION, EventReport, unpack_reports

TIMEOUT_S = 0.4
"""An event of which nothing comes for so long is over: its end was lost. Senders tell of one that
goes on every 50 ms (RFC 4733 section 2.5.1.2) or more often."""
BURST, PER_S = 40, 20
"""So many events may begin at the same time, after the network stood still say, and so many each
second: no finger is quicker."""

_SEAM = 0xF000
"""So long is a segment at least that was not heard to its end: it ended because it was full."""
_REMEMBERED = 16
_MASK = 0xFFFFFFFF


class Pressed(NamedTuple):
    """An event has begun."""

    digit: str


class Released(NamedTuple):
    """It is over."""

    digit: str
    duration_s: float
    """As far as it is known, where the end was lost."""


class _Event:
    __slots__ = ("before", "code", "duration", "heard_at", "over", "rate_hz", "stamp")

    def __init__(self, code: int, stamp: int, rate_hz: int) -> None:
        self.code = code
        self.stamp = stamp
        self.rate_hz = rate_hz
        self.before = self.duration = 0  # ticks of earlier segments, and of this one
        self.heard_at = 0.0
        self.over = False


class DigitReader:
    """Give it the packets of a source, and call `expire` now and then while there is `pressed`."""

    def __init__(self) -> None:
        self.malformed = 0
        """Packets that made no sense."""
        self.ignored = 0
        """Events that are no digits, or came too quickly."""
        self.late = 0
        """Reports of events that others have followed."""
        self._event: _Event | None = None  # the latest
        self._known: deque[int] = deque(maxlen=_REMEMBERED)  # timestamps of those before it
        self._newest = -1
        self._room, self._room_at = float(BURST), 0.0

    @property
    def pressed(self) -> str | None:
        """The digit that is being sent."""
        event = self._event
        return None if event is None or event.over else DIGITS[event.code]

    def take(self, packet: RtpPacket, rate_hz: int, now: float) -> list[Pressed | Released]:
        """Take a packet that the session has validated; `rate_hz` is its format's clock."""
        reports = unpack_reports(packet.payload)
        if not reports:
            self.malformed += 1
        told: list[Pressed | Released] = []
        stamp = packet.timestamp
        for report in reports:
            if report.code < len(DIGITS):
                self._report(report, stamp, rate_hz, packet, now, told)
            else:
                self.ignored += 1
            stamp = stamp + report.duration & _MASK  # each begins where the one before ended
        self._newest = max(self._newest, packet.extended)
        return told

    def expire(self, now: float) -> list[Pressed | Released]:
        """Give up an event of which nothing comes any more."""
        event = self._event
        if event is None or now - event.heard_at <= TIMEOUT_S:
            return []
        return self.end()

    def end(self) -> list[Pressed | Released]:
        """Nothing more comes: what has begun is over."""
        event = self._event
        if event is None or event.over:
            return []
        event.over = True
        return [Released(DIGITS[event.code], (event.before + event.duration) / event.rate_hz)]

    def _report(
        self,
        report: EventReport,
        stamp: int,
        rate_hz: int,
        packet: RtpPacket,
        now: float,
        told: list[Pressed | Released],
    ) -> None:
        event = self._event
        if event is None or stamp != event.stamp:
            if stamp in self._known:
                return  # an end, or a segment, that is told again
            if packet.extended < self._newest:
                self.late += 1
                return
            if event is not None:
                self._known.append(event.stamp)
            if event is not None and _continues(event, report, stamp, packet.marker):
                event.before += stamp - event.stamp & _MASK
                event.stamp, event.duration = stamp, 0
            else:
                told += self.end()  # its own was lost
                if not self._may_begin(now):
                    self.ignored += 1
                    return
                event = self._event = _Event(report.code, stamp, rate_hz)
                told.append(Pressed(DIGITS[report.code]))
        if event.over:
            return
        event.heard_at = now
        event.duration = max(event.duration, report.duration)
        if report.end:
            told += self.end()

    def _may_begin(self, now: float) -> bool:
        self._room = min(self._room + (now - self._room_at) * PER_S, BURST)
        self._room_at = now
        if self._room < 1:
            return False
        self._room -= 1
        return True


def _continues(event: _Event, report: EventReport, stamp: int, marker: bool) -> bool:
    """Whether it is the next segment of an event that lasts long (RFC 4733 section 2.5.1.3)."""
    if event.over or marker or report.code != event.code:
        return False
    length = stamp - event.stamp & _MASK
    return length == event.duration or _SEAM <= length <= MAX_DURATION
