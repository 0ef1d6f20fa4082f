"""Streaming conversion of sampling rates for codecs: cheap, of short delay, without threads.

A polyphase filter written as one matrix product: each row of a view into the input holds what a
few outputs in a row need, and the matrix holds the filter's taps, shifted for each output. A block
of 20 ms takes some 20 microseconds between 8 and 48 kHz; libswresample through PyAV takes 100.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from .base import Samples

ZERO_CROSSINGS = 16
"""Half the filter's length in samples of the lower rate: its delay, 2 ms at 8 kHz."""
CUTOFF = 0.95
"""Of half the lower rate, where the filter is down by 6 dB; 0.1 dB at 0.84, 60 dB at 1.06."""
KAISER_BETA = 5.7
"""A stop band 60 dB down."""
UNITS = 8
"""How many samples of the lower rate one row of the product is for, where the rates divide."""

Matrix = NDArray[np.float32]


@lru_cache(maxsize=16)
def _taps(up: int, down: int) -> NDArray[np.float64]:
    """The low-pass at `up` times the input's rate, each phase of it with a gain of 1."""
    wide = max(up, down)
    half = ZERO_CROSSINGS * wide
    at = np.arange(-half, half + 1)
    taps = np.sinc(at * CUTOFF / wide) * np.kaiser(len(at), KAISER_BETA)
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    return taps


@lru_cache(maxsize=16)
def _matrix(up: int, down: int, units: int) -> Matrix:
    """What makes `units` times `up` outputs of `units` times `down` inputs and those before."""
    taps = _taps(up, down)
    past = _past(up, down)
    rows = np.arange(past + units * down)[:, np.newaxis]
    tap = np.arange(units * up) * down - (rows - past) * up
    inside = (tap >= 0) & (tap < len(taps))
    return np.where(inside, taps[np.where(inside, tap, 0)], 0.0).astype(np.float32)


def _past(up: int, down: int) -> int:
    """How many inputs before the newest one an output depends on."""
    return -(-len(_taps(up, down)) // up)


class RateConverter:
    """Converts int16 samples of shape (n, channels); pieces sound as if converted in one.

    `delay_s` later a sound comes out. Of every `down` samples in, `up` come out, where up / down is
    the ratio of the rates in lowest terms; what is left waits for the next piece.
    """

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        divisor = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self._channels = channels
        self._units = UNITS if 1 in (self._up, self._down) else 1
        self._matrix = _matrix(self._up, self._down, self._units)
        self._past = _past(self._up, self._down)
        self._held = np.zeros((channels, self._past), np.float32)
        self._same = self._up == self._down
        self.delay_s = 0.0 if self._same else ZERO_CROSSINGS / min(from_hz, to_hz)

    def settle(self, sample: Samples) -> None:
        """Begin as if this sample, (channels,), had been there for ever: without a step."""
        self._held[:] = sample[:, np.newaxis]

    def convert(self, samples: Samples) -> Samples:
        """What can be made of `samples` and those before."""
        if self._same:
            return samples
        held = self._held.shape[1]
        total = held + len(samples)
        units = (total - self._past) // self._down
        rows = -(-units // self._units)
        step = self._units * self._down
        width = len(self._matrix)
        source = np.zeros((self._channels, max(total, (rows - 1) * step + width)), np.float32)
        source[:, :held] = self._held
        source[:, held:total] = samples.T
        self._held = source[:, units * self._down : total].copy()
        windows = np.ndarray(
            (self._channels, rows, width),
            np.float32,
            source,
            strides=(source.strides[0], step * source.itemsize, source.itemsize),
        )
        wave = np.matmul(windows, self._matrix)
        np.rint(wave, out=wave)
        np.maximum(wave, -32768, out=wave)
        np.minimum(wave, 32767, out=wave)
        whole = wave.astype(np.int16).reshape(self._channels, -1)[:, : units * self._up]
        return np.ascontiguousarray(whole.T)
