"""ICE by aioice, under aiortc's gatherer and transport: our sockets, one component, the path.

Every private name of aioice that this package touches stands in this file, is replaced on the
instance and never on the class or module, and is pinned by tests/test_aiortc_contract.py.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, Connection, StunProtocol, server_reflexive_candidate
from aiortc import RTCIceCandidate, RTCIceGatherer, RTCIceServer, RTCIceTransport
from aiortc.sdp import MediaDescription

from ..errors import ConfigurationError, NegotiationError, TransportError
from ..model import CallSettings
from .backlog import Backlog
from .base import TransportCounters
from .binding import bind_udp
from .ports import Address, LossyPort, Port, open_port
from .shared_port import Share, taken

COMPONENT = 1
"""RTP and RTCP share the one component (RFC 8445 section 13, RFC 5761)."""
MAX_QUEUED_DTLS = 64
"""DTLS datagrams waiting for the handshake; a flood stops here."""
MAX_REMOTE_CANDIDATES = 100
"""Addresses of the far end that are tried; RFC 8445 section 19.5.1 wants a limit of that order."""
SERVER_REFLEXIVE_TIMEOUT_S = 5.0

Stock = Callable[[bytes, Address], None]
"""What aioice would have done with a datagram."""


class _Nominated(dict[int, CandidatePair]):
    """aioice's table of nominated pairs, which tells us when the address to send to moves."""

    def __init__(self, changed: Callable[[CandidatePair | None], None]) -> None:
        super().__init__()
        self._changed = changed

    def __setitem__(self, component: int, pair: CandidatePair) -> None:
        super().__setitem__(component, pair)
        self._changed(pair)

    def clear(self) -> None:
        super().clear()
        self._changed(None)


def _mapped(local: RTCIceCandidate, public: str) -> RTCIceCandidate:
    """A host candidate as it looks behind a router that keeps the port."""
    return replace(
        local,
        foundation=candidate_foundation("srflx", "udp", local.ip),
        priority=candidate_priority(COMPONENT, "srflx"),
        ip=public,
        type="srflx",
        relatedAddress=local.ip,
        relatedPort=local.port,
    )


class IceAgent:
    """One ICE component on the addresses and ports that the settings allow.

    Every datagram that comes to one of its sockets goes to `arrived`, with what aioice would have
    done with it; give it STUN by calling that, and DTLS by `take_dtls`.
    """

    def __init__(
        self,
        settings: CallSettings,
        counters: TransportCounters,
        arrived: Callable[[Stock, bytes, Address], None],
        share: Share | None = None,
    ) -> None:
        servers = [
            RTCIceServer(urls=s.url, username=s.username, credential=s.credential)
            for s in settings.ice_servers
        ]
        try:
            self.gatherer = RTCIceGatherer(iceServers=servers)
        except ValueError as exc:
            raise ConfigurationError(
                f"ice_servers: {exc}; write stun:host:port or turn:host:port?transport=udp"
            ) from exc
        self.transport = RTCIceTransport(self.gatherer)
        self._protocol: Any = None  # of the pair that is nominated now
        self._far_end: Address = ()
        self._sendto: Callable[[bytes, Address], Any] | None = None
        self._settings = settings
        self._share = share
        self._counters = counters
        self._arrived = arrived
        self._connection: Connection = self.gatherer._connection
        if share is not None:  # aioice's own has four characters: too few to be alone with it
            self._connection._local_username = secrets.token_hex(8)
        self._connection._nominated = _Nominated(self._path_changed)
        self._connection.data_received = self._not_stun  # type: ignore[method-assign]
        gather = self._connection.get_component_candidates
        self._connection.get_component_candidates = partial(self._candidates, gather)  # type: ignore[method-assign]
        self._ports: list[Port] = []
        self._started = False
        self._remote_complete = False

    @property
    def consent_expired(self) -> bool:
        """Whether the far end no longer answers (RFC 7675): aioice closes its connection then."""
        return self._connection._closing

    def _path_changed(self, pair: CandidatePair | None) -> None:
        self._sendto = None
        if pair is None:
            return
        settle = getattr(pair.protocol.transport, "settle", None)  # a relayed one has none
        if settle is None or settle(pair.remote_addr):
            self._protocol, self._far_end = pair.protocol, pair.remote_addr
            self._sendto = pair.protocol.transport.sendto

    # -- our side

    def local_candidates(self) -> list[RTCIceCandidate]:
        """What the far end may try: our addresses, and behind a router the public ones."""
        local = self.gatherer.getLocalCandidates()
        hosts = [each for each in local if each.type == "host"]
        found = [(each, self._settings.public_address_of(each.ip)) for each in hosts]
        return local + [_mapped(each, public) for each, public in found if public is not None]

    async def gather(self, *, controlling: bool) -> None:
        """Take sockets and ask the servers; TransportError when there is no address to offer.

        `controlling` already here: the far end's checks may arrive before its description does.
        """
        self._connection.ice_controlling = controlling
        await self.gatherer.gather()
        if not self.gatherer.getLocalCandidates():
            raise TransportError(
                "ICE found no local address to offer; check ice_addresses and port_range, "
                "or add 127.0.0.1 to ice_addresses on a machine without network"
            )

    async def _candidates(
        self, stock: Callable[..., Any], component: int, addresses: list[str]
    ) -> list[Candidate]:
        """Stand in for aioice's gathering: our addresses and ports, then its TURN client."""
        chosen = self._settings.ice_addresses
        protocols = self._connection._protocols
        found: list[Candidate] = []
        for host in dict.fromkeys(addresses if chosen is None else map(str, chosen)):
            try:
                protocols.append(await self._open(host, component))
            except TransportError:
                if chosen is not None:
                    raise
                continue  # an address that has just gone, or cannot be used yet
            found.append(protocols[-1].local_candidate)
        if self._connection.stun_server is not None:
            found += await self._server_reflexive(self._connection.stun_server)
        own = len(protocols)
        found += await stock(component, [])
        for relayed in protocols[own:]:
            stock = relayed.datagram_received
            relayed.datagram_received = partial(self._arrived, stock)  # type: ignore[method-assign]
        return found

    async def _open(self, host: str, component: int) -> StunProtocol:
        protocol = StunProtocol(self._connection)
        arrived = partial(self._arrived, protocol.datagram_received)
        if self._share is not None:
            port = self._share(host, arrived, self._connection.local_username)
        else:
            port = await open_port(bind_udp(host, self._settings.port_range), arrived)
        port.unsent = self._unsent
        self._ports.append(port)
        port.gone.add_done_callback(lambda _: protocol.connection_lost(None))
        protocol.connection_made(cast(asyncio.DatagramTransport, port))
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port.address[1],
            type="host",
        )
        return protocol

    async def _server_reflexive(self, server: tuple[str, int]) -> list[Candidate]:
        queries = [
            asyncio.ensure_future(server_reflexive_candidate(protocol, server))
            for protocol in self._connection._protocols
            if ":" not in protocol.local_candidate.host
        ]
        if not queries:
            return []
        try:
            done, _ = await asyncio.wait(queries, timeout=SERVER_REFLEXIVE_TIMEOUT_S)
        finally:
            for query in queries:
                query.cancel()
        return [query.result()[0] for query in done if query.exception() is None]

    # -- the far end's side

    async def connect(self, remote: MediaDescription, *, controlling: bool) -> None:
        """Find a path to the far end; TransportError when none of its addresses answers."""
        if remote.ice is None:
            raise NegotiationError("the far end's description has no ICE credentials")
        self._started = True
        self._connection.ice_controlling = controlling or remote.ice.iceLite
        known = remote.ice_candidates[:MAX_REMOTE_CANDIDATES]
        await asyncio.gather(*map(self.add_remote_candidate, known))  # names take time to resolve
        if remote.ice_candidates_complete or self._remote_complete:
            await self.add_remote_candidate(None)
        await self.transport.start(remote.ice)
        if self.transport.state != "completed":
            raise TransportError(
                "ICE found no way to the far end; check that the ice_addresses of both "
                "can reach each other, and whether a TURN server is needed"
            )
        if self._sendto is None:
            raise taken(self._connection._nominated[COMPONENT].remote_addr)

    async def add_remote_candidate(self, candidate: RTCIceCandidate | None) -> None:
        """Try one more address, None after the last; what cannot be tried is left out."""
        if candidate is None:
            self._remote_complete = True
            if self._started:  # else the description's own addresses are still to come
                await self.transport.addRemoteCandidate(None)
            return
        usable = (
            candidate.component == COMPONENT
            and candidate.protocol.lower() == "udp"
            and 0 < candidate.port < 1 << 16
        )
        if usable and len(self._connection.remote_candidates) < MAX_REMOTE_CANDIDATES:
            with suppress(ValueError, OSError):  # a name that cannot be resolved here
                await self.transport.addRemoteCandidate(candidate)

    # -- datagrams

    def checks(self, address: Address) -> bool:
        """Whether this is an address of the far end, as far as checks have told by now."""
        sender = address[:2]
        return any(pair.remote_addr == sender for pair in self._connection._check_list)

    def send(self, data: bytes) -> bool:
        """Send to the far end over the pair that is nominated now: whether that could be done."""
        sendto = self._sendto
        if sendto is None:
            return False
        return sendto(data, self._far_end) is not False  # a relayed one does not tell

    def hold(self, backlog: Backlog | None) -> None:
        """Let media wait there that it keeps, whichever of our ports it comes to."""
        for port in self._ports:
            port.backlog = backlog

    def _unsent(self, data: bytes) -> None:
        if data[0] > 127:  # media, which was counted
            self._counters.take_back(data)

    def take_dtls(self, data: bytes, address: Address) -> None:
        """Queue a datagram for the handshake, if it comes from an address that is being checked.

        Anybody else could end the handshake with a forged alert.
        """
        queue = self._connection._queue
        if self.checks(address) and queue.qsize() < MAX_QUEUED_DTLS:
            queue.put_nowait((data, COMPONENT))
        else:
            self._counters.refused += 1

    def _not_stun(self, data: bytes, component: int) -> None:
        """Stands in for aioice's queueing of what looked like STUN but is not."""
        self._counters.refused += 1

    def lose(self, lost: Callable[[], bool]) -> None:
        """Ask `lost` before each datagram that is sent, and drop it if so."""
        for protocol in self._connection._protocols:
            if not isinstance(protocol.transport, LossyPort):
                lossy = LossyPort(protocol.transport, lost)
                protocol.transport = cast(asyncio.DatagramTransport, lossy)
                if protocol is self._protocol and self._sendto is not None:
                    self._sendto = lossy.sendto
