"""One RTCP datagram that arrived: whose it is, and what it says of whom (RFC 3550 section 6.1)."""

from __future__ import annotations

from collections.abc import Hashable

from ..model import SdesType
from .outputs import Output
from .rtcp_wire import (
    Goodbye,
    ReceiverReport,
    RtcpPacket,
    SdesChunk,
    SenderReport,
    SourceDescription,
)


class Compound:
    """One datagram while it is dealt with."""

    __slots__ = (
        "leaving",
        "now",
        "origin",
        "outputs",
        "packets",
        "reporter",
        "reporters",
        "voices",
    )

    def __init__(self, packets: list[RtcpPacket], now: float, origin: Hashable) -> None:
        self.packets = packets
        self.now = now
        self.origin = origin
        self.outputs: list[Output] = []
        self.reporter: int | None = None
        """The first who reports: who speaks for those that do not report themselves."""
        self.reporters: set[int] = set()
        self.leaving: set[int] = set()
        self.voices: set[int] = set()
        """Whose RTCP this is: who reports or is described."""
        for packet in packets:
            if isinstance(packet, SenderReport | ReceiverReport):
                if self.reporter is None:
                    self.reporter = packet.ssrc
                self.reporters.add(packet.ssrc)
                self.voices.add(packet.ssrc)
            elif isinstance(packet, SourceDescription):
                self.voices.update(chunk.ssrc for chunk in packet.chunks)
            elif isinstance(packet, Goodbye):
                self.leaving.update(packet.ssrcs)

    def cname(self, ssrc: int) -> str:
        """What the datagram says is the CNAME of a source; "" when nothing."""
        for packet in self.packets:
            if isinstance(packet, SourceDescription):
                for chunk in packet.chunks:
                    if chunk.ssrc == ssrc and (cname := cname_of(chunk)):
                        return cname
        return ""


def cname_of(chunk: SdesChunk) -> str:
    """The CNAME that a chunk tells; "" when none."""
    return next((i.text for i in chunk.items if i.type == SdesType.CNAME), "")
