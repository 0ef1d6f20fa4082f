"""Plain RTP over UDP: ports, both ways of carrying RTCP, strangers, and the end."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from peers import LOCALHOST, scenario
from transport_lab import RTCP, End, Stranger, described, free_ports, has_address, rtp

from ipconf.errors import (
    ConfigurationError,
    InvalidStateError,
    NegotiationError,
    TransportError,
)
from ipconf.model import CallSettings
from ipconf.msp import MediaServiceProvider
from ipconf.transports.base import Loss, TransportState
from ipconf.transports.binding import bind_udp
from ipconf.transports.udp import UdpTransport


@asynccontextmanager
async def _connected(
    *, mux: tuple[bool, bool] = (False, False), host: str = LOCALHOST
) -> AsyncIterator[tuple[End[UdpTransport], End[UdpTransport]]]:
    one, other = (UdpTransport(host, mux=each) for each in mux)
    try:
        await one.open()
        await other.open()
        await one.connect(described(other), offered=True, role="")
        await other.connect(described(one), offered=False, role="")
        yield End(one), End(other)
    finally:
        await one.close()
        await other.close()


@pytest.mark.parametrize("mux", [(False, False), (True, True), (True, False)])
@scenario()
async def test_rtp_and_rtcp_go_both_ways(mux: tuple[bool, bool]) -> None:
    async with _connected(mux=mux) as (one, other):
        for sender, receiver in ((one, other), (other, one)):
            sender.transport.send(rtp(1))
            await receiver.receives(rtp(1))
            sender.transport.send(RTCP)
            await receiver.receives(RTCP)
            sent, received = sender.transport.counters, receiver.transport.counters
            assert sent.sent == received.received == 2
            assert sent.sent_bytes == received.received_bytes == len(rtp(1) + RTCP)
        assert one.transport.state is TransportState.CONNECTED


@scenario()
async def test_ipv6() -> None:
    if not has_address("::1"):
        pytest.skip("this machine has no IPv6 loopback")
    async with _connected(host="::1") as (one, other):
        one.transport.send(rtp())
        await other.receives(rtp())
        assert other.origins == [one.transport.local] and described(one.transport).host == "::1"


@scenario()
async def test_origins_tell_senders_apart() -> None:
    async with _connected() as (one, other):
        one.transport.send(rtp(1))
        one.transport.send(RTCP)
        await other.receives(rtp(1), RTCP)
        assert other.origins == [one.transport.local, one.transport.local_rtcp]


@scenario()
async def test_rtp_has_an_even_port_and_rtcp_the_next() -> None:
    transport = UdpTransport(LOCALHOST)
    with pytest.raises(InvalidStateError):
        transport.describe("")
    await transport.open()
    line = transport.describe("")
    assert line.port % 2 == 0 and line.rtcp_port == line.port + 1
    assert transport.local == (LOCALHOST, line.port)
    await transport.close()


@scenario()
async def test_the_far_end_is_told_the_public_address_of_the_same_version() -> None:
    addresses = ("2001:db8::7", "198.51.100.7")
    settings = CallSettings(transport="rtp", public_addresses=addresses)
    async with MediaServiceProvider(settings=settings) as msp:
        transport = msp.make_transport(settings)
        assert isinstance(transport, UdpTransport)
        await transport.open()
        assert transport.describe("").host == "198.51.100.7" and transport.host == LOCALHOST
        await transport.close()


def test_two_public_addresses_of_one_version_are_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="one public address of IPv4"):
        CallSettings(public_addresses=("198.51.100.7", "198.51.100.8"))


@scenario()
async def test_ports_come_from_the_range_until_it_is_used_up() -> None:
    first = free_ports(4)
    transports = [UdpTransport(LOCALHOST, (first + 1, first + 3)) for _ in range(2)]
    await transports[0].open()
    assert transports[0].describe("").port == first + 2
    with pytest.raises(TransportError, match="widen port_range"):
        await transports[1].open()
    shared = UdpTransport(LOCALHOST, (first, first + 3), mux=True)
    await shared.open()
    assert shared.describe("").port == shared.describe("").rtcp_port == first
    for transport in (*transports, shared):
        await transport.close()


def test_a_range_that_ends_before_it_begins_is_an_error() -> None:
    with pytest.raises(TransportError, match="6000 to 5000"):
        bind_udp(LOCALHOST, (6000, 5000))


def test_an_address_of_another_machine_is_an_error() -> None:
    for ports in (None, (5000, 5009)):
        with pytest.raises(TransportError, match=r"192\.0\.2\.1.*; give an address that this ma"):
            bind_udp("192.0.2.1", ports)


@pytest.mark.parametrize("mux", [True, False])
@scenario()
async def test_more_ports_are_no_advice_where_the_address_is_wrong(mux: bool) -> None:
    transport = UdpTransport("192.0.2.1", (5000, 5009), mux=mux)
    with pytest.raises(TransportError, match="give an address that this machine has"):
        await transport.open()
    await transport.close()


@pytest.mark.parametrize(
    ("host", "port", "rtcp_port"),
    [
        ("host.example", 5004, 5005),
        ("", 5004, 5005),
        ("0.0.0.0", 5004, 5005),
        ("::1", 5004, 5005),
        ("239.1.2.3/127", 5004, 5005),
        (LOCALHOST, 0, 5005),
        (LOCALHOST, 65_535, 65_536),
        (LOCALHOST, 99_999, 5005),
    ],
)
@scenario()
async def test_where_nothing_can_be_sent_nothing_connects(
    host: str, port: int, rtcp_port: int
) -> None:
    transport = UdpTransport(LOCALHOST)
    await transport.open()
    with pytest.raises(NegotiationError, match="the far end's"):
        transport.connect_to((host, port), ("", rtcp_port))
    transport.send(rtp())
    assert transport.counters.unsent == 1
    await transport.close()


@scenario()
async def test_rtcp_goes_where_the_description_says() -> None:
    with Stranger() as far, Stranger() as far_rtcp:
        transport = UdpTransport(LOCALHOST)
        await transport.open()
        remote = described(transport)
        remote.port, remote.rtcp_port = far.address[1], far_rtcp.address[1]
        remote.rtcp_host = LOCALHOST
        remote.rtcp_mux = True  # it could, but we do not
        await transport.connect(remote, offered=True, role="")
        transport.send(RTCP)
        transport.send(rtp(1))
        assert (await far.receive(), await far_rtcp.receive()) == (rtp(1), RTCP)
        await transport.close()


@scenario()
async def test_junk_is_counted_and_harmless() -> None:
    async with _connected() as (one, other):
        assert one.transport.local is not None and one.transport.local_rtcp is not None
        with Stranger() as stranger:
            for address in (one.transport.local, one.transport.local_rtcp):
                stranger.send(address, b"", b"\x00\x01\x00\x00", b"\x80", b"\x16\xfe", b"\xc0\xc8")
        other.transport.send(rtp(1))
        other.transport.send(RTCP)
        assert {await one.arrived.get(), await one.arrived.get()} == {rtp(1), RTCP}
        counters = one.transport.counters
        assert (counters.empty, counters.unknown, counters.received) == (2, 8, 2)


@scenario()
async def test_what_looks_like_rtp_arrives_whoever_sent_it() -> None:
    """Plain RTP has no keys: the session must judge by origin."""
    async with _connected() as (one, _):
        assert one.transport.local is not None
        with Stranger() as stranger:
            stranger.send(one.transport.local, rtp(5))
            await one.receives(rtp(5))
            assert one.origins == [stranger.address]


@scenario()
async def test_loss_is_seeded_and_goes_both_ways() -> None:
    async with _connected(mux=(True, True)) as (one, other):
        one.transport.impair(Loss(30, seed=2))
        for number in range(100):
            one.transport.send(rtp(number))
        for number in range(100):
            other.transport.send(rtp(number))
        same = Loss(30, seed=2)
        kept = [rtp(number) for number in range(100) if not same.drop()]
        kept_in = [rtp(number) for number in range(100) if not same.drop()]
        await other.receives(*kept)
        await one.receives(*kept_in)
        dropped = 200 - len(kept) - len(kept_in)
        assert one.transport.counters.dropped_on_purpose == dropped


@scenario()
async def test_nothing_is_sent_before_and_after() -> None:
    async with _connected() as (one, other):
        pass
    one.transport.send(rtp())
    assert one.transport.counters.unsent == 1
    assert one.transport.state is TransportState.CLOSED
    await one.transport.close()
    assert not other.ended.done()  # plain RTP has no goodbye of its own


@scenario()
async def test_ports_are_free_again_at_once() -> None:
    first = free_ports(2)
    for _ in range(3):
        transport = UdpTransport(LOCALHOST, (first, first + 1))
        await transport.open()
        await transport.close()


@scenario()
async def test_opening_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")  # with it, opening does not wait for anything
    transport = UdpTransport(LOCALHOST)
    opening = asyncio.create_task(transport.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await transport.close()


def test_sockets_do_not_block() -> None:
    with bind_udp(LOCALHOST, None) as sock, pytest.raises(BlockingIOError):
        sock.recv(1)
    assert sock.family is socket.AF_INET
