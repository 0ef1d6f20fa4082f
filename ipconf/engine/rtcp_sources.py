"""Who is there and who leaves: SDES and BYE packets of RTCP (RFC 3550 sections 6.5 and 6.6)."""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from ..errors import WireError
from ..model import MAX_SDES_BYTES, SdesType

_SSRC = struct.Struct("!I")
_END = 0  # the item type that ends a chunk


def _text(octets: bytes, room: int = MAX_SDES_BYTES) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        # A replacement character takes three bytes: cut, so that the text can be sent on.
        return octets.decode(errors="replace").encode()[:room].decode(errors="ignore")


def _octets(text: str) -> bytes:
    try:
        octets = text.encode()
    except UnicodeEncodeError as exc:
        raise WireError(f"text cannot be written as UTF-8: {exc}") from None
    if len(octets) > MAX_SDES_BYTES:
        raise WireError(f"text has {len(octets)} bytes in UTF-8; RTCP takes {MAX_SDES_BYTES}")
    return octets


@dataclass(frozen=True, slots=True)
class SdesItem:
    """One fact about a source; text and prefix together take at most 255 bytes of UTF-8."""

    type: int
    """`SdesType`, or another number from 1 to 255 that someone else has given a meaning."""
    text: str
    prefix: str = ""
    """What a PRIV item is about (RFC 3550 section 6.5.8); empty in all others."""

    #  0                   1                   2                   3
    #  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |     type      |     length    | text                        ...
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # |    PRIV=8     |     length    | prefix length |prefix string...
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # ...             |                  value string               ...
    # +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+


def pack_item(item: SdesItem) -> bytes:
    """An item as it stands in a chunk; `WireError` when something of it does not fit its field."""
    if not _END < item.type < 256:
        raise WireError(f"SDES item types go from 1 to 255, not {item.type}")
    value = _octets(item.text)
    if item.type == SdesType.PRIV:
        prefix = _octets(item.prefix)
        value = bytes((len(prefix),)) + prefix + value
        if len(value) > MAX_SDES_BYTES:
            raise WireError(f"PRIV item {item.prefix!r} is longer than {MAX_SDES_BYTES} bytes")
    elif item.prefix:
        raise WireError(f"only PRIV items have a prefix, not SDES type {item.type}")
    return bytes((item.type, len(value))) + value


def _unpack_item(kind: int, value: bytes) -> SdesItem | None:
    if kind != SdesType.PRIV:
        return SdesItem(kind, _text(value))
    if not value or value[0] >= len(value):
        return None  # a broken PRIV item costs nobody the CNAME next to it
    room = MAX_SDES_BYTES - 1
    prefix = _text(value[1 : 1 + value[0]], room)
    return SdesItem(kind, _text(value[1 + value[0] :], room - len(prefix.encode())), prefix)


@dataclass(frozen=True, slots=True)
class SdesChunk:
    """The items of one source."""

    ssrc: int
    items: tuple[SdesItem, ...] = ()


def pack_chunk(ssrc: int, items: bytes) -> bytes:
    """A chunk of items that are packed already, as whole words."""
    return _SSRC.pack(ssrc) + items + bytes(4 - len(items) % 4)  # _END, and zeros behind it


def _unpack_items(body: bytes, position: int) -> tuple[tuple[SdesItem, ...], int]:
    # -> the items of the chunk whose first item is at `position`, and where the next chunk starts
    items = []
    while position < len(body) and body[position] != _END:
        value = position + 2
        if value > len(body) or value + body[position + 1] > len(body):
            raise WireError("SDES item goes beyond its packet")
        kind = body[position]
        position = value + body[position + 1]
        item = _unpack_item(kind, body[value:position])
        if item is not None:
            items.append(item)
    # A last chunk without its END octet is harmless. The next one starts at a full word.
    return tuple(items), (position + 4) & ~3


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Facts about up to 31 sources (RFC 3550 section 6.5)."""

    packet_type: ClassVar[int] = 202

    chunks: tuple[SdesChunk, ...]

    #         0                   1                   2                   3
    #         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # header |V=2|P|    SC   |  PT=SDES=202  |             length            |
    #        +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    # chunk  |                          SSRC/CSRC_1                          |
    #   1    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        |         SDES items, END, 0 to 3 octets to a full word         |
    #        +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+

    def pack(self) -> tuple[int, bytes]:
        """The count field and the body, for `compose`."""
        chunks = (pack_chunk(c.ssrc, b"".join(map(pack_item, c.items))) for c in self.chunks)
        return len(self.chunks), b"".join(chunks)

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """The chunks in a body; `WireError` when it is too short for them."""
        chunks = []
        position = 0
        for _ in range(count):
            if position + _SSRC.size > len(body):
                raise WireError(f"SDES packet ends before the last of its {count} chunks")
            (ssrc,) = _SSRC.unpack_from(body, position)
            items, position = _unpack_items(body, position + _SSRC.size)
            chunks.append(SdesChunk(ssrc, items))
        return cls(tuple(chunks))


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Up to 31 sources leave (RFC 3550 section 6.6)."""

    packet_type: ClassVar[int] = 203

    ssrcs: tuple[int, ...]
    reason: str = ""

    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    # header |V=2|P|    SC   |   PT=BYE=203  |             length            |
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    #        :                           SSRC/CSRC                           :
    #        +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    # (opt)  |     length    |               reason for leaving            ...
    #        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

    def pack(self) -> tuple[int, bytes]:
        """The count field and the body, for `compose`."""
        body = b"".join(map(_SSRC.pack, self.ssrcs))
        if self.reason:
            reason = _octets(self.reason)
            reason = bytes((len(reason),)) + reason
            body += reason + bytes(-len(reason) % 4)
        return len(self.ssrcs), body

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """The sources in a body; `WireError` when it is too short for them."""
        end = count * _SSRC.size
        if end > len(body):
            raise WireError(f"BYE packet is too short for {count} sources")
        ssrcs = tuple(ssrc for (ssrc,) in _SSRC.iter_unpack(body[:end]))
        # A reason that claims to be longer than the packet is cut: the leaving is what counts.
        reason = body[end + 1 : end + 1 + body[end]] if end < len(body) else b""
        return cls(ssrcs, _text(reason))
