"""What RTP has in common over UDP without ICE, to one far end or to a group.

Ports and counters, and SRTP where descriptions have told keys.
"""

from collections.abc import Callable
from functools import partial

from ..engine.rtp_wire import is_rtcp
from ..engine.skimming import Timed
from ..sdp.keys import Crypto
from .backlog import Backlog
from .base import RtpTransport, TransportState
from .inbound import Inbound
from .latching import Latch
from .ports import Address, Port
from .protection import Protection


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
        self._protection: Protection | None = None
        self._latch: Latch | None = None

    def secure(
        self,
        sending: Crypto,
        receiving: Crypto,
        *,
        shared: bool = False,
        into: Inbound | None = None,
    ) -> None:
        """Encrypt what is sent, and take only what verifies, from now on.

        With `shared` others send with our key as well. `into` is what has opened what was sealed
        with `receiving` so far.
        """
        self.encrypts, self.shares_key = True, shared
        self._protection = Protection(sending, receiving, self._doubted, shared=shared, into=into)

    def _doubted(self, ssrc: int, verifies: bool, text: str) -> None:
        self.doubted(ssrc, verifies, text)

    def send(self, datagram: bytes) -> None:
        if is_rtcp(datagram):
            self._send(datagram, -1, self._remote_rtcp)
        else:
            self._send(datagram, 0, self._remote)

    def send_rtp(self, datagram: bytes) -> None:
        self._send(datagram, 0, self._remote)

    def _send(self, datagram: bytes, port: int, address: Address | None) -> None:
        counters = self.counters
        if self._protection is not None:
            protected = self._protection.protect(datagram)
            if protected is None:
                counters.unsent += 1
                return
            datagram = protected
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
        origin = addr[:2] if addr else None
        if self._protection is not None:
            run = self._opened(self._protection, run, origin)
        if self._latch is not None and origin is not None:
            run = self._admitted(self._latch, run, origin)
        if run:
            counters.received += len(run)
            counters.received_bytes += sum([len(data) for data, _ in run])
            backlog.take(run, origin)

    def _opened(
        self, protection: Protection, run: list[Timed], origin: Address | None
    ) -> list[Timed]:
        plain: list[Timed] = []
        for data, at in run:
            opened = protection.open(data, at, origin)
            if opened is None:
                self.counters.unauthenticated += 1
            else:
                plain.append((opened, at))
        return plain

    def _admitted(self, latch: Latch, run: list[Timed], origin: Address) -> list[Timed]:
        if run and origin == latch.source:
            latch.heard = run[-1][1]
            return run
        taken = [(data, at) for data, at in run if latch.admits(data, origin, at)]
        self.counters.foreign += len(run) - len(taken)
        return taken

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
            self._odd_arrived(data, addr)
            return
        if len(addr) > 2:  # of IPv6, which adds flow and scope
            addr = addr[:2]
        now = self._time()
        if self._protection is not None:
            opened = self._protection.open(data, now, addr)
            if opened is None:
                counters.unauthenticated += 1
                return
            data = opened
        latch = self._latch
        if latch is not None:
            if addr == latch.source:
                latch.heard = now
            elif not latch.admits(data, addr, now):
                counters.foreign += 1
                return
        counters.received += 1
        counters.received_bytes += size
        self.sink(data, now, addr)

    def _odd_arrived(self, data: bytes, addr: Address) -> None:
        """What is neither RTP nor RTCP."""
        if data:
            self.counters.unknown += 1
        else:
            self.counters.empty += 1

    async def close(self) -> None:
        self.state = TransportState.CLOSED
        ports, self._ports = self._ports, []
        for port in ports:
            port.close()
        for port in ports:
            await port.gone
