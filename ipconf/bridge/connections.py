"""TCP connections before anything is asked on them: how many, how long, and how much comes.

accept ──> Connections.Arrival ──> TLS, if there is any ──> Connection (HTTP, WebSockets)
           too many: cut off       10 s                     each read counts for who sends it
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from .connection import Connection
from .files import most_files
from .guards import is_in
from .limits import Buckets, group_of
from .log import tell

if TYPE_CHECKING:
    from .metrics import Metrics
    from .settings import BridgeSettings

HANDSHAKE_S = 10.0
"""So long TLS may take to begin."""
FIRST_REQUEST_S = 10.0
"""So long the first request of a connection may take to come, up to the end of its headers. Between
further ones aiohttp's own limit holds."""
LOOK_EVERY_S = 2.0
TELL_EVERY_S = 60.0

CONNECTIONS_PER_GUEST = 4
"""For each guest that one address may have; browsers open six for a page, and close them again."""
FEWEST_GUESTS = 10
"""An address has connections, and bytes, for so many in any case ..."""
IN_A_CROWD = 10
"""... but no more than these once half of the files that the system grants are connections."""
OPENING_COST = 20_000
"""What to open a connection counts, in bytes."""
GUEST_BYTES_PER_S, GUEST_BYTES_AT_ONCE = 40_000.0, 400_000.0
"""What one address may send for each guest that it may have; offers have some 10 000."""


class Connections:
    """Lets connections in, and cuts off who takes too much or too long; `close` ends that."""

    def __init__(
        self,
        server: web.Server,
        settings: BridgeSettings,
        metrics: Metrics,
        tls: ssl.SSLContext | None,
        options: dict[str, Any],
    ) -> None:
        """`options` are those of `web.RequestHandler`, for each connection."""
        self._server = server
        self._metrics = metrics
        self._tls = tls
        self._options = options
        self._proxies = settings.trusted_proxies
        self._loop = asyncio.get_running_loop()
        guests = max(FEWEST_GUESTS, settings.max_sessions_per_address)
        self._most = CONNECTIONS_PER_GUEST * guests
        per_s, at_once = guests * GUEST_BYTES_PER_S, guests * GUEST_BYTES_AT_ONCE
        self._bytes = Buckets(per_s, at_once, self._loop.time)
        self._crowd = most_files() // 2
        self._there: set[Connection] = set()
        self._open: Counter[str] = Counter()  # of these, for each address
        self._opening: set[asyncio.Task[None]] = set()
        self._since: dict[web.RequestHandler, float] = {}  # nothing has been asked since
        self._heard: set[web.RequestHandler] = set()
        self._cut = 0  # how many were cut off, which is not told yet
        self._cut_of: str | None = None
        self._tell_at = 0.0
        self._timer = self._loop.call_later(LOOK_EVERY_S, self._look)

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Take connections there; raises OSError."""
        return await self._loop.create_server(lambda: Arrival(self), host, port)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()
        for task in self._opening:
            task.cancel()

    # -- a connection begins

    def arrived(self, transport: asyncio.Transport) -> None:
        """Somebody has connected."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        group = None if is_in(address, self._proxies) else group_of(address)
        if group is not None:
            most = IN_A_CROWD if len(self._there) >= self._crowd else self._most
            if self._open[group] >= most or self._bytes.take(group, OPENING_COST) > 0.0:
                self.cut_off(transport, group)
                return
            self._open[group] += 1
        connection = Connection(self, self._server, transport, group, self._options)
        self._there.add(connection)
        if self._tls is None:
            transport.set_protocol(connection)
            connection.begin(transport)
        else:
            task = self._loop.create_task(self._begin_tls(transport, connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _begin_tls(self, transport: asyncio.Transport, connection: Connection) -> None:
        assert self._tls is not None
        begun = False
        try:
            encrypted = await self._loop.start_tls(
                transport,
                connection,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_S,
            )
            begun = encrypted is not None and connection.begin(encrypted)
        except OSError:  # no TLS, not in time, or gone meanwhile; ssl.SSLError is one
            pass
        finally:
            if not begun:
                transport.abort()
                self.gone(connection)

    def gone(self, connection: Connection) -> None:
        """A connection that was let in has ended; harmless when repeated."""
        self._there.discard(connection)
        group, connection.group = connection.group, None
        if group is not None:
            self._open[group] -= 1
            if self._open[group] <= 0:
                del self._open[group]

    # -- what it does

    def asked(self, request: web.Request) -> None:
        """A request has come, and its connection is none that asks nothing."""
        self._heard.add(request.protocol)
        self._since.pop(request.protocol, None)

    def upgraded(self, request: web.Request) -> None:
        """A connection is a WebSocket now, and one client's, also a proxy's."""
        if isinstance(request.protocol, Connection):
            request.protocol.bound()

    def may_send(self, group: str, cost: float) -> bool:
        """Whether that address may still send so much."""
        return self._bytes.take(group, cost) == 0.0

    def cut_off(self, transport: asyncio.Transport | None, group: str | None) -> None:
        """End a connection without a word, and have that told in the log, but not each time."""
        self._cut += 1
        self._cut_of = group
        self._metrics.refused("cut-off")
        if transport is not None:
            transport.abort()

    def _look(self) -> None:
        now = self._loop.time()
        there = set(self._server.connections)
        self._heard &= there
        self._since = {each: self._since.get(each, now) for each in there - self._heard}
        for each, since in self._since.items():
            if now - since >= FIRST_REQUEST_S and each.transport is not None:
                each.transport.abort()
        for connection in tuple(self._there):
            if not connection.is_read(now):
                connection.cut_off()
        if self._cut and now >= self._tell_at:
            told = {"number": self._cut, "last_address": self._cut_of}
            tell("connections cut off", logging.WARNING, **told)
            self._cut = 0
            self._tell_at = now + TELL_EVERY_S
        self._timer = self._loop.call_later(LOOK_EVERY_S, self._look)


class Arrival(asyncio.Protocol):
    """A connection that has just come."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or not."""
        self._connections.arrived(cast(asyncio.Transport, transport))
