"""A page's WebSocket: hello and welcome, then requests in and news out, until either end goes.

    socket ──> PageSession.run: read, validate, carry out
    news   ──> PageWriter.tell ──> socket

A guest whose socket is lost keeps the seat for `resume_s`, and takes it again with the key that the
welcome gave.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import WebSocketError, WSMessage, WSMsgType, web

from ..errors import IpconfError
from .guests import Departure, Guest
from .keys import BRIDGE
from .limits import Buckets
from .log import tell
from .page_hello import let_in, welcome
from .page_news import message
from .page_protocol import (
    MAX_MESSAGE_BYTES,
    SUBPROTOCOL,
    Leave,
    Offer,
    Request,
    Say,
    Trickled,
    read_hello,
    read_request,
)
from .page_requests import carry_out
from .page_writer import FAREWELL_S, LEAVES, PageWriter
from .refusals import Refused

if TYPE_CHECKING:
    from .server import Bridge

HELLO_S = 10.0
PING_S = 15.0
"""Who answers none for half as long has lost the connection."""
MAX_EARLY_CANDIDATES = 100
RATES = {"message": (50.0, 100.0), "say": (2.0, 10.0), "offer": (0.5, 10.0), "mistake": (1 / 3, 20)}
"""How many a second in the long run, and how many at once."""


async def page_session(request: web.Request) -> web.WebSocketResponse:
    """Handle GET /ws."""
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        heartbeat=PING_S,
        autoping=False,
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,
        timeout=FAREWELL_S,
    )
    await socket.prepare(request)
    request.app[BRIDGE].connections.upgraded(request)
    await PageSession(request, socket).run()
    return socket


class PageSession:
    """One socket, and the guest whose page has it."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._bridge: Bridge = request.app[BRIDGE]
        self._address = request.remote or ""
        self._socket = socket
        self._transport = request.transport
        self._writer = PageWriter(request, socket)
        self._guest: Guest | None = None
        self._offering: asyncio.Task[None] | None = None
        self._early: list[Trickled] = []  # candidates that came before the answer
        self._loop = asyncio.get_running_loop()
        self._buckets = {
            kind: Buckets(per_s, at_once, self._loop.time)
            for kind, (per_s, at_once) in RATES.items()
        }

    async def run(self) -> None:
        """Until the socket is closed."""
        try:
            await self._greet()
            await self._listen()
        finally:
            if self._guest is not None:
                self._guest.detach(self._writer)
            if self._offering is not None:
                self._offering.cancel()
                await asyncio.wait([self._offering])
            await self._writer.end()

    # -- coming in

    async def _greet(self) -> None:
        """Wait for the hello, and let its sender in."""
        try:
            async with asyncio.timeout(HELLO_S):
                first = await self._receive()
        except TimeoutError:
            self._refuse(Refused(408, "timeout", "There was no hello in time."), "hello")
            return
        if first.type is not WSMsgType.TEXT:
            if first.type is WSMsgType.BINARY:
                self._refuse(Refused(400, "bad-message", "Messages are text."), "hello")
            return
        try:
            hello = read_hello(first.data)
            guest, resumed = await let_in(self._bridge, hello, self._address)
        except Refused as exc:
            self._refuse(exc, "hello")
            return
        self._guest = guest
        earlier = guest.attach(self._writer)
        if earlier is not None:
            earlier.bye(Departure("replaced", "You are here in another window now.", False))
        self._writer.tell(welcome(self._bridge, guest, resumed=resumed))
        guest.room.news.greet(guest)

    # -- in

    async def _listen(self) -> None:
        """Take requests until the socket is closed."""
        while self._guest is not None and self._writer.departure is None:
            received = await self._receive()
            if received.type is WSMsgType.TEXT:
                self._take(received.data, self._guest)
            elif received.type is WSMsgType.BINARY:
                self._mistaken(Refused(400, "bad-message", "Messages are text."))
            else:
                if _is_meant(received) and self._writer.departure is None:
                    self._guest.begin_to_leave("", "left")
                return

    async def _receive(self) -> WSMessage:
        """The next message; pings are answered here, and count as messages do."""
        while True:
            received = await self._socket.receive()
            if received.type not in (WSMsgType.PING, WSMsgType.PONG):
                return received
            if not self._may("message"):
                if self._guest is not None:
                    self._guest.begin_to_leave("Your page sends too much.", "refused")
                if self._transport is not None:
                    self._transport.abort()
                return WSMessage(WSMsgType.CLOSED, None, None)
            if received.type is WSMsgType.PING:
                with suppress(ConnectionError):  # just closed
                    await self._socket.pong(received.data)

    def _take(self, text: str, guest: Guest) -> None:
        if not self._may("message"):
            guest.begin_to_leave("Your page sends too much.", "refused")
            return
        try:
            request = read_request(text)
        except Refused as exc:
            self._mistaken(exc)
            return
        try:
            self._do(request, guest)
        except Refused as exc:
            self._error(exc, request.type)

    def _do(self, request: Request, guest: Guest) -> None:
        match request:
            case Leave():
                guest.begin_to_leave("", "left")
            case Offer():
                if self._offering is not None and not self._offering.done():
                    raise Refused(409, "busy", "The offer before this one is not answered yet.")
                if not self._may("offer"):
                    raise Refused(429, "too-fast", "Too many offers: wait some seconds.")
                self._offering = self._loop.create_task(self._answer(request, guest))
            case Trickled() if self._offering is not None and not self._offering.done():
                if len(self._early) >= MAX_EARLY_CANDIDATES:
                    raise Refused(429, "too-fast", "Too many candidates wait.")
                self._early.append(request)  # the offer that it belongs to goes first
            case Say() if not self._may("say"):
                raise Refused(429, "too-fast", "Too many messages: wait some seconds.")
            case _:
                carry_out(request, guest)

    async def _answer(self, offer: Offer, guest: Guest) -> None:
        try:
            answer = await guest.answer(offer.sdp)
        except IpconfError as exc:
            self._error(Refused(422, "bad-offer", str(exc)), offer.type)
        else:
            self._writer.tell(message("answer", sdp=answer, id=offer.id))
            for early in self._early:
                guest.add_candidate(early.candidate, early.mid)
        finally:
            self._early.clear()

    # -- what is wrong

    def _may(self, kind: str) -> bool:
        return self._buckets[kind].take("") == 0.0

    def _mistaken(self, refusal: Refused) -> None:
        """A message that makes no sense; who sends only such is sent away."""
        self._error(refusal)
        if not self._may("mistake") and self._guest is not None:
            self._guest.begin_to_leave("Your page sends what makes no sense.", "refused")

    def _error(self, refusal: Refused, about: str | None = None) -> None:
        self._bridge.metrics.refused(refusal.code)
        told = {} if about is None else {"about": about}
        self._writer.tell(message("error", code=refusal.code, text=refusal.text, **told))

    def _refuse(self, refusal: Refused, about: str) -> None:
        """Let nobody in."""
        tell("guest refused", kind="page", code=refusal.code)
        self._error(refusal, about)
        self._writer.bye(Departure("refused", refusal.text, refusal.status in (429, 503)))


def _is_meant(last: WSMessage) -> bool:
    """Whether a socket was closed so that nobody will come back: with 1000, or as RFC 6455 forbids.

    What a lost connection ends with is another message, whatever `close_code` says then.
    """
    if last.type is WSMsgType.CLOSE:
        return bool(last.data == LEAVES)
    return isinstance(last.data, WebSocketError)  # too big, say
