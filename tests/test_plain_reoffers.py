"""Further offers to a plain call: held by an address where nothing is to be sent, or of no use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest
from call_ends import Ends, EventLog, provider
from offers import AUDIO, VIDEO, negotiator
from peers import LIMIT_S, LOCALHOST, PLAIN, eventually, scenario
from transport_lab import RTCP, End, Stranger

from ipconf import Call, CallState, MediaServiceProvider
from ipconf.engine.rtp_wire import compose_rtp
from ipconf.errors import NegotiationError
from ipconf.events import CallStateChanged, TspData
from ipconf.model import CallSettings
from ipconf.transports.far_address import is_nowhere
from ipconf.transports.reading import read_description
from ipconf.transports.shared_port import SharedPorts
from ipconf.transports.udp import UdpTransport
from ipconf.tsp_data import Description

TELEPHONE = """v=0
o=- 1 {version} IN IP4 127.0.0.1
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP 0
a=rtcp:{port}
{more}"""


def offer(port: int, version: int, host: str = LOCALHOST, more: str = "") -> str:
    return TELEPHONE.format(port=port, version=version, host=host, more=more)


async def answered(msp: MediaServiceProvider, call: Call, sdp: str) -> str:
    """What we answer to that offer, once it holds."""
    with closing(msp.events(TspData)) as posted:
        call.receive_tsp_data(Description(type="offer", sdp=sdp))
        async with asyncio.timeout(LIMIT_S):
            said = (await posted.wait_for(TspData)).data
    assert isinstance(said, Description) and said.type == "answer", said
    await call.wait_connected()
    return said.sdp


@asynccontextmanager
async def in_call() -> AsyncIterator[tuple[MediaServiceProvider, Call, Stranger]]:
    """Our call with a telephone that hears us."""
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        Ends(call, 440.0)
        with Stranger() as phone:
            await answered(msp, call, offer(phone.address[1], 1))
            await hears(phone)
            yield msp, call, phone


async def hears(phone: Stranger) -> None:
    """Return when a packet of sound comes to it."""
    async with asyncio.timeout(LIMIT_S):
        while len(await phone.receive()) != 172:
            pass


def silent(phone: Stranger) -> bool:
    """Whether nothing more has come to it."""
    try:
        return not phone.socket.recv(2048)
    except BlockingIOError:
        return True


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::"])
@scenario()
async def test_a_telephone_holds_the_old_way_and_goes_on(nowhere: str) -> None:
    async with in_call() as (msp, call, phone):
        answer = await answered(msp, call, offer(phone.address[1], 2, nowhere))
        assert "a=recvonly" in answer and "m=audio 0 " not in answer
        (channel,) = call._media.channels
        transport = channel.transport
        assert isinstance(transport, UdpTransport) and transport.local is not None
        while not silent(phone):
            pass
        packets = [compose_rtp(0, n, n * 160, 77, bytes([255] * 160)) for n in range(5)]
        phone.send(transport.local, *packets)  # music on hold
        await eventually(lambda: 77 in channel.session.sources)
        transport.send(RTCP)
        transport.send(packets[0])
        assert not transport.counters.sent and transport.counters.unsent >= 2 and silent(phone)
        assert transport._latch is not None and transport._latch.source == phone.address
        answer = await answered(msp, call, offer(phone.address[1], 3))
        assert "a=sendrecv" in answer
        await hears(phone)


@pytest.mark.parametrize("host", ["phone.example", "::1", "239.1.2.3/127"])
@scenario()
async def test_where_nothing_can_be_sent_the_old_agreement_goes_on(host: str) -> None:
    async with in_call() as (_, call, phone):
        log = EventLog(call)
        (before,) = call._media.channels
        call.receive_tsp_data(Description(type="offer", sdp=offer(9000, 2, host)))
        changed = await log.until(CallStateChanged, lambda e: e.state is CallState.CONNECTED)
        assert isinstance(changed.error, NegotiationError) and host in str(changed.error)
        assert tuple(call._media.channels) == (before,)
        while not silent(phone):
            pass
        await hears(phone)


@pytest.mark.parametrize("direction", ["sendrecv", "sendonly", "recvonly", "inactive"])
@scenario()
async def test_who_sends_no_media_is_not_looked_for(direction: str) -> None:
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        Ends(call, 440.0)
        await answered(msp, call, offer(9000, 1, more=f"a={direction}\n"))
        (channel,) = call._media.channels
        assert isinstance(channel.transport, UdpTransport)
        sends = direction.startswith("send")
        assert (channel.transport._latch is not None) is sends


TWO = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
m=audio 9000 RTP/AVP 111
c=IN IP4 {audio}
a=rtpmap:111 opus/48000/2
m=video 9002 RTP/AVP 96
c=IN IP4 {video}
a=rtpmap:96 VP8/90000
"""


@scenario()
async def test_a_line_that_cannot_be_reached_is_refused_by_itself() -> None:
    us = negotiator(transport="rtp", rtp_address=LOCALHOST)
    us._bearers._make = lambda: UdpTransport(LOCALHOST)
    answer = await us.answer(TWO.format(audio=LOCALHOST, video="phone.example"))
    assert "m=video 0 " in answer and "m=audio 0 " not in answer
    (refused,) = us.refused
    assert refused.medium is VIDEO and "phone.example" in refused.reason
    await us.close()


@scenario()
async def test_in_an_answer_as_well() -> None:
    us = negotiator(transport="rtp")
    us._bearers._make = lambda: UdpTransport(LOCALHOST)
    await us.offer()
    us.accept_answer(TWO.format(audio="0.0.0.0", video="phone.example"))
    (bearer,) = us.bearers
    (line,) = bearer.lines
    assert (line.medium, line.sends, line.receives) == (AUDIO, False, True)
    assert [refused.medium for refused in us.refused] == [VIDEO]
    await us.close()


@scenario()
async def test_on_a_shared_port_too() -> None:
    settings = CallSettings(transport="rtp", rtcp_mux=True, shared_port=0)
    transport = UdpTransport(LOCALHOST, share=SharedPorts().of(settings))
    await transport.open()
    remote = read_description(offer(9000, 1, "0.0.0.0")).media[0]
    transport.check(remote)
    await transport.connect(remote, offered=True, role="")
    End(transport).transport.send(RTCP)
    assert transport.counters.unsent == 1
    remote.host = LOCALHOST
    with pytest.raises(NegotiationError, match="rtcp-mux"):
        transport.check(remote)
    await transport.close()


def test_nowhere() -> None:
    assert [is_nowhere(host) for host in ("0.0.0.0", "::", "127.0.0.1", "", None, "x")] == [
        True,
        True,
        *[False] * 4,
    ]
