"""Symmetric RTP: where a telephone really is, who else is not heard, and who cannot take over."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from call_ends import Ends, provider
from peers import LOCALHOST, PLAIN, eventually, scenario
from senses import AUDIO
from srtp_lab import crypto
from transport_lab import RTCP, End, Stranger, free_ports, rtp

from ipconf import CallSettings, MediaServiceProvider
from ipconf.engine.rtp_wire import compose_rtp
from ipconf.transports.latching import (
    MAX_CANDIDATES,
    MAX_CANDIDATES_OF_HOST,
    MIN_RUN,
    QUIET_S,
    TRIAL_S,
    Latch,
)
from ipconf.transports.protection import Protection
from ipconf.transports.shared_port import SharedPorts
from ipconf.transports.udp import MAX_EARLY_DATAGRAMS, UdpTransport
from ipconf.tsp_data import Description

PRIVATE = ("192.168.1.20", 4000)
PRIVATE_RTCP = ("192.168.1.20", 4001)
ROUTER, ATTACKER = ("198.51.100.7", 61_000), ("203.0.113.9", 5004)


class Judge:
    """A latch, with a clock and what it has told."""

    def __init__(
        self,
        *,
        mux: bool = False,
        payload_types: tuple[int, ...] = (111,),
        rtcp: tuple[str, int] = PRIVATE_RTCP,
    ) -> None:
        self.now = 1.0
        self.targets: list[tuple[Any, Any]] = []
        moved = lambda *to: self.targets.append(to)  # noqa: E731
        self.latch = Latch(PRIVATE, PRIVATE if mux else rtcp, payload_types, moved)

    def hears(self, where: tuple[str, int], *numbers: int, ssrc: int = 1) -> list[bool]:
        """RTP with these numbers comes from there, 20 ms apart."""
        verdicts = []
        for number in numbers:
            self.now += 0.02
            verdicts.append(self.latch.admits(rtp(number, ssrc=ssrc), where, self.now))
        return verdicts

    def reported(self, where: tuple[str, int]) -> bool:
        return self.latch.admits(RTCP, where, self.now)


def test_three_packets_in_sequence_tell_where_it_is() -> None:
    judge = Judge()
    assert judge.hears(ROUTER, 1, 2) == [True, True] and not judge.targets
    assert judge.hears(ROUTER, 3) == [True]
    assert judge.targets == [(ROUTER, ("198.51.100.7", 61_001))]
    assert judge.latch.source == ROUTER


def test_with_one_port_for_both_rtcp_goes_there_too() -> None:
    judge = Judge(mux=True)
    judge.hears(ROUTER, 1, 2, 3)
    assert judge.targets == [(ROUTER, ROUTER)]
    assert judge.reported(ROUTER) and len(judge.targets) == 1


def test_numbers_may_begin_anew_meanwhile() -> None:
    judge = Judge()
    judge.hears(ROUTER, 65_535, 65_536, 65_537)
    assert judge.latch.source == ROUTER


@pytest.mark.parametrize("numbers", [(1, 2), (1, 3, 5, 7), (3, 2, 1), (1, 1, 1), (1, 2, 4, 5)])
def test_what_is_not_in_sequence_tells_nothing(numbers: tuple[int, ...]) -> None:
    judge = Judge()
    assert all(judge.hears(ROUTER, *numbers)) and judge.latch.source is None


def test_other_payload_types_and_ssrcs_tell_nothing() -> None:
    judge = Judge(payload_types=(0, 8))
    assert all(judge.hears(ROUTER, 1, 2, 3, 4))
    for number in range(9):
        packet = compose_rtp(0, number, 0, number, b"sound")
        assert judge.latch.admits(packet, ROUTER, judge.now)
    assert judge.latch.source is None
    for number in range(MIN_RUN):
        judge.latch.admits(compose_rtp(8, number, 0, 7, b"sound"), ROUTER, judge.now)
    assert judge.latch.source == ROUTER


def test_who_flows_cannot_be_taken_over() -> None:
    judge = Judge()
    judge.hears(ROUTER, 1, 2, 3)
    for number in range(200):
        assert judge.hears(ATTACKER, number, ssrc=1) == [False]
        assert judge.hears(ROUTER, 4 + number) == [True]
    assert not judge.reported(ATTACKER)
    assert judge.targets == [(ROUTER, ("198.51.100.7", 61_001))]


def test_media_from_the_described_address_settle_it_as_well() -> None:
    judge = Judge()
    judge.hears(PRIVATE, 1, 2, 3)
    assert judge.targets == [(PRIVATE, PRIVATE_RTCP)]
    assert not any(judge.hears(ATTACKER, *range(50))) and len(judge.targets) == 1


def test_the_described_host_is_vouched_for() -> None:
    """Somebody who was quicker than the far end does not keep the call."""
    judge = Judge()
    judge.hears(ATTACKER, 1, 2, 3)
    assert judge.hears(PRIVATE, 1, 2, 3) == [False, False, True]
    assert judge.targets[-1] == (PRIVATE, PRIVATE_RTCP)
    assert judge.hears(ATTACKER, 4) == [False]


def test_later_the_described_host_waits_like_others() -> None:
    """Whoever forges its address cannot end a call that goes on."""
    judge = Judge()
    judge.hears(ROUTER, 1, 2, 3)
    judge.now += TRIAL_S
    for number in range(3, 1000, 3):
        assert judge.hears(ROUTER, *range(number + 1, number + 4)) == [True] * 3
        assert judge.hears(PRIVATE, number, number + 1, number + 2, ssrc=9) == [False] * 3
        assert not judge.reported(PRIVATE_RTCP)
    assert len(judge.targets) == 1
    judge.now += QUIET_S
    assert judge.hears(PRIVATE, 1, 2, 3)[-1] and judge.targets[-1] == (PRIVATE, PRIVATE_RTCP)


def test_who_only_listens_and_reports_keeps_the_call() -> None:
    judge = Judge()
    for number in range(0, 300, 3):
        assert judge.reported(PRIVATE_RTCP)
        judge.now += QUIET_S - 1
        assert all(judge.hears(ATTACKER, number, number + 1, number + 2))
    assert judge.latch.source is None and not judge.targets
    judge.now += QUIET_S
    judge.hears(ROUTER, 1, 2, 3)
    assert judge.latch.source == ROUTER, "whoever reported is gone"


def test_a_report_takes_the_call_back_from_who_was_quicker() -> None:
    judge = Judge()
    judge.hears(ATTACKER, 1, 2, 3)
    judge.now += TRIAL_S - 1
    assert judge.hears(ATTACKER, 4) == [True]
    assert judge.reported(PRIVATE_RTCP) and judge.targets[-1] == (PRIVATE, PRIVATE_RTCP)
    judge.hears(ATTACKER, *range(5, 50))
    assert judge.latch.source is None and len(judge.targets) == 2


def test_a_report_takes_the_call_back_from_who_is_silent() -> None:
    judge = Judge()
    judge.hears(ATTACKER, *range(1, 400))
    assert not judge.reported(PRIVATE_RTCP)
    judge.now += QUIET_S - 1
    assert not judge.reported(PRIVATE_RTCP)
    judge.now += 1
    assert not any(judge.hears((ROUTER[0], 9), 1, 2, 3)), "the described host is there"
    assert judge.reported(PRIVATE_RTCP) and judge.targets[-1] == (PRIVATE, PRIVATE_RTCP)


def test_whatever_comes_from_a_host_says_that_it_is_there() -> None:
    """Also RTP from another port, and reports from more than one."""
    judge = Judge()
    judge.hears(ROUTER, 1, 2, 3)
    for number in range(20):
        judge.now += QUIET_S / 2
        if number % 2:
            assert judge.reported((ROUTER[0], 61_007)) and judge.reported((ROUTER[0], 61_009))
        else:
            assert judge.hears((ROUTER[0], 62_000), 5 * number) == [True]
        judge.now += QUIET_S / 2 - 1
        assert not any(judge.hears(ATTACKER, 1, 2, 3))


def test_reports_from_another_port_of_its_host_are_a_sign_of_life_each() -> None:
    judge = Judge()
    judge.hears(ROUTER, 1, 2, 3)
    judge.reported((ROUTER[0], 61_007))
    judge.now += QUIET_S - 1
    assert judge.reported((ROUTER[0], 61_009))
    judge.now += 2
    assert not any(judge.hears(ATTACKER, 1, 2, 3))


def test_reports_of_another_host_that_was_described() -> None:
    """RFC 3605: a=rtcp may name one, and ours go there."""
    there = ("192.168.1.30", 7001)
    judge = Judge(rtcp=there)
    judge.hears(PRIVATE, 1, 2, 3)
    assert judge.reported(there) and judge.targets == [(PRIVATE, there)]
    assert not judge.reported((ATTACKER[0], 7001))
    judge.now += QUIET_S - 1
    assert judge.reported(there)
    judge.now += QUIET_S - 1
    assert not any(judge.hears(ATTACKER, 1, 2, 3)) and judge.latch.source == PRIVATE


def test_after_some_silence_it_may_be_elsewhere() -> None:
    judge = Judge()
    judge.hears(ROUTER, 1, 2, 3)
    elsewhere = ("198.51.100.99", 7000)
    judge.now += QUIET_S - 1
    assert not any(judge.hears(elsewhere, 1, 2, 3))
    judge.now += 1
    assert judge.hears(elsewhere, 4, 5, 6) == [False, False, True]
    assert judge.latch.source == elsewhere and judge.targets[-1][0] == elsewhere
    assert judge.hears(ROUTER, 7) == [False]


def test_reports_say_that_somebody_is_there_who_is_silent() -> None:
    judge = Judge()
    judge.hears(ROUTER, 1, 2, 3)
    for _ in range(10):
        assert judge.reported((ROUTER[0], 61_007))
        judge.now += 6.0
        assert not any(judge.hears(ATTACKER, 1, 2, 3))
    assert judge.latch.source == ROUTER


def test_a_router_that_chooses_another_port_is_followed() -> None:
    judge = Judge()
    judge.hears(ROUTER, 1, 2, 3)
    judge.reported((ROUTER[0], 61_007))
    again = (ROUTER[0], 62_000)
    assert judge.hears(again, 4, 5, 6) == [True] * 3 and judge.latch.source == ROUTER
    judge.now += QUIET_S
    judge.reported((ROUTER[0], 61_007))
    judge.hears(again, 7, 8, 9)
    assert judge.latch.source == again


def test_rtcp_goes_to_where_it_comes_from() -> None:
    judge = Judge()
    assert judge.reported((ROUTER[0], 61_007)), "nobody is known yet"
    judge.hears(ROUTER, 1, 2, 3)
    assert judge.reported((ROUTER[0], 61_007))
    assert judge.targets[-1] == (ROUTER, (ROUTER[0], 61_007))
    assert judge.reported((ROUTER[0], 61_009)) and judge.targets[-1][1] == (ROUTER[0], 61_007)
    judge.now += QUIET_S
    assert judge.reported((ROUTER[0], 61_009)) and judge.targets[-1][1] == (ROUTER[0], 61_009)


def test_reports_that_came_first_say_where_theirs_go() -> None:
    judge = Judge()
    judge.reported((ROUTER[0], 61_007))
    judge.hears(ROUTER, 1, 2, 3)
    assert judge.targets == [(ROUTER, (ROUTER[0], 61_007))]
    other = Judge()
    other.reported(ATTACKER)
    other.hears(ROUTER, 1, 2, 3)
    assert other.targets == [(ROUTER, (ROUTER[0], 61_001))]


def test_who_sends_from_elsewhere_than_they_listen_is_sent_to_where_they_said() -> None:
    """On one host, as FFmpeg and mixers do."""
    judge = Judge()
    other = (PRIVATE[0], 40_000)
    assert all(judge.hears(other, 1, 2, 3)) and judge.targets == [(PRIVATE, PRIVATE_RTCP)]
    assert all(judge.hears((PRIVATE[0], 40_002), *range(20), ssrc=2))
    assert judge.reported((PRIVATE[0], 40_001)) and len(judge.targets) == 1


def test_candidates_are_bounded() -> None:
    judge, rng = Judge(), random.Random(1)
    for _ in range(500):
        judge.hears((f"203.0.113.{rng.randrange(250)}", 5004), rng.randrange(1 << 16))
    assert len(judge.latch._candidates) <= MAX_CANDIDATES
    assert judge.hears(ROUTER, 1, 2, 3)[-1] and judge.latch.source == ROUTER


@pytest.mark.parametrize("hosts", [1, 3])
def test_made_up_ssrcs_crowd_out_nobody(hosts: int) -> None:
    judge, rng = Judge(), random.Random(2)
    for number in range(MIN_RUN):
        assert judge.latch.source is None
        for packet in range(10 * hosts):
            where = (f"203.0.113.{packet % hosts}", rng.randrange(1 << 16))
            judge.hears(where, rng.randrange(1 << 16), ssrc=rng.randrange(1 << 32))
        judge.hears(ROUTER, number)
    assert judge.latch.source == ROUTER


def test_of_candidates_the_shortest_run_goes_first() -> None:
    judge = Judge()
    judge.hears(ROUTER, 1, 2)
    for host in range(5 * MAX_CANDIDATES):
        judge.hears((f"203.0.113.{host}", 5004), 7)
    for ssrc in range(5 * MAX_CANDIDATES_OF_HOST):
        judge.hears(ROUTER, 7, ssrc=2 + ssrc)
    judge.hears(ROUTER, 3)
    assert judge.latch.source == ROUTER


@pytest.mark.parametrize("junk", [b"\x80\x6f", b"\x80" * 11, b"\x80\xc8"])
def test_short_packets_are_harmless(junk: bytes) -> None:
    judge = Judge(payload_types=())
    for _ in range(5):
        assert judge.latch.admits(junk, ROUTER, judge.now)
    assert judge.latch.source is None


# -- sockets


class Phone(Stranger):
    """A socket on an address of its own, as a router's other side."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)


@asynccontextmanager
async def expecting(**options: Any) -> AsyncIterator[End[UdpTransport]]:
    """A transport whose far end has described an address where nobody is."""
    transport = UdpTransport(LOCALHOST, symmetric=True, **options)
    transport.expect({111})
    await transport.open()
    nobody = free_ports(2)
    try:
        transport.connect_to(("127.0.0.9", nobody), ("", nobody + 1))
        yield End(transport)
    finally:
        await transport.close()


@scenario()
async def test_what_we_send_arrives_behind_the_router() -> None:
    async with expecting() as end:
        transport = end.transport
        assert transport.local is not None and transport.local_rtcp is not None
        with Phone("127.0.0.2") as phone, Phone("127.0.0.2") as phone_rtcp:
            phone.send(transport.local, rtp(1), rtp(2), rtp(3))
            phone_rtcp.send(transport.local_rtcp, RTCP)
            assert RTCP in [await end.arrived.get() for _ in range(4)]
            transport.send(rtp(7))
            transport.send(RTCP)
            assert (await phone.receive(), await phone_rtcp.receive()) == (rtp(7), RTCP)
            with Phone("127.0.0.3") as attacker:
                attacker.send(transport.local, *map(rtp, range(10, 20)))
                phone.send(transport.local, rtp(4))
                await end.receives_up_to(rtp(4))
            assert transport.counters.foreign == 10 and transport.counters.received == 5
            transport.send(rtp(8))
            assert await phone.receive() == rtp(8)


@scenario()
async def test_with_keys_only_what_verifies_tells() -> None:
    async with expecting() as end:
        transport = end.transport
        assert transport.local is not None
        ours, theirs = crypto(seed=1), crypto(seed=2)
        transport.secure(ours, theirs)
        sealed = Protection(theirs, ours, lambda *about: None, shared=False)
        with Phone("127.0.0.2") as phone, Phone("127.0.0.3") as attacker:
            attacker.send(transport.local, *map(rtp, range(20)))
            phone.send(transport.local, *(sealed.protect(rtp(n)) or b"" for n in range(3)))
            await end.receives(rtp(0), rtp(1), rtp(2))
            transport.send(rtp(9))
            assert sealed.open(await phone.receive(), 0.0, None) == rtp(9)
        assert transport.counters.unauthenticated == 20


@scenario()
async def test_a_transport_that_shall_not_does_not() -> None:
    transport = UdpTransport(LOCALHOST)
    await transport.open()
    assert transport.local is not None
    with Stranger() as described, Phone("127.0.0.2") as phone:
        transport.connect_to(described.address, described.address)
        end = End(transport)
        phone.send(transport.local, *map(rtp, range(9)))
        await end.receives(*map(rtp, range(9)))
        transport.send(rtp(20))
        assert await described.receive() == rtp(20) and not transport.counters.foreign
    await transport.close()


@scenario()
async def test_on_a_shared_port_an_address_is_a_call() -> None:
    settings = CallSettings(transport="rtp", rtcp_mux=True, shared_port=0)
    transport = UdpTransport(LOCALHOST, share=SharedPorts().of(settings), symmetric=True)
    await transport.open()
    transport.connect_to(("127.0.0.9", 5004), ("", 5004))
    assert transport._latch is None
    await transport.close()


@pytest.mark.parametrize("wanted", [True, False])
@scenario()
async def test_calls_do_so_unless_they_shall_not(wanted: bool) -> None:
    settings = CallSettings(transport="rtp", symmetric_rtp=wanted)
    async with MediaServiceProvider(settings=settings) as msp:
        transport = msp.make_transport(settings)
        assert isinstance(transport, UdpTransport) and transport._symmetric is wanted


TELEPHONE = """v=0
o=- 1 1 IN IP4 127.0.0.9
s=-
c=IN IP4 127.0.0.9
t=0 0
m=audio {port} RTP/AVP 0
a=rtcp:{rtcp}
"""


@scenario()
async def test_a_telephone_behind_a_router_hears_us() -> None:
    """It described an address that nobody can send to."""
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        Ends(call, 440.0)
        nobody = free_ports(2)
        offer = TELEPHONE.format(port=nobody, rtcp=nobody + 1)
        call.receive_tsp_data(Description(type="offer", sdp=offer))
        await call.wait_connected()
        (channel,) = call._media.channels
        local = channel.transport.local  # type: ignore[attr-defined]
        with Phone("127.0.0.2") as phone:
            for number in range(5):
                phone.send(local, compose_rtp(0, number, number * 160, 77, bytes([255] * 160)))
            heard = await phone.receive()
            assert heard[1] & 0x7F == 0 and len(heard) == 172
            await eventually(lambda: 77 in channel.session.sources)


# -- before we are connected


@scenario()
async def test_what_comes_before_we_are_connected_waits_a_moment() -> None:
    transport = UdpTransport(LOCALHOST)
    await transport.open()
    assert transport.local is not None and transport.local_rtcp is not None
    with Stranger() as phone, Stranger() as phone_rtcp:
        phone_rtcp.send(transport.local_rtcp, RTCP)
        await eventually(lambda: transport._early_reports)
        phone.send(transport.local, rtp(1), rtp(2))
        await eventually(lambda: len(transport._early) == 2)
        assert not transport.counters.received
        transport.connect_to(phone.address, phone_rtcp.address)
        end = End(transport)
        await end.receives(RTCP, rtp(1), rtp(2))
        assert end.origins == [phone_rtcp.address, phone.address, phone.address]
    await transport.close()


@scenario()
async def test_of_what_comes_too_early_a_little_is_kept() -> None:
    transport = UdpTransport(LOCALHOST)
    await transport.open()
    assert transport.local is not None
    count = 3 * MAX_EARLY_DATAGRAMS
    with Stranger() as phone:
        phone.send(transport.local, *map(rtp, range(count)))
        last = (rtp(count - 1), phone.address)
        await eventually(lambda: transport._early and transport._early[-1][1:] == last)
        transport.connect_to(phone.address, phone.address)
        end = End(transport)
        await end.receives(*map(rtp, range(count - MAX_EARLY_DATAGRAMS, count)))
        assert transport.counters.early == count - MAX_EARLY_DATAGRAMS
    await transport.close()


@pytest.mark.parametrize("mux", [True, False])
@scenario()
async def test_media_that_come_too_early_leave_room_for_the_report(mux: bool) -> None:
    transport = UdpTransport(LOCALHOST, mux=mux)
    await transport.open()
    assert transport.local is not None and transport.local_rtcp is not None
    with Stranger() as phone:
        phone.send(transport.local_rtcp, RTCP)
        phone.send(transport.local, *map(rtp, range(3 * MAX_EARLY_DATAGRAMS)))
        await eventually(lambda: transport.counters.early == 2 * MAX_EARLY_DATAGRAMS)
        transport.connect_to(phone.address, phone.address)
        end = End(transport)
        assert await end.arrived.get() == RTCP
    await transport.close()


@scenario()
async def test_who_sends_before_we_are_described_is_heard_and_not_followed() -> None:
    transport = UdpTransport(LOCALHOST, symmetric=True)
    transport.expect({111})
    await transport.open()
    assert transport.local is not None
    with Phone("127.0.0.2") as stranger, Phone("127.0.0.3") as phone:
        stranger.send(transport.local, *map(rtp, range(MIN_RUN)))
        await eventually(lambda: len(transport._early) == MIN_RUN)
        transport.connect_to(("127.0.0.9", 5004), ("", 5005))
        end = End(transport)
        await end.receives(*map(rtp, range(MIN_RUN)))
        assert transport._latch is not None and transport._latch.source is None
        phone.send(transport.local, *map(rtp, range(MIN_RUN)))
        await end.receives(*map(rtp, range(MIN_RUN)))
        assert transport._remote == phone.address
    await transport.close()


@scenario()
async def test_nobody_is_looked_for_who_sends_nothing() -> None:
    transport = UdpTransport(LOCALHOST, symmetric=True)
    transport.expect(set())
    await transport.open()
    transport.connect_to(("127.0.0.9", 5004), ("", 5005))
    assert transport._latch is None
    await transport.close()


@scenario()
async def test_who_closes_before_it_was_connected_takes_nothing() -> None:
    transport = UdpTransport(LOCALHOST)
    await transport.open()
    assert transport.local is not None
    with Stranger() as phone:
        phone.send(transport.local, rtp(1))
        await eventually(lambda: transport._early)
        transport.connect_to(phone.address, phone.address)
        end = End(transport)
        await transport.close()
        await asyncio.sleep(0)
        assert end.arrived.empty()


class Kept:
    """What takes datagrams that have waited."""

    def __init__(self) -> None:
        self.run: list[tuple[bytes, float]] = []

    def take(self, run: list[tuple[bytes, float]], origin: object) -> None:
        self.run += run


@scenario()
async def test_what_has_waited_is_judged_like_the_rest() -> None:
    async with expecting() as end:
        transport, kept, phone = end.transport, Kept(), ("127.0.0.2", 5004)
        run = [(rtp(number), number / 50) for number in range(5)]
        for where in (phone, phone, ("127.0.0.3", 5004)):
            transport._waited(kept, run, where)  # type: ignore[arg-type]
        assert len(kept.run) == 10 and transport.counters.foreign == 5
        assert transport._latch is not None
        assert (transport._latch.source, transport._latch.heard) == (phone, 4 / 50)
