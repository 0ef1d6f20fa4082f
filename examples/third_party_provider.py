"""A media service provider of one's own: calls over TCP, a loudness meter and a hold button.

It derives from `MediaServiceProvider` and says what carries its calls (`make_transport`), what they
can be asked for besides (`private_interfaces`) and which terminals it brings. Each datagram goes
over TCP after its length in two bytes (RFC 4571), as where a firewall lets no UDP through.
"""

import asyncio
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiortc.sdp import MediaDescription

from ipconf import (
    Call,
    CallSettings,
    Direction,
    GoneReason,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    MediaType,
    RenderTerminal,
    TerminalClass,
    TerminalEvent,
)
from ipconf.errors import ConnectTimeoutError, TransportError
from ipconf.events import StreamActive, StreamInactive
from ipconf.transports.base import PlainLine, SignalledTransport, TransportState

HOST = "127.0.0.1"
NO_PORT = 9
"""Whoever calls has no port to tell (RFC 4145 section 4.1)."""
MAX_BACKLOG_BYTES = 20_000
"""When more than that waits to be sent, it is too old to be heard."""


class TcpTransport(SignalledTransport):
    """One TCP connection for RTP and RTCP: who offers waits for it, who answers makes it."""

    def __init__(self, connect_limit_s: float) -> None:
        super().__init__()
        self._connect_limit_s = connect_limit_s
        self._port = NO_PORT
        self._server: asyncio.Server | None = None
        self._called: asyncio.Future[asyncio.StreamReader] = asyncio.Future()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, *, offering: bool = True) -> None:
        if offering:
            self._server = await asyncio.start_server(self._take_call, HOST, 0)
            self._port = self._server.sockets[0].getsockname()[1]

    def describe(self, role: str) -> PlainLine:
        return PlainLine(HOST, self._port, self._port)

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        try:
            async with asyncio.timeout(self._connect_limit_s):
                if offered:
                    reader = await self._called
                else:
                    reader, self._writer = await asyncio.open_connection(remote.host, remote.port)
        except TimeoutError:
            raise ConnectTimeoutError("the far end did not connect; is TCP let through?") from None
        except OSError as exc:
            raise TransportError(f"no TCP connection to port {remote.port}: {exc}") from exc
        self.state = TransportState.CONNECTED
        self._reading = asyncio.create_task(self._read(reader))

    def _take_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._called.done():
            writer.close()  # the line is busy
        else:
            self._writer = writer
            self._called.set_result(reader)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                datagram = await reader.readexactly(size)
                self.counters.received += 1
                self.counters.received_bytes += size
                self.sink(datagram, loop.time())
        self.state = TransportState.CLOSED
        self.closed(GoneReason.BYE)

    def send(self, datagram: bytes) -> None:
        writer = self._writer
        if writer is None or writer.transport.get_write_buffer_size() > MAX_BACKLOG_BYTES:
            self.counters.unsent += 1
            return
        self.counters.sent += 1
        self.counters.sent_bytes += len(datagram)
        writer.write(len(datagram).to_bytes(2, "big") + datagram)

    async def close(self) -> None:
        self.state = TransportState.CLOSED
        self._called.cancel()
        if self._server is not None:
            self._server.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._writer is not None:
            self._writer.close()  # once all is sent, a BYE for example
            with suppress(OSError):
                await self._writer.wait_closed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness(TerminalEvent):
    """How loud the last half second was, in dBov."""

    dbov: int


class LoudnessMeter(RenderTerminal):
    """Tells twice a second how loud it is."""

    terminal_class = "loudness meter"

    def __init__(self, media_type: MediaType, direction: Direction) -> None:
        super().__init__("loudness meter", media_type, direction)
        self._blocks: list[np.ndarray] = []

    def write(self, media: Any, at: float) -> None:
        self._blocks.append(media)
        if len(self._blocks) == 25:
            power = np.square(np.concatenate(self._blocks) / 32768).mean()
            self._blocks.clear()
            self.post(Loudness, dbov=round(10 * math.log10(max(power, 1e-12))))


LOUDNESS_METER = TerminalClass(
    name=LoudnessMeter.terminal_class,
    media_types=frozenset({MediaType.AUDIO}),
    directions=frozenset({Direction.RENDER}),
    make=LoudnessMeter,
)


class Hold:
    """The hold button of a call; `call.query(Hold)` finds it."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def set(self, on: bool) -> None:
        """Send nothing while it is on; press it in turn."""
        for stream in self._call.streams:
            if stream.direction is Direction.CAPTURE and stream.terminals:
                stream.pause() if on else stream.start()


class TcpProvider(MediaServiceProvider):
    """Makes calls over TCP, with a hold button, and has a loudness meter."""

    def __init__(self, name: str) -> None:
        super().__init__(Identity(name=name), CallSettings(transport="rtp"))
        self.terminals.register(LOUDNESS_METER)

    def make_transport(self, settings: CallSettings) -> TcpTransport:
        return TcpTransport(settings.connect_timeout_s)

    def private_interfaces(self, call: Call) -> Iterable[object]:
        return [Hold(call)]


async def main() -> None:
    """Send a tone from one provider to the other, and put it on hold."""
    audio = MediaType.AUDIO
    alice, bob = TcpProvider("Alice"), TcpProvider("Bob")
    async with alice, bob, LoopbackTsp(alice, bob) as tsp:
        hers, his = tsp.pair({audio})
        hers.select_terminal(hers.request_terminal("tone", audio, Direction.CAPTURE))
        his.select_terminal(his.request_terminal("loudness meter", audio, Direction.RENDER))
        flow, measured = hers.events(StreamActive, StreamInactive), his.events(Loudness)
        await tsp.connect(pair=(hers, his))
        async for loudness in measured:
            if loudness.dbov == -20:
                break
        print(f"Bob's {loudness.terminal.name}: {loudness.dbov} dBov")
        for on_hold in (True, False):
            hers.query(Hold).set(on_hold)
        for _ in range(3):
            event = await anext(flow)
            print(f"Alice's {event.stream.name}: {type(event).__name__}")


if __name__ == "__main__":
    asyncio.run(main())
