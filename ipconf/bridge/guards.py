"""What every request passes: whose it is, how much it may ask for, what is told of errors."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from .keys import ADDRESS, BRIDGE, ROUTE, STARTED
from .log import LOGGER
from .one_way_http import problem, share
from .refusals import RETRY_AFTER_S, Refused

if TYPE_CHECKING:
    from .settings import BridgeSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Network = IPv4Network | IPv6Network

BODY_LIMIT_S = 10.0
"""So long a request's body may take to come."""
ONE_WAY_PATHS = ("/whip/", "/whep/")
DEFAULT_PORTS = {"http": 80, "https": 443}

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
HEADERS = {
    hdrs.SERVER: "ipconf",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), "
    "geolocation=(), payment=(), usb=()",
}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Say with every answer what browsers must not do with it; handlers' own headers stay."""
    bridge = request.app[BRIDGE]
    request[STARTED] = True
    for name, value in HEADERS.items():
        if name == hdrs.SERVER:
            response.headers[name] = value
        else:
            response.headers.setdefault(name, value)
    cached = "no-cache" if isinstance(response, web.FileResponse) else "no-store"  # asked each time
    response.headers.setdefault(hdrs.CACHE_CONTROL, cached)
    if request.scheme == "https" and bridge.settings.tls_certificate is not None:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    bridge.metrics.answered(request.get(ROUTE, ""), response.status)


@web.middleware
async def find_address(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let `request.remote` be the client's address also behind a proxy that is trusted."""
    bridge, resource, direct = request.app[BRIDGE], request.match_info.route.resource, request
    direct[ROUTE] = "" if resource is None else resource.canonical
    bridge.connections.asked(direct)
    trusted = bridge.settings.trusted_proxies
    if is_in(request.remote, trusted):
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))  # one more from each
        request = request.clone(remote=client_behind(request.remote or "", forwarded, trusted))
    direct[ADDRESS] = request.remote or ""  # the log gets that one
    return await handler(request)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers raise into answers that tell no more than clients may know."""
    try:
        return await handler(request)
    except Refused as exc:
        request.app[BRIDGE].metrics.refused(exc.code)
        return _told(exc, request)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        code = exc.reason.lower().replace(" ", "-")
        answer = _told(Refused(exc.status, code, f"{exc.reason}."), request)
        if hdrs.ALLOW in exc.headers:
            answer.headers[hdrs.ALLOW] = exc.headers[hdrs.ALLOW]
        return answer
    except (ConnectionError, asyncio.CancelledError):
        raise  # the client is gone
    except Exception:
        LOGGER.exception("a request failed")
        if request.get(STARTED) and request.transport is not None:
            request.transport.abort()  # a WebSocket's, say: what follows is no part of it
        text = "The server failed: that is its fault, and is in its log."
        return _told(Refused(500, "failed", text), request)


@web.middleware
async def limit_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what comes too fast or too slowly, is too big, or another site's page."""
    bridge = request.app[BRIDGE]
    try:
        bridge.limits.request(request.remote or "")
    except Refused as exc:
        bridge.metrics.refused(exc.code)
        answer = _told(exc, request)
        answer.force_close()  # what else waits on this connection would be refused one by one
        return answer
    if request.path == "/ws":
        check_origin(request.headers.get(hdrs.ORIGIN), request.host, bridge.settings)
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        text = "Send the body as it is: what is compressed may be a thousand times as long."
        raise Refused(415, "wrong-encoding", text)
    if request.can_read_body:
        try:
            async with asyncio.timeout(BODY_LIMIT_S):
                await request.read()
        except web.HTTPRequestEntityTooLarge:
            most = bridge.settings.max_request_bytes
            raise Refused(413, "too-big", f"Send at most {most} bytes.") from None
        except TimeoutError:
            raise Refused(408, "timeout", "The request took too long to come.") from None
        except ConnectionError:  # nobody is there to read this; it is for the log
            raise Refused(400, "bad-request", "The request broke off.") from None
    return await handler(request)


MIDDLEWARES = (find_address, answer_errors, limit_requests)
"""The first one is outermost."""


def _told(refused: Refused, request: web.Request) -> web.Response:
    """A refusal in the terms of whom it is for; pages that may ask can read it."""
    if not request.path.startswith(ONE_WAY_PATHS):
        return refusal(refused)
    answer, origin = problem(refused, request), request.headers.get(hdrs.ORIGIN)
    with suppress(Refused):
        check_origin(origin, request.host, request.app[BRIDGE].settings)
        share(answer, origin)
    return answer


def refusal(refused: Refused) -> web.Response:
    """The answer that tells of it."""
    answer = web.json_response({"code": refused.code, "text": refused.text}, status=refused.status)
    if refused.status in RETRY_AFTER_S:
        answer.headers[hdrs.RETRY_AFTER] = RETRY_AFTER_S[refused.status]
    return answer


def is_in(address: str | None, networks: Iterable[Network]) -> bool:
    """Whether that is an address in one of these."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return False
    return any(ip in network for network in networks)


def is_loopback(address: str | None) -> bool:
    """Whether that is an address of this machine alone."""
    try:
        return ip_address(address or "").is_loopback
    except ValueError:
        return False


def client_behind(proxy: str, forwarded: str, trusted: Iterable[Network]) -> str:
    """The last address of an X-Forwarded-For that a proxy of ours has not: what is before it,
    anybody could have written."""
    address = proxy
    for part in reversed(forwarded.split(",")):
        try:
            address = str(ip_address(part.strip()))
        except ValueError:
            break
        if not is_in(address, trusted):
            break
    return address


def check_origin(origin: str | None, host: str, settings: BridgeSettings) -> None:
    """Refuse (403) a WebSocket of another site's page; what is no browser tells no origin.

    Our own site is `public_url`, or what the request names as its host where that is an address or
    a name of this machine's own: another name that leads here may be a trick (DNS rebinding).
    """
    if origin is None or origin.lower() in (*settings.origins, settings.public_url):
        return
    told = _place(origin)
    same = told is not None and told == _place(f"{origin.partition(':')[0]}://{host}")
    if told is None or not same or not _is_ours(told[0], settings):
        text = f"Pages of {origin} may not connect: see `public_url` and `origins`."
        raise Refused(403, "bad-origin", text)


def is_our_host(host: str, settings: BridgeSettings) -> bool:
    """Whether a request's Host names us, and not another name that leads here (DNS rebinding)."""
    place = _place(f"http://{host}")
    return place is not None and _is_ours(place[0], settings)


def _place(url: str) -> tuple[str, int] | None:
    """Host and port of a site; None for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.hostname, port) if parts.hostname else None


def _is_ours(host: str, settings: BridgeSettings) -> bool:
    if settings.public_url is not None and host == urlsplit(settings.public_url).hostname:
        return True
    if host in ("localhost", settings.host.lower(), socket.gethostname().lower()):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
