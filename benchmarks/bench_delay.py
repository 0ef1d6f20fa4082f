"""From mouth to ear, and how soon the jitter buffer is back after a disturbance.

The sound is a sweep whose pitch tells when it was captured, so the delay of every 20 ms block can
be heard at the far end: from the capture terminal's `read` to the render terminal's `write`, and to
the time at which `write` says that the sound is due. A real microphone has recorded a block during
the 20 ms before it hands it over.

    mouth to ear: two calls in one process, Opus and DTLS-SRTP on loopback, many phases of the ticks
    recovery: the load process plays the sweep, disturbed on purpose; a call listens
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from functools import partial
from statistics import median

from ipconf.model import AUDIO_FRAME_S, Direction, MediaType
from ipconf.msp import MediaServiceProvider
from ipconf.terminals.base import CaptureTerminal, Samples
from ipconf.tsp.loopback import LoopbackTsp

from .children import Child, connect
from .legs import SETTINGS
from .report import Broken, Plan, Row, attempt
from .sounds import BLOCKS_PER_SWEEP, SWEEP_S, sweep, sweep_time_s
from .subject_ipconf import Ear

DELAY_GOAL_MS = 60.0
RECOVERY_GOAL_S = 2.0
LISTEN_S = 4.0
SETTLED_S = 2.5
"""The first seconds of a call are not measured: the buffer still learns."""
BACK_WITHIN_MS = 30.0
"""So near its delay of before the buffer counts as recovered: it leaves 25 ms too much standing
rather than cut into sound, so its delay is not the same all the time anyway."""
SMOOTHED_BLOCKS = 5
STEADY_S = 0.5
"""For so long it must stay there."""
BEFORE_S = 5.0
AFTER_S = 7.0


class Mouth(CaptureTerminal):
    """Says the sweep, and when each 20 ms of it was handed over."""

    def __init__(self) -> None:
        super().__init__("mouth", MediaType.AUDIO, Direction.CAPTURE)
        self._blocks = sweep().reshape(BLOCKS_PER_SWEEP, -1, 1)
        self.read_at: list[float] = []

    def read(self, now: float) -> Samples:
        block: Samples = self._blocks[len(self.read_at) % BLOCKS_PER_SWEEP]
        self.read_at.append(now)
        return block


def _delays_ms(mouth: Mouth, ear: Ear, since: float) -> list[tuple[float, float]]:
    """For each undisturbed block heard, how much after its `read` its `write` was, and is due."""
    delays = []
    for block, due, written in ear.latest:
        place_s = sweep_time_s(block)
        if place_s is None or written < since:
            continue
        # The latest time that this part of the sweep was said before it was heard.
        number = int(place_s / AUDIO_FRAME_S)
        said = [at for at in mouth.read_at[number::BLOCKS_PER_SWEEP] if at < written]
        if said:
            spoken = said[-1] + place_s - number * AUDIO_FRAME_S
            middle_s = AUDIO_FRAME_S / 2
            delays.append(((written + middle_s - spoken) * 1e3, (due + middle_s - spoken) * 1e3))
    return delays


async def _mouth_to_ear_ms(listen_s: float) -> tuple[float, float]:
    """The median delays of one new pair of calls, to `write` and to what is due."""
    async with (
        MediaServiceProvider(settings=SETTINGS) as caller,
        MediaServiceProvider(settings=SETTINGS) as callee,
        LoopbackTsp(caller, callee) as tsp,
    ):
        one, other = tsp.pair({MediaType.AUDIO})
        mouth, ear = Mouth(), Ear()
        one.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(mouth)
        # Each provider ticks in its own phase: spread them over the 20 ms.
        await asyncio.sleep(random.uniform(0, AUDIO_FRAME_S))
        other.stream(MediaType.AUDIO, Direction.RENDER).select_terminal(ear)
        await tsp.connect(pair=(one, other))
        await asyncio.sleep(SETTLED_S + listen_s)
        delays = _delays_ms(mouth, ear, other.now() - listen_s)
    if len(delays) < listen_s / AUDIO_FRAME_S * 0.7:
        raise Broken(f"of {listen_s} s of sweep only {len(delays)} blocks were heard undisturbed")
    written, due = zip(*delays, strict=True)
    return median(written), median(due)


async def _recovery(kind: str) -> tuple[float, float]:
    """Seconds until the buffer is back after a disturbance, and by how many ms it had grown."""
    async with Child("load") as load, Child("subject_ipconf", "receive") as measured:
        await connect(measured, load)
        epoch = await load.ask("play", sound="sweep")
        await asyncio.sleep(BEFORE_S)
        began, over = await load.ask("disturb", kind=kind)
        await asyncio.sleep(AFTER_S)
        found = await measured.ask("delays", period_s=SWEEP_S, epoch_s=epoch - AUDIO_FRAME_S)
    usual = median(delay for at, delay in found if began - 2 < at < began)
    after = [(at, (delay - usual) * 1e3) for at, delay in found if at > over]
    if len(after) < AFTER_S / AUDIO_FRAME_S * 0.6:
        raise Broken(f"after {kind} only {len(after)} blocks were heard undisturbed")
    return _time_until_back(after, over), max((delay for _, delay in after), key=abs)


def _time_until_back(after: list[tuple[float, float]], over: float) -> float:
    """Seconds from `over` until the changes of delay, by time, are small and stay so."""
    back = over
    for index in range(len(after) - SMOOTHED_BLOCKS):
        window = after[index : index + SMOOTHED_BLOCKS]
        if abs(median(change for _, change in window)) > BACK_WITHIN_MS:
            back = window[-1][0]
    return back - over if back < after[-1][0] - STEADY_S else AFTER_S


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Delay over many pairs of calls, then each disturbance several times."""
    talk = partial(_mouth_to_ear_ms, 1.0 if plan.quick else LISTEN_S)
    delays = [await attempt(talk) for _ in range(plan.pick(10, 2))]
    for what, values in zip(("handed over", "due"), zip(*delays, strict=True), strict=True):
        note = f"median of each of {len(values)} calls: {min(values):.0f} to {max(values):.0f} ms"
        name = f"mouth to ear, until sound is {what}, median"
        yield Row(name, median(values), "ms", DELAY_GOAL_MS, note)
    for kind, words in (
        ("jitter", "1 s of up to 120 ms of jitter"),
        ("stall", "300 ms without a packet, then all at once"),
        ("loss", "200 ms of loss"),
    ):
        results = [await attempt(partial(_recovery, kind)) for _ in range(plan.pick(3, 1))]
        seconds = median(s for s, _ in results)
        grown = median(g for _, g in results)
        note = f"delay had changed by {grown:+.0f} ms"
        yield Row(f"buffer back after {words}", seconds, "s", RECOVERY_GOAL_S, note)
