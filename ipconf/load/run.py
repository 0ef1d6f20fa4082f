"""One load: a hub, its callers, and what became of it; see `Task` and `Outcome`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

from ..model import AUDIO_FRAME_S
from .processes import Child
from .verdict import find_failures

AT_ONCE = 20
"""So many legs call at the same time."""
SETTLING_S = 2.0
"""From a change until everything is what it stays."""
CODECS = {"opus": "opus", "g722": "G722", "pcmu": "PCMU", "pcma": "PCMA"}
"""What legs can speak, by what the command line calls it."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be carried."""

    legs: int
    talkers: int
    codec: str = "opus"
    """One of `CODECS`."""
    transport: str = "rtp"
    """"rtp" or "webrtc", as in `CallSettings`."""
    shared_port: bool = False
    """Whether the hub has one port for all legs."""
    loss_percent: float = 0.0
    """Packets of media that get lost on each leg, each way."""
    duration_s: float = 10.0
    """How long is measured."""
    uvloop: bool = find_spec("uvloop") is not None
    """Whether the hub runs on uvloop."""

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the calls at both ends: nothing leaves this machine."""
        return {
            "transport": self.transport,
            "audio_codecs": CODECS[self.codec],
            "rtcp_mux": True,
            "ice_addresses": "127.0.0.1",
        }

    @property
    def hub_settings(self) -> dict[str, Any]:
        """Those of the calls at the hub's end."""
        return self.settings | {"shared_port": 0 if self.shared_port else None}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one load took, and what the legs had of it. Shares are of one core."""

    set_up_s: float
    set_up_cpu_s: float
    """Of the hub, for each leg, its ticks meanwhile included."""
    idle: float
    """Share of the hub with all legs connected and nothing said, for each leg."""
    cpu: float
    """Share of the hub."""
    callers_cpu: float
    """Share of the callers' process."""
    waited: float
    """Share of the time in which the hub waited for a core that others had."""
    memory_bytes: float
    """Of the hub, for each leg, less what it had before the first; 0 where unknown."""
    rates: tuple[float, ...]
    """Packets per second that came on each leg, or were lost on purpose on the way."""
    lost: int
    """Packets that did not come, but for those lost on purpose."""
    late_s: tuple[float, ...]
    """How late each tick was, in order of size."""
    latencies_s: tuple[float, ...]
    """From leg to leg through the hub, in order of size."""
    failures: tuple[str, ...]
    """What went wrong, in words; nothing if every leg got every packet and heard the talkers."""


async def perform(task: Task, idle_s: float = 0.0) -> Outcome:
    """Carry that load; `idle_s` is how long the silence before it is measured."""
    hub_options = ["--uvloop"] if task.uvloop else []
    callers_options = ["--uvloop"] if find_spec("uvloop") else []
    async with (
        Child(f"{__package__}.hub", *hub_options) as hub,
        Child(f"{__package__}.callers", *callers_options) as callers,
    ):
        await hub.ask("open", settings=task.hub_settings, legs=task.legs)
        began, before = time.monotonic(), await hub.ask("usage")
        await _connect(hub, callers, task)
        set_up_s, after = time.monotonic() - began, await hub.ask("usage")
        idle = None
        if idle_s:
            await asyncio.sleep(SETTLING_S)  # until all have been told of all
            idle = await hub.ask("measure", seconds=idle_s)
        await callers.ask("play", talkers=task.talkers, loss_percent=task.loss_percent)
        await asyncio.sleep(SETTLING_S)
        used, came = await asyncio.gather(
            hub.ask("measure", seconds=task.duration_s),
            callers.ask("measure", seconds=task.duration_s),
        )
        heard = await callers.ask("listen")
    rates = [packets / came["seconds"] for packets in came["packets"]]
    latencies = [latency for leg in heard for latency in leg["latencies"]]
    return Outcome(
        set_up_s=set_up_s,
        set_up_cpu_s=(after["cpu"] - before["cpu"]) / task.legs,
        idle=idle["cpu"] / idle["seconds"] / task.legs if idle is not None else 0.0,
        cpu=used["cpu"] / used["seconds"],
        callers_cpu=came["cpu"] / came["seconds"],
        waited=used["waited"] / used["seconds"],
        memory_bytes=(used["resident"] - before["resident"]) / task.legs,
        rates=tuple(rates),
        lost=max(0, sum(came["lost"])),
        late_s=tuple(sorted(used["late"])),
        latencies_s=tuple(sorted(latencies)),
        failures=tuple(find_failures(used, came, heard, loses=task.loss_percent > 0)),
    )


async def _connect(hub: Child, callers: Child, task: Task) -> None:
    for first in range(0, task.legs, AT_ONCE):
        count = min(AT_ONCE, task.legs - first)
        offers = await callers.ask("offer", count=count, settings=task.settings)
        answers = await hub.ask("answer", offers=offers)
        await callers.ask("accept", answers=answers)
    await hub.ask("connected")


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of these values, in order of size, do not exceed; 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def describe(task: Task, outcome: Outcome) -> list[str]:
    """The outcome, in lines for people."""
    late, latencies = outcome.late_s, outcome.latencies_s
    transport = "plain RTP" if task.transport == "rtp" else "DTLS-SRTP"
    loop = "uvloop" if task.uvloop else "asyncio"
    if task.shared_port:
        transport += " on one port"
    lines = [
        f"{task.legs} legs, {task.talkers} talking, {task.codec} over {transport}, "
        f"{task.loss_percent:g} % loss, {task.duration_s:g} s, on {loop}",
        f"set-up        {outcome.set_up_s:.2f} s, {1e3 * outcome.set_up_cpu_s:.2f} ms of the hub's "
        "CPU for each leg",
        f"hub's CPU     {outcome.cpu:.3f} core, that is "
        f"{1e6 * outcome.cpu * AUDIO_FRAME_S / task.legs:.1f} us for each leg in 20 ms"
        f" (callers: {outcome.callers_cpu:.3f})",
        f"hub's memory  {outcome.memory_bytes / 1e3:.0f} kB for each leg",
        f"hub's ticks   late by {1e3 * quantile(late, 0.5):.2f} ms (median), "
        f"{1e3 * quantile(late, 0.99):.2f} ms (p99)",
        f"packets       {min(outcome.rates):.2f} to {max(outcome.rates):.2f} a second and leg, "
        f"median {median(outcome.rates):.2f}; {outcome.lost} lost",
        f"latency       {1e3 * quantile(latencies, 0.5):.1f} ms from leg to leg (median), "
        f"{1e3 * quantile(latencies, 0.99):.1f} ms (p99), of {len(latencies)} packets",
    ]
    if outcome.waited > 0.1:
        lines.append(
            f"disturbed     the hub waited for a core {100 * outcome.waited:.0f} % of the time: "
            "other programs run here"
        )
    lines.extend(f"FAILED        {failure}" for failure in outcome.failures)
    return lines
