"""The cameras of the conference's people: a name on a colour, and a mark that machines can read.

The mark is a row of black and white cells at the top: whose picture it is, its number, and a check.
It outlives a codec as long as cells are told from each other, and the colour has to agree with it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from ...model import Direction, MediaType
from ...terminals.base import CaptureTerminal
from ...terminals.convert import plane_rows
from ...terminals.pictures import TestPictureTerminal
from .scenes import NAMES, Person

Plane = NDArray[np.uint8]

WIDTH, HEIGHT = 320, 180
BITRATE_BPS = 200_000
"""More than these pictures need: what is seen does not depend on how well it is encoded."""
CELLS = 20
CELL = WIDTH // CELLS
MARK_ROWS = 10
"""Above the letters of the name."""
MARGIN = 3
"""Of a cell, on each side, is not looked at: codecs blur."""
COUNTER_BITS, NIBBLE_BITS = 12, 4
BLACK, WHITE = 16, 235
"""Luma in video range."""
THRESHOLD = (BLACK + WHITE) / 2
SATURATION = 44
"""Distance of a colour from grey; two people's are 22 apart or more."""
MAX_COLOUR_ERROR = 10.0
HUE_STEP = 5
"""Of the twelve hues, so that who comes next has another colour altogether."""


class Glance(NamedTuple):
    """What one picture shows."""

    number: int
    """Whose picture it is, as of `Person`."""
    counter: int
    """Which one, modulo 4096."""


class Camera(CaptureTerminal):
    """A moving picture of somebody."""

    terminal_class = "camera"

    def __init__(self, person: Person, fps: float) -> None:
        super().__init__(f"camera of {person.name}", MediaType.VIDEO, Direction.CAPTURE)
        self._number = person.number
        self._picture = TestPictureTerminal(person.name, WIDTH, HEIGHT, fps)

    def read(self, now: float) -> av.VideoFrame | None:
        """The next picture if it is due."""
        frame = self._picture.read(now)
        if frame is not None:
            paint(frame, Glance(self._number, self._picture.frames))
        return frame


def paint(frame: av.VideoFrame, glance: Glance) -> None:
    """Draw a mark, and give all of a picture the colour of whose it is."""
    luma, *chroma = (plane_rows(plane)[:, : plane.width] for plane in frame.planes)
    cells = np.where(_bits(glance), WHITE, BLACK).astype(np.uint8)
    luma[:MARK_ROWS] = np.repeat(cells, CELL)
    for plane, value in zip(chroma, colour_of(glance.number), strict=True):
        plane[:] = value


def recognise(frame: av.VideoFrame) -> Glance | None:
    """Whose picture it is; None where nothing can be read, or mark and colour do not agree."""
    if (frame.width, frame.height) != (WIDTH, HEIGHT) or frame.format.name != "yuv420p":
        return None
    luma, *chroma = (plane_rows(plane)[:, : plane.width] for plane in frame.planes)
    cells = luma[MARGIN : MARK_ROWS - MARGIN].reshape(-1, CELLS, CELL)
    light = cells[:, :, MARGIN : CELL - MARGIN].mean(axis=(0, 2))
    value = int("".join("01"[bit] for bit in (light > THRESHOLD).astype(int)), 2)
    counter = value >> NIBBLE_BITS & (1 << COUNTER_BITS) - 1
    glance = Glance(value >> NIBBLE_BITS + COUNTER_BITS, counter)
    if glance.number >= len(NAMES) or value != _value(glance):
        return None
    error = max(
        abs(float(plane.mean()) - wanted)
        for plane, wanted in zip(chroma, colour_of(glance.number), strict=True)
    )
    return glance if error <= MAX_COLOUR_ERROR else None


@cache
def colour_of(number: int) -> tuple[int, int]:
    """The chroma (U and V) of a person's pictures."""
    angle = 2 * math.pi * (number * HUE_STEP % len(NAMES)) / len(NAMES)
    return 128 + round(SATURATION * math.cos(angle)), 128 + round(SATURATION * math.sin(angle))


def _value(glance: Glance) -> int:
    """The mark as a number: who, which, and a check.

    It notices each single cell that is wrong, and all black and all white.
    """
    counter = glance.counter & (1 << COUNTER_BITS) - 1
    nibbles = [counter >> shift & 15 for shift in range(0, COUNTER_BITS, NIBBLE_BITS)]
    check = (5 + glance.number + sum((2 * n + 3) * nibble for n, nibble in enumerate(nibbles))) & 15
    return (glance.number << COUNTER_BITS | counter) << NIBBLE_BITS | check


def _bits(glance: Glance) -> NDArray[np.bool_]:
    value = _value(glance)
    return np.array([bool(value >> shift & 1) for shift in reversed(range(CELLS))])
