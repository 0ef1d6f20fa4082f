"""People and windows in a real call: two send pictures to one port, as in a multicast group."""

from __future__ import annotations

from contextlib import AsyncExitStack

from call_ends import EventLog, provider
from ffmpeg_peer import Muxer, describe, free_ports, port_of
from peers import PLAIN, eventually, scenario, together
from senses import BLUE, GREEN, RED, RENDER, VIDEO, YELLOW, Sink, Witness
from test_interop_ffmpeg import connect

from ipconf import MediaServiceProvider, ParticipantControl, ParticipantSubStreamControl
from ipconf.call import Call
from ipconf.events import NewSubStream, SubStreamMapped, SubStreamUnmapped

ANN, BOB = (RED, GREEN), (BLUE, YELLOW)


async def receive(msp: MediaServiceProvider) -> tuple[Call, int]:
    """A call that gets pictures only, and the port it gets them on."""
    call = msp.create_call({VIDEO})
    ours = await connect(msp, call, describe({VIDEO: free_ports()}, "sendonly"))
    return call, port_of(ours, VIDEO)


@scenario()
async def test_two_people_one_window_and_a_pin() -> None:
    async with provider("Us", PLAIN) as msp, AsyncExitStack() as ffmpeg:
        call, port = await receive(msp)
        log, stream, viewer = EventLog(call), call.stream(VIDEO, RENDER), Witness()
        stream.select_terminal(Sink(VIDEO, viewer.seen))
        await ffmpeg.enter_async_context(Muxer(ANN, port, cname="ann"))
        await viewer.sees(ANN)
        await ffmpeg.enter_async_context(Muxer(BOB, port, cname="bob"))
        find = call.query(ParticipantControl).find
        await log.until(NewSubStream, lambda event: event.participant.identity == "bob")
        assert stream.stats().decoders == 1 and len(stream.substreams) == 2
        call.query(ParticipantSubStreamControl).pin(find("bob"))
        assert (await log.until(SubStreamUnmapped)).participant is find("ann")
        assert (await log.until(SubStreamMapped)).participant is find("bob")
        await viewer.sees(BOB)


@scenario()
async def test_a_window_each_on_substreams_of_the_application() -> None:
    async with provider("Us", PLAIN) as msp, AsyncExitStack() as ffmpeg:
        call, port = await receive(msp)
        stream, viewers = call.stream(VIDEO, RENDER), (Witness(), Witness())
        places = [stream.create_substream() for _ in viewers]
        for place, viewer in zip(places, viewers, strict=True):
            place.select_terminal(Sink(VIDEO, viewer.seen))
        for picture, cname in ((ANN, "ann"), (BOB, "bob")):
            await ffmpeg.enter_async_context(Muxer(picture, port, cname=cname))
            await eventually(lambda: all(p.cname for p in call.participants), "a name")
            await eventually(lambda cname=cname: _is_on(places, cname), f"{cname} has a place")
        await together(viewers[0].sees(ANN), viewers[1].sees(BOB))
        call.query(ParticipantSubStreamControl).switch_terminal(places[0].terminals[0], places[1])
        await viewers[0].sees(BOB)


def _is_on(places: list, cname: str) -> bool:
    return any(p.participant is not None and p.participant.cname == cname for p in places)
