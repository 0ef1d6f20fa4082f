"""What the tests over real sockets share: a bounded loop, measures, a log of events, call ends.

Tests wait for events, frames and conditions, never for time to pass.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from ipconf import Call, CallSettings, Direction, Identity, MediaServiceProvider, MediaType
from ipconf.events import CallEvent
from ipconf.model import AUDIO_RATE_HZ
from ipconf.terminals.base import CaptureTerminal, FrameClock, RenderTerminal, Samples
from ipconf.terminals.tones import ToneTerminal

E = TypeVar("E", bound=CallEvent)

AUDIO, VIDEO = MediaType.AUDIO, MediaType.VIDEO
CAPTURE, RENDER = Direction.CAPTURE, Direction.RENDER
LOCALHOST = "127.0.0.1"
LIMIT_S = 10.0
"""How long a test waits for anything before it fails."""
POLL_S = 0.01
SETTLE_S = 0.2
"""Sound at the beginning that is not measured: buffers fill and decoders tune in."""

WIDTH, HEIGHT = 160, 96
Colour = tuple[int, int, int]
"""Y, U and V."""
RED: Colour = (81, 90, 240)
GREEN: Colour = (145, 54, 34)
BLUE: Colour = (41, 240, 110)
YELLOW: Colour = (210, 16, 146)
Picture = tuple[Colour, Colour]
"""The colours of the left and the right half."""


def webrtc(**changes: Any) -> CallSettings:
    """Settings for WebRTC within this machine."""
    return CallSettings(ice_addresses=(LOCALHOST,), **changes)


# -- running


def scenario(
    limit_s: float = 3 * LIMIT_S,
) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Make a test of a coroutine: bounded, and nothing may be left when it ends.

    Nothing is: no task, thread or socket, and no exception that only the loop has seen.
    """

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            before = _threads(), _sockets()
            asyncio.run(_bounded(test(*args, **kwargs), limit_s))
            assert (_threads(), _sockets()) == before, "threads or sockets are left"

        return run

    return decorate


async def _bounded(test: Coroutine[Any, Any, None], limit_s: float) -> None:
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, trouble: troubles.append(trouble))
    async with asyncio.timeout(limit_s):
        await test
    current = asyncio.current_task()
    await eventually(lambda: asyncio.all_tasks() == {current}, "no task is left", limit_s=1.0)
    assert not troubles, troubles


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def _sockets() -> int:
    """How many sockets this process has open, where the system tells."""
    count = 0
    for entry in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count


async def eventually(
    condition: Callable[[], object], what: str = "", *, limit_s: float = LIMIT_S
) -> Any:
    """The first true value of `condition`; AssertionError with `what` if there is none in time."""
    try:
        async with asyncio.timeout(limit_s):
            while not (value := condition()):
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s:g} s: {what or condition}") from None
    return value


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


# -- sound and pictures


def dominant_frequency(samples: Samples, rate_hz: int = AUDIO_RATE_HZ) -> float:
    """The strongest frequency of the first channel in Hz, to about 1 Hz."""
    wave = samples[:, 0] * np.hanning(len(samples))
    points = max(len(samples), 2 * rate_hz)
    return float(np.abs(np.fft.rfft(wave, points)).argmax() * rate_hz / points)


def level_dbov(samples: Samples) -> float:
    """Mean power in dB below a square wave of full scale."""
    power = np.mean(np.square(samples.astype(np.float64))) / 32768**2
    return float(10 * np.log10(max(power, 1e-13)))


def assert_tone(samples: Samples, hz: float, dbov: float = -20.0) -> None:
    """The samples are that tone, about as loud, and nothing else is as loud."""
    heard, level = dominant_frequency(samples), level_dbov(samples)
    assert abs(heard - hz) < 3, f"{heard:.1f} Hz instead of {hz}"
    assert abs(level - dbov) < 1.5, f"{level:.1f} dBov instead of {dbov}"


def picture_of(frame: av.VideoFrame) -> Picture:
    """The mean colours of the two halves of a frame."""
    planes = frame.reformat(format="yuv444p").to_ndarray()
    middle = frame.width // 2
    left, right = planes[:, :, : middle - 8], planes[:, :, middle + 8 :]
    return _mean(left), _mean(right)


def _mean(planes: NDArray[np.uint8]) -> Colour:
    y, u, v = (round(float(value)) for value in planes.mean(axis=(1, 2)))
    return y, u, v


def is_picture(frame: av.VideoFrame, picture: Picture) -> bool:
    """Whether a frame shows that picture, but for what a codec at low rates does to it."""
    return bool(np.abs(np.subtract(picture_of(frame), picture)).max() < 12)


def paint(picture: Picture) -> av.VideoFrame:
    """A frame with that content."""
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, left, right in zip(frame.planes, *picture, strict=True):
        row = bytes([left]) * (plane.width // 2) + bytes([right]) * (plane.width // 2)
        plane.update(row.ljust(plane.line_size, b"\0") * plane.height)
    return frame


class PictureTerminal(CaptureTerminal):
    """A camera in front of which nothing moves."""

    def __init__(self, picture: Picture, fps: float = 25.0) -> None:
        super().__init__("picture", VIDEO, CAPTURE)
        self.picture = picture
        self._clock = FrameClock(fps)

    def read(self, now: float) -> av.VideoFrame | None:
        return paint(self.picture) if self._clock.is_due(now) else None


class Witness:
    """Keeps what somebody hears and sees, and checks it."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Samples] = asyncio.Queue()
        self.seen: asyncio.Queue[av.VideoFrame] = asyncio.Queue()

    async def gets(self, hz: float | None = None, picture: Picture | None = None) -> None:
        """Check what comes from now on, sound and pictures at the same time."""
        await together(
            self.hears(hz) if hz is not None else None,
            self.sees(picture) if picture is not None else None,
        )

    async def hears(self, hz: float, dbov: float = -20.0) -> None:
        """Check half a second of sound."""
        assert_tone(await self.listen(), hz, dbov)

    async def listen(self, seconds: float = 0.5) -> Samples:
        """So much sound from now on, but for the first moments."""
        _drain(self.heard)
        blocks, length = [], 0
        async with asyncio.timeout(LIMIT_S):
            while length < (SETTLE_S + seconds) * AUDIO_RATE_HZ:
                blocks.append(await self.heard.get())
                length += len(blocks[-1])
        return np.concatenate(blocks)[round(SETTLE_S * AUDIO_RATE_HZ) :]

    async def sees(self, picture: Picture, count: int = 5) -> None:
        """Return when so many pictures of that content have come from now on."""
        _drain(self.seen)
        last: object = None
        try:
            async with asyncio.timeout(LIMIT_S):
                while count:
                    frame = await self.seen.get()
                    last = picture_of(frame)
                    count -= is_picture(frame, picture)
        except TimeoutError:
            raise AssertionError(f"{last} is to be seen instead of {picture}") from None


def _drain(queue: asyncio.Queue[Any]) -> None:
    while not queue.empty():
        queue.get_nowait()


class Sink(RenderTerminal):
    """A terminal that puts everything into a queue."""

    def __init__(self, medium: MediaType, queue: asyncio.Queue[Any]) -> None:
        super().__init__("sink", medium, RENDER)
        self._queue = queue

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        self._queue.put_nowait(media)


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


async def together(*work: Awaitable[object] | None) -> None:
    """Wait for all of these at once; the first failure is raised as it is."""

    async def one(task: Awaitable[object]) -> None:
        await task

    try:
        async with asyncio.TaskGroup() as tasks:
            for task in work:
                if task is not None:
                    tasks.create_task(one(task))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


@asynccontextmanager
async def provider(
    name: str = "", settings: CallSettings | None = None
) -> AsyncIterator[MediaServiceProvider]:
    """A provider for calls within this machine."""
    async with MediaServiceProvider(Identity(name=name), settings or webrtc()) as msp:
        yield msp
