"""Multicast addresses that are handed out."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from random import Random

import pytest
from sdp_lab import NOW

from ipconf.directory import AddressAllocator, AddressLease
from ipconf.errors import ConfigurationError, LimitError, NoItemError

HOUR = 3600.0


def test_addresses_are_of_the_local_scope_and_nobody_elses() -> None:
    allocator = AddressAllocator(Random(1))
    leases = [allocator.request(starts_at=NOW) for _ in range(500)]
    addresses = [address for lease in leases for address in lease.addresses]
    assert len(set(addresses)) == 500
    assert all(address in ip_network("239.255.0.0/16") for address in addresses)
    assert not any(address in ip_network("239.255.255.0/24") for address in addresses)
    assert allocator.leases == tuple(leases)
    assert allocator.request(starts_at=NOW).addresses != AddressAllocator(Random(2)).request(
        starts_at=NOW
    )


def test_ipv6_groups_are_transient_and_of_the_site() -> None:
    allocator = AddressAllocator(Random(1), version=6)
    addresses = [allocator.request(starts_at=NOW).addresses[0] for _ in range(100)]
    assert len(set(addresses)) == 100
    assert all(address in ip_network("ff15::8000:0/97") for address in addresses)


def test_what_is_announced_is_not_handed_out() -> None:
    class AllBut:
        """Every address but one is announced by somebody."""

        def __contains__(self, address: object) -> bool:
            return not str(address).endswith(".7")

    allocator = AddressAllocator(Random(1), AllBut)
    for _ in range(20):
        (address,) = allocator.request(starts_at=NOW).addresses
        assert str(address).endswith(".7")
    with pytest.raises(LimitError, match="no 2 free addresses"):
        allocator.request(2, starts_at=NOW)


def test_addresses_in_a_row() -> None:
    first, second, third = AddressAllocator(Random(1)).request(3, starts_at=NOW).addresses
    assert (first + 1, first + 2) == (second, third)
    for count in (0, 65):
        with pytest.raises(ConfigurationError, match="give 1 to 64"):
            AddressAllocator(Random(1)).request(count, starts_at=NOW)


class Always(Random):
    """Chance that always comes out the same, but for names."""

    def randint(self, low: int, high: int) -> int:
        return low


def test_an_address_is_free_at_other_times() -> None:
    allocator = AddressAllocator(Always(1))
    lease = allocator.request(starts_at=NOW, ends_at=NOW + HOUR)
    for starts, ends in ((NOW, NOW + 1), (NOW - 1, None), (NOW - HOUR, NOW + 2 * HOUR)):
        with pytest.raises(LimitError, match="1 are leased here"):
            allocator.request(starts_at=starts, ends_at=ends)
    later = allocator.request(starts_at=NOW + HOUR, ends_at=None)
    assert later.addresses == lease.addresses
    with pytest.raises(LimitError, match="somebody else"):
        allocator.renew(lease.request_id, starts_at=NOW, ends_at=NOW + 2 * HOUR)
    allocator.release(later.request_id)
    renewed = allocator.renew(lease.request_id, starts_at=NOW, ends_at=NOW + 2 * HOUR)
    assert renewed == replace(lease, ends_at=NOW + 2 * HOUR)
    assert allocator.leases == (renewed,)
    with pytest.raises(ConfigurationError, match="ends after it starts"):
        allocator.request(starts_at=NOW, ends_at=NOW)


def test_a_lease_is_taken_up_in_the_next_run() -> None:
    lease = AddressAllocator(Random(1)).request(starts_at=NOW)
    allocator = AddressAllocator(Random(1))
    with pytest.raises(NoItemError, match="there is no lease"):
        allocator.renew(lease.request_id, starts_at=NOW, ends_at=None)
    allocator.restore(lease)
    assert allocator.renew(lease.request_id, starts_at=NOW, ends_at=None) == lease
    assert allocator.request(starts_at=NOW).addresses != lease.addresses
    allocator.release(lease.request_id)
    with pytest.raises(NoItemError):
        allocator.release(lease.request_id)
    for foreign in ("224.2.1.1", "ff15::8000:1", "ff15::1"):
        with pytest.raises(ConfigurationError, match="not of the range"):
            allocator.restore(AddressLease("x", (ip_address(foreign),), NOW, None))


def test_a_clash_that_is_heard_later() -> None:
    announced: set[str] = set()
    allocator = AddressAllocator(Random(1), lambda: announced)
    one, two = (allocator.request(starts_at=NOW) for _ in range(2))
    assert allocator.clashes() == ()
    announced.add(str(two.addresses[0]))
    assert allocator.clashes() == (two,)
    assert one in allocator.leases


def test_there_is_no_other_ip() -> None:
    with pytest.raises(ConfigurationError, match="give 4 or 6"):
        AddressAllocator(Random(1), version=5)  # type: ignore[arg-type]
