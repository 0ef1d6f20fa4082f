"""A process to measure: a bridge with rooms for browsers.

`python -m benchmarks.subject_web [--uvloop]`; see `children`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ipconf import ToneTerminal
from ipconf.bridge.server import Bridge
from ipconf.bridge.settings import BridgeSettings
from ipconf.model import CallState

from .children import Commands, serve

MANY = 100_000
"""So many joins a minute are not what is measured."""
SEAT_S = 600.0
CONNECTED_S = 20.0


class Web:
    """The bridge, once it is open."""

    def __init__(self) -> None:
        self._bridge: Bridge
        self.commands: Commands = {
            "open": self.open,
            "talk": self.talk,
            "connected": self.connected,
            "measure": self.measure,
            "close": self.close,
        }

    async def open(self) -> str:
        """Listen; returns the address."""
        self._bridge = await Bridge(
            BridgeSettings(
                port=0, joins_per_minute_per_address=MANY, max_sessions_per_address=MANY,
                max_guests_per_room=1_000, resume_s=SEAT_S,
            )
        ).__aenter__()  # fmt: skip
        return self._bridge.url

    async def talk(self, room: str) -> None:
        """Let a tone be heard in a room where somebody is."""
        conference = self._bridge.rooms.rooms[room].conference
        conference.add_local("Tone", ToneTerminal(440))

    async def connected(self, room: str, count: int) -> None:
        """Return once so many guests of the rooms that begin so can hear and be heard.

        TimeoutError if that takes more than `CONNECTED_S`.
        """
        async with asyncio.timeout(CONNECTED_S):
            while True:
                rooms = self._bridge.rooms.rooms
                guests = [g for name in rooms if name.startswith(room) for g in rooms[name].guests]
                if sum(guest.call.state is CallState.CONNECTED for guest in guests) >= count:
                    return
                await asyncio.sleep(0.05)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """CPU seconds of this process, and seconds that passed."""
        wall, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        return {"cpu": time.process_time() - cpu, "seconds": time.monotonic() - wall}

    async def close(self) -> None:
        """Stop, telling the guests."""
        await self._bridge.__aexit__(None, None, None)


if __name__ == "__main__":
    serve(lambda: Web().commands)
