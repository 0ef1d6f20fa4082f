"""What every terminal with tracks has in common, whoever wrote it."""

from __future__ import annotations

import asyncio

import pytest
from senses import AUDIO, CAPTURE, RENDER, VIDEO
from terminal_lab import Host

from ipconf import Direction, MediaServiceProvider, MediaType, NullTerminal, Terminal, ToneTerminal
from ipconf.errors import (
    InvalidMediaTypeError,
    InvalidTerminalError,
    NotSupportedError,
    TerminalInUseError,
)
from ipconf.events import FileState
from ipconf.terminals.multitrack import FileTerminal, MediaControl, MultiTrackTerminal
from ipconf.terminals.playback import FilePlayback
from ipconf.terminals.recording import FileRecorder


class Bundle(MultiTrackTerminal):
    """Holds any terminals."""

    def __init__(self, *tracks: Terminal) -> None:
        super().__init__("bundle", Direction.CAPTURE)
        self._tracks = list(tracks)

    @property
    def tracks(self) -> tuple[Terminal, ...]:
        return tuple(self._tracks)

    def create_track(self, media_type: MediaType) -> Terminal:
        raise NotSupportedError("make one yourself")

    def remove_track(self, track: Terminal) -> None:
        self._check_removable(track)
        self._tracks.remove(track)


def test_what_is_in_use_is_asked_of_the_tracks_and_of_theirs() -> None:
    tone, window = ToneTerminal(), NullTerminal(VIDEO)
    inner = Bundle(window)
    outer = Bundle(tone, inner)
    assert outer.media_type is MediaType.MULTITRACK
    assert outer.media_types_in_use == {AUDIO, VIDEO}
    assert inner.media_types_in_use == {VIDEO}
    assert outer.directions_in_use == {CAPTURE, RENDER}
    assert Bundle().media_types_in_use == Bundle().directions_in_use == frozenset()
    assert not outer.in_use
    window.attach(Host())
    assert outer.in_use and inner.in_use


def test_only_tracks_are_selected_and_only_unselected_ones_removed() -> None:
    tone, host = ToneTerminal(), Host()
    bundle = Bundle(tone)
    with pytest.raises(InvalidTerminalError, match="select one of its `tracks`"):
        bundle.attach(host)
    tone.attach(host)
    with pytest.raises(TerminalInUseError, match="unselect it first"):
        bundle.remove_track(tone)
    tone.detach(host)
    bundle.remove_track(tone)
    with pytest.raises(InvalidTerminalError, match="is no track of"):
        bundle.remove_track(tone)


def test_closing_one_closes_its_tracks() -> None:
    tone, window = ToneTerminal(), NullTerminal(VIDEO)
    Bundle(tone, Bundle(window)).close()
    assert tone.closed and window.closed


def test_multitrack_is_no_medium_of_calls_or_of_other_terminals() -> None:
    with pytest.raises(InvalidMediaTypeError, match=r"give MediaType\.AUDIO or MediaType\.VIDEO"):
        NullTerminal(MediaType.MULTITRACK)

    async def run() -> None:
        async with MediaServiceProvider() as msp:
            with pytest.raises(InvalidMediaTypeError, match="a call carries"):
                msp.create_call({MediaType.MULTITRACK})

    asyncio.run(run())


def test_file_terminals_have_control() -> None:
    for kind in (FilePlayback, FileRecorder):
        assert issubclass(kind, FileTerminal) and issubclass(kind, MediaControl)
    recorder = FileRecorder("call.mkv")
    assert isinstance(recorder, Terminal) and recorder.state is FileState.IDLE
