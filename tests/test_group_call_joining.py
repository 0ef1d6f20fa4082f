"""Calls that join a conference by its description alone: who is there, who is heard, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address

import pytest
from call_ends import Ends, EventLog, provider
from multicast_lab import HERE, conference, members, place, sound_and_pictures
from peers import LOCALHOST, eventually, open_sockets, scenario, together
from senses import ALICE, AUDIO, BOB, CAPTURE, RENDER, VIDEO
from sessions import sdes
from transport_lab import free_ports

from ipconf import (
    Call,
    CallState,
    Cause,
    ConferenceDescription,
    GoneReason,
    LoopbackMode,
    MulticastControl,
    NetworkImpairment,
)
from ipconf.engine.rtcp_wire import ReceiverReport, compose_compound
from ipconf.errors import (
    ClosedError,
    ConfigurationError,
    DescriptionError,
    InterfaceNotFoundError,
    InvalidMediaTypeError,
    NegotiationError,
    NotSupportedError,
    TransportError,
)
from ipconf.events import CallStateChanged, NewParticipant, ParticipantLeft, StreamNotUsed
from ipconf.sdp import Media, write_description
from ipconf.tsp_data import Candidate, Connect, Description, Disconnect


@asynccontextmanager
async def group(
    description: ConferenceDescription, *names: str, **changes: object
) -> AsyncIterator[list[Call]]:
    """A call of each of these people, who have all joined; each has a provider of their own."""
    async with AsyncExitStack() as stack:
        settings = HERE.replace(**changes)
        providers = [await stack.enter_async_context(provider(n, settings)) for n in names]
        calls = [msp.create_call(description=description) for msp in providers]
        await together(*(call.join() for call in calls))
        yield calls


def names_of(call: Call) -> set[str]:
    return {person.name for person in call.participants}


@scenario()
async def test_three_hear_see_and_know_one_another() -> None:
    async with group(sound_and_pictures(), "Alice", "Bob", "Carol") as (x, y, z):
        alice, bob, carol = Ends(x, 440, ALICE), Ends(y, 880, BOB), Ends(z)
        assert all(call.state is CallState.CONNECTED for call in (x, y, z))
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))
        for call, others in ((x, {"Bob", "Carol"}), (y, {"Alice", "Carol"}), (z, {"Alice", "Bob"})):
            await eventually(lambda call=call, others=others: names_of(call) == others)
        alice_there = next(p for p in z.participants if p.name == "Alice")
        await eventually(lambda: len(alice_there.substreams) == 2, "sound and pictures are hers")
        streams = z.stream(AUDIO, RENDER).substreams
        assert {s.participant.name for s in streams if s.participant} == {"Alice", "Bob"}
        assert carol.heard.qsize()


@scenario()
async def test_two_tones_are_mixed_here() -> None:
    async with group(conference(), "Alice", "Bob", "Carol") as (x, y, z):
        Ends(x, 440), Ends(y, 880)
        ear = Ends(z)
        await eventually(lambda: names_of(z) == {"Alice", "Bob"})
        alice, bob = sorted(z.participants, key=lambda person: person.name)
        alice.set_enabled(z.stream(AUDIO, RENDER), False)
        await ear.hears(880)
        alice.set_enabled(z.stream(AUDIO, RENDER), True)
        bob.set_enabled(z.stream(AUDIO, RENDER), False)
        await ear.hears(440)


@scenario()
async def test_hanging_up_says_goodbye_and_a_crash_is_noticed() -> None:
    async with group(conference(), "Alice", "Bob", "Carol", member_timeout_s=2.0) as (x, y, z):
        Ends(y, 880), Ends(z, 660)
        log = EventLog(x)
        await eventually(lambda: names_of(x) == {"Bob", "Carol"})
        await y.disconnect("so long")
        left = await log.until(ParticipantLeft)
        assert (left.reason, left.text) == (GoneReason.BYE, "so long")
        z.query(NetworkImpairment).set_loss(100)
        await eventually(lambda: not x.participants, "Carol is missed")
        assert x.state is CallState.CONNECTED


@scenario()
async def test_one_may_come_again() -> None:
    async with group(conference(), "Alice", "Bob") as (x, y):
        Ends(y, 880)
        ear = Ends(x)
        await ear.hears(880)
        await y.disconnect()
        await eventually(lambda: not x.participants)
        await y.join()
        assert y.state is CallState.CONNECTED
        await ear.hears(880)
        await y.join()  # again is harmless
        y.receive_tsp_data(Connect())  # and so is a service provider that does it
        await ear.hears(880)


@scenario()
async def test_descriptions_are_text_as_well_and_a_service_provider_may_connect() -> None:
    description = conference()
    async with provider("Alice", HERE) as msp:
        sockets = open_sockets()
        call = msp.create_call(description=write_description(description))
        assert call.description == description and call.media_types == (AUDIO,)
        log = EventLog(call)
        call.receive_tsp_data(Connect())
        await call.wait_connected()
        call.receive_tsp_data(Disconnect(reason="over"))
        ended = await log.until(CallStateChanged, lambda e: e.state is CallState.DISCONNECTED)
        assert ended.cause is Cause.REMOTE_REQUEST
        await eventually(lambda: open_sockets() == sockets, "the group has been left")


@scenario()
async def test_a_direction_holds_for_who_joins() -> None:
    lecture = conference(Media.audio(free_ports(2)).with_attribute("recvonly"))
    async with provider("Alice", HERE) as msp:
        call = msp.create_call(description=lecture)
        log = EventLog(call)
        await call.join()
        unused = await log.until(StreamNotUsed)
        assert unused.stream is call.stream(AUDIO, CAPTURE)


@scenario()
async def test_full_loopback_lets_one_hear_oneself_as_a_participant() -> None:
    async with group(conference(), "Alice", "Bob") as (x, y):
        alice, bob = Ends(x, 440), Ends(y)
        control = x.query(MulticastControl)
        assert control.loopback_mode is LoopbackMode.NONE
        await bob.hears(440)
        assert names_of(x) <= {"Bob"}
        control.loopback_mode = LoopbackMode.FULL
        await alice.hears(440)
        await eventually(lambda: names_of(x) == {"Alice", "Bob"})
        log = EventLog(x)
        control.loopback_mode = LoopbackMode.SELECTIVE
        left = await log.until(ParticipantLeft)
        assert left.participant is not None and left.participant.name == "Alice"
        assert left.reason is GoneReason.CLOSED and names_of(x) == {"Bob"}
        for session in x.stats().sessions:
            assert session["collisions"] == session["own_ssrc"] == 0


@scenario()
async def test_a_loopback_mode_outlives_a_connection() -> None:
    async with provider("Alice", HERE) as msp:
        call = msp.create_call(description=conference())
        control = call.query(MulticastControl)
        control.loopback_mode = LoopbackMode.FULL
        alice = Ends(call, 440)
        await call.join()
        await alice.hears(440)
        with pytest.raises(ConfigurationError, match="is no LoopbackMode"):
            control.loopback_mode = "full"  # type: ignore[assignment]
        assert control.loopback_mode is LoopbackMode.FULL


@scenario()
async def test_two_ends_without_a_group() -> None:
    """With the address of one far end it is a plain pair of ports towards that one."""
    first, second = free_ports(4), 0
    second = first + 2
    one = conference(Media.audio(second), group=LOCALHOST)
    other = conference(Media.audio(first), group=LOCALHOST)
    ports = {"Alice": (first, first + 1), "Bob": (second, second + 1)}
    async with (
        provider("Alice", HERE.replace(port_range=ports["Alice"])) as a,
        provider("Bob", HERE.replace(port_range=ports["Bob"])) as b,
    ):
        x, y = a.create_call(description=one), b.create_call(description=other)
        alice, bob = Ends(x, 440), Ends(y, 880)
        await together(x.join(), y.join())
        await together(alice.hears(880), bob.hears(440))
        await eventually(lambda: names_of(x) == {"Bob"} and names_of(y) == {"Alice"})


@scenario()
async def test_what_cannot_be_joined() -> None:
    async with provider(settings=HERE) as msp:
        with pytest.raises(DescriptionError, match="begins with v=0"):
            msp.create_call(description="hello")
        with pytest.raises(ConfigurationError, match="give ConferenceDescription"):
            msp.create_call(description=7)  # type: ignore[arg-type]
        with pytest.raises(InvalidMediaTypeError, match="'Tea' has audio, and nothing that"):
            msp.create_call({VIDEO}, description=conference())
        with pytest.raises(InvalidMediaTypeError, match="has no media"):
            msp.create_call(description=conference().remove_media(0))
        secret = msp.create_call(description=conference().edit_media(0, protocol="RTP/SAVP"))
        with pytest.raises(NegotiationError, match="nothing in the description of 'Tea' can be us"):
            await secret.join()
        assert secret.state is CallState.DISCONNECTED
        nowhere = HERE.replace(multicast_interface="nowhere0")
        call = msp.create_call(settings=nowhere, description=conference())
        with pytest.raises(TransportError, match="there is no interface 'nowhere0'"):
            await call.join()
        assert call.state is CallState.DISCONNECTED and call.error is not None


@scenario()
async def test_calls_with_and_without_descriptions_are_not_mixed_up() -> None:
    async with provider(settings=HERE) as msp:
        ordinary, call = msp.create_call({AUDIO}), msp.create_call(description=conference())
        with pytest.raises(NotSupportedError, match="create it with a description"):
            await ordinary.join()
        with pytest.raises(InterfaceNotFoundError):
            ordinary.query(MulticastControl)
        assert ordinary.description is None
        for message in (Description(type="offer", sdp="v=0"), Candidate(candidate="")):
            with pytest.raises(NotSupportedError, match="takes no offers, answers or candidates"):
                call.receive_tsp_data(message)
        await call.close()
        with pytest.raises(ClosedError):
            await call.join()


@scenario()
async def test_floods_are_bounded_as_in_every_call() -> None:
    async with group(conference(), "Alice", "Bob", max_packets_per_s=100) as (x, y):
        channel = y._media.channels[0]
        for number in range(200):
            channel.transport.send(bytes([128, 0, 0, number]) + bytes(8))
        await eventually(lambda: x.stats().transports[0].flooded >= 150)


@scenario()
async def test_in_a_large_group_goodbye_waits_for_its_turn_and_the_call_does_not() -> None:
    description = conference()
    where = place(
        group=ip_address(description.groups[0]),
        port=description.media[0].port,
        rtcp_port=description.media[0].rtcp_port,
    )
    async with members(where, LoopbackMode.SELECTIVE) as (crowd,), provider("A", HERE) as msp:
        call = msp.create_call(description=description)
        await call.join()
        for ssrc in range(1, 60):
            compound = [ReceiverReport(ssrc), sdes(ssrc, (1, f"member {ssrc}"))]
            crowd.transport.send(compose_compound(compound))
        await eventually(lambda: len(call.participants) == 59)
        await crowd.arrived.get()  # who has said nothing leaves without a word
        leaving = asyncio.create_task(call.disconnect("so long"))
        await eventually(lambda: call.state is CallState.DISCONNECTED)
        assert not call.participants and not leaving.done()
        await leaving
        said = b""
        while b"so long" not in said:
            said = await crowd.arrived.get()


@scenario()
async def test_people_who_only_listen_are_known() -> None:
    async with group(conference(), "Alice", "Bob") as (x, _):
        came = await EventLog(x).until(NewParticipant)
        assert came.participant is not None and came.participant.name == "Bob"
        assert came.participant.substreams == ()
        await asyncio.sleep(0)
