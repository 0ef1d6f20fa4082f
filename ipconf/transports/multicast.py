"""Plain RTP to a multicast group and from it (RFC 3550 section 11, RFC 1112, RFC 4607).

Everybody in the group gets what anybody sends; nobody need be known beforehand.
"""

from __future__ import annotations

import asyncio

from ..errors import TransportError
from ..model import LoopbackMode
from .base import GroupTransport, TransportState
from .group_sockets import GroupPlace, GroupSockets
from .plain import PlainTransport
from .ports import Address, open_port


class MulticastTransport(PlainTransport, GroupTransport):
    """The ports of a group: RTP and RTCP on two, or on one.

    Unless `loopback` is FULL, what it sends itself never arrives, also where the system would
    bring it back.
    """

    def __init__(self, place: GroupPlace, loopback: LoopbackMode = LoopbackMode.NONE) -> None:
        super().__init__()
        self.place = place
        self._loopback = loopback
        self._sockets: GroupSockets | None = None
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
        except OSError:  # no room, no route, too long
            return False
        return True

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
