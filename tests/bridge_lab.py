"""A bridge on a free port, and pages that come in: aiohttp clients with plain aiortc connections.

async with running_bridge() as bridge, PageClient(bridge, "Ann") as ann:
    await ann.call()
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import av
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc_peer import _StillPicture, _Tone
from peers import LIMIT_S, LOCALHOST, eventually
from senses import ALICE, Picture

from ipconf.bridge.page_protocol import SUBPROTOCOL
from ipconf.bridge.server import Bridge
from ipconf.bridge.settings import BridgeSettings

Json = dict[str, Any]


@asynccontextmanager
async def running_bridge(**settings: Any) -> AsyncIterator[Bridge]:
    """A bridge on 127.0.0.1 with these settings and a free port; all is over at the end."""
    values: Json = {"host": LOCALHOST, "port": 0, "video_slots": 3, **settings}
    async with Bridge(BridgeSettings(**values)) as bridge:
        yield bridge


class PageClient:
    """A page without a browser; for `async with`, which opens the socket and says hello.

    What comes is kept: the latest of each type in `latest`, all of it in `messages`, and what the
    rosters have told, in sum, in `people`.
    """

    def __init__(
        self,
        bridge: Bridge,
        name: str = "Ann",
        room: str = "lobby",
        *,
        token: str | None = None,
        resume: str | None = None,
        greets: bool = True,
        relayed: bool = False,
    ) -> None:
        """`relayed`: media go through the TURN servers that the welcome tells, and no other way."""
        self.hello: Json = {"type": "hello", "version": 1, "room": room, "name": name}
        self.hello |= {} if token is None else {"token": token}
        self.hello |= {} if resume is None else {"resume": resume}
        self.messages: list[Json] = []
        self.latest: dict[str, Json] = {}
        self.people: dict[str, Json] = {}
        self.close_code: int | None = None
        self.pc: RTCPeerConnection | None = None
        self.seen: dict[str, list[av.VideoFrame]] = defaultdict(list)
        """The pictures that came, by the mid of their section."""
        self._bridge = bridge
        self._greets = greets
        self._relayed = relayed
        self._offers = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._http = ClientSession()
        self.socket: ClientWebSocketResponse = await self._http.ws_connect(
            f"{self._bridge.url}/ws", protocols=(SUBPROTOCOL,), max_msg_size=0
        )
        self._listener = asyncio.create_task(self._listen())
        if self._greets:
            await self.send(self.hello)
            await eventually(lambda: {"welcome", "bye"} & self.latest.keys(), "there is an answer")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.hang_up()
        await self.socket.close()
        await self._listener
        await self._http.close()

    async def hang_up(self) -> None:
        """Close the peer connection, if there is one."""
        pc, self.pc = self.pc, None
        await self._close(pc)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _close(self, pc: RTCPeerConnection | None) -> None:
        if pc is not None:
            await pc.close()

    # -- the socket

    async def send(self, message: Json | None = None, **fields: Any) -> None:
        """Send one message."""
        await self.socket.send_json({**(message or {}), **fields})

    async def ask(self, kind: str, **fields: Any) -> None:
        """Send a request of that type."""
        await self.send(type=kind, **fields)

    async def _listen(self) -> None:
        async for received in self.socket:
            if received.type is WSMsgType.TEXT:
                self._take(received.json())
        self.close_code = self.socket.close_code

    def _take(self, message: Json) -> None:
        self.messages.append(message)
        self.latest[message["type"]] = message
        if message["type"] == "roster":
            if message["since"] is None:
                self.people.clear()
            for gone in message["gone"]:
                self.people.pop(gone, None)
            self.people |= {person["id"]: person for person in message["people"]}

    async def next(self, *kinds: str) -> Json:
        """The first message of one of these types that is not taken yet."""

        def found() -> Json | None:
            return next((m for m in self.messages if m["type"] in (*kinds, "bye")), None)

        message: Json = await eventually(found, f"one of {kinds}")
        assert message["type"] in kinds, message
        self.messages.remove(message)
        return message

    async def error(self, code: str) -> Json:
        """The next error, which has that code."""
        error = await self.next("error")
        assert error["code"] == code, error
        return error

    @property
    def welcome(self) -> Json:
        """What the server said first."""
        return self.latest["welcome"]

    @property
    def you(self) -> str | None:
        """Our identity in the room, once it is known."""
        roster = self.latest.get("roster")
        return None if roster is None else roster["you"]

    def person(self, name: str) -> str | None:
        """The identity of whom the rosters call that."""
        return next((i for i, person in self.people.items() if person["name"] == name), None)

    def slot_of(self, name: str) -> str | None:
        """The mid of the slot in which somebody is seen."""
        slots = self.latest.get("slots", {"slots": []})["slots"]
        who = self.person(name)
        return next((s["mid"] for s in slots if who is not None and s["person"] == who), None)

    # -- media

    async def call(
        self,
        hz: float | None = 440,
        camera: Picture | None = ALICE,
        screen: Picture | None = None,
        slots: int = 2,
    ) -> None:
        """Offer as a page does, take the answer, and wait until it is connected."""
        before = self.pc  # to close it first would be to leave
        offer = await self.offer(hz, camera, screen, slots)
        await self.ask("offer", sdp=offer, id=self._offers)
        answer = await self.next("answer", "error")
        assert answer["type"] == "answer" and answer["id"] == self._offers, answer
        await self.accept(answer["sdp"])
        await self._close(before)

    async def offer(
        self,
        hz: float | None = 440,
        camera: Picture | None = ALICE,
        screen: Picture | None = None,
        slots: int = 2,
    ) -> str:
        """A new peer connection's offer: sound, camera, screen, and so many sections to see on."""
        self._offers += 1
        self.pc = pc = RTCPeerConnection(self._configuration())
        pc.on("track", self._track)
        pc.addTransceiver("audio" if hz is None else _Tone(hz), direction="sendrecv")
        for picture in (camera, screen):
            pc.addTransceiver(
                "video" if picture is None else _StillPicture(picture), direction="sendonly"
            )
        for _ in range(slots):
            pc.addTransceiver("video", direction="recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        return _with_slides(pc.localDescription.sdp)

    def _configuration(self) -> RTCConfiguration:
        servers = self.welcome["ice_servers"] if self._relayed else []
        policy = RTCIceTransportPolicy.RELAY if self._relayed else RTCIceTransportPolicy.ALL
        return RTCConfiguration(
            iceServers=[RTCIceServer(**server) for server in servers],
            bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            iceTransportPolicy=policy,
        )

    async def accept(self, answer: str) -> None:
        """Take an answer, and wait until media can flow."""
        pc = self.pc
        assert pc is not None
        await pc.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await eventually(lambda: pc.connectionState == "connected", "the page is connected")

    def _track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._watch(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        assert self.pc is not None
        mids = {t.receiver.track: t.mid for t in self.pc.getTransceivers()}
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.seen[mids[track]].append(frame)


def _with_slides(sdp: str) -> str:
    """Say of the second video section that it shows slides, as pages do (RFC 4796)."""
    before, *sections = sdp.split("m=")
    sections[2] += "a=content:slides\r\n"
    return "m=".join([before, *sections])


async def closed(page: PageClient) -> Json:
    """The bye of a page, once its socket is closed."""
    bye = await page.next("bye")
    await eventually(lambda: page.close_code is not None, "the socket is closed", limit_s=LIMIT_S)
    return bye
