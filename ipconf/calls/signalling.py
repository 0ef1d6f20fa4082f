"""What the service provider's messages do to a call: offers, answers, candidates, hanging up.

    messages ──> inbox ──> one after the other: negotiate ──> Connection

They are worked on in order, in a task of their own, until the call hangs up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ..codecs.registry import offered_formats
from ..errors import (
    ConfigurationError,
    InvalidStateError,
    NegotiationError,
    NotSupportedError,
)
from ..model import CallSettings, CallState, Cause
from ..transports.base import SignalledTransport
from ..transports.inbound import LineMemory
from ..tsp_data import Candidate, Connect, Description, Disconnect, TspMessage
from .connection import Connection, ConnectionOwner, end_task
from .group import Group
from .lines import Formats
from .negotiator import Negotiator, session_id_of

MAX_WAITING_MESSAGES = 256
"""Signalling messages that a call has not come to yet."""
MESSAGES = (Connect, Description, Candidate, Disconnect)
"""What it understands."""


class Signalling:
    """Takes a call's messages and makes negotiators of them."""

    def __init__(
        self,
        call: ConnectionOwner,
        connection: Connection,
        make_transport: Callable[[CallSettings], SignalledTransport],
        group: Group | None = None,
    ) -> None:
        """With a `group` the call joins that one, and there is nobody to negotiate with."""
        self._group = group
        self.ignored_answers = 0
        """Answers to offers that had been superseded, or that nobody made."""
        self._call = call
        self._connection = connection
        self._make_transport = make_transport
        self._inbox: deque[TspMessage] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._memory = LineMemory()

    # -- messages

    def receive(self, message: TspMessage) -> None:
        """Take a message; InvalidStateError when too many wait already.

        NotSupportedError for descriptions and candidates of a call that joins a group.

        A Disconnect gets in all the same: it ends what those that wait would have begun, so that
        they need not be looked at any more. ConfigurationError for what is no message.
        """
        if not isinstance(message, MESSAGES):
            raise ConfigurationError(
                f"{message!r} is no message for a call: give one of those in ipconf.tsp_data"
            )
        if self._group is not None and isinstance(message, Description | Candidate):
            raise NotSupportedError(
                f"{self._call.identity} joins a conference by its description and takes no offers, "
                "answers or candidates; create a call without description for them"
            )
        if len(self._inbox) >= MAX_WAITING_MESSAGES:
            if not isinstance(message, Disconnect):
                raise InvalidStateError(
                    f"{self._call.identity} has {len(self._inbox)} messages waiting; wait until it "
                    "has come to them, or disconnect it"
                )
            self._inbox.clear()
        self._inbox.append(message)
        if isinstance(message, Connect) or getattr(message, "type", None) == "offer":
            self._connection.set_state(CallState.CONNECTING, Cause.UNKNOWN)
        if self._reader is None:
            self._reader = self._connection.spawn(self._read_messages())

    async def _read_messages(self) -> None:
        try:
            while self._inbox:
                await self._handle(self._inbox.popleft())
        finally:
            if self._reader is asyncio.current_task():
                self._reader = None

    async def _handle(self, message: TspMessage) -> None:
        try:
            match message:
                case Connect():
                    await (self._offer() if self._group is None else self._join(self._group))
                case Description(type="offer"):
                    await self._answer(message.sdp)
                case Description():
                    self._accept(message)
                case Candidate():
                    if (negotiator := self._negotiator) is not None:
                        await negotiator.add_candidate(message.candidate, message.mid)
                case Disconnect():
                    await self._stop()
                    await self._connection.dismissed(message.reason)
        except Exception as exc:
            await self._connection.give_up(exc)

    # -- negotiating

    @property
    def _negotiator(self) -> Negotiator | None:
        """Who negotiates with a far end, or has done so."""
        negotiator = self._connection.negotiator
        return negotiator if isinstance(negotiator, Negotiator) else None

    async def _join(self, group: Group) -> None:
        await self._stop()
        negotiator = group.negotiator(self._formats(), self._call.settings)
        await self._connection.replace(negotiator)
        self._connection.agreed(negotiator)

    async def _offer(self) -> None:
        await self._stop()
        negotiator = self._new_negotiator()
        sdp = await self._prepare(negotiator, negotiator.offer())
        await self._connection.replace(negotiator)
        self._connection.expect_answer(negotiator)
        self._call.tell_tsp(Description(type="offer", sdp=sdp))

    async def _answer(self, sdp: str) -> None:
        connection, pending = self._connection, self._negotiator
        if pending is not None and pending.awaits_answer and not pending.yields_to(sdp):
            return  # both ends have offered at once: the far end answers ours
        negotiator = self._new_negotiator()
        try:
            answer = await self._prepare(negotiator, negotiator.answer(sdp))
        except NegotiationError as exc:
            if not connection.carries_media:
                raise
            connection.set_state(CallState.CONNECTED, Cause.UNKNOWN, exc)  # the old one goes on
            return
        await self._stop()
        await connection.replace(negotiator)
        self._call.tell_tsp(Description(type="answer", sdp=answer, answers=session_id_of(sdp)))
        connection.agreed(negotiator)

    def _accept(self, message: Description) -> None:
        negotiator = self._negotiator
        if negotiator is None or not negotiator.awaits_answer:
            self.ignored_answers += 1
            return
        if message.answers not in (None, negotiator.session_id):
            self.ignored_answers += 1
            return
        negotiator.accept_answer(message.sdp)
        self._connection.agreed(negotiator)

    def _new_negotiator(self) -> Negotiator:
        call = self._call
        make = partial(self._make_transport, call.settings)
        cname = call.local_participant.identity
        return Negotiator(
            self._formats(), call.settings, make, cname, call.further_streams, self._memory
        )

    def _formats(self) -> Formats:
        call = self._call
        return {m: offered_formats(m, call.settings) for m in call.media_types}

    async def _prepare(self, negotiator: Negotiator, work: Coroutine[Any, Any, str]) -> str:
        """Let a negotiator that is not in use yet work; without success it leaves no socket."""
        try:
            return await work
        except BaseException:
            self._connection.spawn(negotiator.close(silently=True))
            raise

    # -- the end

    async def _stop(self) -> None:
        """End what negotiates or connects, unless it is what asks for that."""
        await self._connection.stop_connecting()
        if self._reader is not asyncio.current_task():
            self._inbox.clear()
            reader, self._reader = self._reader, None
            await end_task(reader)

    async def disconnect(self, reason: str) -> None:
        """Say BYE with `reason` and end the transports."""
        connection = self._connection
        await self._stop()
        if connection.state is not CallState.DISCONNECTED:
            told = Disconnect(reason=reason)
            await connection.hang_up(reason, Cause.LOCAL_REQUEST, None, tell=told)

    async def close(self) -> None:
        """Disconnect if need be, and return when nothing is running any more."""
        if self._connection.state is CallState.IDLE:
            await self._stop()
        else:
            await self.disconnect("")
        await self._connection.finish()
