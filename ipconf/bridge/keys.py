"""Where handlers find the bridge that they belong to: `request.app[BRIDGE]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from .server import Bridge

BRIDGE: web.AppKey[Bridge] = web.AppKey("bridge")
ADDRESS = web.RequestKey("address", str)
"""The client's address, also behind a proxy that is trusted; for the log of requests."""
STARTED = web.RequestKey("started", bool)
"""Whether the answer is on its way: nothing else can be answered then."""
ROUTE = web.RequestKey("route", str)
"""The path as the server knows it, without what is secret in it."""
