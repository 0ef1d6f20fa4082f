"""What stands after the equals sign, line by line, as `fields`, `times` and `media` have it.

What is wrong is a ValueError, which ConfigurationError is, too.
"""

from __future__ import annotations

import re
from typing import Any

from .fields import Attribute, Bandwidth, Connection, Key, Origin
from .times import ZoneAdjustment
from .writing import UNITS

_SPAN = re.compile(r"(-?[0-9]{1,13})([dhms]?)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
_SECONDS = {**dict(UNITS), "s": 1, "": 1}


def read_media(value: str) -> dict[str, Any]:
    medium, ports, protocol, *formats = words_of(value, 4, more=True)
    port, _, count = ports.partition("/")
    fields = {"medium": medium, "port": number_of(port), "protocol": protocol}
    if count or "/" in ports:
        fields["port_count"] = number_of(count)
    return {**fields, "formats": tuple(formats)}


def read_origin(value: str) -> Origin:
    username, session_id, version, network, kind, address = words_of(value, 6)
    return Origin(
        username=username,
        session_id=number_of(session_id),
        session_version=number_of(version),
        network=network,
        address_type=kind,
        address=address,
    )


def read_connection(value: str) -> Connection:
    network, kind, place = words_of(value, 3)
    address, *numbers = place.split("/")
    if len(numbers) > (1 if kind == "IP6" else 2):
        raise ValueError(f"{place[:80]!r} has too many slashes for {kind[:80]}")
    fields: dict[str, Any] = {}
    names = ("count",) if kind == "IP6" else ("ttl", "count")
    for name, number in zip(names, numbers, strict=False):
        fields[name] = number_of(number)
    return Connection(network=network, address_type=kind, address=address, **fields)


def read_bandwidth(value: str) -> Bandwidth:
    modifier, _, number = value.partition(":")
    return Bandwidth(modifier=modifier, value=number_of(number.strip()))


def read_key(value: str) -> Key:
    method, colon, key = value.partition(":")
    return Key(method=method, value=key if colon else None)  # type: ignore[arg-type]


def read_attribute(value: str) -> Attribute:
    name, colon, text = value.partition(":")
    return Attribute(name=name, value=text if colon else None)


def read_adjustments(value: str) -> tuple[ZoneAdjustment, ...]:
    words = value.split()
    if not words or len(words) % 2:
        raise ValueError("adjustments are pairs of a time and a shift")
    return tuple(
        ZoneAdjustment(time=number_of(time), shift=span_of(shift))
        for time, shift in zip(words[::2], words[1::2], strict=True)
    )


def words_of(value: str, number: int, *, more: bool = False) -> list[str]:
    words = value.split()
    if len(words) < number or (len(words) > number and not more):
        least = f"at least {number}" if more else f"{number}"
        raise ValueError(f"there are {len(words)} words in place of {least}")
    return words


def number_of(word: str) -> int:
    if not _NUMBER.fullmatch(word):
        raise ValueError(f"{word[:80]!r} is no number of up to 20 digits")
    return int(word)


def span_of(word: str) -> int:
    match = _SPAN.fullmatch(word)
    if match is None:
        raise ValueError(f"{word[:80]!r} is no length of time, like 3600 or 1h")
    return int(match[1]) * _SECONDS[match[2]]
