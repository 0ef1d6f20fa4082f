"""Who alone is heard in a group, and who is not (a=source-filter, RFC 4570). Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

IpAddress = IPv4Address | IPv6Address

_VERSIONS = {"IP4": (4,), "IP6": (6,), "*": (4, 6)}
_MAX_SHOWN = 80


class Senders(NamedTuple):
    """Whose packets are taken."""

    only: tuple[IpAddress, ...] = ()
    """Nobody else's; () is anybody's."""
    excluded: tuple[IpAddress, ...] = ()


def senders_to(group: IpAddress, values: Iterable[str]) -> Senders:
    """What these values of a=source-filter say of a group; those of other groups are passed over.

    ValueError says which one cannot be read, or cannot be kept.
    """
    found: dict[str, list[IpAddress]] = {"incl": [], "excl": []}
    for value in values:
        mode, addresses = _read(value, group)
        found[mode] += addresses
    only, excluded = (tuple(dict.fromkeys(found[mode])) for mode in ("incl", "excl"))
    heard = tuple(address for address in only if address not in excluded)
    if only and not heard:
        raise ValueError("all are excluded who alone may send (a=source-filter)")
    return Senders(heard, excluded)


def _read(value: str, group: IpAddress) -> tuple[str, list[IpAddress]]:
    named = f"a=source-filter:{value[:_MAX_SHOWN]}"
    words = value.split()
    if len(words) < 5:
        raise ValueError(f"{named} has no mode, network, kind of address, group and senders")
    mode, network, kind, destination = words[0].lower(), *map(str.upper, words[1:4])
    if mode not in ("incl", "excl") or network != "IN" or kind not in _VERSIONS:
        raise ValueError(f"{named} is of an unknown kind")
    if not _is_for(named, destination, group) or group.version not in _VERSIONS[kind]:
        return mode, []
    try:
        senders = [ip_address(word) for word in words[4:]]
    except ValueError:
        raise ValueError(f"its senders ({named}) are no addresses") from None
    usable = [address for address in senders if address.version == group.version]
    if mode == "incl" and not usable:
        raise ValueError(f"none of its senders ({named}) can send to {group}")
    return mode, usable


def _is_for(named: str, destination: str, group: IpAddress) -> bool:
    try:
        return destination == "*" or ip_address(destination) == group
    except ValueError:
        raise ValueError(f"{named} is for a name; write the address itself") from None
