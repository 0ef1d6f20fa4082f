"""Multicast addresses for new conferences, out of ranges that need no server.

IPv4 addresses are of the local scope, 239.255.0.0/16 (RFC 2365 section 6.1), without its highest
256, which are for relative assignments (section 9). IPv6 groups are transient and of site scope,
ff15::/96, with an identifier that hosts may choose themselves: 32 bits of which the first is set
(RFC 3307 section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from random import Random
from typing import Literal

from ..errors import ConfigurationError, LimitError, NoItemError
from ..sdp.fields import MAX_ADDRESSES
from .scopes import Group

IPV4_RANGE = IPv4Network("239.255.0.0/16")
RELATIVE_ADDRESSES = 256
IPV6_BASE = int(IPv6Address("ff15::8000:0"))
IPV6_GROUPS = 1 << 31
MAX_DRAWS = 1000
"""So often a range is drawn before the whole is called full."""


@dataclass(frozen=True, slots=True)
class AddressLease:
    """Addresses that are somebody's for a time (MSPI: IMcastLeaseInfo)."""

    request_id: str
    """By which it is known again, also in another run of the program."""
    addresses: tuple[Group, ...]
    """One after the other."""
    starts_at: float
    """Seconds since 1970."""
    ends_at: float | None
    """Seconds since 1970; None is without end."""


class AddressAllocator:
    """Hands out groups at random: none that is leased here or announced by others.

    `announced` tells what is heard to be in use at the moment, as a container of text. Whoever has
    listened for a while knows most of it: ten minutes with the interval of RFC 2974.
    """

    def __init__(
        self,
        random: Random,
        announced: Callable[[], Container[str]] = lambda: (),
        *,
        version: Literal[4, 6] = 4,
    ) -> None:
        if version not in (4, 6):
            raise ConfigurationError(f"there is no IPv{version}: give 4 or 6")
        self.version = version
        self._random = random
        self._announced = announced
        self._leases: dict[str, AddressLease] = {}

    @property
    def leases(self) -> tuple[AddressLease, ...]:
        """All that were handed out and not given back, over ones included."""
        return tuple(self._leases.values())

    def request(
        self, count: int = 1, *, starts_at: float, ends_at: float | None = None
    ) -> AddressLease:
        """Lease consecutive addresses for that time; LimitError if there are no more."""
        if not 1 <= count <= MAX_ADDRESSES:
            raise ConfigurationError(f"{count} addresses: give 1 to {MAX_ADDRESSES}")
        _check(starts_at, ends_at)
        announced = self._announced()
        leased = {
            address
            for lease in self._leases.values()
            if _overlap(lease, starts_at, ends_at)
            for address in lease.addresses
        }
        for _ in range(MAX_DRAWS):
            addresses = self._draw(count)
            if all(a not in leased and str(a) not in announced for a in addresses):
                request_id = f"{self._random.getrandbits(64):016x}"
                lease = AddressLease(request_id, addresses, starts_at, ends_at)
                self._leases[request_id] = lease
                return lease
        raise LimitError(
            f"no {count} free addresses were found: {len(leased)} are leased here, and others are "
            "announced; release some"
        )

    def _draw(self, count: int) -> tuple[Group, ...]:
        first: Group
        if self.version == 4:
            free = IPV4_RANGE.num_addresses - RELATIVE_ADDRESSES - count
            first = IPV4_RANGE[self._random.randint(1, free)]
        else:
            first = IPv6Address(IPV6_BASE + self._random.randint(0, IPV6_GROUPS - count))
        return tuple(first + number for number in range(count))

    def renew(self, request_id: str, *, starts_at: float, ends_at: float | None) -> AddressLease:
        """The same addresses for another time; LimitError if they are somebody else's then."""
        lease = self._lease(request_id)
        _check(starts_at, ends_at)
        others = (other for other in self._leases.values() if other.request_id != request_id)
        for other in others:
            if set(other.addresses) & set(lease.addresses) and _overlap(other, starts_at, ends_at):
                raise LimitError("the addresses are leased to somebody else then: request others")
        self._leases[request_id] = replace(lease, starts_at=starts_at, ends_at=ends_at)
        return self._leases[request_id]

    def release(self, request_id: str) -> None:
        """Give a lease back; NoItemError if there is none of that name."""
        del self._leases[self._lease(request_id).request_id]

    def restore(self, lease: AddressLease) -> None:
        """Take up a lease of an earlier run again, that the application has kept."""
        for address in lease.addresses:
            is_ours = (
                address in IPV4_RANGE
                if isinstance(address, IPv4Address)
                else 0 <= int(address) - IPV6_BASE < IPV6_GROUPS
            )
            if not is_ours or address.version != self.version:
                raise ConfigurationError(f"{address} is not of the range that is leased here")
        self._leases[lease.request_id] = lease

    def clashes(self) -> tuple[AddressLease, ...]:
        """Leases of which others announce an address: to be given up for new ones."""
        announced = self._announced()
        return tuple(
            lease
            for lease in self._leases.values()
            if any(str(address) in announced for address in lease.addresses)
        )

    def _lease(self, request_id: str) -> AddressLease:
        try:
            return self._leases[request_id]
        except KeyError:
            raise NoItemError(f"there is no lease {request_id[:80]!r} here") from None


def _check(starts_at: float, ends_at: float | None) -> None:
    if ends_at is not None and ends_at <= starts_at:
        raise ConfigurationError("a lease ends after it starts")


def _overlap(lease: AddressLease, starts_at: float, ends_at: float | None) -> bool:
    """Whether a lease is for some of that time."""
    begins_before = ends_at is None or lease.starts_at < ends_at
    return begins_before and (lease.ends_at is None or lease.ends_at > starts_at)
