"""Which source is on which substream of an arriving stream, and what the roster is told of it.

A newcomer takes the substream that has been empty for longest, or gets a new one. Empty are those
that the application made and nobody is on; the others end with their source.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine.places import Rank
from ..engine.reception import RemoteSource
from ..errors import InvalidStreamError, MaxStreamsError, NotSupportedError
from ..model import name_of
from .substreams import SubStream

if TYPE_CHECKING:
    from .render import RenderStream

MAX_SUBSTREAMS = 512
"""Substreams of one stream; sources for which there is none are counted and otherwise ignored."""


class Seating:
    """The substreams of a stream."""

    def __init__(self, stream: RenderStream) -> None:
        self._stream = stream
        self._all: dict[SubStream, None] = {}
        self._empty: dict[SubStream, None] = {}
        self._numbers = itertools.count(1)
        self.by_source: dict[RemoteSource, SubStream] = {}

    @property
    def substreams(self) -> tuple[SubStream, ...]:
        """All of them, in the order in which they were made."""
        return tuple(self._all)

    @property
    def any_terminal(self) -> bool:
        """Whether one of them has a terminal that works."""
        return any(s.has_terminal for s in self._all)

    def create(self) -> SubStream:
        """An empty substream; MaxStreamsError if there are too many."""
        stream = self._stream
        if len(self._all) >= MAX_SUBSTREAMS:
            raise MaxStreamsError(f"{stream.identity} has {MAX_SUBSTREAMS} substreams; remove one")
        identity = f"{stream.identity} substream {next(self._numbers)}"
        substream = SubStream(stream, identity, created=True)
        self._all[substream] = self._empty[substream] = None
        return substream

    def remove(self, substream: SubStream, now: float) -> None:
        """End one that the application made; who is on it gets another one."""
        if substream not in self._all:
            raise InvalidStreamError(
                f"{name_of(substream)} is no substream of {self._stream.identity}; take one of its "
                "`substreams`"
            )
        if not substream.created:
            raise NotSupportedError(
                f"{substream.identity} goes when its person does; stop() it, or mute them"
            )
        source = substream.source
        if source is not None:
            self.leave(source, now)
        del self._all[substream], self._empty[substream]
        substream.close()
        if source is not None:
            self.admit(source, now)

    def admit(self, source: RemoteSource, now: float) -> SubStream | None:
        """Find a substream for a source; None if there are too many."""
        substream = next((s for s in self._empty if s.running), None)
        if substream is None:
            if len(self._all) >= MAX_SUBSTREAMS:
                return None
            substream = SubStream(self._stream, f"{self._stream.identity} {source.identity}")
            self._all[substream] = None
        self._put(source, substream, now)
        return substream

    def fill(
        self, mapped: set[SubStream], rank: Callable[[SubStream, float], Rank], now: float
    ) -> bool:
        """Move people who are not mapped to empty substreams that have a terminal; True if any."""
        places = [s for s in self._empty if s.running and s.has_terminal]
        if not places:
            return False
        waiting = [
            (rank(substream, now), source)
            for source, substream in self.by_source.items()
            if substream not in mapped
            and substream.running
            and not (substream.created or substream.terminals)
        ]
        waiting.sort(key=lambda ranked: ranked[0], reverse=True)
        for place, (_, source) in zip(places, waiting, strict=False):
            self.leave(source, now)
            self._put(source, place, now)
        return bool(waiting)

    def hand_over(self, source: RemoteSource, heir: RemoteSource, now: float) -> None:
        """Let another layer of the same picture be on a source's substream from now on."""
        substream = self.by_source[source]
        self._stream.forget(substream)
        self.by_source = {
            heir if each is source else each: on for each, on in self.by_source.items()
        }
        substream.carry(heir, now)
        self._stream.owner.roster.substream_moved(substream, now)

    def leave(self, source: RemoteSource, now: float) -> None:
        """Take a source off its substream."""
        substream = self.by_source.pop(source)
        self._stream.forget(substream)
        self._stream.owner.roster.substream_removed(substream, now)
        if substream.created:
            substream.carry(None, now)
            self._empty[substream] = None
        else:
            del self._all[substream]
            substream.close()

    def close(self) -> None:
        """The stream is over."""
        for substream in self.substreams:
            substream.close()

    def _put(self, source: RemoteSource, substream: SubStream, now: float) -> None:
        self._empty.pop(substream, None)
        self.by_source[source] = substream
        substream.carry(source, now)
        self.tell(substream, now)

    def tell(self, substream: SubStream, now: float) -> None:
        """Tell the roster whose substream it is now, in place of whom it was told before."""
        roster, whose = self._stream.owner.roster, substream.whose
        roster.substream_removed(substream, now)
        if whose is not None:
            roster.substream_added(substream, now, whose)
