"""Finds out whose speech is in a recording, how loud each is, also where several talk at once.

What everybody says and when is known. So a stretch of a recording is explained as a sum: short-time
spectra of what was said, each at the delay at which it fits best, weighted by least squares with no
weight below zero. The weight is the gain with which somebody was heard: about 1 for who was heard
as they are, about 0 for who was not. Phases of the sound do not matter, so codecs, jitter buffers
and concealment may do to them what they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from ...errors import MediaError
from ...model import AUDIO_RATE_HZ
from ..recordings import opened
from ..story import Span
from .voices import line

Values = NDArray[np.float64]

RATE_HZ = 16_000
HOP = RATE_HZ // 50
"""20 ms from one spectrum to the next."""
WINDOW = 2 * HOP
BANDS = 40
LOWEST_HZ, HIGHEST_HZ = 100.0, 6000.0
"""Where speech is, and where every codec keeps it."""
MAX_DELAY_STEPS = 35
"""From mouth to file: 0.7 s."""
PIECE_STEPS = 70
"""Each piece of 1.4 s has a delay of its own, because jitter buffers adapt; in shorter ones too
much fits by chance."""
ROUNDS = 3
"""Of finding gains and delays in turns."""
WEIGHT_ROUNDS = 100
AUDIBLE_RMS = 33.0
"""-60 dBov: less than speech and its pauses, more than a codec makes of nothing."""


class Heard(NamedTuple):
    """What is in a stretch of a recording."""

    gains: tuple[float, ...]
    """Of each who talked. 1: as loud as it was said; 0: not at all."""
    delays_s: tuple[float, ...]
    """From mouth to file; of no meaning where the gain is small."""
    rest: float
    """The share of the sound's energy, 0..1, that is nobody's who talked; 0 only in silence."""


class Recording:
    """The sound of a media file, to be asked who is in it; MediaError where there is none."""

    def __init__(self, path: Path) -> None:
        with opened(path) as container:
            if not container.streams.audio:
                raise MediaError(f"there is no sound in {path}")
            resampler = av.AudioResampler("s16", "mono", RATE_HZ)
            frames = [*container.decode(container.streams.audio[0]), None]
            blocks = [block for frame in frames for block in resampler.resample(frame)]
        samples = [block.to_ndarray().reshape(-1) for block in blocks]
        self._samples = np.concatenate(samples).astype(np.float64)

    @property
    def length_s(self) -> float:
        """How long it lasts."""
        return len(self._samples) / RATE_HZ

    def who(self, span: Span, talkers: Sequence[int]) -> Heard:
        """How loud each of these people is who all talk in that span, in seconds of the file."""
        length_s = span.end_s - span.start_s
        late_s = MAX_DELAY_STEPS * HOP / RATE_HZ
        sound = self._part(Span(span.start_s, span.end_s + late_s))
        if not len(sound) or np.sqrt(np.square(sound).mean()) < AUDIBLE_RMS:
            return Heard((0.0,) * len(talkers), (0.0,) * len(talkers), 0.0)
        return explain(spectra(sound), [spectra(said_by(n, length_s)) for n in talkers])

    def _part(self, span: Span) -> Values:
        begin, end = (round(s * RATE_HZ) for s in (span.start_s, span.end_s))
        before = np.zeros(max(0, min(end, 0) - begin))
        part = np.concatenate([before, self._samples[max(0, begin) : max(0, end)]])
        return np.pad(part, (0, max(0, end - begin - len(part))))


def said_by(number: int, length_s: float) -> Values:
    """What a person says in a span of that length, at `RATE_HZ`."""
    resampler = av.AudioResampler("s16", "mono", RATE_HZ)
    frame = av.AudioFrame.from_ndarray(line(number, length_s)[np.newaxis], "s16", "mono")
    frame.sample_rate = AUDIO_RATE_HZ
    blocks = [block for piece in (frame, None) for block in resampler.resample(piece)]
    return np.concatenate([block.to_ndarray().reshape(-1) for block in blocks]).astype(np.float64)


def spectra(samples: Values) -> Values:
    """Amplitudes in bands, one row for each 20 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    lines = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1))
    rows: Values = np.sqrt(np.square(lines) @ _bands())
    return rows


def _bands() -> Values:
    """Which line of the spectrum is in which band, as wide as hearing has them (mel scale)."""
    hz = np.concatenate([[LOWEST_HZ, HIGHEST_HZ], np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)])
    lowest, highest, *lines = np.log10(1 + hz / 700)
    place = np.searchsorted(np.linspace(lowest, highest, BANDS + 1), lines) - 1
    return np.equal(place[:, np.newaxis], np.arange(BANDS)).astype(np.float64)


def explain(sound: Values, said: Sequence[Values]) -> Heard:
    """Gains and delays of what was said in a sound that begins at the same time; all as spectra."""
    rows = len(sound)
    edges = [*range(0, max(1, rows - PIECE_STEPS // 2), PIECE_STEPS), rows]
    pieces = [slice(*bounds) for bounds in pairwise(edges)]
    versions = [_shifts(each, rows) for each in said]
    delays = [[int(np.argmax(_likeness(sound, each)))] * len(pieces) for each in versions]
    for number in range(ROUNDS):
        parts = np.array([_joined(*pair, pieces) for pair in zip(versions, delays, strict=True)])
        gains = non_negative(parts.reshape(len(said), -1), sound.ravel())
        rest = sound - np.tensordot(gains, parts, 1)
        if number < ROUNDS - 1:
            delays = [
                [int(np.argmax(_likeness((rest + gain * part)[p], each[:, p]))) for p in pieces]
                for gain, part, each in zip(gains, parts, versions, strict=True)
            ]
    return Heard(
        tuple(gains.tolist()),
        tuple(median(steps) * HOP / RATE_HZ for steps in delays),
        float(np.square(rest).sum() / np.square(sound).sum()),
    )


def _joined(versions: Values, delays: Sequence[int], pieces: Sequence[slice]) -> Values:
    """Each piece as it is with its delay."""
    pairs = zip(delays, pieces, strict=True)
    return np.concatenate([versions[delay, piece] for delay, piece in pairs])


def _shifts(said: Values, rows: int) -> Values:
    versions = np.zeros((MAX_DELAY_STEPS, rows, BANDS))
    for delay, version in enumerate(versions):
        part = said[: max(0, rows - delay)]
        version[delay : delay + len(part)] = part
    return versions


def _likeness(sound: Values, versions: Values) -> Values:
    norms = np.sqrt(np.square(versions).sum(axis=(1, 2)))
    likeness: Values = np.einsum("tb,dtb->d", sound, versions) / np.maximum(norms, 1e-9)
    return likeness


def non_negative(parts: Values, whole: Values) -> Values:
    """The weights of least squares, none below zero, by coordinate descent."""
    gram, target = parts @ parts.T, parts @ whole
    weights = np.zeros(len(parts))
    for _ in range(WEIGHT_ROUNDS):
        for i in range(len(parts)):
            if gram[i, i] > 0:
                rest = target[i] - gram[i] @ weights + gram[i, i] * weights[i]
                weights[i] = max(0.0, rest / gram[i, i])
    return weights
