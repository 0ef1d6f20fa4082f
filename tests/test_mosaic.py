"""Pictures of many people in one: places, frames, names, and what it costs."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from senses import BLUE, GREEN, RED, VIDEO, YELLOW, Colour, paint
from terminal_lab import luma_of, solid_frame
from video_lab import picture

from ipconf.hub.people import Role
from ipconf.hub.recording_sources import Sender, Senders
from ipconf.hub.recording_stage import MAX_SLIDES, MAX_SOURCES, Floor, Stage
from ipconf.pipelines.mosaic import DEFAULT_SIZE, Mosaic, Tile, arranged, gap_of, grid
from ipconf.pipelines.mosaic_drawing import (
    BACKGROUND,
    BLACK,
    TALKING,
    WHITE,
    Rect,
    fitted,
    initials,
)
from ipconf.terminals.base import RenderTerminal
from ipconf.terminals.convert import plane_rows

SIZES = [DEFAULT_SIZE, (1280, 720), (320, 180), (360, 640), (64, 64)]


def planes(frame: av.VideoFrame) -> NDArray[np.int16]:
    """Y, U and V of each pixel."""
    y, u, v = (plane_rows(plane)[:, : plane.width] for plane in frame.planes)
    u, v = (half.repeat(2, axis=0).repeat(2, axis=1) for half in (u, v))
    return np.stack((y, u, v)).astype(np.int16)


def colour_at(frame: av.VideoFrame, x: int, y: int) -> Colour:
    found = planes(frame)[:, y, x]
    return int(found[0]), int(found[1]), int(found[2])


def is_close(one: Colour, other: Colour) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 10


def middle(place: Rect) -> tuple[int, int]:
    return place.left + place.width // 2, place.top + place.height // 2


def edge(place: Rect) -> tuple[int, int]:
    """A pixel in the frame around a tile, on the left."""
    return place.left - 1, place.top + place.height // 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 16])
def test_tiles_have_places_of_their_own(size: tuple[int, int], count: int) -> None:
    places = grid(count, *size)
    assert len(places) == count
    for left, top, width, height in places:
        assert left >= 0 and left + width <= size[0] and top >= 0 and top + height <= size[1]
        assert not any(number % 2 for number in (left, top, width, height))
    for one, other in combinations(places, 2):
        apart_x = max(one.left, other.left) - min(one.left + one.width, other.left + other.width)
        apart_y = max(one.top, other.top) - min(one.top + one.height, other.top + other.height)
        assert max(apart_x, apart_y) >= gap_of(size[1])


def test_each_sees_everybody_in_their_place() -> None:
    mosaic = Mosaic()
    shown = {"a": (RED, RED), "b": (GREEN, GREEN), "c": (BLUE, BLUE), "d": (YELLOW, YELLOW)}
    frame = mosaic.compose([Tile(k, k, paint(p)) for k, p in shown.items()])
    assert (frame.width, frame.height, frame.format.name) == (*DEFAULT_SIZE, "yuv420p")
    for place, (colour, _) in zip(grid(4, *DEFAULT_SIZE), shown.values(), strict=True):
        assert is_close(colour_at(frame, *middle(place)), colour)


def test_who_talks_is_framed_as_long_as_they_do() -> None:
    mosaic, picture_of_all = Mosaic(), paint((RED, RED))
    places = grid(3, *DEFAULT_SIZE)

    def frames(talker: int | None) -> list[bool]:
        tiles = [Tile(n, "x", picture_of_all, n == talker) for n in range(3)]
        frame = mosaic.compose(tiles)
        seen = [colour_at(frame, *edge(place)) for place in places]
        assert all(is_close(each, TALKING) or is_close(each, BACKGROUND) for each in seen)
        return [is_close(each, TALKING) for each in seen]

    assert frames(None) == [False] * 3
    assert frames(1) == [False, True, False]
    assert frames(2) == [False, False, True]
    assert frames(None) == [False] * 3


def test_only_what_changed_is_drawn() -> None:
    mosaic = Mosaic()
    pictures = [paint((RED, GREEN)) for _ in range(6)]
    tiles = [Tile(n, f"{n}", p) for n, p in enumerate(pictures)]
    first = mosaic.compose(tiles)
    assert mosaic.redrawn == 6
    tiles[2] = Tile(2, "2", pictures[2], talking=True)
    mosaic.compose(tiles)
    assert mosaic.redrawn == 6, "a frame is no new picture"
    tiles[4] = Tile(4, "4", paint((BLUE, BLUE)), talking=False)
    second = mosaic.compose(tiles)
    assert mosaic.redrawn == 7
    changed = np.abs(planes(first) - planes(second)).max(axis=0) > 20
    rows, columns = np.nonzero(changed)
    for index in (0, 1, 3, 5):
        place = grid(6, *DEFAULT_SIZE)[index]
        inside = (rows >= place.top) & (rows < place.top + place.height)
        inside &= (columns >= place.left) & (columns < place.left + place.width)
        assert not inside.any()
    mosaic.compose(tiles[:5])
    assert mosaic.redrawn == 12, "all others have other places now"
    mosaic.compose([tiles[1], tiles[0], *tiles[2:5]])
    assert mosaic.redrawn == 17


def test_a_frame_that_was_given_out_stays_as_it_is() -> None:
    mosaic = Mosaic()
    before = mosaic.compose([Tile(1, "x", paint((RED, RED)))])
    mosaic.compose([Tile(1, "x", paint((BLUE, BLUE)))])
    assert is_close(colour_at(before, 320, 180), RED)


def test_a_camera_that_is_off_is_told() -> None:
    mosaic = Mosaic()
    mosaic.compose([Tile(1, "Ann Lee", paint((RED, RED)))])
    frame = mosaic.compose([Tile(1, "Ann Lee")])
    assert not is_close(colour_at(frame, 100, 20), RED)
    letters = luma_of(frame)[100:240, 220:420] > 220
    assert 0.01 < letters.mean() < 0.5, "the initials are in the middle"
    again = mosaic.compose([Tile(1, "Ann Lee", paint((RED, RED)))])
    assert is_close(colour_at(again, 100, 20), RED)


def test_names_are_told_apart() -> None:
    def plate(name: str) -> NDArray[np.bool_]:
        frame = Mosaic().compose([Tile(1, name, solid_frame(640, 360, 128))])
        return planes(frame)[0, -30:, :250] > WHITE - 20

    assert plate("Ann").any() and (plate("Ann") != plate("Bob")).any()
    assert plate("Ann, who has a longer name").sum() > 2 * plate("Ann").sum()


@pytest.mark.parametrize(
    ("size", "seen_at_the_side"),
    [((640, 480), True), ((480, 640), False), ((1000, 100), True), ((640, 360), True)],
)
def test_pictures_keep_their_shape(size: tuple[int, int], seen_at_the_side: bool) -> None:
    """A little is cut off; where it would be much, there are bars."""
    frame = Mosaic().compose([Tile(1, "", solid_frame(*size, 200))])
    luma = planes(frame)[0]
    assert (luma[180, 4] > 150) is np.bool_(seen_at_the_side)
    assert (luma[4, 320] > 150) is np.bool_(size[0] < 1000)
    assert luma[180, 320] > 150


def test_nothing_is_cut_off_slides() -> None:
    slides = solid_frame(640, 480, 200)
    frame = Mosaic().compose([Tile(1, "", slides, whole=True)])
    assert is_close(colour_at(frame, 4, 180), BLACK)
    assert luma_of(frame)[180, 100] > 150


def test_slides_have_most_of_the_room() -> None:
    tiles = [Tile("s", "slides", None, whole=True), *(Tile(n, f"{n}") for n in range(4))]
    slides, *people = arranged(tiles, *DEFAULT_SIZE)
    assert slides.width > 0.7 * DEFAULT_SIZE[0]
    assert all(p.left >= slides.left + slides.width for p in people)
    assert all(p.left + p.width <= DEFAULT_SIZE[0] for p in people)


def test_a_picture_of_another_size_leaves_nothing_behind() -> None:
    mosaic = Mosaic()
    mosaic.compose([Tile(1, "", solid_frame(640, 360, 230))])
    frame = mosaic.compose([Tile(1, "", solid_frame(360, 640, 230))])
    assert luma_of(frame)[180, 10] < 30 and luma_of(frame)[180, 320] > 150


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "name", ["", " ", "A", "Zoë Ångström", "王小明", "🦀", "x" * 300, "a\nb\0"]
)
def test_any_name_in_any_size(size: tuple[int, int], name: str) -> None:
    for count in (1, 16):
        mosaic = Mosaic(size)
        for shown in (None, picture(1)):
            frame = mosaic.compose([Tile(n, name, shown) for n in range(count)])
            assert (frame.width, frame.height) == size


@pytest.mark.parametrize("pixels", ["rgb24", "yuvj420p", "nv12", "gray"])
@pytest.mark.parametrize("size", [(639, 359), (2, 2), (4096, 128)])
def test_any_picture(pixels: str, size: tuple[int, int]) -> None:
    strange = solid_frame(640, 360, 128).reformat(*size, format=pixels)
    frame = Mosaic().compose([Tile(1, "Ann", strange), Tile(2, "Bob")])
    x, y = middle(grid(2, *DEFAULT_SIZE)[0])
    assert abs(colour_at(frame, x, y)[0] - 126) < 16


def test_nobody_is_a_picture_too() -> None:
    frame = Mosaic().compose([])
    assert is_close(colour_at(frame, 320, 180), BACKGROUND)


def test_names_are_cut_and_made_initials() -> None:
    assert fitted("Christopher Longfellow", 12) == "Christophe.."
    assert fitted("Zoë", 12) == "Zoe"
    assert [initials(n) for n in ("Ann Lee", "Bob", "ann van der lee", "", "- 7up")] == [
        "AL",
        "B",
        "AL",
        "",
        "7",
    ]


# -- who is on it


class Thing(SimpleNamespace):
    """Anything with attributes; each is only equal to itself."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class FakeSubStream(Thing):
    """Takes terminals."""

    def __init__(self, whose: object, content: str = "") -> None:
        super().__init__(whose=whose, content=content, media_type=VIDEO, terminals=[])

    def select_terminal(self, terminal: RenderTerminal) -> None:
        self.terminals.append(terminal)

    def unselect_terminal(self, terminal: RenderTerminal) -> None:
        self.terminals.remove(terminal)


class Meeting(Thing):
    """A conference of people with cameras, some of them with slides."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        super().__init__(dominant=None, side=set(), slides={}, silent=set())
        self.people = [
            Thing(name=f"{n}", talking=False, present=True, leg=Thing(role=Role.SPEAKER))
            for n in range(count)
        ]
        self.cameras = {person: FakeSubStream(person) for person in self.people}
        monkeypatch.setattr(Senders, "_there", lambda senders: self.senders())

    @property
    def attendees(self) -> tuple[Any, ...]:
        return tuple(person for person in self.people if person.present)

    def senders(self) -> list[Any]:
        streams = [*self.cameras.values(), *self.slides.values()]
        return [Sender(s.whose.leg, s, s.whose) for s in streams if s.whose.present]

    def attendee_of(self, leg: object, source: object) -> object:
        return source

    def room_of(self, person: object) -> str:
        return "side" if person in self.side else ""

    def send(self, now: float) -> None:
        """Everybody who is decoded sends a picture."""
        for stream in (*self.cameras.values(), *self.slides.values()):
            for terminal in stream.terminals:
                if stream.whose not in self.silent:
                    terminal.write(paint((RED, RED)), now)

    def decoded(self) -> str:
        return "".join(p.name for p, stream in self.cameras.items() if stream.terminals)


def seen(stage: Stage, now: float) -> str:
    """Names, with a dash behind those without a picture."""
    return " ".join(t.name + ("-" if t.picture is None else "") for t in stage.tiles(now))


def test_where_people_are_too_many_talkers_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Meeting(monkeypatch, 6)
    stage = Stage(there, 3)  # type: ignore[arg-type]
    stage.look(0.0)
    assert seen(stage, 0.0) == "0- 1- 2-" and there.decoded() == "012"
    there.send(0.1)
    assert seen(stage, 0.2) == "0 1 2"
    there.people[4].talking = True
    stage.look(5.0)
    assert "4" in there.decoded() and len(there.decoded()) == 3, "no more are decoded than seen"
    there.people[4].talking = False
    there.people[4].present = False
    stage.look(10.0)
    assert "4" not in seen(stage, 10.0) and len(there.decoded()) == 3
    stage.end()
    assert there.decoded() == ""


def test_old_pictures_and_side_rooms_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Meeting(monkeypatch, 3)
    stage = Stage(there, 16)  # type: ignore[arg-type]
    stage.look(0.0)
    there.send(0.0)
    there.silent.add(there.people[1])
    there.send(1.0)
    assert [seen(stage, at) for at in (1.0, 1.6)] == ["0 1 2", "0 1- 2"]
    there.side.add(there.people[0])
    stage.look(1.6)
    assert seen(stage, 1.6) == "1- 2" and there.decoded() == "12"


def test_slides_come_first_and_last_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Meeting(monkeypatch, 2)
    there.slides[there.people[1]] = FakeSubStream(there.people[1], "slides")
    stage = Stage(there, 16)  # type: ignore[arg-type]
    stage.look(0.0)
    assert seen(stage, 0.0) == "0- 1-"
    there.send(0.0)
    assert seen(stage, 1.0) == "1: slides 0 1" and stage.tiles(1.0)[0].whole
    assert seen(stage, 3.0) == "1: slides 0- 1-"
    assert seen(stage, 30.0) == "0- 1-"


def test_nobody_can_make_everybody_decode_a_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Meeting(monkeypatch, 7)
    stage = Stage(there, 16)  # type: ignore[arg-type]
    more = [FakeSubStream(there.people[0], kind) for kind in ("", "slides") for _ in range(9)]
    there.slides.update(enumerate(more))
    there.slides.update((p, FakeSubStream(p, "slides")) for p in there.people[1:])
    stage.look(0.0)
    assert sum(bool(stream.terminals) for stream in more) == (MAX_SOURCES - 1) + MAX_SOURCES
    there.send(0.0)
    tiles = stage.tiles(0.1)
    assert sum(tile.whole for tile in tiles) == MAX_SLIDES and len(tiles) == MAX_SLIDES + 7
    assert len({tile.key for tile in tiles}) == len(tiles)


def test_who_had_the_floor_is_seen_until_the_next_one_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = Meeting(monkeypatch, 3)
    stage = Floor(there)  # type: ignore[arg-type]
    stage.look(0.0)
    there.send(0.0)
    assert seen(stage, 0.1) == "0" and there.decoded() == "0"
    there.dominant = there.people[2]
    stage.look(0.2)
    assert seen(stage, 0.3) == "0" and there.decoded() == "02"
    there.send(0.5)
    assert seen(stage, 0.5) == "2"
    stage.look(0.6)
    assert there.decoded() == "2"
    there.dominant = there.people[1]
    there.silent.add(there.people[1])
    stage.look(0.7)
    assert [seen(stage, at) for at in (0.8, 1.9)] == ["2", "1-"], "their camera is off"
    there.people[1].present = False
    there.dominant = None
    stage.look(2.0)
    assert seen(stage, 2.0) == "0-"
    for person in there.people:
        person.present = False
    stage.look(3.0)
    assert seen(stage, 3.0) == ""
