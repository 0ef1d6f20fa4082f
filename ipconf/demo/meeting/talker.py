"""Somebody who comes to the meeting, talks when it is their turn, and shows a moving picture."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from typing import Self

from ...bridge.guests import Guest
from ...call import Call
from ...model import CallSettings, Direction, Identity, MediaType
from ...msp import MediaServiceProvider
from ...terminals.pictures import TestPictureTerminal
from ...tsp.base import TelephonyServiceProvider
from ...tsp_data import Connect, Description, TspMessage
from ..conference.scenes import Person
from ..conference.voices import Mouth
from ..party import HOST
from ..story import Span

WIDTH, HEIGHT, FPS = 480, 270, 12.0
BITRATE_BPS = 300_000


class GuestTsp(TelephonyServiceProvider):
    """Carries the offer of one provider's call to a guest of the bridge, and the answer back."""

    def __init__(self, provider: MediaServiceProvider, guest: Guest) -> None:
        super().__init__(provider)
        self._guest = guest

    async def send(self, call: Call, message: TspMessage) -> None:
        if isinstance(message, Description):
            answer = await self._guest.answer(message.sdp)
            call.receive_tsp_data(Description(type="answer", sdp=answer))


class Talker:
    """A person with a provider of their own, connected to `guest` over ICE; use `async with`."""

    def __init__(self, person: Person, guest: Guest) -> None:
        self._person = person
        self._guest = guest
        self._mouth = Mouth(person.number)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        name = self._person.name
        settings = CallSettings(ice_addresses=(IPv4Address(HOST),), video_bitrate_bps=BITRATE_BPS)
        identity = Identity(cname=f"{self._person.key}@demo", name=name)
        async with AsyncExitStack() as stack:
            msp = await stack.enter_async_context(MediaServiceProvider(identity, settings))
            await stack.enter_async_context(GuestTsp(msp, self._guest))
            call = msp.create_call()
            call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(self._mouth)
            picture = TestPictureTerminal(name, WIDTH, HEIGHT, FPS)
            call.stream(MediaType.VIDEO, Direction.CAPTURE).select_terminal(picture)
            call.receive_tsp_data(Connect())
            await call.wait_connected()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def talk(self, seconds: float) -> None:
        """Say something now, for so long."""
        now = asyncio.get_running_loop().time()
        self._mouth.say([Span(now, now + seconds)])
