"""The connection of a call: the transports in use, their state, and how all of it ends.

Hanging up may happen at any time, from outside or because a transport is lost, and wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from ..errors import ConnectTimeoutError, IpconfError, NegotiationError, TransportError
from ..events import (
    AuthenticationFailed,
    AuthenticationRecovered,
    CallEvent,
    CallStateChanged,
    StreamNotUsed,
)
from ..model import CallSettings, CallState, Cause, GoneReason, MediaType
from ..participants import LocalParticipant
from ..tsp_data import Disconnect, TspMessage
from .agreement import Agreement, Carrier
from .channel import Channel
from .media import CallMedia


class ConnectionOwner(Protocol):
    """What a connection needs of its call."""

    identity: str
    settings: CallSettings
    media_types: tuple[MediaType, ...]
    local_participant: LocalParticipant

    @property
    def further_streams(self) -> int:
        """How many sent streams of video there are besides the first."""

    def post(self, kind: type[CallEvent], **fields: Any) -> None: ...

    def tell_tsp(self, message: TspMessage) -> None: ...


class Connection:
    """Connects what was negotiated, puts the call's media on it, and takes it down again."""

    def __init__(self, call: ConnectionOwner, media: CallMedia) -> None:
        self.state = CallState.IDLE
        self.error: Exception | None = None
        """Why the call failed, if it did."""
        self.negotiator: Agreement | None = None
        """Whose transports are in use, or are to be."""
        self._call = call
        self._media = media
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting: asyncio.Task[None] | None = None
        self._answer_due: asyncio.TimerHandle | None = None

    @property
    def carries_media(self) -> bool:
        """Whether a transport is connected."""
        return bool(self._media.channels)

    # -- connecting

    async def replace(self, negotiator: Agreement) -> None:
        """Put new transports in the place of those there were; who was there is expected back."""
        old = self._drop(Cause.REMOTE_REQUEST, GoneReason.TIMEOUT)
        self.negotiator = negotiator
        self.set_state(CallState.CONNECTING, Cause.UNKNOWN)
        await self._shut(old, silently=True)

    def expect_answer(self, negotiator: Agreement) -> None:
        """Give up unless the far end answers in time."""
        limit_s = self._call.settings.connect_timeout_s
        loop = asyncio.get_running_loop()
        self._answer_due = loop.call_later(limit_s, self._unanswered, negotiator, limit_s)

    def _unanswered(self, negotiator: Agreement, limit_s: float) -> None:
        if negotiator is self.negotiator and negotiator.awaits_answer:
            text = f"nobody answered within {limit_s:g} s; try again, or raise connect_timeout_s"
            self.spawn(self.give_up(ConnectTimeoutError(text)))

    def agreed(self, negotiator: Agreement) -> None:
        """Connect what was agreed on, and tell of the streams that are not part of it."""
        allotment = self._media.allot(negotiator)
        refused = {line.medium: line.reason for line in reversed(negotiator.refused)}
        for stream in self._media.streams:
            reason = allotment.missing(stream, refused)
            if reason is not None:
                error = NegotiationError(reason)
                cause = Cause.REMOTE_REQUEST
                self._call.post(StreamNotUsed, stream=stream, cause=cause, error=error)
        self._stop_waiting()
        self._connecting = self.spawn(self._connect(negotiator))

    async def _connect(self, negotiator: Agreement) -> None:
        try:
            await negotiator.connect(self._connected)
        except Exception as exc:
            self._connecting = None
            await self.give_up(exc)
        else:
            self.set_state(CallState.CONNECTED, Cause.UNKNOWN)

    def _connected(self, bearer: Carrier) -> None:
        assert self.negotiator is not None  # a bearer has no other maker
        call = self._call
        self._media.add(
            bearer, self.negotiator, call.settings, call.local_participant, self._transport_lost
        )
        bearer.transport.doubted = partial(self._doubted, bearer)

    def _doubted(self, bearer: Carrier, ssrc: int, verifies: bool, text: str) -> None:
        kind = AuthenticationRecovered if verifies else AuthenticationFailed
        stream = self._media.arriving(bearer.lines[0].medium)
        self._call.post(kind, stream=stream, ssrc=ssrc, text=text)

    async def stop_connecting(self) -> None:
        """End the attempt to connect, unless it is what asks for that."""
        task, self._connecting = self._connecting, None
        await end_task(task)

    # -- the end

    async def hang_up(
        self,
        reason: str,
        cause: Cause,
        error: Exception | None,
        *,
        tell: TspMessage | None = None,
    ) -> None:
        """Say BYE with `reason`, take everything down, and tell why: its cause and error."""
        gone = GoneReason.TIMEOUT if cause is Cause.MEDIA_TIMEOUT else GoneReason.CLOSED
        waiting = self._media.leave(reason)
        old = self._drop(cause, gone)
        # Before anything is awaited: what comes in meanwhile finds a call that is disconnected.
        self.set_state(CallState.DISCONNECTED, cause, error)
        if tell is not None:
            self._call.tell_tsp(tell)  # after the BYE, which tells more
        await self._shut(old, silently=False, waiting=waiting)

    async def dismissed(self, reason: str) -> None:
        """The far end has hung up, and says why."""
        if self.state is CallState.CONNECTING:
            text = f"{self._call.identity} was not connected: {reason or 'the far end gave up'}"
            await self.hang_up("", Cause.REMOTE_REQUEST, TransportError(text))
        elif self.state is not CallState.DISCONNECTED:
            self._media.lost(self._media.channels, GoneReason.BYE, reason)
            await self.hang_up("", Cause.REMOTE_REQUEST, None)

    async def give_up(self, error: Exception) -> None:
        """Tell both sides that the call failed, and hang up."""
        error = self._as_ours(error)
        self._call.tell_tsp(Disconnect(reason=str(error)))
        await self.hang_up("", Cause.CONNECT_FAIL, error)

    def _as_ours(self, exc: Exception) -> IpconfError:
        """What ended the set-up, as an error of ours; the loop hears of a surprise as well."""
        if isinstance(exc, IpconfError):
            return exc
        context = {"message": f"{self._call.identity} could not be set up", "exception": exc}
        asyncio.get_running_loop().call_exception_handler(context)
        return TransportError(f"the call could not be set up ({type(exc).__name__}: {exc})")

    def _transport_lost(self, channel: Channel, reason: GoneReason) -> None:
        self._media.lost([channel], reason)
        vanished = reason is GoneReason.TIMEOUT
        cause = Cause.MEDIA_TIMEOUT if vanished else Cause.REMOTE_REQUEST
        if vanished:  # who closed the connection knows, and may be calling again already
            text = str(channel.transport.error or "the far end vanished")
            self._call.tell_tsp(Disconnect(reason=text))
        self.spawn(self._end_with(channel, cause))

    async def _end_with(self, channel: Channel, cause: Cause) -> None:
        if channel in self._media.channels:
            await self.hang_up("", cause, channel.transport.error)

    async def finish(self) -> None:
        """Return when nothing is running any more."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _drop(self, cause: Cause, gone: GoneReason) -> Agreement | None:
        """End what carries media now; returns the negotiator whose transports are to be shut."""
        self._stop_waiting()
        self._media.drop(cause, gone)
        negotiator, self.negotiator = self.negotiator, None
        return negotiator

    async def _shut(
        self, negotiator: Agreement | None, *, silently: bool, waiting: Sequence[Channel] = ()
    ) -> None:
        if negotiator is not None:
            # On its own, so that whoever is cancelled while waiting for it leaves no socket open.
            await asyncio.wait([self.spawn(_close(negotiator, silently, waiting))])

    # -- small things

    def impair(self, percent: float, seed: int) -> None:
        """Lose that share of the datagrams from now on."""
        if self.negotiator is not None:
            self.negotiator.impair(percent, seed)

    def set_state(self, state: CallState, cause: Cause, error: Exception | None = None) -> None:
        """Enter a state, for that cause, and tell it; `error` is why, if something failed."""
        self.error = error
        if state is not self.state:
            self.state = state
            self._call.post(CallStateChanged, state=state, cause=cause, error=error)

    def _stop_waiting(self) -> None:
        if self._answer_due is not None:
            self._answer_due.cancel()
            self._answer_due = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run that in a task which `finish` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _close(negotiator: Agreement, silently: bool, waiting: Sequence[Channel]) -> None:
    """Close its transports, once the BYEs are out that wait for their turn."""
    await asyncio.gather(*(channel.farewell() for channel in waiting))
    await negotiator.close(silently=silently)


async def end_task(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end, unless it is the one that asks for that."""
    if task is not None and task is not asyncio.current_task() and not task.done():
        task.cancel()
        await asyncio.wait([task])
