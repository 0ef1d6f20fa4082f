"""Plain RTP over unicast UDP, without ICE or encryption (RFC 3550 section 11).

RTP takes an even port and RTCP the next one, or both share one port (RFC 5761). Anybody who knows
the ports can send to them: use it where the network is trusted, or for peers that know no better.
"""

import asyncio
import socket
from typing import Any

from aiortc.sdp import MediaDescription

from ..engine.rtp_wire import is_rtcp
from ..errors import InvalidStateError, NegotiationError, TransportError
from .base import SignalledTransport, TransportState
from .description import PlainLine

Address = tuple[str, int]

RECEIVE_BUFFER_BYTES = 1 << 20
"""Room in the kernel for a burst of video while the loop is busy."""
PORT_ATTEMPTS = 64
"""Pairs of ports to try before giving up."""


class UdpTransport(SignalledTransport):
    """A pair of UDP ports on `host`, or with `mux` one port for both, towards one far end."""

    def __init__(
        self, host: str, port_range: tuple[int, int] | None = None, *, mux: bool = False
    ) -> None:
        super().__init__()
        self.host = host
        self.mux = mux
        self.local: Address | None = None
        self.local_rtcp: Address | None = None
        self._port_range = port_range
        self._remote: Address | None = None
        self._remote_rtcp: Address | None = None
        self._rtp: asyncio.DatagramTransport | None = None
        self._rtcp: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        rtp, rtcp = _bind_ports(self.host, self._port_range, self.mux)
        self._rtp = await self._endpoint(rtp)
        self._rtcp = self._rtp if rtcp is None else await self._endpoint(rtcp)
        self.local = rtp.getsockname()[:2]
        self.local_rtcp = self.local if rtcp is None else rtcp.getsockname()[:2]
        self.state = TransportState.CONNECTING

    def describe(self, role: str) -> PlainLine:
        if self.local is None or self.local_rtcp is None:
            raise InvalidStateError("the transport has no ports yet; open() it first")
        return PlainLine(self.host, self.local[1], self.local_rtcp[1])

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        if not remote.host:
            raise NegotiationError("the far end's description has no address (c=)")
        mux = remote.rtcp_mux and self.mux
        rtcp_port = remote.port if mux else remote.rtcp_port or remote.port + 1
        self.connect_to((remote.host, remote.port), (remote.rtcp_host or remote.host, rtcp_port))

    def connect_to(self, remote: Address, remote_rtcp: Address) -> None:
        """Send RTP to `remote` and RTCP to `remote_rtcp` (the same when they share a port)."""
        self._remote, self._remote_rtcp = remote, remote_rtcp
        self.state = TransportState.CONNECTED

    async def _endpoint(self, sock: socket.socket) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(self), sock=sock)
        return transport

    def send(self, datagram: bytes) -> None:
        if is_rtcp(datagram):
            transport, address = self._rtcp, self._remote_rtcp
        else:
            transport, address = self._rtp, self._remote
        if transport is None or address is None or transport.is_closing():
            self.counters.unsent += 1
            return
        self.counters.sent += 1
        self.counters.sent_bytes += len(datagram)
        if not self._lost():
            transport.sendto(datagram, address)

    def _arrived(self, datagram: bytes, address: Address) -> None:
        if self.loss is not None and self._lost():
            return
        if not datagram:
            self.counters.empty += 1
            return
        if len(datagram) < 2 or not 127 < datagram[0] < 192:
            self.counters.unknown += 1
            return
        self.counters.received += 1
        self.counters.received_bytes += len(datagram)
        self.sink(datagram, asyncio.get_running_loop().time(), address)

    async def close(self) -> None:
        for transport in (self._rtp, self._rtcp):
            if transport is not None:
                transport.close()
        self._rtp = self._rtcp = None
        self.state = TransportState.CLOSED
        await asyncio.sleep(0)  # lets the loop close the sockets before we return


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, owner: UdpTransport) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._owner._arrived(data, (addr[0], addr[1]))


def _bind_ports(
    host: str, port_range: tuple[int, int] | None, mux: bool
) -> tuple[socket.socket, socket.socket | None]:
    """One bound socket, or an even port and the next (RFC 3550 section 11)."""
    if mux:
        return bind_udp(host, port_range), None
    candidates = range(port_range[0] + port_range[0] % 2, port_range[1], 2) if port_range else None
    for attempt in range(PORT_ATTEMPTS if candidates is None else len(candidates)):
        if candidates is None:
            with bind_udp(host, None) as probe:
                first = probe.getsockname()[1] & ~1
        else:
            first = candidates[attempt]
        try:
            rtp = bind_udp(host, (first, first))
        except TransportError:
            continue
        try:
            return rtp, bind_udp(host, (first + 1, first + 1))
        except TransportError:
            rtp.close()
    raise TransportError(
        f"no free pair of UDP ports on {host}; widen port_range or free some ports"
    )


def bind_udp(host: str, port_range: tuple[int, int] | None) -> socket.socket:
    """A non-blocking UDP socket on `host`, on the first free port of the range, or any."""
    ports = range(port_range[0], port_range[1] + 1) if port_range else (0,)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: OSError | None = None
    for port in ports:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind((host, port))
        except OSError as exc:
            sock.close()
            problem = exc
            continue
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return sock
    wanted = f"ports {ports[0]} to {ports[-1]}" if port_range else "any port"
    raise TransportError(f"cannot bind {wanted} on {host}: {problem}; widen port_range")
