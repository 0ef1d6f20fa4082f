"""The hub of the demo, in a process of its own: `python -m ipconf.demo.conference.hub`.

Whoever calls is in the conference. It takes orders and tells what happens as a party of the other
demo does (`demo.party`); its kinds are listening, event, legs and finished.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from ...call import Call
from ...conference import Conference
from ...event_hub import EventStream
from ...events import (
    AttendeeChanged,
    AttendeeEvent,
    AttendeeLeft,
    ConferenceEvent,
    DominantSpeakerChanged,
    Event,
    LegEvent,
    PicturesRefused,
    SlotChanged,
)
from ...hub.call_legs import CallLeg
from ...hub.people import Attendee
from ...hub.recording_kinds import RecordingKind
from ...model import CallSettings, Direction, Identity
from ...msp import MediaServiceProvider
from ...tsp.socket import SocketTsp
from ..party import HOST, STATISTICS_INTERVAL_S, orders, printable, tell
from .mosaic import SIZE
from .script import FPS, HUB_KEY, HUB_NAME, MAX_SLOTS, MEMBER_TIMEOUT_S


class Hub:
    """Lets everybody in who calls, and obeys; `mosaic` is the file for what it records."""

    def __init__(self, conference: Conference, mosaic: Path) -> None:
        self._conference = conference
        self._mosaic = mosaic

    def take(self, call: Call) -> None:
        """Somebody calls."""
        self._conference.add(call)

    async def obey(self, order: dict[str, Any]) -> None:
        """Do what the script says; who is not there any more needs nothing done."""
        leg = self._leg(order["person"])
        match order:
            case {"order": "end", "reason": reason}:
                await self._conference.end(reason)
            case {"order": "record"}:
                self._conference.record(self._mosaic, RecordingKind.MOSAIC, size=SIZE, fps=FPS)
            case {"order": "watch", "pinned": pinned} if leg is not None:
                self._watch(leg, pinned)
            case {"order": "mute", "muted": muted} if leg is not None:
                self._conference.mute(leg, muted)
            case {"order": "remove", "reason": reason} if leg is not None:
                await self._conference.remove(leg, reason)

    def _watch(self, leg: CallLeg, pinned: str | None) -> None:
        """Show that leg one person at a time: the pinned one, or who talks."""
        self._conference.set_slots(leg, 1)
        for person in self._conference.attendees:
            if person.cname == pinned:
                self._conference.pin(person, leg)
            else:
                self._conference.unpin(person, leg)

    def _leg(self, key: str) -> CallLeg | None:
        for person in self._conference.attendees:
            if person.cname == key and isinstance(person.leg, CallLeg):
                return person.leg
        return None

    def told(self, event: Event) -> dict[str, Any]:
        """An event as a log has it, with the person's key and name, and what changed."""
        values = event.to_json()
        if isinstance(event, AttendeeEvent | DominantSpeakerChanged) and event.attendee is not None:
            values |= {"person": event.attendee.cname, "name": printable(event.attendee.name)}
        if isinstance(event, AttendeeChanged) and event.attendee.present:
            values["muted"] = self._conference.is_muted(event.attendee)
        if isinstance(event, AttendeeLeft):
            values["text"] = printable(event.text)
        if isinstance(event, LegEvent):
            values["name"] = printable(event.leg.display_name)
        if isinstance(event, SlotChanged | PicturesRefused) and event.attendee is not None:
            values["seen"] = printable(event.attendee.name)
        return values

    def count(self) -> list[dict[str, Any]]:
        """How everybody's leg is now, by what their call has counted."""
        return [self._count(person) for person in self._conference.attendees]

    def _count(self, person: Attendee) -> dict[str, Any]:
        leg = person.leg
        assert isinstance(leg, CallLeg)
        counted = leg.call.stats()
        sent, arriving = (
            [s for s in counted.streams if s.direction == direction.value]
            for direction in (Direction.CAPTURE, Direction.RENDER)
        )
        about = counted.participants.get(person.cname)
        return {
            "person": person.cname,
            "name": printable(person.name),
            "talking": person.talking,
            "muted": self._conference.is_muted(person),
            "floor": person is self._conference.dominant,
            "level_dbov": about.level_dbov if about else None,
            "fraction_lost": about.fraction_lost if about else None,
            "jitter_s": about.jitter_s if about else None,
            "round_trip_s": about.round_trip_s if about else None,
            "far_fraction_lost": sent[0].far_fraction_lost,
            "in_bps": sum(stream.bit_rate_bps for stream in arriving),
            "out_bps": sum(stream.bit_rate_bps for stream in sent),
            "in_packets": sum(stream.packets for stream in arriving),
            "out_packets": sum(stream.packets for stream in sent),
            "dropped_on_purpose": sum(t.dropped_on_purpose for t in counted.transports),
        }


async def report_events(hub: Hub, events: EventStream[ConferenceEvent]) -> None:
    """Tell of everything that happens in the conference."""
    async for event in events:
        tell("event", **hub.told(event))


async def report_legs(hub: Hub) -> None:
    """Tell again and again how the legs are."""
    while True:
        tell("legs", legs=hub.count())
        await asyncio.sleep(STATISTICS_INTERVAL_S)


async def run(mosaic: Path) -> None:
    """Be the hub until the input ends."""
    settings = CallSettings(
        ice_addresses=(IPv4Address(HOST),),
        member_timeout_s=MEMBER_TIMEOUT_S,
        video_sections=MAX_SLOTS,
    )
    reports: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:
        msp = await stack.enter_async_context(
            MediaServiceProvider(Identity(cname=HUB_KEY, name=HUB_NAME), settings)
        )
        events = msp.events(ConferenceEvent)
        conference = await stack.enter_async_context(msp.create_conference("demo"))
        hub = Hub(conference, mosaic)
        tsp = await stack.enter_async_context(SocketTsp(msp, hub.take))
        reports.append(asyncio.create_task(report_events(hub, events)))
        counting = asyncio.create_task(report_legs(hub))
        stack.callback(counting.cancel)
        tell("listening", port=await tsp.listen(HOST))
        reader = await orders()
        while line := await reader.readline():
            await hub.obey(json.loads(line))
    await asyncio.gather(*reports)
    tell("finished")


def main() -> None:
    """Read the command line that the director wrote."""
    parser = argparse.ArgumentParser(prog="python -m ipconf.demo.conference.hub")
    parser.add_argument("mosaic", type=Path)
    asyncio.run(run(parser.parse_args().mosaic))


if __name__ == "__main__":
    main()
