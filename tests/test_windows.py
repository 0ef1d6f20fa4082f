"""Fewer windows than people: who is shown, for how long, and who is pinned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from senses import AUDIO
from stream_lab import LOUD, QUIET, Lab, Sender, Window, decoders

from ipconf.engine.windows import Windows
from ipconf.errors import (
    InvalidMediaTypeError,
    InvalidStateError,
    InvalidTerminalError,
    NoItemError,
)
from ipconf.events import NewSubStream, SubStreamEvent, SubStreamMapped, SubStreamUnmapped
from ipconf.model import GoneReason

REST_S = 2.5
"""Longer than the time that everybody stays on screen."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with decoders():
        lab = Lab()
        lab.connect()
        yield lab


def shown(lab: Lab, windows: list[Window]) -> list[int | None]:
    """Who is to be seen, by window, once what has changed is noticed."""
    lab.run(0.1)
    for window in windows:
        window.got.clear()
    lab.run(0.1)
    assert all(len(set(window.got)) <= 1 for window in windows)
    return [window.shows() for window in windows]


class Tape(Window):
    """Records."""

    records = True


def people(lab: Lab, *names: str) -> list[Sender]:
    senders = [lab.join(name) for name in names]
    lab.run(REST_S)
    lab.told()
    return senders


def test_people_fill_free_windows_in_the_order_of_their_coming(lab: Lab) -> None:
    windows = lab.windows(2)
    ann, bob, cat = people(lab, "ann", "bob", "cat")
    assert shown(lab, windows) == [ann.number, bob.number]
    assert cat.substream.stats().decoded == 0
    third = lab.windows(1)
    assert shown(lab, [*windows, *third]) == [ann.number, bob.number, cat.number]


def test_a_talker_takes_the_window_of_who_has_been_silent_longest(lab: Lab) -> None:
    windows = lab.windows(2)
    ann, bob, cat = people(lab, "ann", "bob", "cat")
    ann.talk(0.5)
    lab.run(REST_S)
    lab.told()
    cat.talk(0.5)
    assert lab.told(SubStreamEvent) == [("SubStreamUnmapped", "bob"), ("SubStreamMapped", "cat")]
    assert shown(lab, windows) == [ann.number, cat.number]
    lab.run(60)
    assert lab.told(SubStreamEvent) == []  # who talked last stays


def test_the_screen_does_not_flap_when_everybody_interrupts(lab: Lab) -> None:
    lab.windows(1)
    ann, bob = people(lab, "ann", "bob")
    changes = 0
    for turn in range(40):
        (ann, bob)[turn % 2].talk(0.3)
        lab.run(0.3)
        changes += len(lab.told(SubStreamMapped))
    assert changes <= 24 / 2.0 + 1  # 24 s, and everybody stays for two at least


def test_talkers_do_not_take_one_another_s_window(lab: Lab) -> None:
    lab.windows(2)
    ann, bob, cat = people(lab, "ann", "bob", "cat")
    for who in (ann, bob, cat):
        who.level = LOUD
    lab.run(30)
    assert lab.told(SubStreamEvent) == []
    bob.level = QUIET
    lab.run(1.0)  # the end of talk is noticed after 0.6 s
    assert lab.told(SubStreamEvent) == [("SubStreamUnmapped", "bob"), ("SubStreamMapped", "cat")]


def test_a_window_is_free_for_others_when_its_person_leaves(lab: Lab) -> None:
    windows = lab.windows(1)
    ann, bob = people(lab, "ann", "bob")
    assert shown(lab, windows) == [ann.number]
    ann.leave()
    lab.run(0.1)
    assert lab.told(SubStreamEvent) == [
        ("SubStreamUnmapped", "ann"),
        ("SubStreamRemoved", "ann"),
        ("SubStreamMapped", "bob"),
    ]
    assert shown(lab, windows) == [bob.number]


def test_a_stopped_stream_keeps_no_window_for_who_has_left(lab: Lab) -> None:
    lab.windows(1)
    (ann,) = people(lab, "ann")
    lab.stream.stop()
    ann.leave()
    assert lab.stream.query(Windows).shown == {}


def test_who_stops_sending_makes_place_for_who_sends(lab: Lab) -> None:
    windows = lab.windows(1)
    ann, bob = people(lab, "ann", "bob")
    ann.sends = False
    lab.run(REST_S)
    assert shown(lab, windows) == [bob.number]


def test_who_is_muted_makes_place(lab: Lab) -> None:
    windows = lab.windows(1)
    ann, bob = people(lab, "ann", "bob")
    ann.person.set_enabled(lab.stream, False)
    lab.run(0.2)
    assert shown(lab, windows) == [bob.number]


def test_everybody_is_shown_once_before_anybody_is_shown_twice(lab: Lab) -> None:
    windows = lab.windows(2)
    camera, screen = people(lab, "ann", "ann")
    assert shown(lab, windows) == [camera.number, screen.number]
    (bob,) = people(lab, "bob")
    assert shown(lab, windows) == [camera.number, bob.number]
    camera.sends = False
    lab.run(REST_S)
    assert shown(lab, windows) == [screen.number, bob.number]
    lab.control.pin(screen.person, windows[1])
    assert shown(lab, windows) == [bob.number, screen.number]


def test_who_has_a_window_of_their_own_takes_none_of_the_stream(lab: Lab) -> None:
    windows, own = lab.windows(1), Window()
    ann, bob = people(lab, "ann", "bob")
    ann.substream.select_terminal(own)
    assert lab.told(SubStreamEvent) == [("SubStreamMapped", "bob")]
    assert shown(lab, [*windows, own]) == [bob.number, ann.number]


def test_a_pinned_person_is_shown_at_once_and_stays(lab: Lab) -> None:
    windows = lab.windows(1)
    ann, bob, cat = people(lab, "ann", "bob", "cat")
    cat.talk(0.1)
    lab.run(0.1)
    lab.told()
    lab.control.pin(bob.person)
    assert lab.control.pinned == (bob.person,)
    assert [kind for kind, _ in lab.told(SubStreamEvent)] == [
        "SubStreamUnmapped",
        "SubStreamMapped",
    ]
    ann.talk(5.0)
    assert lab.told(SubStreamEvent) == [] and shown(lab, windows) == [bob.number]
    lab.control.unpin(bob.person)
    ann.talk(5.0)
    assert shown(lab, windows) == [ann.number]


def test_a_person_is_pinned_to_one_window(lab: Lab) -> None:
    left, right = lab.windows(2)
    ann, bob, cat = people(lab, "ann", "bob", "cat")
    lab.control.pin(cat.person, left)
    assert shown(lab, [left, right]) == [cat.number, bob.number]
    lab.control.pin(cat.person, right)
    assert shown(lab, [left, right])[1] == cat.number
    # Another one's pin to the same window leaves the first with a pin to any.
    lab.control.pin(ann.person, right)
    assert shown(lab, [left, right]) == [cat.number, ann.number]
    assert lab.control.pinned == (cat.person, ann.person)
    # Without its window a pin is one to any window, too.
    lab.stream.unselect_terminal(right)
    assert lab.stream.query(Windows).shown == {left: cat.substream}


def test_of_more_pinned_people_than_windows_the_first_are_shown(lab: Lab) -> None:
    windows = lab.windows(1)
    ann, bob, cat = people(lab, "ann", "bob", "cat")
    lab.control.pin(bob.person)
    lab.control.pin(cat.person)
    assert shown(lab, windows) == [bob.number]
    bob.leave()
    assert shown(lab, windows) == [cat.number]
    assert lab.control.pinned == (cat.person,)  # who has left for good is pinned no more


def test_a_pin_holds_over_a_timeout(lab: Lab) -> None:
    windows = lab.windows(1)
    ann, bob = people(lab, "ann", "bob")
    lab.control.pin(ann.person, windows[0])
    person = ann.person
    ann.leave(GoneReason.TIMEOUT)
    assert shown(lab, windows) == [bob.number]
    assert lab.control.pinned == (person,)
    lab.run(30)
    again = lab.join("ann")
    assert again.person is person
    assert shown(lab, windows) == [again.number]


def test_pins_are_refused_with_a_reason(lab: Lab) -> None:
    ann, bob = people(lab, "ann", "bob")
    with pytest.raises(InvalidTerminalError, match="is no window of video render"):
        lab.control.pin(ann.person, Window())
    with pytest.raises(NoItemError, match="ann is not pinned"):
        lab.control.unpin(ann.person)
    gone = bob.person
    bob.leave()
    with pytest.raises(InvalidStateError, match="pin who is there"):
        lab.control.pin(gone)
    with pytest.raises(InvalidMediaTypeError, match="no video"):
        Lab(AUDIO).control.pin(ann.person)


def test_pins_of_people_who_never_return_are_forgotten(lab: Lab) -> None:
    for number in range(300):
        who = lab.join(f"p{number}")
        lab.control.pin(who.person)
        who.leave(GoneReason.TIMEOUT)
    assert len(lab.control.pinned) == 256  # as many as the roster remembers


def test_a_paused_stream_shows_the_same_people_when_it_goes_on(lab: Lab) -> None:
    windows = lab.windows(1)
    ann, bob = people(lab, "ann", "bob")
    bob.talk(0.5)
    assert shown(lab, windows) == [bob.number]
    lab.told()
    lab.stream.pause()
    assert lab.told(SubStreamEvent) == [("SubStreamUnmapped", "bob")]
    assert lab.stream.query(Windows).shown == {windows[0]: bob.substream}
    lab.run(3)
    lab.stream.start()
    assert lab.told(SubStreamMapped, SubStreamUnmapped, NewSubStream) == [
        ("SubStreamMapped", "bob")
    ]
    assert shown(lab, windows) == [bob.number]


def test_a_recorder_takes_nobody_s_window(lab: Lab) -> None:
    """It sees who would be shown in the only window: the pinned one, or who talked last."""
    windows = lab.windows(1)
    tape, copy = Tape(), Tape()
    for recorder in (tape, copy):
        lab.stream.select_terminal(recorder)
    (ann,) = people(lab, "ann")
    assert shown(lab, [*windows, tape, copy]) == [ann.number] * 3
    windows += lab.windows(1)
    (bob,) = people(lab, "bob")
    bob.talk(0.5)
    lab.run(REST_S)
    assert shown(lab, [*windows, tape, copy]) == [ann.number, *[bob.number] * 3]
    lab.stream.query(Windows).pin(ann.person)
    assert shown(lab, [*windows, tape, copy]) == [ann.number, bob.number, ann.number, ann.number]
    with pytest.raises(InvalidTerminalError, match="no window"):
        lab.stream.query(Windows).pin(bob.person, tape)


def test_a_recorder_alone_follows_who_talks(lab: Lab) -> None:
    tape = Tape()
    lab.stream.select_terminal(tape)
    _, bob = people(lab, "ann", "bob")
    bob.talk(0.5)
    lab.run(REST_S)
    assert shown(lab, [tape]) == [bob.number]
    lab.stream.unselect_terminal(tape)
    assert not lab.stream.query(Windows).shown


def test_windows_that_nobody_needs_show_the_leader_until_somebody_comes(lab: Lab) -> None:
    windows = lab.windows(3)
    (ann,) = people(lab, "ann")
    assert shown(lab, windows) == [ann.number] * 3
    (bob,) = people(lab, "bob")
    one, other, third = shown(lab, windows)
    assert (one, other) == (ann.number, bob.number)
    assert third in (one, other)
