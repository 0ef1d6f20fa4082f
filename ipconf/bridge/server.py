"""The server: `Bridge` owns the provider, the rooms and the listening socket, and ends them."""

from __future__ import annotations

import asyncio
import errno
import signal
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Self

from aiohttp import web

from ..errors import TransportError
from ..hub.people import Role
from ..model import Identity
from ..tsp.web import WebTsp
from .addresses import site_of
from .certificates import tls_for
from .checks import check_machine
from .connections import Connections
from .guards import MIDDLEWARES, add_headers
from .invitations import Invitations, load_secret
from .keys import BRIDGE
from .limits import Limits
from .log import ACCESS, HTTP, LOGGER, AccessLog, tell
from .metrics import Metrics
from .paths import routes
from .rooms import Rooms
from .settings import BridgeSettings
from .traffic import CountingProvider

FAREWELL_S = 4.0
"""So long guests may take to be told, and recordings to be closed ..."""
LAST_ANSWERS_S = 1.0
"""... then requests to be answered, and as long to be given up ..."""
END_S = 3.0
"""... and then calls and threads to end: less than 10 s in all."""
KEEP_ALIVE_S = 15.0
"""So long a connection stays open between requests."""
LINGER_S = 2.0
"""So long the rest of a request that was refused is still read, so that the answer arrives."""
STOPPING = "the server is stopping"


class Bridge:
    """Rooms on a socket; use it with `async with`, and `serve` until a signal ends it.

    Entering raises ConfigurationError for files, directories and addresses that cannot be used, and
    TransportError where it cannot listen. What handlers use (`rooms`, `limits` and so on) is there
    once it is entered.
    """

    def __init__(self, settings: BridgeSettings) -> None:
        self.settings = settings
        self.msp = CountingProvider(Identity(name="Bridge"), settings.call_settings())
        self.tsp = WebTsp(self.msp)
        self.limits = Limits(
            settings.max_sessions_per_address, settings.joins_per_minute_per_address
        )
        self.port = 0
        """Where it listens."""
        self.fingerprint: str | None = None
        """SHA-256 of the certificate; None with plain HTTP."""
        self.stopping = asyncio.Event()
        """Set it to end `serve`."""
        self._end = AsyncExitStack()

    async def __aenter__(self) -> Self:
        check_machine(self.settings)
        self.invitations = Invitations(load_secret(self.settings.state_dir))
        tls = tls_for(self.settings)
        self.fingerprint = None if tls is None else tls.fingerprint
        async with AsyncExitStack() as end:  # the last one first
            await self.msp.__aenter__()
            end.push_async_callback(_within, END_S, self.msp.close)
            await end.enter_async_context(self.tsp)
            self.rooms = Rooms(self.msp, self.tsp, self.settings, self.invitations)
            self.metrics = Metrics(self.rooms, self.msp)
            end.callback(self.metrics.close)
            await self._listen(end, None if tls is None else tls.context)
            end.push_async_callback(_within, FAREWELL_S, self._farewell)
            self._end = end.pop_all()
        tell("started", port=self.port, tls=tls is not None)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._end.aclose()
        tell("stopped")

    @property
    def url(self) -> str:
        """The site that links lead to."""
        return site_of(self.settings, self.port)

    def link(self, room: str, role: Role | None = None) -> str:
        """A link into a room; with a role, one that has an invitation for it in its fragment."""
        fragment = "" if role is None else f"#{self.invitations.invite(room, role)}"
        return f"{self.url}/{room}{fragment}"

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Wait until SIGTERM or SIGINT, or `stop`; a second signal ends the process at once.

        `ready` is called when a signal would not do that any more.
        """
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        try:
            ready()
            await self.stopping.wait()
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """End `serve`; nobody is let in from now on."""
        self.limits.stopping = True
        self.stopping.set()

    async def _listen(self, end: AsyncExitStack, context: ssl.SSLContext | None) -> None:
        runner = web.AppRunner(self._app(), shutdown_timeout=LAST_ANSWERS_S)
        await runner.setup()
        end.push_async_callback(runner.cleanup)
        assert runner.server is not None
        of_each = {
            "access_log_class": AccessLog,
            "access_log": ACCESS,
            "logger": HTTP,
            "keepalive_timeout": KEEP_ALIVE_S,
            "lingering_time": LINGER_S,
            "auto_decompress": False,  # `guards` refuses what is compressed
        }
        self.connections = Connections(runner.server, self.settings, self.metrics, context, of_each)
        end.callback(self.connections.close)
        host, port = self.settings.host, self.settings.port
        ports = (port, 0) if self.settings.any_port else (port,)
        for number in ports:
            try:
                listener = await self.connections.listen(host, number)
                break
            except OSError as exc:
                if number == ports[-1] or exc.errno != errno.EADDRINUSE:
                    reason = exc.strerror or exc
                    raise TransportError(f"cannot listen on {host}:{number}: {reason}") from None
        end.callback(listener.close)
        self.port = int(listener.sockets[0].getsockname()[1])

    def _app(self) -> web.Application:
        size = self.settings.max_request_bytes
        app = web.Application(middlewares=MIDDLEWARES, client_max_size=size)
        app[BRIDGE] = self
        app.on_response_prepare.append(add_headers)
        app.add_routes(routes())
        return app

    async def _farewell(self) -> None:
        """Nobody is let in any more, and whoever is there is told."""
        self.stop()
        tell("stopping", guests=self.limits.sessions)
        await self.rooms.close(STOPPING)


async def _within(limit_s: float, end: Callable[[], Awaitable[None]]) -> None:
    """Wait for that, but no longer: what hangs must not keep the rest from ending."""
    try:
        async with asyncio.timeout(limit_s):
            await end()
    except TimeoutError:
        LOGGER.warning("giving up what has not ended within %g s", limit_s)
