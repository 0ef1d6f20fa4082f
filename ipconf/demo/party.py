"""One party of the demo, in a process of its own: `python -m ipconf.demo.party alice FILE`.

It takes orders as JSON lines on its standard input and tells what happens as JSON lines on its
standard output, each with a "kind": listening, connected, event, statistics, finished. The end of
the input is an order to end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import AsyncExitStack, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from ..call import Call, NetworkImpairment
from ..errors import IpconfError
from ..events import CallEvent, ParticipantEvent, ParticipantLeft
from ..model import CallSettings, CallState, Direction, Identity, MediaType, SdesType
from ..msp import MediaServiceProvider
from ..terminals.base import CaptureTerminal
from ..terminals.files import ClipPlayer, FileRecorder
from ..terminals.pictures import TestPictureTerminal
from ..tsp.socket import SocketTsp
from .story import BOB, LOSS_SEED, MEMBER_TIMEOUT_S, ROLES, Role

HOST = "127.0.0.1"
STATISTICS_INTERVAL_S = 0.2
"""Quick enough for a level meter."""


def tell(kind: str, **fields: Any) -> None:
    """Write one line to the director."""
    print(json.dumps({"kind": kind, **fields}), flush=True)


class Party:
    """What a party does: it is called or calls, sends its clip and picture, and obeys."""

    def __init__(self, role: Role, msp: MediaServiceProvider, recorder: FileRecorder) -> None:
        self.role = role
        self.tsp = SocketTsp(msp, self.begin)
        self._msp = msp
        self._events = msp.events(CallEvent)
        self._recorder = recorder
        self._call: Call | None = None
        self._sources: list[CaptureTerminal] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, call: Call) -> None:
        """Put our terminals on a call and report on it from now on."""
        self._call = call
        voice, picture = ClipPlayer(self.role.clip, loop=True), TestPictureTerminal(self.role.name)
        self._sources = [voice, picture]
        call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(voice)
        call.stream(MediaType.VIDEO, Direction.CAPTURE).select_terminal(picture)
        call.stream(MediaType.AUDIO, Direction.RENDER).select_terminal(self._recorder.audio)
        call.stream(MediaType.VIDEO, Direction.RENDER).select_terminal(self._recorder.video)
        reports = (
            self._report_events(),
            self._report_statistics(call),
            self._report_connection(call),
        )
        self._tasks = {asyncio.create_task(report) for report in reports}

    async def obey(self, order: dict[str, Any]) -> None:
        """Do what the script says; without a call there is nothing to do but dial."""
        match order, self._call:
            case {"order": "dial", "port": port}, None:
                self.begin(await self.tsp.dial(HOST, port))
            case {"order": "rename", "name": name}, Call() as call:
                call.local_participant.set(SdesType.NAME, name)
            case {"order": "mute", "muted": muted}, Call() as call:
                stream = call.stream(MediaType.AUDIO, Direction.RENDER)
                for person in call.participants:
                    if stream in person.streams:
                        person.set_enabled(stream, not muted)
            case {"order": "lose", "percent": percent}, Call() as call:
                call.query(NetworkImpairment).set_loss(percent, LOSS_SEED)
            case {"order": "leave", "reason": reason}, Call() as call:
                await call.disconnect(reason)

    async def end(self) -> None:
        """Close the call and give up what we sent from; returns when everything has been told."""
        if self._call is not None:
            await self._call.close()
        self._events.close()
        for terminal in self._sources:
            terminal.close()
            await terminal.wait_closed()
        await asyncio.gather(*self._tasks)

    async def _report_connection(self, call: Call) -> None:
        with suppress(IpconfError):  # what went wrong is in the events
            await call.wait_connected()
            tell("connected", at=self._msp.now())

    async def _report_events(self) -> None:
        async for event in self._events:
            extra = {}
            if isinstance(event, ParticipantEvent) and event.participant is not None:
                extra["name"] = printable(event.participant.name)
            if isinstance(event, ParticipantLeft):
                extra["text"] = printable(event.text)
            tell("event", **{**event.to_json(), **extra})

    async def _report_statistics(self, call: Call) -> None:
        while call.state is not CallState.DISCONNECTED:
            if call.state is CallState.CONNECTED:
                self._tell_statistics(call)
            await asyncio.sleep(STATISTICS_INTERVAL_S)

    def _tell_statistics(self, call: Call) -> None:
        audio = call.stream(MediaType.AUDIO, Direction.RENDER)
        people = [
            {
                "identity": person.identity,
                "name": printable(person.name),
                "talking": person.talking,
                "muted": audio in person.streams and not person.is_enabled(audio),
            }
            for person in call.participants
        ]
        name = call.local_participant.name
        tell("statistics", at=self._msp.now(), name=name, people=people, **call.stats().to_json())


def printable(text: str) -> str:
    """Text of a stranger without what would act on a terminal: controls, escapes, bidi marks."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


async def orders() -> asyncio.StreamReader:
    """The standard input, to be read without blocking the loop."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def run(role: Role, recording: Path, loss_percent: float) -> None:
    """Be that party until the input ends."""
    settings = CallSettings(
        ice_addresses=(IPv4Address(HOST),),
        member_timeout_s=MEMBER_TIMEOUT_S,
        loss_percent=loss_percent,
        loss_seed=LOSS_SEED,
    )
    async with AsyncExitStack() as stack:
        msp = await stack.enter_async_context(
            MediaServiceProvider(Identity(name=role.name), settings)
        )
        recorder = await stack.enter_async_context(FileRecorder(recording))
        party = Party(role, msp, recorder)
        await stack.enter_async_context(party.tsp)
        stack.push_async_callback(party.end)
        if role == BOB:
            tell("listening", port=await party.tsp.listen(HOST))
        reader = await orders()
        while line := await reader.readline():
            await party.obey(json.loads(line))
    tell("finished", dropped=recorder.dropped, ignored=recorder.ignored)


def main() -> None:
    """Read the command line that the director wrote."""
    parser = argparse.ArgumentParser(prog="python -m ipconf.demo.party", description=__doc__)
    parser.add_argument("role", choices=[role.key for role in ROLES])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--loss", type=float, default=0.0, metavar="PERCENT")
    options = parser.parse_args()
    role = next(role for role in ROLES if role.key == options.role)
    asyncio.run(run(role, options.recording, options.loss))


if __name__ == "__main__":
    main()
