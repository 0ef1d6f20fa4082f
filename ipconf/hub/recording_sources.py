"""Who sends what into a conference, for recordings: all sources on all calls in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..engine.reception import RemoteSource
from ..model import Direction, MediaType
from ..streams.substreams import SubStream
from ..terminals.base import Terminal
from ..transports.content import SLIDES
from .call_legs import CallLeg
from .legs import Leg
from .people import Role

if TYPE_CHECKING:
    from ..conference import Conference

CAMERA = "camera"


def is_recorded(leg: Leg) -> bool:
    """Whether who comes that way is: listeners, who are neither heard nor seen, are not."""
    return leg.role is not Role.LISTENER


class Sender(NamedTuple):
    """One source, and how it comes."""

    leg: CallLeg
    substream: SubStream
    source: RemoteSource

    @property
    def medium(self) -> MediaType:
        """What it sends."""
        return self.substream.media_type

    @property
    def content(self) -> str:
        """What pictures show: CAMERA or SLIDES (RFC 4796); "" of sound."""
        if self.medium is not MediaType.VIDEO:
            return ""
        return SLIDES if SLIDES in self.substream.content.split(",") else CAMERA


class Senders:
    """Puts a terminal on each source, as long as it is there.

    `make` gives one, `gone` is told when it has been taken off; `wants` says whose are wanted.
    """

    def __init__(
        self,
        conference: Conference,
        media: tuple[MediaType, ...],
        make: Callable[[Sender], Terminal],
        gone: Callable[[Sender, Terminal], None],
        wants: Callable[[Sender], bool] = lambda sender: True,
    ) -> None:
        self._conference = conference
        self._media = media
        self._make = make
        self._gone = gone
        self._wants = wants
        self._on: dict[Sender, Terminal] = {}

    @property
    def terminals(self) -> tuple[tuple[Sender, Terminal], ...]:
        """What is on whose source now."""
        return tuple(self._on.items())

    def look(self) -> None:
        """Find out who has come, and who is here no more."""
        there = dict.fromkeys(filter(self._wants, self._there()))
        for sender in [known for known in self._on if known not in there]:
            self._take_off(sender)
        for sender in there:
            if sender not in self._on:
                terminal = self._make(sender)
                sender.substream.select_terminal(terminal)
                self._on[sender] = terminal

    def end(self) -> None:
        """Take all terminals off."""
        for sender in tuple(self._on):
            self._take_off(sender)

    def _there(self) -> Iterator[Sender]:
        for leg in self._conference.legs:
            if not isinstance(leg, CallLeg):
                continue
            for medium in self._media:
                if medium not in leg.call.media_types:
                    continue
                for substream in leg.call.stream(medium, Direction.RENDER).substreams:
                    if substream.source is not None:
                        yield Sender(leg, substream, substream.source)

    def _take_off(self, sender: Sender) -> None:
        terminal = self._on.pop(sender)
        if terminal in sender.substream.terminals:
            sender.substream.unselect_terminal(terminal)
        self._gone(sender, terminal)
