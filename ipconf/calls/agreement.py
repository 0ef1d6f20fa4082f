"""What a connection needs of whoever found the transports of a call and what goes over them.

Two do: `Negotiator`, with one far end, and `GroupNegotiator`, by what a description says.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..engine.session_config import MAX_SOURCES

if TYPE_CHECKING:
    from ..transports.base import RtpTransport
    from ..transports.negotiation import Agreed, Refused


class Carrier(Protocol):
    """A transport and the agreed m-lines that it carries."""

    @property
    def transport(self) -> RtpTransport:
        """What carries them."""

    @property
    def lines(self) -> Sequence[Agreed]:
        """All in one RTP session."""


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What of an RTP session depends on who is at the other end; as in `SessionConfig`."""

    bandwidth_bps: float
    min_interval_s: float
    unicast: bool
    one_person: bool = False
    single_chunk_sdes: bool = False
    reduced_size: bool = False
    max_sources: int = MAX_SOURCES
    own_origin: Hashable = None


class Agreement(Protocol):
    """One set of transports for the media of a call, and how they are connected and closed."""

    refused: list[Refused]
    """The m-lines that are not part of the call."""

    @property
    def bearers(self) -> Sequence[Carrier]:
        """The transports that carry something; empty before the agreement."""

    @property
    def slides(self) -> Sequence[int]:
        """The m-lines, by index, of the further capture streams, in their order."""

    @property
    def ssrcs(self) -> Mapping[str, int]:
        """Our SSRC of each section by its mid; each is there when it is asked for."""

    @property
    def repair_ssrcs(self) -> Mapping[str, int]:
        """Our retransmission SSRCs, likewise."""

    @property
    def awaits_answer(self) -> bool:
        """Whether an offer of ours is open."""

    def terms(self, carrier: Any) -> SessionTerms:
        """What holds for the session on one of `bearers`."""

    async def connect(self, connected: Callable[[Any], None]) -> None:
        """Connect each bearer, and call `connected` with it; raises the first TransportError."""

    def impair(self, percent: float, seed: int) -> None:
        """Lose that share of the datagrams of every transport from now on; 0 heals them."""

    async def close(self, *, silently: bool = False) -> None:
        """Close every transport that was opened, or abandon them without a word."""
