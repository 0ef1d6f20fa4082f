"""A conference of parties that show themselves, and look at each other all the time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import av
from gallery_loop import wait_for_workers
from gallery_pictures import COLOURS, Camera, Mouth, read
from peers import eventually, webrtc
from senses import AUDIO, CAPTURE, RENDER, VIDEO

from ipconf import (
    Call,
    CallSettings,
    Conference,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    NullTerminal,
)
from ipconf.events import Event, NewSubStream, SlotChanged
from ipconf.hub.call_legs import CallLeg
from ipconf.hub.people import Attendee
from ipconf.streams.substreams import SubStream
from ipconf.terminals.base import RenderTerminal, Terminal

PATIENCE_S = 1.5
"""So long a slot may show what it should not, or nothing."""
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was seen."""

    name: str
    number: int
    at: float


class Eye(RenderTerminal):
    """Looks at one slot."""

    def __init__(self) -> None:
        super().__init__("eye", VIDEO, RENDER)
        self.seen: deque[Seen] = deque(maxlen=2000)
        self.shows: tuple[object, float] = (None, 0.0)
        """Who is in the slot, as its call says, and since when."""

    def write(self, media: object, at: float) -> None:
        assert isinstance(media, av.VideoFrame)
        name, number = read(media)
        self.seen.append(Seen(name, number, _now()))

    def sees_now(self, within_s: float = 0.4) -> str:
        """Who was seen of late; "" for nobody."""
        if not self.seen or _now() - self.seen[-1].at >= within_s:
            return ""
        return self.seen[-1].name


def _now() -> float:
    return asyncio.get_running_loop().time()


async def passes(seconds: float) -> None:
    """Return after that time."""
    end = _now() + seconds
    await eventually(lambda: _now() >= end, limit_s=seconds + 1)


class Viewer:
    """Somebody far away who looks at the others."""

    def __init__(self, name: str, provider: MediaServiceProvider) -> None:
        self.name = name
        self.provider = provider
        self.camera = Camera(name)
        self.mouth = Mouth()
        self.tsp: LoopbackTsp
        self.call: Call
        self.far: Call
        """The hub's end of the call."""
        self.leg: CallLeg
        self.joined_at = 0.0
        self.eyes: dict[SubStream, Eye] = {}
        self.faults: list[str] = []

    def told(self, event: Event) -> None:
        """Something has happened in the call: a slot may have come."""
        if isinstance(event, NewSubStream):
            asyncio.get_running_loop().call_soon(self.look)

    def look(self) -> None:
        """Give each slot that has come an eye of its own, and note what nobody should see."""
        now = _now()
        for substream in self.call.stream(VIDEO, RENDER).substreams:
            if substream.source is None:
                continue
            if substream not in self.eyes:
                eye = self.eyes[substream] = Eye()
                substream.select_terminal(eye)
            self._judge(substream, self.eyes[substream], now)

    def _judge(self, substream: SubStream, eye: Eye, now: float) -> None:
        """Who is said to be in a slot for a while must be seen there, alive."""
        person = substream.participant
        who = None if person is None else person.name
        if who != eye.shows[0]:
            eye.shows = (who, now)
        latest = eye.seen[-1] if eye.seen else Seen("nobody", 0, 0.0)
        if who not in COLOURS and who is not None:
            who = latest.name  # their name was lost, and comes with a later report
        for since, wrong in (
            (max(eye.shows[1], latest.at if latest.name.upper() == who else 0.0), who is not None),
            (next((s.at for s in reversed(eye.seen) if s.name != "?"), now), latest.name == "?"),
        ):
            if wrong and now - since > PATIENCE_S:
                self.faults.append(f"{now:.2f}: {self.name} looks at {who}, and sees {latest}")

    def sees(self) -> set[str]:
        """Whose pictures it sees now."""
        self.look()
        return {eye.sees_now() for eye in self.eyes.values()} - {""}

    def knows(self) -> set[str]:
        """Whom its call says are seen."""
        shares = self.call.stream(VIDEO, RENDER).substreams
        return {s.participant.name for s in shares if s.participant is not None}


class Gallery:
    """A conference of viewers."""

    def __init__(self, hub: MediaServiceProvider, conference: Conference) -> None:
        self.hub = hub
        self.conference = conference
        self.viewers: dict[str, Viewer] = {}

    def __getitem__(self, name: str) -> Viewer:
        return self.viewers[name]

    def person(self, name: str) -> Attendee:
        """Somebody, as the conference knows them."""
        return next(p for p in self.conference.attendees if p.name == name)

    def talk(self, names: str) -> None:
        """Let just these talk."""
        for name, viewer in self.viewers.items():
            viewer.mouth.talks = name in names

    def faults(self) -> list[str]:
        """What nobody should have seen."""
        return [fault for viewer in self.viewers.values() for fault in viewer.faults]

    async def watch(self) -> None:
        """Look all the time."""
        while True:
            for viewer in self.viewers.values():
                viewer.look()
            await asyncio.sleep(LOOK_S)

    async def see(
        self, limit_s: float = PATIENCE_S, *, knows: bool = True, **truth: Iterable[str]
    ) -> None:
        """Return when these see just those, in time, and know that they do."""

        def right() -> bool:
            return all(
                self[name].sees() == set(wanted)
                and (not knows or self[name].knows() == set(wanted))
                for name, wanted in truth.items()
            )

        try:
            await eventually(right, limit_s=limit_s)
        except AssertionError:
            found = {name: (self[name].sees(), self[name].knows()) for name in truth}
            raise AssertionError(f"seen and known are {found} instead of {truth}") from None

    async def come(
        self,
        stack: AsyncExitStack,
        name: str,
        settings: CallSettings,
        *,
        camera: Terminal | None = None,
        screen: bool = False,
    ) -> Viewer:
        """Somebody joins, with a camera and perhaps a screen."""
        provider = MediaServiceProvider(Identity(name=name), settings)
        await stack.enter_async_context(provider)
        viewer = Viewer(name, provider)
        viewer.tsp = await stack.enter_async_context(LoopbackTsp(provider, self.hub))
        viewer.call, viewer.far = viewer.tsp.pair((AUDIO, VIDEO))
        viewer.call.watch(viewer.told)
        viewer.leg = self.conference.add(viewer.far)
        viewer.call.stream(AUDIO, CAPTURE).select_terminal(viewer.mouth)
        viewer.call.stream(VIDEO, CAPTURE).select_terminal(camera or viewer.camera)
        for _ in range(settings.video_sections):  # who comes is decoded before an eye is there
            viewer.call.stream(VIDEO, RENDER).select_terminal(NullTerminal(VIDEO))
        if screen:
            shared = viewer.call.create_stream(VIDEO, CAPTURE)
            shared.select_terminal(Camera(name.lower()))
        await viewer.tsp.connect(pair=(viewer.call, viewer.far))
        viewer.joined_at = _now()
        self.viewers[name] = viewer
        wait_for_workers(provider)
        return viewer


@asynccontextmanager
async def gallery(
    names: str,
    slots: int = 3,
    *,
    others: dict[str, CallSettings] | None = None,
    strict: bool = True,
    **changes: Any,
) -> AsyncIterator[Gallery]:
    """These parties, one letter each, are in a conference over ICE and DTLS on this machine.

    `others` are the settings of single parties. If `strict`, nobody may ever look at a face that is
    frozen or broken for long; who has left is looked at no more with `del there.viewers[name]`.
    """
    settings = webrtc(video_sections=slots, **changes)
    async with AsyncExitStack() as stack:
        hub = MediaServiceProvider(Identity(name="Hub"), settings.replace(video_sections=16))
        await stack.enter_async_context(hub)
        wait_for_workers(hub)
        conference = await stack.enter_async_context(hub.create_conference("test"))
        there = Gallery(hub, conference)
        changes_of_slots = conference.events(SlotChanged)
        for name in names:
            await there.come(stack, name, (others or {}).get(name, settings))
        await eventually(lambda: {p.name for p in conference.attendees} == set(names))
        watching = asyncio.create_task(there.watch())
        try:
            yield there
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        assert not strict or not there.faults(), there.faults()[:5]
        await conference.end()
        told: dict[tuple[object, int], object] = {}
        async for event in changes_of_slots:
            slot = (event.leg, event.slot)
            news = (event.attendee, event.content)
            assert told.get(slot, (None, "")) != news, f"{event} says nothing new"
            told[slot] = news
