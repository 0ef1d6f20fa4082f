"""The pictures of the demo of a conference: machines read them, and tell who saw whom by right."""

from itertools import combinations
from pathlib import Path

import av
import numpy as np
import pytest

from ipconf.codecs.vp8 import Vp8Decoder, Vp8Encoder
from ipconf.codecs.vp8_payload import Vp8Depacketizer
from ipconf.demo.conference.cameras import (
    BITRATE_BPS,
    COUNTER_BITS,
    HEIGHT,
    WIDTH,
    Camera,
    Glance,
    colour_of,
    paint,
    recognise,
)
from ipconf.demo.conference.log import ConferenceLog
from ipconf.demo.conference.mosaic import SIZE, seen_in
from ipconf.demo.conference.scenes import Person
from ipconf.demo.conference.script import FPS, MAX_PARTIES, Script
from ipconf.demo.conference.seeing import Sight, sight
from ipconf.demo.conference.sights import AFTER_S, SETTLE_S, SightCell, sight_row
from ipconf.demo.conference.watching import GAP_S, NOBODY, Stretch, Watch
from ipconf.pipelines.mosaic import Mosaic, Tile
from ipconf.terminals.convert import plane_rows

ALICE, BOB, CAROL, DAVE, ERIN = map(Person, range(5))
LAST = (1 << COUNTER_BITS) - 1


def taken(number: int, count: int) -> list[av.VideoFrame]:
    """The first pictures of a camera that is polled as streams do it."""
    camera = Camera(Person(number), FPS)
    frames = (camera.read(tick * 0.01) for tick in range(count * 10))
    return [frame for frame in frames if frame is not None][:count]


def sent(frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
    """What a viewer has of them."""
    encoder, decoder, depacketizer = Vp8Encoder(BITRATE_BPS), Vp8Decoder(), Vp8Depacketizer()
    arrived = []
    for index, frame in enumerate(frames):
        payloads, _ = encoder.encode(frame, index == 0)
        arrived += decoder.decode(b"".join(map(depacketizer.depayload, payloads)))
    return arrived


# -- pictures


@pytest.mark.parametrize("number", range(MAX_PARTIES))
def test_who_is_in_a_picture_is_read_behind_a_codec(number):
    frames = taken(number, 24)
    assert len(frames) == 24
    glances = [recognise(frame) for frame in sent(frames)]
    assert glances == [Glance(number, counter) for counter in range(1, 25)]


def test_every_mark_is_read_as_it_was_painted():
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for glance in (Glance(0, 0), Glance(11, LAST), Glance(5, 2730), Glance(6, 1365)):
        paint(frame, glance)
        assert recognise(frame) == glance


def test_pictures_of_nobody_are_not_read():
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for light in (0, 16, 128, 235, 255):
        for plane in frame.planes:
            plane_rows(plane)[:] = light
        assert recognise(frame) is None
    paint(frame, Glance(2, 77))
    assert recognise(frame.reformat(width=WIDTH // 2, height=HEIGHT // 2)) is None
    assert recognise(frame.reformat(format="rgb24")) is None


def test_a_mark_in_another_colour_or_with_another_bit_is_not_read():
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for place in range(0, WIDTH, WIDTH // 20):
        paint(frame, Glance(3, 1234))
        row = plane_rows(frame.planes[0])[:, place : place + WIDTH // 20]
        row[:10] = 251 - row[:10]
        assert recognise(frame) is None, place
    paint(frame, Glance(3, 1234))
    for plane, value in zip(frame.planes[1:], colour_of(4), strict=True):
        plane_rows(plane)[:] = value
    assert recognise(frame) is None


def test_all_colours_differ():
    for one, other in combinations(map(colour_of, range(MAX_PARTIES)), 2):
        assert np.hypot(one[0] - other[0], one[1] - other[1]) > 20


@pytest.mark.parametrize("parties", [3, 4, 7, 12])
def test_who_is_in_a_mosaic_is_told_by_colours(parties):
    people = Script(parties).people
    faces = [taken(person.number, 1)[0] for person in people]
    for dark in (None, *people):
        tiles = [
            Tile(person, person.name, None if person == dark else face, talking=person == BOB)
            for person, face in zip(people, faces, strict=True)
        ]
        assert seen_in(Mosaic(SIZE).compose(tiles), people) == frozenset(people) - {dark}


# -- watching


class Told:
    """Hears what a watch tells."""

    def __init__(self) -> None:
        self.sights: list[str | None] = []
        self.ended: list[Stretch] = []
        self.watch = Watch(1, self._told)

    def _told(self, who: str | None, ended: Stretch | None) -> None:
        self.sights.append(who)
        if ended is not None:
            self.ended.append(ended)

    def see(self, at: float, number: int, counter: int, named: str | None = None) -> None:
        key = Person(number).key if named is None else named
        self.watch.see(at, Glance(number, counter), key)


def test_pictures_of_one_person_are_one_stretch():
    told = Told()
    for index in range(10):
        told.see(index / 10, 2, LAST - 5 + index & LAST)
        told.watch.look(index / 10 + 0.05)
    assert told.sights == ["carol"]
    told.watch.end()
    told.watch.end()
    assert told.sights == ["carol", None]
    assert told.ended == [Stretch(1, "carol", 0.0, 0.9, pictures=10, named=10)]


def test_somebody_else_and_a_pause_end_a_stretch():
    told = Told()
    told.see(0.0, 0, 7)
    told.see(0.1, 1, 900)
    told.see(0.2, 1, 901)
    told.watch.look(0.2 + GAP_S + 0.01)
    told.see(2.0, 1, 922)
    told.watch.see(2.1, None, "bob")
    told.watch.end()
    assert told.sights == ["alice", "bob", None, "bob", NOBODY, None]
    assert [(s.who, s.start_s, s.end_s) for s in told.ended] == [
        ("alice", 0.0, 0.0), ("bob", 0.1, 0.2), ("bob", 2.0, 2.0), (NOBODY, 2.1, 2.1),
    ]  # fmt: skip
    assert not any(stretch.missing or stretch.stale for stretch in told.ended)


def test_what_is_missing_old_or_misnamed_is_counted():
    told = Told()
    for at, counter, named in (
        (0.0, 10, NOBODY), (0.1, 11, "alice"), (0.2, 15, "alice"), (0.3, 15, "bob"), (0.4, 14, ""),
    ):  # fmt: skip
        told.see(at, 0, counter, named)
    told.watch.end()
    (stretch,) = told.ended
    assert (stretch.missing, stretch.stale, stretch.named, stretch.misnamed) == (3, 2, 2, 1)


# -- who is seen by right


def expected(script: Script, title: str, viewer: Person) -> Sight:
    phase = next(phase for phase in script.phases if phase.title == title)
    return sight(script, phase, viewer)


def test_where_there_is_room_everybody_sees_who_is_there():
    script = Script(4)
    for title in ("Alice talks", "Everybody talks at once", "Bob is muted", "Carol is back"):
        assert expected(script, title, ALICE) == Sight(frozenset({BOB, CAROL, DAVE}))
    assert expected(script, "Carol is off", ALICE) == Sight(frozenset({BOB, DAVE}))
    assert expected(script, "Carol is off", CAROL) == Sight(frozenset())
    assert expected(script, "Bob speaks again", DAVE) == Sight(frozenset({BOB}))
    assert expected(script, "Dave is removed", DAVE) == Sight(frozenset())
    assert expected(script, "Dave is removed", CAROL) == Sight(frozenset({ALICE, BOB}))


def test_the_small_screen_shows_who_is_pinned_or_else_who_talks():
    script = Script(4)
    by_phase = {phase.title: sight(script, phase, BOB) for phase in script.phases}
    assert by_phase == {
        "Alice talks": Sight(frozenset({ALICE})),
        "Bob talks": Sight(frozenset({ALICE})),
        "Carol talks": Sight(frozenset({CAROL})),
        "Dave talks": Sight(frozenset({DAVE})),
        "Everybody talks at once": Sight(frozenset({ALICE})),
        "Bob is muted": Sight(frozenset({ALICE})),
        "Carol is off": Sight(frozenset({ALICE})),
        "Bob speaks again": Sight(frozenset({DAVE})),
        "Carol is back": Sight(frozenset({ALICE})),
        "Dave is removed": Sight(frozenset({ALICE})),
    }


def test_of_more_than_there_is_room_for_those_are_seen_who_talked_last():
    script = Script(5)
    assert expected(script, "Alice talks", ERIN) == Sight(
        frozenset({ALICE}), frozenset({BOB, CAROL, DAVE}), 2
    )
    assert expected(script, "Dave talks", ERIN) == Sight(frozenset({BOB, CAROL, DAVE}))
    assert expected(script, "Erin talks", ALICE) == Sight(frozenset({CAROL, DAVE, ERIN}))
    assert expected(script, "Four talk at once", ERIN) == Sight(
        frozenset(), frozenset({ALICE, BOB, CAROL, DAVE}), 3
    )
    assert expected(script, "Bob is muted", ERIN) == Sight(
        frozenset({CAROL}), frozenset({ALICE, BOB, DAVE}), 2
    )


def cell(expected: Sight, **shares: float) -> SightCell:
    people = {person.key: person for person in map(Person, range(5))}
    phase = Script(5).phases[0]
    return SightCell(ERIN, phase, expected, {people[key]: s for key, s in shares.items()})


def test_a_cell_is_right_only_for_exactly_those():
    two = Sight(frozenset({ALICE, BOB}))
    assert cell(two, alice=1.0, bob=0.7).right
    assert cell(two, alice=1.0, bob=1.0, carol=0.1).right
    assert cell(Sight(frozenset())).right
    for shares in (
        {"alice": 1.0}, {"alice": 1.0, "bob": 0.4}, {"alice": 1.0, "bob": 1.0, "carol": 0.3},
        {"alice": 2.0, "bob": 1.0}, {"alice": 1.0, "bob": 1.0, "carol": 1.0}, {},
    ):  # fmt: skip
        wrong = cell(two, **shares)
        assert not wrong.right
        assert "instead of Alice, Bob" in wrong.fault


def test_people_may_take_turns_where_there_is_a_choice():
    one_of = Sight(frozenset({ALICE}), frozenset({BOB, CAROL}), 1)
    assert cell(one_of, alice=1.0, bob=1.0).right
    assert cell(one_of, alice=1.0, bob=0.5, carol=0.45).right
    assert cell(one_of, alice=1.0, bob=0.5, carol=0.45).seen == {ALICE, BOB, CAROL}
    assert not cell(one_of, alice=1.0, bob=1.0, carol=1.0).right
    assert not cell(one_of, alice=1.0, bob=0.3).right
    assert not cell(one_of, alice=1.0, dave=1.0).right
    assert not cell(one_of, bob=1.0).right
    assert "Alice and 1 of Bob, Carol at a time" in cell(one_of, bob=1.0).fault


def test_what_was_seen_is_measured_late_in_each_phase():
    log = ConferenceLog.empty(Script(3), Path())
    alice, phase = log.people["alice"], log.script.phases[0]
    begin_s, end_s = phase.span.start_s + SETTLE_S, phase.span.end_s + AFTER_S
    half_s = (end_s - begin_s) / 2
    alice.stretches = [
        Stretch(0, "bob", 0.0, begin_s - 0.01, 10, named=10),
        Stretch(0, "carol", begin_s + half_s, end_s + 9, 10, named=10),
    ]
    first = next(sight_row(log, alice))
    assert first.shares == {CAROL: pytest.approx(0.5)}
    assert not first.right
    alice.stretches[1].start_s = begin_s
    alice.stretches.append(Stretch(1, "bob", 0.0, end_s, 10, named=10))
    assert next(sight_row(log, alice)).right
