"""What the codecs that carry samples, not models of sound, have in common: G.711, G.722, L16.

They run at their own rate and neither suppress silence nor conceal losses: the rate is converted
here, losses are concealed here, and comfort noise comes from outside.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..model import AUDIO_RATE_HZ
from .base import AudioDecoder, AudioEncoder, Samples
from .concealment import Concealer
from .resampling import RateConverter


class WaveformEncoder(AudioEncoder):
    """Encodes blocks of `frame_samples`, which must make a whole number at `rate_hz`."""

    def __init__(self, rate_hz: int, channels: int, frame_samples: int, bitrate_bps: int) -> None:
        self.channels = channels
        self.frame_samples = frame_samples
        self._bitrate_bps = bitrate_bps
        self._converter = RateConverter(AUDIO_RATE_HZ, rate_hz, channels)

    @property
    def bitrate_bps(self) -> int:
        """The only bit rate of the format; setting it changes nothing."""
        return self._bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None: ...

    def encode(self, samples: Samples) -> bytes:
        """One payload for (frame_samples, channels) samples."""
        self.check(samples)
        return self._code(self._converter.convert(samples))

    @abstractmethod
    def _code(self, samples: Samples) -> bytes:
        """The payload for samples at the codec's rate."""


class WaveformDecoder(AudioDecoder):
    """Decodes, and conceals by repeating the pitch."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.channels = channels
        self._rate_hz = rate_hz
        self._converter = RateConverter(rate_hz, AUDIO_RATE_HZ, channels)
        self._concealer = Concealer(rate_hz, channels)

    def decode(self, payload: bytes) -> Samples:
        """The sound of one payload; MediaError if it is none of this codec."""
        return self._converter.convert(self._concealer.received(self._decode(payload)))

    def conceal(self, samples: int) -> Samples:
        """A guess at `samples` samples that were lost, continuing what was decoded last."""
        guess = np.empty((0, self.channels), np.int16)
        while len(guess) < samples:
            wanted = -(-(samples - len(guess)) * self._rate_hz // AUDIO_RATE_HZ)
            more = self._converter.convert(self._concealer.conceal(wanted))
            guess = np.concatenate((guess, more)) if len(guess) else more
        return guess[:samples]

    @abstractmethod
    def _decode(self, payload: bytes) -> Samples:
        """The samples of a payload at the codec's rate; MediaError if it has none."""
