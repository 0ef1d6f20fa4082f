"""Taking part in a conference by its description alone: nobody is asked, and nobody answers.

description ──> the lines that can be used ──> a transport and an RTP session for each
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..engine.rtcp_timing import MIN_INTERVAL_S
from ..errors import NegotiationError, TransportError
from ..model import CallSettings, LoopbackMode
from ..transports.base import GroupTransport, Loss
from ..transports.group_lines import GroupLine, agree_on_description
from ..transports.negotiation import Agreed, Formats, Refused
from ..transports.plain import PlainTransport
from ..transports.udp import UdpTransport
from .agreement import SessionTerms
from .sections import fresh_ssrcs

if TYPE_CHECKING:
    from ..sdp import ConferenceDescription
    from ..transports.group_sockets import GroupPlace

MakeGroupTransport = Callable[["GroupPlace"], GroupTransport]


@dataclass(slots=True, eq=False)
class GroupBearer:
    """The transport of one line: towards its group, or the one far end that it names."""

    line: GroupLine
    transport: GroupTransport | UdpTransport

    @property
    def lines(self) -> list[Agreed]:
        """The one line."""
        return [self.line.agreed]

    async def open(self) -> None:
        """Be where the description says; TransportError or NegotiationError if that cannot be."""
        transport, place, crypto = self.transport, self.line.place, self.line.crypto
        if crypto is not None:
            if not isinstance(transport, PlainTransport):
                raise TransportError(
                    "the line is encrypted, which the transport of this provider is not made for"
                )
            transport.secure(crypto, crypto, shared=True)
        await transport.open()
        if isinstance(transport, UdpTransport):
            transport.expect({f.payload_type for f in self.line.agreed.receive})
            host = str(place.group)
            transport.connect_to((host, place.port), (host, place.rtcp_port))


class GroupNegotiator:
    """What a call agrees on with a description, and the transports for that.

    NegotiationError if there is nothing in it that the call can use.
    """

    awaits_answer = False
    slides = ()

    def __init__(
        self,
        description: ConferenceDescription,
        formats: Formats,
        settings: CallSettings,
        make: Callable[[GroupLine], GroupTransport | UdpTransport],
    ) -> None:
        self._settings = settings
        self.ssrcs, self.repair_ssrcs = fresh_ssrcs(), fresh_ssrcs()
        self.refused: list[Refused] = []
        self.bearers: list[GroupBearer] = []
        for line in agree_on_description(description, formats, settings):
            if isinstance(line, Refused):
                self.refused.append(line)
            else:
                self.bearers.append(GroupBearer(line, make(line)))
        if not self.bearers:
            reasons = "; ".join(f"line {r.index + 1}: {r.reason}" for r in self.refused)
            raise NegotiationError(
                f"nothing in the description of {description.name!r} can be used"
                + (f": {reasons}" if reasons else ", since it has no media")
            )

    def terms(self, carrier: GroupBearer) -> SessionTerms:
        """The rules of RFC 3550 for groups: everybody counts everybody."""
        settings, line = self._settings, carrier.line
        return SessionTerms(
            bandwidth_bps=line.bandwidth_bps or settings.session_bandwidth_bps,
            min_interval_s=settings.rtcp_min_interval_s or MIN_INTERVAL_S,
            unicast=not line.is_group,
            max_sources=settings.max_people,
            own_origin=getattr(carrier.transport, "own", None),
        )

    async def connect(self, connected: Callable[[GroupBearer], None]) -> None:
        """Join each group, telling of each as it is joined."""
        self.impair(self._settings.loss_percent, self._settings.loss_seed)
        for bearer in self.bearers:
            await bearer.open()
            connected(bearer)

    def impair(self, percent: float, seed: int) -> None:
        """Lose that share of the datagrams of every transport from now on; 0 heals them."""
        for bearer in self.bearers:
            bearer.transport.impair(Loss(percent, seed) if percent else None)

    async def close(self, *, silently: bool = False) -> None:
        """Leave every group."""
        for bearer in self.bearers:
            await bearer.transport.close()


class Group:
    """The conference that a call is to join, and what of it holds over several attempts."""

    def __init__(self, description: ConferenceDescription, make: MakeGroupTransport) -> None:
        self.description = description
        self._make = make
        self._loopback = LoopbackMode.NONE
        self._transports: list[GroupTransport] = []

    @property
    def loopback(self) -> LoopbackMode:
        """What this machine hears of what the call sends."""
        return self._loopback

    @loopback.setter
    def loopback(self, mode: LoopbackMode) -> None:
        self._loopback = mode
        for transport in self._transports:
            transport.loopback = mode

    def negotiator(self, formats: Formats, settings: CallSettings) -> GroupNegotiator:
        """A new attempt to join; its transports take the place of those before."""
        self._transports.clear()

        def transport(line: GroupLine) -> GroupTransport | UdpTransport:
            if not line.is_group:
                return _unicast(line, settings)
            made = self._make(line.place)
            made.loopback = self._loopback
            self._transports.append(made)
            return made

        return GroupNegotiator(self.description, formats, settings, transport)


def _unicast(line: GroupLine, settings: CallSettings) -> UdpTransport:
    mux = line.place.port == line.place.rtcp_port
    host, ports = str(settings.rtp_address), settings.port_range
    return UdpTransport(host, ports, mux=mux, symmetric=settings.symmetric_rtp)
