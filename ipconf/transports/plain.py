"""What plain RTP has in common over UDP, to one far end or to a group: ports and counters."""

from collections.abc import Callable
from functools import partial

from ..engine.rtp_wire import is_rtcp
from ..engine.skimming import Timed
from .backlog import Backlog
from .base import RtpTransport, TransportState
from .ports import Address, Port


class PlainTransport(RtpTransport):
    """Datagrams come to `_ports`, and go out where `_send` takes them.

    The first port is that of RTP, and of RTCP where there is no second one.
    """

    _time: Callable[[], float]  # of the loop, since `open`

    def __init__(self) -> None:
        super().__init__()
        self._remote: Address | None = None
        self._remote_rtcp: Address | None = None
        self._ports: list[Port] = []
        self._backlog: Backlog | None = None

    def send(self, datagram: bytes) -> None:
        if is_rtcp(datagram):
            self._send(datagram, -1, self._remote_rtcp)
        else:
            self._send(datagram, 0, self._remote)

    def send_rtp(self, datagram: bytes) -> None:
        self._send(datagram, 0, self._remote)

    def _send(self, datagram: bytes, port: int, address: Address | None) -> None:
        counters = self.counters
        if address is None or not self._ports:
            counters.unsent += 1
        elif (self.loss is not None and self._lost()) or self._sendto(datagram, port, address):
            counters.sent += 1
            counters.sent_bytes += len(datagram)
        else:
            counters.unsent += 1

    def _sendto(self, datagram: bytes, port: int, address: Address) -> bool:
        """Send a datagram from that port now, or not at all: whether it was sent. Never raises."""
        return self._ports[port].sendto(datagram, address)

    def hold(self, backlog: Backlog | None) -> None:
        self._backlog = backlog
        if backlog is not None:
            backlog.deliver = partial(self._waited, backlog)
        if self._ports:
            self._ports[0].backlog = backlog

    def _waited(self, backlog: Backlog, run: list[Timed], addr: Address | None) -> None:
        counters = self.counters
        if self.loss is not None:
            run = [timed for timed in run if not self._lost()]
        if run:
            counters.received += len(run)
            counters.received_bytes += sum([len(data) for data, _ in run])
            backlog.take(run, addr[:2] if addr else None)

    def _rtcp_arrived(self, data: bytes, addr: Address) -> None:
        """What comes to a port of its own, behind the media that waits."""
        if self._backlog is not None:
            self._backlog.release()
        self._arrived(data, addr)

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
