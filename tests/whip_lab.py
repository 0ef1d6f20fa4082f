"""A bridge with rooms, and clients of WHIP and WHEP that are plain aiortc peers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import aiohttp
import aioice.ice
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc_peer import AiortcPeer, _StillPicture, _Tone
from peers import LIMIT_S, LOCALHOST, eventually
from senses import Picture

from ipconf.bridge.server import Bridge
from ipconf.bridge.settings import BridgeSettings
from ipconf.hub.people import Attendee

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


def loopback_only() -> Any:
    """aiortc on its own never offers the loopback address; for `with`."""
    return patch.object(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [LOCALHOST])


class Site:
    """A bridge, and somebody who speaks HTTP with it."""

    def __init__(self, bridge: Bridge, http: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.http = http

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{LOCALHOST}:{self.bridge.port}"

    async def ask(
        self, method: str, path: str, body: str | bytes | None = None, **headers: str
    ) -> Answer:
        """A request, with `_` for `-` in the names of headers; `type` is the body's type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if "type" in named:
            named["Content-Type"] = named.pop("type")
        skipped = [] if "Content-Type" in named else ["Content-Type"]
        async with self.http.request(
            method, self.url + path, data=body, headers=named, skip_auto_headers=skipped
        ) as response:
            return Answer(response.status, response.headers, await response.text())

    async def publish(self, offer: str, room: str = "lobby", **headers: str) -> Answer:
        """POST an offer to the room's WHIP endpoint."""
        return await self.ask("POST", f"/whip/{room}", offer, type=SDP, **headers)

    def people(self, room: str = "lobby") -> dict[str, Attendee]:
        """Who is in the room's conference, by name."""
        there = self.bridge.rooms.rooms.get(room)
        return {} if there is None else {p.name: p for p in there.conference.attendees}

    async def holds(self, *names: str, room: str = "lobby") -> None:
        """Return when just these are in the room, as guests and as people."""

        def right() -> bool:
            there = self.bridge.rooms.rooms.get(room)
            guests = [] if there is None else [guest.name for guest in there.guests]
            return sorted(guests) == sorted(names) and sorted(self.people(room)) == sorted(names)

        try:
            await eventually(right)
        except AssertionError:
            raise AssertionError(f"{sorted(self.people(room))} instead of {names}") from None


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Any, text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text

    def __repr__(self) -> str:
        return f"{self.status} {self.text}"

    def header(self, name: str) -> str:
        """That header; "" without."""
        return str(self.headers.get(name, ""))


@asynccontextmanager
async def site(**settings: Any) -> AsyncIterator[Site]:
    """A bridge on a free port of this machine."""
    changed = BridgeSettings(**{"port": 0, "empty_room_s": 0.1, **settings})
    async with Bridge(changed) as bridge, aiohttp.ClientSession() as http:
        yield Site(bridge, http)


class HttpPeer(AiortcPeer):
    """A plain `RTCPeerConnection` that offers by POST; for `async with`."""

    def __init__(self, site: Site, path: str) -> None:
        super().__init__()
        bundled = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.pc = RTCPeerConnection(bundled)
        self.pc.on("track", self._track)
        self.site = site
        self.path = path
        self.session = ""
        """The path of the session."""
        self.etag = ""

    async def join(self, *, trickles: bool = False, **headers: str) -> Self:
        """Offer, and wait for the connection; with `trickles` the candidates come later."""
        with loopback_only():
            await self.pc.setLocalDescription(await self.pc.createOffer())
        lines = self.pc.localDescription.sdp.splitlines(keepends=True)
        late = [line for line in lines if "candidate" in line] if trickles else []
        offer = "".join(line for line in lines if line not in late)
        answer = await self.site.ask("POST", self.path, offer, type=SDP, **headers)
        assert answer.status == 201, answer
        self.session, self.etag = answer.header("Location"), answer.header("ETag")
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        if trickles:
            ice = [line for line in lines if line.startswith(("a=ice-ufrag", "a=ice-pwd"))][:2]
            fragment = "".join(
                [*ice, "m=audio 9 RTP/AVP 0\r\n", "a=mid:0\r\n", *dict.fromkeys(late)]
            )
            told = await self.trickle(fragment)
            assert (told.status, told.text) == (204, ""), told
        await eventually(lambda: self.pc.connectionState == "connected")
        return self

    async def trickle(self, fragment: str) -> Answer:
        """PATCH the session."""
        headers = {"type": FRAGMENT, "If_Match": self.etag}
        return await self.site.ask("PATCH", self.session, fragment, **headers)

    async def end(self) -> None:
        """DELETE the session."""
        answer = await self.site.ask("DELETE", self.session)
        assert answer.status == 200, answer


class Publisher(HttpPeer):
    """Sends these over WHIP."""

    def __init__(
        self, site: Site, name: str, hz: float | None, picture: Picture | None, room: str = "lobby"
    ) -> None:
        super().__init__(site, f"/whip/{room}?name={name}")
        if hz is not None:
            self.pc.addTransceiver(_Tone(hz), direction="sendonly")
        if picture is not None:
            self.pc.addTransceiver(_StillPicture(picture), direction="sendonly")


class Player(HttpPeer):
    """Hears, and sees so many, over WHEP."""

    def __init__(
        self, site: Site, name: str = "Player", slots: int = 1, room: str = "lobby"
    ) -> None:
        super().__init__(site, f"/whep/{room}?name={name}")
        self.pc.addTransceiver("audio", direction="recvonly")
        for _ in range(slots):
            self.pc.addTransceiver("video", direction="recvonly")


def lines_of(sdp: str, *starts: str) -> Iterator[str]:
    """The lines of a description that begin like that."""
    return (line for line in sdp.splitlines() if line.startswith(starts))


class Program:
    """A client in a process of its own, which ends when its input is closed; for `async with`."""

    def __init__(self, interpreter: str, script: str, *arguments: str) -> None:
        path = str(Path(__file__).with_name(script))
        self._command = [interpreter, path, *arguments]
        self.lines: list[str] = []
        """What it has said."""
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        pipe, threads = asyncio.subprocess.PIPE, set(threading.enumerate())
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        # Those in which asyncio may wait for the process; they end a moment after it.
        self._threads = [
            t for t in threading.enumerate() if t not in threads and "waitpid" in t.name
        ]
        self._reader = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode())

    async def __aexit__(self, *exc: object) -> None:
        await self.end()

    async def end(self) -> int:
        """Let it leave; returns its exit code."""
        assert self.process.stdin is not None and self._reader is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(LIMIT_S):
                code = await self.process.wait()
        except TimeoutError:
            self.kill()
            raise AssertionError(f"it does not end: {self.lines}") from None
        await self._reader
        await eventually(lambda: not any(thread.is_alive() for thread in self._threads))
        return code

    def kill(self) -> None:
        """End it without a word, as a crash does."""
        if self.process.returncode is None:
            self.process.kill()
