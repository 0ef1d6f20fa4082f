"""The competitor: plain RTCPeerConnections that receive or send one track each.

`python -m benchmarks.subject_aiortc receive|send`; see `children`.
"""

from __future__ import annotations

import asyncio
import fractions
import sys
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

from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ

from .children import Commands, serve
from .gauges import cpu_share, resident_bytes, threads
from .sounds import is_tone, tone, tone_hz

CHECKED_FRAMES = 50
_TIME_BASE = fractions.Fraction(1, AUDIO_RATE_HZ)


class ToneTrack(MediaStreamTrack):
    """The same sound as `ReadyTone`, 20 ms at a time and not earlier than it is due."""

    kind = "audio"

    def __init__(self, frequency_hz: int) -> None:
        super().__init__()
        self._sound = tone(frequency_hz).reshape(1, -1)
        self._began: float | None = None
        self._at = 0

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        await asyncio.sleep(self._began + self._at / AUDIO_RATE_HZ - loop.time())
        start = self._at % self._sound.shape[1]
        block = self._sound[:, start : start + AUDIO_FRAME_SAMPLES]
        frame = av.AudioFrame.from_ndarray(block, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE_HZ, self._at, _TIME_BASE
        self._at += AUDIO_FRAME_SAMPLES
        return frame


class AiortcSubject:
    """Peer connections in the order of their offers."""

    def __init__(self, *, sends: bool) -> None:
        self._sends = sends
        self._peers: list[RTCPeerConnection] = []
        self._connected: list[asyncio.Event] = []
        self._heard: list[deque[av.AudioFrame]] = []
        self._counts: list[int] = []
        self._listeners: list[asyncio.Task[None]] = []
        self.commands: Commands = {
            "offer": self.offer,
            "accept": self.accept,
            "measure": self.measure,
            "close": self.close,
        }

    async def offer(self) -> str:
        """One more connection: its offer."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        number = len(self._peers)
        connected = asyncio.Event()

        def state_changed() -> None:
            if peer.connectionState == "connected":
                connected.set()

        peer.on("connectionstatechange", state_changed)
        self._connected.append(connected)
        self._peers.append(peer)
        if self._sends:
            peer.addTransceiver(ToneTrack(tone_hz(number)), direction="sendonly")
        else:
            peer.addTransceiver("audio", direction="recvonly")
            self._heard.append(deque(maxlen=CHECKED_FRAMES))
            self._counts.append(0)
        await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        """Connect the latest one."""
        peer = self._peers[-1]
        await peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        await self._connected[-1].wait()
        if not self._sends:
            track = peer.getTransceivers()[0].receiver.track
            self._listeners.append(asyncio.ensure_future(self._listen(track, len(self._peers) - 1)))

    async def _listen(self, track: MediaStreamTrack, number: int) -> None:
        heard = self._heard[number]
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.AudioFrame)
            heard.append(frame)
            self._counts[number] += 1

    async def measure(self, seconds: float) -> dict[str, Any]:
        """As in `subject_ipconf`."""
        before = list(self._counts)
        cpu, passed = await cpu_share(seconds)
        blocks = [now - then for now, then in zip(self._counts, before, strict=True)]
        tones = [is_tone(_samples(heard), tone_hz(n)) for n, heard in enumerate(self._heard)]
        return {
            "cpu": cpu,
            "seconds": passed,
            "blocks": blocks,
            "tones": tones,
            "threads": threads(),
            "resident": resident_bytes(),
        }

    async def close(self) -> None:
        for listener in self._listeners:
            listener.cancel()
        for peer in self._peers:
            await peer.close()


def _samples(frames: deque[av.AudioFrame]) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.concatenate([f.to_ndarray().reshape(-1, 2) for f in frames]).astype(np.int16)


if __name__ == "__main__":
    # The loopback address only, as for the others; aioice would leave just that one out.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    serve(lambda: AiortcSubject(sends="send" in sys.argv).commands)
