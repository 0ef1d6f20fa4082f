"""One port for all calls: each gets what its far end sends, and strangers neither get nor give."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from aioice import stun
from peers import LOCALHOST, eventually, open_sockets, scenario, webrtc
from transport_lab import (
    CERTIFICATE,
    RTCP,
    End,
    Roamer,
    Stranger,
    address_of,
    described,
    free_ports,
    has_address,
    join,
    rtp,
)

from ipconf import CallSettings, MediaServiceProvider
from ipconf.errors import ConfigurationError, NegotiationError, TransportError
from ipconf.model import GoneReason
from ipconf.transports import mmsg
from ipconf.transports.base import Loss
from ipconf.transports.ports import Address, Port
from ipconf.transports.shared_port import MAX_ASKED, MAX_UNSETTLED, SharedPorts, user_of
from ipconf.transports.udp import UdpTransport
from ipconf.transports.webrtc import WebRtcTransport

PLAIN = CallSettings(transport="rtp", rtcp_mux=True, shared_port=0)
_numbers = count(1000)
HOSTS = [LOCALHOST, "::1"] if has_address("::1") else [LOCALHOST]


@pytest.fixture(params=["mmsg", "one by one"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one by one":
        monkeypatch.setattr(mmsg, "_system_calls", lambda: None)
    elif mmsg._system_calls() is None:
        pytest.skip("this system has no such calls")


# -- plain RTP


async def _plain(hub: SharedPorts, host: str = LOCALHOST) -> tuple[UdpTransport, UdpTransport]:
    """A call's end on the shared port, and its far end, connected."""
    near = UdpTransport(host, share=hub.of(PLAIN))
    far = UdpTransport(host, mux=True)
    await near.open()
    await far.open()
    await near.connect(described(far), offered=True, role="")
    await far.connect(described(near), offered=False, role="")
    return near, far


@asynccontextmanager
async def _plain_calls(
    hub: SharedPorts, calls: int, host: str = LOCALHOST
) -> AsyncIterator[list[tuple[End[UdpTransport], End[UdpTransport]]]]:
    made = [await _plain(hub, host) for _ in range(calls)]
    try:
        yield [(End(near), End(far)) for near, far in made]
    finally:
        for near, far in made:
            await near.close()
            await far.close()


@pytest.mark.parametrize("host", HOSTS)
@scenario()
async def test_plain_calls_share_a_port_and_each_has_its_own_packets(host: str) -> None:
    hub, before = SharedPorts(), open_sockets()
    async with _plain_calls(hub, 3, host) as calls:
        assert len({near.transport.local for near, _ in calls}) == 1
        assert open_sockets() == before + 4
        for number, (near, far) in enumerate(calls):
            near.transport.send_rtp(rtp(number))
            near.transport.send(RTCP)
            far.transport.send_rtp(rtp(10 + number))
            far.transport.send(RTCP)
        for number, (near, far) in enumerate(calls):
            await far.receives(rtp(number), RTCP)
            await near.receives(rtp(10 + number), RTCP)
            assert near.origins == [far.transport.local] * 2
            sent, received = near.transport.counters, far.transport.counters
            assert sent.sent == sent.received == received.received == 2
        line = described(calls[0][0].transport)
        assert line.port == line.rtcp_port and line.rtcp_mux
    assert open_sockets() == before and hub.strangers == 0


@scenario()
async def test_who_leaves_says_so_and_the_others_go_on() -> None:
    hub = SharedPorts()
    async with _plain_calls(hub, 3) as calls:
        (gone, far), *others = calls
        gone.transport.send(RTCP)
        await gone.transport.close()
        await far.receives(RTCP)
        far.transport.send(rtp(1))
        await eventually(lambda: hub.strangers == 1)
        gone.transport.send(rtp(1))
        assert gone.transport.counters.unsent == 1
        for near, other in others:
            other.transport.send(rtp(2))
            await near.receives(rtp(2))
        await near.transport.close()
        (near, other), _ = others
        near.transport.send(RTCP)
        await near.transport.close()  # the last one: the socket is gone at once
        await other.receives(RTCP)
        assert gone.arrived.empty()


@scenario()
async def test_an_address_is_one_calls_until_that_is_closed() -> None:
    hub = SharedPorts()
    async with _plain_calls(hub, 1) as ((near, far),):
        second = UdpTransport(LOCALHOST, share=hub.of(PLAIN))
        await second.open()
        with pytest.raises(NegotiationError, match="another call's .* without shared_port"):
            await second.connect(described(far.transport), offered=True, role="")
        second.send(rtp())
        assert second.counters.unsent == 1
        far.transport.send(rtp(1))
        await near.receives(rtp(1))
        await near.transport.close()
        await second.connect(described(far.transport), offered=True, role="")
        end = End(second)
        far.transport.send(rtp(2))
        await end.receives(rtp(2))
        await second.close()


@scenario()
async def test_strangers_are_counted_and_heard_by_nobody() -> None:
    hub, rng = SharedPorts(), random.Random(3)
    async with _plain_calls(hub, 2) as calls:
        near, far = calls[0]
        assert near.transport.local is not None
        with Stranger() as stranger:
            stranger.send(
                near.transport.local, rtp(1), RTCP, b"", b"\0", b"\0\1", b"\1\1" + bytes(30)
            )
            stranger.send(near.transport.local, *[rng.randbytes(50) for _ in range(94)])
        far.transport.send(rtp(1))
        await near.receives(rtp(1))
        assert hub.strangers == 100 and calls[1][0].arrived.empty()


@scenario()
async def test_a_far_end_with_two_ports_is_refused() -> None:
    near, far = UdpTransport(LOCALHOST, share=SharedPorts().of(PLAIN)), UdpTransport(LOCALHOST)
    await near.open()
    await far.open()
    with pytest.raises(NegotiationError, match="a=rtcp-mux"):
        await near.connect(described(far), offered=True, role="")
    await near.close()
    await far.close()


@scenario()
async def test_bursts_of_many_are_all_carried() -> None:
    async with _plain_calls(SharedPorts(), 5) as calls:
        for number in range(200):
            for near, far in calls:
                near.transport.send_rtp(rtp(number, bytes(100)))
                far.transport.send_rtp(rtp(number, bytes(50)))
        for near, far in calls:
            assert await near.receives_up_to(rtp(199, bytes(50))) == [
                rtp(number, bytes(50)) for number in range(199)
            ]
            assert await far.receives_up_to(rtp(199, bytes(100))) == [
                rtp(number, bytes(100)) for number in range(199)
            ]


@scenario()
async def test_what_one_call_cannot_send_is_its_own_loss() -> None:
    async with _plain_calls(SharedPorts(), 2) as ((one, far), (other, other_far)):
        one.transport.send(rtp(payload=bytes(70_000)))
        other.transport.send(rtp(2))
        one.transport.send(rtp(3))
        await other_far.receives(rtp(2))
        await far.receives(rtp(3))
        counters = one.transport.counters
        assert (counters.sent, counters.sent_bytes, counters.unsent) == (1, len(rtp(3)), 1)
        assert other.transport.counters.unsent == 0


@scenario()
async def test_a_call_that_fails_to_take_a_packet_does_not_harm_the_others() -> None:
    loop = asyncio.get_running_loop()
    handler, troubles = loop.get_exception_handler(), []
    loop.set_exception_handler(lambda loop, trouble: troubles.append(trouble["exception"]))
    async with _plain_calls(SharedPorts(), 2) as ((one, far), (other, other_far)):
        one.transport.sink = lambda *args: 1 // 0
        far.transport.send(rtp(1))
        other_far.transport.send(rtp(2))
        await other.receives(rtp(2))
    assert [type(trouble) for trouble in troubles] == [ZeroDivisionError]
    loop.set_exception_handler(handler)


@scenario()
async def test_the_number_is_the_ports_and_free_again_at_the_end() -> None:
    number = free_ports(1)
    settings = PLAIN.replace(shared_port=number)
    for _ in range(2):
        transport = UdpTransport(LOCALHOST, share=SharedPorts().of(settings))
        await transport.open()
        assert transport.local == (LOCALHOST, number)
        other = UdpTransport(LOCALHOST, share=SharedPorts().of(settings))
        with pytest.raises(TransportError, match="give shared_port a number that is free"):
            await other.open()
        await other.close()
        await transport.close()


def test_a_loop_that_watches_no_files_is_told_of() -> None:
    class Proactor(asyncio.SelectorEventLoop):
        def add_reader(self, *args: object) -> None:  # type: ignore[override]
            raise NotImplementedError

    async def work() -> None:
        transport = UdpTransport(LOCALHOST, share=SharedPorts().of(PLAIN))
        with pytest.raises(TransportError, match="selector event loop"):
            await transport.open()

    with asyncio.Runner(loop_factory=Proactor) as runner:
        runner.run(work())


def test_plain_rtp_must_multiplex_on_a_shared_port() -> None:
    with pytest.raises(ConfigurationError, match="shared_port: .*rtcp_mux=True"):
        CallSettings(transport="rtp", shared_port=5004)
    with pytest.raises(ConfigurationError, match="shared_port"):
        CallSettings(shared_port=65_536)
    assert SharedPorts().of(CallSettings()) is None


# -- WebRTC


async def _leg(
    hub: SharedPorts | None, *, offering: bool, host: str = LOCALHOST
) -> WebRtcTransport:
    settings = webrtc(shared_port=0, connect_timeout_s=5).replace(ice_addresses=(host,))
    share = None if hub is None else hub.of(settings)
    transport = WebRtcTransport(settings, CERTIFICATE, share)
    await transport.open(offering=offering)
    return transport


Leg = tuple[End[WebRtcTransport], End[WebRtcTransport]]


@asynccontextmanager
async def _legs(
    hub: SharedPorts, calls: int, *, hub_offers: bool = False, host: str = LOCALHOST
) -> AsyncIterator[list[Leg]]:
    """So many calls, all connecting at the same time; the hub's end of each is the first."""
    made: list[tuple[WebRtcTransport, WebRtcTransport]] = []
    for _ in range(calls):
        near = await _leg(hub, offering=hub_offers, host=host)
        made.append((near, await _leg(None, offering=not hub_offers, host=host)))
    try:
        await asyncio.gather(*(join(*(pair if hub_offers else pair[::-1])) for pair in made))
        yield [(End(near), End(far)) for near, far in made]
    finally:
        for pair in made:
            for transport in pair:
                await transport.close()


async def _talk(legs: list[Leg]) -> None:
    """Each end of each call says something, and hears exactly what the other end says."""
    words = [(rtp(next(_numbers)), rtp(next(_numbers))) for _ in legs]  # no key is used twice
    for (near, far), (there, back) in zip(legs, words, strict=True):
        near.transport.send_rtp(there)
        near.transport.send(RTCP)
        far.transport.send_rtp(back)
    for (near, far), (there, back) in zip(legs, words, strict=True):
        await far.receives(there, RTCP)
        await near.receives(back)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("hub_offers", [True, False])
@scenario()
async def test_webrtc_calls_share_a_port(hub_offers: bool, host: str) -> None:
    hub, before = SharedPorts(), open_sockets()
    async with _legs(hub, 4, hub_offers=hub_offers, host=host) as legs:
        assert len({address_of(near.transport) for near, _ in legs}) == 1
        assert open_sockets() == before + 5
        await _talk(legs)
        await legs[1][0].transport.close()
        assert await legs[1][1].ended is GoneReason.BYE
        await legs[3][1].transport.close()
        assert await legs[3][0].ended is GoneReason.BYE
        await _talk(legs[::2])
    assert open_sockets() == before and hub.strangers == 0


@scenario()
async def test_calls_come_and_go_on_the_same_port() -> None:
    hub = SharedPorts()
    async with _legs(hub, 1) as first:
        for _ in range(3):
            async with _legs(hub, 2) as others:
                assert address_of(others[0][0].transport) == address_of(first[0][0].transport)
                await _talk(first + others)
        await _talk(first)
    assert not hub._sockets


@scenario()
async def test_both_kinds_share_the_same_port() -> None:
    hub = SharedPorts()
    async with _legs(hub, 2) as legs, _plain_calls(hub, 2) as calls:
        assert calls[0][0].transport.local == address_of(legs[0][0].transport)
        await _talk(legs)
        for near, far in calls:
            near.transport.send(rtp(1))
            far.transport.send(rtp(2))
            await far.receives(rtp(1))
            await near.receives(rtp(2))


@scenario()
async def test_a_far_end_that_begins_early_is_not_lost() -> None:
    """Its checks, and its first words of DTLS, come before the hub knows its description."""
    hub = SharedPorts()
    near, far = await _leg(hub, offering=True), await _leg(None, offering=False)
    far_sees, near_sees = described(near, "server"), described(far, "client")
    early = asyncio.create_task(far.connect(far_sees, offered=False, role="client"))
    await asyncio.sleep(0.1)
    await near.connect(near_sees, offered=True, role="server")
    await early
    await _talk([(End(near), End(far))])
    assert hub.strangers == 0
    await near.close()
    await far.close()


@scenario()
async def test_a_forged_check_opens_nothing() -> None:
    """Whoever knows a user name fragment, but no password, is answered and stays a stranger."""
    hub = SharedPorts()
    async with _legs(hub, 2) as legs:
        near = legs[0][0].transport
        roamer = await Roamer.of(legs[0][1].transport, near)
        password, roamer.far.password = roamer.far.password, "wrong" * 5
        roamer.nominate(address_of(near))
        assert (await roamer.answers.get()).message_class is stun.Class.ERROR
        roamer.transport.sendto(rtp(1), address_of(near))
        roamer.transport.sendto(b"\x16\xfe\xfd" + bytes(60), address_of(near))
        await eventually(lambda: hub.strangers == 2)
        await _talk(legs)
        assert near.counters.unauthenticated == near.counters.refused == 0
        roamer.far.password = password
        roamer.check(address_of(near), PRIORITY=1)
        assert (await roamer.answers.get()).message_class is stun.Class.RESPONSE
        roamer.transport.sendto(rtp(1), address_of(near))
        await eventually(lambda: near.counters.unauthenticated == 1)
        assert hub.strangers == 2
        roamer.close()


@scenario()
async def test_a_late_nomination_moves_the_call() -> None:
    hub = SharedPorts()
    async with _legs(hub, 2, hub_offers=False) as legs:
        near, far = (end.transport for end in legs[0])
        roamer = await Roamer.of(far, near)
        roamer.nominate(address_of(near))
        await roamer.checked.wait()
        far.send(rtp(1))  # from where it was
        await legs[0][0].receives(rtp(1))
        near.send(rtp(2))
        assert 127 < (await roamer.received.get())[0] < 192
        await _talk(legs[1:])
        roamer.close()


@scenario()
async def test_calls_to_one_far_address_are_refused_but_the_first() -> None:
    """As of a far end that shares a port itself."""
    hub, far_hub = SharedPorts(), SharedPorts()
    near, far = await _leg(hub, offering=True), await _leg(far_hub, offering=False)
    await join(near, far)
    ends = End(near), End(far)
    second, second_far = await _leg(hub, offering=True), await _leg(far_hub, offering=False)
    results = await asyncio.gather(
        second.connect(described(second_far, "server"), offered=True, role="client"),
        second_far.connect(described(second, "client"), offered=False, role="server"),
        return_exceptions=True,
    )
    for result in results:
        assert isinstance(result, NegotiationError) and "another call's" in str(result)
    await _talk([ends])
    for transport in (near, far, second, second_far):
        await transport.close()


@scenario()
async def test_loss_on_purpose_is_each_calls_own() -> None:
    async with _legs(SharedPorts(), 2) as legs:
        near = legs[0][0].transport
        near.impair(Loss(100))
        near.send(rtp(1))
        assert near.counters.dropped_on_purpose == 1
        await _talk(legs[1:])
        near.impair(None)
        await _talk(legs)


# -- what a socket remembers of its calls


class _Call:
    """A call's part of a shared port, and what came to it."""

    def __init__(self, hub: SharedPorts, user: str | None = None) -> None:
        self.came: list[tuple[bytes, Address]] = []
        share = hub.of(webrtc(shared_port=0))
        assert share is not None
        self.port: Port = share(LOCALHOST, lambda *arrived: self.came.append(arrived), user)


def _check(user: str, transaction: bytes = bytes(12)) -> bytes:
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction)
    check.attributes["PRIORITY"] = 1
    check.attributes["USERNAME"] = f"{user}:far"
    return bytes(check)


def _answer(kind: stun.Class, transaction: bytes = bytes(12)) -> bytes:
    return bytes(stun.Message(stun.Method.BINDING, kind, transaction))


@scenario()
async def test_stun_goes_to_whom_it_is_for() -> None:
    hub = SharedPorts()
    one, other = _Call(hub, "one"), _Call(hub, "other")
    with Stranger() as far:
        far.send(one.port.address, _check("other"), _check("none"), _check("one"))
        await eventually(lambda: one.came and other.came)
        assert [data for data, _ in one.came] == [_check("one")]
        assert other.came == [(_check("other"), far.address)]
        one.port.sendto(_check("far", b"1" * 12), far.address)
        assert await far.receive() == _check("far", b"1" * 12)
        response, error = (_answer(k, b"1" * 12) for k in (stun.Class.RESPONSE, stun.Class.ERROR))
        far.send(one.port.address, response, _answer(stun.Class.RESPONSE, b"2" * 12), error)
        await eventually(lambda: hub.strangers == 3)  # each transaction is answered once
        assert [data for data, _ in one.came[1:]] == [response]
    one.port.close()
    other.port.close()


@scenario()
async def test_an_address_is_whose_check_was_answered_until_somebody_settles_there() -> None:
    hub = SharedPorts()
    one, other = _Call(hub, "one"), _Call(hub, "other")
    with Stranger() as far:

        async def heard_by(call: _Call) -> None:
            far.send(one.port.address, b"\x80")
            await eventually(lambda: one.came or other.came)
            assert call.came.pop() == (b"\x80", far.address) and not one.came + other.came

        one.port.sendto(_answer(stun.Class.ERROR), far.address)
        far.send(one.port.address, b"\x80")
        await eventually(lambda: hub.strangers == 1)
        other.port.sendto(_answer(stun.Class.RESPONSE), far.address)
        one.port.sendto(_answer(stun.Class.RESPONSE), far.address)
        await heard_by(other)
        assert one.port.settle(far.address)
        await heard_by(one)
        assert not other.port.settle(far.address) and one.port.settle(far.address)
        other.port.sendto(_answer(stun.Class.RESPONSE), far.address)
        await heard_by(one)
        one.port.close()
        assert other.port.settle(far.address)
        await heard_by(other)
    other.port.close()


@scenario()
async def test_what_is_remembered_has_bounds() -> None:
    hub = SharedPorts()
    one, other = _Call(hub, "one"), _Call(hub, "other")
    (socket,) = hub._sockets.values()
    for number in range(1, MAX_ASKED + 100):
        one.port.sendto(_check("far", number.to_bytes(12)), (LOCALHOST, 9))
    assert len(socket._asked) == MAX_ASKED
    one.port.sendto(_answer(stun.Class.RESPONSE), (LOCALHOST, 1))
    assert one.port.settle((LOCALHOST, 1))
    for number in range(1, 100):
        one.port.sendto(_answer(stun.Class.RESPONSE), (LOCALHOST, number))
    assert len(socket._at) == MAX_UNSETTLED + 1
    assert other.port.settle((LOCALHOST, 99))
    for number in range(200, 300):
        one.port.sendto(_answer(stun.Class.RESPONSE), (LOCALHOST, number))
    assert len(socket._at) == MAX_UNSETTLED + 2 and not one.port.settle((LOCALHOST, 99))
    one.port.close()
    assert not one.port.sendto(b"x", (LOCALHOST, 1))
    assert len(socket._at) == len(socket._settled) == 1 and not socket._asked
    other.port.close()


def test_user_names_are_found_in_anything() -> None:
    rng = random.Random(5)
    check = _check("somebody")
    assert user_of(check) == b"somebody"
    for size in range(len(check)):
        assert user_of(check[:size]) in (b"", *(b"somebody"[:n] for n in range(9)))
    for _ in range(2000):
        damaged = bytearray(check)
        damaged[rng.randrange(len(check))] = rng.randrange(256)
        user_of(bytes(damaged))


# -- providers


@scenario()
async def test_calls_of_a_provider_with_the_same_number_share_it() -> None:
    async with MediaServiceProvider() as one, MediaServiceProvider() as other:
        made = [
            provider.make_transport(settings)
            for provider in (one, other)
            for settings in (PLAIN, PLAIN.replace(shared_port=None), webrtc(shared_port=0), PLAIN)
        ]
        for transport in made:
            await transport.open()
        ports = []
        for transport in made:
            line = described(transport)
            ports.append(line.ice_candidates[0].port if line.ice_candidates else line.port)
        assert ports[0] == ports[2] == ports[3] and ports[4] == ports[6] == ports[7]
        assert len(set(ports)) == 4
        for transport in made:
            await transport.close()
