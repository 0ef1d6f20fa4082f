"""Interfaces asked for by type, and who is on which screen."""

import pytest
from people import AUDIO, VIDEO, FakeStream, FakeSubStream, FakeTerminal, House

from ipconf.errors import (
    InterfaceNotFoundError,
    InvalidDirectionError,
    InvalidStreamError,
    InvalidTerminalError,
    MaxTerminalsError,
    MediaError,
    NoItemError,
)
from ipconf.model import Direction, Identity
from ipconf.participants import LocalParticipant
from ipconf.private_ifaces import InterfaceHost, ParticipantControl, ParticipantSubStreamControl


@pytest.fixture
def house():
    return House()


@pytest.fixture
def video():
    return FakeStream("video render", VIDEO)


@pytest.fixture
def control(video):
    return ParticipantSubStreamControl(lambda: [FakeStream(), video])


class Host(InterfaceHost):
    def __init__(self, *views):
        super().__init__(views)


class StreamLike(InterfaceHost):
    def __init__(self, us):
        super().__init__()
        self._offer_interface(LocalParticipant, us)


def test_an_interface_is_found_by_its_type(house):
    us = LocalParticipant(Identity())
    control = ParticipantControl(house.roster, us)
    host = Host(us, control)
    assert host.query(LocalParticipant) is us
    assert host.query(ParticipantControl) is control
    assert host.interfaces == (LocalParticipant, ParticipantControl)


def test_an_interface_may_be_a_base_class_of_its_object():
    class Ourselves(LocalParticipant):
        pass

    us = Ourselves(Identity())
    host = StreamLike(us)
    assert host.query(LocalParticipant) is us
    assert host.interfaces == (LocalParticipant,)
    with pytest.raises(InterfaceNotFoundError):
        host.query(Ourselves)


def test_a_missing_interface_is_answered_with_those_there_are():
    host = Host(LocalParticipant(Identity()))
    with pytest.raises(InterfaceNotFoundError) as raised:
        host.query(ParticipantControl)
    assert str(raised.value) == "Host has no ParticipantControl; it has: LocalParticipant"
    with pytest.raises(InterfaceNotFoundError, match="it has: none"):
        Host().query(ParticipantControl)


def test_participants_are_those_of_the_roster(house):
    us = LocalParticipant(Identity())
    control = ParticipantControl(house.roster, us)
    ann, _ = house.hear("ann"), house.hear("bob")
    before = control.participants
    house.gone(ann)
    assert [p.identity for p in before] == ["ann", "bob"]
    assert [p.identity for p in control.participants] == ["bob"]
    assert control.local is us
    assert control.find("bob") is control.participants[0]
    with pytest.raises(NoItemError, match="'ann'"):
        control.find("ann")


def test_substream_and_participant_find_one_another(house, video, control):
    ann, bob = house.hear("ann", medium=VIDEO), house.hear("bob", medium=VIDEO)
    substreams = [house.carry(who, video) for who in (ann, bob)]
    for substream in substreams:
        assert control.substream_of(control.participant_of(substream)) is substream


def test_of_several_substreams_the_rendered_one_is_found(house, video, control):
    first = house.carry(house.hear("ann", medium=VIDEO), video)
    second = house.carry(house.hear("ann", medium=VIDEO), video)
    ann = house.roster.find("ann")
    assert control.substream_of(ann) is first
    second.select_terminal(FakeTerminal())
    assert control.substream_of(ann) is second


def test_nobody_and_nothing_are_no_item(house, video, control):
    empty = house.carry(None, video)
    with pytest.raises(NoItemError, match="nobody is on video render #1"):
        control.participant_of(empty)
    house.carry(house.hear("ann", medium=VIDEO), video)
    ann = house.roster.find("ann")
    with pytest.raises(NoItemError, match="ann is on no audio substream"):
        control.substream_of(ann, AUDIO)


def test_a_substream_of_another_call_is_refused(house, control):
    other = FakeSubStream(FakeStream("video render", VIDEO), None, house)
    with pytest.raises(InvalidStreamError, match="no substream of this call"):
        control.participant_of(other)
    with pytest.raises(InvalidStreamError):
        control.switch_terminal(FakeTerminal(), other)


def test_a_window_is_aimed_at_somebody_else(house, video, control):
    ann, bob = (house.carry(house.hear(who, medium=VIDEO), video) for who in ("ann", "bob"))
    window = FakeTerminal()
    house.told()
    control.switch_terminal(window, ann)
    assert house.told() == [("SubStreamMapped", "ann", "video render #1")]
    control.switch_terminal(window, bob)
    assert house.told() == [
        ("SubStreamUnmapped", "ann", "video render #1"),
        ("SubStreamMapped", "bob", "video render #2"),
    ]
    assert (ann.terminals, bob.terminals) == ((), (window,))
    control.switch_terminal(window, bob)
    assert house.told() == []


def test_a_window_of_the_whole_stream_can_be_given_to_one_person(house, video, control):
    ann = house.carry(house.hear("ann", medium=VIDEO), video)
    window = FakeTerminal()
    video.select_terminal(window)
    control.switch_terminal(window, ann)
    assert (video.terminals, ann.terminals) == ((), (window,))


def test_a_substream_that_nobody_is_on_is_not_ready(house, video, control):
    empty = house.carry(None, video)
    with pytest.raises(NoItemError):
        control.switch_terminal(FakeTerminal(), empty)
    assert empty.terminals == ()


def test_a_terminal_must_fit(house, video, control):
    ann = house.carry(house.hear("ann", medium=VIDEO), video)
    with pytest.raises(InvalidTerminalError, match="speaker does not take video render #1"):
        control.switch_terminal(FakeTerminal("speaker", AUDIO), ann)
    camera = FakeTerminal("camera", direction=Direction.CAPTURE)
    with pytest.raises(InvalidDirectionError, match="camera captures"):
        control.switch_terminal(camera, ann)
    assert ann.terminals == ()


def test_a_refused_window_stays_where_it_was(house, video, control):
    ann, bob = (house.carry(house.hear(who, medium=VIDEO), video) for who in ("ann", "bob"))
    window = FakeTerminal()
    ann.select_terminal(window)
    bob.select_terminal(FakeTerminal("other window"))
    with pytest.raises(MaxTerminalsError):
        control.switch_terminal(window, bob)
    assert ann.terminals == (window,)


def test_a_failing_window_that_was_nowhere_stays_nowhere(house, video, control):
    ann = house.carry(house.hear("ann", medium=VIDEO), video)

    def fail(terminal):
        raise MediaError("no screen")

    ann.select_terminal = fail
    with pytest.raises(MediaError):
        control.switch_terminal(FakeTerminal(), ann)
    assert video.terminals == ()
