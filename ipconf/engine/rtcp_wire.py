"""RTCP datagrams as bytes: compound packets of every type (RFC 3550 section 6, RFC 5506).

Reports, descriptions of sources and feedback have modules of their own; here are the two types that
this package only hands through, and the frame around all of them. All names can be imported here.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

from ..errors import WireError
from .rtcp_feedback import (
    PAYLOAD_FEEDBACK,
    TRANSPORT_FEEDBACK,
    FullIntra,
    Nack,
    OtherFeedback,
    PictureLoss,
    Remb,
    unpack_feedback,
)
from .rtcp_reports import ReceiverReport, ReportBlock, SenderReport
from .rtcp_sources import (
    Goodbye,
    SdesChunk,
    SdesItem,
    SourceDescription,
    pack_chunk,
    pack_item,
)

__all__ = [
    "MAX_COMPOUND_BYTES",
    "MAX_COUNT",
    "PAYLOAD_FEEDBACK",
    "TRANSPORT_FEEDBACK",
    "App",
    "ExtendedReport",
    "FullIntra",
    "Goodbye",
    "Nack",
    "OtherFeedback",
    "PictureLoss",
    "ReceiverReport",
    "Remb",
    "ReportBlock",
    "RtcpPacket",
    "SdesChunk",
    "SdesItem",
    "SenderReport",
    "SourceDescription",
    "compose",
    "compose_compound",
    "describe_source",
    "frame",
    "pack_item",
    "parse_compound",
]

MAX_COUNT = 31
"""Report blocks, SDES chunks or BYE sources in one packet: the field has five bits."""

MAX_COMPOUND_BYTES = 9000
"""A jumbo frame. What needs fragments all the same has thousands of made-up sources."""

_HEADER = struct.Struct("!BBH")
_APP_HEAD = struct.Struct("!I4s")
_SSRC = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class App:
    """Something between applications (RFC 3550 section 6.7)."""

    packet_type: ClassVar[int] = 204

    subtype: int
    """0 to 31."""
    ssrc: int
    name: str
    """Four characters, usually ASCII."""
    data: bytes = b""
    """Whole 32-bit words."""

    #  0                   1                   2                   3
    #  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |V=2|P| subtype |   PT=APP=204  |             length            |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |                           SSRC/CSRC                           |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |                          name (ASCII)                         |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |                   application-dependent data                ...

    def pack(self) -> tuple[int, bytes]:
        """The subtype field and the body, for `compose`."""
        if len(self.name) != 4 or max(self.name) > "\xff":
            raise WireError(f"the name of an APP packet is four ASCII characters: {self.name!r}")
        return self.subtype, _APP_HEAD.pack(self.ssrc, self.name.encode("latin-1")) + self.data

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """The packet in a body; `WireError` when it is too short."""
        if len(body) < _APP_HEAD.size:
            raise WireError("APP packet ends before its name")
        ssrc, name = _APP_HEAD.unpack_from(body)
        # Latin-1 maps all bytes, so that even a name that is not ASCII survives.
        return cls(count, ssrc, name.decode("latin-1"), body[_APP_HEAD.size :])


@dataclass(frozen=True, slots=True)
class ExtendedReport:
    """Report blocks beyond loss and jitter, kept as they stand (RFC 3611 section 2)."""

    packet_type: ClassVar[int] = 207

    ssrc: int
    blocks: bytes = b""
    """Whole 32-bit words."""

    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |V=2|P|reserved |   PT=XR=207   |             length            |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |                              SSRC                             |
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # :                         report blocks                         :

    def pack(self) -> tuple[int, bytes]:
        """The reserved field and the body, for `compose`."""
        return 0, _SSRC.pack(self.ssrc) + self.blocks

    @classmethod
    def unpack(cls, _count: int, body: bytes) -> Self:
        """The packet in a body; `WireError` when it is too short."""
        if len(body) < _SSRC.size:
            raise WireError("XR packet ends before its SSRC")
        (ssrc,) = _SSRC.unpack_from(body)
        return cls(ssrc, body[_SSRC.size :])


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | App
    | ExtendedReport
    | Nack
    | PictureLoss
    | FullIntra
    | Remb
    | OtherFeedback
)
"""Any packet that `parse_compound` returns and `compose` takes."""

_UNPACK: dict[int, Callable[[int, bytes], RtcpPacket]] = {
    SenderReport.packet_type: SenderReport.unpack,
    ReceiverReport.packet_type: ReceiverReport.unpack,
    SourceDescription.packet_type: SourceDescription.unpack,
    Goodbye.packet_type: Goodbye.unpack,
    App.packet_type: App.unpack,
    TRANSPORT_FEEDBACK: partial(unpack_feedback, TRANSPORT_FEEDBACK),
    PAYLOAD_FEEDBACK: partial(unpack_feedback, PAYLOAD_FEEDBACK),
    ExtendedReport.packet_type: ExtendedReport.unpack,
}


def parse_compound(data: bytes) -> tuple[list[RtcpPacket], int]:
    """Take a datagram apart: the packets understood, and how many were skipped as malformed.

    Any packet may come first or alone (RFC 5506); packets of unknown type are passed over.
    `WireError` when the datagram is no RTCP at all: its first packet has no whole header, another
    version than 2, or more length than there is. Or when it has more than `MAX_COMPOUND_BYTES`.
    """
    if len(data) > MAX_COMPOUND_BYTES:
        raise WireError(
            f"{len(data)} bytes are no RTCP compound; up to {MAX_COMPOUND_BYTES} are read"
        )
    if len(data) < 4 or data[0] >> 6 != 2 or 4 + 4 * (data[2] << 8 | data[3]) > len(data):
        raise WireError(f"{len(data)} bytes that begin with {data[:4].hex()!r} are no RTCP")
    packets: list[RtcpPacket] = []
    malformed = 0
    position = 0
    while position + 4 <= len(data):
        first, packet_type, words = _HEADER.unpack_from(data, position)
        start = position + 4
        position = start + 4 * words
        if first >> 6 != 2 or position > len(data):
            malformed += 1
        elif unpack := _UNPACK.get(packet_type):
            try:
                body = data[start:position]
                if first & 0x20:
                    body = _without_padding(body, last=position == len(data))
                packets.append(unpack(first & 0x1F, body))
            except WireError:
                malformed += 1
    # One to three bytes behind the last packet are one more that cannot be read.
    return packets, malformed + (position < len(data))


def _without_padding(body: bytes, *, last: bool) -> bytes:
    # RFC 3550 section 6.4.1: a multiple of four, the count itself included; only the last packet.
    padding = body[-1] if body else 0
    if not last or not padding or padding % 4 or padding > len(body):
        raise WireError(f"RTCP packet cannot have {padding} bytes of padding here")
    return body[:-padding]


def frame(packet_type: int, count: int, body: bytes) -> bytes:
    """A packet of a body that is packed already: whole words, `count` at most `MAX_COUNT`."""
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def describe_source(ssrc: int, items: bytes) -> bytes:
    """An SDES packet of one chunk, whose items are packed already."""
    return frame(SourceDescription.packet_type, 1, pack_chunk(ssrc, items))


def compose(packet: RtcpPacket) -> bytes:
    """One packet as bytes; `WireError` when something of it does not fit its field.

    What the fields take stands at the types; lists are counted in five bits (`MAX_COUNT`).
    """
    name = type(packet).__name__
    try:
        count, body = packet.pack()
        if count > MAX_COUNT:
            raise WireError(f"{name} counts up to {MAX_COUNT}, not to {count}")
        if len(body) % 4:
            raise WireError(f"{name} needs whole 32-bit words, its body has {len(body)} bytes")
        return frame(packet.packet_type, count, body)
    except struct.error as exc:
        raise WireError(f"a value does not fit {name}: {exc}") from None


def compose_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """A datagram of several packets, in the order given."""
    return b"".join(map(compose, packets))
