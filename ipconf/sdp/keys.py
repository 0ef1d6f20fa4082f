"""Keys that descriptions tell: a=crypto (RFC 4568, RFC 7714), and what is said of k=. Sans-IO.

Nothing here shows a key: not what is printed of an object, and no error.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..errors import ConfigurationError
from .fields import Key

AES_80, AES_32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
GCM_128, GCM_256 = "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"
KEY_BYTES = {GCM_256: 44, GCM_128: 28, AES_80: 30, AES_32: 30}
"""Master key and salt of each suite that we know, best first."""
MAX_LIFETIME = 1 << 48
"""Packets under one master key at most (RFC 3711 section 9.2)."""

_LINE = re.compile(r"\s*([0-9]{1,9})\s+([A-Za-z0-9_-]{1,64})\s+(\S+)(?:\s+(.*?))?\s*")
_LIFETIME = re.compile(r"2\^([0-9]{1,2})|([0-9]{1,15})")
_MKI = re.compile(r"[0-9]+:[0-9]+")
_PARAMETER = re.compile(r"-?[A-Z0-9_]{1,32}(?==|$)")
_HARMLESS = ("WSH", "FEC_ORDER")
"""A wish for the replay window, and an order of what nobody does here."""
_METHODS = {
    "clear": "is a key for an encryption that nobody names",
    "base64": "is a key for an encryption that nobody names",
    "uri": "is an address to get a key from, which nobody does here",
    "prompt": "wants a person to be asked for a key",
}


@dataclass(frozen=True, slots=True)
class Crypto:
    """A master key for SRTP, and what it is used with."""

    tag: int
    """By which an answer says which of several it has taken."""
    suite: str
    key: bytes = field(repr=False)
    """The master key, and the salt behind it."""
    lifetime: int = MAX_LIFETIME
    """Packets that may be sent under it."""

    def to_value(self) -> str:
        """What stands behind `a=crypto:`, the key included."""
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def new_crypto(suite: str = AES_80, tag: int = 1) -> Crypto:
    """A random key for one of `KEY_BYTES`; ConfigurationError for another suite."""
    if suite not in KEY_BYTES:
        raise ConfigurationError(f"{suite!r} is an unknown suite; give {', '.join(KEY_BYTES)}")
    return Crypto(tag, suite, secrets.token_bytes(KEY_BYTES[suite]))


def read_crypto(value: str) -> Crypto:
    """The value of an a=crypto line; ValueError says why it cannot be used, but not the key."""
    match = _LINE.fullmatch(value)
    if match is None:
        raise ValueError("a=crypto has no tag, suite and key")
    tag, suite, parameters, session = match.groups()
    named = f"a=crypto:{int(tag)} {suite}"
    if suite not in KEY_BYTES:
        raise ValueError(f"{named} is an unknown suite")
    for word in (session or "").split():
        name = _PARAMETER.match(word)
        if name is None or name[0].lstrip("-") not in _HARMLESS:
            if name is not None and name[0].startswith("-"):
                continue  # it may be ignored (RFC 4568 section 6.3.7)
            said = name[0] if name is not None else "a session parameter"
            raise ValueError(f"{named} wants {said}, which is not understood here")
    if ";" in parameters:
        raise ValueError(f"{named} has several keys, told apart by an MKI, which is not understood")
    method, _, rest = parameters.partition(":")
    if method != "inline":
        raise ValueError(f"{named} has a key of another method than inline")
    text, *more = rest.split("|")
    return Crypto(int(tag), suite, _key(named, suite, text), _lifetime(named, more))


def _key(named: str, suite: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{named} has a key that is no base64") from None
    if len(key) != KEY_BYTES[suite]:
        raise ValueError(f"{named} has a key of {len(key)} bytes; it takes {KEY_BYTES[suite]}")
    return key


def _lifetime(named: str, fields: list[str]) -> int:
    if any(_MKI.fullmatch(text) for text in fields):
        raise ValueError(f"{named} wants an MKI, which is not understood here")
    match = _LIFETIME.fullmatch(fields[0]) if fields else None
    if fields and (match is None or len(fields) > 1):
        raise ValueError(f"{named} has more behind its key than is understood here")
    if match is None:
        return MAX_LIFETIME
    packets = 1 << int(match[1]) if match[1] else int(match[2])
    if not packets:
        raise ValueError(f"{named} has a key that nothing may be sent with")
    return min(packets, MAX_LIFETIME)


def first_usable(values: Iterable[str], suites: Collection[str]) -> tuple[Crypto | None, str]:
    """Of several a=crypto lines the first that can be used with these suites; else why none can."""
    reasons = []
    for value in values:
        try:
            crypto = read_crypto(value)
        except ValueError as exc:
            reasons.append(str(exc))
            continue
        if crypto.suite in suites:
            return crypto, ""
        reasons.append(f"a=crypto:{crypto.tag} {crypto.suite} is not available here")
    return None, "; ".join(reasons[:4])


def about(key: Key) -> str:
    """Why a k= line is no help."""
    return f"k={key.method} {_METHODS[key.method]}; SRTP takes a=crypto (RFC 4568)"
