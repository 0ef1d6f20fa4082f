"""Plain RTP to a multicast group and from it (RFC 3550 section 11, RFC 1112, RFC 4607).

Everybody in the group gets what anybody sends; nobody need be known beforehand.
"""

from __future__ import annotations

import asyncio
import errno

from ..errors import TransportError
from ..model import GoneReason, LoopbackMode
from .base import GroupTransport, TransportState
from .group_sockets import GroupPlace, GroupSockets
from .plain import PlainTransport
from .ports import Address, open_port

LOST_AFTER_S = 5.0
"""Where nothing could be sent for so long for want of a network, it is not taken to come back.

A network that is made anew is another one, on which these sockets hear nothing.
"""
_NO_NETWORK = frozenset(
    (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENETDOWN, errno.EINVAL)
)


class MulticastTransport(PlainTransport, GroupTransport):
    """The ports of a group: RTP and RTCP on two, or on one.

    Unless `loopback` is FULL, what it sends itself never arrives, also where the system would
    bring it back. It ends by itself when its network has gone.
    """

    def __init__(self, place: GroupPlace, loopback: LoopbackMode = LoopbackMode.NONE) -> None:
        super().__init__()
        self.place = place
        self._loopback = loopback
        self._sockets: GroupSockets | None = None
        self._unsent_since: float | None = None  # while there is no network
        self._excluded = frozenset(map(str, place.excluded))

    @property
    def loopback(self) -> LoopbackMode:
        return self._loopback

    @loopback.setter
    def loopback(self, mode: LoopbackMode) -> None:
        self._loopback = mode
        if self._sockets is not None:
            self._sockets.loop(mode is not LoopbackMode.NONE)

    async def open(self) -> None:
        self._time = asyncio.get_running_loop().time
        if self.state is not TransportState.NEW:
            raise TransportError("a transport is opened once; make a new one")
        sockets = self._sockets = GroupSockets(self.place)
        try:
            self.loopback = self._loopback
            for sock in sockets.receiving:
                arrived = self._rtcp_arrived if self._ports else self._arrived
                self._ports.append(await open_port(sock, arrived))
        except BaseException:
            await self.close()  # first the ports, which watch their sockets
            sockets.close()
            raise
        self.own = sockets.own
        if self._protection is not None:
            self._protection.own = sockets.own
        self._remote = sockets.address(self.place, self.place.port)
        self._remote_rtcp = sockets.address(self.place, self.place.rtcp_port)
        self.state = TransportState.CONNECTED

    def _sendto(self, datagram: bytes, port: int, address: Address) -> bool:
        if self._sockets is None:
            return False
        try:
            self._sockets.sending.sendto(datagram, address)
        except OSError as exc:  # no room, no route, too long
            if exc.errno in _NO_NETWORK:
                self._no_network(exc)
            return False
        self._unsent_since = None
        return True

    def _no_network(self, exc: OSError) -> None:
        now = self._time()
        if self._unsent_since is None:
            self._unsent_since = now
        elif now - self._unsent_since >= LOST_AFTER_S and self.error is None:
            self.error = TransportError(
                f"{self.place} is out of reach: {exc}; look at the interfaces here, and join again"
            )
            # Whoever sends is in the middle of something.
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        if self.state is not TransportState.CLOSED:
            self.state = TransportState.CLOSED
            self.closed(GoneReason.TIMEOUT)

    def _arrived(self, data: bytes, addr: Address) -> None:
        if addr[:2] == self.own and self._loopback is not LoopbackMode.FULL:
            return
        if self._excluded and addr[0].partition("%")[0] in self._excluded:
            self.counters.foreign += 1  # one whom the kernel has let through
            return
        super()._arrived(data, addr)

    async def close(self) -> None:
        await super().close()
        if self._sockets is not None:
            self._sockets.sending.close()
