"""One TCP connection, once it is let in: HTTP and WebSockets, with an end to what it takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from .guards import HEADERS, refusal
from .limits import Buckets
from .refusals import Refused

if TYPE_CHECKING:
    from .connections import Connections

ANSWER_S = 30.0
"""So long an answer may take to be read, and so long something may wait to be."""
READ_COST = 500
"""What a read counts besides its bytes, as one of a single byte is work as well ..."""
REQUEST_COST = 2_000
"""... and what each request in it does: many fit into one, and are parsed at the same time."""
BYTES_PER_S, BYTES_AT_ONCE = 300_000.0, 800_000.0
"""What one client may send on a connection: a message may have 300 000 bytes, in small packets."""

_REQUEST_MARK = b"HTTP/1."
"""Each request has it in its first line."""


class Connection(web.RequestHandler):
    """aiohttp's protocol, which counts what comes and does not wait for ever."""

    __slots__ = ("_budget", "_connections", "_early", "_over", "_read_at", "_socket", "group")

    def __init__(
        self,
        connections: Connections,
        server: web.Server,
        socket: asyncio.Transport,
        group: str | None,
        options: dict[str, Any],
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, **options)
        self._connections = connections
        self._socket = socket
        self._read_at = loop.time()  # when nothing waited to be read by the client
        self.group = group
        """Whom it counts for; None: for nobody, as a proxy's has many clients."""
        self._early: list[bytes] | None = []  # came with the end of TLS's handshake
        self._over = False
        self._budget: Buckets | None = None
        if group is not None:
            self.bound()

    def begin(self, transport: asyncio.Transport) -> bool:
        """It can be used from now on; False where it has ended meanwhile."""
        if self._over:
            return False
        self.connection_made(transport)
        early, self._early = self._early, None
        for data in early or ():
            self.data_received(data)
        return True

    def bound(self) -> None:
        """From now on it is one client's, whoever has opened it."""
        if self._budget is None:
            self._budget = Buckets(BYTES_PER_S, BYTES_AT_ONCE, self._loop.time)

    def data_received(self, data: bytes) -> None:
        """Something has come; it may be nothing, where aiohttp looks again at what was left."""
        if self._early is not None:
            self._early.append(data)
            return
        if data and self._budget is not None:
            cost = READ_COST + len(data) + REQUEST_COST * data.count(_REQUEST_MARK)
            group = self.group
            if self._budget.take("", cost) > 0.0 or not (
                group is None or self._connections.may_send(group, cost)
            ):
                self._connections.cut_off(self.transport, group)
                return
        super().data_received(data)

    def is_read(self, now: float) -> bool:
        """Whether the client takes what it is sent; asked again and again."""
        if not self._socket.get_write_buffer_size():
            self._read_at = now
        return now - self._read_at < ANSWER_S

    def cut_off(self) -> None:
        """End it without a word, also one that is closed but for what it has to send."""
        self._connections.cut_off(self._socket, self.group)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over."""
        self._over = True
        self._connections.gone(self)
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; who does not read it is cut off."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self._connections.cut_off(self.transport, self.group)
            return resp, True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what no handler has answered: to what is no HTTP, for the most part."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        answer = refusal(Refused(status, "bad-request", "That is no request of HTTP."))
        answer.headers.update(HEADERS)
        answer.force_close()
        return answer
