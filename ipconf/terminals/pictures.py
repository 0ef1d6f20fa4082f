"""A moving picture that needs no camera and says whose it is."""

import math
import textwrap
import zlib
from typing import ClassVar

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from ..model import Direction, MediaType
from .base import CaptureTerminal, FrameClock
from .convert import MAX_PICTURE_SIDE, plane_rows
from .font import ADVANCE, GLYPH_HEIGHT, draw, glyph, to_ascii

Plane = NDArray[np.uint8]

WHITE = 235
"""Luma of white; 16 is black (ITU-R BT.601, video range)."""
LANE = 28
"""Luma behind the clock and the bar."""
SATURATION = 44
"""Distance of the background's chroma from grey."""
BAR_PERIOD_S = 4.0
"""The bar crosses the picture in this time."""
LINE_PITCH = GLYPH_HEIGHT + 2
"""Rows of dots from one line of the name to the next."""
MIN_SIDE = 32
"""Below that not even a small letter is readable."""


class TestPictureTerminal(CaptureTerminal):
    """The party's name on a colour of its own, a clock, a frame counter and a moving bar.

    Only what changed is drawn anew, straight into the planes of a yuv420p frame.
    """

    __test__ = False  # no test class, whatever the name makes pytest believe
    terminal_class: ClassVar[str] = "test picture"

    def __init__(self, name: str, width: int = 640, height: int = 360, fps: float = 30.0) -> None:
        super().__init__(name, MediaType.VIDEO, Direction.CAPTURE)
        for side in (width, height):
            if side % 2 or not MIN_SIDE <= side <= MAX_PICTURE_SIDE:
                raise ConfigurationError(
                    f"a test picture of {width}x{height}: each side is even, "
                    f"{MIN_SIDE} to {MAX_PICTURE_SIDE} pixels"
                )
        self.width = width
        self.height = height
        self.frames = 0
        """Frames drawn so far."""
        self._clock = FrameClock(fps)
        self._began: float | None = None
        self._luma, self._u, self._v = _background(name, width, height)
        _draw_name(self._luma, name)
        self._text = _TextLine(self._luma, top=height * 5 // 8, height=height // 8, letters=18)
        self._bar = _Bar(self._luma, self._u, self._v, top=height * 13 // 16 & ~1)

    def read(self, now: float) -> av.VideoFrame | None:
        """The next picture if it is due."""
        if self._closed or not self._clock.is_due(now):
            return None
        if self._began is None:
            self._began = now
        elapsed_s = now - self._began
        minutes, hundredths = divmod(int(elapsed_s * 100), 6000)
        time = f"{minutes % 1000:03}:{hundredths // 100:02}.{hundredths % 100:02}"
        self._text.write(f"{time}  #{self.frames % 10**6:06}")
        self._bar.move(elapsed_s / BAR_PERIOD_S % 1)
        self.frames += 1
        return _frame(self._luma, self._u, self._v)


class _TextLine:
    """A line of text that is rewritten often: only letters that differ are drawn."""

    def __init__(self, luma: Plane, top: int, height: int, letters: int) -> None:
        width = luma.shape[1]
        self._scale = max(1, min(height // (GLYPH_HEIGHT + 2), width // (ADVANCE * letters)))
        luma[top : top + height] = LANE
        first = top + (height - GLYPH_HEIGHT * self._scale) // 2
        left = max(0, (width - ADVANCE * letters * self._scale) // 2)
        self._area = luma[first : first + GLYPH_HEIGHT * self._scale, left:]
        self._shown = " " * letters

    def write(self, text: str) -> None:
        step = ADVANCE * self._scale
        for place, (old, new) in enumerate(zip(self._shown, text, strict=False)):
            cell = self._area[:, place * step : (place + 1) * step]
            if old != new and cell.shape[1] == step:
                cell[:] = np.where(glyph(new, self._scale), WHITE, LANE)
        self._shown = text


class _Bar:
    """A bar that moves to the right in a lane of its own."""

    def __init__(self, luma: Plane, u: Plane, v: Plane, top: int) -> None:
        height, width = luma.shape
        bottom = max(top + 2, height - height // 16) & ~1
        self._luma = luma[top:bottom]
        self._u = u[top // 2 : bottom // 2]
        self._v = v[top // 2 : bottom // 2]
        self._luma[:] = LANE
        # The bar has the opposite colour of the background.
        self._colours = (int(u[0, 0]), int(v[0, 0]), 256 - int(u[0, 0]), 256 - int(v[0, 0]))
        self._width = max(2, width // 12 & ~1)
        self._left = 0

    def move(self, position: float) -> None:
        u, v, bar_u, bar_v = self._colours
        self._paint(LANE, u, v)
        self._left = int(position * (self._luma.shape[1] - self._width)) & ~1
        self._paint(WHITE - 40, bar_u, bar_v)

    def _paint(self, luma: int, u: int, v: int) -> None:
        left, right = self._left, self._left + self._width
        self._luma[:, left:right] = luma
        self._u[:, left // 2 : right // 2] = u
        self._v[:, left // 2 : right // 2] = v


def _background(name: str, width: int, height: int) -> tuple[Plane, Plane, Plane]:
    # The same name has the same colour in every process (str hashes would not).
    angle = 2 * math.pi * (zlib.crc32(name.encode()) % 360) / 360
    luma = np.linspace(90, 50, height).astype(np.uint8)[:, np.newaxis].repeat(width, axis=1)
    shape = (height // 2, width // 2)
    u = np.full(shape, 128 + round(SATURATION * math.cos(angle)), np.uint8)
    v = np.full(shape, 128 + round(SATURATION * math.sin(angle)), np.uint8)
    return luma, u, v


def _draw_name(luma: Plane, name: str) -> None:
    """The name in one to three lines, whichever allows the largest letters; cut if it must be."""
    height, width = luma.shape
    best_scale, best_lines = 0, [" "]
    for count in (1, 2, 3):
        lines = textwrap.wrap(to_ascii(name), max(1, -(-len(name) // count)))[:3] or [" "]
        letters = max(map(len, lines))
        scale = min(
            width * 9 // 10 // (ADVANCE * letters), height // 2 // (LINE_PITCH * len(lines))
        )
        if scale > best_scale:
            best_scale, best_lines = scale, lines
    scale = max(1, best_scale)
    top = max(0, (height * 5 // 8 - LINE_PITCH * scale * len(best_lines)) // 2)
    for number, line in enumerate(best_lines):
        mask = draw(line, scale)[:, :width]
        left = (width - mask.shape[1]) // 2
        first = top + number * LINE_PITCH * scale
        luma[first : first + mask.shape[0], left : left + mask.shape[1]][mask] = WHITE


def _frame(luma: Plane, u: Plane, v: Plane) -> av.VideoFrame:
    """A frame of its own with these planes: the receiver may keep it while the next is drawn."""
    height, width = luma.shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, pixels in zip(frame.planes, (luma, u, v), strict=True):
        plane_rows(plane)[:, : plane.width] = pixels
    return frame
