"""Looks into a recording: whose voice is in it, whose picture, and when there was none.

A voice is known by its loudness over time. Fifty values a second follow the syllables, and codecs,
jitter buffers and concealment leave them nearly as they were. A picture is known by the name drawn
in it and by its colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ..terminals.convert import plane_rows
from ..terminals.pictures import TestPictureTerminal
from .story import Role, Span

Values = NDArray[np.float64]

MAX_DELAY_S = 1.0
"""From the far end's clip into our file: network, jitter buffer and codecs."""
MAX_PIECE_S = 5.0
"""Long enough to hold many syllables."""
NAME_AREA = 5 / 8
"""The part of a test picture, from its top, that holds the name and stands still."""
THINNING = 4
"""Only every fourth row and column is looked at; the letters are much larger."""


class Likeness(NamedTuple):
    """How much a picture is like a certain party's."""

    name: float
    """Correlation of the light in the name's area: 1 the same name, about 0 another."""
    colour: float
    """Distance of the background's colour (U and V), 0..255."""


@dataclass(frozen=True, slots=True)
class Look:
    """One picture of a recording, compared with two parties' test pictures and the one before."""

    at_s: float
    far: Likeness
    own: Likeness
    change: float
    """Mean difference of the light below the name, where clock and bar are, 0..255."""


class Traits(NamedTuple):
    """What a picture is known by."""

    light: Values
    """Of the name's area, flat."""
    colour: Values
    """The mean U and V there."""
    motion: Values
    """The light of what is below, flat."""


class Sound:
    """The sound of a media file: its loudness (RMS of 16 bit) in steps of 20 ms.

    Raises MediaError for a file without sound.
    """

    def __init__(self, path: Path) -> None:
        with opened(path) as container:
            if not container.streams.audio:
                raise MediaError(f"there is no sound in {path}")
            resampler = av.AudioResampler("s16", "mono", AUDIO_RATE_HZ, AUDIO_FRAME_SAMPLES)
            frames = container.decode(container.streams.audio[0])
            whole = chain(frames, [None])  # None: give out the rest
            blocks = (block for frame in whole for block in resampler.resample(frame))
            measured = [(_rms(block), block.samples) for block in blocks]
        self.loudness: Values = np.array([rms for rms, _ in measured])
        self.length_s = sum(samples for _, samples in measured) / AUDIO_RATE_HZ

    def within(self, spans: Iterable[Span]) -> list[Values]:
        """The loudness in each of these spans, in seconds of the file."""
        return [self.loudness[max(0, _step(s.start_s)) : max(0, _step(s.end_s))] for s in spans]

    def at(self, seconds: Values) -> Values:
        """The loudness at these times when the sound is played over and over."""
        steps = np.arange(len(self.loudness)) + 0.5
        period = self.length_s / AUDIO_FRAME_S
        return np.interp(seconds / AUDIO_FRAME_S + 0.5, steps, self.loudness, period=period)


def likeness(
    recorded: Sound, spans: Sequence[Span], clip: Sound, clip_began_s: float
) -> tuple[float, float]:
    """How much the sound in these spans is like a clip that is played over and over.

    Returns the correlation of the two loudness curves (1: the same, about 0: nothing in common),
    and the usual delay in seconds. `clip_began_s` is when the clip began, in seconds of the
    recording. Every few seconds have a delay of their own, because jitter buffers adapt.
    """
    heard: list[Values] = []
    expected: list[Values] = []
    delays: list[float] = []
    pieces = [piece for span in spans for piece in _pieces(span)]
    for span, curve in zip(pieces, recorded.within(pieces), strict=True):
        times = max(0, _step(span.start_s)) * AUDIO_FRAME_S + AUDIO_FRAME_S * np.arange(len(curve))
        candidates = np.arange(0, MAX_DELAY_S, AUDIO_FRAME_S)
        versions = [clip.at(times - clip_began_s - delay) for delay in candidates]
        errors = [float(np.square(curve - version).sum()) for version in versions]
        best = int(np.argmin(errors))
        heard.append(curve)
        expected.append(versions[best])
        delays.append(float(candidates[best]))
    return correlation(np.concatenate(heard), np.concatenate(expected)), median(delays)


def _pieces(span: Span) -> list[Span]:
    length_s = span.end_s - span.start_s
    count = math.ceil(length_s / MAX_PIECE_S)
    bounds = [span.start_s + length_s * index / count for index in range(count + 1)]
    return [Span(start_s, end_s) for start_s, end_s in pairwise(bounds)]


def correlation(one: Values, other: Values) -> float:
    """Pearson's; 0 where one of the two does not vary, or nothing is there."""
    if len(one) < 2 or not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def looks(path: Path, far: Role, own: Role) -> list[Look]:
    """Every picture of a recording, compared with those that these parties send.

    Raises MediaError for a file without pictures.
    """
    with opened(path) as container:
        if not container.streams.video:
            raise MediaError(f"there is no picture in {path}")
        stream = container.streams.video[0]
        references = [_traits(_picture_of(r, stream.width, stream.height)) for r in (far, own)]
        found: list[Look] = []
        before: Traits | None = None
        for frame in container.decode(stream):
            traits = _traits(frame)
            change = 0.0 if before is None else float(np.abs(traits.motion - before.motion).mean())
            like_far, like_own = (_likeness(traits, reference) for reference in references)
            found.append(Look(frame.time or 0.0, like_far, like_own, change))
            before = traits
    return found


def _likeness(traits: Traits, reference: Traits) -> Likeness:
    colour = float(np.abs(traits.colour - reference.colour).max())
    return Likeness(correlation(traits.light, reference.light), colour)


def _traits(frame: av.VideoFrame) -> Traits:
    planes = [plane_rows(plane)[:, : plane.width].astype(np.float64) for plane in frame.planes]
    above = [plane[: int(len(plane) * NAME_AREA)] for plane in planes]
    thinned = planes[0][::THINNING, ::THINNING]
    border = len(thinned) * NAME_AREA
    light, motion = thinned[: int(border)].reshape(-1), thinned[int(border) + 1 :].reshape(-1)
    return Traits(light, np.array([above[1].mean(), above[2].mean()]), motion)


def _picture_of(role: Role, width: int, height: int) -> av.VideoFrame:
    frame = TestPictureTerminal(role.name, width, height).read(0.0)
    assert frame is not None  # the first picture is always due
    return frame


def opened(path: Path) -> av.container.InputContainer:
    """A media file to read; MediaError where that cannot be."""
    try:
        return av.open(str(path))
    except (OSError, ValueError, av.FFmpegError) as exc:
        raise MediaError(f"cannot open {path}: {exc}") from exc


def _rms(block: av.AudioFrame) -> float:
    return float(np.sqrt(np.square(block.to_ndarray().astype(np.float64)).mean()))


def _step(seconds: float) -> int:
    return round(seconds / AUDIO_FRAME_S)
