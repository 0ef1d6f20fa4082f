"""Delivers events to whoever asked for them, in order, without ever waiting for a slow reader."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, Self, TypeVar

from .errors import ConfigurationError, InvalidStateError
from .events import Event

E = TypeVar("E", bound=Event)

_log = logging.getLogger(__name__)

MAX_UNREAD_EVENTS = 1024
"""What a reader may leave unread before the oldest are dropped (and counted in `dropped`)."""


class EventStream(AsyncIterator[E], Generic[E]):
    """The events of chosen classes from the moment it was made; iterate with `async for`.

    It ends when its provider or call closes, or when you close it; what was delivered before can
    still be read. One reader at a time: whoever reads while another waits gets InvalidStateError.
    For two readers ask for two streams (MSPI: ITMSPAddress::GetEvent).
    """

    def __init__(self, hub: "EventHub", kinds: tuple[type[E], ...]) -> None:
        self._hub = hub
        self._kinds = kinds
        self._unread: deque[E] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self.dropped = 0
        """Events lost because more than `MAX_UNREAD_EVENTS` were left unread, oldest first."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._unread:
            if self._ended:
                raise StopAsyncIteration
            if self._waiter is not None and not self._waiter.done():
                raise InvalidStateError(
                    "another task waits for the next event; give each reader its own stream"
                )
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                if self._waiter is waiter:  # else it was cancelled, and somebody else waits by now
                    self._waiter = None
        return self._unread.popleft()

    async def wait_for(self, *kinds: type[E]) -> E:
        """The next event of one of these classes; those before it are passed over.

        Raises LookupError when the stream ends first, ConfigurationError for what is no class of
        events. Use `asyncio.timeout` to limit the wait.
        """
        if not kinds:
            raise ConfigurationError("wait_for() needs the classes to wait for: name at least one")
        check_kinds(kinds)
        async for event in self:
            if isinstance(event, kinds):
                return event
        raise LookupError(f"no {' or '.join(k.__name__ for k in kinds)} before the events ended")

    def close(self) -> None:
        """Stop delivery; a waiting reader finds the end."""
        self._hub.forget(self)
        self.end()

    def offer(self, event: Event) -> None:
        """Take the event if it is of a chosen class."""
        if not isinstance(event, self._kinds):
            return
        if len(self._unread) >= MAX_UNREAD_EVENTS:
            self._unread.popleft()
            self.dropped += 1
        self._unread.append(event)
        self._wake()

    def end(self) -> None:
        """No more events will come."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def check_kinds(kinds: tuple[object, ...]) -> None:
    """ConfigurationError unless all of these are classes of events."""
    for kind in kinds:
        if not isinstance(kind, type) or not issubclass(kind, Event):
            raise ConfigurationError(
                f"{kind!r} is no class of events: give those of ipconf.events one by one"
            )


class EventHub:
    """The subscribers of one provider or call."""

    def __init__(self) -> None:
        self._streams: list[EventStream[Event]] = []
        self._watchers: list[Callable[[Event], None]] = []
        self._closed = False

    def subscribe(self, kinds: tuple[type[E], ...]) -> EventStream[E]:
        """A new stream of events of these classes, from now on; ConfigurationError for others."""
        check_kinds(kinds)
        stream = EventStream(self, kinds)
        if self._closed:
            stream.end()
        else:
            self._streams.append(stream)  # type: ignore[arg-type] # it only ever takes its own kinds
        return stream

    def watch(self, take: Callable[[Event], None]) -> None:
        """Call `take` with each event at once: for what must not lag behind, in this package."""
        self._watchers.append(take)

    def unwatch(self, take: Callable[[Event], None]) -> None:
        """Call `take` no more; harmless when repeated."""
        self._watchers = [w for w in self._watchers if w != take]

    def post(self, event: Event) -> None:
        """Hand the event to every stream that wants its class; who cannot take it gets no more."""
        for take in self._watchers:
            try:
                take(event)
            except Exception:  # as below: whoever posts may be in the midst of a datagram
                _log.exception("a watcher of events failed")
        for stream in self._streams:
            try:
                stream.offer(event)
            except Exception:  # its loop has ended, say; whoever posts has other things to do
                self.forget(stream)
                _log.exception("a reader of events cannot be told of any more")

    def forget(self, stream: "EventStream[E]") -> None:
        """Deliver nothing more to `stream`."""
        self._streams = [s for s in self._streams if s is not stream]

    def close(self) -> None:
        """End every stream once it has been read to the end."""
        self._closed = True
        for stream in self._streams:
            stream.end()
        self._streams, self._watchers = [], []
