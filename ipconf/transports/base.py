"""What carries the datagrams of one RTP session: the port that a call drives, whatever is below.

A transport hands each RTP or RTCP datagram, decrypted, to `sink`, and takes plain ones in `send`.
Write your own by deriving from `SignalledTransport`, and give it to calls in the `make_transport`
of a provider of your own. `RtpTransport` is what of it a connected call uses.
"""

from __future__ import annotations

import enum
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..model import GoneReason, LoopbackMode

if TYPE_CHECKING:
    from aiortc import RTCDtlsParameters, RTCIceCandidate, RTCIceParameters
    from aiortc.sdp import MediaDescription

    from ..errors import TransportError
    from ..sdp.keys import Crypto
    from .backlog import Backlog


class TransportState(enum.Enum):
    """Whether datagrams can travel."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


@dataclass(slots=True)
class TransportCounters:
    """What a transport sent, received and threw away, in datagrams and bytes."""

    sent: int = 0
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    unsent: int = 0
    """Not sent: no connection yet or any more, or too long for one datagram."""
    empty: int = 0
    """Datagrams without a byte in them."""
    unknown: int = 0
    """Neither STUN, DTLS nor RTP by their first byte (RFC 7983 section 7)."""
    stun: int = 0
    """STUN that came to plain RTP, answered or not."""
    foreign: int = 0
    """RTP and RTCP from elsewhere than the far end, once that was known, and so not taken."""
    early: int = 0
    """From before the far end was known, which gave way to later ones."""
    unauthenticated: int = 0
    """SRTP that did not verify: forged, replayed, damaged, or from before the keys were there; with
    keys from descriptions, in a flood of that also what was not looked at any more."""
    refused: int = 0
    """STUN or DTLS that the stack below could not digest."""
    flooded: int = 0
    """Received, and thrown away because there were too many (`max_packets_per_s`)."""
    dropped_on_purpose: int = 0
    """Lost by the `Loss` that was asked for."""

    def take_back(self, datagram: bytes) -> None:
        """One that was counted as sent was not."""
        self.sent -= 1
        self.sent_bytes -= len(datagram)
        self.unsent += 1


class Loss:
    """Drops datagrams on purpose, at random but the same way for the same seed."""

    def __init__(self, percent: float, seed: int = 0) -> None:
        self.percent = percent
        self._rng = random.Random(seed)

    def drop(self) -> bool:
        """Whether the next datagram is lost."""
        return self._rng.random() * 100.0 < self.percent


class Sink(Protocol):
    """Takes a datagram that arrived at `now` (loop seconds) from `origin` (an address, or None)."""

    def __call__(self, datagram: bytes, now: float, origin: Hashable = None) -> None: ...


def _discard(datagram: bytes, now: float, origin: Hashable = None) -> None:
    """The sink until a session is there: what comes too early is gone."""


class RtpTransport(ABC):
    """One path for RTP and RTCP to one far end or group.

    `closed` is called once, when the path ends without `close` having been asked for: with
    `GoneReason.BYE` if the far end shut it, `TIMEOUT` if it vanished. `doubted` is called with an
    SSRC whose packets do not verify, False and why; with True once they do again.
    """

    encrypts = False
    """Whether what is sent is encrypted by keys from descriptions (SRTP)."""
    shares_key = False
    """Whether others encrypt with the key that we do, so that no SSRC may be sent under twice."""
    error: TransportError | None = None
    """What went wrong here, where that is why the path has ended."""

    def __init__(self) -> None:
        self.sink: Sink = _discard
        self.closed: Callable[[GoneReason], None] = lambda reason: None
        self.doubted: Callable[[int, bool, str], None] = lambda ssrc, verifies, text: None
        self.state = TransportState.NEW
        self.counters = TransportCounters()
        self.loss: Loss | None = None

    @abstractmethod
    def send(self, datagram: bytes) -> None:
        """Send one RTP or RTCP datagram now; never blocks, never raises, counts what it cannot."""

    def send_rtp(self, datagram: bytes) -> None:
        """Send what is known to be RTP; a transport may have a shorter way for that."""
        self.send(datagram)

    def hold(self, backlog: Backlog | None) -> None:  # noqa: B027
        """Let packets wait there that it keeps, from now on; a transport need not."""

    @abstractmethod
    async def close(self) -> None:
        """Release sockets and tasks; harmless when repeated."""

    async def abandon(self) -> None:
        """Close without a word, because the two ends go on with each other on another path."""
        await self.close()

    def impair(self, loss: Loss | None) -> None:
        """Lose datagrams both ways on purpose from now on; None heals the path."""
        self.loss = loss

    def _lost(self) -> bool:
        if self.loss is None or not self.loss.drop():
            return False
        self.counters.dropped_on_purpose += 1
        return True


class GroupTransport(RtpTransport):
    """A transport to everybody in a group, and from them."""

    def __init__(self) -> None:
        super().__init__()
        self.own: Hashable = None
        """The origin of what this end sends, where it comes back; known once it is open."""

    @property
    @abstractmethod
    def loopback(self) -> LoopbackMode:
        """What of all that is sent here this machine hears."""

    @loopback.setter
    @abstractmethod
    def loopback(self, mode: LoopbackMode) -> None: ...

    @abstractmethod
    async def open(self) -> None:
        """Join the group; then `state` is CONNECTED. TransportError says why that cannot be."""


@dataclass(frozen=True, slots=True)
class WebRtcLine:
    """The transport part of an m-line that goes over ICE and DTLS-SRTP."""

    ice: RTCIceParameters
    candidates: Sequence[RTCIceCandidate]
    dtls: RTCDtlsParameters
    """Fingerprints, and our role: "auto", "client" or "server"."""


@dataclass(frozen=True, slots=True)
class PlainLine:
    """The transport part of an m-line that goes over plain RTP.

    With the same port for both, RTP and RTCP share it (RFC 5761). `crypto` are keys of which it is
    encrypted with one (RFC 4568); with none it is not.
    """

    host: str
    port: int
    rtcp_port: int
    crypto: tuple[Crypto, ...] = ()


class SignalledTransport(RtpTransport):
    """A transport whose addresses and keys the two ends tell each other in descriptions."""

    @abstractmethod
    async def open(self, *, offering: bool = True) -> None:
        """Take sockets and find out what to tell the far end; TransportError if there is none.

        `offering` says that ours will be the offer: who offers decides on ICE's path.
        """

    @abstractmethod
    def describe(self, role: str) -> WebRtcLine | PlainLine:
        """What the far end must know; `role` is our DTLS role: "auto", "client" or "server"."""

    def check(self, remote: MediaDescription) -> None:  # noqa: B027
        """NegotiationError where `connect` could not reach that; asked once this is open."""

    @abstractmethod
    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        """Reach the far end that wrote `remote`; `offered` if ours was the offer.

        `remote` has what its `describe` told: `host` and `port`, or `ice` and `dtls`. Afterwards
        `state` is CONNECTED.

        Raises TransportError, or ConnectTimeoutError after `connect_timeout_s`.
        """

    async def add_remote_candidate(self, candidate: RTCIceCandidate | None) -> None:
        """One more address of the far end, None after the last; nothing to do without ICE."""
