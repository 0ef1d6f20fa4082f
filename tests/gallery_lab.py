"""Pictures that tell whose they are and which one, and a conference of parties that show them.

Time passes only while nothing is encoded, decoded or on its way, as in `conference_lab`.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from conference_lab import PatientLoop, PatientSelector
from peers import _bounded, _threads, eventually, open_sockets, webrtc
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
from ipconf.events import Event, NewSubStream
from ipconf.hub.call_legs import CallLeg
from ipconf.hub.people import Attendee
from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ipconf.streams.substreams import SubStream
from ipconf.terminals.base import CaptureTerminal, RenderTerminal, Samples

WIDTH, HEIGHT = 160, 96
FRAME_RATE = 10
COLOURS = {
    "A": (60, 200), "B": (200, 60), "C": (60, 60), "D": (200, 200),
    "E": (128, 220), "F": (220, 128), "a": (128, 40), "b": (40, 128),
}  # fmt: skip
"""U and V of each party's pictures; small letters are screens."""
NEAR = 30
BITS = 16
CELL = WIDTH // BITS
PATIENCE_S = 1.5
"""So long a slot may show what it should not, or nothing."""
LOOK_S = 0.05


def draw(name: str, number: int) -> av.VideoFrame:
    """A picture of that party's colour; its number stands in black and white cells on top."""
    planes = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    planes[:HEIGHT] = 128
    for bit in range(BITS):
        planes[: HEIGHT // 2, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 16
    u, v = COLOURS[name]
    chroma = planes[HEIGHT:].reshape(-1)
    chroma[: chroma.size // 2], chroma[chroma.size // 2 :] = u, v
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def read(frame: av.VideoFrame) -> tuple[str, int]:
    """Whose picture it is, "?" for nobody's, and its number."""
    planes = frame.reformat(format="yuv420p").to_ndarray()
    height, width = frame.height, frame.width
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    u, v = (float(np.median(plane[height // 4 :])) for plane in chroma)
    name = min(COLOURS, key=lambda each: abs(COLOURS[each][0] - u) + abs(COLOURS[each][1] - v))
    if abs(COLOURS[name][0] - u) + abs(COLOURS[name][1] - v) > NEAR:
        name = "?"
    cell = width // BITS
    rows = planes[height // 8 : height * 3 // 8]
    cells = rows[:, : cell * BITS].reshape(len(rows), BITS, cell)[:, :, cell // 4 : -cell // 4]
    bits = cells.mean(axis=(0, 2)) > 128
    return name, int(sum(1 << bit for bit in range(BITS) if bits[bit]))


class Camera(CaptureTerminal):
    """Takes pictures of a party."""

    def __init__(self, name: str) -> None:
        super().__init__(f"camera of {name}", VIDEO, CAPTURE)
        self.shows = name
        self.number = 0
        self.off = False
        self._ticks = 0

    def read(self, now: float) -> av.VideoFrame | None:
        self._ticks += 1
        if self.off or self._ticks % (100 // FRAME_RATE):
            return None
        self.number += 1
        return draw(self.shows, self.number)


class Mouth(CaptureTerminal):
    """Talks, in syllables, or is silent."""

    def __init__(self, hz: float = 300.0) -> None:
        super().__init__("mouth", AUDIO, CAPTURE)
        self.talks = False
        self._blocks = 0
        angles = np.arange(AUDIO_FRAME_SAMPLES) * 2 * np.pi * hz / AUDIO_RATE_HZ
        self._sound = np.rint(6000 * np.sin(angles)).astype(np.int16)[:, np.newaxis]

    def read(self, now: float) -> Samples | None:
        self._blocks += 1
        return self._sound if self.talks and self._blocks % 12 < 8 else np.zeros_like(self._sound)


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
            who = latest.name  # their name is still on its way
        for since, wrong in (
            (max(eye.shows[1], latest.at if latest.name == who else 0.0), who is not None),
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
        self, stack: AsyncExitStack, name: str, settings: CallSettings, *, screen: bool = False
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
        viewer.call.stream(VIDEO, CAPTURE).select_terminal(viewer.camera)
        for _ in range(settings.video_sections):  # who comes is decoded before an eye is there
            viewer.call.stream(VIDEO, RENDER).select_terminal(NullTerminal(VIDEO))
        if screen:
            shared = viewer.call.create_stream(VIDEO, CAPTURE)
            shared.select_terminal(Camera(name.lower()))
        await viewer.tsp.connect(pair=(viewer.call, viewer.far))
        viewer.joined_at = _now()
        self.viewers[name] = viewer
        _loop().providers.append(provider)
        return viewer


@asynccontextmanager
async def gallery(
    names: str, slots: int = 3, *, others: dict[str, CallSettings] | None = None, **changes: Any
) -> AsyncIterator[Gallery]:
    """These parties, one letter each, are in a conference over ICE and DTLS on this machine.

    `others` are the settings of single parties. Nobody may ever look at a face that is frozen or
    broken; whoever leaves by disconnecting is looked at no more with `del`.
    """
    settings = webrtc(video_sections=slots, **changes)
    async with AsyncExitStack() as stack:
        hub = MediaServiceProvider(Identity(name="Hub"), settings.replace(video_sections=16))
        await stack.enter_async_context(hub)
        _loop().providers.append(hub)
        conference = await stack.enter_async_context(hub.create_conference("test"))
        there = Gallery(hub, conference)
        for name in names:
            await there.come(stack, name, (others or {}).get(name, settings))
        watching = asyncio.create_task(there.watch())
        try:
            yield there
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        assert not there.faults(), there.faults()[:5]


# -- a loop whose time passes only while nobody works


class GallerySelector(PatientSelector):
    """Lets no time pass while codecs are at work."""

    def __init__(self, working: Callable[[], bool]) -> None:
        super().__init__()
        self._working = working

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout != 0 and self._working():
            return selectors.DefaultSelector.select(self, 0.01)
        return super().select(timeout)


class GalleryLoop(PatientLoop):
    """A patient loop that waits for the workers of these providers."""

    def __init__(self) -> None:
        self.providers: list[MediaServiceProvider] = []
        self._patient = GallerySelector(self._working)
        asyncio.SelectorEventLoop.__init__(self, self._patient)

    def _working(self) -> bool:
        return any(provider._workers._jobs for provider in self.providers)


def _loop() -> GalleryLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, GalleryLoop)
    return loop


def visibly(
    limit_s: float = 90.0,
) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """As `peers.scenario`, in a `GalleryLoop`, whose seconds `limit_s` are."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            threads, sockets = _threads(), open_sockets()
            with asyncio.Runner(loop_factory=GalleryLoop) as runner:
                runner.run(_bounded(test(*args, **kwargs), limit_s))
            assert _threads() <= threads, "threads are left"
            assert open_sockets() <= sockets, "sockets are left"

        return run

    return decorate
