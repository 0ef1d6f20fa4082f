"""Transports of this package on this machine's sockets, and strangers who interfere with them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Generic, TypeVar

from aioice import stun
from aiortc import RTCCertificate, RTCIceCandidate, RTCIceParameters
from aiortc.sdp import MediaDescription
from peers import LIMIT_S, LOCALHOST, webrtc

from ipconf.engine.rtcp_wire import Goodbye, compose
from ipconf.engine.rtp_wire import compose_rtp
from ipconf.engine.session_config import PayloadFormat
from ipconf.model import CallSettings, GoneReason, MediaType
from ipconf.transports.base import RtpTransport, SignalledTransport
from ipconf.transports.description import MediaLine, write_description
from ipconf.transports.reading import read_description
from ipconf.transports.webrtc import WebRtcTransport

CERTIFICATE = RTCCertificate.generateCertificate()
LINE = MediaLine("0", MediaType.AUDIO, (PayloadFormat(111, "opus", 48_000, 2),), True, True)


def rtp(number: int = 0, payload: bytes = b"sound", ssrc: int = 0x1234) -> bytes:
    """An RTP packet with that sequence number."""
    return compose_rtp(111, number & 0xFFFF, number * 960, ssrc, payload)


RTCP = compose(Goodbye((0x1234,), "done"))


T = TypeVar("T", bound=RtpTransport)


class End(Generic[T]):
    """A transport, what it received, and why it ended."""

    def __init__(self, transport: T) -> None:
        self.transport = transport
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.origins: list[Hashable] = []
        self.ended: asyncio.Future[GoneReason] = asyncio.get_running_loop().create_future()
        transport.sink = self._sink
        transport.closed = self.ended.set_result

    def _sink(self, datagram: bytes, now: float, origin: Hashable = None) -> None:
        assert abs(now - asyncio.get_running_loop().time()) < LIMIT_S
        self.origins.append(origin)
        self.arrived.put_nowait(datagram)

    async def receives(self, *datagrams: bytes) -> None:
        """Wait for exactly these to arrive, in that order."""
        for datagram in datagrams:
            assert await self.arrived.get() == datagram
        assert self.arrived.empty()

    async def receives_up_to(self, last: bytes) -> list[bytes]:
        """Wait for `last`; what came before it, which on loopback is all that will."""
        datagrams = []
        while (datagram := await self.arrived.get()) != last:
            datagrams.append(datagram)
        return datagrams


def described(transport: SignalledTransport, role: str = "auto") -> MediaDescription:
    """What the far end reads of a transport, by way of the text."""
    line = transport.describe(role)
    text = write_description([(LINE, line)], [], session_id=1, reduced_size=False)
    return read_description(text).media[0]


async def opened(settings: CallSettings | None = None, *, offering: bool = True) -> WebRtcTransport:
    """A WebRTC transport with its sockets."""
    transport = WebRtcTransport(settings or webrtc(), CERTIFICATE)
    await transport.open(offering=offering)
    return transport


def address_of(transport: WebRtcTransport) -> tuple[str, int]:
    """Where the first socket of a transport is."""
    first = described(transport).ice_candidates[0]
    return first.ip, first.port


async def join(
    one: WebRtcTransport,
    other: WebRtcTransport,
    roles: tuple[str, str] = ("client", "server"),
    *,
    one_sees: MediaDescription | None = None,
    other_sees: MediaDescription | None = None,
) -> None:
    """Connect two transports, `one` being the one that offered."""
    await asyncio.gather(
        one.connect(one_sees or described(other, roles[1]), offered=True, role=roles[0]),
        other.connect(other_sees or described(one, roles[0]), offered=False, role=roles[1]),
    )


@asynccontextmanager
async def connected(
    settings: CallSettings | None = None, roles: tuple[str, str] = ("client", "server")
) -> AsyncIterator[tuple[End[WebRtcTransport], End[WebRtcTransport]]]:
    """Two ends that are connected; the first offered. They are closed when the test is over."""
    one, other = await opened(settings), await opened(settings, offering=False)
    try:
        await join(one, other, roles)
        yield End(one), End(other)
    finally:
        await one.close()
        await other.close()


class Stranger:
    """A plain UDP socket of somebody who was not asked."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOCALHOST, 0))
        self.socket.setblocking(False)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it is."""
        host, port = self.socket.getsockname()[:2]
        return host, port

    def send(self, address: tuple[str, int], *datagrams: bytes) -> None:
        """On loopback they are in the far end's socket when this returns."""
        for datagram in datagrams:
            self.socket.sendto(datagram, address)

    async def receive(self) -> bytes:
        """The next datagram that comes to it."""
        return await asyncio.get_running_loop().sock_recv(self.socket, 2048)


class Wire(asyncio.DatagramProtocol):
    """A relay that two ends take for each other; it keeps what passes."""

    def __init__(self) -> None:
        self.passed: list[bytes] = []
        self.target: tuple[str, int] = ("", 0)
        self.exit: Wire | None = None
        self.transport: Any = None

    @classmethod
    async def between(cls, one: WebRtcTransport, other: WebRtcTransport) -> tuple[Wire, Wire]:
        """The faces that `one` and `other` send to."""
        loop = asyncio.get_running_loop()
        faces = []
        for target in (address_of(other), address_of(one)):
            _, face = await loop.create_datagram_endpoint(cls, local_addr=(LOCALHOST, 0))
            face.target = target
            faces.append(face)
        faces[0].exit, faces[1].exit = faces[1], faces[0]
        return faces[0], faces[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.passed.append(data)
        self.pass_on(data)

    def pass_on(self, data: bytes) -> None:
        """Send something to the far end, from where it expects the near one."""
        assert self.exit is not None
        self.exit.transport.sendto(data, self.target)

    def stand_in(self, remote: MediaDescription) -> MediaDescription:
        """The far end's description with this address instead of its own."""
        port = self.transport.get_extra_info("sockname")[1]
        remote.ice_candidates = [replace(remote.ice_candidates[0], port=port)]
        return remote

    def close(self) -> None:
        """Cut the wire."""
        self.transport.close()


class Roamer(asyncio.DatagramProtocol):
    """An end's ICE identity at a new address: it answers checks, and nominates itself."""

    def __init__(self, own: RTCIceParameters, far: RTCIceParameters) -> None:
        self.own, self.far = own, far
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        """What came that is not STUN."""
        self.answers: asyncio.Queue[stun.Message] = asyncio.Queue()
        """What its own checks were answered."""
        self.checked = asyncio.Event()
        """Set once it has answered a check."""
        self.transport: Any = None

    @classmethod
    async def of(cls, end: WebRtcTransport, far: WebRtcTransport) -> Roamer:
        """Somebody with the credentials of `end`, as `far` knows them."""
        own, other = described(end).ice, described(far).ice
        assert own is not None and other is not None
        _, roamer = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(own, other), local_addr=(LOCALHOST, 0)
        )
        return roamer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data[0] > 3:
            self.received.put_nowait(data)
            return
        message = stun.parse_message(data)
        if message.message_class is not stun.Class.REQUEST:
            self.answers.put_nowait(message)
            return
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = addr
        answer.add_message_integrity(str(self.own.password).encode())
        self.transport.sendto(bytes(answer), addr)
        self.checked.set()

    def check(self, address: tuple[str, int], **attributes: Any) -> None:
        """Send a connectivity check (RFC 8445 section 7.2.4) with these attributes as well."""
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        check.attributes["USERNAME"] = f"{self.far.usernameFragment}:{self.own.usernameFragment}"
        check.attributes["ICE-CONTROLLING"] = 1 << 63
        check.attributes.update({k.replace("_", "-"): v for k, v in attributes.items()})
        check.add_message_integrity(str(self.far.password).encode())
        self.transport.sendto(bytes(check), address)

    def nominate(self, address: tuple[str, int]) -> None:
        """Ask the end at `address` to use the way to this one from now on."""
        self.check(address, PRIORITY=1, USE_CANDIDATE=None)

    def close(self) -> None:
        """Be gone."""
        self.transport.close()


def candidate(port: int, ip: str = LOCALHOST, **changes: Any) -> RTCIceCandidate:
    """A host candidate that goes before all others."""
    fields = {"component": 1, "foundation": "1", "protocol": "udp", "type": "host"}
    return RTCIceCandidate(ip=ip, port=port, priority=(1 << 31) - 1, **{**fields, **changes})


def has_address(host: str) -> bool:
    """Whether this machine has that IPv6 address."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.bind((host, 0))
        return True
    return False


def free_ports(count: int) -> int:
    """The first of so many UDP ports in a row that are free."""
    begin = 20_000 + os.getpid() % 200 * 50  # test runs side by side look in different places
    for first in range(begin, begin + 1000, count):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind((LOCALHOST, port))
            return first
    raise AssertionError("no free ports")
