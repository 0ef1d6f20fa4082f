"""Those that are compared as hubs, made alike; and a load carried by any of them.

    callers' process (`ipconf.load.callers`) ── the same payloads ──> ours, Janus, or aiortc's

The CPU is that of the hub's process alone, all of its threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol, Self

from ipconf.load import processes
from ipconf.load.run import AT_ONCE, SETTLING_S, Task
from ipconf.load.verdict import find_failures

from .children import Child

OURS, JANUS, AIORTC, BARE = "ours", "Janus", "plain aiortc", "a bare loop"
COMPARED = "Our hub beside others"
"""The table of what was measured of all of them."""
FASTER_LOOP = ["--uvloop"] if find_spec("uvloop") else []


class Hub(Protocol):
    """What carries legs; `async with` starts and ends its process."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...

    async def answer(self, offers: Sequence[str]) -> list[str]:
        """Let a leg join with each of these offers; the answers to them."""

    async def connected(self) -> None:
        """Return once all legs are."""

    async def measure(self, seconds: float) -> dict[str, Any]:
        """CPU seconds ("cpu") in that time, "seconds" that passed, ticks "skipped"."""


MakeHub = Callable[[], AbstractAsyncContextManager[Hub]]


class ChildHub:
    """A hub that is a child of ours."""

    def __init__(self, child: processes.Child) -> None:
        self._child = child

    async def __aenter__(self) -> Self:
        await self._child.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._child.__aexit__(*exc)

    async def answer(self, offers: Sequence[str]) -> list[str]:
        """As in `Hub`."""
        return list(await self._child.ask("answer", offers=list(offers)))

    async def connected(self) -> None:
        """As in `Hub`."""
        await self._child.ask("connected")

    async def measure(self, seconds: float) -> dict[str, Any]:
        """As in `Hub`."""
        return dict(await self._child.ask("measure", seconds=seconds))


class AiortcHub(ChildHub):
    """The bridge on plain aiortc."""

    def __init__(self) -> None:
        super().__init__(Child("subject_bridge", *FASTER_LOOP))


class BareHub(ChildHub):
    """The least that a hub does."""

    def __init__(self) -> None:
        super().__init__(Child("subject_bare", *FASTER_LOOP))


class OwnHub(ChildHub):
    """A conference of ours for calls with these settings; `spreads` gives listeners own mixes."""

    def __init__(self, settings: dict[str, Any], legs: int, spreads: bool = False) -> None:
        super().__init__(Child("subject_conference", *FASTER_LOOP))
        self._settings, self._legs, self._spreads = settings, legs, spreads

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self._child.ask("open", settings=self._settings, legs=self._legs)
        return self

    async def connected(self) -> None:
        """As in `Hub`."""
        await super().connected()
        if self._spreads:
            await self._child.ask("spread")


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a load."""

    cpu: float
    """Share of a core, or of several, that the hub's process took."""
    failures: tuple[str, ...]
    """What went wrong, in words."""


def callers_of(module: str = "ipconf.load.callers") -> processes.Child:
    """The process of the far ends."""
    return processes.Child(module, *FASTER_LOOP)


async def connect(hub: Hub, callers: processes.Child, legs: int, settings: dict[str, Any]) -> None:
    """Connect so many legs of the callers to the hub."""
    for first in range(0, legs, AT_ONCE):
        count = min(AT_ONCE, legs - first)
        offers = await callers.ask("offer", count=count, settings=settings)
        await callers.ask("accept", answers=await hub.answer(offers))
    await hub.connected()


async def carry(hub: AbstractAsyncContextManager[Hub], task: Task) -> Carried:
    """Put the load on that hub."""
    async with hub as there, callers_of() as callers:
        await connect(there, callers, task.legs, task.settings)
        await callers.ask("play", talkers=task.talkers, loss_percent=0.0)
        await asyncio.sleep(SETTLING_S)
        used, came = await asyncio.gather(
            there.measure(task.duration_s), callers.ask("measure", seconds=task.duration_s)
        )
        heard = await callers.ask("listen")
    failures = find_failures(used, came, heard, loses=False)
    return Carried(used["cpu"] / used["seconds"], tuple(failures))
