"""Which streams a terminal goes to, chosen for the application (MSPI: ITBasicCallControl2).

A terminal goes to the stream of its medium and direction; one for both directions to both. A
multitrack terminal is first given a track for each medium of the call, as far as it can have one,
and then each of its tracks goes to its stream. It is all or nothing.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any, Protocol

from ..errors import (
    InvalidTerminalClassError,
    InvalidTerminalError,
    NotSupportedError,
    TerminalInUseError,
)
from ..model import Direction, MediaType
from ..rtp_streams import Stream
from ..terminals.base import Terminal
from ..terminals.multitrack import MultiTrackTerminal
from ..terminals.registry import TerminalClass, TerminalRegistry
from .runnable import check_terminal


class StreamHolder(Protocol):
    """What selection needs of a call."""

    identity: str
    media_types: tuple[MediaType, ...]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All of them."""

    def stream(self, media_type: MediaType, direction: Direction) -> Stream:
        """The one of that medium and direction, or InvalidMediaTypeError."""


def request(
    registry: TerminalRegistry,
    terminal_class: str | TerminalClass,
    media_type: MediaType,
    direction: Direction,
    **options: Any,
) -> Terminal:
    """A device of that class that is free, else a new terminal; see `Call.request_terminal`."""
    if not isinstance(terminal_class, str | TerminalClass):
        raise InvalidTerminalClassError(
            f"{terminal_class!r} is no terminal class: give one of `msp.terminals`, or its name"
        )
    name = terminal_class if isinstance(terminal_class, str) else terminal_class.name
    fits = (direction, Direction.BIDIRECTIONAL)
    devices = [
        terminal
        for terminal in registry.static
        if terminal.terminal_class == name
        and terminal.media_type is media_type
        and terminal.direction in fits
    ]
    for device in devices:
        if device.shared or not device.in_use:
            return device
    if devices and name not in registry.classes():
        raise TerminalInUseError(
            f"{devices[0].identity} is selected on a stream; unselect it there first"
        )
    return registry.create(name, media_type, direction, **options)


def select(call: StreamHolder, terminal: Terminal) -> None:
    """Select a terminal, or all of its tracks, on the fitting streams of a call."""
    check_terminal(terminal)
    with ExitStack() as undo:
        if isinstance(terminal, MultiTrackTerminal):
            _create_missing_tracks(call, terminal, undo)
        places = [(s, leaf) for leaf in _leaves(terminal) for s in _streams_for(call, leaf)]
        if not places:
            media = " or ".join(medium.value for medium in call.media_types)
            raise InvalidTerminalError(
                f"{terminal.identity} can have no track for {media}, which is all that "
                f"{call.identity} carries; choose another terminal"
            )
        for stream, leaf in places:
            stream.select_terminal(leaf)
            undo.callback(stream.unselect_terminal, leaf)
        undo.pop_all()


def unselect(call: StreamHolder, terminal: Terminal) -> None:
    """Take a terminal, or all of its tracks, off the streams and substreams of a call."""
    check_terminal(terminal)
    leaves = _leaves(terminal)
    found = [
        (place, leaf)
        for stream in call.streams
        for place in (stream, *stream.substreams)
        for leaf in leaves
        if leaf in place.terminals
    ]
    if not found:
        raise InvalidTerminalError(
            f"{terminal.identity} is not selected in {call.identity}; "
            "see the `terminals` of its streams"
        )
    for place, leaf in found:
        place.unselect_terminal(leaf)


def _create_missing_tracks(
    call: StreamHolder, terminal: MultiTrackTerminal, undo: ExitStack
) -> None:
    for medium in call.media_types:
        if medium not in terminal.media_types_in_use:
            with suppress(NotSupportedError):  # it can have none: it carries the other media
                undo.callback(terminal.remove_track, terminal.create_track(medium))


def _leaves(terminal: Terminal) -> list[Terminal]:
    """What of a terminal can be selected: its tracks, and theirs; of all others itself."""
    if isinstance(terminal, MultiTrackTerminal):
        return [leaf for track in terminal.tracks for leaf in _leaves(track)]
    return [terminal]


def _streams_for(call: StreamHolder, terminal: Terminal) -> list[Stream]:
    if terminal.direction is not Direction.BIDIRECTIONAL:
        return [call.stream(terminal.media_type, terminal.direction)]
    both = (Direction.CAPTURE, Direction.RENDER)
    return [call.stream(terminal.media_type, direction) for direction in both]
