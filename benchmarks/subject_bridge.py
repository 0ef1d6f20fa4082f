"""The competitor in Python: a bridge as one would write it on plain aiortc and numpy.

A peer connection for each leg, all in one process; aiortc decodes what comes on each track and
encodes what each leg is to hear, which is the sum of all others, 20 ms at a time.
`python -m benchmarks.subject_bridge [--uvloop]`; see `children`.
"""

from __future__ import annotations

import asyncio
import fractions
from collections import deque
from typing import Any

import aioice.ice
import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ

from .children import Commands, serve
from .gauges import hub_usage

Samples = NDArray[np.int16]

MAX_FRAMES = 5
"""So many wait to be mixed, or to be sent; of more the oldest are dropped."""
MIN_FRAMES = 2
"""So many are there before a leg is mixed, so that it does not stutter."""
_SILENCE = np.zeros(AUDIO_FRAME_SAMPLES, np.int16)
_TIME_BASE = fractions.Fraction(1, AUDIO_RATE_HZ)


class MixTrack(MediaStreamTrack):
    """What one leg is to hear."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._blocks: asyncio.Queue[Samples] = asyncio.Queue(MAX_FRAMES)
        self._at = 0

    def push(self, block: Samples) -> None:
        """The next 20 ms, (n,)."""
        if self._blocks.full():
            self._blocks.get_nowait()
        self._blocks.put_nowait(block)

    async def recv(self) -> av.AudioFrame:
        block = await self._blocks.get()
        frame = av.AudioFrame.from_ndarray(block[np.newaxis], layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE_HZ, self._at, _TIME_BASE
        self._at += AUDIO_FRAME_SAMPLES
        return frame


class BridgeLeg:
    """A peer connection, what came on it, and what it is to hear."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connected = asyncio.Event()
        self.mix = MixTrack()
        self._came: deque[Samples] = deque(maxlen=MAX_FRAMES)
        self._began = False
        self._listening: asyncio.Task[None] | None = None
        self.peer.on("connectionstatechange", self._state_changed)
        self.peer.on("track", self._track_came)

    def _state_changed(self) -> None:
        if self.peer.connectionState == "connected":
            self.connected.set()

    def _track_came(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            channels = len(frame.layout.channels)
            sound = frame.to_ndarray().astype(np.int16, copy=False)
            self._came.append(sound.reshape(-1, channels)[:, 0])

    async def answer(self, offer: str) -> str:
        """Take the offer: the answer to it."""
        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self.peer.addTrack(self.mix)
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return str(self.peer.localDescription.sdp)

    def pull(self) -> Samples:
        """The next 20 ms that came, (n,); silence if there are none."""
        self._began = self._began or len(self._came) >= MIN_FRAMES
        return self._came.popleft() if self._began and self._came else _SILENCE

    async def close(self) -> None:
        """Hang up."""
        if self._listening is not None:
            self._listening.cancel()
        await self.peer.close()


class Bridge:
    """Legs in the order of their offers."""

    def __init__(self) -> None:
        self._legs: list[BridgeLeg] = []
        self._mixing: asyncio.Task[None] | None = None
        self.commands: Commands = {
            "answer": self.answer,
            "connected": self.connected,
            "measure": self.measure,
            "close": self.close,
        }

    async def answer(self, offers: list[str]) -> list[str]:
        """Let a leg join with each of these offers; the answers to them."""
        legs = [BridgeLeg() for _ in offers]
        self._legs.extend(legs)
        return [await leg.answer(offer) for leg, offer in zip(legs, offers, strict=True)]

    async def connected(self) -> None:
        """Return once all legs are, and mix from then on."""
        for leg in self._legs:
            await leg.connected.wait()
        self._mixing = asyncio.ensure_future(self._mix())

    async def _mix(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += AUDIO_FRAME_S
            await asyncio.sleep(due - loop.time())
            blocks = np.stack([leg.pull() for leg in self._legs]).astype(np.int32)
            mixes = np.clip(blocks.sum(axis=0) - blocks, -32768, 32767).astype(np.int16)
            for leg, mix in zip(self._legs, mixes, strict=True):
                leg.mix.push(mix)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """CPU seconds of that time, of all threads, and seconds that passed."""
        return await hub_usage(self._mixing, seconds)

    async def close(self) -> None:
        """Hang up on all legs."""
        if self._mixing is not None:
            self._mixing.cancel()
        for leg in self._legs:
            await leg.close()


if __name__ == "__main__":
    # The loopback address only, as for the others; aioice would leave just that one out.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    serve(lambda: Bridge().commands)
