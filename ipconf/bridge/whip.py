"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): publish into a room, or play it, by one POST.

    POST   /whip/ROOM?name=..   an offer   ──> 201, the answer, Location: /whip/ROOM/KEY
    PATCH  /whip/ROOM/KEY       candidates ──> 204
    DELETE /whip/ROOM/KEY                  ──> 200

The same under /whep. The key is secret: who has the URL of a session may end it. An ICE restart is
answered with 422, as by all servers that trickle only (RFC 9725 section 4.3.1), and what there is
goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from ..errors import IpconfError, NegotiationError
from .guards import check_origin
from .ice_fragments import MAX_FRAGMENT_BYTES, read_fragment, ufrags_of
from .keys import BRIDGE
from .log import tell
from .one_way import Way, name_in, one_way_offer
from .one_way_http import (
    FRAGMENT,
    SDP,
    bearer_token,
    ice_links,
    preflight,
    require_accepts_sdp,
    require_match,
    require_type,
    share,
    text_of,
)
from .refusals import Refused
from .relays import with_passwords

if TYPE_CHECKING:
    from .guests import Guest
    from .limits import Admission

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Session:
    """What a session URL stands for."""

    guest: Guest
    ufrags: frozenset[str]
    """Of the client's offer; others mean an ICE restart."""
    etag: str = field(default_factory=lambda: f'"{secrets.token_hex(8)}"')
    """Names the ICE session."""


def whip_routes() -> list[web.RouteDef]:
    """The routes of WHIP and WHEP, for one application, which has its bridge under `BRIDGE`."""
    return [route for way in Way for route in OneWay(way).routes()]


class OneWay:
    """One of the two protocols."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._sessions: dict[str, Session] = {}  # by key

    def routes(self) -> list[web.RouteDef]:
        """Those of the endpoint and of its sessions; other methods are answered with 405."""
        endpoint, session = f"/{self._way.kind}/{{room}}", f"/{self._way.kind}/{{room}}/{{key}}"
        return [
            web.post(endpoint, _answering(self._create)),
            web.options(endpoint, _answering(_tell_endpoint)),
            web.patch(session, _answering(self._trickle)),
            web.delete(session, _answering(self._end)),
            web.options(session, _answering(_tell_session)),
        ]

    # -- the endpoint

    async def _create(self, request: web.Request) -> web.Response:
        try:
            return await self._let_in(request)
        except Refused as exc:
            tell("guest refused", kind=self._way.kind, code=exc.code)
            raise

    async def _let_in(self, request: web.Request) -> web.Response:
        """Let somebody in with an offer: 201 and the answer (RFC 9725 section 4.2)."""
        bridge = request.app[BRIDGE]
        require_type(request, SDP)
        require_accepts_sdp(request)
        text = await text_of(request, bridge.settings.max_request_bytes)
        bridge.rooms.check(request.match_info["room"], bearer_token(request), self._way.kind)
        admission = bridge.limits.admit(request.remote or "")
        try:  # reading an offer costs something: only who may come in has it read
            offer = one_way_offer(text, self._way, bridge.settings.call_settings())
            session, answer = await self._enter(request, offer)
        except BaseException:
            admission.release()
            raise
        self._keep(session, admission)
        bridge.metrics.joined(self._way.kind)
        room, key = session.guest.room.name, session.guest.key
        response = web.Response(status=201, body=answer.encode(), content_type=SDP)
        response.headers[hdrs.LOCATION] = f"/{self._way.kind}/{room}/{key}"
        response.headers[hdrs.ETAG] = session.etag
        response.headers["Accept-Patch"] = FRAGMENT
        for link in ice_links(with_passwords(bridge.settings.ice_servers)):
            response.headers.add(hdrs.LINK, link)
        return response

    async def _enter(self, request: web.Request, offer: str) -> tuple[Session, str]:
        """A new guest, and the answer; who is not answered is not in the room, either."""
        room, name = request.match_info["room"], request.query.get("name") or name_in(offer)
        token = bearer_token(request)
        guest = await request.app[BRIDGE].rooms.enter(room, token, name, self._way.kind)
        try:
            answer = await guest.answer(offer)
        except BaseException as exc:
            await guest.leave("the offer could not be answered", "refused")
            if isinstance(exc, NegotiationError):
                raise Refused(422, "unusable-offer", str(exc)) from exc
            if isinstance(exc, IpconfError):  # the call was ended meanwhile
                raise Refused(503, "not-answered", str(exc)) from exc
            raise
        return Session(guest, ufrags_of(offer)), answer

    def _keep(self, session: Session, admission: Admission) -> None:
        """Remember a session until its guest is gone."""
        guest = session.guest

        def gone(reason: str) -> None:
            self._sessions.pop(guest.key, None)
            admission.release()

        self._sessions[guest.key] = session
        guest.on_gone(gone)

    # -- a session

    def _session(self, request: web.Request) -> Session:
        session = self._sessions.get(request.match_info["key"])
        room = request.match_info["room"].lower()
        if session is None or session.guest.room.name != room:
            raise Refused(404, "no-session", "there is no such session: it has ended, or never was")
        return session

    async def _trickle(self, request: web.Request) -> web.Response:
        """Take more candidates of the client: 204 (RFC 9725 section 4.3.2)."""
        session = self._session(request)
        require_type(request, FRAGMENT)
        require_match(request, session.etag)
        fragment = read_fragment(await text_of(request, MAX_FRAGMENT_BYTES))
        if not fragment.ufrags <= session.ufrags:
            text = "ICE cannot be restarted here: begin a new session with a POST"
            raise Refused(422, "no-restart", text)
        for candidate, mid in fragment.candidates:
            if not session.guest.add_candidate(candidate, mid):
                raise Refused(429, "too-fast", "too many candidates wait: try again in a moment")
        return web.Response(status=204)

    async def _end(self, request: web.Request) -> web.Response:
        """End a session: 200, whatever If-Match says (RFC 9725 section 4.3.1)."""
        await self._session(request).guest.leave("the client ended the session")
        return web.Response()


async def _tell_endpoint(request: web.Request) -> web.Response:
    return preflight("POST, OPTIONS")


async def _tell_session(request: web.Request) -> web.Response:
    return preflight("PATCH, DELETE, OPTIONS")


def _answering(handler: Handler) -> Handler:
    """A handler whose answers can be read by the pages that may ask; refusals see `guards`."""

    async def handle(request: web.Request) -> web.Response:
        origin = request.headers.get(hdrs.ORIGIN)
        check_origin(origin, request.host, request.app[BRIDGE].settings)
        response = await handler(request)
        share(response, origin)
        return response

    return handle
