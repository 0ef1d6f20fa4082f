"""STUN that comes to plain RTP: some telephones keep their router's mapping alive by it. Sans-IO.

A binding request without anything that must be understood is answered (RFC 5389 section 7.3), so
few times a second that nobody's packets are multiplied: an answer has at most 44 bytes.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

MAX_ANSWERS_PER_S = 5

_HEADER_BYTES = 20
_COOKIE = b"\x21\x12\xa4\x42"
_REQUEST, _SUCCESS = b"\x00\x01", b"\x01\x01"
_XOR_MAPPED_ADDRESS = 0x0020
_OPTIONAL = 0x8000  # attributes from here on may be passed over
_MAX_BYTES = 548  # of a request (RFC 5389 section 7.1)


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN, by its first bits, cookie and length (RFC 5389 section 6)."""
    return (
        len(data) >= _HEADER_BYTES
        and data[0] < 4
        and data[4:8] == _COOKIE
        and int.from_bytes(data[2:4], "big") == len(data) - _HEADER_BYTES
    )


class StunAnswerer:
    """Answers binding requests, `MAX_ANSWERS_PER_S` at most."""

    __slots__ = ("_room", "_until")

    def __init__(self) -> None:
        self._until = 0.0
        self._room = 0

    def answer(self, data: bytes, address: tuple[Any, ...], now: float) -> bytes | None:
        """What to send back to where a STUN message came from; None: nothing."""
        if data[:2] != _REQUEST or len(data) > _MAX_BYTES or _wants_more(data):
            return None
        if now >= self._until:
            self._until, self._room = now + 1.0, MAX_ANSWERS_PER_S
        self._room -= 1
        return None if self._room < 0 else _success(data[8:_HEADER_BYTES], *address[:2])


def _wants_more(request: bytes) -> bool:
    """Whether it has an attribute that must be understood: a user's name, as ICE's checks."""
    at = _HEADER_BYTES
    while at + 4 <= len(request):
        kind, size = struct.unpack_from("!HH", request, at)
        if kind < _OPTIONAL:
            return True
        at += 4 + (size + 3 & ~3)
    return at != len(request)


def _success(transaction: bytes, host: str, port: int) -> bytes:
    address = ip_address(host.partition("%")[0])
    mask = _COOKIE + transaction
    hidden = bytes(a ^ b for a, b in zip(address.packed, mask, strict=False))
    family = 1 if address.version == 4 else 2
    value = struct.pack("!BBH", 0, family, port ^ int.from_bytes(mask[:2], "big")) + hidden
    attribute = struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(value)) + value
    return _SUCCESS + struct.pack("!H", len(attribute)) + _COOKIE + transaction + attribute
