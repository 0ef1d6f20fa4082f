"""A gateway: the members of a group and guests over WebRTC, in one conference."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from ..call import Call
from ..conference import Conference
from ..errors import CallDeclinedError
from ..events import ConferenceEvent, LegRemoved
from ..hub.call_legs import CallLeg
from ..join.telling import MEDIA_NEWS, Unused, told_at_first, told_of_media, told_of_place
from ..model import CallSettings, ConferenceSettings, Identity, LoopbackMode
from ..msp import MediaServiceProvider
from ..private_ifaces import MulticastControl
from ..programs import ending, wait_until
from ..sdp import ConferenceDescription
from ..tsp.socket import SocketTsp
from .telling import Teller

MAX_PEOPLE_IN_GROUP = 512
"""More are heard, but not listed to guests."""
SPARE_CALLERS = 4
"""Who calls a gateway that is full is told so, if they are not more than that at a time."""
FAREWELL = "ipconf gateway has ended"


@dataclass(frozen=True, slots=True)
class Opening:
    """What is joined, as whom, and who is let in."""

    description: ConferenceDescription
    identity: Identity
    group: CallSettings
    """Of the call in the group."""
    guests: CallSettings
    """Of the guests' calls."""
    loopback: LoopbackMode = LoopbackMode.SELECTIVE
    host: str = "127.0.0.1"
    port: int = 0
    """Where guests call; 0 is any free port."""
    max_guests: int = 16
    seconds: float | None = None
    """None stays open until Ctrl-C or SIGTERM, or until it is cancelled."""
    record: Path | None = None


async def keep_open(opening: Opening, say: Callable[[str], None]) -> bool:
    """Join, let guests in, `say` what happens, and end with a BYE to all, also when cancelled.

    Returns whether all is recorded that was to be. Raises what `create_call`, `Call.join`,
    `Conference.record` and `SocketTsp.listen` do.
    """
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        msp = await enter(MediaServiceProvider(opening.identity, opening.guests))
        gateway = Gateway(msp, opening)
        tsp = await enter(
            SocketTsp(msp, gateway.take, max_calls=opening.max_guests + SPARE_CALLERS)
        )
        teller = Teller(gateway.group, say)
        watching = [gateway.watch(teller), gateway.watch_media(teller)]
        tasks = [asyncio.create_task(work) for work in watching]
        stack.push_async_callback(gateway.end, tasks)
        unused = Unused(gateway.group.call)
        await gateway.group.call.join()
        port = await tsp.listen(opening.host, opening.port)
        where = told_of_place(gateway.group.call, opening.description, unused)
        host = f"[{opening.host}]" if ":" in opening.host else opening.host
        say(f"{where}; guests call {host}:{port}.")
        for line in told_at_first(gateway.group.call, opening.description, unused, time.time()):
            say(line)
        await wait_until(gateway.over, opening.seconds)
        if gateway.group.call.error is not None:
            raise gateway.group.call.error
    recording = gateway.recording
    return recording is None or recording.error is None


class Gateway:
    """A conference of which one leg is the group, and all others are guests."""

    def __init__(self, msp: MediaServiceProvider, opening: Opening) -> None:
        self.over = ending()
        self._max_guests = opening.max_guests
        self._leaving: set[asyncio.Task[None]] = set()
        description = opening.description
        settings = ConferenceSettings(
            max_people_per_leg=MAX_PEOPLE_IN_GROUP,
            max_legs=opening.max_guests + 2,  # the group, a recording
        )
        self.conference: Conference = msp.create_conference(description.name, settings)
        call = msp.create_call(settings=opening.group, description=description)
        call.query(MulticastControl).loopback_mode = opening.loopback
        self.group: CallLeg = self.conference.add(call)
        self.recording = None if opening.record is None else self.conference.record(opening.record)

    def take(self, call: Call) -> None:
        """Somebody calls: they are a guest, unless there are too many."""
        calls = [leg for leg in self.conference.legs if isinstance(leg, CallLeg)]
        if len(calls) - 1 >= self._max_guests:  # one is the group
            raise CallDeclinedError(f"the gateway is full: it takes {self._max_guests} guests")
        self.conference.add(call)

    async def watch(self, teller: Teller) -> None:
        """Tell what happens, and let go who has left; ends when it is cancelled."""
        async for event in self.conference.events(ConferenceEvent):
            teller.tell(event)
            if not isinstance(event, LegRemoved):
                continue
            if event.leg is self.group:
                self.over.set()
            elif isinstance(event.leg, CallLeg):
                task = asyncio.create_task(event.leg.call.close())
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def watch_media(self, teller: Teller) -> None:
        """Tell what comes with the media of the group; ends when it is cancelled."""
        async for event in self.group.call.events(*MEDIA_NEWS):
            teller.tell_of_group(told_of_media(event))

    async def end(self, watching: Iterable[asyncio.Task[None]]) -> None:
        """Tell all that it is over; that they leave then is no news."""
        for task in watching:
            task.cancel()
        await asyncio.wait([*watching, *self._leaving])
        await self.conference.end(FAREWELL)
