"""HTTP as WHIP and WHEP use it: types of bodies, tokens, preconditions, CORS, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from aiohttp import hdrs, web

from ..model import IceServer
from .refusals import RETRY_AFTER_S, Refused

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
EXPOSED = "Location, ETag, Link, Accept-Patch, Retry-After, WWW-Authenticate"
"""Headers that scripts of other pages may read."""
PREFLIGHT_AGE_S = 600

_ETAG = re.compile(r'(?:W/)?"[^"]*"')


def require_type(request: web.Request, media_type: str) -> None:
    """Refused (415) unless the body is of that type."""
    if request.content_type != media_type or hdrs.CONTENT_TYPE not in request.headers:
        raise Refused(415, "wrong-type", f"send the body as Content-Type: {media_type}")


def require_accepts_sdp(request: web.Request) -> None:
    """Refused (406) for a client that would not take the answer."""
    wanted = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
    ranges = [each.partition(";")[0].strip().lower() for each in wanted.split(",")]
    if any(ranges) and not {SDP, "application/*", "*/*"} & set(ranges):
        raise Refused(406, "not-acceptable", f"the answer is {SDP}; let Accept allow it")


async def text_of(request: web.Request, most: int) -> str:
    """The body as text; Refused where it is longer than `most` bytes (413) or no UTF-8 (400)."""
    body = await request.read()
    if len(body) > most:
        raise Refused(413, "too-big", f"the body has {len(body)} bytes; send at most {most}")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "bad-text", "the body is not UTF-8") from None


def bearer_token(request: web.Request) -> str | None:
    """The token of an Authorization header (RFC 6750 section 2.1), None without one."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def require_match(request: web.Request, etag: str) -> None:
    """Refused unless If-Match names that entity-tag: 428 without one, 412 for another.

    The comparison is strong (RFC 9110 section 13.1.1); "*" is any.
    """
    values = ",".join(request.headers.getall(hdrs.IF_MATCH, ())).strip()
    if not values:
        raise Refused(428, "no-if-match", "send the ETag of the session in an If-Match header")
    if values not in ("*", '"*"') and etag not in _ETAG.findall(values):
        raise Refused(412, "other-session", "the ICE session that If-Match names is not this one")


def ice_links(servers: Iterable[IceServer]) -> list[str]:
    """Link headers for STUN and TURN servers (RFC 9725 section 4.6)."""
    return [_ice_link(server) for server in servers]


def _ice_link(server: IceServer) -> str:
    link = f'<{server.url}>; rel="ice-server"'
    if server.username is not None and server.credential is not None:
        link += f"; username={_quoted(server.username)}; credential={_quoted(server.credential)}"
        link += '; credential-type="password"'
    return link


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def problem(refused: Refused, request: web.Request) -> web.Response:
    """A refusal as an answer (RFC 9457), with what its status asks for besides."""
    status, code = refused.status, refused.code
    headers: dict[str, str] = {}
    if code == "bad-token":  # a page is told 403; here it is for the client to bring a token
        status = 401
        wrong = bearer_token(request) is not None
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer" + (' error="invalid_token"' if wrong else "")
    if status in RETRY_AFTER_S:
        headers[hdrs.RETRY_AFTER] = RETRY_AFTER_S[status]
    if status == 415:
        name = "Accept-Patch" if request.method == hdrs.METH_PATCH else "Accept-Post"
        headers[name] = FRAGMENT if request.method == hdrs.METH_PATCH else SDP
    told = {"title": refused.code, "status": status, "detail": refused.text, "code": code}
    return web.Response(
        status=status,
        text=json.dumps(told),
        content_type="application/problem+json",
        headers=headers,
    )


def share(response: web.StreamResponse, origin: str | None) -> None:
    """Let a page of that origin read an answer (CORS); clients that are no pages have none."""
    if origin is not None:
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED
        response.headers[hdrs.VARY] = hdrs.ORIGIN


def preflight(methods: str) -> web.Response:
    """The answer to OPTIONS, for CORS and for clients that ask what may be sent."""
    headers = {
        hdrs.ALLOW: methods,
        "Accept-Post": SDP,
        "Accept-Patch": FRAGMENT,
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, If-Match",
        hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_AGE_S),
    }
    return web.Response(headers=headers)
