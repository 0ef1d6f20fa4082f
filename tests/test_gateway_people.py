"""People on the two sides of gateways: what is done to one of many, numbers, who is too many."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from call_ends import Ends, provider
from multicast_lab import HERE, conference, sound_and_pictures
from peers import eventually, scenario, together, webrtc
from senses import ALICE, AUDIO, BOB, CAPTURE, RED, VIDEO

from ipconf import Call, CallLeg, Conference, ConferenceDescription, LoopbackTsp, SdesType
from ipconf.calls import sections
from ipconf.engine.reception import RemoteSource
from ipconf.errors import NotSupportedError
from ipconf.hub import attendance, call_legs, video_legs
from ipconf.hub.attendance import Attendance
from ipconf.hub.legs import Leg
from ipconf.hub.people import Attendee


class Side:
    """A gateway, and the provider of its guests."""

    def __init__(self, stack: AsyncExitStack, name: str, tea: ConferenceDescription) -> None:
        self._stack, self._name, self._tea = stack, name, tea

    async def open(self) -> None:
        """Join the group."""
        self.hub = await self._stack.enter_async_context(provider(self._name, webrtc()))
        self.meeting = await self._stack.enter_async_context(self.hub.create_conference(self._name))
        call = self.hub.create_call(settings=HERE, description=self._tea)
        self.leg: CallLeg = self.meeting.add(call)
        await call.join()

    async def takes(self, guest: Any, *media: Any) -> Call:
        """A guest of that provider calls; returns the guest's end."""
        tsp = await self._stack.enter_async_context(LoopbackTsp(guest, self.hub))
        call, here = tsp.pair(set(media) or {AUDIO})
        self.meeting.add(here)
        await tsp.connect(pair=(call, here))
        return call

    def person(self, name: str) -> Attendee:
        """Who is listed under that name."""
        return next(p for p in self.meeting.attendees if p.name == name)


class Place:
    """A group, its gateways and members."""

    def __init__(self, stack: AsyncExitStack, tea: ConferenceDescription) -> None:
        self._stack, self._tea = stack, tea

    async def gateway(self, name: str) -> Side:
        side = Side(self._stack, name, self._tea)
        await side.open()
        return side

    async def someone(self, name: str) -> Any:
        """The provider of somebody."""
        return await self._stack.enter_async_context(provider(name))

    async def member(self, name: str) -> Call:
        """Somebody in the group."""
        msp = await self._stack.enter_async_context(provider(name, HERE))
        call: Call = msp.create_call(description=self._tea)
        return call


@asynccontextmanager
async def place(tea: ConferenceDescription | None = None) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        yield Place(stack, tea or conference())


def names_of(meeting: Conference) -> set[str]:
    return {person.name for person in meeting.attendees}


@scenario(60.0)
async def test_what_cannot_be_done_to_one_of_many_is_refused() -> None:
    async with place() as there:
        x, y = await there.gateway("X"), await there.gateway("Y")
        ann = await there.member("Ann")
        Ends(ann, 440)
        await ann.join()
        gus = Ends(await y.takes(await there.someone("Gus")), 880)
        ear = Ends(await x.takes(await there.someone("Gina")))
        await eventually(lambda: names_of(x.meeting) == {"Gina", "Y", "Gus", "Ann"}, limit_s=20.0)
        meeting, behind, member = x.meeting, x.person("Gus"), x.person("Ann")
        for refused in (
            lambda: meeting.mute(behind),
            lambda: meeting.set_gain(0, behind),
            lambda: meeting.whisper(behind, [x.leg]),
        ):
            with pytest.raises(
                NotSupportedError, match="Gus arrives in the mix of Y: mute them th"
            ):
                refused()
        meeting.mute(behind, False)
        meeting.set_gain(1, behind)
        assert not meeting.is_muted(behind)
        for refused in (
            lambda: meeting.deafen(member),
            lambda: meeting.hold(member),
            lambda: meeting.move(member, "aside"),
            lambda: meeting.set_role(member, type(x.leg.role).LISTENER),
            lambda: meeting.whisper(x.person("Gina"), [member]),
        ):
            with pytest.raises(NotSupportedError, match="Ann is one of several people on leg 1"):
                refused()
        with pytest.raises(NotSupportedError, match="give the leg if it is to be"):
            await meeting.remove(member)
        assert len(meeting.legs) == 2 and names_of(meeting) == {"Gina", "Y", "Gus", "Ann"}
        meeting.mute(member)
        await ear.hears(880)
        assert gus.tone is not None
        await meeting.remove(x.leg)
        assert names_of(meeting) == {"Gina"}


@scenario(60.0)
async def test_who_is_quiet_gives_way_to_who_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is heard again later: more members than a leg has voices, but not at once."""
    monkeypatch.setattr(call_legs, "MAX_VOICES", 1)
    async with place() as there:
        x = await there.gateway("X")
        ear = Ends(await x.takes(await there.someone("Gina")))
        members = [await there.member("Ann"), await there.member("Bob")]
        await together(*(call.join() for call in members))
        sent = [call.stream(AUDIO, CAPTURE) for call in members]
        Ends(members[0], 440)
        await ear.hears(440)
        Ends(members[1], 660)
        await eventually(lambda: x.leg.refused)
        await ear.hears(440)
        sent[0].pause()
        await ear.hears(660)
        sent[1].pause()
        sent[0].start()
        await ear.hears(440)
        assert len(x.leg.voices) == 1


@scenario(60.0)
async def test_a_camera_that_is_off_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_legs, "MAX_FEEDS", 1)
    async with place(sound_and_pictures()) as there:
        x = await there.gateway("X")
        eye = Ends(await x.takes(await there.someone("Gina"), AUDIO, VIDEO))
        members = [await there.member("Ann"), await there.member("Bob")]
        await together(*(call.join() for call in members))
        sent = [call.stream(VIDEO, CAPTURE) for call in members]
        Ends(members[0], None, BOB)
        await eye.sees(BOB)
        Ends(members[1], None, (RED, RED))
        await eventually(lambda: x.leg.refused)
        sent[0].pause()
        await eye.sees((RED, RED))
        sent[1].pause()
        sent[0].start()
        await eye.sees(BOB)
        assert len(x.leg.feeds) == 1


@scenario(60.0)
async def test_who_moves_to_another_gateway_is_listed_at_the_first_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As soon as the word of a mixer is believed again, though nothing else happens."""
    monkeypatch.setattr(attendance, "HOLD_DOWN_S", 4.0)
    async with place() as there:
        x, y = await there.gateway("X"), await there.gateway("Y")
        gus = await there.someone("Gus")
        call = await x.takes(gus)
        await eventually(lambda: "Gus" in names_of(y.meeting), limit_s=20.0)
        await call.disconnect("moving")
        await eventually(lambda: "Gus" not in names_of(y.meeting))
        await y.takes(gus)
        in_group = x.leg.call
        await eventually(lambda: "Gus" in {p.name for p in in_group.participants})
        assert "Gus" not in names_of(x.meeting)
        await eventually(lambda: "Gus" in names_of(x.meeting), limit_s=20.0)


@scenario(60.0)
async def test_a_guest_is_not_named_by_the_number_of_a_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the member would find its own SSRC in use, and leave it."""
    async with place() as there:
        x = await there.gateway("X")
        ann, bob = await there.member("Ann"), await there.member("Bob")
        Ends(ann, 440)
        await together(ann.join(), bob.join())
        await eventually(lambda: names_of(x.meeting) == {"Ann", "Bob"}, limit_s=20.0)
        session = ann._media.channels[0].session
        ssrc = session.local("0").ssrc
        drawn = iter([ssrc - 1])  # by who offers
        draw = SimpleNamespace(randbelow=lambda n: next(drawn, secrets.randbelow(n)))
        monkeypatch.setattr(sections, "secrets", draw)
        eve = await x.takes(await there.someone("Eve"))
        monkeypatch.undo()
        Ends(eve, 880)
        assert eve._media.channels[0].session.local("0").ssrc == ssrc
        await eventually(lambda: {p.name for p in bob.participants} == {"Ann", "X", "Eve"})
        named = {x.person(name).csrc for name in ("Ann", "Eve")}
        assert ssrc not in named and len(named) == 2
        assert session.stats.own_ssrc == session.stats.collisions == 0
        assert session.local("0").ssrc == ssrc


@scenario(60.0)
async def test_pictures_get_another_number_where_theirs_is_somebodys() -> None:
    async with place(sound_and_pictures()) as there:
        x = await there.gateway("X")
        ann = await there.member("Ann")
        eye = Ends(ann)
        await ann.join()
        Ends(await x.takes(await there.someone("Gus"), AUDIO, VIDEO), 880, ALICE)
        await eye.sees(ALICE)
        gus = x.person("Gus")
        (before,) = gus.picture_csrcs
        x.meeting._attendance.vacate(before, x.leg, x.meeting.now())
        (after,) = gus.picture_csrcs
        assert after != before and [feed.csrc for feed in x.meeting.video.feeds] == [after]
        await eventually(
            lambda: any(
                p.name == "Gus" and after in {s.ssrc for s in p.sources} for p in ann.participants
            )
        )
        await eye.sees(ALICE)


@scenario(60.0)
async def test_what_changes_about_one_member_looks_at_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with place() as there:
        x = await there.gateway("X")
        ann = await there.member("Ann")
        Ends(ann, 440)
        await ann.join()
        ear = Ends(await x.takes(await there.someone("Gina")))
        await eventually(lambda: names_of(x.meeting) == {"Ann", "Gina"}, limit_s=20.0)
        await ear.hears(440)
        looks: list[Leg] = []
        refresh = Attendance.refresh
        monkeypatch.setattr(
            Attendance,
            "refresh",
            lambda self, leg, *rest: looks.append(leg) or refresh(self, leg, *rest),
        )
        ann.local_participant.set(SdesType.NAME, "Anna")
        ann.stream(AUDIO, CAPTURE).pause()
        await eventually(lambda: names_of(x.meeting) == {"Anna", "Gina"})
        assert not looks


def test_numbers_of_pictures_are_given_up_as_those_of_sound() -> None:
    renamed: list[tuple[int, int]] = []
    lists = Attendance(
        lambda kind, **fields: None, lambda p, b, a: renamed.append((b, a)), {}, "us", 8
    )
    here, elsewhere = Mock(identity="leg 1", attendees=()), Mock()
    here.name = "Ann"
    lists.add_local(here, 0.0)
    (ann,) = lists.people
    assert lists.show(ann, RemoteSource(77, 0.0), 0.0) == 77
    lists.vacate(77, here, 0.0)
    assert ann.picture_csrcs == (77,), "it is their own"
    lists.vacate(77, elsewhere, 0.0)
    (after,) = ann.picture_csrcs
    assert renamed == [(77, after)] and after in lists.told and 77 not in lists.told
