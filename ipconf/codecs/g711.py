"""G.711: a telephone's sound in 8 bits a sample, in two ways (RFC 3551 section 4.5.14).

Everything is done by tables: 256 values to decode, one code for each of 65,536 samples to encode.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from .base import Samples
from .waveform import WaveformDecoder, WaveformEncoder

RATE_HZ = 8_000
BITRATE_BPS = 64_000

# A code is, before some of its bits are inverted:
#
#      0 1 2 3 4 5 6 7
#     +-+-+-+-+-+-+-+-+
#     |S| seg | step  |   S=1: positive; 8 segments, each twice as steep as the one before
#     +-+-+-+-+-+-+-+-+
_POSITIVE = 0x80
_MU_INVERTED = 0x7F
"""mu-law inverts all but the sign, so that silence is rich in ones."""
_A_INVERTED = 0x55
"""A-law inverts every second bit."""
_MU_BIAS = 33
"""What makes the first mu-law segment like the others, in steps of 14 bits."""


def _mu_values() -> NDArray[np.int16]:
    code = np.arange(256) ^ _MU_INVERTED
    segment, step = code >> 4 & 7, code & 15
    size = ((2 * step + _MU_BIAS) << segment) - _MU_BIAS  # 14 bits
    return np.where(code & _POSITIVE, size * 4, -size * 4).astype(np.int16)


def _a_values() -> NDArray[np.int16]:
    code = np.arange(256) ^ _A_INVERTED
    segment, step = code >> 4 & 7, code & 15
    inner = 2 * step + 1  # 13 bits; the first two segments are equally steep
    size = np.where(segment == 0, inner, (inner + 32) << np.maximum(segment - 1, 0))
    return np.where(code & _POSITIVE, size * 8, -size * 8).astype(np.int16)


@cache
def decoding_table(law: str) -> NDArray[np.int16]:
    """The sample for each code of "PCMU" or "PCMA"."""
    return _mu_values() if law == "PCMU" else _a_values()


@cache
def encoding_table(law: str) -> NDArray[np.uint8]:
    """The code for each sample, taken as an unsigned number: that of the nearest value."""
    values = decoding_table(law).astype(np.int32)
    order = np.argsort(values, kind="stable")
    borders = (values[order][1:] + values[order][:-1]) / 2
    samples = np.arange(1 << 16).astype(np.uint16).view(np.int16)
    # A sample on a border goes to the louder side of it, as decision values are defined.
    places = np.where(
        samples < 0,
        np.searchsorted(borders, samples, side="left"),
        np.searchsorted(borders, samples, side="right"),
    )
    return order[places].astype(np.uint8)


class G711Encoder(WaveformEncoder):
    """Encodes "PCMU" or "PCMA", mono."""

    def __init__(self, law: str, frame_samples: int) -> None:
        super().__init__(RATE_HZ, 1, frame_samples, BITRATE_BPS)
        self._codes = encoding_table(law)

    @property
    def codes(self) -> NDArray[np.uint8] | None:
        """The `encoding_table`, where a packet is nothing but the codes of the samples."""
        return self._codes if self.rate_hz == RATE_HZ and not self.joins else None

    def _code(self, samples: Samples) -> bytes:
        return self._codes.take(samples.view(np.uint16)).tobytes()


class G711Decoder(WaveformDecoder):
    """Decodes "PCMU" or "PCMA", mono; any byte is a sample."""

    def __init__(self, law: str) -> None:
        super().__init__(RATE_HZ, 1)
        self._values = decoding_table(law)

    def _decode(self, payload: bytes) -> Samples:
        if not payload:
            raise MediaError("no G.711 payload is empty")
        return self._values.take(np.frombuffer(payload, np.uint8))[:, np.newaxis]
