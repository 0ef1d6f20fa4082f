"""STUN on the ports of plain RTP: what is answered, how often, and what is only counted."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from aioice import stun
from peers import LOCALHOST, eventually, scenario
from transport_lab import RTCP, End, Stranger, rtp

from ipconf import CallSettings
from ipconf.transports.shared_port import SharedPorts
from ipconf.transports.stun import MAX_ANSWERS_PER_S, StunAnswerer, is_stun
from ipconf.transports.udp import UdpTransport

V4, V6 = ("198.51.100.7", 61_000), ("2001:db8::7", 61_000)


def request(**attributes: object) -> bytes:
    """A binding request (RFC 5389)."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, bytes(range(12)))
    message.attributes.update({k.replace("_", "-"): v for k, v in attributes.items()})
    return bytes(message)


@pytest.mark.parametrize("where", [V4, V6])
def test_a_request_is_answered_with_the_address_that_it_came_from(where: tuple[str, int]) -> None:
    asked = request(SOFTWARE="phone")
    answer = StunAnswerer().answer(asked, where, 0.0)
    assert answer is not None and len(answer) <= 44 and is_stun(answer)
    read = stun.parse_message(answer)
    assert read.message_class is stun.Class.RESPONSE
    assert read.transaction_id == stun.parse_message(asked).transaction_id
    host, port = read.attributes["XOR-MAPPED-ADDRESS"]
    assert (ip_address(host), port) == (ip_address(where[0]), where[1])


@pytest.mark.parametrize(
    "data",
    [
        request(USERNAME="a:b"),
        request(PRIORITY=7),
        b"\x01\x01" + request()[2:],
        b"\x00\x11" + request()[2:],
        request(SOFTWARE="x" * 600),
        request(SOFTWARE="phone")[:2] + b"\x00\x03" + request()[4:20] + b"\x80\x22\x00",
    ],
)
def test_what_is_not_answered(data: bytes) -> None:
    """Checks of ICE, answers, indications, and what is no common request."""
    assert StunAnswerer().answer(data, V4, 0.0) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\x01", request()[:19], request() + b"\0", bytes(20), b"\x80" + request()[1:]],
)
def test_what_is_no_stun(data: bytes) -> None:
    assert not is_stun(data)


def test_few_are_answered_in_a_second() -> None:
    answerer = StunAnswerer()
    answers = [answerer.answer(request(), V4, n / 1000) for n in range(900)]
    assert sum(answer is not None for answer in answers) == MAX_ANSWERS_PER_S
    assert answerer.answer(request(), V4, 2.0) is not None


@pytest.mark.parametrize("mux", [False, True])
@scenario()
async def test_both_ports_answer_also_before_we_are_connected(mux: bool) -> None:
    transport = UdpTransport(LOCALHOST, mux=mux)
    await transport.open()
    end = End(transport)
    assert transport.local is not None and transport.local_rtcp is not None
    with Stranger() as phone:
        for connected in (False, True):
            if connected:
                transport.connect_to(phone.address, phone.address)
            for port in (transport.local, transport.local_rtcp):
                phone.send(port, request(), b"\x01\x01" + request()[2:])
                answer = stun.parse_message(await phone.receive())
                assert answer.attributes["XOR-MAPPED-ADDRESS"] == phone.address
        await eventually(lambda: transport.counters.stun == 8)
        phone.send(transport.local, rtp(1), RTCP)
        assert {await end.arrived.get(), await end.arrived.get()} == {rtp(1), RTCP}
        counters = transport.counters
        assert (counters.unknown, counters.received, counters.sent) == (0, 2, 0)
    await transport.close()


@scenario()
async def test_on_a_shared_port_as_well() -> None:
    """It is the call's whose far end sent it, where no user is named."""
    settings = CallSettings(transport="rtp", rtcp_mux=True, shared_port=0)
    hub = SharedPorts()
    transport = UdpTransport(LOCALHOST, share=hub.of(settings))
    await transport.open()
    assert transport.local is not None
    with Stranger() as phone, Stranger() as stranger:
        transport.connect_to(phone.address, phone.address)
        phone.send(transport.local, request())
        assert stun.parse_message(await phone.receive()).attributes["XOR-MAPPED-ADDRESS"]
        stranger.send(transport.local, request())
        await eventually(lambda: hub.strangers == 1)
        assert transport.counters.stun == 1
    await transport.close()
