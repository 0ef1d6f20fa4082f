"""ICE and DTLS-SRTP by aiortc's public ORTC objects, with media on a way of its own.

    datagram ── first byte 128..191 ──> unprotect ──> sink(datagram, now)     (RTP, RTCP)
             ├─ 0..3 ──> aioice's checks                                      (STUN)
             └─ 20..63 ──> aioice's queue, for aiortc's handshake             (DTLS)
    send(datagram) ──> protect ──> sendto(address of the pair nominated now)

The stock way takes a queue, a task and a wake-up per packet before SRTP is even looked at. Private
names of aiortc stand in this file only, those of aioice in `ice`; tests/test_aiortc_contract.py
pins them.
"""

import asyncio
import datetime
from collections import deque
from functools import partial

from aiortc import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport, RTCIceCandidate
from aiortc.sdp import MediaDescription

from ..engine.skimming import Timed
from ..errors import ConnectTimeoutError, InvalidStateError, NegotiationError, TransportError
from ..model import CallSettings, GoneReason
from .backlog import Backlog
from .base import Loss, SignalledTransport, TransportState, WebRtcLine
from .ice import IceAgent, Stock
from .ports import Address
from .shared_port import Share
from .srtp import Srtp

CERTIFICATE_SPARE_LIFE = datetime.timedelta(days=7)
"""A shared certificate is replaced when it has less than this to live; aiortc's last 30 days."""
MAX_EARLY_DATAGRAMS = 32
"""Media kept that overtakes the end of the handshake; of more, the latest."""
MAX_RESOLVING_NAMES = 16
"""Trickled addresses that are multicast DNS names and being asked for; of more, the first."""


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


class WebRtcTransport(SignalledTransport):
    """One ICE component with DTLS-SRTP: gather, exchange descriptions, connect, send.

    With `share` its ports are parts of those that other calls use, too.
    """

    def __init__(
        self, settings: CallSettings, certificate: RTCCertificate, share: Share | None = None
    ) -> None:
        super().__init__()
        self._settings = settings
        self._ice = IceAgent(settings, self.counters, self._arrived, share)
        self._dtls = RTCDtlsTransport(self._ice.transport, [certificate])
        self._dtls.on("statechange", self._dtls_changed)
        self._time = asyncio.get_running_loop().time
        self._backlog: Backlog | None = None
        self._srtp_in: Srtp | None = None
        self._srtp_out: Srtp | None = None
        self._early: deque[tuple[bytes, Address]] = deque(maxlen=MAX_EARLY_DATAGRAMS)
        self._resolving: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None

    # -- set-up

    async def open(self, *, offering: bool = True) -> None:
        await self._ice.gather(controlling=offering)

    def describe(self, role: str) -> WebRtcLine:
        return WebRtcLine(
            ice=self._ice.gatherer.getLocalParameters(),
            candidates=self._ice.local_candidates(),
            dtls=RTCDtlsParameters(self._dtls.getLocalParameters().fingerprints, role),
        )

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        if self.state is not TransportState.NEW:
            raise InvalidStateError("a transport connects once; make a new one")
        if remote.dtls is None or not remote.dtls.fingerprints:
            raise NegotiationError("the far end's description has no DTLS fingerprint")
        self.state = TransportState.CONNECTING
        limit_s = self._settings.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._ice.connect(remote, controlling=offered)
                await self._shake_hands(remote.dtls, role)
        except TimeoutError as exc:
            raise ConnectTimeoutError(
                f"no connection within {limit_s:g} s (ICE {self._ice.transport.state}, DTLS "
                f"{self._dtls.state}); the far end may be gone, or raise connect_timeout_s"
            ) from exc
        except (NegotiationError, TransportError):
            raise
        except Exception as exc:  # aioice and aiortc do not expect everything a far end can send
            raise TransportError(
                f"the far end made connecting impossible ({type(exc).__name__}: {exc})"
            ) from exc

    async def _shake_hands(self, remote: RTCDtlsParameters, role: str) -> None:
        self._dtls._set_role(role)
        await self._dtls.start(remote)
        if self._dtls.state != "connected":
            raise TransportError(
                "the DTLS handshake failed; the far end's certificate does not match its "
                "fingerprint, has a key of a kind that is refused here (use P-256), or the two "
                "have no cipher in common"
            )

    async def add_remote_candidate(self, candidate: RTCIceCandidate | None) -> None:
        if candidate is None or not candidate.ip.endswith(".local"):
            await self._ice.add_remote_candidate(candidate)
        elif self._ending is None and len(self._resolving) < MAX_RESOLVING_NAMES:
            # Asking for a name takes up to a second, and other messages wait behind this one.
            task = asyncio.create_task(self._ice.add_remote_candidate(candidate))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)
            await asyncio.sleep(0)  # after the last candidate aioice begins with no other

    # -- datagrams

    def _arrived(self, stock: Stock, data: bytes, address: Address) -> None:
        """Every datagram of every socket of this transport comes here first."""
        counters = self.counters
        if self.loss is not None and self._lost():
            return
        if not data:
            counters.empty += 1  # reading its first byte would close a stock transport for good
            return
        first = data[0]
        if 127 < first < 192:
            self._media_arrived(data, address)
        elif first < 4:
            try:
                stock(data, address)
            except Exception:  # for example a check without its PRIORITY
                counters.refused += 1
        elif 19 < first < 64:
            self._ice.take_dtls(data, address)
        else:
            counters.unknown += 1

    def hold(self, backlog: Backlog | None) -> None:
        self._backlog = backlog
        if backlog is not None:
            backlog.deliver = partial(self._waited, backlog)
        self._ice.hold(backlog)

    def _waited(self, backlog: Backlog, run: list[Timed], address: Address | None) -> None:
        if self.loss is not None:
            run = [timed for timed in run if not self._lost()]
        counters, srtp = self.counters, self._srtp_in
        plain: list[Timed] = []
        for data, at in run:
            opened = None if srtp is None else srtp.unprotect(data)
            if opened is None:
                counters.unauthenticated += 1
            else:
                counters.received += 1
                counters.received_bytes += len(data)
                plain.append((opened, at))
        if plain:
            backlog.take(plain, None)

    def _media_arrived(self, data: bytes, address: Address) -> None:
        counters, srtp = self.counters, self._srtp_in
        if self._backlog is not None:
            self._backlog.release()  # what a relay hands over has passed by what waits
        if srtp is None:
            if self.state is TransportState.CONNECTING and self._ice.checks(address):
                self._early.append((data, address))  # the keys are still in aiortc's queue
            else:
                counters.unauthenticated += 1
            return
        plain = srtp.unprotect(data)
        if plain is None:
            counters.unauthenticated += 1
            return
        counters.received += 1
        counters.received_bytes += len(data)
        self.sink(plain, self._time())

    def _take_early(self) -> None:
        """Now that keys and sink are there: what came before them."""
        while self._early:
            self._media_arrived(*self._early.popleft())

    def send(self, datagram: bytes) -> None:
        srtp = self._srtp_out
        self._send(None if srtp is None else srtp.protect(datagram))

    def send_rtp(self, datagram: bytes) -> None:
        srtp = self._srtp_out
        self._send(None if srtp is None else srtp.protect_rtp(datagram))

    def _send(self, protected: bytes | None) -> None:
        counters = self.counters
        # Without: not connected, or too long for one datagram.
        if protected is not None and self._ice.send(protected):
            counters.sent += 1
            counters.sent_bytes += len(protected)
        else:
            counters.unsent += 1

    def impair(self, loss: Loss | None) -> None:
        """Lose all datagrams of this transport alike: media, DTLS and STUN."""
        self._ice.lose(self._lost)
        self.loss = loss

    # -- the end

    def _dtls_changed(self) -> None:
        if self._ending is not None:
            return
        if self._dtls.state == "connected":
            self._srtp_in = Srtp(self._dtls._rx_srtp)
            self._srtp_out = Srtp(self._dtls._tx_srtp)
            self.state = TransportState.CONNECTED
            asyncio.get_running_loop().call_soon(self._take_early)
        elif self._dtls.state == "closed":
            self.state = TransportState.CLOSED
            self._srtp_in = self._srtp_out = None
            vanished = self._ice.consent_expired
            self.closed(GoneReason.TIMEOUT if vanished else GoneReason.BYE)

    async def close(self) -> None:
        await self._close(silently=False)

    async def abandon(self) -> None:
        await self._close(silently=True)

    async def _close(self, *, silently: bool) -> None:
        if self._ending is None:
            self.state = TransportState.CLOSED
            self._srtp_in = self._srtp_out = None
            self._ending = asyncio.create_task(self._end(silently))
        await asyncio.shield(self._ending)  # whoever gives up waiting must not leave sockets open

    async def _end(self, silently: bool) -> None:
        if self._resolving:
            for task in self._resolving:
                task.cancel()
            await asyncio.wait(tuple(self._resolving))
        if silently:
            await self._ice.transport.stop()  # DTLS has no way to tell of its end then
        await self._dtls.stop()
        await self._ice.transport.stop()
