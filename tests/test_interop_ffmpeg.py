"""Calls with a far end that is not ours: FFmpeg's RTP muxer and demuxer, over plain RTP."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing

import pytest
from call_ends import Ends, EventLog, provider
from ffmpeg_peer import Demuxer, Muxer, describe, free_ports, port_of
from peers import LIMIT_S, PLAIN, eventually, scenario, together
from senses import AUDIO, BLUE, CAPTURE, GREEN, RED, RENDER, VIDEO, YELLOW, Sink, Witness

from ipconf import (
    Call,
    GoneReason,
    MediaServiceProvider,
    ParticipantControl,
    ParticipantSubStreamControl,
    SdesType,
)
from ipconf.events import NewParticipant, ParticipantLeft, ParticipantTimedOut, TspData
from ipconf.tsp_data import Connect, Description

OURS, THEIRS = (RED, GREEN), (BLUE, YELLOW)


async def connect(
    msp: MediaServiceProvider, call: Call, theirs: str, *, they_offer: bool = True
) -> str:
    """Connect a call by that description of FFmpeg's; returns ours."""
    with closing(msp.events(TspData)) as posted:
        first = Description(type="offer", sdp=theirs) if they_offer else Connect()
        call.receive_tsp_data(first)
        async with asyncio.timeout(LIMIT_S):
            ours = (await posted.wait_for(TspData)).data
            assert isinstance(ours, Description)
            if not they_offer:
                call.receive_tsp_data(Description(type="answer", sdp=theirs))
            await call.wait_connected()
    return ours.sdp


@pytest.mark.parametrize("they_offer", [True, False])
@scenario()
async def test_sound_and_pictures_go_both_ways(they_offer: bool) -> None:
    ports = {AUDIO: free_ports(), VIDEO: free_ports()}
    async with provider("Us", PLAIN) as msp, AsyncExitStack() as ffmpeg:
        call = msp.create_call()
        us = Ends(call, 440.0, OURS)
        ours = await connect(msp, call, describe(ports), they_offer=they_offer)
        receiver = await ffmpeg.enter_async_context(Demuxer(ours, ports))
        for content, medium in ((660.0, AUDIO), (THEIRS, VIDEO)):
            await ffmpeg.enter_async_context(Muxer(content, port_of(ours, medium), cname="ff@test"))
        await together(us.gets(660.0, THEIRS), receiver.gets(440.0, OURS))
        (person,) = call.participants
        assert person.info(SdesType.CNAME) == "ff@test"
        assert person.media_types == {AUDIO, VIDEO}
        await call.disconnect("enough")
        await receiver.ended()  # which is what our BYE does to FFmpeg


@scenario()
async def test_a_late_receiver_cannot_ask_for_a_key_frame_but_gets_one() -> None:
    ports = {VIDEO: free_ports()}
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({VIDEO})
        Ends(call, None, OURS)
        ours = await connect(msp, call, describe(ports, "recvonly"))
        await eventually(lambda: call.stream(VIDEO, CAPTURE).sent_frames > 3, "pictures go out")
        async with Demuxer(ours, ports) as receiver:
            await receiver.sees(OURS)


@scenario()
async def test_a_person_says_goodbye() -> None:
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        us = Ends(call)
        ours = await connect(msp, call, describe({AUDIO: free_ports()}, "sendonly"))
        port = port_of(ours, AUDIO)
        async with Muxer(660.0, port, cname="ff@test", bye=True) as muxer:
            await us.hears(660.0)
            person = (await log.until(NewParticipant)).participant
            assert person.identity == "ff@test" and person.present
            await muxer.stop()
            left = await log.until(ParticipantLeft)
            assert left.participant is person and left.reason is GoneReason.BYE
            assert not call.participants and not person.present
        # The call goes on: who comes next under that name is somebody new.
        async with Muxer(550.0, port, cname="ff@test", bye=True):
            await us.hears(550.0)
            assert (await log.until(NewParticipant)).participant is not person


@scenario()
async def test_two_people_send_to_one_port() -> None:
    async with provider("Us", PLAIN) as msp, AsyncExitStack() as ffmpeg:
        call = msp.create_call({AUDIO})
        us, stream = Ends(call), call.stream(AUDIO, RENDER)
        ours = await connect(msp, call, describe({AUDIO: free_ports()}, "sendonly"))
        for hz, cname in ((660.0, "low"), (1320.0, "high")):
            muxer = Muxer(hz, port_of(ours, AUDIO), cname=cname)
            await ffmpeg.enter_async_context(muxer)
        find = call.query(ParticipantControl).find
        await eventually(lambda: len(call.participants) == 2 == len(stream.substreams), "both came")
        await us.hears(1320.0, -17)  # both, of which the one is
        find("low").set_enabled(stream, False)
        await us.hears(1320.0)
        # A terminal of one person's own gets that person, whatever the others do.
        own = Witness()
        share = call.query(ParticipantSubStreamControl).substream_of(find("high"), AUDIO)
        share.select_terminal(Sink(AUDIO, own.heard))
        find("low").set_enabled(stream, True)
        await own.hears(1320.0)
        await us.hears(660.0, -17)


@scenario()
async def test_somebody_who_never_says_a_name() -> None:
    settings = PLAIN.replace(member_timeout_s=1.0)
    async with provider("Us", settings) as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        us = Ends(call)
        ours = await connect(msp, call, describe({AUDIO: free_ports()}, "sendonly"))
        async with Muxer(660.0, port_of(ours, AUDIO)) as muxer:
            await us.hears(660.0)
            person = (await log.until(NewParticipant)).participant
            (source,) = person.sources
            assert person.identity == person.name == source.identity and person.cname is None
            await muxer.stop()
            assert (await log.until(ParticipantTimedOut)).participant is person


@scenario()
async def test_a_name_that_only_the_description_tells() -> None:
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        us = Ends(call)
        theirs = describe({AUDIO: free_ports()}, "sendonly", "ssrc:1234567 cname:ff@signalled")
        ours = await connect(msp, call, theirs)
        async with Muxer(660.0, port_of(ours, AUDIO), ssrc=1234567):
            await us.hears(660.0)
            person = (await log.until(NewParticipant)).participant
            assert person.identity == "ff@signalled"


@scenario()
async def test_reports_on_the_port_of_the_media() -> None:
    async with provider("Us", PLAIN.replace(rtcp_mux=True)) as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        us = Ends(call)
        ours = await connect(msp, call, describe({AUDIO: free_ports()}, "sendonly", "rtcp-mux"))
        assert "a=rtcp-mux\r\n" in ours
        async with Muxer(660.0, port_of(ours, AUDIO), cname="ff@test", bye=True, mux=True) as muxer:
            await us.hears(660.0)
            assert (await log.until(NewParticipant)).participant.identity == "ff@test"
            await muxer.stop()
            await log.until(ParticipantLeft)
