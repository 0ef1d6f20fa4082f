"""Making a piece of sound shorter or longer without changing its pitch.

Both ways cut the sound at two places that look alike and cross-fade over the cut (waveform
similarity overlap-add). What is taken out or repeated is 5 to 20 ms, a whole number of pitch
periods where there is a pitch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import AUDIO_RATE_HZ

MIN_SHIFT_SAMPLES = AUDIO_RATE_HZ * 5 // 1000
"""Less is not worth a cut."""
MAX_SHIFT_SAMPLES = AUDIO_RATE_HZ * 20 // 1000
"""More swallows or repeats whole sounds of speech."""
FADE_SAMPLES = AUDIO_RATE_HZ * 5 // 1000
"""Length of the cross-fade."""
STRETCHABLE_SAMPLES = MIN_SHIFT_SAMPLES + 2 * FADE_SAMPLES
"""`stretch` needs this much."""

_DECIMATION = 4
"""Likeness is looked for at 12 kHz: pitch is far below, and it takes a sixteenth of the time."""
_GOOD_ENOUGH = 0.9
"""Of all places nearly as alike as the best, the one that changes the length most is taken."""
_RISE = (np.arange(FADE_SAMPLES, dtype=np.float32) + 0.5)[:, np.newaxis] / FADE_SAMPLES


def shrink(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """The sound without 5 to 20 ms of its beginning; at least 25 ms long."""
    shift = _most_alike(samples, MAX_SHIFT_SAMPLES)
    joint = _cross_fade(samples[:FADE_SAMPLES], samples[shift : shift + FADE_SAMPLES])
    return np.concatenate((joint, samples[shift + FADE_SAMPLES :]))


def stretch(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """The sound with 5 to 20 ms of its beginning repeated; `STRETCHABLE_SAMPLES` or longer."""
    shift = _most_alike(samples, min(MAX_SHIFT_SAMPLES, len(samples) - FADE_SAMPLES))
    joint = _cross_fade(samples[shift : shift + FADE_SAMPLES], samples[:FADE_SAMPLES])
    return np.concatenate((samples[:shift], joint, samples[FADE_SAMPLES:]))


def _cross_fade(before: NDArray[np.int16], after: NDArray[np.int16]) -> NDArray[np.int16]:
    return (before + (after.astype(np.float32) - before) * _RISE).astype(np.int16)


def _most_alike(samples: NDArray[np.int16], longest: int) -> int:
    """How far behind the beginning the sound looks most like its beginning."""
    coarse = samples[: longest + FADE_SAMPLES : _DECIMATION].sum(axis=1, dtype=np.float32)
    template = coarse[: FADE_SAMPLES // _DECIMATION]
    places = np.lib.stride_tricks.sliding_window_view(coarse, len(template))
    places = places[MIN_SHIFT_SAMPLES // _DECIMATION :]
    energy = np.sqrt(np.einsum("ij,ij->i", places, places) * template.dot(template))
    likeness = places.dot(template) / np.maximum(energy, 1.0)
    best = float(likeness.max())
    last = int(np.flatnonzero(likeness >= best * _GOOD_ENOUGH)[-1]) if best > 0 else 0
    return MIN_SHIFT_SAMPLES + last * _DECIMATION
