"""The formats that the sound of one source may have: what their packets are worth, and decoders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..codecs.base import AudioDecoder
from ..codecs.registry import (
    create_audio_decoder,
    has_codec,
    is_comfort_noise,
    packet_duration,
    sound_rate_hz,
)
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..errors import MediaError
from ..model import AUDIO_RATE_HZ
from ..terminals.convert import with_channels
from .media_clock import MediaClock

COMFORT_LIMIT_S = 5.0
"""So long noise fills a pause in which nothing comes; senders renew it more often than that."""
FADE_S = 0.005
"""What one format ended with goes over into the next, which may be a little later or earlier."""


class AudioFormats:
    """Decodes the packets of one source, each by its payload type, and what lies between them.

    `formats` are those of the section; only the ones with a codec here are decoded, and without
    any it is a MediaError. Each decoder goes on where it was when its format was used last. Sound
    is of `rate_hz`; packets lie, and last, in samples of 48 kHz.
    """

    def __init__(self, formats: tuple[PayloadFormat, ...], rate_hz: int = AUDIO_RATE_HZ) -> None:
        if not any(has_codec(f) for f in formats):
            raise MediaError("none of the formats of the section can be decoded here")
        self._least_hz = sound_rate_hz(formats)
        self._formats = {f.payload_type: f for f in formats if has_codec(f) or is_comfort_noise(f)}
        self._durations = {number: packet_duration(f) for number, f in self._formats.items()}
        self._clock = MediaClock()
        self._placed: RtpPacket | None = None  # the latest, and how long it plays
        self._placed_samples = 0
        self._decoders: dict[int, AudioDecoder] = {}
        self._decoder: AudioDecoder | None = None
        self._comforted = 0  # samples of noise since the last packet
        self.rate_hz = rate_hz

    @property
    def rate_hz(self) -> int:
        """Of the sound; may be set at any time, to what all the formats go into."""
        return self._rate_hz

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        if AUDIO_RATE_HZ % value or value % self._least_hz:
            raise MediaError(f"not all of the formats of the section go into {value} Hz")
        self._rate_hz = value
        for decoder in self._decoders.values():
            decoder.rate_hz = value

    def place(self, packet: RtpPacket, now: float) -> bool:
        """Turn the packet's timestamp into one of 48 kHz; False if it is no sound, or too old."""
        payload_format = self._formats.get(packet.payload_type)
        if payload_format is None or not packet.payload:
            return False
        samples = self._durations[packet.payload_type](packet.payload)
        self._placed, self._placed_samples = packet, samples
        if samples:
            place = self._clock.place(packet, payload_format.clock_rate, samples, now)
            if place is None:
                return False
            packet.timestamp = place
        return True

    def original(self, place: int) -> int:
        """The timestamp, on the clock of the latest format, of the sound at that place."""
        return self._clock.original(place)

    def duration(self, packet: RtpPacket) -> int:
        """How many samples of 48 kHz a packet of sound plays; 0 if it is malformed."""
        if packet is self._placed:
            return self._placed_samples
        return self._durations[packet.payload_type](packet.payload)

    def decode(self, packet: RtpPacket) -> NDArray[np.int16]:
        """The sound of a packet; MediaError if it makes none."""
        number = packet.payload_type
        decoder, before = self._decoders.get(number), self._decoder
        if decoder is None:
            decoder = self._decoders[number] = create_audio_decoder(self._formats[number])
            decoder.rate_hz = self._rate_hz
        self._decoder = decoder
        self._comforted = 0
        samples = decoder.decode(packet.payload)
        if before is None or before is decoder:
            return samples
        return _cross_fade(before.conceal(int(FADE_S * self._rate_hz)), samples)

    def conceal(self, samples: int, following: RtpPacket | None = None) -> NDArray[np.int16] | None:
        """That much sound that is missing, before the packet `following` if that is there.

        None before the first packet.
        """
        decoder = self._decoder
        if decoder is None:
            return None
        if following is None or self._decoders.get(following.payload_type) is not decoder:
            return decoder.conceal(samples)
        return decoder.recover(following.payload, samples)

    def comfort(self, samples: int) -> NDArray[np.int16] | None:
        """That much of what a pause sounds like, if the far end has told that it is one."""
        decoder = self._decoder
        if decoder is None or not decoder.comforting:
            return None
        self._comforted += samples
        if self._comforted > COMFORT_LIMIT_S * self._rate_hz:
            return None
        return decoder.conceal(samples)


def _cross_fade(before: NDArray[np.int16], after: NDArray[np.int16]) -> NDArray[np.int16]:
    """`after`, into which `before` goes over at its beginning."""
    before = with_channels(before[: len(after)], after.shape[1])
    rise = np.linspace(0, 1, len(before), dtype=np.float32)[:, np.newaxis]
    joint = before + (after[: len(before)].astype(np.float32) - before) * rise
    return np.concatenate((joint.astype(np.int16), after[len(before) :]))
