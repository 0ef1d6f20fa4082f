"""From the RTP packets of one source to payloads of sound in order, which are not decoded."""

from __future__ import annotations

from ..codecs.registry import has_codec, packet_duration
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..errors import MediaError
from ..model import AUDIO_RATE_HZ
from ..terminals.payloads import Payload
from .media_clock import MediaClock
from .steady_times import SteadyTimes

PATIENCE_S = 0.5
"""How long it is waited for a packet that is missing: nobody listens, so there is no hurry."""
MAX_STEP = 500
"""A larger step in the sequence numbers, 10 s of sound, is a new beginning."""

_SEQUENCE_MASK = (1 << 16) - 1

Timed = tuple[Payload, float]
"""A payload and when it is due, in seconds of the provider's clock."""


class AudioPayloads:
    """Puts the packets of one source in order; `pull` them as often as you like.

    `formats` are those of the section; without any that is sound here it is a MediaError.
    """

    decoded = 0
    concealed_s = 0.0
    delay_s = 0.0
    failure = None

    def __init__(self, formats: tuple[PayloadFormat, ...]) -> None:
        self._formats = {f.payload_type: f for f in formats if has_codec(f)}
        if not self._formats:
            raise MediaError("none of the formats of the section is known here")
        self._durations = {number: packet_duration(f) for number, f in self._formats.items()}
        self._clock = MediaClock()
        self._times = SteadyTimes(AUDIO_RATE_HZ)
        self._next: int | None = None  # sequence number
        # By sequence number: what came, if it is sound, and when it came.
        self._held: dict[int, tuple[Timed | None, float]] = {}
        self._ready: list[Timed] = []
        self.latest: tuple[int, float] | None = None
        """The RTP timestamp of the latest sound, and when that is due."""
        self.late = 0
        """Packets that came after their time."""

    def push(self, packet: RtpPacket, now: float) -> None:
        """Take a packet of the source at the time it arrived, in any order."""
        sequence = packet.sequence
        if self._next is None:
            self._next = sequence
        ahead = (sequence - self._next) & _SEQUENCE_MASK
        ahead -= ahead >> 15 << 16  # signed difference modulo 2**16
        if not -MAX_STEP < ahead < MAX_STEP:
            self._skip_all()
            self._next, ahead = sequence, 0
        if ahead < 0:
            self.late += 1
        elif sequence not in self._held:
            self._held[sequence] = self._timed(packet, now), now
            if not ahead:
                self._advance()

    def pull(self, now: float) -> list[Timed]:
        """The sound that is in order by now."""
        while self._held and now - min(at for _, at in self._held.values()) > PATIENCE_S:
            self._skip()
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        """Nothing to give up."""

    def _timed(self, packet: RtpPacket, now: float) -> Timed | None:
        """The sound of a packet; None if it is none."""
        number, payload = packet.payload_type, packet.payload
        payload_format = self._formats.get(number)
        samples = self._durations[number](payload) if payload_format and payload else 0
        if payload_format is None or not samples:
            return None
        place = self._clock.place(packet, payload_format.clock_rate, samples, now)
        if place is None:
            return None
        due = self._times.due(RtpPacket(number, packet.sequence, place, 0, b""), now)
        if due is None:
            return None
        return Payload(payload, payload_format, packet.timestamp, samples / AUDIO_RATE_HZ), due

    def _advance(self) -> None:
        """Hand on what is in order."""
        assert self._next is not None
        while (found := self._held.pop(self._next, None)) is not None:
            self._next = (self._next + 1) & _SEQUENCE_MASK
            timed = found[0]
            if timed is not None:
                self._ready.append(timed)
                self.latest = timed[0].timestamp, timed[1]

    def _skip(self) -> None:
        """Go on behind what is missing."""
        begin = self._next
        assert begin is not None
        self._next = min(self._held, key=lambda sequence: (sequence - begin) & _SEQUENCE_MASK)
        self._advance()

    def _skip_all(self) -> None:
        while self._held:
            self._skip()
