"""The ends of calls over real sockets: providers, terminals, signalling, and a log of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from peers import LIMIT_S, webrtc
from senses import AUDIO, VIDEO, Picture, PictureTerminal, Sink, Witness

from ipconf import (
    Call,
    CallSettings,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    TelephonyServiceProvider,
)
from ipconf.errors import ClosedError
from ipconf.events import CallEvent
from ipconf.terminals.tones import ToneTerminal
from ipconf.tsp_data import TspMessage

E = TypeVar("E", bound=CallEvent)


class EventLog:
    """All events of a call in order; `until` goes through them one match after the other."""

    def __init__(self, call: Call) -> None:
        self.events: list[CallEvent] = []
        self._stream = call.events()
        self._position = 0
        self._pump = asyncio.create_task(self._keep())
        self._news = asyncio.Event()

    async def _keep(self) -> None:
        async for event in self._stream:
            self.events.append(event)
            self._news.set()

    async def until(
        self,
        kind: type[E],
        where: Callable[[E], object] = lambda event: True,
        *,
        limit_s: float = LIMIT_S,
    ) -> E:
        """The next event of that class after the one found before."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    while self._position < len(self.events):
                        event = self.events[self._position]
                        self._position += 1
                        if isinstance(event, kind) and where(event):
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = ", ".join(type(event).__name__ for event in self.events)
            raise AssertionError(f"no {kind.__name__} within {limit_s:g} s after {seen}") from None

    def of(self, *kinds: type[E]) -> list[E]:
        """All events of these classes so far."""
        return [event for event in self.events if isinstance(event, kinds)]

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.events.clear()
        self._position = 0


class Ends(Witness):
    """The terminals of one end of a call: what it sends, and what it hears and sees."""

    def __init__(self, call: Call, hz: float | None = None, picture: Picture | None = None) -> None:
        super().__init__()
        self.tone = None if hz is None else ToneTerminal(hz)
        self.camera = None if picture is None else PictureTerminal(picture)
        self.ear, self.eye = Sink(AUDIO, self.heard), Sink(VIDEO, self.seen)
        for terminal in (self.tone, self.camera, self.ear, self.eye):
            if terminal is not None and terminal.media_type in call.media_types:
                call.stream(terminal.media_type, terminal.direction).select_terminal(terminal)


@asynccontextmanager
async def provider(
    name: str = "", settings: CallSettings | None = None
) -> AsyncIterator[MediaServiceProvider]:
    """A provider for calls within this machine."""
    async with MediaServiceProvider(Identity(name=name), settings or webrtc()) as msp:
        yield msp


@asynccontextmanager
async def loopback(
    settings: CallSettings | None = None,
) -> AsyncIterator[tuple[LoopbackTsp, Call, Call]]:
    """Alice's and Bob's providers in one process, and a call of each, not connected yet."""
    async with (
        provider("Alice", settings) as alice,
        provider("Bob", settings) as bob,
        LoopbackTsp(alice, bob) as tsp,
    ):
        yield tsp, *tsp.pair()


class Wire(TelephonyServiceProvider):
    """Carries the signalling of two calls, each of its provider, whatever media they have."""

    def __init__(self, calls: dict[Call, MediaServiceProvider]) -> None:
        super().__init__(*calls.values())
        one, other = calls
        self._far = {one: other, other: one}

    async def send(self, call: Call, message: TspMessage) -> None:
        with suppress(ClosedError):
            self._far[call].receive_tsp_data(message)
