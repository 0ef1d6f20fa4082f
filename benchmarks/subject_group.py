"""A process to measure: one member of a multicast group.

`python -m benchmarks.subject_group`; see `children`.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from typing import Any

import av
import numpy as np

from ipconf.call import Call
from ipconf.events import NewParticipant
from ipconf.load.sounds import levels
from ipconf.model import CallSettings, Direction, MediaType
from ipconf.msp import MediaServiceProvider
from ipconf.sdp import parse_description
from ipconf.terminals.base import RenderTerminal, Samples

from .children import Commands, serve
from .gauges import cpu_share, resident_bytes

SETTINGS = CallSettings(
    multicast_interface="127.0.0.1", multicast_ttl=0, max_people=20_000, max_packets_per_s=20_000
)
"""Everything stays on this machine."""
KEPT_BLOCKS = 75
KNOWN_S = 30.0


class Ear(RenderTerminal):
    """Keeps the latest sound."""

    def __init__(self) -> None:
        super().__init__("ear", MediaType.AUDIO, Direction.RENDER)
        self.latest: deque[Samples] = deque(maxlen=KEPT_BLOCKS)

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        assert isinstance(media, np.ndarray)
        self.latest.append(media)


class GroupMember:
    """The call, once it has joined."""

    def __init__(self) -> None:
        self._provider = MediaServiceProvider(settings=SETTINGS)
        self._call: Call
        self._ear = Ear()
        self._news = 0
        self._reading: asyncio.Task[None]
        self.commands: Commands = {
            "join": self.join,
            "known": self.known,
            "resident": self.resident,
            "measure": self.measure,
            "close": self.close,
        }

    async def join(self, sdp: str) -> None:
        """Be in the group, and listen."""
        await self._provider.__aenter__()
        self._call = self._provider.create_call(description=parse_description(sdp))
        self._call.stream(MediaType.AUDIO, Direction.RENDER).select_terminal(self._ear)
        self._reading = asyncio.create_task(self._read())
        await self._call.join()

    async def _read(self) -> None:
        async for _ in self._call.events(NewParticipant):
            self._news += 1

    async def known(self, count: int) -> None:
        """Return once so many others are known, each by name, and the application was told.

        TimeoutError if that takes more than `KNOWN_S`.
        """
        async with asyncio.timeout(KNOWN_S):
            while self._news < count:  # noqa: ASYNC110 - others are to be read to the end
                await asyncio.sleep(0.05)
        people = self._call.participants
        assert len(people) == count and all(p.name != p.identity for p in people)

    async def resident(self) -> int:
        """Bytes of this process in RAM."""
        gc.collect()
        return resident_bytes()

    async def measure(self, seconds: float, talkers: int) -> dict[str, Any]:
        """CPU seconds, seconds that passed, and how loud each of the talkers is at the end."""
        cpu, passed = await cpu_share(seconds)
        heard = levels(list(self._ear.latest), talkers) if talkers else {}
        return {"cpu": cpu, "seconds": passed, "levels": list(heard.values())}

    async def close(self) -> None:
        """Leave."""
        self._reading.cancel()
        await self._provider.close()


if __name__ == "__main__":
    serve(lambda: GroupMember().commands)
