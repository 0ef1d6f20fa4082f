"""What goes out on a page's WebSocket: a short queue, and a task that writes at the page's pace.

Who reads too slowly is dropped, rather than that a queue grows.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

from .guests import Departure
from .page_news import message

MAX_WAITING = 512
"""Messages that a page has not read, ..."""
MAX_WAITING_CHARACTERS = 4_000_000
"""... and how long they may be together."""
FAREWELL_S = 3.0
"""For the last messages, the bye among them, and the closing."""
LEAVES, STOPPING = 1000, 1012
"""Closing codes (RFC 6455 section 7.4.1)."""


class PageWriter:
    """Writes on one socket, until `end`."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.departure: Departure | None = None
        """What the bye has said; nothing is told after that."""
        self._socket = socket
        self._transport = request.transport
        self._waiting: deque[str] = deque()
        self._waiting_characters = 0
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._write())

    async def end(self) -> None:
        """The socket is closed: stop; after a bye as soon as it is written, or time is up."""
        if self.departure is None:
            self._task.cancel()
        await asyncio.wait([self._task])
        if self._deadline is not None:
            self._deadline.cancel()

    def tell(self, text: str) -> None:
        """Send a message as soon as the page reads; drop a page that has not read for too long."""
        if self.departure is not None:
            return
        self._queue(text)
        if len(self._waiting) > MAX_WAITING or self._waiting_characters > MAX_WAITING_CHARACTERS:
            self._waiting.clear()
            self._abort()

    def bye(self, departure: Departure) -> None:
        """Say goodbye, and close the socket; nothing is told after that."""
        if self.departure is None:
            code, text, again = departure
            self._queue(message("bye", code=code, text=text, again=again))
            self.departure = departure
            self._deadline = self._loop.call_later(FAREWELL_S, self._abort)

    def _queue(self, text: str) -> None:
        self._waiting.append(text)
        self._waiting_characters += len(text)
        self._wake.set()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _write(self) -> None:
        try:
            while self._waiting or self.departure is None:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                text = self._waiting.popleft()
                self._waiting_characters -= len(text)
                await self._socket.send_str(text)
            stopping = self.departure.code == "stopping"
            await self._socket.close(code=STOPPING if stopping else LEAVES)
        except (ConnectionError, RuntimeError):  # the socket is closed already, or just then
            self._abort()
