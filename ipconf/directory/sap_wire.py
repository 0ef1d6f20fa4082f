"""SAP packets as bytes (RFC 2974 section 6).

```
 0 1 2   3 4 5 6 7   8                 16                            32
| V=1 | A R T E C | authentication | message identifier hash          |
| originating source: 4 bytes, or 16 if A                            ...
| authentication data: as many words of 32 bits as the length says   ...
| payload type, with a zero byte after it; may be missing            ...
| payload, usually SDP                                               ...
```
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from ..errors import WireError

VERSION = 1
SDP_TYPE = "application/sdp"
MAX_INFLATED_BYTES = 16_384
"""Of a compressed payload; RFC 2974 asks for 1 kB."""
MAX_TYPE_BYTES = 128
_IPV6, _DELETION, _ENCRYPTED, _COMPRESSED = 0x10, 0x04, 0x02, 0x01


@dataclass(frozen=True, slots=True)
class SapPacket:
    """An announcement, or a deletion."""

    source: IPv4Address | IPv6Address
    """Whose announcement it is; not necessarily where the packet comes from."""
    message_hash: int
    """16 bits that differ from those of another edition; 0 says nothing."""
    payload: bytes
    """Not compressed; of an encrypted packet as it came."""
    is_deletion: bool = False
    is_encrypted: bool = False
    payload_type: str = SDP_TYPE
    """In lower case."""


def hash_of(payload: bytes) -> int:
    """A message identifier hash for this payload: 1 to 65535."""
    return zlib.crc32(payload) & 0xFFFF or 1


def write_packet(packet: SapPacket, *, compress: bool = False) -> bytes:
    """The packet as bytes, without authentication; encrypted payloads are written as they are."""
    flags = VERSION << 5
    flags |= _IPV6 if packet.source.version == 6 else 0
    flags |= _DELETION if packet.is_deletion else 0
    flags |= _ENCRYPTED if packet.is_encrypted else 0
    flags |= _COMPRESSED if compress else 0
    body = packet.payload
    if not packet.is_encrypted:
        body = packet.payload_type.encode() + b"\0" + body
    header = bytes((flags, 0)) + packet.message_hash.to_bytes(2, "big") + packet.source.packed
    return header + (zlib.compress(body, 9) if compress else body)


def parse_packet(data: bytes) -> SapPacket:
    """Read a packet; WireError says what is wrong with it. Authentication data are skipped."""
    if len(data) < 8:
        raise WireError(f"a SAP packet of {len(data)} bytes is too short")
    flags, words = data[0], data[1]
    if flags >> 5 != VERSION:
        raise WireError(f"SAP version {flags >> 5} is not understood")
    source_end = 20 if flags & _IPV6 else 8
    start = source_end + 4 * words
    if len(data) < start:
        raise WireError("the SAP packet ends in its header")
    source = ip_address(data[4:source_end])
    message_hash = int.from_bytes(data[2:4], "big")
    is_deletion, is_encrypted = bool(flags & _DELETION), bool(flags & _ENCRYPTED)
    body = data[start:]
    if is_encrypted:
        return SapPacket(source, message_hash, body, is_deletion, True, "")
    kind, payload = _split_inflated(body) if flags & _COMPRESSED else _split(body)
    return SapPacket(source, message_hash, payload, is_deletion, False, kind)


def _split_inflated(body: bytes) -> tuple[str, bytes]:
    """Type and payload of a compressed body; whether the type is in it the RFC leaves open."""
    try:
        return _split(_inflate(body))
    except zlib.error:
        kind, payload = _split(body)
    try:
        return kind, _inflate(payload)
    except zlib.error:
        raise WireError("the payload is marked as compressed, and is not") from None


def _inflate(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    payload = inflater.decompress(body, MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise WireError(f"the payload has more than {MAX_INFLATED_BYTES} bytes, inflated")
    if not inflater.eof:
        raise zlib.error("it ends too early")
    return payload


def _split(body: bytes) -> tuple[str, bytes]:
    """Type and payload: SDP needs no type, and a deletion may be an origin line alone."""
    if body.startswith((b"v=0", b"o=")):
        return SDP_TYPE, body
    kind, zero, payload = body[: MAX_TYPE_BYTES + 1].partition(b"\0")
    if not zero:
        raise WireError("the payload is no SDP, and has no type")
    if not kind.isascii() or not kind.decode().isprintable():
        raise WireError("the payload's type is no text")
    return kind.decode().lower() or SDP_TYPE, body[len(kind) + 1 :]
