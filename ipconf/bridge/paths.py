"""What is found where: the page and its parts, what rooms are called, health, metrics, sockets."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST

from .. import __version__
from .guards import check_origin, is_loopback, is_our_host
from .keys import BRIDGE
from .one_way_http import bearer_token
from .page_session import page_session
from .refusals import Refused
from .whip import whip_routes

if TYPE_CHECKING:
    from .settings import BridgeSettings

PAGE = Path(__file__).parent / "page"
ROOM_PATH = "/{room:[A-Za-z0-9_-]{1,64}}"
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""What proxies add: a request with one of these is not from the machine it comes from."""


def routes() -> list[web.AbstractRouteDef]:
    """All routes; a room has any name that none of the others is."""
    return [
        web.static("/static", PAGE),
        web.get("/healthz", _health),
        web.get("/metrics", _metrics),
        web.get("/ws", page_session),
        *whip_routes(),
        web.get("/", _page),
        web.get(ROOM_PATH, _page),
        web.get(f"{ROOM_PATH}/about", _about),
    ]


async def _page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE / "index.html")


async def _about(request: web.Request) -> web.Response:
    """What a room is called, for who may come in; not whether anybody is there."""
    bridge = request.app[BRIDGE]
    # Reading tells no Origin: where a page came from that got here by another name is in Host.
    check_origin(f"{request.scheme}://{request.host}", request.host, bridge.settings)
    name = request.match_info["room"]
    subject = bridge.rooms.subject(name, bearer_token(request))
    return web.json_response({"room": name.lower(), "subject": subject})


async def _health(request: web.Request) -> web.Response:
    """200, or 503 while stopping: nobody should be sent here any more."""
    bridge = request.app[BRIDGE]
    stopping = bridge.limits.stopping
    told = {
        "status": "stopping" if stopping else "ok",
        "version": __version__,
        "rooms": len(bridge.rooms.rooms),
        "guests": sum(len(room.guests) for room in bridge.rooms.rooms.values()),
    }
    return web.json_response(told, status=503 if stopping else 200)


async def _metrics(request: web.Request) -> web.Response:
    bridge = request.app[BRIDGE]
    if not bridge.settings.metrics:
        raise Refused(404, "not-found", "This server tells no metrics.")
    if not _may_read(request, bridge.settings):
        raise Refused(403, "not-allowed", "Metrics are for this machine, or need metrics_token.")
    return web.Response(
        body=bridge.metrics.page(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST}
    )


def _may_read(request: web.Request, settings: BridgeSettings) -> bool:
    """Whether it is this machine that asks, or somebody with the token.

    Neither a proxy on it counts, nor a browser on it with another site's page (DNS rebinding).
    """
    token = settings.metrics_token
    if token is not None:
        told = request.headers.get(hdrs.AUTHORIZATION, "").encode(errors="replace")
        if hmac.compare_digest(told, f"Bearer {token}".encode()):
            return True
    proxied = any(name in request.headers for name in FORWARDED)
    ours = is_our_host(request.headers.get(hdrs.HOST, "localhost"), settings)
    return ours and not proxied and is_loopback(request.remote)
