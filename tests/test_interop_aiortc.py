"""Calls with a far end that is not ours: plain aiortc, over ICE, DTLS and SRTP on loopback."""

from __future__ import annotations

import asyncio

import aioice.ice
import pytest
from aiortc_peer import AiortcPeer
from call_ends import Ends, EventLog, provider
from peers import LIMIT_S, LOCALHOST, eventually, scenario, together, webrtc
from senses import AUDIO, BLUE, CAPTURE, GREEN, RED, RENDER, VIDEO, YELLOW, PictureTerminal

from ipconf import CallState, GoneReason, NetworkImpairment, ParticipantControl, SdesType
from ipconf.events import CallStateChanged, NewParticipant, ParticipantLeft, StreamNotUsed

OURS, THEIRS = (RED, GREEN), (BLUE, YELLOW)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc on its own never offers the loopback address."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [LOCALHOST])


@pytest.mark.parametrize("they_offer", [True, False])
@scenario()
async def test_sound_and_pictures_go_both_ways(they_offer: bool) -> None:
    async with provider("Us") as msp, AiortcPeer(660, THEIRS) as peer:
        call = msp.create_call()
        log = EventLog(call)
        us = Ends(call, 440, OURS)
        await (peer.call_us if they_offer else peer.answer_us)(msp, call)
        await together(us.gets(660, THEIRS), peer.gets(440, OURS))
        (person,) = call.query(ParticipantControl).participants
        assert (await log.until(NewParticipant)).participant is person
        assert f"cname:{person.info(SdesType.CNAME)}" in peer.pc.localDescription.sdp
        assert person.media_types == {AUDIO, VIDEO}
        assert set(person.streams) == {call.stream(AUDIO, RENDER), call.stream(VIDEO, RENDER)}
        await peer.close()
        left = await log.until(ParticipantLeft)
        assert left.participant is person and left.reason is GoneReason.BYE
        assert (await log.until(CallStateChanged)).state is CallState.DISCONNECTED
        assert call.participants == ()


@scenario()
async def test_the_statistics_of_the_peer_are_sane() -> None:
    async with provider() as msp, AiortcPeer(660, THEIRS) as peer:
        call = msp.create_call()
        us = Ends(call, 440, OURS)
        await peer.call_us(msp, call)
        await together(us.gets(660, THEIRS), _measured(peer, "audio"), _measured(peer, "video"))


async def _measured(peer: AiortcPeer, kind: str) -> None:
    """The peer counts no loss either way, and knows the round trip from our reports."""
    transceiver = peer.transceiver(kind)
    async with asyncio.timeout(LIMIT_S):
        while True:
            stats = {
                s.type: s
                for stats in (
                    await transceiver.sender.getStats(),
                    await transceiver.receiver.getStats(),
                )
                for s in stats.values()
            }
            reported = stats.get("remote-inbound-rtp")
            if reported is not None and reported.roundTripTime is not None:
                break
            await asyncio.sleep(0.05)
    assert stats["inbound-rtp"].packetsLost == 0 and stats["inbound-rtp"].packetsReceived > 5
    assert reported.packetsLost == 0 and reported.fractionLost == 0
    assert 0 < reported.roundTripTime < 0.5
    assert stats["remote-outbound-rtp"].packetsSent > 0


@scenario()
async def test_key_frames_are_made_and_asked_for() -> None:
    async with provider() as msp, AiortcPeer(None, THEIRS) as peer:
        call = msp.create_call()
        call.stream(VIDEO, CAPTURE).select_terminal(PictureTerminal(OURS))
        await peer.call_us(msp, call)
        peer.inspect()
        await peer.sees(OURS)
        made = peer.key_frames
        source = call.stream(VIDEO, CAPTURE).local_source
        await peer.transceiver("video").receiver._send_rtcp_pli(source.ssrc)
        await eventually(lambda: peer.key_frames > made, "a key frame after a PLI")
        # Theirs has been flowing all the time; who looks only now needs a key frame of it.
        await Ends(call).sees(THEIRS)


@scenario()
async def test_lost_packets_are_sent_again_both_ways() -> None:
    async with provider() as msp, AiortcPeer(None, THEIRS) as peer:
        call = msp.create_call()
        us = Ends(call, None, OURS)
        await peer.call_us(msp, call)
        peer.inspect()
        await together(us.sees(THEIRS), peer.sees(OURS))
        call.query(NetworkImpairment).set_loss(20, seed=5)
        await together(
            eventually(lambda: peer.repeats >= 5, "we repeat what aiortc misses"),
            eventually(lambda: call.stats().sessions[0]["repaired"] >= 5, "aiortc repeats"),
        )
        us.camera.picture = THEIRS
        await together(us.sees(THEIRS, 20), peer.sees(THEIRS, 20))


@pytest.mark.parametrize("they_offer", [True, False])
@scenario()
async def test_a_peer_that_sends_no_video(they_offer: bool) -> None:
    async with provider() as msp, AiortcPeer(660) as peer:
        call = msp.create_call()
        log = EventLog(call)
        us = Ends(call, 440, OURS)
        await (peer.call_us if they_offer else peer.answer_us)(msp, call)
        # Asked for both, aiortc wants to see us even though it has nothing to show.
        wanted = None if they_offer else OURS
        await together(us.gets(660), peer.gets(440, wanted))
        assert call.participants[0].media_types == {AUDIO}
        unused = [call.stream(VIDEO, RENDER)]
        if they_offer:
            unused.insert(0, call.stream(VIDEO, CAPTURE))
        assert [event.stream for event in log.of(StreamNotUsed)] == unused


@scenario()
async def test_a_peer_that_offers_video_in_vain() -> None:
    async with provider() as msp, AiortcPeer(660, THEIRS) as peer:
        call = msp.create_call({AUDIO})
        us = Ends(call, 440)
        await peer.call_us(msp, call)
        await together(us.gets(660), peer.gets(440))
        assert peer.transceiver("video").currentDirection == "inactive"
        assert call.participants[0].media_types == {AUDIO}


@pytest.mark.parametrize("they_offer", [True, False])
@scenario()
async def test_a_transport_for_each_medium(they_offer: bool) -> None:
    async with provider(settings=webrtc(bundle=False)) as msp, AiortcPeer(660, THEIRS) as peer:
        call = msp.create_call()
        us = Ends(call, 440, OURS)
        if they_offer:
            await peer.call_us(msp, call, bundles=False)
        else:
            await peer.answer_us(msp, call)
        await together(us.gets(660, THEIRS), peer.gets(440, OURS))
        assert len(call.stats().transports) == 2
        assert len(call.participants) == 1


@scenario()
async def test_candidates_come_one_by_one() -> None:
    async with provider() as msp, AiortcPeer(660) as peer:
        call = msp.create_call({AUDIO})
        us = Ends(call, 440)
        await peer.call_us(msp, call, trickles=True)
        await together(us.gets(660), peer.gets(440))
