"""Streams: what an application starts, pauses, stops and puts terminals on.

A stream is one medium in one direction (MSPI: ITStream); a substream is one person's share of an
arriving stream (`substreams`). Both run by the same rule, the auto-start rule of MSPI:

    runs  =  the transport can carry it  and  nobody paused or stopped it  and  a terminal is there

All state changes go through `_settle`, which compares that rule with what is so; nothing else
starts or ends media. `active` is another thing: media really flows. StreamActive and StreamInactive
tell when that changes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import InvalidStreamError, MaxStreamsError, MediaError
from .events import (
    CallEvent,
    StreamActive,
    StreamFailed,
    StreamInactive,
    TerminalEvent,
    TerminalFailed,
)
from .model import CallSettings, Cause, Direction, MediaType, name_of
from .participants import LocalParticipant, Roster
from .stats import StreamStats
from .streams.runnable import RateMeter, Runnable, Wish
from .terminals.base import Terminal
from .ticker import Ticker

if TYPE_CHECKING:
    from .calls.channel import Channel
    from .streams.substreams import SubStream
    from .transports.negotiation import Agreed

T = TypeVar("T")


class StreamOwner(Protocol):
    """What a stream needs of its call."""

    roster: Roster
    local_participant: LocalParticipant
    settings: CallSettings
    ticker: Ticker

    def now(self) -> float:
        """The provider's clock in seconds."""

    def post(self, kind: type[CallEvent], **fields: Any) -> None:
        """Build an event of this class, with time and call filled in, and deliver it."""

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `work` in the provider's pool of threads, then `done` on the loop."""


class Stream(Runnable):
    """One medium in one direction of a call (MSPI: ITStream).

    Applications select terminals, start, pause and stop, and look at `substreams`, `stats`,
    `running` and `active`. What the call and the terminals do with it is for the package, and may
    change: `connect`, `add_section`, `disconnect`, `close`, `measure`, `hand_over`,
    `report_failure`, `report_stream_failure`, `terminal_failed` and `terminal_event`.
    """

    def __init__(self, owner: StreamOwner, media_type: MediaType, direction: Direction) -> None:
        super().__init__([owner.local_participant] if direction is Direction.CAPTURE else ())
        self.media_type = media_type
        self.direction = direction
        self.identity = f"{media_type.value} {direction.value}"
        self._owner = owner
        self._channel: Channel | None = None
        self._agreed: Agreed | None = None
        self._running = False
        self._active = False
        self._cause = Cause.UNKNOWN
        self.meter = RateMeter()

    @property
    def owner(self) -> StreamOwner:
        """The call that it belongs to."""
        return self._owner

    @property
    def name(self) -> str:
        """For display, tells the streams of a call apart (MSPI: ITStream::get_Name)."""
        return self.identity

    @property
    def substreams(self) -> tuple[SubStream, ...]:
        """The shares of the people on an arriving stream (a snapshot); none on a sent one."""
        return ()

    def create_substream(self) -> SubStream:
        """An empty substream of an arriving stream, with terminals that somebody may come to.

        Whoever comes next is mapped onto it, or, once a terminal is selected there, someone who is
        rendered nowhere; when they leave it is empty again (MSPI: CreateSubStream).
        MaxStreamsError for a sent stream, and where there are too many.
        """
        raise MaxStreamsError(f"{self.identity} is sent; only arriving streams have substreams")

    def remove_substream(self, substream: SubStream) -> None:
        """End a substream that `create_substream` made; who is on it gets one as everybody has.

        InvalidStreamError for one that is not of this stream, NotSupportedError for one that the
        provider made for somebody (MSPI: RemoveSubStream).
        """
        raise InvalidStreamError(f"{name_of(substream)} is no substream of {self.identity}")

    @abstractmethod
    def stats(self) -> StreamStats:
        """What this stream has counted, as it stands in `Call.stats`; over all connections."""

    @property
    def running(self) -> bool:
        """Whether media may flow by the auto-start rule."""
        return self._running

    @property
    def active(self) -> bool:
        """Whether media really flows."""
        return self._active

    def connect(self, channel: Channel, agreed: Agreed) -> None:
        """The call's transport can carry this stream from now on."""
        self._channel, self._agreed = channel, agreed
        self._settle(Cause.LOCAL_REQUEST, Cause.CONNECT_FAIL)

    @abstractmethod
    def add_section(self, channel: Channel, agreed: Agreed) -> None:
        """A further media section is this stream's, besides that of `connect`, until `disconnect`.

        Sections may come in any order.
        """

    def disconnect(self, cause: Cause) -> None:
        """The call's transport no longer carries this stream."""
        self._channel = self._agreed = None
        self._settle(cause)

    def close(self) -> None:
        """The call is over: give every terminal back."""
        self.disconnect(Cause.LOCAL_REQUEST)
        self._closed = True
        for terminal in self.terminals:
            self._give(terminal)

    def _wanted(self) -> bool:
        return self._wish is Wish.RUN and bool(self._usable())

    def _settle(self, cause: Cause, failure: Cause = Cause.LOCAL_REQUEST) -> None:
        """As in the base; `failure` is the cause of StreamFailed where it cannot begin."""
        should = self._channel is not None and self._wanted()
        if should and not self._running:
            self._running, self._cause = True, cause
            try:
                self._begin()
            except MediaError as exc:
                self._running = False
                self.report_stream_failure(exc, failure)
        elif not should and self._running:
            self._running = False
            self._end()
            self._set_inactive(cause)
        if self._channel is None or self._wish is Wish.STOP:
            self._release()

    def _set_active(self, cause: Cause | None = None) -> None:
        if not self._active:
            self._active = True
            self._owner.post(StreamActive, stream=self, cause=cause or self._cause)

    def _set_inactive(self, cause: Cause) -> None:
        if self._active:
            self._active = False
            self._owner.post(StreamInactive, stream=self, cause=cause)

    def terminal_failed(self, terminal: Terminal, error: Exception) -> None:
        if terminal in self._failed:
            return
        self._failed.add(terminal)
        self.report_failure(terminal, error, Cause.BAD_DEVICE)
        self._settle(Cause.BAD_DEVICE)

    def report_stream_failure(self, error: Exception, cause: Cause) -> None:
        """Post StreamFailed: what was agreed cannot be done, or not for somebody."""
        self._owner.post(StreamFailed, stream=self, cause=cause, error=error)

    def report_failure(self, terminal: Terminal, error: Exception, cause: Cause) -> None:
        fields = {"stream": self, "cause": cause, "terminal": terminal, "error": error}
        self._owner.post(TerminalFailed, **fields)
        missed = cause is Cause.CONNECT_FAIL or any(
            terminal in place.terminals for place in (self, *self.substreams)
        )
        if missed and self._wish is Wish.RUN and not self._wanted():
            self._owner.post(StreamFailed, **fields)

    def terminal_event(self, kind: type[TerminalEvent], **fields: Any) -> None:
        self._owner.post(kind, **fields)

    @abstractmethod
    def measure(self, now: float) -> None:
        """Sample the rate meters; called once a second."""

    @abstractmethod
    def _begin(self) -> None:
        """Start moving media; a channel is there."""

    @abstractmethod
    def _end(self) -> None:
        """Stop moving media."""

    @abstractmethod
    def _release(self) -> None:
        """Give up codecs and buffers; harmless when there are none."""
