"""The transports of a call: opened, given the lines that they carry, connected, and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..model import CallSettings
from ..transports.base import Loss, SignalledTransport
from ..transports.negotiation import Agreed
from ..transports.roles import answer_role

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

    def __init__(self, settings: CallSettings, make: TransportFactory) -> None:
        self._settings = settings
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
        await bearer.transport.connect(bearer.remote, offered=offered, role=bearer.role)
        connected(bearer)

    async def close(self, *, silently: bool) -> None:
        """Close each, or abandon it without a word."""
        ends = (b.transport.abandon() if silently else b.transport.close() for b in self._opened)
        for failure in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(failure, Exception):
                context = {"message": "a transport did not close", "exception": failure}
                asyncio.get_running_loop().call_exception_handler(context)
