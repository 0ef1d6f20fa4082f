"""The transports of a call: opened, given the lines that they carry, connected, and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import NegotiationError, TransportError
from ..model import CallSettings
from ..sdp.keys import Crypto, new_crypto
from ..transports.base import Loss, PlainLine, SignalledTransport, WebRtcLine
from ..transports.inbound import LineMemory
from ..transports.line_keys import fresh_for_offer
from ..transports.negotiation import Agreed, Refused
from ..transports.plain import PlainTransport
from ..transports.roles import answer_role
from ..transports.udp import UdpTransport

if TYPE_CHECKING:
    from aiortc.sdp import MediaDescription

TransportFactory = Callable[[], SignalledTransport]


@dataclass(slots=True, eq=False)
class Bearer:
    """A transport and the agreed m-lines that it carries."""

    transport: SignalledTransport
    lines: list[Agreed] = field(default_factory=list)
    role: str = "server"
    """Our DTLS role."""
    keys: tuple[Crypto, ...] = ()
    """Those of ours that the far end is told; with one of them we encrypt what plain RTP sends."""

    def take(self, line: Agreed) -> Agreed | Refused:
        """Carry that line, too, unless its transport cannot be reached from here."""
        try:
            self.transport.check(line.transport)
        except NegotiationError as exc:
            return Refused(line.index, line.medium, str(exc))
        self.lines.append(line)
        return line

    def describe(self, role: str) -> WebRtcLine | PlainLine:
        """What the far end must know of it."""
        line = self.transport.describe(role)
        return replace(line, crypto=self.keys) if isinstance(line, PlainLine) else line

    def secure(self, memory: LineMemory) -> None:
        """Encrypt as was agreed on; TransportError where the transport is not made for that."""
        theirs = self.lines[0].crypto
        if theirs is None:
            return
        if not isinstance(self.transport, PlainTransport):
            raise TransportError(
                "keys were agreed on (a=crypto), which this provider's transport is not made for"
            )
        ours = next(key for key in self.keys if key.tag == theirs.tag)
        into = memory.of(self.lines[0].index, theirs)
        self.transport.secure(ours, theirs, into=into)

    @property
    def remote(self) -> MediaDescription:
        """The far end's description of its side of the transport."""
        return self.lines[0].transport

    @property
    def mid(self) -> str:
        """What the far end calls the transport: the mid of the line that describes it."""
        return self.remote.rtp.muxId or self.lines[0].mid


class Bearers:
    """Every transport that one negotiation has opened."""

    def __init__(
        self, settings: CallSettings, make: TransportFactory, memory: LineMemory | None = None
    ) -> None:
        """`memory` is what opened the lines in negotiations before."""
        self._settings = settings
        self._memory = LineMemory() if memory is None else memory
        self._make = make
        self._opened: list[Bearer] = []

    @property
    def carrying(self) -> list[Bearer]:
        """Those that carry something; none before the agreement."""
        return [bearer for bearer in self._opened if bearer.lines]

    def to(self, transport: MediaDescription) -> Bearer | None:
        """The one that goes there already, if there is one."""
        return next((b for b in self.carrying if b.remote is transport), None)

    async def open(self, answered: Agreed | None = None) -> Bearer:
        """Another one, to offer, or to answer that line; raises TransportError."""
        bearer = Bearer(self._make())
        if answered is None and self._settings.srtp == "sdes":
            bearer.keys = fresh_for_offer()
        elif answered is not None and answered.crypto is not None:
            bearer.keys = (new_crypto(answered.crypto.suite, answered.crypto.tag),)
        if answered is not None and answered.transport.dtls is not None:
            bearer.role = answer_role(answered.transport.dtls.role, self._settings.dtls_role)
        self._opened.append(bearer)
        await bearer.transport.open(offering=answered is None)
        if self._settings.loss_percent:
            bearer.transport.impair(Loss(self._settings.loss_percent, self._settings.loss_seed))
        return bearer

    def impair(self, percent: float, seed: int) -> None:
        """Lose that share of the datagrams of each from now on; 0 heals them."""
        for bearer in self._opened:
            bearer.transport.impair(Loss(percent, seed) if percent else None)

    async def close_unused(self) -> None:
        """Do without those that carry nothing, because the far end wants none of their lines."""
        for bearer in [b for b in self._opened if not b.lines]:
            self._opened.remove(bearer)
            await bearer.transport.close()

    async def connect(self, connected: Callable[[Bearer], None], *, offered: bool) -> None:
        """Connect each, telling of it as it is ready; raises the first TransportError."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for bearer in self.carrying:
                    tasks.create_task(self._connect(bearer, connected, offered))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _connect(
        self, bearer: Bearer, connected: Callable[[Bearer], None], offered: bool
    ) -> None:
        bearer.secure(self._memory)
        if isinstance(bearer.transport, UdpTransport):
            arriving = [line for line in bearer.lines if line.receives]
            bearer.transport.expect({f.payload_type for line in arriving for f in line.receive})
        await bearer.transport.connect(bearer.remote, offered=offered, role=bearer.role)
        connected(bearer)

    async def close(self, *, silently: bool) -> None:
        """Close each, or abandon it without a word."""
        ends = (b.transport.abandon() if silently else b.transport.close() for b in self._opened)
        for failure in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(failure, Exception):
                context = {"message": "a transport did not close", "exception": failure}
                asyncio.get_running_loop().call_exception_handler(context)
