"""The provider: makes calls, holds terminals, clock and threads (MSPI: ITMSPAddress)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from itertools import count
from typing import Self, TypeVar

from .call import Call
from .calls.group import Group
from .conference import Conference
from .errors import ClosedError, ConfigurationError, InvalidMediaTypeError, InvalidStreamError
from .event_hub import EventHub, EventStream
from .events import AddressEvent, CallEvent, Event, NewStream
from .model import CallSettings, Cause, ConferenceSettings, Identity, MediaType, Settings
from .sdp import ConferenceDescription, parse_description
from .terminals.base import Terminal
from .terminals.registry import TerminalRegistry
from .ticker import Ticker
from .transports.base import GroupTransport, SignalledTransport
from .transports.group_sockets import GroupPlace
from .transports.multicast import MulticastTransport
from .transports.shared_port import SharedPorts
from .transports.udp import UdpTransport
from .transports.webrtc import Certificates, WebRtcTransport
from .tsp_data import TspMessage
from .workers import Workers

T = TypeVar("T")
E = TypeVar("E", bound=Event)
S = TypeVar("S", bound=Settings)

CALL_MEDIA = (MediaType.AUDIO, MediaType.VIDEO)
"""The media that a call can have, in the order of its descriptions."""


class MediaServiceProvider:
    """The media half of a telephone: one object per address and application.

        async with MediaServiceProvider(Identity(name="Alice")) as msp:
            call = msp.create_call({MediaType.AUDIO})

    `identity` is who its calls are in a conference; its CNAME lives as long as the provider.
    `settings` hold for every call that is not given its own. ConfigurationError where either is
    something else. Use it on one event loop.

    A provider of your own derives from this one. It decides what carries its calls
    (`make_transport`), what they can be asked for besides (`private_interfaces`), and registers the
    terminals that it brings.
    """

    def __init__(
        self, identity: Identity | None = None, settings: CallSettings | None = None
    ) -> None:
        self.identity = _checked("identity", identity, Identity) or Identity()
        self.settings = _checked("settings", settings, CallSettings) or CallSettings()
        self.terminals = TerminalRegistry(announce=self._device_changed)
        self._hub = EventHub()
        self._calls: list[Call] = []
        self._conferences: list[Conference] = []
        self._conference_numbers = count(1)
        self._numbers = count(1)
        self._certificates = Certificates()
        self._shared_ports = SharedPorts()
        self._entered = False
        self._open = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity.name or self.identity.cname!r}>"

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClosedError("a provider is entered once; make a new one")
        self._entered = True
        loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = loop.time
        self.unix_offset_s = time.time() - loop.time()
        self.ticker = Ticker(loop)
        self._workers = Workers(loop)
        self._open = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all calls, terminals and threads (MSPI: ITMSPAddress::Shutdown).

        Event streams end once they have been read. Harmless when repeated; there is no way back.
        """
        if not self._open:
            return
        self._open = False
        async with AsyncExitStack() as end:  # the last one first, and each whatever others raise
            end.push_async_callback(self._workers.close)
            end.callback(self._hub.close)
            end.push_async_callback(self.terminals.close)
            end.push_async_callback(_each, [call.close for call in self._calls])
            await _each([conference.end for conference in self._conferences])

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are not closed."""
        return tuple(self._calls)

    def create_call(
        self,
        media: Iterable[MediaType] = CALL_MEDIA,
        settings: CallSettings | None = None,
        description: ConferenceDescription | str | None = None,
    ) -> Call:
        """A call with a stream each way for each medium (MSPI: CreateMSPCall).

        `media` is what the call may ever carry: a medium without terminals costs nothing until a
        terminal is selected. Raises InvalidMediaTypeError when there is none, or one unknown,
        ConfigurationError for settings that are none, and ClosedError outside `async with`.
        `NewStream` tells the provider's listeners of each stream.

        With a `description`, which may be SDP text, the call is for that conference: over plain
        RTP, to the multicast groups that it names (`Call.join`). It has those of `media` that the
        conference has. DescriptionError for text that is none.
        """
        if not self._open:
            raise ClosedError("use the provider inside `async with`; it is not open")
        wanted = tuple(media) if isinstance(media, Iterable) else ()
        if not wanted or any(m not in CALL_MEDIA for m in wanted):
            raise InvalidMediaTypeError(
                "a call carries MediaType.AUDIO, MediaType.VIDEO or both: give a set of them, as "
                f"{{MediaType.AUDIO}}, not {media!r}"
            )
        ordered = [m for m in CALL_MEDIA if m in wanted]
        chosen = _checked("settings", settings, CallSettings) or self.settings
        group = None
        if description is not None:
            group = Group(_described(description), self.make_group_transport)
            ordered = _of_conference(group.description, ordered)
            chosen = chosen.replace(transport="rtp", shared_port=None)
        call = Call(self, ordered, chosen, self.make_transport, next(self._numbers), group)
        self._calls.append(call)
        for stream in call.streams:
            call.post(NewStream, stream=stream, cause=Cause.UNKNOWN)
        return call

    @property
    def conferences(self) -> tuple[Conference, ...]:
        """The conferences that are not over."""
        return tuple(self._conferences)

    def create_conference(
        self, subject: str = "", settings: ConferenceSettings | None = None
    ) -> Conference:
        """A conference in which calls of this provider can meet (TAPI: call hub).

        ConfigurationError for settings that are none, ClosedError outside `async with`.
        """
        if not self._open:
            raise ClosedError("use the provider inside `async with`; it is not open")
        chosen = _checked("settings", settings, ConferenceSettings) or ConferenceSettings()
        conference = Conference(self, subject, chosen, next(self._conference_numbers))
        self._conferences.append(conference)
        return conference

    def events(self, *kinds: type[E]) -> EventStream[E]:
        """The events of these classes, of the provider and all its calls, from now on.

        Without classes, or for `Event`: every AddressEvent and CallEvent. TspData comes only where
        it is named. ConfigurationError for what is no class of events (MSPI:
        ITMSPAddress::GetEvent).
        """
        everything = not kinds or Event in kinds
        return self._hub.subscribe((AddressEvent, CallEvent) if everything else kinds)  # type: ignore[arg-type]

    def receive_tsp_data(self, call: Call, message: TspMessage) -> None:
        """Take a message of the telephony service provider for a call (MSPI: ReceiveTSPData).

        It is worked on after those that came before; what comes of it is told as events, the answer
        as `TspData`. Raises InvalidStreamError when the call is closed or another provider's, and
        InvalidStateError when too many of its messages wait.
        """
        if call not in self._calls:
            raise InvalidStreamError(f"{call!r} is not an open call of this provider")
        call.receive_tsp_data(message)

    # -- what a provider of your own may override

    def make_transport(self, settings: CallSettings) -> SignalledTransport:
        """A new transport, not opened yet, for a call with these settings.

        Asked for once for each transport that is offered or answered: one for a bundle, else one
        for each medium. With `settings.transport` "webrtc" it describes itself by a `WebRtcLine`,
        with "rtp" by a `PlainLine`.
        """
        share = self._shared_ports.of(settings)
        if settings.transport == "rtp":
            host, ports = str(settings.rtp_address), settings.port_range
            mux, public = settings.rtcp_mux, settings.public_address_of(host)
            symmetric = settings.symmetric_rtp
            return UdpTransport(
                host, ports, mux=mux, share=share, public=public, symmetric=symmetric
            )
        return WebRtcTransport(settings, self._certificates.current(), share)

    def make_group_transport(self, place: GroupPlace) -> GroupTransport:
        """A new transport, not opened yet, for taking part in a multicast group.

        Asked for once for each m-line of a description, whenever a call joins.
        """
        return MulticastTransport(place)

    def private_interfaces(self, call: Call) -> Iterable[object]:
        """Further objects that `call.query` finds, each by its class; asked for once per call.

        The call is just being made: keep it, and look at it when you are asked something.
        """
        return ()

    # -- what calls use

    def post(self, event: Event) -> None:
        """Deliver an event to the provider's subscribers."""
        self._hub.post(event)

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `work` in the pool of threads, then `done` with its result on the loop."""
        self._workers.submit(work, done)

    def forget(self, call: Call) -> None:
        """A call has closed."""
        if call in self._calls:
            self._calls.remove(call)

    def forget_conference(self, conference: Conference) -> None:
        """A conference is over."""
        if conference in self._conferences:
            self._conferences.remove(conference)

    def _device_changed(self, kind: type[AddressEvent], terminal: Terminal) -> None:
        if self._open:
            self.post(kind(at=self.now(), terminal=terminal))


async def _each(ends: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Wait for all of these, whatever one of them raises, and then raise the first of that."""
    results = await asyncio.gather(*(end() for end in ends), return_exceptions=True)
    for error in results:
        if error is not None:
            raise error


def _described(description: ConferenceDescription | str) -> ConferenceDescription:
    if isinstance(description, str):
        return parse_description(description)
    checked = _checked("description", description, ConferenceDescription)
    assert checked is not None
    return checked


def _of_conference(
    description: ConferenceDescription, wanted: Iterable[MediaType]
) -> list[MediaType]:
    """Which of these media a conference has; InvalidMediaTypeError if that is none."""
    there = {media.medium for media in description.media}
    media = [medium for medium in wanted if medium.value in there]
    if not media:
        names = ", ".join(sorted(there)) or "no media"
        raise InvalidMediaTypeError(
            f"the conference {description.name!r} has {names}, and nothing that the call is to have"
        )
    return media


def _checked(name: str, value: S | None, kind: type[S]) -> S | None:
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(
            f"{name} is {value!r}: give {kind.__name__}(...) as {name}, or leave it out"
        )
    return value
