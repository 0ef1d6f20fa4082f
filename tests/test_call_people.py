"""The people of a call over real sockets: what they are called, who is muted, who comes back."""

from __future__ import annotations

from aiortc_peer import AiortcPeer
from call_ends import Ends, EventLog, loopback, provider
from peers import scenario, together, webrtc
from senses import ALICE, AUDIO, BOB, CAPTURE, RENDER, VIDEO

from ipconf import CallState, Cause, GoneReason, LocalParticipant, NetworkImpairment, SdesType
from ipconf.events import (
    CallStateChanged,
    LocalSilent,
    LocalTalking,
    NewParticipant,
    ParticipantActive,
    ParticipantInactive,
    ParticipantInfoChanged,
    ParticipantLeft,
    ParticipantRecovered,
    ParticipantTimedOut,
    StreamActive,
    StreamInactive,
)

VANISHED = Cause.MEDIA_TIMEOUT
IMPATIENT = webrtc(member_timeout_s=2.0, rtcp_min_interval_s=0.3)


@scenario()
async def test_names_and_private_items_change() -> None:
    async with loopback() as (tsp, x, y):
        log = EventLog(x)
        Ends(y, 880)
        await tsp.connect(pair=(x, y))
        person = (await log.until(NewParticipant)).participant
        if person.name != "Bob":  # it was his first report, or one before it
            await log.until(ParticipantInfoChanged)
        assert person.name == "Bob" and person.info(SdesType.TOOL) == "ipconf"
        y.local_participant.set(SdesType.NAME, "Robert")
        changed = await log.until(ParticipantInfoChanged)
        assert changed.participant is person and changed.changed == (SdesType.NAME,)
        assert person.name == person.info(SdesType.NAME) == "Robert"
        me = y.stream(AUDIO, CAPTURE).query(LocalParticipant)
        me.set_private("seat", "12a")
        await log.until(ParticipantInfoChanged, lambda event: SdesType.PRIV in event.changed)
        assert person.private == {"seat": "12a"}


@scenario()
async def test_a_mute_is_for_one_stream_and_only_here() -> None:
    async with loopback() as (tsp, x, y):
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))
        (person,), stream = x.participants, x.stream(AUDIO, RENDER)
        person.set_enabled(stream, False)
        assert not person.is_enabled(stream) and person.is_enabled(x.stream(VIDEO, RENDER))
        await together(alice.sees(BOB, 10), bob.gets(440, ALICE))
        while not alice.heard.empty():
            alice.heard.get_nowait()
        await alice.sees(BOB, 10)
        assert alice.heard.empty()
        person.set_enabled(stream, True)
        await alice.gets(880, BOB)


@scenario()
async def test_who_talks() -> None:
    async with loopback() as (tsp, x, y):
        log, far = EventLog(x), EventLog(y)
        alice, _ = Ends(x, 440), Ends(y)
        await tsp.connect(pair=(x, y))
        await far.until(ParticipantActive)
        (person,) = y.participants
        assert person.talking
        await log.until(LocalTalking)
        # Paused: the others find us silent, and we are told that we talk to nobody.
        x.stream(AUDIO, CAPTURE).pause()
        silent = await far.until(ParticipantInactive)
        assert silent.participant is person and not person.talking
        x.stream(AUDIO, CAPTURE).unselect_terminal(alice.tone)
        await log.until(LocalSilent)
        x.stream(AUDIO, CAPTURE).select_terminal(alice.tone)
        await log.until(LocalTalking)
        assert not x.stream(AUDIO, CAPTURE).active


@scenario()
async def test_an_outage_and_its_end() -> None:
    async with loopback(IMPATIENT) as (tsp, x, y):
        log = EventLog(x)
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await alice.gets(880, BOB)
        (person,), stream = x.participants, x.stream(AUDIO, RENDER)
        person.set_enabled(stream, False)
        network = x.query(NetworkImpairment)
        network.set_loss(100)
        assert (await log.until(ParticipantTimedOut)).participant is person
        assert not x.participants and not person.present
        silent = {e.stream: e.cause for e in log.of(StreamInactive)}
        assert silent == dict.fromkeys((x.stream(m, RENDER) for m in (AUDIO, VIDEO)), VANISHED)
        network.set_loss(0)
        assert (await log.until(ParticipantRecovered)).participant is person
        assert x.participants == (person,) and person.present
        assert (await log.until(StreamActive)).cause is Cause.MEDIA_RECOVERED
        await together(alice.sees(BOB), bob.gets(440, ALICE))
        assert not person.is_enabled(stream)
        person.set_enabled(stream, True)
        await alice.hears(880)
        assert not log.of(ParticipantLeft) and len(log.of(NewParticipant)) == 1


@scenario()
async def test_a_return_on_a_new_transport() -> None:
    async with loopback() as (tsp, x, y):
        logs = EventLog(x), EventLog(y)
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))
        people = [(await log.until(NewParticipant)).participant for log in logs]
        people[0].set_enabled(x.stream(VIDEO, RENDER), False)
        await tsp.connect(pair=(x, y))
        for log, person in zip(logs, people, strict=True):
            assert (await log.until(ParticipantTimedOut)).participant is person
            assert (await log.until(ParticipantRecovered)).participant is person
            assert len(log.of(NewParticipant)) == 1 and not log.of(ParticipantLeft)
        await together(alice.hears(880), bob.gets(440, ALICE))
        assert not people[0].is_enabled(x.stream(VIDEO, RENDER))
        assert x.participants == (people[0],)


@scenario()
async def test_the_end_of_the_connection_is_the_end_of_its_people() -> None:
    async with provider() as msp, AiortcPeer(660) as peer:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        us = Ends(call, 440)
        await peer.call_us(msp, call)
        await us.hears(660)
        (person,) = call.participants
        await peer.transceiver("audio").receiver.transport.stop()  # DTLS alone, without a BYE
        left = await log.until(ParticipantLeft)
        assert left.participant is person and left.reason is GoneReason.BYE and not left.text
        ended = await log.until(CallStateChanged)
        assert ended.state is CallState.DISCONNECTED and ended.cause is Cause.REMOTE_REQUEST
