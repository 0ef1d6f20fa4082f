"""Packet loss concealment for waveform codecs, in the manner of ITU-T G.711 Appendix I.

Lost sound is replaced by the latest pitch period, repeated and fading out; where packets come again
they are faded in. Unlike the appendix, nothing is delayed: what would be smoothed before the loss
is instead made up for behind it. Own code.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from .base import Samples

Wave = NDArray[np.float32]

SHORTEST_PITCH_S = 0.005
"""A high child's voice."""
LONGEST_PITCH_S = 0.015
"""A low man's voice."""
TEMPLATE_S = 0.020
"""How much of the latest sound is compared with what came before it."""
HOLD_S = 0.010
"""So long the first period is repeated at full loudness; each such time after that takes 20 %."""
FADE_PER_S = 20.0
"""20 % in 10 ms: after 60 ms there is silence."""
OVERLAP_S = 0.004
"""How long what comes after a loss is faded in; for a long loss up to 10 ms."""
MAX_OVERLAP_S = 0.010
SEARCH_RATE_HZ = 8_000
"""The pitch is looked for at about this rate, then to the sample."""


class Concealer:
    """Remembers the latest sound of one source and continues it; any rate, one or two channels."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._rate_hz = rate_hz
        self._shortest = int(SHORTEST_PITCH_S * rate_hz)
        self._longest = int(LONGEST_PITCH_S * rate_hz)
        self._template = int(TEMPLATE_S * rate_hz)
        self._step = max(1, rate_hz // SEARCH_RATE_HZ)
        # The longest pitch, the template, and a quarter of a period to cross-fade with: the latest
        # pieces of sound that hold so much.
        self._size = self._template + self._longest + self._longest // 4 + 1
        self._pieces = deque([np.zeros((self._size, channels), np.int16)])
        self._kept = self._size
        # While something is lost: the period that is repeated, the step at its first sample, and
        # how many samples were made of it.
        self._loop: Wave | None = None
        self._offset = np.zeros(channels, np.float32)
        self._lost = 0

    @property
    def latest(self) -> Samples:
        """The piece of sound that came last."""
        return self._pieces[-1]

    def received(self, samples: Samples) -> Samples:
        """Take decoded sound; the same, faded in if something was concealed before it."""
        if self._loop is not None:
            samples = self._fade_in(samples)
            self._loop = None
            self._lost = 0
        self._remember(samples)
        return samples

    def conceal(self, samples: int) -> Samples:
        """`samples` more that continue what was heard last."""
        if self._loop is None:
            self._loop = self._period()
        block = self._continue(samples)
        self._lost += samples
        self._remember(block)
        return block

    def _remember(self, samples: Samples) -> None:
        pieces = self._pieces
        pieces.append(samples)
        self._kept += len(samples)
        while self._kept - len(pieces[0]) >= self._size:
            self._kept -= len(pieces.popleft())

    def _period(self) -> Wave:
        """The latest pitch period, made so that its end goes over into its beginning."""
        heard = np.concatenate(self._pieces)[-self._size :].astype(np.float32)
        pitch = self._pitch(heard.sum(axis=1))
        quarter = max(1, pitch // 4)
        period = heard[-pitch:].copy()
        rise = (np.arange(1, quarter + 1, dtype=np.float32) / (quarter + 1))[:, np.newaxis]
        before = heard[-pitch - quarter : -pitch]
        # Played at once the period begins where the heard sound ends; the step between them is
        # spread over a quarter of the period.
        self._offset = heard[-1] - before[-1]
        period[-quarter:] += (before - period[-quarter:]) * rise
        return period

    def _pitch(self, mono: Wave) -> int:
        """The distance at which the latest sound is most like what came before it."""
        step = self._step
        coarse = mono[len(mono) % step :: step]
        size = self._template // step
        best = _most_alike(coarse, size, self._shortest // step, self._longest // step) * step
        if step == 1:
            return best
        low, high = max(self._shortest, best - step), min(self._longest, best + step)
        return _most_alike(mono, self._template, low, high)

    def _continue(self, samples: int) -> Samples:
        """The loop from where it is, fading with the time that is lost."""
        assert self._loop is not None
        at = np.arange(self._lost, self._lost + samples)
        wave = self._loop[at % len(self._loop)]
        quarter = max(1, len(self._loop) // 4)
        if self._lost < quarter:
            count = min(samples, quarter - self._lost)
            fall = 1 - (at[:count, np.newaxis] + 1) / (quarter + 1)
            wave[:count] += self._offset * fall.astype(np.float32)
        fading = (at[:, np.newaxis] / self._rate_hz - HOLD_S) * FADE_PER_S
        wave *= np.clip(1 - fading, 0, 1).astype(np.float32)
        return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)

    def _fade_in(self, samples: Samples) -> Samples:
        lost_s = self._lost / self._rate_hz
        overlap_s = min(OVERLAP_S + max(0.0, lost_s - HOLD_S) * 0.4, MAX_OVERLAP_S)
        size = min(len(samples), int(overlap_s * self._rate_hz))
        guess = self._continue(size).astype(np.float32)
        rise = (np.arange(1, size + 1, dtype=np.float32) / (size + 1))[:, np.newaxis]
        joined = samples.copy()
        joined[:size] = np.rint(guess + (samples[:size] - guess) * rise).astype(np.int16)
        return joined


def _most_alike(wave: Wave, size: int, low: int, high: int) -> int:
    """How far before the last `size` samples, low..high, the wave looks most like them."""
    end = len(wave)
    latest, before = wave[end - size :], wave[end - size - high : end - low]
    energies = np.concatenate(([0.0], np.cumsum(np.square(before, dtype=np.float64))))
    energies = energies[size:] - energies[:-size]
    likeness = np.correlate(before, latest, "valid") / np.sqrt(np.maximum(energies, 1.0))
    return high - int(np.argmax(likeness))
