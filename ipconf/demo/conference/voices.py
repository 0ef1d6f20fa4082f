"""The voices of the conference's people: two clips of speech, played at twelve paces.

Who plays a clip slower or faster is heard lower or higher, and has other syllables at any one
instant: that is what tells the voices apart in a recording (`listening`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ...model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from ...terminals.base import CaptureTerminal, Samples
from ..story import ROLES, Span

PACES = (1.0, 0.84, 1.18, 0.92, 1.08, 0.77)
"""A semitone and a half apart, the deepest 4.5 below the clip."""
QUIET_SAMPLE = 300
"""-41 dBFS: what comes before a clip's first sample that is louder is not played."""


@cache
def voice(number: int) -> NDArray[np.int16]:
    """The speech of the person with that number, counted from 0: mono, from its first sound on."""
    clip = _decoded(ROLES[number % len(ROLES)].clip)
    pace = PACES[number // len(ROLES) % len(PACES)]
    places = np.arange(0, len(clip) - 1, pace)
    spoken = np.rint(np.interp(places, np.arange(len(clip)), clip)).astype(np.int16)
    begin = int(np.argmax(np.abs(spoken) > QUIET_SAMPLE))
    voiced: NDArray[np.int16] = spoken[begin:]
    return voiced


def line(number: int, length_s: float) -> NDArray[np.int16]:
    """What that person says within so many seconds, over and over if there is time."""
    return np.resize(voice(number), round(length_s * AUDIO_RATE_HZ))


def _decoded(path: Path) -> NDArray[np.float64]:
    resampler = av.AudioResampler("s16", "mono", AUDIO_RATE_HZ)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float64)


class Mouth(CaptureTerminal):
    """Says a person's lines, each in its span of the loop's clock; is silent in between."""

    terminal_class = "mouth"

    def __init__(self, number: int) -> None:
        super().__init__("mouth", MediaType.AUDIO, Direction.CAPTURE)
        self._number = number
        voice(number)  # decoded before anything is due
        self._lines: list[tuple[Span, NDArray[np.int16]]] = []
        self._rest: NDArray[np.int16] = np.zeros(0, np.int16)

    def say(self, spans: Iterable[Span]) -> None:
        """Talk in these spans of the loop's clock, in order, each time from the beginning."""
        self._lines = [(s, line(self._number, s.end_s - s.start_s)) for s in spans]

    def read(self, now: float) -> Samples | None:
        """The next 20 ms."""
        while self._lines and now >= self._lines[0][0].start_s:
            span, spoken = self._lines.pop(0)
            late = int((now - span.start_s) / AUDIO_FRAME_S)
            self._rest = spoken[late * AUDIO_FRAME_SAMPLES :]
        block = np.zeros((AUDIO_FRAME_SAMPLES, 1), np.int16)
        said, self._rest = np.split(self._rest, [AUDIO_FRAME_SAMPLES])
        block[: len(said), 0] = said
        return block
