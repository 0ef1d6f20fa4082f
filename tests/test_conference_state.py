"""What a conference tells of itself: events, snapshots and what changed since, people, words."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from conference_lab import Ear, meeting
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from peers import PLAIN, eventually, scenario

from ipconf import CallState, NetworkImpairment, ToneTerminal
from ipconf.errors import ConfigurationError, InvalidTerminalError, NoItemError
from ipconf.events import (
    AttendeeChanged,
    AttendeeJoined,
    AttendeeLeft,
    AttendeeSilent,
    ConferenceEnded,
    LegRemoved,
    MessageReceived,
    TextReceived,
)
from ipconf.hub.people import Attendee, Role
from ipconf.hub.state import KEPT_DEPARTURES, Versions
from ipconf.model import AUDIO_RATE_HZ, GoneReason, SdesType
from ipconf.pipelines.audio_receiver import AudioReceiver


@scenario()
async def test_the_far_ends_know_each_others_items_and_changes() -> None:
    async with meeting("AB", PLAIN) as there:
        await eventually(lambda: there["B"].knows == {"A"})
        changes = there.conference.events(AttendeeChanged)
        local = there["A"].call.local_participant
        local.set(SdesType.EMAIL, "a@example.com")
        local.set(SdesType.NAME, "Ann")
        await eventually(lambda: there["B"].knows == {"Ann"})
        (ann,) = [p for p in there["B"].call.participants if p.name == "Ann"]
        await eventually(lambda: ann.items.get(SdesType.EMAIL) == "a@example.com")
        assert set((await anext(changes)).changed) <= {"name", "email"}
        assert ann.cname == there["A"].provider.identity.cname


@scenario()
async def test_snapshots_tell_what_changed_since() -> None:
    async with meeting("ABC") as there:
        conference = there.conference
        await eventually(lambda: len(conference.attendees) == 3)
        whole = conference.state()
        assert whole.since is None and {p.name for p in whole.people} == set("ABC")
        assert conference.state(whole.version).people == ()
        conference.mute(there["A"].leg)
        part = conference.state(whole.version)
        assert part.since == whole.version
        assert [(p.name, p.muted) for p in part.people if not p.talking or p.muted] == [("A", True)]
        await conference.remove(there["B"].leg)
        later = conference.state(whole.version)
        assert later.gone == tuple(p.identity for p in whole.people if p.name == "B")
        assert conference.state(later.version + 1).since is None  # a version yet to come
        plain = later.to_json()
        assert plain["people"][0]["role"] == "speaker" and plain["legs"] == 2


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60), st.integers(0, 60))
def test_a_client_that_follows_the_changes_knows_the_truth(
    steps: list[tuple[int, bool]], looks_at: int
) -> None:
    versions = Versions()
    present: dict[int, Attendee] = {}
    known: set[str] = set()
    seen = 0

    def look() -> None:
        nonlocal known, seen
        changed = versions.changed(seen, present.values())
        known = (known | {p.identity for p in changed}) - set(versions.gone(seen))
        seen = versions.version

    for number, (who, comes) in enumerate(steps):
        if comes and who not in present:
            present[who] = Attendee(None, number, number + 1, 0.0)  # type: ignore[arg-type]
            versions.change(present[who])
        elif comes:
            versions.change(present[who])
        elif who in present:
            person = present.pop(who)
            person.left_at = 1.0
            versions.change(person)
        if number == looks_at:
            look()
    assert versions.knows(seen)
    look()
    assert known == {person.identity for person in present.values()}


def test_departures_that_are_forgotten_ask_for_the_whole_state() -> None:
    versions = Versions()
    for number in range(KEPT_DEPARTURES + 1):
        person = Attendee(None, number, number + 1, 0.0)  # type: ignore[arg-type]
        versions.change(person)
        person.left_at = 1.0
        versions.change(person)
    assert not versions.knows(0) and versions.knows(2) and versions.knows(versions.version)


@scenario()
async def test_hands_roles_and_the_end() -> None:
    async with meeting("AB") as there:
        conference = there.conference
        await eventually(lambda: len(conference.attendees) == 2)
        first = conference.attendees[0]
        changes = conference.events(AttendeeChanged)
        conference.raise_hand(first)
        conference.raise_hand(first)  # it is up already
        assert first.hand_raised_at is not None
        conference.raise_hand(first, False)
        conference.set_role(first, Role.LISTENER)
        assert [(await anext(changes)).changed for _ in range(3)] == [
            ("hand",), ("hand",), ("role",)
        ]  # fmt: skip
        assert conference.is_muted(first)
        ends = conference.events(AttendeeLeft, LegRemoved, ConferenceEnded)
        await conference.end("over")
        told = [event async for event in ends]
        assert [type(e) for e in told[:-1]] == [AttendeeLeft, LegRemoved] * 2
        assert {e.reason for e in told if isinstance(e, AttendeeLeft)} == {GoneReason.CLOSED}
        assert isinstance(told[-1], ConferenceEnded) and told[-1].reason == "over"
        for name in "AB":
            await eventually(lambda n=name: there[n].call.state is CallState.DISCONNECTED)


@scenario()
async def test_words_go_to_all_others_or_to_one() -> None:
    async with meeting("ABC") as there:
        readers = {name: there[name].call.events(TextReceived) for name in "ABC"}
        heard = there.conference.events(MessageReceived)
        await eventually(lambda: len(there.conference.attendees) == 3)
        there["A"].call.send_text("hello")
        for name in "BC":
            message = await anext(readers[name])
            assert (message.text, message.sender) == ("hello", "A")
        there.conference.send_message("only you", to=there["A"].leg)
        assert (await anext(readers["A"])).text == "only you"
        first, second = await anext(heard), await anext(heard)
        assert (first.text, first.sender, first.to) == ("hello", there["A"].leg, None)
        assert (second.sender, second.to) == (None, there["A"].leg)


@scenario()
async def test_a_program_takes_part_without_a_network() -> None:
    async with meeting("AB") as there:
        ear = Ear()
        leg = there.conference.add_local("Robot", ToneTerminal(frequency_hz=2000), ear)
        for name in "AB":
            await eventually(lambda n=name: "Robot" in there[n].knows)
            await eventually(lambda n=name: there[n].ear.levels([2000])[2000] > -22)
        tones = [there[name].hz for name in "AB"]
        await eventually(lambda: min(ear.levels(tones).values()) > -22)
        assert ear.levels([2000])[2000] < -60  # never itself
        await there.conference.remove(leg)
        for name in "AB":
            await eventually(lambda n=name: "Robot" not in there[n].knows)
            await eventually(lambda n=name: there[n].ear.levels([2000])[2000] < -60)
        assert not ear.in_use


def _tone(hz: float, seconds: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    times = np.arange(round(seconds * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    return (3000 * np.sin(2 * np.pi * hz * times)).astype(np.int16)[:, np.newaxis]


@scenario()
async def test_announcements_to_all_and_to_one() -> None:
    async with meeting("ABC") as there:
        conference = there.conference
        await there.hear_each_other()
        conference.move(there["C"].leg, "side")
        removed = conference.events(LegRemoved)
        leg = conference.announce(_tone(2500, 2))
        for name in "ABC":
            await eventually(lambda n=name: there[n].ear.levels([2500])[2500] > -26)
        assert (await anext(removed)).leg is leg
        assert len(conference.attendees) == 3  # it was nobody
        private = conference.announce(ToneTerminal(frequency_hz=3000), to=[there["B"].leg])
        await eventually(lambda: there["B"].ear.levels([3000])[3000] > -26)
        assert there["A"].ear.levels([3000])[3000] < -60
        await conference.remove(private)
        await there.hear_each_other("AB")


@scenario()
async def test_misuse_is_told() -> None:
    async with meeting("A") as there:
        conference, leg = there.conference, there["A"].leg
        with pytest.raises(ConfigurationError, match="0 .* to 4"):
            conference.set_gain(5, leg)
        with pytest.raises(ConfigurationError, match="int16"):
            conference.announce(np.zeros(10, np.float32))  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="256 bytes"):
            conference.add_local("\N{GRINNING FACE}" * 64)
        with pytest.raises(InvalidTerminalError, match="no terminal for sound"):
            conference.add_local("X", "microphone")  # type: ignore[arg-type]
        assert [each.identity for each in conference.legs] == [leg.identity]
        await conference.remove(leg)
        for misuse in (conference.mute, conference.hold, conference.deafen, conference.move):
            with pytest.raises(NoItemError, match="not in"):
                misuse(leg)


@scenario()
async def test_what_is_counted() -> None:
    async with meeting("AB") as there:
        await there.hear_each_other()
        stats = there.conference.stats()
        assert (stats.people, len(stats.legs), stats.encoder_failures) == (2, 2, 0)
        assert stats.mixes == 2  # each hears the other alone
        assert stats.encoders >= 2  # that of the silence before may still be kept
        for leg in stats.legs:
            assert (leg.voices, leg.awake, leg.failed, leg.refused) == (1, 1, 0, 0)
            assert leg.call is not None and leg.call.streams


@scenario()
async def test_who_is_muted_has_no_floor_and_takes_no_place() -> None:
    async with meeting("AB") as there:
        await there.hear_each_other()
        conference, bridge = there.conference, there.conference.bridge
        conference.mute(there["A"].leg)
        changes = conference.events(AttendeeSilent)
        assert (await anext(changes)).attendee.name == "A"
        await eventually(lambda: {v.leg for v in bridge.talking} == {there["B"].leg})
        conference.mute(there["A"].leg, False)
        await there.hear_each_other()


@scenario()
async def test_silence_is_told_before_a_talker_leaves() -> None:
    async with meeting("AB") as there:
        await there.hear_each_other()
        events = there.conference.events(AttendeeSilent, AttendeeLeft, LegRemoved)
        await there.conference.remove(there["A"].leg)
        silent, left, removed = [await anext(events) for _ in range(3)]
        assert [type(e) for e in (silent, left, removed)] == [
            AttendeeSilent, AttendeeLeft, LegRemoved
        ]  # fmt: skip
        assert isinstance(removed, LegRemoved) and removed.leg.display_name == "A"


@scenario()
async def test_who_returns_on_a_new_transport_is_the_same_and_as_muted_as_before() -> None:
    quick = PLAIN.replace(member_timeout_s=1.0, rtcp_min_interval_s=0.2)
    async with meeting("AB", quick) as there:
        await eventually(lambda: len(there.conference.attendees) == 2)
        (a, _) = people = there.conference.attendees
        there.conference.mute(a)
        events = there.conference.events(AttendeeLeft, AttendeeJoined)
        there["A"].call.query(NetworkImpairment).set_loss(100)
        left = await events.wait_for(AttendeeLeft)
        assert (left.attendee, left.reason) == (a, GoneReason.TIMEOUT)
        there["A"].call.query(NetworkImpairment).set_loss(0)
        joined = await events.wait_for(AttendeeJoined)
        assert joined.attendee is a and a.present and there.conference.is_muted(a)
        assert set(there.conference.attendees) == set(people)
        await there.hears("B", "")


@scenario()
async def test_a_room_in_which_nobody_talks_rests_and_wakes_up() -> None:
    async with meeting("AB", PLAIN) as there:
        await there.hear_each_other()
        for name in "AB":
            there.conference.mute(there[name].leg)
        (channel,) = there["A"].leg.call._media.channels

        async def packets_in_a_second() -> int:
            before = channel.session.stats.rtp_sent
            await asyncio.sleep(1)
            return channel.session.stats.rtp_sent - before

        async with asyncio.timeout(10):
            while await packets_in_a_second() > 4:
                pass
        there.conference.mute(there["B"].leg, False)
        await there.hears("A", "B")
        async with asyncio.timeout(10):  # a machine that is busy makes good what it missed
            while await packets_in_a_second() <= 40:
                pass


@scenario()
async def test_words_pass_over_a_call_that_closes_and_long_names() -> None:
    async with meeting("ABC") as there:
        await eventually(lambda: len(there.conference.attendees) == 3)
        reader = there["C"].call.events(TextReceived)
        leg = there["A"].leg
        leg.name = "x" * 5000  # behind a mixer there may be many people
        closing = asyncio.ensure_future(there["B"].leg.call.close())
        await asyncio.sleep(0)
        there["A"].call.send_text("hello")
        message = await anext(reader)
        assert message.text == "hello" and 0 < len(message.sender) < 1000
        await closing


@scenario()
async def test_of_who_never_returned_nothing_is_kept() -> None:
    quick = PLAIN.replace(member_timeout_s=1.0, rtcp_min_interval_s=0.2)
    async with meeting("AB", quick) as there:
        conference = there.conference
        await eventually(lambda: len(conference.attendees) == 2)
        person = conference.attendees[0]
        conference.mute(person)
        events = conference.events(AttendeeLeft)
        there["A"].call.query(NetworkImpairment).set_loss(100)
        assert (await anext(events)).reason is GoneReason.TIMEOUT
        assert conference._hearing.is_muted(person)
        await conference.remove(there["A"].leg)
        assert not conference._hearing.is_muted(person)


@pytest.mark.parametrize("fault", ["raises", "is no block"])
@scenario()
async def test_one_persons_sound_that_fails_does_not_silence_the_others(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with meeting("ABC", PLAIN) as there:
        await there.hear_each_other()
        (voice,) = there["B"].leg.voices.values()
        failing = voice._receiver  # type: ignore[attr-defined]
        pull = AudioReceiver.pull

        def pulled(receiver: AudioReceiver, now: float) -> NDArray[np.int16] | None:
            if receiver is not failing:
                return pull(receiver, now)
            if fault == "raises":
                raise ZeroDivisionError
            return np.zeros((7, 1), np.int16)

        monkeypatch.setattr(AudioReceiver, "pull", pulled)
        await eventually(lambda: there.conference.stats().legs[1].failed == 1)
        await there.hears("A", "BC")  # of B by a new receiver
