"""Two providers of ours call each other over real sockets: media, events, numbers, and the end."""

from __future__ import annotations

import asyncio

import pytest
from call_ends import Ends, EventLog, loopback, provider
from peers import LOCALHOST, PLAIN, eventually, open_sockets, scenario, together, webrtc
from senses import ALICE, AUDIO, BOB, RENDER, VIDEO

from ipconf import Call, CallSettings, CallState, Cause, GoneReason, ParticipantControl, SocketTsp
from ipconf.events import (
    CallMediaEvent,
    CallStateChanged,
    NewParticipant,
    NewSubStream,
    ParticipantActive,
    ParticipantEvent,
    ParticipantLeft,
    StreamActive,
    SubStreamMapped,
    SubStreamRemoved,
    SubStreamUnmapped,
)

TRANSPORTS = {"bundled": webrtc(), "apart": webrtc(bundle=False), "plain": PLAIN}


@pytest.mark.parametrize("settings", TRANSPORTS.values(), ids=TRANSPORTS)
@scenario()
async def test_both_hear_and_see_each_other(settings: CallSettings) -> None:
    async with loopback(settings) as (tsp, x, y):
        log = EventLog(x)
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))
        (person,) = x.participants
        assert x.query(ParticipantControl).find(person.identity) is person
        await y.disconnect("good night")
        left = await log.until(ParticipantLeft)
        assert left.participant is person
        assert left.reason is GoneReason.BYE and left.text == "good night"
        ended = await log.until(CallStateChanged)
        assert ended.state is CallState.DISCONNECTED and ended.cause is Cause.REMOTE_REQUEST


@scenario()
async def test_calls_over_tcp() -> None:
    answered: asyncio.Queue[tuple[Call, Ends]] = asyncio.Queue()

    def answer(call: Call) -> None:
        answered.put_nowait((call, Ends(call, 880, BOB)))

    async with (
        provider("Alice") as msp,
        provider("Bob") as other,
        SocketTsp(msp) as dialler,
        SocketTsp(other, answer) as listener,
    ):
        port = await listener.listen(LOCALHOST)
        sockets = open_sockets()
        x = await dialler.dial(LOCALHOST, port)
        alice = Ends(x, 440, ALICE)
        await x.wait_connected()
        y, bob = await answered.get()
        log = EventLog(y)
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))
        await x.disconnect("that is all")
        assert (await log.until(ParticipantLeft)).text == "that is all"
        assert (await log.until(CallStateChanged)).state is CallState.DISCONNECTED
        await eventually(lambda: open_sockets() == sockets, "no connection is kept")


@scenario()
async def test_events_about_people_come_in_order() -> None:
    async with loopback() as (tsp, x, y):
        log = EventLog(x)
        alice, _ = Ends(x), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await alice.gets(880, BOB)
        await log.until(ParticipantActive)
        await y.disconnect()
        await log.until(ParticipantLeft)
        events = log.of(ParticipantEvent)
        assert isinstance(events[0], NewParticipant) and isinstance(events[-1], ParticipantLeft)
        assert {event.participant for event in events} == {events[0].participant}
        for medium in (AUDIO, VIDEO):
            kinds = (NewSubStream, SubStreamMapped, SubStreamUnmapped, SubStreamRemoved)
            shares = [e for e in log.of(*kinds) if e.substream.media_type is medium]
            assert tuple(type(event) for event in shares) == kinds


@scenario()
async def test_event_streams_tell_what_they_are_asked_for() -> None:
    async with loopback() as (tsp, x, y):
        log, people, states = EventLog(x), x.events(ParticipantEvent), x.events(CallStateChanged)
        states_of_all_calls = tsp.providers[0].events(CallStateChanged)
        Ends(y, 880)
        await tsp.connect(pair=(x, y))
        await log.until(NewParticipant)
        await x.close()
        await log.until(CallStateChanged, lambda event: event.state is CallState.DISCONNECTED)
        told = [event async for event in states]
        assert [e.state.value for e in told] == ["connecting", "connected", "disconnected"]
        assert [await anext(states_of_all_calls) for _ in told] == told
        assert [event async for event in people] == log.of(ParticipantEvent)
        assert told == log.of(CallStateChanged) and len(log.events) > len(told)
        assert [event async for event in x.events()] == []


@scenario()
async def test_numbers_are_sane() -> None:
    async with loopback(webrtc(rtcp_min_interval_s=0.3)) as (tsp, x, y):
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))

        def measured() -> bool:
            streams = x.stats().streams
            return bool(streams[0].round_trip_s) and all(s.frame_rate for s in streams)

        await eventually(measured, "reports came and rates were measured")
        stats = x.stats()
        (transport,), (session,), (person,) = stats.transports, stats.sessions, x.participants
        assert stats.state is CallState.CONNECTED and stats.to_json()["state"] == "connected"
        assert transport.sent > 50 and transport.received > 50
        assert transport.refused == transport.unknown == transport.unsent == 0
        assert session["malformed"] == session["malformed_rtcp"] == session["discarded"] == 0
        assert [s.identity for s in stats.streams] == [s.identity for s in x.streams]
        assert all(s.running and s.active and s.packets for s in stats.streams)
        sent, _, heard, seen = stats.streams
        assert sent.level_dbov == -20 and sent.far_fraction_lost == 0
        assert 0 < sent.round_trip_s < 0.5 and 10 < sent.frame_rate < 60
        assert 5_000 < sent.bit_rate_bps < 100_000 and 5 < seen.frame_rate < 60
        (share,) = heard.substreams
        assert list(stats.participants) == [share.participant] == [person.identity]
        assert share.lost == 0 and share.level_dbov == -20 and 0 < share.delay_s < 0.3


@scenario()
async def test_without_terminals_there_is_no_traffic() -> None:
    async with loopback(webrtc(rtcp_min_interval_s=0.3)) as (tsp, x, y):
        log = EventLog(y)
        await tsp.connect(pair=(x, y))
        for call in (x, y):
            await eventually(lambda c=call: c.stats().sessions[0]["rtcp_received"] > 1, "reports")
        for call in (x, y):
            session = call.stats().sessions[0]
            assert session["rtp_sent"] == session["rtp_received"] == 0
        assert not log.of(CallMediaEvent)
        # What is selected late starts by itself, and only that.
        bob = Ends(y)
        Ends(x, 440)
        await bob.hears(440)
        assert [event.stream for event in log.of(StreamActive)] == [y.stream(AUDIO, RENDER)]
