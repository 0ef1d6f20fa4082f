"""Terminals that join a call to others: they take packets as they arrive, and send what is encoded.

A conference selects one of each on its calls. Nothing is decoded, encoded or put in order for them
by the stream; the rules of selecting, pausing and stopping are those of every terminal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from ..engine.convoy import Convoy
from ..engine.forwarding import ForwardedPeople
from ..engine.local_source import LocalSource, SharedTail
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.skimming import Skimmer, Skimming
from ..model import CallSettings
from .base import Terminal, TerminalHost

PacketTaker = Callable[[RtpPacket, float], None]
"""Takes one packet, with the time: `PacketSink.packet_arrived`, or what is quicker."""


class PacketSink(Terminal, ABC):
    """Takes the packets of an arriving stream, everybody's, as they come."""

    def begin(self, formats: tuple[PayloadFormat, ...]) -> None:
        """Packets of these formats may come from now on: those of the first section."""

    def section(self, mid: str, formats: tuple[PayloadFormat, ...], content: str) -> None:
        """Sources with that `mid` send these formats, and show `content` (RFC 4796) or "".

        Told of each section that arrives, the first included, after `begin`.
        """

    @abstractmethod
    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that the session has validated. Called for each one: be quick."""

    def taker(self, source: RemoteSource) -> PacketTaker:
        """What takes the packets of somebody of whom one has arrived, until they are gone or `end`.

        The stream may call it instead of `packet_arrived`, and may ask again at any time.
        """
        return self.packet_arrived

    def skimmer(self, source: RemoteSource, skimming: Skimming) -> Skimmer | None:
        """What takes packets of somebody unparsed, as long as `taker` holds; None: nothing does.

        `skimming` restores them.
        """
        return None

    def source_gone(self, source: RemoteSource) -> None:
        """Somebody will send no more."""

    def end(self) -> None:
        """No more packets until `begin` is called anew. May be repeated."""


class Outlet(Protocol):
    """What a sent stream offers those who send payloads on it."""

    mid: str
    """Of its media section."""
    format: PayloadFormat
    """What payloads are to be, with the far end's parameters."""
    formats: tuple[PayloadFormat, ...]
    """All that payloads may be, that one first, each under the payload type to send it with."""
    riding: tuple[PayloadFormat, ...]
    """What else may be sent: comfort noise, telephone events."""
    ssrcs: tuple[int, ...]
    """Ours, under which packets and reports are sent."""
    settings: CallSettings
    source: LocalSource
    """Our source in the section; it makes the packets that `transmit` takes."""
    on_key_frame_request: Callable[[], None]
    """Set it, to be told that a receiver needs a picture that stands for itself."""
    on_new_ssrc: Callable[[], None]
    """Set it, to be told that `ssrc` is another one from now on (RFC 3550 section 8.2)."""
    on_taken: Callable[[], None]
    """Set it, to be told that for some time nothing that is sent goes out: telephone events have
    its place. Nothing may be shared with others from then on, until `sharing` says so."""
    on_bitrate: Callable[[int, tuple[int, ...]], None]
    """Set it, to be told that no more than so many bit/s get through, on all of these SSRCs of ours
    together, that of this section among them."""

    @property
    def ssrc(self) -> int:
        """Ours in this section; another one after a collision."""

    @property
    def reported_loss(self) -> float:
        """Share of the packets, 0..1, that the far end lost of late, the worst of its reports."""

    def forward(self, people: ForwardedPeople, leg: Hashable) -> None:
        """Tell the far end of the people of a conference, but for those on `leg`."""

    def send(
        self,
        payload: bytes,
        timestamp: int,
        now: float,
        *,
        marker: bool,
        level: int | None,
        csrcs: Sequence[int],
        csrc_levels: Sequence[int],
        captured_at: float | None = None,
    ) -> None:
        """Send one packet now; `timestamp` counts on the provider's clock, levels are 0 .. 127.

        `captured_at` is the instant that the timestamp stands for, without it now.
        """

    def transmit(self, datagram: bytes, marker: bool) -> None:
        """Send a packet now that `source` has made; `marker` if a picture ends with it."""

    @property
    def sharing(self) -> Hashable:
        """Outlets of which this is equal can send the same tails; None: this one cannot, now."""

    def tail(
        self, payload: bytes, level: int, csrcs: Sequence[int], csrc_levels: Sequence[int]
    ) -> SharedTail:
        """Everything of a packet that all outlets of equal `sharing` can send."""

    def join(self, convoy: Convoy) -> None:
        """Let what is sent there be sent here, too, instead of anywhere else."""

    def part(self) -> None:
        """Let nothing be sent here that is sent elsewhere; harmless when repeated."""


class PacketSource(Terminal, ABC):
    """Sends payloads on a stream, at its own pace; a stream that has one takes nothing else."""

    outlet: Outlet | None = None
    """Where to send to, in the first section; None while the stream does not run."""

    def begin(self, outlet: Outlet) -> None:
        """The stream runs from now on."""
        self.outlet = outlet

    def extend(self, outlet: Outlet) -> None:
        """A further section of the stream can be sent to, until `end`."""

    def end(self) -> None:
        """The stream runs no more, in no section. May be repeated."""
        self.outlet = None

    def detach(self, host: TerminalHost) -> None:
        super().detach(host)
        self.end()
