"""Making a piece of sound shorter or longer without changing its pitch.

Both ways cut the sound at two places that look alike and cross-fade over the cut (waveform
similarity overlap-add). What is taken out or repeated is 5 to 20 ms, a whole number of pitch
periods where there is a pitch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import AUDIO_RATE_HZ

MIN_SHIFT_S = 0.005
"""Less is not worth a cut."""
MAX_SHIFT_S = 0.020
"""More swallows or repeats whole sounds of speech."""
FADE_S = 0.005
"""Length of the cross-fade."""
STRETCHABLE_S = MIN_SHIFT_S + 2 * FADE_S
"""`stretch` needs this much."""

_COARSE_HZ = 12_000
"""Likeness is looked for at this rate: pitch is far below, and it takes a sixteenth of the time."""
_GOOD_ENOUGH = 0.9
"""Of all places nearly as alike as the best, the one that changes the length most is taken."""


def shrink(
    samples: NDArray[np.int16], rate_hz: int = AUDIO_RATE_HZ, longest_s: float = MAX_SHIFT_S
) -> NDArray[np.int16]:
    """The sound without 5 ms to `longest_s` of its beginning; at least 5 ms longer than that."""
    fade = round(FADE_S * rate_hz)
    shift = _most_alike(samples, round(longest_s * rate_hz), rate_hz)
    joint = _cross_fade(samples[:fade], samples[shift : shift + fade])
    return np.concatenate((joint, samples[shift + fade :]))


def stretch(samples: NDArray[np.int16], rate_hz: int = AUDIO_RATE_HZ) -> NDArray[np.int16]:
    """The sound with 5 to 20 ms of its beginning repeated; `STRETCHABLE_S` or longer."""
    fade = round(FADE_S * rate_hz)
    longest = min(round(MAX_SHIFT_S * rate_hz), len(samples) - fade)
    shift = _most_alike(samples, longest, rate_hz)
    joint = _cross_fade(samples[shift : shift + fade], samples[:fade])
    return np.concatenate((samples[:shift], joint, samples[fade:]))


def _cross_fade(before: NDArray[np.int16], after: NDArray[np.int16]) -> NDArray[np.int16]:
    rise = (np.arange(len(after), dtype=np.float32) + 0.5)[:, np.newaxis] / len(after)
    return (before + (after.astype(np.float32) - before) * rise).astype(np.int16)


def _most_alike(samples: NDArray[np.int16], longest: int, rate_hz: int) -> int:
    """How far behind the beginning the sound looks most like its beginning."""
    step = max(1, rate_hz // _COARSE_HZ)
    fade, shortest = round(FADE_S * rate_hz), round(MIN_SHIFT_S * rate_hz)
    coarse = samples[: longest + fade : step].sum(axis=1, dtype=np.float32)
    template = coarse[: fade // step]
    places = coarse[shortest // step :]
    sums = np.cumsum(np.square(places, dtype=np.float64))
    energies = sums[len(template) - 1 :].copy()
    energies[1:] -= sums[: -len(template)]
    energy = np.sqrt(np.maximum(energies * template.dot(template), 1.0))
    likeness = np.correlate(places, template, "valid") / energy
    best = float(likeness.max())
    last = int(np.flatnonzero(likeness >= best * _GOOD_ENOUGH)[-1]) if best > 0 else 0
    return shortest + last * step
