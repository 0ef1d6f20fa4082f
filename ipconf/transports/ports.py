"""UDP ports of a loop, read together: one wake-up for whatever has come to any of them.

The loop's own datagram transports take a callback, a turn of the loop and cold caches for every
packet of every socket. Here, where there are many sockets, they are in one epoll set, which the
loop watches as one file; one datagram is taken from each that has some until none has. The loop
watches few sockets one by one: no packet of theirs waits for another.

Where there is no epoll, or the loop cannot watch files, ports are the loop's own transports.
"""

from __future__ import annotations

import asyncio
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast
from weakref import WeakValueDictionary

from .backlog import Backlog
from .watching import MAX_BATCH, Watch

Address = tuple[Any, ...]
Arrived = Callable[[bytes, Address], None]
"""Takes a datagram and where it came from, as the socket tells it (IPv6: with flow and scope)."""

MAX_DATAGRAM_BYTES = 1 << 16
"""More than a UDP datagram can hold (RFC 768)."""
FEW_PORTS = 16
"""So many are watched one by one: up to about there, a set within the loop's own costs more."""


class Port(ABC):
    """A bound UDP port that hands what arrives to `arrived`."""

    def __init__(self, arrived: Arrived, address: tuple[str, int]) -> None:
        self.arrived = arrived
        self.address = address
        """Our IP address and port."""
        self.unsent: Callable[[bytes], None] = _forget
        """Told of each datagram that `sendto` took and that was not sent after all."""
        self.backlog: Backlog | None = None
        """Where some of what arrives waits, for a moment."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the socket is closed."""

    @abstractmethod
    def sendto(self, data: bytes, address: Address) -> bool:
        """Send a datagram now, or not at all: whether it was sent. Never raises."""

    @abstractmethod
    def close(self) -> None:
        """Hand over nothing from now on and release the socket; harmless when repeated."""

    def settle(self, address: Address) -> bool:
        """What comes from this address is for us from now on: False if it is somebody else's."""
        return True


def _forget(datagram: bytes) -> None:
    """Nobody wants to know."""


async def open_port(sock: socket.socket, arrived: Arrived) -> Port:
    """Read a bound, non-blocking socket on the running loop; the port owns it from here."""
    if hasattr(select, "epoll"):
        with suppress(NotImplementedError):  # of a loop that watches no files
            return _WatchedPort(sock, arrived)
    return await _LoopPort.of(sock, arrived)


def hand_over(
    port: Port, data: bytes, address: Address, loop: asyncio.AbstractEventLoop, now: float
) -> None:
    """Let a datagram wait, or arrive; what is raised is told to the loop, as it would do itself."""
    try:
        backlog = port.backlog
        if backlog is None or not backlog.keep(data, address, now):
            port.arrived(data, address)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as exc:
        loop.call_exception_handler({"message": f"{port.arrived} failed", "exception": exc})


class _WatchedPort(Port):
    """A port whose socket the loop watches, or the set that it is in."""

    def __init__(self, sock: socket.socket, arrived: Arrived) -> None:
        super().__init__(arrived, sock.getsockname()[:2])
        self.receive = sock.recvfrom
        self.number = sock.fileno()
        self._socket = sock
        self._send = sock.sendto
        self._reader = _reader_of(asyncio.get_running_loop())
        self._reader.add(self)

    def sendto(self, data: bytes, address: Address) -> bool:
        try:
            self._send(data, address)
        except (OSError, OverflowError):  # no room, no route, too long, closed, no such port
            return False
        return True

    def close(self) -> None:
        if not self.gone.done():
            self._reader.remove(self)
            self._socket.close()
            self.gone.set_result(None)


_readers: WeakValueDictionary[asyncio.AbstractEventLoop, _Reader] = WeakValueDictionary()
"""Of each loop that has ports: they hold it, and the loop does, as long as it is not closed."""


def _reader_of(loop: asyncio.AbstractEventLoop) -> _Reader:
    reader = _readers.get(loop)
    if reader is None:
        reader = _readers[loop] = _Reader(loop)
    return reader


class _Reader:
    """Reads all ports of one loop: a few one by one, many together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ports: dict[int, _WatchedPort] = {}
        self._epoll: select.epoll | None = None
        """The set that many are in, and what watches it."""
        self._watch: Watch | None = None

    def add(self, port: _WatchedPort) -> None:
        """Read this port from now on; NotImplementedError if the loop watches no files."""
        if self._epoll is not None:
            self._epoll.register(port.number, select.EPOLLIN)
        elif len(self._ports) < FEW_PORTS:
            self._loop.add_reader(port.number, self._take, port)
        else:
            self._gather(port)
        self._ports[port.number] = port

    def remove(self, port: _WatchedPort) -> None:
        """Read it no more, also if something has arrived already."""
        del self._ports[port.number]
        if self._epoll is None:
            self._loop.remove_reader(port.number)
        elif len(self._ports) > FEW_PORTS:
            self._epoll.unregister(port.number)
        else:
            self._scatter()

    def _gather(self, newcomer: _WatchedPort) -> None:
        self._epoll = select.epoll()
        self._epoll.register(newcomer.number, select.EPOLLIN)
        for number in self._ports:
            self._loop.remove_reader(number)
            self._epoll.register(number, select.EPOLLIN)
        self._watch = Watch(self._loop, self._epoll.fileno(), self._read)

    def _scatter(self) -> None:
        assert self._epoll is not None and self._watch is not None
        self._watch.close()
        self._epoll.close()
        self._epoll = self._watch = None
        if not self._loop.is_closed():
            for number, port in self._ports.items():
                self._loop.add_reader(number, self._take, port)

    def _read(self) -> int:
        """Take what has arrived, from each port in turn: how many, about `MAX_BATCH` at most."""
        count = 0
        while self._epoll is not None and count < MAX_BATCH:
            ready = self._epoll.poll(0, MAX_BATCH)
            if not ready:
                break
            count += len(ready)
            now = self._loop.time()
            for number, _ in ready:
                port = self._ports.get(number)
                if port is not None:  # else closed by what another has received
                    self._take(port, now)
        return count

    def _take(self, port: _WatchedPort, now: float | None = None) -> None:
        try:
            data, address = port.receive(MAX_DATAGRAM_BYTES)
        except OSError:  # nothing there after all, or what became of something sent
            return
        hand_over(port, data, address, self._loop, self._loop.time() if now is None else now)


class LossyPort:
    """A port, or aioice's relayed transport, that loses on purpose what is sent through it."""

    def __init__(self, port: Any, lost: Callable[[], bool]) -> None:
        self._port = port
        self._lost = lost

    def sendto(self, data: bytes, address: Address) -> Any:
        return self._lost() or self._port.sendto(data, address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


class _LoopPort(Port, asyncio.DatagramProtocol):
    """A port that is one of the loop's own datagram transports."""

    _transport: asyncio.DatagramTransport

    @classmethod
    async def of(cls, sock: socket.socket, arrived: Arrived) -> _LoopPort:
        """Hand the socket to the loop."""
        loop = asyncio.get_running_loop()
        address = sock.getsockname()[:2]
        _, port = await loop.create_datagram_endpoint(lambda: cls(arrived, address), sock=sock)
        return port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not self._transport.is_closing():
            self.arrived(data, addr)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def sendto(self, data: bytes, address: Address) -> bool:
        if self._transport.is_closing() or not 0 < address[1] < 1 << 16:
            return False  # an impossible port would close the socket
        self._transport.sendto(data, address)
        return True

    def close(self) -> None:
        self._transport.close()
