"""Plain RTP over unicast UDP, without ICE or encryption (RFC 3550 section 11).

RTP takes an even port and RTCP the next one, or both share one port (RFC 5761). Anybody who knows
the ports can send to them: use it where the network is trusted, or for peers that know no better.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable

from aiortc.sdp import MediaDescription

from ..engine.rtp_wire import is_rtcp
from ..errors import InvalidStateError, NegotiationError, TransportError
from .base import PlainLine, SignalledTransport, TransportState
from .ports import Address, Port, open_port

RECEIVE_BUFFER_BYTES = 1 << 20
"""Room in the kernel for a burst of video while the loop is busy."""
PORT_ATTEMPTS = 64
"""Pairs of ports to try before giving up."""
_ADVICE = {
    errno.EADDRNOTAVAIL: "give an address that this machine has",
    errno.EACCES: "choose ports above 1023",
}
"""What to do about errors that other ports, or more of them, would not mend."""


class UdpTransport(SignalledTransport):
    """A pair of UDP ports on `host`, or with `mux` one port for both, towards one far end."""

    _time: Callable[[], float]  # of the loop, since `open`

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
        self._ports: list[Port] = []

    async def open(self, *, offering: bool = True) -> None:
        sockets = _bind_ports(self.host, self._port_range, self.mux)
        self.local, self.local_rtcp = sockets[0].getsockname()[:2], sockets[-1].getsockname()[:2]
        self._time = asyncio.get_running_loop().time
        try:
            for sock in sockets:
                self._ports.append(await open_port(sock, self._arrived))
        except BaseException:
            for sock in sockets[len(self._ports) :]:
                sock.close()
            raise

    def describe(self, role: str) -> PlainLine:
        if self.local is None or self.local_rtcp is None:
            raise InvalidStateError("the transport has no ports yet; open() it first")
        return PlainLine(self.host, self.local[1], self.local_rtcp[1])

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        rtcp_port = remote.rtcp_port or remote.port + 1
        if remote.rtcp_mux and self.mux:
            rtcp_port = remote.port
        self.connect_to((remote.host or "", remote.port), (remote.rtcp_host or "", rtcp_port))

    def connect_to(self, remote: Address, remote_rtcp: Address) -> None:
        """Send RTP to `remote` and RTCP to `remote_rtcp` (the same when they share a port).

        A host of "" in `remote_rtcp` is that of `remote`. NegotiationError when an address is none
        that can be sent to from here.
        """
        remote_rtcp = (remote_rtcp[0] or remote[0], remote_rtcp[1])
        for address in (remote, remote_rtcp):
            self._check(*address)
        self._remote, self._remote_rtcp = remote, remote_rtcp
        self.state = TransportState.CONNECTED

    def _check(self, host: str, port: int) -> None:
        # A name would block the loop while it is looked up, an impossible port close the socket.
        try:
            parsed = ipaddress.ip_address(host)
        except ValueError:
            raise NegotiationError(f"the far end's address (c=) is {host!r}, not an IP") from None
        if parsed.version != ipaddress.ip_address(self.host).version or parsed.is_unspecified:
            raise NegotiationError(
                f"the far end's address {host} cannot be reached from {self.host}"
            )
        if not 0 < port < 1 << 16:
            raise NegotiationError(f"the far end's port {port} is not in 1..65535")

    def send(self, datagram: bytes) -> None:
        if is_rtcp(datagram):
            self._send(datagram, -1, self._remote_rtcp)
        else:
            self._send(datagram, 0, self._remote)

    def send_rtp(self, datagram: bytes) -> None:
        self._send(datagram, 0, self._remote)

    def _send(self, datagram: bytes, port: int, address: Address | None) -> None:
        counters, ports = self.counters, self._ports
        if address is None or not ports:
            counters.unsent += 1
        elif (self.loss is not None and self._lost()) or ports[port].sendto(datagram, address):
            counters.sent += 1
            counters.sent_bytes += len(datagram)
        else:
            counters.unsent += 1

    def _arrived(self, data: bytes, addr: Address) -> None:
        if self.loss is not None and self._lost():
            return
        counters, size = self.counters, len(data)
        if size < 2 or not 127 < data[0] < 192:
            if size:
                counters.unknown += 1
            else:
                counters.empty += 1
            return
        counters.received += 1
        counters.received_bytes += size
        if len(addr) > 2:  # of IPv6, which adds flow and scope
            addr = addr[:2]
        self.sink(data, self._time(), addr)

    async def close(self) -> None:
        self.state = TransportState.CLOSED
        ports, self._ports = self._ports, []
        for port in ports:
            port.close()
        for port in ports:
            await port.gone


def _bind_ports(host: str, port_range: tuple[int, int] | None, mux: bool) -> list[socket.socket]:
    """One bound socket, or one on an even port and one on the next (RFC 3550 section 11)."""
    if mux:
        return [bind_udp(host, port_range)]
    bind_udp(host, None).close()  # where that fails the address is at fault, and no port will do
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
            return [rtp, bind_udp(host, (first + 1, first + 1))]
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
            if exc.errno == errno.EADDRNOTAVAIL:
                break
            continue
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return sock
    wanted = "ports {} to {}".format(*port_range) if port_range else "any port"
    code = (problem and problem.errno) or 0
    advice = _ADVICE.get(code, "widen port_range" if port_range else "free some ports")
    raise TransportError(f"cannot bind {wanted} on {host}: {problem}; {advice}") from problem
