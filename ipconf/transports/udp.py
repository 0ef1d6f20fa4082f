"""RTP over unicast UDP, without ICE (RFC 3550 section 11).

RTP takes an even port and RTCP the next one, or both share one port (RFC 5761). Anybody who knows
the ports can send to them: without keys use it where the network is trusted, or for peers that know
no better.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from functools import partial

from aiortc.sdp import MediaDescription

from ..engine.rtp_wire import is_rtcp
from ..errors import InvalidStateError, NegotiationError
from .base import PlainLine, SignalledTransport, TransportState
from .binding import bind_ports
from .far_address import check_reachable, is_nowhere, spelled
from .latching import Latch, Moved
from .plain import PlainTransport
from .ports import Address, Arrived, open_port
from .shared_port import Share, taken
from .stun import StunAnswerer, is_stun

MAX_EARLY_DATAGRAMS = 16
"""Of media, and of reports, kept that come before we are connected, as the far end may have our
description before we have its; of more, the latest."""

_Early = deque[tuple[Arrived, bytes, Address]]


class UdpTransport(PlainTransport, SignalledTransport):
    """A pair of UDP ports on `host`, or with `mux` one port for both, towards one far end.

    With `share` it is a part of a port that other calls use, too; RTP and RTCP must share it then.
    The far end is told `public` where it cannot send to `host` itself. With `symmetric` it is where
    it sends from, by the rules of `latching`, unless the port is shared.
    """

    def __init__(
        self,
        host: str,
        port_range: tuple[int, int] | None = None,
        *,
        mux: bool = False,
        share: Share | None = None,
        public: str | None = None,
        symmetric: bool = False,
    ) -> None:
        super().__init__()
        self.host = host
        self._told_host = public or host
        self.mux = mux or share is not None
        self.local: tuple[str, int] | None = None
        self.local_rtcp: tuple[str, int] | None = None
        self._share = share
        self._port_range = port_range
        self._symmetric = symmetric and share is None
        self._payload_types: Collection[int] = ()
        self._early: _Early = deque(maxlen=MAX_EARLY_DATAGRAMS)
        self._early_reports: _Early = deque(maxlen=MAX_EARLY_DATAGRAMS)
        self._stun = StunAnswerer()

    def expect(self, payload_types: Collection[int]) -> None:
        """By these, media are known to be the far end's; with none it is not looked for."""
        self._payload_types = payload_types
        self._symmetric = self._symmetric and bool(payload_types)

    async def open(self, *, offering: bool = True) -> None:
        self._time = asyncio.get_running_loop().time
        if self._share is not None:
            self._ports.append(self._share(self.host, partial(self._came_early, self._arrived)))
        else:
            await self._open_own()
        for port in self._ports:
            port.unsent = self.counters.take_back
        self.local, self.local_rtcp = self._ports[0].address, self._ports[-1].address

    async def _open_own(self) -> None:
        sockets = bind_ports(self.host, self._port_range, self.mux)
        try:
            for sock in sockets:
                arrived = self._rtcp_arrived if self._ports else self._arrived
                early = partial(self._came_early, arrived)
                self._ports.append(await open_port(sock, early))
        except BaseException:
            for sock in sockets[len(self._ports) :]:
                sock.close()
            raise

    def describe(self, role: str) -> PlainLine:
        if self.local is None or self.local_rtcp is None:
            raise InvalidStateError("the transport has no ports yet; open() it first")
        return PlainLine(self._told_host, self.local[1], self.local_rtcp[1])

    def check(self, remote: MediaDescription) -> None:
        if not is_nowhere(remote.host):
            self._check(*self._described(remote))

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        if is_nowhere(remote.host):
            nowhere = remote.host, remote.port
            self._start(nowhere, nowhere, lambda *where: None)
        else:
            self.connect_to(*self._described(remote))

    def _described(self, remote: MediaDescription) -> tuple[tuple[str, int], tuple[str, int]]:
        """Where its RTP and RTCP are to be sent."""
        if self._share is not None and not remote.rtcp_mux:
            raise NegotiationError(
                "the far end has another port for RTCP; on a shared port both must have the same: "
                "let it multiplex them (a=rtcp-mux), or make this call without shared_port"
            )
        rtcp_port = remote.rtcp_port or remote.port + 1
        if remote.rtcp_mux and self.mux:
            rtcp_port = remote.port
        host = remote.host or ""
        return (host, remote.port), (remote.rtcp_host or host, rtcp_port)

    def connect_to(self, remote: tuple[str, int], remote_rtcp: tuple[str, int]) -> None:
        """Send RTP to `remote` and RTCP to `remote_rtcp` (the same when they share a port).

        A host of "" in `remote_rtcp` is that of `remote`. NegotiationError when an address is none
        that can be sent to from here, or that another call has which shares the port.
        """
        remote_rtcp = (remote_rtcp[0] or remote[0], remote_rtcp[1])
        self._check(remote, remote_rtcp)
        for port in self._ports:
            if not port.settle(remote):
                raise taken(remote)
        self._send_to(remote, remote_rtcp)
        self._start(spelled(remote), spelled(remote_rtcp), self._send_to)

    def _check(self, *addresses: tuple[str, int]) -> None:
        for address in addresses:
            check_reachable(*address, self.host)
            if self._share is None and address in (self.local, self.local_rtcp):
                raise NegotiationError(
                    f"the far end's address {address[0]} port {address[1]} is this call's own"
                )

    def _start(self, remote: Address, remote_rtcp: Address, moved: Moved) -> None:
        if self._symmetric:
            self._latch = Latch(remote, remote_rtcp, self._payload_types, moved)
        self.state = TransportState.CONNECTED
        self._ports[-1].arrived = self._rtcp_arrived
        self._ports[0].arrived = self._arrived
        asyncio.get_running_loop().call_soon(self._take_early)  # there will be a sink then

    def _send_to(self, remote: Address, remote_rtcp: Address) -> None:
        self._remote, self._remote_rtcp = remote, remote_rtcp

    def _came_early(self, arrived: Arrived, data: bytes, addr: Address) -> None:
        if is_stun(data):
            arrived(data, addr)
            return
        early = self._early_reports if is_rtcp(data) else self._early
        self.counters.early += len(early) == MAX_EARLY_DATAGRAMS
        early.append((arrived, data, addr))

    def _take_early(self) -> None:
        self._hand_over(self._early_reports)
        latch, self._latch = self._latch, None  # the far end may not have known our ports yet
        try:
            self._hand_over(self._early)
        finally:
            self._latch = latch

    def _hand_over(self, early: _Early) -> None:
        while early and self.state is TransportState.CONNECTED:
            arrived, data, addr = early.popleft()
            arrived(data, addr)

    def _rtcp_arrived(self, data: bytes, addr: Address) -> None:
        if is_stun(data):
            self._stun_arrived(data, addr, -1)
        else:
            super()._rtcp_arrived(data, addr)

    def _odd_arrived(self, data: bytes, addr: Address) -> None:
        if is_stun(data):
            self._stun_arrived(data, addr, 0)
        else:
            super()._odd_arrived(data, addr)

    def _stun_arrived(self, data: bytes, addr: Address, port: int) -> None:
        self.counters.stun += 1
        answer = self._stun.answer(data, addr, self._time())
        if answer is not None and self._ports:
            self._ports[port].sendto(answer, addr)
