"""A process to measure: what calls hold while they last, and what they leave behind.

Both ends are in the process, each with its own provider. `python -m benchmarks.subject_calls`; see
`children`.
"""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import av

from ipconf.call import Call
from ipconf.model import Direction, MediaType
from ipconf.msp import MediaServiceProvider
from ipconf.terminals.base import RenderTerminal, Samples
from ipconf.terminals.pictures import TestPictureTerminal
from ipconf.terminals.tones import ToneTerminal
from ipconf.tsp.loopback import LoopbackTsp

from .children import Commands, serve
from .gauges import holdings
from .legs import SETTINGS

PICTURES_PER_S = 2.0
"""Few, so that many pictures can be coded at a time; memory does not depend on it."""
MEDIA_TIMEOUT_S = 60.0
AUDIO_AT_ONCE = 10
"""Pairs of calls that are set up together."""
VIDEO_AT_ONCE = 2


class Witness(RenderTerminal):
    """Knows whether it was given anything."""

    def __init__(self, media_type: MediaType) -> None:
        super().__init__("witness", media_type, Direction.RENDER)
        self.given = asyncio.Event()

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        self.given.set()


class CallsSubject:
    """Pairs of calls that hear each other, and see each other if asked."""

    def __init__(self) -> None:
        self._caller = MediaServiceProvider(settings=SETTINGS)
        self._callee = MediaServiceProvider(settings=SETTINGS)
        self._tsp = LoopbackTsp(self._caller, self._callee)
        self._entered = False
        self._held: list[tuple[Call, Call]] = []
        self.commands: Commands = {"hold": self.hold, "churn": self.churn, "close": self.close}

    async def hold(self, pairs: int, video: bool, settle_s: float) -> dict[str, Any]:
        """Add so many pairs of calls and keep them: what the process holds with all of them."""
        for _ in range(pairs):
            self._held.append(await self._connect(video))
        await asyncio.sleep(settle_s)
        await self._flowing(self._held)
        return asdict(holdings())

    async def churn(self, pairs: int, video: bool) -> dict[str, Any]:
        """Make and close so many pairs: what is left, and the CPU seconds of that."""
        cpu = time.process_time()
        made: list[weakref.ref[Call]] = []
        at_once = min(pairs, VIDEO_AT_ONCE if video else AUDIO_AT_ONCE)
        for _ in range(pairs // at_once):
            group = await asyncio.gather(*(self._connect(video) for _ in range(at_once)))
            await self._flowing(group)
            for call in (call for pair in group for call in pair):
                made.append(weakref.ref(call))
                await call.close()
            del group, call
        await asyncio.sleep(0.1)  # closed sockets leave the loop
        cpu = time.process_time() - cpu
        gc.collect()
        alive = sum(reference() is not None for reference in made)
        return {**asdict(holdings()), "alive": alive, "cpu": cpu, "calls": len(made)}

    async def _connect(self, video: bool) -> tuple[Call, Call]:
        if not self._entered:
            await self._caller.__aenter__()
            await self._callee.__aenter__()
            await self._tsp.__aenter__()
            self._entered = True
        media = [MediaType.AUDIO, MediaType.VIDEO][: 1 + video]
        pair = self._tsp.pair(media)
        for call in pair:
            call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(ToneTerminal())
            for medium in media:
                call.stream(medium, Direction.RENDER).select_terminal(Witness(medium))
            if video:
                picture = TestPictureTerminal(call.identity, fps=PICTURES_PER_S)
                call.stream(MediaType.VIDEO, Direction.CAPTURE).select_terminal(picture)
        return await self._tsp.connect(pair=pair)

    async def _flowing(self, pairs: Iterable[tuple[Call, Call]]) -> None:
        """Return once every terminal has been given something since now."""
        witnesses = [
            terminal
            for pair in pairs
            for call in pair
            for stream in call.streams
            for terminal in stream.terminals
            if isinstance(terminal, Witness)
        ]
        for witness in witnesses:
            witness.given.clear()
        async with asyncio.timeout(MEDIA_TIMEOUT_S):
            for witness in witnesses:
                await witness.given.wait()

    async def close(self) -> None:
        if self._entered:
            await self._tsp.__aexit__()
            await self._caller.close()
            await self._callee.close()


if __name__ == "__main__":
    serve(lambda: CallsSubject().commands)
