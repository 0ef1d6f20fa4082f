"""People of the demo, in one process: `python -m ipconf.demo.conference.people FOLDER NUMBER ...`.

Each has a provider, and so a transport, of their own. They take orders and tell what happens as a
party of the other demo does (`demo.party`), with the `person` in each line; the kinds are
connected, recording, event, sight (see `watching`) and finished.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AsyncExitStack, closing, suppress
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...call import Call, NetworkImpairment
from ...errors import IpconfError
from ...event_hub import EventStream
from ...events import CallEvent, ParticipantEvent, ParticipantLeft, TspData
from ...model import AUDIO_FRAME_SAMPLES, CallSettings, Direction, Identity, MediaType
from ...msp import MediaServiceProvider
from ...terminals.files import FileRecorder
from ...tsp.socket import SocketTsp
from ...tsp_data import Connect
from ..party import HOST, orders, printable, tell
from ..story import LOSS_SEED, Span
from .cameras import BITRATE_BPS, Camera
from .scenes import Person
from .script import FPS, MAX_PARTIES, MAX_SLOTS, MEMBER_TIMEOUT_S
from .voices import Mouth
from .watching import Watcher

LOOK_S = 0.1
"""So often it is looked who is seen no more."""
_SILENCE = np.zeros((AUDIO_FRAME_SAMPLES, 1), np.int16)


class Guest:
    """Somebody who calls the hub, talks when it is their turn, and records what they hear.

    With `slots` they send pictures, too, and watch so many.
    """

    def __init__(
        self, person: Person, recording: Path, loss_percent: float, slots: int, fps: float
    ) -> None:
        self._tell = partial(tell, person=person.key)
        self._loss_percent = loss_percent
        self._seed = LOSS_SEED + person.number
        settings = CallSettings(
            ice_addresses=(IPv4Address(HOST),),
            member_timeout_s=MEMBER_TIMEOUT_S,
            loss_percent=loss_percent,
            loss_seed=self._seed,
            video_bitrate_bps=BITRATE_BPS,
            video_sections=max(1, slots),
        )
        identity = Identity(cname=person.key, name=person.name)
        self._msp = MediaServiceProvider(identity, settings)
        self._tsp = SocketTsp(self._msp)
        self._recorder = FileRecorder(recording)
        self._mouth = Mouth(person.number)
        self._slots = slots
        self._camera = Camera(person, fps)
        self._watcher: Watcher | None = None
        self._call: Call | None = None
        self._reports: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for resource in (self._msp, self._recorder, self._tsp):
            await self._stack.enter_async_context(resource)
        self._reports = [asyncio.create_task(self._report_events(self._msp.events(CallEvent)))]
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Complete the file up to now, and tell the last that was seen and happened."""
        self._recorder.audio.write(_SILENCE, self._msp.now())
        if self._watcher is not None:
            self._watcher.end()
        await self._stack.aclose()
        await asyncio.gather(*self._reports)

    async def obey(self, order: dict[str, Any]) -> None:
        """Do what the script says."""
        match order, self._call:
            case {"order": "dial", "port": port}, None:
                media = {MediaType.AUDIO, MediaType.VIDEO} if self._slots else {MediaType.AUDIO}
                self._begin(await self._tsp.dial(HOST, port, media))
            case {"order": "talk", "spans": spans}, Call():
                self._mouth.say(Span(*span) for span in spans)
            case {"order": "vanish"}, Call() as call:
                call.query(NetworkImpairment).set_loss(100, self._seed)
            case {"order": "camera", "on": on}, Call() as call:
                stream = call.stream(MediaType.VIDEO, Direction.CAPTURE)
                (stream.start if on else stream.pause)()
            case {"order": "return"}, Call() as call:
                await self._return(call)

    def _begin(self, call: Call) -> None:
        self._call = call
        call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(self._mouth)
        call.stream(MediaType.AUDIO, Direction.RENDER).select_terminal(self._recorder.audio)
        began_at = self._msp.now()
        self._recorder.audio.write(_SILENCE, began_at)  # so the file begins at a time that is known
        self._tell("recording", at=began_at)
        if self._slots:
            call.stream(MediaType.VIDEO, Direction.CAPTURE).select_terminal(self._camera)
            self._watcher = Watcher(call, self._slots, self._tell)
            self._stack.callback(asyncio.create_task(self._look(self._watcher)).cancel)
        self._reports.append(asyncio.create_task(self._report_connection(call)))

    async def _return(self, call: Call) -> None:
        """Call again; heal the network once the old transport is given up: nothing must arrive by
        that."""
        with closing(self._msp.events(TspData)) as told, suppress(LookupError):
            call.receive_tsp_data(Connect())
            await told.wait_for(TspData)  # the new offer
        call.query(NetworkImpairment).set_loss(self._loss_percent, self._seed)

    async def _look(self, watcher: Watcher) -> None:
        while True:
            watcher.look(self._msp.now())
            await asyncio.sleep(LOOK_S)

    async def _report_connection(self, call: Call) -> None:
        with suppress(IpconfError):  # what went wrong is in the events
            await call.wait_connected()
            self._tell("connected", at=self._msp.now())

    async def _report_events(self, events: EventStream[CallEvent]) -> None:
        async for event in events:
            extra = {}
            if isinstance(event, ParticipantEvent) and event.participant is not None:
                extra["about"] = printable(event.participant.cname or "")
                extra["name"] = printable(event.participant.name)
            if isinstance(event, ParticipantLeft):
                extra["text"] = printable(event.text)
            self._tell("event", **{**event.to_json(), **extra})


async def run(
    people: list[Person], folder: Path, loss_percent: float, slots: int, fps: float
) -> None:
    """Be these people until the input ends."""
    async with AsyncExitStack() as stack:
        guests = {}
        for person in people:
            guest = Guest(person, folder / f"{person.key}-heard.wav", loss_percent, slots, fps)
            guests[person.key] = await stack.enter_async_context(guest)
        reader = await orders()
        while line := await reader.readline():
            order = json.loads(line)
            await guests[order["person"]].obey(order)
    for person in people:
        tell("finished", person=person.key)


def main() -> None:
    """Read the command line that the director wrote."""
    parser = argparse.ArgumentParser(prog="python -m ipconf.demo.conference.people")
    parser.add_argument("folder", type=Path)
    parser.add_argument("numbers", type=int, nargs="+", choices=range(MAX_PARTIES))
    parser.add_argument("--loss", type=float, default=0.0, metavar="PERCENT")
    parser.add_argument("--slots", type=int, default=0, choices=range(MAX_SLOTS + 1))
    parser.add_argument("--fps", type=float, default=FPS)
    options = parser.parse_args()
    people = [Person(number) for number in options.numbers]
    asyncio.run(run(people, options.folder, options.loss, options.slots, options.fps))


if __name__ == "__main__":
    main()
