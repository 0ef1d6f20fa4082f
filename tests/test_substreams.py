"""One person's share of a stream: made by whom, filled by whom, with terminals of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from senses import AUDIO, CAPTURE, RENDER, VIDEO
from stream_lab import LOUD, Lab, Sender, Window, decoders

from ipconf.errors import (
    ClosedError,
    InvalidStreamError,
    MaxStreamsError,
    MediaError,
    NoItemError,
    NoTerminalSelectedError,
    NotStoppedError,
    NotSupportedError,
    TerminalInUseError,
)
from ipconf.events import (
    CallMediaEvent,
    StreamFailed,
    SubStreamEvent,
    SubStreamMapped,
    SubStreamUnmapped,
    TerminalFailed,
)
from ipconf.model import Cause
from ipconf.streams.making import make_capture_stream
from ipconf.streams.substreams import SubStream


@pytest.fixture(params=[AUDIO, VIDEO], ids=["audio", "video"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with decoders():
        lab = Lab(request.param)
        lab.connect()
        yield lab


@pytest.fixture
def video() -> Iterator[Lab]:
    with decoders():
        lab = Lab(VIDEO)
        lab.connect()
        yield lab


def own_window(substream: SubStream) -> Window:
    window = Window(substream.media_type)
    substream.select_terminal(window)
    return window


def is_rendered(lab: Lab, *windows: Window) -> list[bool]:
    """Which of these terminals get something in the next 0.2 s, after half a second."""
    lab.run(0.5)
    for window in windows:
        window.got.clear()
    lab.run(0.2)
    return [bool(window.got) for window in windows]


def settled(lab: Lab, *names: str) -> list[Sender]:
    senders = [lab.join(name) for name in names]
    lab.run(0.5)
    lab.told()
    return senders


# -- what the provider makes


def test_each_source_has_a_substream_of_its_stream(lab: Lab) -> None:
    ann, bob = settled(lab, "ann", "bob")
    assert lab.stream.substreams == (ann.substream, bob.substream)
    share = ann.substream
    assert share.stream is lab.stream and share.owner is lab
    assert share.media_type is lab.stream.media_type and share.direction is RENDER
    assert share.participant is ann.person and not share.created
    assert lab.control.substream_of(ann.person, lab.stream.media_type) is share
    assert lab.control.participant_of(share) is ann.person
    ann.leave()
    assert lab.stream.substreams == (bob.substream,)
    with pytest.raises(ClosedError):
        share.select_terminal(Window(lab.stream.media_type))
    with pytest.raises(InvalidStreamError):
        lab.control.participant_of(share)


def test_terminals_of_a_substream_are_its_own(lab: Lab) -> None:
    ann, bob = settled(lab, "ann", "bob")
    (shared,) = lab.windows(1)
    own = own_window(ann.substream)
    assert ann.substream.terminals == (own,)
    assert bob.substream.terminals == () and lab.stream.terminals == (shared,)
    assert is_rendered(lab, own) == [True]
    with pytest.raises(TerminalInUseError):
        bob.substream.select_terminal(own)
    ann.substream.unselect_terminal(own)
    assert not own.in_use and ann.substream.terminals == ()
    assert is_rendered(lab, own) == [False]


def test_terminals_are_free_when_their_person_leaves(lab: Lab) -> None:
    ann, bob = settled(lab, "ann", "bob")
    own = own_window(ann.substream)
    ann.leave()
    assert not own.in_use
    bob.substream.select_terminal(own)
    assert is_rendered(lab, own) == [True]


@pytest.mark.parametrize("cease", ["pause", "stop"])
def test_one_person_alone_is_paused_stopped_and_started(lab: Lab, cease: str) -> None:
    ann, bob = settled(lab, "ann", "bob")
    first, second = own_window(ann.substream), own_window(bob.substream)
    lab.run(0.5)
    lab.told()
    with pytest.raises(NotStoppedError):
        ann.substream.start()
    getattr(ann.substream, cease)()
    assert not ann.substream.running and bob.substream.running
    assert is_rendered(lab, first, second) == [False, True]
    ann.substream.start()
    assert is_rendered(lab, first, second) == [True, True]
    # The stream itself flows on, so that nothing is told about it.
    assert lab.told(SubStreamEvent, CallMediaEvent) == [
        ("SubStreamUnmapped", "ann"),
        ("SubStreamMapped", "ann"),
    ]


def test_a_substream_without_any_terminal_does_not_start(lab: Lab) -> None:
    (ann,) = settled(lab, "ann")
    ann.substream.stop()
    with pytest.raises(NoTerminalSelectedError):
        ann.substream.start()
    (shared,) = lab.windows(1)
    ann.substream.start()  # the stream's will do
    assert is_rendered(lab, shared) == [True]


def test_several_terminals_of_one_person_get_the_same(lab: Lab) -> None:
    (ann,) = settled(lab, "ann")
    one, other = own_window(ann.substream), own_window(ann.substream)
    lab.run(0.5)
    assert one.got and len(one.got) == len(other.got)
    assert all(a is b for a, b in zip(one.got, other.got, strict=True))


def test_a_bad_terminal_of_one_person_disturbs_nobody(lab: Lab) -> None:
    ann, bob = settled(lab, "ann", "bob")
    bad, good, other = (own_window(s.substream) for s in (ann, ann, bob))
    lab.run(0.5)
    lab.told()
    bad.broken = True
    assert is_rendered(lab, good, other) == [True, True]
    assert lab.told(CallMediaEvent) == [("TerminalFailed", Cause.BAD_DEVICE)]
    good.broken = True
    other.broken = True
    lab.run(0.5)
    assert lab.told(TerminalFailed, StreamFailed) == [
        ("TerminalFailed", Cause.BAD_DEVICE),
        ("TerminalFailed", Cause.BAD_DEVICE),
        ("StreamFailed", Cause.BAD_DEVICE),  # that was the last one of the stream
    ]


# -- what the application makes


def test_people_come_to_the_substreams_that_were_made_for_them(lab: Lab) -> None:
    places = [lab.stream.create_substream() for _ in range(2)]
    windows = [own_window(place) for place in places]
    assert [place.participant for place in places] == [None, None]
    assert lab.stream.running and not lab.stream.active
    ann, bob, cat = settled(lab, "ann", "bob", "cat")
    assert [place.participant for place in places] == [ann.person, bob.person]
    assert [ann.substream, bob.substream] == places and not cat.substream.created
    assert is_rendered(lab, *windows) == [True, True]
    assert len(lab.stream.substreams) == 3


def test_a_place_that_becomes_free_is_taken_by_who_waits(lab: Lab) -> None:
    place = lab.stream.create_substream()
    window = own_window(place)
    ann, bob, cat = settled(lab, "ann", "bob", "cat")
    cat.level = LOUD
    lab.run(0.2)
    lab.told()
    ann.leave()
    assert place.participant is cat.person and place.terminals == (window,)
    assert lab.told(SubStreamEvent) == [
        ("SubStreamUnmapped", "ann"),
        ("SubStreamRemoved", "ann"),
        ("SubStreamRemoved", "cat"),
        ("NewSubStream", "cat"),
        ("SubStreamMapped", "cat"),
    ]
    assert is_rendered(lab, window) == [True]
    bob.leave()
    cat.leave()
    assert place.participant is None and lab.stream.substreams == (place,)
    assert window.in_use and not window.closed
    with pytest.raises(NoItemError, match="nobody is on"):
        lab.control.participant_of(place)
    assert place.stats().packets == 0


def test_who_is_there_already_moves_to_a_place_with_a_terminal(lab: Lab) -> None:
    (ann,) = settled(lab, "ann")
    place = lab.stream.create_substream()
    assert place.participant is None  # nothing would be gained
    window = own_window(place)
    assert place.participant is ann.person
    assert is_rendered(lab, window) == [True]


def test_who_is_rendered_already_stays_where_they_are(lab: Lab) -> None:
    (shared,) = lab.windows(1)
    (ann,) = settled(lab, "ann")
    before = ann.substream
    window = own_window(lab.stream.create_substream())
    assert ann.substream is before
    assert is_rendered(lab, shared, window) == [True, False]


def test_a_paused_place_is_left_out(lab: Lab) -> None:
    paused, place = lab.stream.create_substream(), lab.stream.create_substream()
    window = own_window(paused)
    paused.pause()
    ann, bob = settled(lab, "ann", "bob")
    assert paused.participant is None and place.participant is ann.person
    paused.start()
    assert paused.participant is bob.person  # Ann is where the application wants somebody
    assert is_rendered(lab, window) == [True]


def test_a_removed_substream_gives_its_terminals_back_and_its_person_another_one(lab: Lab) -> None:
    place = lab.stream.create_substream()
    window = own_window(place)
    (ann,) = settled(lab, "ann")
    lab.stream.remove_substream(place)
    assert not window.in_use
    assert lab.stream.substreams == (ann.substream,) and ann.substream is not place
    assert lab.told(SubStreamEvent) == [
        ("SubStreamUnmapped", "ann"),
        ("SubStreamRemoved", "ann"),
        ("NewSubStream", "ann"),
    ]
    assert not lab.stream.running  # that was its only terminal
    with pytest.raises(ClosedError):
        place.select_terminal(window)


def test_what_cannot_be_made_or_removed_is_refused(lab: Lab) -> None:
    (ann,) = settled(lab, "ann")
    with pytest.raises(NotSupportedError, match="goes when its person does"):
        lab.stream.remove_substream(ann.substream)
    place = lab.stream.create_substream()
    lab.stream.remove_substream(place)
    with pytest.raises(InvalidStreamError, match="is no substream of"):
        lab.stream.remove_substream(place)
    sent = make_capture_stream(lab, lab.stream.media_type)
    assert sent.direction is CAPTURE and sent.substreams == ()
    with pytest.raises(MaxStreamsError, match="only arriving streams have substreams"):
        sent.create_substream()
    with pytest.raises(InvalidStreamError):
        sent.remove_substream(ann.substream)
    with pytest.raises(MaxStreamsError, match="has 512 substreams"):
        for _ in range(600):
            lab.stream.create_substream()
    lab.stream.close()
    with pytest.raises(ClosedError):
        lab.stream.create_substream()


def test_terminals_of_empty_substreams_are_free_when_the_call_ends(lab: Lab) -> None:
    window = own_window(lab.stream.create_substream())
    lab.stream.close()
    assert not window.in_use


# -- windows that change hands


def test_a_switched_window_is_unmapped_and_mapped_once(video: Lab) -> None:
    ann, bob = settled(video, "ann", "bob")
    window = own_window(ann.substream)
    video.told()
    video.control.switch_terminal(window, bob.substream)
    assert video.told(SubStreamEvent) == [("SubStreamUnmapped", "ann"), ("SubStreamMapped", "bob")]
    assert (ann.substream.terminals, bob.substream.terminals) == ((), (window,))
    video.run(0.2)
    window.got.clear()
    video.run(0.2)
    assert set(window.got) == {bob.number}
    video.control.switch_terminal(window, bob.substream)
    assert video.told(SubStreamEvent) == []


def test_a_window_of_the_stream_is_switched_to_one_person(video: Lab) -> None:
    (window,) = video.windows(1)
    ann, bob = settled(video, "ann", "bob")
    video.control.switch_terminal(window, bob.substream)
    assert video.told(SubStreamEvent) == [("SubStreamUnmapped", "ann"), ("SubStreamMapped", "bob")]
    assert video.stream.terminals == () and video.stream.running and video.stream.active


def test_a_window_cannot_be_aimed_at_an_empty_place(video: Lab) -> None:
    (window,) = video.windows(1)
    place = video.stream.create_substream()
    with pytest.raises(NoItemError):
        video.control.switch_terminal(window, place)
    assert video.stream.terminals == (window,)


def test_a_switch_that_fails_leaves_the_window_where_it_was(video: Lab) -> None:
    ann, bob = settled(video, "ann", "bob")
    window, gone = own_window(ann.substream), bob.substream
    bob.leave()
    video.told()
    with pytest.raises(InvalidStreamError):
        video.control.switch_terminal(window, gone)
    assert ann.substream.terminals == (window,)
    assert video.told(SubStreamMapped, SubStreamUnmapped) == []
    assert is_rendered(video, window) == [True]


class Wedged(Window):
    """A window whose device will not let it go elsewhere."""

    stuck = False

    def attach(self, host: object) -> None:
        if self.stuck:
            self.stuck = False
            raise OSError("the device is busy")
        super().attach(host)


def test_a_window_that_cannot_be_opened_elsewhere_stays(video: Lab) -> None:
    ann, bob = settled(video, "ann", "bob")
    window = Wedged()
    ann.substream.select_terminal(window)
    own_window(bob.substream)
    video.told()
    window.stuck = True
    with pytest.raises(MediaError, match="cannot be opened: the device is busy"):
        video.control.switch_terminal(window, bob.substream)
    assert ann.substream.terminals == (window,)
    assert video.told(CallMediaEvent) == [("TerminalFailed", Cause.CONNECT_FAIL)]
    assert is_rendered(video, window) == [True]
