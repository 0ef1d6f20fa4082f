"""A process to measure: calls of this package with one terminal each, `receive` or `send`.

`python -m benchmarks.subject_ipconf receive|send`; see `children`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import closing
from typing import Any

import av
import numpy as np

from ipconf.call import Call
from ipconf.events import TspData
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, Direction, MediaType
from ipconf.msp import MediaServiceProvider
from ipconf.terminals.base import CaptureTerminal, RenderTerminal, Samples
from ipconf.tsp_data import Connect, Description

from .children import Commands, serve
from .gauges import cpu_share, resident_bytes, threads
from .legs import SETTINGS
from .sounds import is_tone, sweep_time_s, tone, tone_hz

KEPT_BLOCKS = 1000
"""20 s of sound."""
CHECKED_BLOCKS = 50


class ReadyTone(CaptureTerminal):
    """A tone that costs next to nothing: it is there already."""

    def __init__(self, frequency_hz: int) -> None:
        super().__init__("tone", MediaType.AUDIO, Direction.CAPTURE)
        self._blocks = tone(frequency_hz).reshape(-1, AUDIO_FRAME_SAMPLES, 1)
        self._next = 0

    def read(self, now: float) -> Samples:
        block: Samples = self._blocks[self._next % len(self._blocks)]
        self._next += 1
        return block


class Ear(RenderTerminal):
    """Keeps the latest sound, when it was due, and when it came."""

    def __init__(self) -> None:
        super().__init__("ear", MediaType.AUDIO, Direction.RENDER)
        self.blocks = 0
        self.latest: deque[tuple[Samples, float, float]] = deque(maxlen=KEPT_BLOCKS)
        self._now = asyncio.get_running_loop().time

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        assert isinstance(media, np.ndarray)
        self.blocks += 1
        self.latest.append((media, at, self._now()))


class IpconfSubject:
    """Calls in the order of their offers."""

    def __init__(self, *, sends: bool) -> None:
        self._sends = sends
        self._provider = MediaServiceProvider(settings=SETTINGS)
        self._entered = False
        self._calls: list[Call] = []
        self._ears: list[Ear] = []
        self.commands: Commands = {
            "offer": self.offer,
            "accept": self.accept,
            "measure": self.measure,
            "delays": self.delays,
            "close": self._provider.close,
        }

    async def offer(self) -> str:
        """One more call with its terminal: its offer."""
        if not self._entered:
            await self._provider.__aenter__()
            self._entered = True
        call = self._provider.create_call({MediaType.AUDIO})
        if self._sends:
            mouth = ReadyTone(tone_hz(len(self._calls)))
            call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(mouth)
        else:
            self._ears.append(Ear())
            call.stream(MediaType.AUDIO, Direction.RENDER).select_terminal(self._ears[-1])
        self._calls.append(call)
        with closing(self._provider.events(TspData)) as messages:
            call.receive_tsp_data(Connect())
            async for message in messages:
                if isinstance(message.data, Description):
                    return message.data.sdp
        raise AssertionError("the provider closed while it made an offer")

    async def accept(self, sdp: str) -> None:
        """Connect the latest call."""
        call = self._calls[-1]
        call.receive_tsp_data(Description(type="answer", sdp=sdp))
        await call.wait_connected()

    async def measure(self, seconds: float) -> dict[str, Any]:
        """What the process uses during that time, and what was heard meanwhile."""
        before = [ear.blocks for ear in self._ears]
        cpu, passed = await cpu_share(seconds)
        blocks = [ear.blocks - b for ear, b in zip(self._ears, before, strict=True)]
        tones = [
            is_tone(np.concatenate([b[0] for b in list(ear.latest)[-CHECKED_BLOCKS:]]), tone_hz(n))
            for n, ear in enumerate(self._ears)
        ]
        return {
            "cpu": cpu,
            "seconds": passed,
            "blocks": blocks,
            "tones": tones,
            "threads": threads(),
            "resident": resident_bytes(),
        }

    async def delays(self, period_s: float, epoch_s: float) -> list[tuple[float, float]]:
        """When each undisturbed block of a sweep began, and how long it had been under way.

        The sweep repeats every `period_s` and was sent at `epoch_s` for the first time.
        """
        found = []
        for block, at, _ in self._ears[0].latest:
            place_s = sweep_time_s(block)
            if place_s is not None:
                middle_s = at + AUDIO_FRAME_S / 2
                found.append((at, (middle_s - epoch_s - place_s) % period_s))
        return found


if __name__ == "__main__":
    serve(lambda: IpconfSubject(sends="send" in sys.argv).commands)
