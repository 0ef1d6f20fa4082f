"""One time for the formats of one source, whatever clock each has."""

from __future__ import annotations

from ..engine.rtp_wire import RtpPacket
from ..model import AUDIO_RATE_HZ

PACKETS_AGREE_S = 0.1
"""So far may what the sequence numbers say be from what the arrivals say, where clocks change."""

_TIMESTAMP_MASK = (1 << 32) - 1
_SEQUENCE_MASK = (1 << 16) - 1


class MediaClock:
    """Turns timestamps into those of a clock of 48 kHz, 32 bits, which runs on between formats.

    Formats of different clocks in one source have timestamps that mean nothing to each other
    (RFC 7160); the first packet of another clock is put behind the packet before it.
    """

    __slots__ = ("_arrival", "_ends", "_newest", "_rate", "_sequence", "_shift")

    def __init__(self) -> None:
        self._rate = 0
        self._newest = 0  # timestamp of the present clock, without wrap-around
        self._shift = 0  # from there to ours
        # Of the packet that came last, in our time: when it ends, its number, and its arrival.
        self._ends = 0
        self._sequence = 0
        self._arrival = 0.0

    def place(self, packet: RtpPacket, rate_hz: int, samples: int, now: float) -> int | None:
        """When the packet is to be heard; it plays `samples` of 48 kHz and came at `now`.

        None: it comes from before the clock changed, and has no place any more.
        """
        ahead = (packet.sequence - self._sequence) & _SEQUENCE_MASK
        step = ahead - (ahead >> 15 << 16)  # signed difference modulo 2**16
        if rate_hz != self._rate:
            if self._rate and step <= 0:
                return None
            self._change(packet, rate_hz, samples, step, now)
        later = (packet.timestamp - self._newest) & _TIMESTAMP_MASK
        timestamp = self._newest + later - (later >> 31 << 32)
        if timestamp > self._newest:
            self._newest = timestamp
        place = timestamp * AUDIO_RATE_HZ // rate_hz + self._shift
        if step > 0:
            self._sequence, self._arrival, self._ends = packet.sequence, now, place + samples
        return place & _TIMESTAMP_MASK

    def original(self, place: int) -> int:
        """The 32-bit timestamp, on the clock of the present format, that has that place."""
        ahead = (place - self._newest * AUDIO_RATE_HZ // self._rate - self._shift) & _TIMESTAMP_MASK
        ahead -= ahead >> 31 << 32
        return (self._newest + ahead * self._rate // AUDIO_RATE_HZ) & _TIMESTAMP_MASK

    def _change(self, packet: RtpPacket, rate_hz: int, samples: int, step: int, now: float) -> None:
        first = not self._rate
        self._rate, self._newest = rate_hz, packet.timestamp
        native = packet.timestamp * AUDIO_RATE_HZ // rate_hz
        if first:
            self._shift = 0
            self._sequence = (packet.sequence - 1) & _SEQUENCE_MASK
            return
        begins = self._ends + (step - 1) * samples
        elapsed = int((now - self._arrival) * AUDIO_RATE_HZ) + self._ends - samples
        if abs(begins - elapsed) > PACKETS_AGREE_S * AUDIO_RATE_HZ:
            begins = elapsed  # there was a pause
        self._shift = begins - native
