"""Rooms of a bridge that are tied to a group: browsers meet its members."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from call_ends import Ends, provider
from multicast_lab import HERE, conference
from peers import LOCALHOST, eventually, scenario, together

pytest.importorskip("aiohttp")

from bridge_lab import PageClient, running_bridge  # noqa: E402

from ipconf.bridge.settings import BridgeSettings, RoomSettings  # noqa: E402
from ipconf.errors import ConfigurationError  # noqa: E402
from ipconf.hub.call_legs import CallLeg  # noqa: E402
from ipconf.hub.people import Role  # noqa: E402
from ipconf.sdp import write_description  # noqa: E402


@scenario(60.0)
async def test_members_of_a_group_are_in_the_roster_of_the_page(tmp_path: Path) -> None:
    description = conference()
    file = tmp_path / "tea.sdp"
    file.write_text(write_description(description))
    hall = RoomSettings(group=file, group_interface=LOCALHOST)
    async with (
        running_bridge(rooms={"hall": hall}, empty_room_s=0.05) as bridge,
        provider("Ann", HERE) as msp,
    ):
        ann = msp.create_call(description=description)
        ear = Ends(ann, 440)
        await ann.join()
        async with PageClient(bridge, "Gus", "hall") as page:
            await page.call(880)
            await eventually(lambda: page.person("Ann"), limit_s=20.0)
            told = page.people[page.person("Ann") or ""]
            assert (told["kind"], told["mic"], told["muted"]) == ("other", True, False)
            await eventually(lambda: {p.name for p in ann.participants} >= {"Gus"}, limit_s=20.0)
            await ear.hears(880)
            await eventually(lambda: page.people[page.person("Ann") or ""]["talking"])
        await eventually(lambda: not bridge.rooms.rooms, "members of the group hold no room")
        await eventually(lambda: not ann.participants)


@scenario(60.0)
async def test_what_a_moderator_does_to_one_member_is_not_done_to_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipconf.bridge")
    description = conference()
    file = tmp_path / "tea.sdp"
    file.write_text(write_description(description))
    hall = RoomSettings(group=file, group_interface=LOCALHOST)
    async with (
        running_bridge(rooms={"hall": hall}) as bridge,
        provider("Ann", HERE) as first,
        provider("Bob", HERE) as second,
    ):
        ann, bob = (msp.create_call(description=description) for msp in (first, second))
        Ends(ann, 440)
        Ends(bob, 660)
        await together(ann.join(), bob.join())
        token = bridge.invitations.invite("hall", Role.MODERATOR)
        async with PageClient(bridge, "Gus", "hall", token=token) as page:
            await page.call(None, None)
            await eventually(lambda: page.person("Ann") and page.person("Bob"), limit_s=20.0)
            room, her, him = bridge.rooms.rooms["hall"], page.person("Ann"), page.person("Bob")
            assert her is not None and him is not None
            await page.ask("mute", person=her, muted=True)
            await page.ask("volume", person=him, gain=0.5)
            await eventually(lambda: page.people[her]["muted"])
            assert not page.people[him]["muted"]
            meeting, ear = room.conference, room.guests[0].leg
            await eventually(lambda: meeting.gain(room.person(him), ear) == 0.5)
            assert meeting.gain(room.person(her), ear) == 1
            for what, more in (("remove", {}), ("role", {"role": "listener"})):
                await page.ask(what, person=her, **more)
                assert (await page.error("not-alone"))["about"] == what
            assert page.person("Ann") and page.person("Bob") and len(meeting.legs) == 2
            leg = room.person(her).leg
            assert isinstance(leg, CallLeg)
            await leg.call.disconnect("the group is over")
            await eventually(lambda: not page.person("Ann"))
            assert ("group left", logging.WARNING) in [(r.msg, r.levelno) for r in caplog.records]
        await room.end("enough")
    assert [r.msg for r in caplog.records].count("group left") == 1


def test_descriptions_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"group: .*nowhere\.sdp cannot be read: No such"):
        RoomSettings(group=tmp_path / "nowhere.sdp")
    wrong = tmp_path / "wrong.sdp"
    wrong.write_text("hello\n")
    with pytest.raises(ConfigurationError, match=r"wrong\.sdp: line 1"):
        BridgeSettings(rooms={"hall": {"group": str(wrong)}})
