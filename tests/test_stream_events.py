"""What arriving streams tell, and why: each event with its cause, on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from senses import AUDIO, VIDEO
from stream_lab import Lab, Window, decoders

from ipconf.errors import MediaError
from ipconf.events import CallMediaEvent, StreamActive, TerminalFailed
from ipconf.model import Cause, GoneReason

LOCAL, REMOTE = Cause.LOCAL_REQUEST, Cause.REMOTE_REQUEST
TIMEOUT, RECOVERED = Cause.MEDIA_TIMEOUT, Cause.MEDIA_RECOVERED


@pytest.fixture(params=[AUDIO, VIDEO], ids=["audio", "video"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with decoders():
        yield Lab(request.param)


def told(lab: Lab, seconds: float = 0.2) -> list[tuple[str, Cause]]:
    lab.run(seconds)
    return lab.told(CallMediaEvent)


class Unplugged(Window):
    """A terminal whose device is not there."""

    def attach(self, host: object) -> None:
        raise OSError("no such device")


def test_a_stream_is_active_when_the_far_end_begins(lab: Lab) -> None:
    lab.windows(1)
    lab.connect()
    assert lab.stream.running and told(lab) == []
    lab.join("ann")
    (event,) = [event for event in lab.events if isinstance(event, StreamActive)]
    assert event.call is lab and event.stream is lab.stream
    assert event.terminal is None and event.error is None
    assert told(lab) == [("StreamActive", REMOTE)]


def test_a_stream_is_active_when_we_join_in(lab: Lab) -> None:
    lab.connect()
    lab.join("ann")
    assert told(lab) == []
    (window,) = lab.windows(1)
    assert told(lab) == [("StreamActive", LOCAL)]
    lab.stream.unselect_terminal(window)
    assert told(lab) == [("StreamInactive", LOCAL)]
    lab.windows(1)
    assert told(lab) == [("StreamActive", LOCAL)]


def test_a_terminal_is_swapped_while_another_plays_on(lab: Lab) -> None:
    first, second = lab.windows(2)
    lab.connect()
    lab.join("ann")
    told(lab)
    lab.stream.unselect_terminal(first)
    (third,) = lab.windows(1)
    assert told(lab) == []  # it flowed all the time
    assert not first.in_use and lab.stream.terminals == (second, third)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [(GoneReason.BYE, REMOTE), (GoneReason.TIMEOUT, TIMEOUT), (GoneReason.CLOSED, LOCAL)],
)
def test_a_stream_ends_with_its_last_person(lab: Lab, reason: GoneReason, cause: Cause) -> None:
    lab.windows(1)
    lab.connect()
    ann, bob = lab.join("ann"), lab.join("bob")
    told(lab)
    ann.leave(reason)
    assert told(lab) == []
    bob.leave(reason)
    assert told(lab) == [("StreamInactive", cause)]
    lab.join("cat")
    began = RECOVERED if reason is GoneReason.TIMEOUT else REMOTE
    assert told(lab) == [("StreamActive", began)]


def test_media_that_pause_are_a_timeout_and_come_back_recovered(lab: Lab) -> None:
    lab.windows(1)
    lab.connect()
    ann = lab.join("ann")
    told(lab)
    ann.sends = False
    assert told(lab, 4.9) == []
    assert told(lab, 0.2) == [("StreamInactive", TIMEOUT)]
    ann.sends = True
    assert told(lab) == [("StreamActive", RECOVERED)]


def test_a_terminal_that_cannot_be_opened(lab: Lab) -> None:
    lab.connect()
    lab.join("ann")
    bad = Unplugged(lab.stream.media_type)
    with pytest.raises(MediaError, match="cannot be opened: no such device"):
        lab.stream.select_terminal(bad)
    events = [event for event in lab.events if isinstance(event, TerminalFailed)]
    assert [(e.terminal, str(e.error)) for e in events] == [(bad, "no such device")]
    assert told(lab) == [
        ("TerminalFailed", Cause.CONNECT_FAIL),
        ("StreamFailed", Cause.CONNECT_FAIL),  # it would have been the only one
    ]
    assert lab.stream.terminals == ()
    lab.windows(1)
    told(lab)
    with pytest.raises(MediaError):
        lab.stream.select_terminal(Unplugged(lab.stream.media_type))
    assert told(lab) == [("TerminalFailed", Cause.CONNECT_FAIL)]
    assert lab.stream.active


def test_failed_terminals_are_tried_again_by_a_start(lab: Lab) -> None:
    (window,) = lab.windows(1)
    lab.connect()
    lab.join("ann")
    window.broken = True
    bad = Cause.BAD_DEVICE
    failure = [("TerminalFailed", bad), ("StreamFailed", bad), ("StreamInactive", bad)]
    assert told(lab)[1:] == failure
    lab.stream.stop()
    lab.stream.start()
    assert told(lab) == [("StreamActive", LOCAL), *failure]
    lab.stream.stop()
    window.broken = False
    lab.stream.start()
    assert told(lab) == [("StreamActive", LOCAL)] and window.got


def test_streams_have_names(lab: Lab) -> None:
    assert lab.stream.name == f"{lab.stream.media_type.value} render"
