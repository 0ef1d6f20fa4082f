"""A guest of a gateway who is not ours: a plain aiortc peer that calls over the socket TSP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPacket,
    RtcpSdesPacket,
    RtpPacket,
)
from aiortc_peer import AiortcPeer
from peers import LIMIT_S, LOCALHOST, eventually

from ipconf.tsp_data import Description, Disconnect, TspMessage, parse_tsp_message

CNAME, NAME = 1, 2
MAX_LINE_BYTES = 1_000_000


class Guest(AiortcPeer):
    """Says a name of its own, and reads in RTCP who the others are."""

    name = ""
    """What it says in SDES."""

    async def call(self, port: int) -> None:
        """Call a gateway that listens there, and wait until media can flow."""
        answer = await self.ask(port)
        assert isinstance(answer, Description), answer
        await self._accept(answer)
        await eventually(lambda: self.pc.connectionState == "connected", "it is connected")

    async def ask(self, port: int) -> TspMessage:
        """Make an offer; what the gateway says to it."""
        self.names: dict[int, dict[int, str]] = {}
        """SDES items by SSRC or CSRC, of all that was told of."""
        self.gone: dict[int, str] = {}
        """Who has said goodbye."""
        self.contributors: set[int] = set()
        """CSRCs of sound."""
        self.reader, self.writer = await asyncio.open_connection(
            LOCALHOST, port, limit=MAX_LINE_BYTES
        )
        await self.pc.setLocalDescription(await self.pc.createOffer())
        self._look()
        offer = Description(type="offer", sdp=self.pc.localDescription.sdp)
        self.writer.write(offer.model_dump_json().encode() + b"\n")
        return await self.is_told()

    async def is_told(self) -> TspMessage:
        """The next message of the gateway."""
        async with asyncio.timeout(LIMIT_S):
            return parse_tsp_message(await self.reader.readline())

    async def is_dismissed(self) -> str:
        """The reason with which the gateway ends the call."""
        while not isinstance(message := await self.is_told(), Disconnect):
            pass
        return message.reason

    async def close(self) -> None:
        """Hang up, also the signalling."""
        await super().close()
        if hasattr(self, "writer"):
            self.writer.close()

    def ssrc_of(self, name: str) -> int | None:
        """Under which SSRC or CSRC somebody of that name is known."""
        return next((s for s, items in self.names.items() if items.get(NAME) == name), None)

    async def reads(self, *names: str) -> None:
        """Wait until all of these were told of."""
        await eventually(
            lambda: all(self.ssrc_of(name) for name in names), str(self.names), limit_s=20.0
        )

    def _look(self) -> None:
        """Look at what comes before aiortc does, and say more than it does."""
        transport = self.transceiver("audio").sender.transport
        stock_rtcp, stock_rtp = transport._handle_rtcp_data, transport._handle_rtp_data

        async def rtcp(data: bytes) -> None:
            for packet in RtcpPacket.parse(data):
                if isinstance(packet, RtcpSdesPacket):
                    for chunk in packet.chunks:
                        items = self.names.setdefault(chunk.ssrc, {})
                        items |= {kind: text.decode() for kind, text in chunk.items}
                elif isinstance(packet, RtcpByePacket):
                    self.gone |= dict.fromkeys(packet.sources, "")
            await stock_rtcp(data)

        async def rtp(data: bytes, arrival_time_ms: int) -> None:
            self.contributors |= set(RtpPacket.parse(data).csrc)
            await stock_rtp(data, arrival_time_ms)

        transport._handle_rtcp_data, transport._handle_rtp_data = rtcp, rtp
        for sender in self.pc.getSenders():
            sender._send_rtcp = self._named(sender._send_rtcp)

    def _named(self, stock: Callable[..., object]) -> Callable[..., object]:
        def send(packets: Sequence[AnyRtcpPacket]) -> object:
            for packet in packets:
                if isinstance(packet, RtcpSdesPacket) and self.name:
                    for chunk in packet.chunks:
                        chunk.items.append((NAME, self.name.encode()))
            return stock(packets)

        return send
