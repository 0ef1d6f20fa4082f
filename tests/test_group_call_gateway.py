"""The gateway: a multicast group as a leg of a conference, beside guests over WebRTC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from call_ends import Ends, EventLog, provider
from multicast_lab import HERE, conference, sound_and_pictures
from peers import eventually, scenario, together, webrtc
from senses import ALICE, AUDIO, BOB, VIDEO

from ipconf import (
    Call,
    CallLeg,
    CallSettings,
    Conference,
    Direction,
    GoneReason,
    LoopbackMode,
    LoopbackTsp,
    MulticastControl,
    NetworkImpairment,
)
from ipconf.errors import InvalidStateError
from ipconf.events import ParticipantLeft
from ipconf.model import SdesType


@dataclass(slots=True)
class Gateway:
    """Two members of a group, a guest over WebRTC, and the conference that joins them."""

    conference: Conference
    leg: CallLeg
    ann: Call
    bob: Call
    guest: Call


@asynccontextmanager
async def gateway(settings: CallSettings = HERE) -> AsyncIterator[Gateway]:
    """All of them connected; `settings` are those of the calls in the group."""
    tea = conference()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        members = []
        for name in ("Ann", "Bob"):
            msp = await enter(provider(name, settings))
            members.append(msp.create_call(description=tea))
        hub, far = await enter(provider("Hub", webrtc())), await enter(provider("Guest"))
        tsp = await enter(LoopbackTsp(far, hub))
        guest, at_hub = tsp.pair({AUDIO})
        meeting = await enter(hub.create_conference("Tea"))
        in_group = hub.create_call(settings=settings, description=tea)
        leg = meeting.add(in_group)
        meeting.add(at_hub)
        await together(*(call.join() for call in (*members, in_group)))
        await tsp.connect(pair=(guest, at_hub))
        yield Gateway(meeting, leg, *members, guest)


def names_of(call: Call) -> set[str]:
    return {person.name for person in call.participants}


@scenario(60.0)
async def test_members_and_guests_hear_and_list_one_another() -> None:
    async with gateway() as there:
        ann, bob, guest = Ends(there.ann, 440), Ends(there.bob), Ends(there.guest, 880)
        await together(ann.hears(880), guest.hears(440))
        await eventually(lambda: names_of(there.ann) == {"Hub", "Bob", "Guest"})
        await eventually(lambda: names_of(there.bob) == {"Hub", "Ann", "Guest"})
        await eventually(lambda: names_of(there.guest) == {"Hub", "Ann", "Bob"})
        assert {p.name for p in there.conference.attendees} == {"Ann", "Bob", "Guest"}
        assert {p.name for p in there.leg.attendees} == {"Ann", "Bob"}
        assert bob.heard.qsize()
        shown = next(p for p in there.ann.participants if p.name == "Guest")
        (source,) = shown.sources
        assert source.contributing and source.mixer is not None
        assert source.mixer.items[SdesType.NAME] == "Hub"


@scenario(60.0)
async def test_the_group_is_not_echoed_to_itself() -> None:
    """What a member says comes to the others once: the mixer's packets are not about them."""
    async with gateway() as there:
        Ends(there.ann, 440)
        bob, guest = Ends(there.bob), Ends(there.guest)
        await guest.hears(440)
        await bob.hears(440)  # which two of it would make louder
        own = there.ann._media.channels[0].session.local("0")
        assert own.ssrc in {s.ssrc for s in there.guest._media.channels[0].session.sources.values()}
        for member in (there.ann, there.bob):
            session = member._media.channels[0].session
            mixers = [s for s in session.sources.values() if not s.contributing]
            assert len(mixers) == 2 and session.stats.own_ssrc == session.stats.collisions == 0
        assert "Ann" not in names_of(there.ann)


@scenario(60.0)
async def test_who_leaves_on_one_side_has_left_on_the_other() -> None:
    async with gateway() as there:
        Ends(there.ann, 440)
        Ends(there.guest, 880)
        at_ann, at_guest = EventLog(there.ann), EventLog(there.guest)
        await eventually(lambda: names_of(there.ann) == {"Hub", "Bob", "Guest"})
        await eventually(lambda: names_of(there.guest) == {"Hub", "Ann", "Bob"})
        await there.bob.disconnect("tea is cold")
        left = await at_guest.until(ParticipantLeft)
        assert left.participant is not None and left.participant.name == "Bob"
        assert (left.reason, left.text) == (GoneReason.BYE, "tea is cold")
        await there.guest.disconnect("me too")
        left = await at_ann.until(
            ParticipantLeft, lambda e: e.participant is not None and e.participant.name == "Guest"
        )
        assert left.reason is GoneReason.BYE
        assert {p.name for p in there.conference.attendees} == {"Ann"}


@scenario(60.0)
async def test_a_mute_at_the_gateway_is_for_all_on_the_other_side() -> None:
    async with gateway() as there:
        Ends(there.ann, 440)
        Ends(there.bob, 660)
        guest = Ends(there.guest)
        await eventually(lambda: {p.name for p in there.leg.attendees} == {"Ann", "Bob"})
        ann = next(p for p in there.conference.attendees if p.name == "Ann")
        there.conference.mute(ann)
        await guest.hears(660)


@scenario(60.0)
async def test_lists_follow_who_mutes_listens_and_vanishes() -> None:
    settings = HERE.replace(member_timeout_s=4.0)
    async with gateway(settings) as there:
        Ends(there.ann, 440)
        guest = Ends(there.guest, 880)
        at_guest = EventLog(there.guest)
        await eventually(lambda: names_of(there.guest) == {"Hub", "Ann", "Bob"})  # who only listens
        await eventually(lambda: names_of(there.ann) == {"Hub", "Bob", "Guest"})
        gus = next(p for p in there.conference.attendees if p.name == "Guest")
        await eventually(lambda: gus.talking)
        assert guest.tone is not None
        there.guest.stream(AUDIO, Direction.CAPTURE).pause()
        await eventually(lambda: not gus.talking)
        await there.ann.wait_connected()
        assert names_of(there.ann) == {"Hub", "Bob", "Guest"}, "who mutes is still there"
        there.ann.query(NetworkImpairment).set_loss(100)
        gone = await at_guest.until(
            ParticipantLeft, lambda e: e.participant is not None and e.participant.name == "Ann"
        )
        assert gone.participant is not None
        await eventually(lambda: {p.name for p in there.conference.attendees} == {"Bob", "Guest"})


@scenario(60.0)
async def test_pictures_go_both_ways_and_newcomers_see_them_without_asking() -> None:
    tea = sound_and_pictures()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        hub, far = await enter(provider("Hub", webrtc())), await enter(provider("Guest"))
        tsp = await enter(LoopbackTsp(far, hub))
        guest, at_hub = tsp.pair()
        meeting = await enter(hub.create_conference("Tea"))
        in_group = hub.create_call(settings=HERE, description=tea)
        meeting.add(in_group)
        meeting.add(at_hub)
        await in_group.join()
        await tsp.connect(pair=(guest, at_hub))
        there = Ends(guest, 880, ALICE)
        for name, picture in (("Ann", BOB), ("Bob", None)):
            call = (await enter(provider(name, HERE))).create_call(description=tea)
            member = Ends(call, 440 if picture else None, picture)
            await call.join()
            await together(member.sees(ALICE), there.sees(BOB) if picture else None)
            shown = call.stream(VIDEO, Direction.RENDER).substreams
            assert {s.participant.name for s in shown if s.participant} == {"Guest"}
            await call.disconnect()


@scenario()
async def test_nobody_in_a_conference_hears_itself_through_a_group() -> None:
    async with provider("Hub", HERE) as hub, hub.create_conference("Tea") as meeting:
        call = hub.create_call(description=conference())
        control = call.query(MulticastControl)
        control.loopback_mode = LoopbackMode.FULL
        with pytest.raises(InvalidStateError, match=r"has LoopbackMode.FULL.*: set SELECTIVE"):
            meeting.add(call)
        assert not meeting.legs
        control.loopback_mode = LoopbackMode.SELECTIVE
        leg = meeting.add(call)
        with pytest.raises(InvalidStateError, match=r"call 1 is in conference 1, whose mix"):
            control.loopback_mode = LoopbackMode.FULL
        assert control.loopback_mode is LoopbackMode.SELECTIVE
        await meeting.remove(leg)
        control.loopback_mode = LoopbackMode.FULL
