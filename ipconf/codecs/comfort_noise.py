"""Comfort noise (RFC 3389): what silence sounds like at the far end, in a few bytes.

    +--------+--------+--------+-- ...
    | level  |  N 1   |  N 2   |        level: 0..127, in -dBov; the first bit is 0
    +--------+--------+--------+-- ...  N i: reflection coefficient i of an all-pole filter

The filter is optional, and so is what a receiver makes of it. A packet stands for no certain time:
the noise goes on until something else comes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..engine.speakers import level_of
from ..errors import MediaError
from ..model import AUDIO_RATE_HZ
from .base import AudioDecoder, Samples
from .resampling import RateConverter

RATE_HZ = 8_000
"""All noise here is for the clock of 8 kHz, that of G.711 and G.722."""
PACKET_SAMPLES = AUDIO_RATE_HZ // 100
"""What a packet counts for in time, 10 ms: speech may follow as soon as that."""
ORDER = 8
"""Coefficients that we send; enough for the colour of a room."""
MAX_ORDER = 12
"""Coefficients that are heeded; more say nothing at 8 kHz."""
RESPONSE_SAMPLES = 96
"""How long the filter is taken to ring: 12 ms."""

_STEP = 258 / 32768
"""A coefficient is this times N - 127 (RFC 3389 section 3.2)."""
_MAX_LEVEL = 127
_LEVEL_MASK = 0x7F
_STABLE = 0.995
"""A coefficient of 1 would ring for ever."""


def describe_noise(samples: Samples, rate_hz: int = AUDIO_RATE_HZ) -> bytes:
    """The payload that makes the far end hear noise like these samples, (n, channels)."""
    mono = samples if samples.shape[1] == 1 else samples.mean(axis=1, keepdims=True)
    slow = RateConverter(rate_hz, RATE_HZ, 1).convert(mono.astype(np.int16))
    level = level_of(slow)
    wave = slow[:, 0].astype(np.float64) * np.hanning(len(slow))
    alike = [float(wave[lag:].dot(wave[: len(wave) - lag])) for lag in range(ORDER + 1)]
    if level >= _MAX_LEVEL or alike[0] < 1.0:
        return bytes([level])
    codes = [round(k / _STEP) + 127 for k in _reflections(alike)]
    return bytes([level, *[min(max(code, 0), 254) for code in codes]])


def _reflections(alike: list[float]) -> list[float]:
    """Reflection coefficients of an autocorrelation (Levinson and Durbin)."""
    predictor: list[float] = []
    error = alike[0] * 1.0001
    reflections: list[float] = []
    for order in range(1, len(alike)):
        rest = alike[order] + sum(a * alike[order - 1 - i] for i, a in enumerate(predictor))
        k = -rest / error
        predictor = _step_up(predictor, k)
        error *= 1 - k * k
        reflections.append(k)
    return reflections


def _step_up(predictor: list[float], k: float) -> list[float]:
    """The filter of one order more: a'(i) = a(i) + k a(m - i), and k itself."""
    return [a + k * b for a, b in zip(predictor, reversed(predictor), strict=True)] + [k]


def _response(reflections: list[float]) -> NDArray[np.float32]:
    """The impulse response of the all-pole filter, with a power of 1."""
    predictor: list[float] = []
    for k in reflections:
        predictor = _step_up(predictor, max(-_STABLE, min(k, _STABLE)))
    response = [1.0]
    for _ in range(RESPONSE_SAMPLES - 1):
        latest = response[: -len(predictor) - 1 : -1]
        response.append(-sum(a * y for a, y in zip(predictor, latest, strict=False)))
    taps = np.array(response)
    normal: NDArray[np.float32] = (taps / np.sqrt(taps.dot(taps))).astype(np.float32)
    return normal


class ComfortNoiseDecoder(AudioDecoder):
    """Makes noise as the latest packet described it, for as long as it is asked for, in mono."""

    comforting = True

    def __init__(self, seed: int = 0) -> None:
        self.channels = 1
        self._rng = np.random.default_rng(seed)
        self._converter = RateConverter(RATE_HZ, AUDIO_RATE_HZ, 1)
        self._rate_hz = AUDIO_RATE_HZ
        self._described = b""
        self._response = _response([])
        self._white = self._draw(RESPONSE_SAMPLES - 1)
        self._loudness = 0.0

    @property
    def rate_hz(self) -> int:
        """Of the noise, a multiple of 8 kHz; may be set at any time."""
        return self._rate_hz

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        self._rate_hz = value
        self._converter = RateConverter(RATE_HZ, value, 1)

    def decode(self, payload: bytes) -> Samples:
        """The first 10 ms of the noise that a packet describes; MediaError if it is empty."""
        if not payload:
            raise MediaError("a comfort noise packet has at least a level")
        loudness = 32768 * 10 ** (-(payload[0] & _LEVEL_MASK) / 20)
        if payload[1:] != self._described:
            self._described = payload[1:]
            codes = self._described[:MAX_ORDER]
            self._response = _response([(code - 127) * _STEP for code in codes])
        return self._noise(PACKET_SAMPLES * self._rate_hz // AUDIO_RATE_HZ, loudness)

    def conceal(self, samples: int) -> Samples:
        """`samples` more of the same noise."""
        return self._noise(samples, self._loudness)

    def _noise(self, samples: int, loudness: float) -> Samples:
        count = -(-samples * RATE_HZ // self._rate_hz)
        white = np.concatenate((self._white, self._draw(count)))
        self._white = white[count:]
        wave = np.convolve(white, self._response, "valid")
        # A new loudness comes gradually, so that it makes no click.
        wave *= np.linspace(self._loudness, loudness, count, dtype=np.float32)
        self._loudness = loudness
        slow = np.clip(np.rint(wave), -32768, 32767).astype(np.int16)[:, np.newaxis]
        return self._converter.convert(slow)[:samples]

    def _draw(self, count: int) -> NDArray[np.float32]:
        return self._rng.standard_normal(count, dtype=np.float32)
