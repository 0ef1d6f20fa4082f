"""Two transports joined back to back in one process, without sockets: for tests and local legs."""

import asyncio
from typing import Self

from ..model import GoneReason
from .base import RtpTransport, TransportState


class MemoryTransport(RtpTransport):
    """One end of a pair; what one end sends reaches the other in the next turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._peer: MemoryTransport | None = None

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Two connected ends; needs a running loop."""
        one, other = cls(), cls()
        one._peer, other._peer = other, one
        one.state = other.state = TransportState.CONNECTED
        return one, other

    def send(self, datagram: bytes) -> None:
        if self._peer is None:
            self.counters.unsent += 1
            return
        self.counters.sent += 1
        self.counters.sent_bytes += len(datagram)
        if not self._lost():
            asyncio.get_running_loop().call_soon(self._peer._arrived, datagram)

    def _arrived(self, datagram: bytes) -> None:
        if self.state is TransportState.CLOSED or self._lost():
            return
        self.counters.received += 1
        self.counters.received_bytes += len(datagram)
        self.sink(datagram, asyncio.get_running_loop().time())

    async def close(self) -> None:
        self.state = TransportState.CLOSED
        peer, self._peer = self._peer, None
        if peer is not None:  # it is told after what was sent to it before, a BYE for example
            asyncio.get_running_loop().call_soon(peer._peer_closed)

    def _peer_closed(self) -> None:
        self._peer = None
        if self.state is not TransportState.CLOSED:
            self.state = TransportState.CLOSED
            self.closed(GoneReason.BYE)
