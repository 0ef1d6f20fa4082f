"""L16: uncompressed samples of 16 bits in network byte order (RFC 3551 section 4.5.11)."""

from __future__ import annotations

import numpy as np

from ..errors import MediaError
from .base import Samples
from .waveform import WaveformDecoder, WaveformEncoder

SAMPLE_BYTES = 2


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
