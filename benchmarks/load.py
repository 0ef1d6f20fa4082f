"""The second process: the far end of every leg, which sends ready-made sound and keeps what comes.

`python -m benchmarks.load`; see `children`.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from ipconf.model import AUDIO_FRAME_S

from .children import Commands, serve
from .legs import Leg
from .sounds import decode, encode, is_tone, sweep, tone, tone_hz

SLOTS = 10
"""The legs' packets are spread over the 20 ms, 2 ms apart."""
JITTER_S = 0.12
"""Each packet of a burst of jitter is late by up to this."""
JITTER_LASTS_S = 1.0
STALL_S = 0.3
"""For so long nothing gets through, then all at once."""
LOST_PACKETS = 10
"""In a row: 200 ms."""


class Disturbance:
    """What becomes of the packets of a while: each is delayed, or lost."""

    def __init__(self, kind: str, now: float) -> None:
        self.kind = kind
        lasts = {"jitter": JITTER_LASTS_S, "stall": STALL_S, "loss": LOST_PACKETS * AUDIO_FRAME_S}
        self.ends = now + lasts[kind]
        self._rng = random.Random(1)
        self._latest = now

    def sends_at(self, now: float) -> float | None:
        """When a packet that is made now leaves; None: never. They do not overtake each other."""
        if self.kind == "loss":
            return None
        if self.kind == "stall":
            return self.ends
        self._latest = max(self._latest, now + self._rng.uniform(0, JITTER_S))
        return self._latest


class Load:
    """Legs in the order of their offers; each hears and sends its own tone."""

    def __init__(self) -> None:
        self._legs: list[Leg] = []
        self._sound: list[list[bytes]] = []
        self._playing: asyncio.Task[None] | None = None
        self._disturbance: Disturbance | None = None
        self.commands: Commands = {
            "answer": self.answer,
            "connected": self.connected,
            "play": self.play,
            "disturb": self.disturb,
            "heard": self.heard,
            "close": self.close,
        }

    async def answer(self, sdp: str) -> str:
        """One more leg: the answer to its offer."""
        leg = Leg(len(self._legs))
        self._legs.append(leg)
        return await leg.answer(sdp)

    async def connected(self, count: int) -> None:
        """Return once the latest `count` legs are."""
        for leg in self._legs[-count:]:
            assert leg.connecting is not None
            await leg.connecting

    async def play(self, sound: str) -> float:
        """Send "tones" or the "sweep" from now on; when the first packet left, loop seconds."""
        numbers = range(len(self._legs))
        whole = [sweep() if sound == "sweep" else tone(tone_hz(n)) for n in numbers]
        self._sound = [encode(samples) for samples in whole]
        begin = asyncio.get_running_loop().time() + AUDIO_FRAME_S
        self._playing = asyncio.ensure_future(self._play(begin))
        return begin

    async def _play(self, begin: float) -> None:
        loop = asyncio.get_running_loop()
        step_s = AUDIO_FRAME_S / SLOTS
        step = 0
        while True:
            await asyncio.sleep(begin + step * step_s - loop.time())
            for number in range(step % SLOTS, len(self._legs), SLOTS):
                leg, payloads = self._legs[number], self._sound[number]
                self._emit(leg, leg.packet(payloads[leg.sent % len(payloads)]), loop)
            step += 1

    def _emit(self, leg: Leg, packet: bytes, loop: asyncio.AbstractEventLoop) -> None:
        disturbance, now = self._disturbance, loop.time()
        if disturbance is None:
            leg.send(packet)
        elif (at := disturbance.sends_at(now)) is not None:
            loop.call_at(at, leg.send, packet)

    async def disturb(self, kind: str) -> tuple[float, float]:
        """Disturb what is played by "jitter", a "stall" or "loss"; when it began and was over."""
        now = asyncio.get_running_loop().time
        began = now()
        self._disturbance = disturbance = Disturbance(kind, began)
        await asyncio.sleep(disturbance.ends - began)
        self._disturbance = None
        last = disturbance.sends_at(disturbance.ends) or disturbance.ends
        await asyncio.sleep(last - now())
        return began, now()

    async def heard(self) -> list[dict[str, Any]]:
        """For each leg how many packets came, and whether the latest are its tone."""
        return [
            {
                "packets": leg.received,
                "tone": _hears(leg, tone_hz(number)),
                "sent": leg.sent,
            }
            for number, leg in enumerate(self._legs)
        ]

    async def close(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
        for leg in self._legs:
            await leg.close()


def _hears(leg: Leg, frequency_hz: int) -> bool:
    payloads = [packet.payload for packet in leg.kept]
    return bool(payloads) and is_tone(decode(payloads), frequency_hz)


if __name__ == "__main__":
    serve(lambda: Load().commands)
