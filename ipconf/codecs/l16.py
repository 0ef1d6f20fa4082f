"""L16: uncompressed samples of 16 bits in network byte order (RFC 3551 section 4.5.11)."""

from __future__ import annotations

import numpy as np

from ..errors import MediaError
from ..model import AUDIO_RATE_HZ
from .base import MAX_PAYLOAD_BYTES, Samples
from .waveform import WaveformDecoder, WaveformEncoder

RATES_HZ = (8_000, 16_000, 44_100, 48_000)
"""Rates in use; 44.1 kHz has static payload types."""
PTIMES_MS = range(5, 185, 5)
SAMPLE_BYTES = 2

_UNIT_SAMPLES = {44_100: 160}
"""What of 48 kHz makes a whole number of samples: 147 of 44.1 kHz ..."""
_USUAL_UNIT_SAMPLES = AUDIO_RATE_HZ * 5 // 1000
"""... and 5 ms of all others."""


def fitting_samples(rate_hz: int, channels: int, ptime_ms: int) -> int:
    """Samples of 48 kHz per packet: as wished, or as much as fits one datagram."""
    unit = _UNIT_SAMPLES.get(rate_hz, _USUAL_UNIT_SAMPLES)
    most = MAX_PAYLOAD_BYTES // (SAMPLE_BYTES * channels) * AUDIO_RATE_HZ // rate_hz
    return max(1, min(ptime_ms * AUDIO_RATE_HZ // 1000, most) // unit) * unit


class L16Encoder(WaveformEncoder):
    """Encodes one or two channels of any rate, interleaved."""

    def __init__(self, rate_hz: int, channels: int, frame_samples: int) -> None:
        super().__init__(rate_hz, channels, frame_samples, rate_hz * channels * 16)

    def _code(self, samples: Samples) -> bytes:
        return samples.astype(">i2").tobytes()


class L16Decoder(WaveformDecoder):
    """Decodes one or two channels of any rate."""

    def _decode(self, payload: bytes) -> Samples:
        if not payload or len(payload) % (SAMPLE_BYTES * self.channels):
            raise MediaError(
                f"{len(payload)} bytes of L16 are no whole samples of {self.channels} channels"
            )
        samples = np.frombuffer(payload, ">i2").astype(np.int16)
        return samples.reshape(-1, self.channels)
