"""The far ends of a gallery: they send pictures that were encoded before, and count what comes.

`python -m benchmarks.subject_viewers [--uvloop]`; see `children`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import Any

import av
import numpy as np

from ipconf import CallSettings, Direction, Identity, MediaServiceProvider, MediaType, ToneTerminal
from ipconf.codecs.registry import create_video_encoder
from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.engine.session_config import PayloadFormat
from ipconf.events import TspData
from ipconf.terminals.packets import Outlet, PacketSink, PacketSource
from ipconf.tsp_data import Connect, Description

from .children import Commands, serve

WIDTH, HEIGHT = 640, 360
FRAME_RATE = 15
CYCLE = 10 * FRAME_RATE
"""Pictures that are repeated, the first of them a key frame."""
BITRATE_BPS = 500_000
NOISE_PERCENT = 33
"""So strong is the noise in the pictures that they take that."""
FIRST_ID_BYTE, SAME_BYTES = 2, slice(4, 36)
"""Of a VP8 payload of ours: where the picture id is, and what tells it from the others."""


def encode(seed: int) -> list[list[bytes]]:
    """Payloads of pictures in which something moves."""
    fmt = PayloadFormat(96, "VP8", 90_000)
    encoder = create_video_encoder(fmt, BITRATE_BPS)
    rng = np.random.default_rng(seed)
    noise = (rng.integers(0, 255, (HEIGHT, WIDTH)) * NOISE_PERCENT // 100).astype(np.uint8)
    pictures = []
    for number in range(CYCLE):
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        planes[:HEIGHT] = np.roll(noise, 7 * number, axis=1) + 60
        at = number * WIDTH // CYCLE
        planes[HEIGHT // 4 : HEIGHT // 2, at : at + 60] = 220
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        payloads, _ = encoder.encode(frame, number == 0)
        pictures.append(payloads)
    return pictures


class Camera(PacketSource):
    """Sends the pictures, over and over."""

    def __init__(self, number: int, pictures: list[list[bytes]]) -> None:
        super().__init__(f"camera {number}", MediaType.VIDEO, Direction.CAPTURE)
        self.sent_at: dict[bytes, float] = {}
        """When each payload left last."""
        self.sent = 0
        self._pictures = pictures
        self._next = self._count = 0

    def begin(self, outlet: Outlet) -> None:
        super().begin(outlet)
        outlet.on_key_frame_request = self._begin_anew

    def _begin_anew(self) -> None:
        self._next = 0

    def shoot(self, now: float) -> None:
        """Send the next one; `now` is the provider's time."""
        outlet = self.outlet
        if outlet is None:
            return
        payloads = self._pictures[self._next]
        self._next = (self._next + 1) % CYCLE
        self._count = self._count + 1 & 0x7FFF
        number = (self._count | 0x8000).to_bytes(2, "big")
        timestamp = int(now * 90_000) & 0xFFFFFFFF
        last = len(payloads) - 1
        for index, payload in enumerate(payloads):
            self.sent_at[payload[SAME_BYTES]] = time.monotonic()
            outlet.send(
                payload[:FIRST_ID_BYTE] + number + payload[FIRST_ID_BYTE + 2 :],
                timestamp, now, marker=index == last, level=None, csrcs=(), csrc_levels=(),
            )  # fmt: skip
        self.sent += len(payloads)


class Eyes(PacketSink):
    """Counts what comes, and looks at some of it."""

    def __init__(self, number: int, cameras: list[Camera]) -> None:
        super().__init__(f"eyes {number}", MediaType.VIDEO, Direction.RENDER)
        self.came = 0
        self.delays_s: list[float] = []
        self.seen: dict[int, float] = {}
        """When the first packet of each camera's pictures came, by its number."""
        self.looks = False
        self.sees = asyncio.Event()
        """Set whenever there is one more."""
        self._cameras = cameras

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        self.came += 1
        if self.looks:
            self._look(packet)

    def _look(self, packet: RtpPacket) -> None:
        at, part = time.monotonic(), packet.payload[SAME_BYTES]
        for number, camera in enumerate(self._cameras):
            sent_at = camera.sent_at.get(part)
            if sent_at is not None:
                self.delays_s.append(at - sent_at)
                if number not in self.seen:
                    self.seen[number] = at
                    self.sees.set()

    def taker(self, source: RemoteSource) -> Any:
        """Nothing is quicker."""
        return self.packet_arrived


class Viewers:
    """Calls in the order of their offers; the first ones send pictures."""

    def __init__(self) -> None:
        self._provider = MediaServiceProvider(Identity(name="viewer"))
        self._calls: list[Any] = []
        self._cameras: list[Camera] = []
        self._eyes: list[Eyes] = []
        self._pictures: list[list[list[bytes]]] = []
        self._shooting: asyncio.Task[None] | None = None
        self.commands: Commands = {
            "offer": self.offer,
            "accept": self.accept,
            "shoot": self.shoot,
            "measure": self.measure,
            "wait_seen": self.wait_seen,
            "close": self.close,
        }

    async def offer(self, count: int, settings: dict[str, Any], cameras: int, tones: bool) -> Any:
        """So many more calls: their offers. `cameras` of all have one; all have a tone, if so."""
        if not self._calls:
            await self._provider.__aenter__()
            self._pictures = [encode(number) for number in range(cameras)]
        chosen = CallSettings(**settings)
        offers: dict[Any, str] = {}
        with closing(self._provider.events(TspData)) as messages:
            calls = [self._make_call(chosen, cameras, tones) for _ in range(count)]
            for call in calls:
                call.receive_tsp_data(Connect())
            while len(offers) < count:
                message = await anext(messages)
                if isinstance(message.data, Description):
                    offers[message.call] = message.data.sdp
        return [offers[call] for call in calls]

    def _make_call(self, settings: CallSettings, cameras: int, tones: bool) -> Any:
        number = len(self._calls)
        call = self._provider.create_call((MediaType.AUDIO, MediaType.VIDEO), settings)
        eyes = Eyes(number, self._cameras)
        call.stream(MediaType.VIDEO, Direction.RENDER).select_terminal(eyes)
        if number < cameras:
            camera = Camera(number, self._pictures[number])
            call.stream(MediaType.VIDEO, Direction.CAPTURE).select_terminal(camera)
            self._cameras.append(camera)
        if tones:
            tone = ToneTerminal(300 + 40 * number)
            call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(tone)
        self._calls.append(call)
        self._eyes.append(eyes)
        return call

    async def accept(self, answers: list[str]) -> None:
        """Connect the latest calls, and wait until media can flow."""
        calls = self._calls[-len(answers) :]
        for call, answer in zip(calls, answers, strict=True):
            call.receive_tsp_data(Description(type="answer", sdp=answer))
        for call in calls:
            await call.wait_connected()

    async def shoot(self) -> None:
        """Send pictures from now on."""
        self._shooting = asyncio.ensure_future(self._shoot())

    async def _shoot(self) -> None:
        loop, cameras = asyncio.get_running_loop(), self._cameras
        due = loop.time()
        while True:
            for camera in cameras:  # one after the other within the time of a picture
                due += 1 / FRAME_RATE / len(cameras)
                await asyncio.sleep(max(0.0, due - loop.time()))
                camera.shoot(self._provider.now())

    async def measure(self, seconds: float) -> dict[str, Any]:
        """Packets that "came" to each and were "sent" by all meanwhile, and delays of some."""
        if self._shooting is not None and self._shooting.done():
            self._shooting.result()  # raises what ended it
        lookers = self._eyes[:: max(1, len(self._eyes) // 8)]
        before = [eyes.came for eyes in self._eyes]
        sent = sum(camera.sent for camera in self._cameras)
        for eyes in lookers:
            eyes.delays_s.clear()
            eyes.looks = True
        await asyncio.sleep(seconds)
        for eyes in lookers:
            eyes.looks = False
        return {
            "came": [eyes.came - past for eyes, past in zip(self._eyes, before, strict=True)],
            "sent": sum(camera.sent for camera in self._cameras) - sent,
            "delays": sorted(delay for eyes in lookers for delay in eyes.delays_s),
        }

    async def wait_seen(self, viewer: int, camera: int, since: float, limit_s: float) -> float:
        """How long after `since` a viewer saw pictures of that camera."""
        eyes = self._eyes[viewer]
        eyes.seen.clear()
        eyes.looks = True
        eyes.sees = asyncio.Event()
        async with asyncio.timeout(limit_s):
            while camera not in eyes.seen:
                eyes.sees.clear()
                await eyes.sees.wait()
        eyes.looks = False
        return eyes.seen[camera] - since

    async def close(self) -> None:
        """Hang up."""
        if self._shooting is not None:
            self._shooting.cancel()
        await self._provider.close()


if __name__ == "__main__":
    serve(lambda: Viewers().commands)
