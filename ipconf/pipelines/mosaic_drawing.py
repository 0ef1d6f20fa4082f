"""Drawing into the planes of a yuv420p picture: colours, frames, names, portraits.

Places are even in all their numbers, as chroma has half the width and half the height.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from ..terminals.convert import plane_rows
from ..terminals.font import ADVANCE, GLYPH_HEIGHT, draw, to_ascii

WHITE = 235
SATURATION = 30
"""Distance of a portrait's chroma from grey."""
PORTRAIT_LUMA = 62
DISC_LUMA = 108
PLATE_SHADE, PLATE_LUMA = 2, 14
"""Behind a name the picture is a quarter as bright, and at least so."""
NAME_SHARE, NAME_MIN, NAME_GROWTH = 14, 6, 40
"""The height of a small tile over that of its letters; in large ones they grow more slowly."""


class Rect(NamedTuple):
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def moved(self, right: int) -> Rect:
        """The same, so far to the right."""
        return self._replace(left=self.left + right)


class Colour(NamedTuple):
    """A colour in video range (ITU-R BT.601)."""

    y: int
    u: int
    v: int


BACKGROUND = Colour(30, 132, 126)
BLACK = Colour(16, 128, 128)
TALKING = Colour(168, 74, 64)
"""Green."""


class Canvas:
    """A picture to draw on."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.luma = np.full((height, width), BACKGROUND.y, np.uint8)
        self.chroma = (
            np.full((height // 2, width // 2), BACKGROUND.u, np.uint8),
            np.full((height // 2, width // 2), BACKGROUND.v, np.uint8),
        )

    def frame(self) -> av.VideoFrame:
        """A copy, to keep."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for plane, pixels in zip(frame.planes, (self.luma, *self.chroma), strict=True):
            plane_rows(plane)[:, : plane.width] = pixels
        return frame

    def fill(self, place: Rect, colour: Colour) -> None:
        """Paint a part in one colour."""
        left, top, width, height = place
        self.luma[top : top + height, left : left + width] = colour.y
        for plane, value in zip(self.chroma, colour[1:], strict=True):
            plane[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2] = value

    def frame_around(self, place: Rect, thickness: int, colour: Colour) -> None:
        """Paint a frame outside a part."""
        left, top, width, height = place
        wide = width + 2 * thickness
        for y in (top - thickness, top + height):
            self.fill(Rect(left - thickness, y, wide, thickness), colour)
        for x in (left - thickness, left + width):
            self.fill(Rect(x, top, thickness, height), colour)

    def paste(self, picture: av.VideoFrame, place: Rect) -> None:
        """Copy the middle of a picture into the middle of a part, as much as there is room for."""
        width, height = min(picture.width, place.width), min(picture.height, place.height)
        x, y = (picture.width - width) // 2 & ~1, (picture.height - height) // 2 & ~1
        left = place.left + ((place.width - width) // 2 & ~1)
        top = place.top + ((place.height - height) // 2 & ~1)
        for number, (plane, source) in enumerate(
            zip((self.luma, *self.chroma), picture.planes, strict=True)
        ):
            half = min(number, 1)
            w, h = width >> half, height >> half
            rows = plane_rows(source)[y >> half : (y >> half) + h, x >> half : (x >> half) + w]
            plane[top >> half : (top >> half) + h, left >> half : (left >> half) + w] = rows


def colour_of(name: str) -> Colour:
    """A colour of its own for everybody."""
    # The same name has the same colour in every process (str hashes would not).
    angle = 2 * math.pi * (zlib.crc32(name.encode(errors="replace")) % 360) / 360
    u, v = (128 + round(SATURATION * f(angle)) for f in (math.cos, math.sin))
    return Colour(PORTRAIT_LUMA, u, v)


def draw_portrait(canvas: Canvas, place: Rect, name: str) -> None:
    """A tile for somebody without a picture: their initials on a disc."""
    canvas.fill(place, colour_of(name))
    left, top, width, height = place
    radius = min(width, height) * 3 // 10
    area = canvas.luma[top : top + height, left : left + width]
    middle_y, middle_x = height // 2 - height // 20, width // 2
    rows, columns = np.ogrid[:height, :width]
    area[(rows - middle_y) ** 2 + (columns - middle_x) ** 2 <= radius * radius] = DISC_LUMA
    letters = initials(name)
    if letters:
        scale = max(1, round(radius * 1.1) // (ADVANCE * max(2, len(letters)) - 1))
        _write(area, letters, scale, middle_x, middle_y)


def draw_name(canvas: Canvas, place: Rect, name: str) -> None:
    """The name at the lower left, on a plate through which the picture is seen."""
    left, top, width, height = place
    letters_height = min(height / NAME_SHARE, NAME_MIN + height / NAME_GROWTH)
    scale = max(1, round(letters_height / GLYPH_HEIGHT))
    margin = 2 * scale
    letters = (width - 2 * margin) // (ADVANCE * scale)
    if letters < 2 or height < (GLYPH_HEIGHT + 4) * scale:
        return
    mask = _mask(name, scale, letters)
    plate_height = mask.shape[0] + 2 * margin
    area = canvas.luma[
        top + height - plate_height : top + height, left : left + mask.shape[1] + 2 * margin
    ]
    area >>= PLATE_SHADE
    area += PLATE_LUMA
    area[margin : margin + mask.shape[0], margin : margin + mask.shape[1]][mask] = WHITE


def fitted(name: str, letters: int) -> str:
    """A name in so many letters that the font has."""
    plain = to_ascii(name).strip()
    return plain if len(plain) <= letters else plain[: letters - 2].rstrip() + ".."


def initials(name: str) -> str:
    """The first letters of the first and the last word."""
    words = [word for word in to_ascii(name).split() if word[0].isalnum()]
    return "".join(word[0] for word in dict.fromkeys((*words[:1], *words[-1:]))).upper()


@lru_cache(maxsize=512)
def _mask(text: str, scale: int, letters: int) -> NDArray[np.bool_]:
    return draw(fitted(text, letters) or " ", scale)[:, :-scale]


def _write(area: NDArray[np.uint8], text: str, scale: int, middle_x: int, middle_y: int) -> None:
    mask = _mask(text, scale, len(text))
    height, width = mask.shape
    top, left = max(0, middle_y - height // 2), max(0, middle_x - width // 2)
    target = area[top : top + height, left : left + width]
    target[mask[: target.shape[0], : target.shape[1]]] = WHITE
