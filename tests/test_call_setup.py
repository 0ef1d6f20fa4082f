"""How calls of two providers come about, do not, and what is left of them afterwards."""

from __future__ import annotations

import asyncio

import pytest
from call_ends import Ends, EventLog, Wire, loopback, provider
from peers import LIMIT_S, LOCALHOST, PLAIN, eventually, scenario, together, webrtc
from senses import ALICE, AUDIO, CAPTURE, RENDER, VIDEO

from ipconf import CallState, Cause, LoopbackTsp, NetworkImpairment, SocketTsp
from ipconf.errors import ClosedError, ConnectTimeoutError, NegotiationError, TransportError
from ipconf.events import CallStateChanged, StreamNotUsed
from ipconf.tsp_data import Connect, Description


@scenario()
async def test_nobody_answers() -> None:
    async with provider() as msp, SocketTsp(msp) as tsp:
        port = await tsp.listen(LOCALHOST)  # without `on_call` nobody is answered
        call = await tsp.dial(LOCALHOST, port)
        with pytest.raises(TransportError, match="not connected"):
            async with asyncio.timeout(LIMIT_S):
                await call.wait_connected()
    async with provider() as msp, SocketTsp(msp) as tsp:
        with pytest.raises(TransportError, match="nobody answers at"):
            await tsp.dial(LOCALHOST, port)


@pytest.mark.parametrize("bundle", [True, False])
@scenario()
async def test_a_refused_medium_leaves_the_other_alone(bundle: bool) -> None:
    async with provider("Alice", webrtc(bundle=bundle)) as msp, provider("Bob") as other:
        x, y = msp.create_call(), other.create_call({AUDIO})
        log = EventLog(x)
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880)
        async with Wire({x: msp, y: other}):
            x.receive_tsp_data(Connect())
            await x.wait_connected()
            await together(alice.hears(880), bob.hears(440))
            unused = log.of(StreamNotUsed)
            assert [e.stream for e in unused] == [x.stream(VIDEO, CAPTURE), x.stream(VIDEO, RENDER)]
            assert all(isinstance(event.error, NegotiationError) for event in unused)
            assert not x.stream(VIDEO, CAPTURE).running


@scenario()
async def test_calls_that_come_to_nothing() -> None:
    async with provider(settings=webrtc(connect_timeout_s=0.3)) as msp, provider() as other:
        nonsense, lonely, deaf = msp.create_call(), msp.create_call(), other.create_call()
        deaf.query(NetworkImpairment).set_loss(100)
        nonsense.receive_tsp_data(Description(type="offer", sdp="v=0\r\n"))
        with pytest.raises(NegotiationError, match="media lines"):
            await nonsense.wait_connected()
        assert nonsense.state is CallState.DISCONNECTED
        log = EventLog(lonely)
        async with Wire({lonely: msp, deaf: other}):
            lonely.receive_tsp_data(Connect())
            with pytest.raises(ConnectTimeoutError, match="raise connect_timeout_s"):
                await lonely.wait_connected()
            with pytest.raises(TransportError, match=r"was not connected: .* within 0.3 s"):
                await deaf.wait_connected()
        failed = await log.until(CallStateChanged, lambda e: e.state is CallState.DISCONNECTED)
        assert failed.cause is Cause.CONNECT_FAIL and isinstance(failed.error, ConnectTimeoutError)


@scenario()
async def test_a_far_end_that_speaks_another_language() -> None:
    async with (
        provider("Alice") as msp,
        provider("Bob", PLAIN) as other,
        LoopbackTsp(msp, other) as tsp,
    ):
        with pytest.raises(TransportError, match=r"was not connected: .*UDP/TLS/RTP/SAVPF"):
            await tsp.connect()


@scenario()
async def test_leaving_while_connecting() -> None:
    async with loopback() as (tsp, x, y):
        x.receive_tsp_data(Connect())
        await eventually(lambda: x.state is CallState.CONNECTING, "it begins")
        await x.disconnect("wrong number")
        assert x.state is CallState.DISCONNECTED
        # Nothing of that is in the way of the next attempt.
        bob = Ends(y)
        Ends(x, 440)
        await tsp.connect(pair=(x, y))
        await bob.hears(440)
        log = EventLog(y)
        x.receive_tsp_data(Connect())
        await log.until(CallStateChanged, lambda event: event.state is CallState.CONNECTING)
        await x.close()
        await log.until(CallStateChanged, lambda event: event.state is CallState.DISCONNECTED)


@scenario()
async def test_after_the_end() -> None:
    async with loopback() as (tsp, x, y):
        alice, _ = Ends(x, 440), Ends(y, 880)
        await tsp.connect(pair=(x, y))
        await alice.hears(880)
        before = x.stats()
        await x.disconnect()
        assert x.state is CallState.DISCONNECTED and x.participants == ()
        after = x.stats()  # still there to be asked
        assert after.state is CallState.DISCONNECTED
        assert after.transports[0].received >= before.transports[0].received > 0
        assert after.sessions[0]["rtp_received"] >= before.sessions[0]["rtp_received"] > 0
        assert after.participants.keys() == before.participants.keys() and after.participants
        assert sum(s.packets for s in after.streams) >= sum(s.packets for s in before.streams) > 0
        await x.close()
        assert not alice.tone.in_use
        with pytest.raises(ClosedError, match="create a new call"):
            x.receive_tsp_data(Connect())
        for stream in x.streams:
            with pytest.raises(ClosedError, match="has ended"):
                stream.start()
        await x.close()
        assert x not in tsp.providers[0].calls
