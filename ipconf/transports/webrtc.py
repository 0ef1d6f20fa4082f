"""ICE and DTLS-SRTP by aiortc's public ORTC objects, with media on a way of its own.

    datagram ── first byte 128..191 ──> unprotect ──> sink(datagram, now)          (RTP, RTCP)
             └─ else ──> aioice: STUN to the checks, DTLS through its queue to the handshake
    send(datagram) ──> protect ──> sendto(address of the pair nominated now)

The stock way takes a queue, a task and a wake-up per packet before SRTP is even looked at. Every
private name of aiortc and aioice that this package touches stands in this file, is replaced on the
instance and never on the class or module, and is pinned by tests/test_aiortc_contract.py.
"""

import asyncio
import datetime
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, Connection, StunProtocol, server_reflexive_candidate
from aiortc import (
    RTCCertificate,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceServer,
    RTCIceTransport,
)
from aiortc.sdp import MediaDescription
from pylibsrtp import Session as SrtpSession

from ..errors import ConnectTimeoutError, NegotiationError, TransportError
from ..model import CallSettings, GoneReason
from .base import Loss, SignalledTransport, TransportState
from .description import WebRtcLine
from .udp import bind_udp

MAX_QUEUED_DTLS = 64
"""DTLS records waiting for the handshake task; a stranger's flood stops here."""
CERTIFICATE_SPARE_LIFE = datetime.timedelta(days=7)
"""A shared certificate is replaced when it has less than this to live; aiortc's last 30 days."""
SERVER_REFLEXIVE_TIMEOUT_S = 5.0


class Certificates:
    """The certificate that all calls of a provider share, made anew before it expires."""

    def __init__(self) -> None:
        self._current: RTCCertificate | None = None

    def current(self) -> RTCCertificate:
        """A certificate that is good for at least another week."""
        soon = datetime.datetime.now(tz=datetime.UTC) + CERTIFICATE_SPARE_LIFE
        if self._current is None or self._current.expires < soon:
            self._current = RTCCertificate.generateCertificate()
        return self._current


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


class _LossySocket:
    """A datagram transport that loses on purpose what is sent through it."""

    def __init__(self, transport: asyncio.DatagramTransport, lost: Callable[[], bool]) -> None:
        self._transport = transport
        self._lost = lost

    def sendto(self, data: bytes, addr: Any) -> None:
        if not self._lost():
            self._transport.sendto(data, addr)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class WebRtcTransport(SignalledTransport):
    """One ICE component with DTLS-SRTP: gather, exchange descriptions, connect, send."""

    def __init__(self, settings: CallSettings, certificate: RTCCertificate) -> None:
        super().__init__()
        self._settings = settings
        servers = [
            RTCIceServer(urls=s.url, username=s.username, credential=s.credential)
            for s in settings.ice_servers
        ]
        self._gatherer = RTCIceGatherer(iceServers=servers)
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [certificate])
        self._connection: Connection = self._gatherer._connection
        self._connection._nominated = _Nominated(self._path_changed)
        gather = self._connection.get_component_candidates
        self._connection.get_component_candidates = partial(self._candidates, gather)  # type: ignore[method-assign]
        self._dtls.on("statechange", self._dtls_changed)
        self._time = asyncio.get_running_loop().time
        self._srtp_in: SrtpSession | None = None
        self._srtp_out: SrtpSession | None = None
        self._pair: CandidatePair | None = None
        self._closing = False

    # -- set-up

    async def open(self) -> None:
        await self._gatherer.gather()
        for protocol in self._connection._protocols:
            stock = protocol.datagram_received
            protocol.datagram_received = partial(self._arrived, stock)  # type: ignore[method-assign]
        if not self._gatherer.getLocalCandidates():
            raise TransportError(
                "ICE found no local address to offer; check ice_addresses and port_range, "
                "or add 127.0.0.1 to ice_addresses on a machine without network"
            )

    def describe(self, role: str) -> WebRtcLine:
        return WebRtcLine(
            ice=self._gatherer.getLocalParameters(),
            candidates=self._gatherer.getLocalCandidates(),
            dtls=RTCDtlsParameters(self._dtls.getLocalParameters().fingerprints, role),
        )

    async def _candidates(
        self,
        stock: Callable[..., Any],
        component: int,
        addresses: list[str],
    ) -> list[Candidate]:
        """Stand in for aioice's gathering: our addresses and ports, then its TURN client."""
        chosen = self._settings.ice_addresses
        hosts = addresses if chosen is None else [str(address) for address in chosen]
        found: list[Candidate] = []
        for host in hosts:
            protocol = await self._open(host, component)
            found.append(protocol.local_candidate)
            self._connection._protocols.append(protocol)
        if self._connection.stun_server is not None:
            found += await self._server_reflexive(self._connection.stun_server)
        found += await stock(component, [])
        return found

    async def _open(self, host: str, component: int) -> StunProtocol:
        sock = bind_udp(host, self._settings.port_range)
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            lambda: StunProtocol(self._connection), sock=sock
        )
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=sock.getsockname()[1],
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
        done, late = await asyncio.wait(queries, timeout=SERVER_REFLEXIVE_TIMEOUT_S)
        for query in late:
            query.cancel()
        return [query.result()[0] for query in done if query.exception() is None]

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        if remote.dtls is None or remote.ice is None:
            raise NegotiationError("the far end's description has no ICE or DTLS parameters")
        self.state = TransportState.CONNECTING
        self._connection.ice_controlling = offered or remote.ice.iceLite
        self._dtls._set_role(role)
        limit_s = self._settings.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                for candidate in remote.ice_candidates:
                    await self.add_remote_candidate(candidate)
                if remote.ice_candidates_complete:
                    await self.add_remote_candidate(None)
                await self._ice.start(remote.ice)
                if self._ice.state != "completed":
                    raise TransportError(
                        "ICE found no way to the far end; check that the ice_addresses of both "
                        "can reach each other, and whether a TURN server is needed"
                    )
                await self._dtls.start(remote.dtls)
        except TimeoutError as exc:
            raise ConnectTimeoutError(
                f"no connection within {limit_s:g} s (ICE {self._ice.state}, DTLS "
                f"{self._dtls.state}); the far end may be gone, or raise connect_timeout_s"
            ) from exc
        if self._dtls.state != "connected":
            raise TransportError(
                "the DTLS handshake failed; the far end's certificate does not match its "
                "fingerprint, or the two have no cipher in common"
            )

    async def add_remote_candidate(self, candidate: RTCIceCandidate | None) -> None:
        try:
            await self._ice.addRemoteCandidate(candidate)
        except ValueError as exc:
            raise NegotiationError(f"the far end's ICE candidate cannot be used: {exc}") from exc

    # -- datagrams

    def _arrived(self, stock: Callable[..., None], data: bytes, addr: tuple[Any, ...]) -> None:
        """Every datagram of every socket of this transport comes here first."""
        counters = self.counters
        if self.loss is not None and self._lost():
            return
        if len(data) < 2:
            counters.empty += 1  # reading its first byte would close a stock transport for good
            return
        first = data[0]
        if 127 < first < 192:
            srtp = self._srtp_in
            try:
                if 191 < data[1] < 224:
                    plain = srtp.unprotect_rtcp(data)  # type: ignore[union-attr]
                else:
                    plain = srtp.unprotect(data)  # type: ignore[union-attr]
            except Exception:  # pylibsrtp's errors, too long, or no keys yet
                counters.unauthenticated += 1
                return
            counters.received += 1
            counters.received_bytes += len(data)
            self.sink(plain, self._time())
        elif first < 4 or (19 < first < 64 and self._connection._queue.qsize() < MAX_QUEUED_DTLS):
            try:
                stock(data, addr)
            except Exception:  # for example a STUN request without its PRIORITY
                counters.refused += 1
        else:
            counters.unknown += 1

    def send(self, datagram: bytes) -> None:
        srtp, pair = self._srtp_out, self._pair
        try:
            if 191 < datagram[1] < 224:
                protected = srtp.protect_rtcp(datagram)  # type: ignore[union-attr]
            else:
                protected = srtp.protect(datagram)  # type: ignore[union-attr]
            pair.protocol.transport.sendto(protected, pair.remote_addr)  # type: ignore[union-attr]
        except Exception:  # not connected, too long for one datagram, or the socket is gone
            self.counters.unsent += 1
            return
        self.counters.sent += 1
        self.counters.sent_bytes += len(protected)

    def _path_changed(self, pair: CandidatePair | None) -> None:
        self._pair = pair

    def impair(self, loss: Loss | None) -> None:
        """Lose all datagrams of this transport alike: media, DTLS and STUN."""
        for protocol in self._connection._protocols:
            if not isinstance(protocol.transport, _LossySocket):
                lossy = _LossySocket(
                    protocol.transport, lambda: self.loss is not None and self._lost()
                )
                protocol.transport = cast(asyncio.DatagramTransport, lossy)
        self.loss = loss

    # -- the end

    def _dtls_changed(self) -> None:
        if self._dtls.state == "connected":
            self._srtp_in, self._srtp_out = self._dtls._rx_srtp, self._dtls._tx_srtp
            self.state = TransportState.CONNECTED
        elif self._dtls.state == "closed" and not self._closing:
            self.state = TransportState.CLOSED
            self._srtp_in = self._srtp_out = None
            # aioice closes its connection when consent expires (RFC 7675); a far end that says
            # goodbye leaves it open.
            vanished = self._connection._closing
            self.closed(GoneReason.TIMEOUT if vanished else GoneReason.BYE)

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self.state = TransportState.CLOSED
        await self._dtls.stop()
        await self._ice.stop()
        self._srtp_in = self._srtp_out = None
