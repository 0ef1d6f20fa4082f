"""Connections on which nothing is asked: of who opens many and sends a byte now and then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler

FIRST_REQUEST_S = 10.0
"""So long the first request of a connection may take to come, up to the end of its headers. Between
further ones aiohttp's own limit holds."""
LOOK_EVERY_S = 2.0


class Connections:
    """Cuts off who takes too long; `close` ends that."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._since: dict[RequestHandler, float] = {}  # nothing has been asked since
        self._heard: set[RequestHandler] = set()
        self._timer = self._loop.call_later(LOOK_EVERY_S, self._look)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def asked(self, request: web.Request) -> None:
        """A request has come, and its connection is none of those."""
        self._heard.add(request.protocol)
        self._since.pop(request.protocol, None)

    def _look(self) -> None:
        now = self._loop.time()
        there = set(self._server.connections)
        self._heard &= there
        self._since = {each: self._since.get(each, now) for each in there - self._heard}
        for each, since in self._since.items():
            if now - since >= FIRST_REQUEST_S and each.transport is not None:
                each.transport.abort()
        self._timer = self._loop.call_later(LOOK_EVERY_S, self._look)
