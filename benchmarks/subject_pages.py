"""Pages without a browser: a WebSocket and a leg of sound each, which cost little.

`python -m benchmarks.subject_pages [--uvloop]`; see `children`.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from ipconf import CallSettings
from ipconf.load.legs import Leg

from .children import Commands, serve

HELLO = {"type": "hello", "version": 1}
SUBPROTOCOL = "ipconf.1"


class Page:
    """One of them."""

    def __init__(self, number: int, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._leg = Leg(number, CallSettings(ice_addresses=["127.0.0.1"], audio_codecs="opus"))
        self._reading: asyncio.Task[None] | None = None
        self.heard = 0
        """Messages that came."""

    async def join(self, room: str, name: str) -> None:
        """Come in, and connect."""
        await self._socket.send_json({**HELLO, "room": room, "name": name})
        await self._hear("welcome")
        sdp = await self._leg.offer()
        await self._socket.send_json({"type": "offer", "sdp": sdp, "id": 1})
        self._leg.accept((await self._hear("answer"))["sdp"])
        assert self._leg.connecting is not None
        await self._leg.connecting
        self._leg.only_count()
        self._reading = asyncio.create_task(self._read())

    async def _hear(self, kind: str) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(await self._socket.receive_str())
            if message["type"] in ("error", "bye"):
                raise RuntimeError(message)
            if message["type"] == kind:
                return message

    async def _read(self) -> None:
        async for message in self._socket:
            self.heard += message.type is WSMsgType.TEXT

    async def vanish(self) -> None:
        """Lose the socket, without a word; the call goes on."""
        transport = self._socket.get_extra_info("socket")
        assert transport is not None
        if self._reading is not None:
            self._reading.cancel()
        connection = self._socket._conn  # type: ignore[attr-defined]
        connection.transport.abort()

    async def close(self) -> None:
        """Go."""
        if self._reading is not None:
            self._reading.cancel()
        await self._leg.close()


class Pages:
    """Many of them."""

    def __init__(self) -> None:
        self._session = ClientSession(connector=TCPConnector(limit=0))  # else at most 100
        self._pages: list[Page] = []
        self.commands: Commands = {
            "join": self.join,
            "heard": self.heard,
            "vanish": self.vanish,
            "close": self.close,
        }

    async def join(
        self, url: str, room: str, count: int, per_s: float, room_size: int
    ) -> list[float]:
        """Let so many come in, so many a second and into each room; how long each took, in s."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        joins = []
        for number in range(count):
            await asyncio.sleep(began_at + number / per_s - loop.time())
            name = f"{room}-{number // room_size}"
            joins.append(asyncio.create_task(self._join(url, name, len(self._pages) + number)))
        return await asyncio.gather(*joins)

    async def _join(self, url: str, room: str, number: int) -> float:
        began_at = time.monotonic()
        socket = await self._session.ws_connect(f"{url}/ws", protocols=(SUBPROTOCOL,))
        page = Page(number, socket)
        self._pages.append(page)
        await page.join(room, f"Page {number}")
        return time.monotonic() - began_at

    async def heard(self) -> int:
        """Messages that came to all of them."""
        return sum(page.heard for page in self._pages)

    async def vanish(self) -> None:
        """Let all sockets be lost; the calls go on."""
        for page in self._pages:
            await page.vanish()

    async def close(self) -> None:
        """End them all."""
        for page in self._pages:
            await page.close()
        await self._session.close()


if __name__ == "__main__":
    serve(lambda: Pages().commands)
