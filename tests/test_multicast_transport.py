"""Plain RTP to a multicast group: who hears whom, how packets are marked, and what cannot be."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

import pytest
from multicast_lab import OURS, OURS_IPV6, can_be_alone, in_namespace, members, place
from peers import LOCALHOST, eventually, scenario
from transport_lab import RTCP, Stranger, rtp

from ipconf.errors import TransportError
from ipconf.model import LoopbackMode
from ipconf.transports.base import Loss, TransportState
from ipconf.transports.multicast import MulticastTransport

NONE, FULL, SELECTIVE = LoopbackMode.NONE, LoopbackMode.FULL, LoopbackMode.SELECTIVE
SCENES = Path(__file__).with_name("multicast_scenes.py")
needs_a_network = pytest.mark.skipif(
    not can_be_alone(), reason="needs unshare that may make a network namespace"
)


@pytest.mark.parametrize("mux", [False, True])
@scenario()
async def test_everybody_in_the_group_gets_rtp_and_rtcp(mux: bool) -> None:
    where = place()
    where = place(rtcp_port=where.port, port=where.port) if mux else where
    async with members(where, SELECTIVE, SELECTIVE, SELECTIVE) as (one, two, three):
        one.transport.send(rtp(1))
        for other in (two, three):
            await other.receives(rtp(1))
        one.transport.send(RTCP)
        for other in (two, three):
            await other.receives(RTCP)
            assert other.origins == [one.transport.own] * 2
        sent, received = one.transport.counters, two.transport.counters
        assert sent.sent == received.received == 2
        assert sent.sent_bytes == received.received_bytes == len(rtp(1) + RTCP)
        assert one.transport.state is TransportState.CONNECTED and one.arrived.empty()


@scenario()
async def test_only_full_loopback_brings_back_what_one_sends_oneself() -> None:
    """Linux brings everything back on `lo`; the transport does not."""
    async with members(place(), FULL, SELECTIVE, NONE) as ends:
        for number, end in enumerate(ends):
            end.transport.send(rtp(number))
        full, selective, none = ends
        await full.receives(rtp(0), rtp(1), rtp(2))
        await selective.receives(rtp(0), rtp(2))
        await none.receives(rtp(0), rtp(1))
        full.transport.loopback, none.transport.loopback = NONE, FULL
        none.transport.send(rtp(3))
        full.transport.send(rtp(4))
        await none.receives(rtp(3), rtp(4))
        await full.receives(rtp(3))


@needs_a_network
def test_loopback_modes_on_a_network() -> None:
    """Of NONE the others on the machine hear nothing either."""
    heard = {
        "none": ["full"] * 2 + ["selective"] * 2,
        "full": ["full"] * 2 + ["selective"] * 2,
        "selective": ["full"] * 2,
    }
    seen = in_namespace(SCENES, "loopback_modes")
    assert len(seen) == 5
    assert seen == dict.fromkeys(seen, heard)


@needs_a_network
def test_source_specific_groups() -> None:
    assert in_namespace(SCENES, "one_source") == {
        f"232.1.77.1 {OURS}": ["full", "full"],
        "232.1.77.2 10.77.0.9": [],
        f"ff35::77 {OURS_IPV6}": ["full", "full"],
        "ff35::78 fd77::9": [],
    }


@needs_a_network
def test_who_loses_the_network_is_told_and_ends() -> None:
    for code, said in in_namespace(SCENES, "interface_gone"):
        assert code == 1
        assert "on here is out of reach" in said
        assert "join again" in said


@needs_a_network
def test_a_network_that_is_soon_back_is_nobodys_end() -> None:
    assert in_namespace(SCENES, "interface_down") == [False, 1, 1]


@scenario()
async def test_packets_are_marked_and_stay_where_they_may_go() -> None:
    where = place(dscp=46, ttl=0)
    async with members(where, SELECTIVE) as (end,):
        sending = end.transport._sockets.sending  # type: ignore[union-attr]
        assert sending.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
        assert sending.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 0


@scenario()
async def test_other_groups_and_addresses_on_the_same_ports_are_not_heard() -> None:
    where = place()
    elsewhere = place(port=where.port, rtcp_port=where.rtcp_port)
    async with members(where, SELECTIVE) as (one,), members(elsewhere, SELECTIVE) as (other,):
        with Stranger() as stranger:
            stranger.send((LOCALHOST, where.port), rtp(7))
        other.transport.send(rtp(8))
        async with members(where, SELECTIVE) as (friend,):
            friend.transport.send(rtp(9))
            await one.receives(rtp(9))


@scenario()
async def test_what_is_no_rtp_is_counted() -> None:
    where = place()
    async with members(where, SELECTIVE) as (end,):
        with Stranger() as stranger:
            stranger.socket.setsockopt(
                socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOCALHOST)
            )
            to = str(where.group), where.port
            stranger.send(to, b"", b"GET / HTTP/1.1", b"\x80", rtp(3))
        await end.receives(rtp(3))
        counters = end.transport.counters
        assert (counters.empty, counters.unknown, counters.received) == (1, 2, 1)


@scenario()
async def test_losses_on_purpose() -> None:
    async with members(place(), SELECTIVE, SELECTIVE) as (one, other):
        one.transport.impair(Loss(100))
        one.transport.send(rtp(1))
        one.transport.impair(None)
        one.transport.send(rtp(2))
        await other.receives(rtp(2))
        assert one.transport.counters.dropped_on_purpose == 1


@scenario()
async def test_what_cannot_be_sent_is_counted() -> None:
    async with members(place(), NONE) as (end,):
        transport = end.transport
        transport.send(rtp(0, bytes(70_000)))
        assert transport.counters.unsent == 1
        await transport.close()
        await transport.close()
        transport.send(rtp())
        assert transport.counters.unsent == 2 and transport.state is TransportState.CLOSED
        with pytest.raises(TransportError, match="opened once"):
            await transport.open()
    new = MulticastTransport(place())
    new.send(rtp())
    assert new.counters.unsent == 1
    await new.close()


@pytest.mark.parametrize(
    ("group", "interface", "said"),
    [
        ("239.255.1.1", "nowhere0", "there is no interface 'nowhere0'"),
        ("239.255.1.1", "192.0.2.77", "multicast_interface"),
        ("ff15::1", "nowhere0", "there is no interface 'nowhere0'"),
        ("ff15::1", "fe80::77%nowhere0", "there is no interface 'nowhere0'"),
        ("ff15::1", "2001:db8::77", "no interface has the address 2001:db8::77"),
    ],
)
@scenario()
async def test_an_interface_that_is_not_there(group: str, interface: str, said: str) -> None:
    transport = MulticastTransport(place(group=ip_address(group), interface=interface))
    with pytest.raises(TransportError, match=said) as failure:
        await transport.open()
    assert str(failure.value).startswith(f"cannot take part in the group {group}, port")
    await transport.close()


@scenario()
async def test_a_port_that_somebody_has_to_themselves() -> None:
    where = place()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind(("", where.rtcp_port))
        with pytest.raises(TransportError, match="another program has the port to itself"):
            await MulticastTransport(where).open()


@scenario()
async def test_after_the_end_nothing_arrives() -> None:
    async with members(place(), SELECTIVE, SELECTIVE, SELECTIVE) as (one, other, third):
        await other.transport.close()
        one.transport.send(rtp(1))
        await third.receives(rtp(1))
        await eventually(lambda: other.arrived.empty())
