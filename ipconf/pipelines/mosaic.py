"""A picture of many people: tiles with names, and a frame around who talks (yuv420p, video range).

It is cheap where little changes: a tile is drawn anew only when its picture, name, place or frame
did, and nothing is ever converted to RGB.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import av
from av.video.reformatter import Interpolation, VideoReformatter

from .mosaic_drawing import (
    BACKGROUND,
    BLACK,
    TALKING,
    Canvas,
    Rect,
    draw_name,
    draw_portrait,
)

DEFAULT_SIZE = (640, 360)
GAP_SHARE = 90
"""The height of the picture over the gap between tiles, in which frames are drawn."""
ASPECT = 16 / 9
"""Of tiles."""
MAX_CROP = 0.3
"""So much of a picture's width or height may be cut off so that it fills its tile."""
MIN_TILE = 2
SLIDES_SHARE = 0.78
"""Of the width, where there are slides."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One person, as they are now."""

    key: Hashable
    """Whose tile that is, from one mosaic to the next."""
    name: str
    picture: av.VideoFrame | None = None
    """None: the camera is off, and the name is shown instead."""
    talking: bool = False
    whole: bool = False
    """Whether nothing of the picture may be cut off: slides."""


class _Drawn(NamedTuple):
    tile: Tile
    place: Rect


class Mosaic:
    """Composes pictures of one size, width and height both even; used by one thread at a time."""

    def __init__(self, size: tuple[int, int] = DEFAULT_SIZE) -> None:
        self.width, self.height = size
        self._gap = gap_of(size[1])
        self._canvas = Canvas(*size)
        self._drawn: dict[Hashable, _Drawn] = {}
        self._reformatters: dict[Hashable, VideoReformatter] = {}
        self.redrawn = 0
        """Tiles drawn so far: what it costs."""

    def compose(self, tiles: Sequence[Tile]) -> av.VideoFrame:
        """The picture of these people, in this order; one alone fills it."""
        places = arranged(tiles, self.width, self.height)
        if [tile.key for tile in tiles] != list(self._drawn) or any(
            place != drawn.place for place, drawn in zip(places, self._drawn.values(), strict=False)
        ):
            self._clear(tiles)
        for tile, place in zip(tiles, places, strict=True):
            before = self._drawn.get(tile.key)
            if before is None or not _same(tile, before.tile):
                self._draw(tile, place, None if before is None else before.tile)
                self._drawn[tile.key] = _Drawn(tile, place)
        return self._canvas.frame()

    def _clear(self, tiles: Sequence[Tile]) -> None:
        self._canvas.fill(Rect(0, 0, self.width, self.height), BACKGROUND)
        self._drawn.clear()
        keys = {tile.key for tile in tiles}
        self._reformatters = {k: r for k, r in self._reformatters.items() if k in keys}

    def _draw(self, tile: Tile, place: Rect, before: Tile | None) -> None:
        if before is None or before.talking is not tile.talking:
            self._canvas.frame_around(
                place, self._gap // 2, TALKING if tile.talking else BACKGROUND
            )
        if before is not None and before.picture is tile.picture and before.name == tile.name:
            return
        self.redrawn += 1
        if tile.picture is None:
            draw_portrait(self._canvas, place, tile.name)
        else:
            self._show(tile, tile.picture, place, before)
        draw_name(self._canvas, place, tile.name)

    def _show(self, tile: Tile, picture: av.VideoFrame, place: Rect, before: Tile | None) -> None:
        """The picture scaled to its tile: centred, cut a little, or with bars where it must be."""
        width, height = _scaled(picture, place, whole=tile.whole)
        scaler = self._reformatters.setdefault(tile.key, VideoReformatter())
        # Averages are as good as smaller pictures get, in half the time.
        smaller = width <= picture.width
        how = Interpolation.AREA if smaller else Interpolation.BILINEAR
        scaled = scaler.reformat(picture, width, height, "yuv420p", interpolation=how, threads=1)
        if width < place.width or height < place.height:
            old = before.picture if before is not None else None
            if old is None or (old.width, old.height) != (picture.width, picture.height):
                self._canvas.fill(place, BLACK)
        self._canvas.paste(scaled, place)


def arranged(tiles: Sequence[Tile], width: int, height: int) -> list[Rect]:
    """Where the tiles are; where some are slides, these have most of the room, on the left."""
    slides = sum(tile.whole for tile in tiles)
    if slides in (0, len(tiles)):
        return grid(len(tiles), width, height)
    split = int(width * SLIDES_SHARE) & ~1
    shown = iter(grid(slides, split, height))
    people = iter(grid(len(tiles) - slides, width - split, height))
    return [next(shown) if tile.whole else next(people).moved(split) for tile in tiles]


def gap_of(height: int) -> int:
    """Pixels between tiles: a frame is half of it, and even, as chroma is halved."""
    return max(4, round(height / GAP_SHARE / 4) * 4)


def grid(count: int, width: int, height: int) -> list[Rect]:
    """Places for so many tiles, as large as they can be; the last row is centred."""
    gap = gap_of(height)
    if count == 1:
        return [Rect(0, 0, width, height)]
    best = (0.0, 1)
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        tile_width = min((width - gap) / columns - gap, ((height - gap) / rows - gap) * ASPECT)
        best = max(best, (tile_width, columns), key=lambda found: found[0])
    tile_width = max(MIN_TILE, int(best[0]) & ~1)
    tile_height = max(MIN_TILE, int(tile_width / ASPECT) & ~1)
    columns, rows = best[1], -(-count // best[1])
    top = (height - rows * (tile_height + gap) + gap) // 2 & ~1
    places = []
    for index in range(count):
        row, column = divmod(index, columns)
        there = min(columns, count - row * columns)
        left = (width - there * (tile_width + gap) + gap) // 2 & ~1
        x, y = left + column * (tile_width + gap), top + row * (tile_height + gap)
        places.append(Rect(x, y, tile_width, tile_height))
    return places


def _same(tile: Tile, before: Tile) -> bool:
    return (
        tile.picture is before.picture
        and tile.talking is before.talking
        and tile.name == before.name
    )


def _scaled(picture: av.VideoFrame, place: Rect, *, whole: bool) -> tuple[int, int]:
    """The size of a picture in its tile: it covers that if not too much is lost, or fits in."""
    across, down = place.width / picture.width, place.height / picture.height
    cover, fit = max(across, down), min(across, down)
    scale = cover if not whole and 1 - fit / cover <= MAX_CROP else fit
    return (
        max(2, round(picture.width * scale / 2) * 2),
        max(2, round(picture.height * scale / 2) * 2),
    )
