"""What the codecs that carry samples, not models of sound, have in common: G.711, G.722, L16.

They run at their own rate and neither suppress silence nor conceal losses: the rate is converted
here, losses are concealed here, and comfort noise comes from outside.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .base import AudioDecoder, AudioEncoder, Samples
from .concealment import Concealer
from .resampling import RateConverter

BLOCKS_PER_S = AUDIO_RATE_HZ // AUDIO_FRAME_SAMPLES
JOINT_S = 0.005
"""How long the step between two rates of sound, which have different delays, is spread over."""


class WaveformEncoder(AudioEncoder):
    """Encodes blocks of `frame_samples`, which must make a whole number at the codec's rate."""

    def __init__(self, rate_hz: int, channels: int, frame_samples: int, bitrate_bps: int) -> None:
        self.channels = channels
        self.frame_samples = frame_samples
        self._bitrate_bps = bitrate_bps
        self._own_hz, self._rate_hz = rate_hz, AUDIO_RATE_HZ
        self._converter = RateConverter(AUDIO_RATE_HZ, rate_hz, channels)
        self.latest: Samples | None = None
        """What was encoded last, at the codec's rate; to be set if that was done elsewhere."""
        self._joint: Samples | None = None  # the sample before the next packet

    @property
    def rate_hz(self) -> int:
        """Of what `encode` takes; that of the codec itself, and multiples of it, may be set."""
        return self._rate_hz

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        if value != self._rate_hz:
            self.frame_samples = self.frame_samples * value // self._rate_hz
            self._rate_hz = value
            self._converter = RateConverter(value, self._own_hz, self.channels)
            if self.latest is not None:
                self._joint = self.latest[-1]

    @property
    def joins(self) -> bool:
        """Whether the next packet has to be joined to what came before it at another rate."""
        return self._joint is not None

    def prime(self, samples: Samples) -> None:
        """Take in the 20 ms that come before the first packet, of whatever rate."""
        if len(samples) * BLOCKS_PER_S == self._rate_hz:
            self._converter.convert(samples)
            self._joint = None
        else:
            other = RateConverter(len(samples) * BLOCKS_PER_S, self._own_hz, self.channels)
            self._joint = other.convert(samples)[-1]

    @property
    def bitrate_bps(self) -> int:
        """The only bit rate of the format; setting it changes nothing."""
        return self._bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None: ...

    def encode(self, samples: Samples) -> bytes:
        """One payload for (frame_samples, channels) samples."""
        self.check(samples)
        if self._joint is not None:
            self._converter.settle(samples[0])
        slow = self._converter.convert(samples)
        if self._joint is not None:
            slow = _joined(self._joint, slow, int(JOINT_S * self._own_hz))
            self._joint = None
        self.latest = slow
        return self._code(slow)

    @abstractmethod
    def _code(self, samples: Samples) -> bytes:
        """The payload for samples at the codec's rate."""


class WaveformDecoder(AudioDecoder):
    """Decodes, and conceals by repeating the pitch."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.channels = channels
        self._own_hz, self._rate_hz = rate_hz, AUDIO_RATE_HZ
        self._converter = RateConverter(rate_hz, AUDIO_RATE_HZ, channels)
        self._concealer = Concealer(rate_hz, channels)

    @property
    def rate_hz(self) -> int:
        """Of the sound; that of the codec itself, and multiples of it, may be set at any time."""
        return self._rate_hz

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        if value != self._rate_hz:
            self._rate_hz = value
            self._converter = RateConverter(self._own_hz, value, self.channels)
            self._converter.convert(self._concealer.latest)

    def decode(self, payload: bytes) -> Samples:
        """The sound of one payload; MediaError if it is none of this codec."""
        samples = self._concealer.received(self._decode(payload))
        return samples if self._rate_hz == self._own_hz else self._converter.convert(samples)

    def conceal(self, samples: int) -> Samples:
        """A guess at `samples` samples that were lost, continuing what was decoded last."""
        guess = np.empty((0, self.channels), np.int16)
        while len(guess) < samples:
            wanted = -(-(samples - len(guess)) * self._own_hz // self._rate_hz)
            more = self._converter.convert(self._concealer.conceal(wanted))
            guess = np.concatenate((guess, more)) if len(guess) else more
        return guess[:samples]

    @abstractmethod
    def _decode(self, payload: bytes) -> Samples:
        """The samples of a payload at the codec's rate; MediaError if it has none."""


def _joined(before: Samples, samples: Samples, size: int) -> Samples:
    """The samples, drawn at their beginning towards the one before them."""
    offset = before.astype(np.float32) - samples[0]
    fall = np.linspace(1, 0, size, dtype=np.float32)[:, np.newaxis]
    joined = samples.copy()
    joined[:size] = np.clip(samples[:size] + offset * fall, -32768, 32767)
    return joined
