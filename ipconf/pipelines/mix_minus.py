"""What each of many listeners hears of many voices: everybody's sum, less oneself ("mix-minus").

The sum is made once; each row differs from it by few voices. Floats of 32 bits hold whole numbers
up to 2**24 exactly, which is 512 voices at full scale, so gains of 0 and 1 cost no bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model import AUDIO_FRAME_SAMPLES
from ..terminals.convert import with_channels
from .limiter import Floats, limit

Row = tuple[tuple[int, float], ...]
"""The voices whose gain is not 1.0, each once: (index, gain); 0.0 for one's own."""


class Room:
    """Memory to calculate in, kept from tick to tick; for one thread at a time.

    To get it from the system anew takes longer than the arithmetic, where people are many.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, Floats] = {}

    def array(self, name: str, count: int, samples: int, channels: int) -> Floats:
        """Blocks of floats, (count, samples, channels), in the memory of that name; not cleared."""
        size = count * samples * channels
        held = self._arrays.get(name)
        if held is None or held.size < size:
            held = self._arrays[name] = np.empty(size, np.float32)
        return held[:size].reshape(count, samples, channels)


class Mix(NamedTuple):
    """What one listener hears in one tick."""

    before: Row
    """The gains at the beginning of the tick, which are those at the end of the one before."""
    after: Row
    """The gains at its end."""
    held: float = 1.0
    """The limiter's gain at the beginning, as returned for the tick before."""


def steady(row: Row, held: float = 1.0) -> Mix:
    """The mix of a listener for whom nothing changes."""
    return Mix(row, row, held)


def mix_minus(
    sounds: Sequence[NDArray[np.int16]],
    mixes: Sequence[Mix],
    channels: int,
    room: Room | None = None,
    samples: int = AUDIO_FRAME_SAMPLES,
) -> tuple[NDArray[np.int16], list[float]]:
    """The sound of each mix, (mixes, samples, channels), and the gains to hold for the next tick.

    Each of `sounds` is a tick of a voice, (samples, 1 or 2); who is silent need not be there. Equal
    mixes cost once. `channels` is 1 or 2. With a `room`, which mixes of any size may share, it is
    faster; the result is the caller's in any case.
    """
    room = room or Room()
    places: dict[Mix, int] = {}
    order = [places.setdefault(mix, len(places)) for mix in mixes]
    distinct = list(places)
    rows = room.array("rows", len(distinct), samples, channels)
    if sounds and mixes:
        voices = room.array("voices", len(sounds), samples, channels)
        np.concatenate(
            [with_channels(sound, channels) for sound in sounds],
            out=voices.reshape(-1, channels),
        )
        _fill(rows, voices, [mix.before for mix in distinct])
        _ramp(rows, voices, distinct)
    else:
        rows[:] = 0
    held = limit(rows, [mix.held for mix in distinct])
    blocks = np.rint(rows, out=rows).astype(np.int16)
    if len(distinct) == len(mixes):
        return blocks, held
    return blocks[order], [held[place] for place in order]


def _fill(rows: Floats, voices: Floats, gains: Sequence[Row]) -> None:
    """Make rows the sums of the voices with these gains, (rows, samples, channels)."""
    # Nearly all rows have one exception, their own voice: all of these at once.
    first = [row[0] if row else (0, 1.0) for row in gains]
    total = np.add.reduce(voices, axis=0)
    voices.take([voice for voice, _ in first], axis=0, out=rows, mode="clip")  # "raise" would copy
    factors = np.array([1 - gain for _, gain in first], np.float32)
    if not (factors == 1).all():
        rows *= factors[:, np.newaxis, np.newaxis]
    np.subtract(total, rows, out=rows)
    for place, row in enumerate(gains):
        if len(row) > 1:
            rows[place] += _weighted(voices, [(voice, gain - 1) for voice, gain in row[1:]])


def _ramp(rows: Floats, voices: Floats, mixes: Sequence[Mix]) -> None:
    """Add to each row what changes in it, from nothing at its beginning to all at its end."""
    made: dict[Row, Floats] = {}  # a voice that comes, comes for many
    for place, mix in enumerate(mixes):
        if mix.before == mix.after:
            continue
        change = _change(mix)
        if change and change not in made:
            made[change] = _weighted(voices, change) * _rise(voices.shape[1])
        if change:
            rows[place] += made[change]


@cache
def _rise(samples: int) -> Floats:
    """From one gain to another, (samples, 1): a raised cosine that ends at exactly 1."""
    turn = np.pi * np.arange(1, samples + 1, dtype=np.float64) / samples
    rise: Floats = (0.5 - 0.5 * np.cos(turn))[:, np.newaxis].astype(np.float32)
    return rise


def _change(mix: Mix) -> Row:
    """By how much gains rise from before to after."""
    before, after = dict(mix.before), dict(mix.after)
    rises = ((v, after.get(v, 1.0) - before.get(v, 1.0)) for v in sorted(before | after))
    return tuple((voice, rise) for voice, rise in rises if rise)


def _weighted(voices: Floats, factors: Sequence[tuple[int, float]]) -> Floats:
    """The sum of some voices, each times its factor, (samples, channels)."""
    if len(factors) == 1:
        ((voice, factor),) = factors
        part: Floats = voices[voice] * np.float32(factor)
        return part
    # Not a matrix product: BLAS would start threads, which cost more than they help here.
    weights = np.array([factor for _, factor in factors], np.float32)
    chosen = voices.take([voice for voice, _ in factors], axis=0)
    total: Floats = np.einsum("v,vsc->sc", weights, chosen)
    return total
