"""The per-call object: streams, people, and the channels that carry them (MSPI: the MSP call).

A call has its streams from the start, one per medium and direction, and keeps them whatever the
transports do. What to connect to comes from the telephony service provider as messages
(`receive_tsp_data`), one after the other; `disconnect` and `close` may be called at any time.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .capture_streams import CaptureStream, make_capture_stream
from .channel import Channel
from .codecs.registry import offered_formats
from .engine.reception import RemoteSource
from .engine.rtp_wire import HeaderExtensions
from .engine.session import RtpSession
from .engine.session_config import Section, SessionConfig
from .errors import (
    ClosedError,
    ConnectTimeoutError,
    InvalidMediaTypeError,
    InvalidStateError,
    IpconfError,
    MaxStreamsError,
    NegotiationError,
    NotSupportedError,
    TransportError,
)
from .event_hub import EventHub, EventStream
from .events import CallEvent, CallStateChanged, ParticipantEvent, StreamNotUsed, TspData
from .model import CallSettings, CallState, Cause, Direction, GoneReason, MediaType
from .negotiator import Bearer, Negotiator, session_id_of
from .participants import LocalParticipant, Participant, Roster
from .private_ifaces import InterfaceHost, ParticipantControl, ParticipantSubStreamControl
from .render_streams import RenderStream, make_render_stream
from .rtp_streams import Stream
from .stats import CallStats, call_stats
from .transports.base import SignalledTransport
from .tsp_data import Candidate, Connect, Description, Disconnect, TspMessage

if TYPE_CHECKING:
    from .msp import MediaServiceProvider

T = TypeVar("T")
E = TypeVar("E", bound=CallEvent)

WEBRTC_RTCP_INTERVAL_S = 1.0
PLAIN_RTCP_INTERVAL_S = 5.0
ROSTER_CHECK_TICKS = 10
"""The roster's timers are looked at every 100 ms."""
MEASURE_TICKS = 100
"""Rates are measured every second."""
MAX_WAITING_MESSAGES = 256
"""Signalling messages that a call has not come to yet."""


@dataclass(frozen=True, slots=True)
class NetworkImpairment:
    """Loses a call's datagrams on purpose, to see what an application makes of it."""

    _set: Callable[[float, int], None]

    def set_loss(self, percent: float, seed: int = 0) -> None:
        """Drop that share of all datagrams, both ways, from now on; 0 heals the network.

        It holds for transports to come as well. ConfigurationError if it is no percentage.
        """
        self._set(percent, seed)


class Call(InterfaceHost):
    """One call's media (MSPI: ITStreamControl on the MSP call); made by `msp.create_call`."""

    def __init__(
        self,
        provider: MediaServiceProvider,
        media: Iterable[MediaType],
        settings: CallSettings,
        make_transport: Callable[[CallSettings], SignalledTransport],
        number: int,
    ) -> None:
        self.identity = f"call {number}"
        self.settings = settings
        self.media_types = tuple(media)
        self.ticker = provider.ticker
        self.local_participant = LocalParticipant(provider.identity, self._describe)
        self.roster = Roster(self._post_participant, mixer_of=self._mixer_of)
        self._provider = provider
        self._make_transport = make_transport
        self._hub = EventHub()
        self._state = CallState.IDLE
        self.error: Exception | None = None
        """Why the call failed, if it did."""
        self._capture = {m: make_capture_stream(self, m) for m in self.media_types}
        self._render = {m: make_render_stream(self, m) for m in self.media_types}
        self._negotiator: Negotiator | None = None
        self._channels: list[Channel] = []
        self._inbox: deque[TspMessage] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._answer_due: asyncio.TimerHandle | None = None
        self.ignored_answers = 0
        """Answers to offers that had been superseded, or that nobody made."""
        super().__init__(
            [
                ParticipantControl(self.roster, self.local_participant),
                ParticipantSubStreamControl(lambda: self.streams),
                NetworkImpairment(self._impair),
            ]
        )

    def __repr__(self) -> str:
        return f"<Call {self.identity!r} {self._state.value}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    # -- what applications use

    @property
    def state(self) -> CallState:
        """Where the call is in its life."""
        return self._state

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All streams, sent ones first (MSPI: ITStreamControl::EnumerateStreams)."""
        return (*self._capture.values(), *self._render.values())

    def stream(self, media_type: MediaType, direction: Direction) -> Stream:
        """The stream of that medium and direction; InvalidMediaTypeError if the call has none."""
        streams = self._capture if direction is Direction.CAPTURE else self._render
        if media_type not in streams:
            raise InvalidMediaTypeError(
                f"{self.identity} was created without {media_type.value}; name it in create_call()"
            )
        return streams[media_type]

    def create_stream(self, media_type: MediaType, direction: Direction) -> Stream:
        """Always MaxStreamsError: a call has its streams from the start (ITStreamControl)."""
        raise MaxStreamsError(
            f"{self.identity} has one stream for each medium and direction already; use stream()"
        )

    def remove_stream(self, stream: Stream) -> None:
        """Always NotSupportedError: streams live as long as their call; stop() them instead."""
        raise NotSupportedError(f"{stream.identity} lives as long as its call; stop() it instead")

    @property
    def participants(self) -> tuple[Participant, ...]:
        """The people who are there now, as `query(ParticipantControl)` tells them."""
        return self.roster.participants

    def events(self, *kinds: type[E]) -> EventStream[E]:
        """The events of these classes from now on; all of this call's when none is named."""
        return self._hub.subscribe(kinds or (CallEvent,))  # type: ignore[arg-type]

    def stats(self) -> CallStats:
        """What the transports, sessions, streams and people of this call have counted."""
        return call_stats(self._state, self._channels, self.streams, self.roster)

    async def wait_connected(self) -> None:
        """Return once the call is connected, or raise what ended it before that.

        TransportError, ConnectTimeoutError or NegotiationError; TransportError as well when the
        call is closed meanwhile.
        """
        with closing(self.events(CallStateChanged)) as changes:
            while self._state is not CallState.CONNECTED:
                if self._state is CallState.DISCONNECTED:
                    raise self.error or TransportError(f"{self.identity} ended, not connected")
                try:
                    await anext(changes)
                except StopAsyncIteration:
                    raise TransportError(f"{self.identity} was closed, not connected") from None

    async def disconnect(self, reason: str = "") -> None:
        """Say BYE with `reason`, end the transports; the call can still be asked things."""
        await self._stop_connecting()
        if self._state is not CallState.DISCONNECTED:
            await self._hang_up(reason, Cause.LOCAL_REQUEST, None, tell=Disconnect(reason=reason))

    async def close(self) -> None:
        """Disconnect, give terminals back, end event streams (MSPI: ShutdownMSPCall).

        It runs to its end even if the waiting for it is cancelled; everybody who calls it waits.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._closed = True
        try:
            if self._state is CallState.IDLE:
                await self._stop_connecting()
            else:
                await self.disconnect()
            while self._tasks:
                await asyncio.wait(tuple(self._tasks))
        finally:
            for stream in self.streams:
                stream.close()
            self._hub.close()
            self._provider.forget(self)

    # -- what streams use (rtp_streams.StreamOwner)

    def now(self) -> float:
        """The provider's clock in seconds."""
        return self._provider.now()

    def post(self, kind: type[CallEvent], **fields: Any) -> None:
        """Build an event of this class, with time and call filled in, and deliver it."""
        event = kind(at=self.now(), call=self, **fields)
        self._hub.post(event)
        self._provider.post(event)

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `work` in the provider's pool, then `done` with its result on the loop."""
        self._provider.submit(work, done)

    def _post_participant(
        self, kind: type[ParticipantEvent], at: float, person: Participant | None, /, **fields: Any
    ) -> None:
        event = kind(at=at, call=self, participant=person, **fields)
        self._hub.post(event)
        self._provider.post(event)

    def _mixer_of(self, source: RemoteSource) -> RemoteSource | None:
        """Who mixed a contributing source: the one source of its session that sends sound."""
        for channel in self._channels:
            members = channel.session.sources
            if members.get(source.ssrc) is source:
                mixers = [m for m in members.values() if m.medium is MediaType.AUDIO]
                return mixers[0] if len(mixers) == 1 else None
        return None

    # -- signalling

    def receive_tsp_data(self, message: TspMessage) -> None:
        """Take a message of the service provider (MSPI: ReceiveTSPData with a call)."""
        if self._closed:
            raise ClosedError(f"{self.identity} is closed; create a new call")
        if len(self._inbox) >= MAX_WAITING_MESSAGES:
            raise InvalidStateError(f"{self.identity} has {len(self._inbox)} messages waiting")
        self._inbox.append(message)
        if isinstance(message, Connect) or getattr(message, "type", None) == "offer":
            self._set_state(CallState.CONNECTING, Cause.UNKNOWN)
        if self._reader is None:
            self._reader = self._spawn(self._read_messages())

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
                    await self._offer()
                case Description(type="offer"):
                    await self._answer(message.sdp)
                case Description():
                    self._accept(message)
                case Candidate():
                    if self._negotiator is not None:
                        await self._negotiator.add_candidate(message.candidate, message.mid)
                case Disconnect():
                    await self._dismissed(message.reason)
        except Exception as exc:
            await self._give_up(self._as_ours(exc))

    async def _offer(self) -> None:
        await self._stop_connecting()
        negotiator = self._new_negotiator()
        sdp = await self._prepare(negotiator, negotiator.offer())
        await self._replace(negotiator)
        limit_s = self.settings.connect_timeout_s
        loop = asyncio.get_running_loop()
        self._answer_due = loop.call_later(limit_s, self._unanswered, negotiator)
        self._tell_tsp(Description(type="offer", sdp=sdp))

    async def _answer(self, sdp: str) -> None:
        pending = self._negotiator
        if pending is not None and pending.awaits_answer and not pending.yields_to(sdp):
            return  # both ends have offered at once: the far end answers ours
        negotiator = self._new_negotiator()
        try:
            answer = await self._prepare(negotiator, negotiator.answer(sdp))
        except NegotiationError as exc:
            if not self._channels:
                raise
            self._set_state(CallState.CONNECTED, Cause.UNKNOWN, exc)  # what there was goes on
            return
        await self._stop_connecting()
        await self._replace(negotiator)
        self._tell_tsp(Description(type="answer", sdp=answer, answers=session_id_of(sdp)))
        self._agreed(negotiator)

    def _accept(self, message: Description) -> None:
        negotiator = self._negotiator
        if negotiator is None or not negotiator.awaits_answer:
            self.ignored_answers += 1
            return
        if message.answers not in (None, negotiator.session_id):
            self.ignored_answers += 1
            return
        negotiator.accept_answer(message.sdp)
        self._agreed(negotiator)

    def _unanswered(self, negotiator: Negotiator) -> None:
        if negotiator is self._negotiator and negotiator.awaits_answer:
            limit_s = self.settings.connect_timeout_s
            text = f"nobody answered within {limit_s:g} s; try again, or raise connect_timeout_s"
            self._spawn(self._give_up(ConnectTimeoutError(text)))

    async def _dismissed(self, reason: str) -> None:
        await self._stop_connecting()
        if self._state is CallState.CONNECTING:
            text = f"{self.identity} was not connected: {reason or 'the far end gave up'}"
            await self._hang_up("", Cause.REMOTE_REQUEST, TransportError(text))
        elif self._state is not CallState.DISCONNECTED:
            for channel in self._channels:
                channel.lost(GoneReason.BYE, reason)
            await self._hang_up("", Cause.REMOTE_REQUEST, None)

    async def _give_up(self, error: IpconfError) -> None:
        self._tell_tsp(Disconnect(reason=str(error)))
        await self._hang_up("", Cause.CONNECT_FAIL, error)

    def _as_ours(self, exc: Exception) -> IpconfError:
        """What ended the set-up, as an error of ours; the loop hears of a surprise as well."""
        if isinstance(exc, IpconfError):
            return exc
        context = {"message": f"{self.identity} could not be set up", "exception": exc}
        asyncio.get_running_loop().call_exception_handler(context)
        return TransportError(f"the call could not be set up ({type(exc).__name__}: {exc})")

    def _new_negotiator(self) -> Negotiator:
        formats = {m: offered_formats(m, self.settings) for m in self.media_types}
        make = partial(self._make_transport, self.settings)
        return Negotiator(formats, self.settings, make, self.local_participant.identity)

    async def _prepare(self, negotiator: Negotiator, work: Coroutine[Any, Any, str]) -> str:
        """Let a negotiator that is not in use yet work; without success it leaves no socket."""
        try:
            return await work
        except BaseException:
            self._spawn(negotiator.close(silently=True))
            raise

    async def _replace(self, negotiator: Negotiator) -> None:
        """Put new transports in the place of those there were; who was there is expected back."""
        old = self._drop_channels(Cause.REMOTE_REQUEST, GoneReason.TIMEOUT)
        self._negotiator = negotiator
        self._set_state(CallState.CONNECTING, Cause.UNKNOWN)
        await self._shut(old, silently=True)

    def _agreed(self, negotiator: Negotiator) -> None:
        lines = {line.medium: line for bearer in negotiator.bearers for line in bearer.lines}
        refused = {line.medium: line.reason for line in reversed(negotiator.refused)}
        for stream in self.streams:
            medium = stream.media_type
            line = lines.get(medium)
            sent = stream.direction is Direction.CAPTURE
            if line is not None and (line.sends if sent else line.receives):
                continue
            reason = f"the far end {'wants' if sent else 'sends'} no {medium.value}"
            error = NegotiationError(refused.get(medium, reason) if line is None else reason)
            self.post(StreamNotUsed, stream=stream, cause=Cause.REMOTE_REQUEST, error=error)
        self._stop_waiting()
        self._connecting = self._spawn(self._connect(negotiator))

    async def _connect(self, negotiator: Negotiator) -> None:
        try:
            await negotiator.connect(self._connected)
        except Exception as exc:
            self._connecting = None
            await self._give_up(self._as_ours(exc))
        else:
            self._set_state(CallState.CONNECTED, Cause.UNKNOWN)

    async def _stop_connecting(self) -> None:
        """End what negotiates or connects, unless it is what asks for that."""
        current = asyncio.current_task()
        tasks, self._connecting = [self._connecting], None
        if self._reader is not current:
            self._inbox.clear()
            tasks.append(self._reader)
            self._reader = None
        for task in tasks:
            if task is not None and task is not current and not task.done():
                task.cancel()
                await asyncio.wait([task])

    def _tell_tsp(self, message: TspMessage) -> None:
        self._provider.post(TspData(at=self.now(), call=self, data=message))

    # -- channels

    def _connected(self, bearer: Bearer) -> None:
        """A transport is ready: put a session on it and let its streams run."""
        session = RtpSession(self._session_config(bearer), random.Random(), self.now())
        render: dict[str, RenderStream] = {}
        capture: dict[str, CaptureStream] = {}
        for line in bearer.lines:
            render[line.mid] = self._render[line.medium]
            capture[line.mid] = self._capture[line.medium]
        channel = Channel(bearer.transport, session, self.roster, render, capture)
        bearer.transport.closed = partial(self._transport_lost, channel)
        if not self._channels:
            self.ticker.add(self._tick, ROSTER_CHECK_TICKS)
        self._channels.append(channel)
        for line in bearer.lines:
            if line.sends:
                capture[line.mid].connect(channel, line)
            if line.receives:
                render[line.mid].connect(channel, line)

    def _session_config(self, bearer: Bearer) -> SessionConfig:
        negotiator, settings = self._negotiator, self.settings
        assert negotiator is not None  # a bearer has no other maker
        webrtc = settings.transport == "webrtc"
        default_interval_s = WEBRTC_RTCP_INTERVAL_S if webrtc else PLAIN_RTCP_INTERVAL_S
        return SessionConfig(
            sections=tuple(
                Section(
                    mid=line.mid,
                    medium=line.medium,
                    formats=line.receive,
                    sent=(line.send, *line.riding),
                    ssrcs=line.ssrcs,
                    repair=line.repair,
                    local_ssrc=negotiator.ssrcs[line.medium],
                    local_repair_ssrc=negotiator.repair_ssrcs[line.medium],
                )
                for line in bearer.lines
            ),
            extensions=HeaderExtensions(
                {uri: number for line in bearer.lines for uri, number in line.extensions.items()}
            ),
            identity=self.local_participant.items,
            private=self.local_participant.private,
            bandwidth_bps=settings.session_bandwidth_bps,
            min_interval_s=settings.rtcp_min_interval_s or default_interval_s,
            member_timeout_s=settings.member_timeout_s,
            unicast=True,
            reduced_size=negotiator.reduced_size,
            unix_offset_s=self._provider.unix_offset_s,
        )

    def _transport_lost(self, channel: Channel, reason: GoneReason) -> None:
        channel.lost(reason)
        vanished = reason is GoneReason.TIMEOUT
        cause = Cause.MEDIA_TIMEOUT if vanished else Cause.REMOTE_REQUEST
        if vanished:  # who closed the connection knows, and may be calling again already
            self._tell_tsp(Disconnect(reason="the far end vanished"))
        self._spawn(self._end_with(channel, cause))

    async def _end_with(self, channel: Channel, cause: Cause) -> None:
        if channel in self._channels:
            await self._hang_up("", cause, None)

    async def _hang_up(
        self,
        reason: str,
        cause: Cause,
        error: Exception | None,
        *,
        tell: TspMessage | None = None,
    ) -> None:
        gone = GoneReason.TIMEOUT if cause is Cause.MEDIA_TIMEOUT else GoneReason.CLOSED
        for channel in self._channels:
            channel.leave(reason)
        old = self._drop_channels(cause, gone)
        # Before anything is awaited: what comes in meanwhile finds a call that is disconnected.
        self._set_state(CallState.DISCONNECTED, cause, error)
        if tell is not None:
            self._tell_tsp(tell)  # after the BYE, which tells more
        await self._shut(old, silently=False)

    def _drop_channels(self, cause: Cause, gone: GoneReason) -> Negotiator | None:
        """End what carries media now; whoever was there leaves with it, for `gone`.

        Returns the negotiator whose transports are to be shut.
        """
        self._stop_waiting()
        channels, self._channels = self._channels, []
        if channels:
            self.ticker.remove(self._tick)
        for channel in channels:
            channel.lost(gone)
        for stream in self.streams:
            stream.disconnect(cause)
        negotiator, self._negotiator = self._negotiator, None
        return negotiator

    async def _shut(self, negotiator: Negotiator | None, *, silently: bool) -> None:
        if negotiator is not None:
            # On its own, so that whoever is cancelled while waiting for it leaves no socket open.
            await asyncio.wait([self._spawn(negotiator.close(silently=silently))])

    def _stop_waiting(self) -> None:
        if self._answer_due is not None:
            self._answer_due.cancel()
            self._answer_due = None

    def _set_state(self, state: CallState, cause: Cause, error: Exception | None = None) -> None:
        self.error = error
        if state is not self._state:
            self._state = state
            self.post(CallStateChanged, state=state, cause=cause, error=error)

    def _describe(self, local: LocalParticipant) -> None:
        for channel in self._channels:
            channel.describe(local.items, local.private)

    def _impair(self, percent: float, seed: int) -> None:
        self.settings = self.settings.replace(loss_percent=percent, loss_seed=seed)
        if self._negotiator is not None:
            self._negotiator.impair(percent, seed)

    def _tick(self, now: float, number: int) -> None:
        if self.roster.next_deadline() <= now:
            self.roster.handle_timer(now)
        if number % MEASURE_TICKS == 0:
            for stream in self.streams:
                stream.measure(now)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
