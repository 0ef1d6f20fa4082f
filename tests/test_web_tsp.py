"""A TSP for clients that offer: one offer in, its answer out, and every way in which there is none.

The far ends are plain aiortc connections, over ICE and DTLS-SRTP on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc_peer import AiortcPeer
from peers import eventually, scenario, webrtc

from ipconf import Call, CallState, MediaServiceProvider
from ipconf.errors import ClosedError, NegotiationError
from ipconf.events import TspData
from ipconf.tsp.web import WebTsp
from ipconf.tsp_data import Connect, Description


@asynccontextmanager
async def signalled(**settings: object) -> AsyncIterator[tuple[WebTsp, Call]]:
    """A provider, and a call that waits for an offer."""
    async with MediaServiceProvider(settings=webrtc(**settings)) as msp, WebTsp(msp) as tsp:
        yield tsp, msp.create_call()


async def offer_of(pc: RTCPeerConnection) -> str:
    """An offer of an aiortc connection, with its candidates."""
    await pc.setLocalDescription(await pc.createOffer())
    return str(pc.localDescription.sdp)


async def connect(tsp: WebTsp, call: Call, pc: RTCPeerConnection) -> None:
    """Offer, and take the answer."""
    await accept(call, pc, await tsp.answer(call, await offer_of(pc)))


async def accept(call: Call, pc: RTCPeerConnection, answer: str) -> None:
    """Take the answer, and wait until both ends are connected."""
    await pc.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    await eventually(lambda: pc.connectionState == "connected", "the far end is connected")
    await call.wait_connected()


@scenario()
async def test_an_offer_is_answered_and_the_call_connects() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as far:
        await connect(tsp, call, far.pc)
        assert call.state is CallState.CONNECTED
        tsp.add_candidate(call, "", "0")  # that was the last: harmless, however late


@scenario()
async def test_a_second_offer_replaces_the_transports() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as far, AiortcPeer(440) as again:
        ends: list[str] = []
        tsp.on_end(call, ends.append)
        await connect(tsp, call, far.pc)
        await connect(tsp, call, again.pc)
        await far.close()  # nobody listens to it any more
        assert call.state is CallState.CONNECTED and not ends


@scenario()
async def test_offers_at_once_are_answered_one_by_one() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as one, AiortcPeer(440) as two:
        offers = [await offer_of(one.pc), await offer_of(two.pc)]
        answers = await asyncio.gather(*(tsp.answer(call, offer) for offer in offers))
        assert len(set(answers)) == 2
        await accept(call, two.pc, answers[1])


@pytest.mark.parametrize(
    "offer",
    ["", "nonsense", "v=0\r\n", "v=0\r\nm=audio 9 RTP/AVP 0\r\n", "\ud800", "m=" * 60_000],
)
def test_what_is_no_offer_ends_a_call_that_is_not_connected(offer: str) -> None:
    @scenario()
    async def run() -> None:
        async with signalled() as (tsp, call):
            with pytest.raises(NegotiationError):
                await tsp.answer(call, offer)
            assert call.state in (CallState.DISCONNECTED, CallState.IDLE)

    run()


@scenario()
async def test_a_bad_second_offer_says_why_and_the_call_goes_on() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as far:
        await connect(tsp, call, far.pc)
        with pytest.raises(NegotiationError, match="media lines"):
            await tsp.answer(call, "v=0\r\n")
        assert call.state is CallState.CONNECTED
        assert far.pc.connectionState == "connected"


@scenario()
async def test_who_is_not_answered_in_time_is_told_so() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as far:
        offer = await offer_of(far.pc)
        with pytest.raises(NegotiationError, match="within 0 s"):
            await tsp.answer(call, offer, timeout_s=0)
        # The answer to it, which still comes, is not taken for that to the next one.
        async with AiortcPeer(440) as again:
            await connect(tsp, call, again.pc)


@scenario()
async def test_a_call_that_is_closed_meanwhile_has_no_answer() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as far:
        answering = asyncio.create_task(tsp.answer(call, await offer_of(far.pc)))
        await asyncio.sleep(0)
        await call.close()
        with pytest.raises(NegotiationError, match="ended here"):
            await answering
        with pytest.raises(ClosedError):
            await tsp.answer(call, "v=0\r\n")
        with pytest.raises(ClosedError):
            tsp.add_candidate(call, "")


@scenario()
async def test_leaving_the_tsp_ends_the_waiting() -> None:
    async with MediaServiceProvider(settings=webrtc()) as msp, AiortcPeer(440) as far:
        async with WebTsp(msp) as tsp:
            offer = await offer_of(far.pc)
            answering = asyncio.create_task(tsp.answer(msp.create_call(), offer))
            await asyncio.sleep(0)
        with pytest.raises(NegotiationError, match="stopping"):
            await answering
        with pytest.raises(ClosedError):
            await tsp.answer(msp.create_call(), offer)


@scenario()
async def test_the_end_is_told_when_the_far_end_closes_dtls() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as far:
        ends: list[str] = []
        tsp.on_end(call, ends.append)
        await connect(tsp, call, far.pc)
        await far.close()
        await eventually(lambda: ends)
        assert ends == ["the far end hung up"]
        late: list[str] = []
        tsp.on_end(call, late.append)
        assert late == ["the call is over"]


@scenario()
async def test_the_end_is_told_when_nobody_connects() -> None:
    async with signalled(connect_timeout_s=0.2) as (tsp, call), AiortcPeer(440) as far:
        ends: list[str] = []
        tsp.on_end(call, ends.append)
        await tsp.answer(call, await offer_of(far.pc))  # which is never taken
        await eventually(lambda: ends)
        assert call.state is CallState.DISCONNECTED and "0.2 s" in ends[0]


@scenario()
async def test_messages_that_nobody_waits_for_are_passed_over() -> None:
    async with signalled() as (tsp, call):
        await tsp.send(call, Description(type="answer", sdp="v=0\r\n"))
        await tsp.send(call, Connect())
        with pytest.raises(NegotiationError):
            await tsp.answer(call, "")
        await tsp.send(call, Description(type="answer", sdp="v=0\r\n"))


@scenario()
async def test_two_services_do_not_take_each_others_answers() -> None:
    async with signalled() as (tsp, call), AiortcPeer(440) as far:
        posted = call._provider.events(TspData)
        other = WebTsp(*tsp.providers)
        async with other:
            await connect(tsp, call, far.pc)
        assert isinstance((await anext(posted)).data, Description)
