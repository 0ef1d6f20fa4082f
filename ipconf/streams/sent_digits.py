"""Digits that are sent: telephone events in place of a stream's sound (RFC 4733).

They have the stream's SSRC, its sequence numbers and its timestamps, so no sound is sent meanwhile.
They need no terminal, and go out while the stream is paused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codecs.packet_time import fitting_ptime_ms
from ..engine.digit_writer import DigitWriter
from ..engine.session_config import PayloadFormat
from ..engine.telephone_events import DIGITS, digits_of, is_telephone_event
from ..errors import (
    ConfigurationError,
    InvalidStateError,
    LimitError,
    NotSupportedError,
    UsageError,
)
from ..events import DigitsSent
from ..model import AUDIO_FRAME_S
from ..rtp_streams import StreamOwner

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed
    from .audio_capture import AudioCaptureStream

MAX_DIGITS = 100
"""So many may wait; no number is longer."""
DURATIONS_S = (0.04, 10.0)
"""A digit has 40 ms at least (ITU-T Q.24)."""
GAPS_S = (0.04, 2.0)
PACKET_TIMES_MS = (20, 40, 60)
"""Of those that sound has, what ticks make."""

_TICK_MS = round(AUDIO_FRAME_S * 1000)
_TIMESTAMP_MASK = 0xFFFFFFFF


class SentDigits:
    """Sends digits on a stream.

    The stream calls `settle` after each change of its own, and, while this is busy, `tick` every
    20 ms.
    """

    def __init__(self, stream: AudioCaptureStream, owner: StreamOwner) -> None:
        self._stream = stream
        self._owner = owner
        self._writer: DigitWriter | None = None
        self._way: tuple[Channel, Agreed, PayloadFormat] | None = None  # while there is a writer
        self._timestamp: int | None = None  # of the next 20 ms; None before the first
        self._unsent = ""

    @property
    def busy(self) -> bool:
        """Whether digits are being sent: sound has to wait."""
        return self._writer is not None

    @property
    def pending(self) -> str:
        """What has not been sent to its end."""
        return "" if self._writer is None else self._writer.pending

    @property
    def accepted(self) -> str:
        """The digits that the far end takes; none where nothing can be sent."""
        way = self._stream.way
        events = None if way is None else _events(way[1])
        return "" if events is None else digits_of(events)

    def send(self, digits: str, duration_s: float, gap_s: float) -> None:
        """Send these after those that wait. Raises as `DigitControl.send` does."""
        digits = _checked(digits)
        _check_range("duration_s", duration_s, DURATIONS_S)
        _check_range("gap_s", gap_s, GAPS_S)
        channel, agreed, events = self._find_way()
        accepted = digits_of(events)
        for digit in digits:
            if digit not in accepted:
                raise NotSupportedError(
                    f"the far end takes no {digit!r}: its description lists the events of "
                    f"{accepted or 'no digits'} (RFC 4733)"
                )
        if len(self.pending) + len(digits) > MAX_DIGITS:
            raise LimitError(f"more than {MAX_DIGITS} digits would wait: send them by and by")
        if self._writer is None:
            ptime_ms = self._owner.settings.ptime_ms
            packet_ms = fitting_ptime_ms(agreed.send, ptime_ms, PACKET_TIMES_MS)
            self._writer = DigitWriter(events.clock_rate, packet_ms // _TICK_MS)
            self._way = channel, agreed, events
            self._timestamp, self._unsent = None, ""
            self._stream.make_way()
        self._writer.put(digits, duration_s, gap_s)

    def cancel(self) -> str:
        """Send none of those that wait, which are returned, and end the one that is being sent."""
        if self._writer is None:
            return ""
        unsent = self._writer.cancel()
        self._unsent += unsent
        return unsent

    def settle(self) -> None:
        """Give up where the stream has lost its way, or was stopped."""
        if self._writer is None or self._way is None:
            return
        now = self._stream.way
        if now is None or now[0] is not self._way[0] or self._stream.stopped:
            self._finish(self._writer.pending)

    def tick(self, at: float, now: float) -> None:
        """Send what is to be sent now; sound of now would begin at `at`, by its even pace."""
        writer, way = self._writer, self._way
        if writer is None or way is None:
            return
        channel, agreed, events = way
        if self._timestamp is None:
            self._timestamp = self._stream.timestamp_at(at)
        timestamp = self._timestamp
        self._timestamp += round(AUDIO_FRAME_S * events.clock_rate)
        try:
            for packet in writer.tick(timestamp & _TIMESTAMP_MASK):
                channel.send(
                    agreed.mid,
                    events.payload_type,
                    packet.timestamp,
                    packet.payload,
                    now,
                    marker=packet.marker,
                    captured_at=at - packet.age_s,
                )
        except UsageError:  # the call is saying goodbye
            self._finish(writer.pending, timestamp)
        else:
            if not writer.busy:
                self._finish("", timestamp)

    def _find_way(self) -> tuple[Channel, Agreed, PayloadFormat]:
        stream = self._stream
        if stream.stopped:
            raise InvalidStateError(f"{stream.identity} is stopped: start() it to send digits")
        if stream.way is None:
            raise NotSupportedError(
                f"nothing goes out on {stream.identity}: the far end takes no sound"
            )
        channel, agreed = stream.way
        events = _events(agreed)
        if events is None:
            raise NotSupportedError(_why_not(agreed))
        return channel, agreed, events

    def _finish(self, unsent: str, timestamp: int | None = None) -> None:
        """That is over; sound of now would have that `timestamp`."""
        self._writer = self._way = None
        self._stream.take_way_back(timestamp)
        self._owner.post(DigitsSent, unsent=unsent + self._unsent)


def _events(agreed: Agreed) -> PayloadFormat | None:
    """How telephone events are sent: with the clock of the sound (RFC 4733)."""
    return next((f for f in agreed.riding if is_telephone_event(f)), None)


def _why_not(agreed: Agreed) -> str:
    codec = agreed.send
    text = (
        f"the description of the far end, or of the group, names no "
        f"telephone-event/{codec.clock_rate}, which goes with {codec.name}"
    )
    others = [f.clock_rate for f in agreed.receive if is_telephone_event(f)]
    if others:
        text += (
            f", but telephone-event/{others[0]}: put a codec of that clock first in audio_codecs"
        )
    return text


def _checked(digits: str) -> str:
    if not isinstance(digits, str) or not digits:
        raise ConfigurationError(f"{digits!r} are no digits: give a string of them")
    digits = digits.upper()
    for digit in digits:
        if digit not in DIGITS:
            raise ConfigurationError(
                f"{digit!r} is no digit: there are 0 to 9, *, #, A to D, and ! for the flash"
            )
    return digits


def _check_range(name: str, value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigurationError(f"{name} is {low:g} to {high:g} seconds, not {value!r}")
