"""A limiter for many rows of sound at once: what does not fit into int16 is turned down.

A row that fits and was not turned down before is left as it is, bit for bit. Loud ones are turned
down within 2.5 ms, before the peak where it lies further into the block, and up again slowly. While
a block is turned up the gain stays below what its loudest instant allows: so a steady sound has a
steady gain, and does not get modulated by its own waveform. Nothing is delayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..model import AUDIO_FRAME_S

Floats = NDArray[np.float32]

FULL_SCALE = 32767.0
CEILING = 32000.0
"""Peaks that are turned down come to this: 0.2 dB of room for the codec that follows."""
PIECES = 8
"""The gain goes in a straight line for an eighth of a block, 2.5 ms: the attack."""
RELEASE_DB_PER_S = 30.0
"""6 dB in 0.2 s: between words, hardly between syllables."""
RELEASE = 10 ** (RELEASE_DB_PER_S * AUDIO_FRAME_S / 20)

_STEPS = np.arange(PIECES + 1, dtype=np.float32) / PIECES
_TOGETHER = 16
"""So many rows are turned down at once: more of them do not fit into the processor's cache."""


def limit(rows: Floats, held: Sequence[float]) -> list[float]:
    """Turn down in place what does not fit into int16; the gains to hand in with the next blocks.

    `rows` is (rows, samples, channels) in steps of int16, 20 ms of any rate that is a multiple of
    400 Hz; channels of one row have the same gain.
    `held` has each row's gain at the end of the block before, 1.0 at rest.
    """
    if not len(rows):
        return []
    gains = np.array(held, np.float32)
    flat = rows.reshape(len(rows), -1)
    loud = (flat.max(axis=1) > FULL_SCALE) | (flat.min(axis=1) < -FULL_SCALE - 1) | (gains < 1)
    places = np.flatnonzero(loud)
    for begin in range(0, len(places), _TOGETHER):
        some = places[begin : begin + _TOGETHER]
        turned = rows[some]
        gains[some] = _turn_down(turned, gains[some])
        rows[some] = turned
    result: list[float] = gains.tolist()
    return result


def _turn_down(rows: Floats, held: Floats) -> Floats:
    """Apply the gains to all of the rows; what they are at the end."""
    sizes = np.abs(rows[..., 0])
    for channel in range(1, rows.shape[2]):
        np.maximum(sizes, np.abs(rows[..., channel]), out=sizes)
    sizes = sizes.reshape(len(rows), PIECES, -1)
    piece_samples = sizes.shape[2]
    rise = np.arange(1, piece_samples + 1, dtype=np.float32) / piece_samples
    ends = _ends_of_lines(_allowed(sizes.max(axis=2)), held)
    slopes = ends[:, 1:] - ends[:, :-1]
    gains = ends[:, :-1, np.newaxis] + slopes[:, :, np.newaxis] * rise
    # A peak that comes before the first line is down: the gain follows the rising wave, which is
    # flattened for less than 2.5 ms but does not jump.
    instant = FULL_SCALE / np.maximum(sizes[:, 0], np.float32(FULL_SCALE))
    np.minimum(gains[:, 0], np.minimum.accumulate(instant, axis=1), out=gains[:, 0])
    for channel in range(rows.shape[2]):
        rows[..., channel] *= gains.reshape(len(rows), -1)
    end: Floats = ends[:, -1]
    return end


def _allowed(peaks: Floats) -> Floats:
    """The highest gain for each peak; what fits is not turned down, so that the gain comes to 1."""
    loud = np.maximum(peaks, np.float32(FULL_SCALE))
    return np.where(loud > FULL_SCALE, np.float32(CEILING) / loud, np.float32(1))


def _ends_of_lines(allowed: Floats, held: Floats) -> Floats:
    """The gain between the pieces of each row: (rows, PIECES + 1).

    `allowed` (rows, PIECES) is met from the second piece on, because a line begins and ends there.
    """
    down = np.minimum(held[:, np.newaxis], np.minimum.accumulate(allowed, axis=1))
    falling = np.concatenate((held[:, np.newaxis], down[:, 1:], down[:, -1:]), axis=1)
    least = allowed.min(axis=1)
    target = np.minimum(least, held * np.float32(RELEASE))
    rising = held[:, np.newaxis] + (target - held)[:, np.newaxis] * _STEPS
    rising[:, -1] = target  # exactly, so that a gain at rest stays the same
    return np.where((least >= held)[:, np.newaxis], rising, falling)
