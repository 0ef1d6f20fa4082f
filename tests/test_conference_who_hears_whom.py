"""Who hears whom in a conference: N parties with a tone each, what comes back analysed by FFT."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from conference_lab import FIRST_HZ, STEP_HZ, Party, everybody, join, meeting, patiently
from peers import PLAIN, eventually, scenario, webrtc

from ipconf import CallState, ConferenceSettings, Identity, MediaServiceProvider
from ipconf.errors import ConferenceFullError, InvalidStateError, NoItemError
from ipconf.events import AttendeeLeft
from ipconf.hub.people import Role


@patiently()
async def test_each_hears_all_others_and_never_itself() -> None:
    async with meeting("ABCD") as there:
        await there.hear_each_other()


@scenario()
async def test_over_ice_and_dtls_srtp() -> None:
    async with meeting("ABC", webrtc()) as there:
        await there.hear_each_other()
        for name in "ABC":
            await eventually(lambda n=name: there[n].knows == set("ABC") - {n})


@scenario(limit_s=60)
async def test_with_a_tenth_of_all_packets_lost() -> None:
    async with meeting("ABC", webrtc(loss_percent=10, loss_seed=3)) as there:
        await there.hear_each_other()
        # Of each way two ends lose a tenth: over a whole second tones are not as loud and as pure.
        await there.all_hear(everybody("ABC"), within_db=8, absent_db=15)


@patiently()
async def test_people_join_and_leave() -> None:
    async with AsyncExitStack() as stack, meeting("AB", PLAIN) as there:
        events = there.conference.events()
        await there.hear_each_other()
        provider = await stack.enter_async_context(MediaServiceProvider(Identity(name="C"), PLAIN))
        await join(stack, there, Party("C", FIRST_HZ + 2 * STEP_HZ, provider))
        await there.hear_each_other("ABC")
        await there["A"].call.disconnect("dinner")
        left = await events.wait_for(AttendeeLeft)
        assert (left.attendee.name, left.text) == ("A", "dinner")
        await there.hear_each_other("BC")
        for name, other in ("BC", "CB"):
            await eventually(lambda n=name, o=other: there[n].knows == {o})


@pytest.mark.parametrize("codec", ["G722", "PCMU", "PCMA"])
def test_legs_of_different_codecs_and_channels(codec: str) -> None:
    @patiently()
    async def mixed() -> None:
        other = PLAIN.replace(audio_codecs=(codec,))
        stereo = PLAIN.replace(opus_stereo=True)
        hub = PLAIN.replace(opus_stereo=True)
        async with meeting("ABCD", hub, B=other, C=stereo, D=PLAIN) as there:
            await there.hear_each_other()

    mixed()


@pytest.mark.parametrize("ptime_ms", [10, 40, 60])
def test_legs_of_different_packet_times(ptime_ms: int) -> None:
    @patiently()
    async def mixed() -> None:
        async with meeting("ABC", PLAIN, B=PLAIN.replace(ptime_ms=ptime_ms)) as there:
            await there.hear_each_other()

    mixed()


@patiently()
async def test_one_is_muted_for_all_and_turned_down_for_one() -> None:
    async with meeting("ABC") as there:
        conference = there.conference
        await there.hear_each_other()
        conference.mute(there["A"].leg)
        await there.hears("B", "C")
        await there.hears("C", "B")
        await there.hears("A", "BC")
        conference.mute(there["A"].leg, False)
        conference.set_gain(0.25, there["A"].leg, there["B"].leg)
        await there.hears("B", {"A": -12.04, "C": 0})
        await there.hears("C", "AB")
        conference.set_gain(2, there["A"].leg)
        await there.hears("B", {"A": -6.02, "C": 0})
        await there.hears("C", {"A": 6.02, "B": 0})


@patiently()
async def test_deafened_and_held() -> None:
    async with meeting("ABC") as there:
        await there.hear_each_other()
        there.conference.deafen(there["A"].leg)
        await there.hears("A", "")
        await there.hears("B", "AC")
        there.conference.deafen(there["A"].leg, False)
        there.conference.hold(there["B"].leg)
        await there.hears("A", "C")
        await there.hears("B", "")
        there.conference.hold(there["B"].leg, False)
        await there.hear_each_other()


@patiently()
async def test_a_whisper_is_heard_by_some_only() -> None:
    async with meeting("ABC") as there:
        await there.hear_each_other()
        there.conference.whisper(there["A"].leg, [there["B"].leg])
        await there.hears("B", "AC")
        await there.hears("C", "B")
        there.conference.whisper(there["A"].leg, None)
        await there.hear_each_other()


@patiently()
async def test_side_rooms_and_an_announcer() -> None:
    async with meeting("ABCD") as there:
        await there.hear_each_other()
        for name in "CD":
            there.conference.move(there[name].leg, "side")
        await there.hear_each_other("AB")
        await there.hear_each_other("CD")
        there.conference.broadcast(there["A"].leg)
        await there.hears("C", "AD")
        await there.hears("A", "B")
        there.conference.broadcast(there["A"].leg, False)
        for name in "CD":
            there.conference.move(there[name].leg)
        await there.hear_each_other()


@patiently()
async def test_listeners_are_not_heard_until_they_may_speak() -> None:
    async with meeting("AB") as there:
        await there.hear_each_other()
        there.conference.set_role(there["A"].leg, Role.LISTENER)
        await there.hears("B", "")
        await there.hears("A", "B")
        there.conference.set_role(there["A"].leg, Role.MODERATOR)
        await there.hear_each_other()


@patiently()
async def test_who_is_removed_is_told_why() -> None:
    async with meeting("ABC") as there:
        await there.hear_each_other()
        await there.conference.remove(there["B"].leg, "enough")
        await there.hear_each_other("AC")
        await eventually(lambda: there["B"].call.state is CallState.DISCONNECTED)
        with pytest.raises(NoItemError, match="not in"):
            there.conference.mute(there["B"].leg)


@patiently()
async def test_limits_and_the_lock() -> None:
    async with MediaServiceProvider(Identity(name="Hub"), PLAIN) as hub:
        conference = hub.create_conference(settings=ConferenceSettings(max_legs=1))
        conference.lock()
        with pytest.raises(InvalidStateError, match="locked"):
            conference.add(hub.create_call())
        with pytest.raises(InvalidStateError, match="locked"):
            conference.add_local("Robot", role=Role.LISTENER)
        moderator = conference.add(hub.create_call(), "Mo", Role.MODERATOR)
        await conference.remove(moderator)
        await conference.remove(conference.add_local("Mia", role=Role.MODERATOR))
        assert conference.locked
        conference.lock(False)
        conference.add(hub.create_call())
        with pytest.raises(ConferenceFullError, match="max_legs"):
            conference.add(hub.create_call())


@scenario()
async def test_everybody_is_told_who_is_there() -> None:
    async with meeting("ABC", PLAIN) as there:
        for name in "ABC":
            await eventually(lambda n=name: there[n].knows == set("ABC") - {n})
        people = {person.name: person for person in there.conference.attendees}
        assert set(people) == set("ABC")
        assert len({person.csrc for person in people.values()}) == 3
        assert [person.leg for person in people.values()] == list(there.conference.legs)
