"""The per-call object: streams, people, and the channels that carry them (MSPI: the MSP call).

A call has one stream per medium and direction from the start, besides those for sending video that
an application creates, and keeps them whatever the transports do. What to connect to comes from the
telephony service provider as messages (`receive_tsp_data`), one after the other; `disconnect` and
`close` may be called at any time.

    Call ─┬─ Signalling: messages in, negotiators out
          ├─ Connection: transports that are agreed on, the call's state, its end
          └─ CallMedia:  a session on each transport, and the streams on that
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .calls.connection import Connection
from .calls.further import FurtherStreams
from .calls.group import Group
from .calls.media import CallMedia
from .calls.signalling import Signalling
from .engine.presence import CNAME_GRACE_S
from .engine.reception import RemoteSource
from .errors import (
    ClosedError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    InvalidStateError,
    NotSupportedError,
    TransportError,
)
from .event_hub import EventHub, EventStream
from .events import CallEvent, CallStateChanged, Event, ParticipantEvent, TextReceived, TspData
from .model import CallSettings, CallState, Direction, LoopbackMode, MediaType
from .participants import GROUP_CNAME_GRACE_S, LocalParticipant, Participant, Roster
from .private_ifaces import (
    DigitControl,
    InterfaceHost,
    MulticastControl,
    ParticipantControl,
    ParticipantSubStreamControl,
)
from .rtp_streams import Stream
from .stats import CallStats
from .streams.audio_capture import AudioCaptureStream
from .streams.making import make_capture_stream, make_render_stream
from .streams.selection import request, select, unselect
from .terminals.base import Terminal
from .terminals.registry import TerminalClass
from .transports.base import SignalledTransport
from .transports.udp import UdpTransport
from .tsp_data import Connect, TspMessage, Words

if TYPE_CHECKING:
    from .msp import MediaServiceProvider
    from .sdp import ConferenceDescription

T = TypeVar("T")
E = TypeVar("E", bound=CallEvent)


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
    """One call's media (MSPI: ITStreamControl on the MSP call); made by `msp.create_call`.

    Applications use what stands first, up to `close`. A telephony service provider hands messages
    to `receive_tsp_data`; all that is left is for the package, and may change: `now`, `post` and
    `submit` for streams, `tell_tsp` for the connection, and the attributes `ticker` and `roster`.
    """

    def __init__(
        self,
        provider: MediaServiceProvider,
        media: Iterable[MediaType],
        settings: CallSettings,
        make_transport: Callable[[CallSettings], SignalledTransport],
        number: int,
        group: Group | None = None,
    ) -> None:
        self.identity = f"call {number}"
        self.settings = settings
        self.media_types = tuple(media)
        self.ticker = provider.ticker
        self.local_participant = LocalParticipant(provider.identity, self._describe)
        self.roster = Roster(
            self._post_participant,
            mixer_of=self._mixer_of,
            max_people=settings.max_people,
            cname_grace_s=CNAME_GRACE_S if group is None else GROUP_CNAME_GRACE_S,
        )
        self._provider = provider
        self._hub = EventHub()
        self._capture = {m: make_capture_stream(self, m) for m in self.media_types}
        self._render = {m: make_render_stream(self, m) for m in self.media_types}
        self._further = FurtherStreams(self)
        self._media = CallMedia(
            self._capture,
            self._render,
            self.roster,
            self.ticker,
            self.now,
            provider.unix_offset_s,
            self._further,
        )
        self._connection = Connection(self, self._media)
        self._group = group
        self._signalling = Signalling(self, self._connection, make_transport, group)
        self._closing: asyncio.Task[None] | None = None
        super().__init__(
            [
                ParticipantControl(self.roster, self.local_participant),
                ParticipantSubStreamControl(lambda: self.streams),
                NetworkImpairment(self._impair),
            ]
        )
        voice = self._capture.get(MediaType.AUDIO)
        if isinstance(voice, AudioCaptureStream):
            self._offer_interface(DigitControl, DigitControl(voice.digits, self._is_connected))
        if group is not None:
            control = MulticastControl(lambda: group.loopback, self._set_loopback)
            self._offer_interface(MulticastControl, control)
        self._offer_all(provider.private_interfaces(self))

    def __repr__(self) -> str:
        ours = self.local_participant.name
        return f"<Call {self.identity!r} of {ours!r} {self.state.value}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    # -- what applications use

    @property
    def state(self) -> CallState:
        """Where the call is in its life."""
        return self._connection.state

    @property
    def error(self) -> Exception | None:
        """Why the call failed, if it did."""
        return self._connection.error

    @property
    def ignored_answers(self) -> int:
        """Answers to offers that had been superseded, or that nobody made."""
        return self._signalling.ignored_answers

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All streams, sent ones first (MSPI: ITStreamControl::EnumerateStreams)."""
        return (*self._capture.values(), *self._further, *self._render.values())

    def stream(self, media_type: MediaType, direction: Direction) -> Stream:
        """The stream of that medium and direction.

        InvalidMediaTypeError if the call has none, InvalidDirectionError if `direction` is neither
        CAPTURE nor RENDER.
        """
        self._check_medium(media_type)
        if direction not in (Direction.CAPTURE, Direction.RENDER):
            raise InvalidDirectionError(
                f"a stream has Direction.CAPTURE or Direction.RENDER, not {direction!r}"
            )
        return (self._capture if direction is Direction.CAPTURE else self._render)[media_type]

    def _check_medium(self, media_type: MediaType) -> None:
        if not isinstance(media_type, MediaType):
            raise InvalidMediaTypeError(
                f"{media_type!r} is no MediaType: give the medium first, then the direction"
            )
        if media_type not in self.media_types:
            raise InvalidMediaTypeError(
                f"{self.identity} was created without {media_type.value}; name it in create_call()"
            )

    def create_stream(self, media_type: MediaType, direction: Direction) -> Stream:
        """A further stream that sends video, as a shared screen (MSPI: ITStreamControl).

        It has one of `CallSettings.video_sections` to itself, which our description marks as
        slides, and can be created until the call is connected; if the far end has no line for it,
        `StreamNotUsed` tells it. All other streams are there from the start.

        MaxStreamsError for those, once the call is being connected, and where no section is left;
        ClosedError when the call is closed. What `stream` raises for what is no medium or direction
        of the call.
        """
        self.stream(media_type, direction)
        if self._closing is not None:
            raise ClosedError(f"{self.identity} is closed; create a new call")
        return self._further.create(media_type, direction)

    def remove_stream(self, stream: Stream) -> None:
        """End a stream that `create_stream` made, and give its terminal back.

        NotSupportedError for the others, which live as long as their call: stop() them instead.
        InvalidStreamError for what is no stream of this call (MSPI: ITStreamControl).
        """
        self._further.remove(stream)

    def request_terminal(
        self,
        terminal_class: str | TerminalClass,
        media_type: MediaType,
        direction: Direction,
        **options: Any,
    ) -> Terminal:
        """A device of that class that nobody uses, else a new terminal, to select afterwards.

        Classes are those of `msp.terminals`, also by name; `options` are for a new terminal. Of a
        class for files the medium is MULTITRACK. Raises InvalidMediaTypeError for what the call
        does not carry, TerminalInUseError when all devices are in use, and what
        `TerminalRegistry.create` raises (MSPI: ITBasicCallControl2::RequestTerminal).
        """
        if media_type is not MediaType.MULTITRACK:
            self._check_medium(media_type)
        return request(self._provider.terminals, terminal_class, media_type, direction, **options)

    def select_terminal(self, terminal: Terminal) -> None:
        """Select a terminal on the stream of its medium and direction, as one would by hand.

        A terminal for both directions goes to both streams. Of a multitrack terminal each track
        goes to its stream; those that it lacks for the media of the call are created where it can
        have them. It is all or nothing. Raises InvalidMediaTypeError where the call has no such
        stream, and what `Stream.select_terminal` raises (MSPI: SelectTerminalOnCall).
        """
        select(self, terminal)

    def unselect_terminal(self, terminal: Terminal) -> None:
        """Take a terminal, or its tracks, off all streams and substreams of this call.

        Tracks stay with their terminal. Raises InvalidTerminalError if it is selected nowhere here
        (MSPI: UnselectTerminalOnCall).
        """
        unselect(self, terminal)

    @property
    def participants(self) -> tuple[Participant, ...]:
        """The people who are there now, as `query(ParticipantControl)` tells them."""
        return self.roster.participants

    def events(self, *kinds: type[E]) -> EventStream[E]:
        """The events of these classes from now on; all of this call's when none is named.

        ConfigurationError for what is no class of events.
        """
        return self._hub.subscribe(kinds or (CallEvent,))  # type: ignore[arg-type]

    def stats(self) -> CallStats:
        """What the transports, sessions, streams and people of this call have counted."""
        return self._media.stats(self.state)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing is not None

    def send_text(self, text: str, sender: str = "") -> None:
        """Send words to the far end, as its event `TextReceived`; they travel with the signalling.

        `sender` is who wrote them, where that is somebody else. ConfigurationError for more than
        10 000 characters, ClosedError when the call is closed.
        """
        if self._closing is not None:
            raise ClosedError(f"{self.identity} is closed; create a new call")
        self.tell_tsp(Words(text=text, sender=sender))

    @property
    def description(self) -> ConferenceDescription | None:
        """The conference that the call joins; None if it is to one far end."""
        return None if self._group is None else self._group.description

    @property
    def local_addresses(self) -> tuple[tuple[str, int], ...]:
        """Address and port where plain RTP of one far end arrives, for each transport.

        () while not connected, with ICE, and in groups.
        """
        transports = [channel.transport for channel in self._media.channels]
        local = [t.local for t in transports if isinstance(t, UdpTransport)]
        return tuple(address for address in local if address is not None)

    async def join(self) -> None:
        """Take part in the conference of the description, and return once we do.

        Nothing happens if we do already. NotSupportedError without a description, ClosedError when
        the call is closed, and what `wait_connected` raises.
        """
        if self._group is None:
            raise NotSupportedError(
                f"{self.identity} has no conference to join: create it with a description, or let "
                "a telephony service provider connect it"
            )
        if self.state is not CallState.CONNECTED:
            self.receive_tsp_data(Connect())
        await self.wait_connected()

    async def wait_connected(self) -> None:
        """Return once the call is connected, or raise what ended it before that.

        It waits without limit for somebody to connect; `connect_timeout_s` counts from when both
        descriptions are there. Use `asyncio.timeout` to limit the wait.
        TransportError, ConnectTimeoutError or NegotiationError; TransportError as well when the
        call is closed meanwhile.
        """
        with closing(self.events(CallStateChanged)) as changes:
            while self.state is not CallState.CONNECTED:
                if self.state is CallState.DISCONNECTED:
                    raise self.error or TransportError(f"{self.identity} ended, not connected")
                try:
                    await anext(changes)
                except StopAsyncIteration:
                    raise TransportError(f"{self.identity} was closed, not connected") from None

    async def disconnect(self, reason: str = "") -> None:
        """Say BYE with `reason`, end the transports; the call can still be asked things."""
        await self._signalling.disconnect(reason)

    async def close(self) -> None:
        """Disconnect, give terminals back, end event streams (MSPI: ShutdownMSPCall).

        It runs to its end even if the waiting for it is cancelled; everybody who calls it waits.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        with ExitStack() as end:  # the last one first, and each whatever the others raise
            end.callback(self._provider.forget, self)
            end.callback(self._hub.close)
            for stream in reversed(self.streams):
                end.callback(stream.close)
            await self._signalling.close()

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
        return self._media.mixer_of(source)

    # -- what a conference uses

    def sources_of(self, ssrc: int) -> Iterator[RemoteSource]:
        """Who has that SSRC, in any session of the call, contributing sources included."""
        for channel in self._media.channels:
            source = channel.session.sources.get(ssrc)
            if source is not None:
                yield source

    def watch(self, take: Callable[[Event], None]) -> None:
        """Call `take` with each event of this call, at once."""
        self._hub.watch(take)

    def unwatch(self, take: Callable[[Event], None]) -> None:
        """Call it no more; harmless when repeated."""
        self._hub.unwatch(take)

    # -- what its connection uses (connection.ConnectionOwner)

    @property
    def further_streams(self) -> int:
        """How many streams were created."""
        return len(self._further)

    def receive_tsp_data(self, message: TspMessage) -> None:
        """Take a message of the service provider (MSPI: ReceiveTSPData with a call).

        ClosedError when the call is closed, ConfigurationError for what is no message. When too
        many wait, a Disconnect takes their place, and all else is an InvalidStateError.
        """
        if self._closing is not None:
            raise ClosedError(f"{self.identity} is closed; create a new call")
        if isinstance(message, Words):
            self.post(TextReceived, text=message.text, sender=message.sender)
        else:
            self._signalling.receive(message)

    def tell_tsp(self, message: TspMessage) -> None:
        """Give the service provider a message for the far end (MSPI: ME_TSP_DATA)."""
        self._provider.post(TspData(at=self.now(), call=self, data=message))

    @property
    def hears_itself(self) -> bool:
        """Whether what it sends to its group comes back to it."""
        return self._group is not None and self._group.loopback is LoopbackMode.FULL

    def _set_loopback(self, mode: LoopbackMode) -> None:
        assert self._group is not None  # or there would be no control
        if mode is LoopbackMode.FULL:
            for conference in self._provider.conferences:
                if self in conference:
                    raise InvalidStateError(
                        f"{self.identity} is in {conference.identity}, whose mix would come back "
                        "to everybody in it: SELECTIVE is all that others here can hear"
                    )
        self._group.loopback = mode
        if mode is not LoopbackMode.FULL:
            self._media.forget_ourselves()

    def _is_connected(self) -> bool:
        return self.state is CallState.CONNECTED

    def _describe(self, local: LocalParticipant) -> None:
        self._media.describe(local)

    def _impair(self, percent: float, seed: int) -> None:
        self.settings = self.settings.replace(loss_percent=percent, loss_seed=seed)
        self._connection.impair(percent, seed)
