"""The process of the callers: the far ends of all legs, which talk, or are quiet, and listen.

`python -m ipconf.load.callers [--uvloop]`; see `processes`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ..model import AUDIO_FRAME_S, CallSettings
from ..transports.base import Loss
from . import sounds
from .latency import codec_shift, latencies
from .legs import Leg
from .processes import Commands, serve

SLOTS = 20
"""The legs' packets are spread over the 20 ms, 1 ms apart."""
LISTENERS = 8
"""So many legs listen to what comes, half of them talkers; the others only count."""


class Callers:
    """Legs in the order of their offers; the first ones talk."""

    def __init__(self) -> None:
        self._settings = CallSettings()
        self._legs: list[Leg] = []
        self._talkers = 0
        self._payloads: list[list[bytes]] = []
        self._sweep: list[bytes] = []  # what the first talker says
        self._sweep_sent: list[float] = []  # when each packet of the first talker left
        self._playing: asyncio.Task[None] | None = None
        self.commands: Commands = {
            "offer": self.offer,
            "accept": self.accept,
            "play": self.play,
            "measure": self.measure,
            "listen": self.listen,
            "close": self.close,
        }

    @property
    def dropped(self) -> int:
        """Packets that came, and were lost on purpose."""
        return sum(leg.dropped for leg in self._legs)

    # -- calling

    async def offer(self, count: int, settings: dict[str, Any]) -> list[str]:
        """So many more legs: their offers."""
        call_settings = CallSettings(**settings)
        numbers = range(len(self._legs), len(self._legs) + count)
        legs = [Leg(number, call_settings) for number in numbers]
        self._legs.extend(legs)
        return [await leg.offer() for leg in legs]

    async def accept(self, answers: list[str]) -> None:
        """Connect the latest legs, and wait until media can flow."""
        legs = self._legs[-len(answers) :]
        for leg, answer in zip(legs, answers, strict=True):
            leg.accept(answer)
        await asyncio.gather(*(leg.connecting for leg in legs if leg.connecting is not None))

    # -- talking

    async def play(self, talkers: int, loss_percent: float) -> None:
        """Send from now on; the first legs talk, the others are quiet.

        Where packets are lost on purpose all legs report it, as real ones do; else only those that
        listen are complete.
        """
        self._talkers = talkers
        listeners = self._listeners()
        fmt, level = self._legs[0].format, sounds.talk_level(talkers)
        quiet = sounds.encode(sounds.quiet(), fmt)
        hushed: list[bytes] = []  # one list for all who only count
        for leg in self._legs:
            talks = leg.number < talkers
            leg.level = level if talks else sounds.QUIET_LEVEL
            if loss_percent:
                leg.loss = Loss(loss_percent, leg.number)
            elif leg not in listeners:
                leg.only_count()
            if talks:
                payloads = sounds.encode(sounds.spoken(leg.number, talkers), fmt)
                self._sweep = self._sweep or payloads
                self._payloads.append(leg.with_level(payloads))
            elif leg.counts:
                hushed = hushed or leg.with_level(quiet)
                self._payloads.append(hushed)
            else:
                self._payloads.append(leg.with_level(quiet))
        begin = asyncio.get_running_loop().time() + AUDIO_FRAME_S
        self._playing = asyncio.ensure_future(self._play(begin))

    async def _play(self, begin: float) -> None:
        loop = asyncio.get_running_loop()
        step_s = AUDIO_FRAME_S / SLOTS
        step = 0
        while True:
            await asyncio.sleep(begin + step * step_s - loop.time())
            if step % SLOTS == 0:
                self._sweep_sent.append(time.monotonic())
            for number in range(step % SLOTS, len(self._legs), SLOTS):
                leg, payloads = self._legs[number], self._payloads[number]
                leg.send(leg.packet(payloads[leg.sent % len(payloads)]))
            step += 1

    # -- listening

    async def measure(self, seconds: float) -> dict[str, Any]:
        """What comes back in that time on each leg, and the CPU seconds that it takes here."""
        if self._playing is not None and self._playing.done():
            self._playing.result()  # raises what ended it
        before = [(leg.received + leg.dropped, leg.lost) for leg in self._legs]
        wall, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        pairs = list(zip(self._legs, before, strict=True))
        return {
            "cpu": cpu,
            "seconds": wall,
            "packets": [leg.received + leg.dropped - came for leg, (came, _) in pairs],
            "lost": [leg.lost - lost for leg, (_, lost) in pairs],
        }

    def _listeners(self) -> list[Leg]:
        legs, talkers = self._legs, min(self._talkers, LISTENERS // 2)
        return list(dict.fromkeys([*legs[:talkers], *legs[talkers - LISTENERS :]]))

    async def listen(self) -> list[dict[str, Any]]:
        """What some legs heard of late: who is missing, whether themselves, how old sound is."""
        shift = codec_shift(self._sweep, self._legs[0].format)
        return [self._heard(leg, shift) for leg in self._listeners()]

    def _heard(self, leg: Leg, shift: float) -> dict[str, Any]:
        kept, talkers = list(leg.kept), self._talkers
        blocks = sounds.decode([packet.payload for packet in kept], leg.format)
        levels = sounds.levels(blocks, talkers)
        others = [talker for talker in range(talkers) if talker != leg.number]
        arrived = [packet.at for packet in kept[len(kept) - len(blocks) :]]
        own = levels.get(leg.number, 0.0) if leg.number < talkers else -127.0
        return {
            "leg": leg.number,
            "missing": [t for t in others if not sounds.is_heard(levels.get(t, -127.0), talkers)],
            "echo": not sounds.is_absent(own, talkers),
            "latencies": latencies(blocks, arrived, self._sweep_sent, shift) if leg.number else [],
        }

    async def close(self) -> None:
        """Release everything."""
        if self._playing is not None:
            self._playing.cancel()
        for leg in self._legs:
            await leg.close()


if __name__ == "__main__":
    serve(lambda: Callers().commands)
