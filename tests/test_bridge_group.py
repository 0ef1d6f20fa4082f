"""Rooms of a bridge that are tied to a group: browsers meet its members."""

from __future__ import annotations

from pathlib import Path

import pytest
from call_ends import Ends, provider
from multicast_lab import HERE, conference
from peers import LOCALHOST, eventually, scenario

pytest.importorskip("aiohttp")

from bridge_lab import PageClient, running_bridge  # noqa: E402

from ipconf.bridge.settings import BridgeSettings, RoomSettings  # noqa: E402
from ipconf.errors import ConfigurationError  # noqa: E402
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


def test_descriptions_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"group: .*nowhere\.sdp cannot be read: No such"):
        RoomSettings(group=tmp_path / "nowhere.sdp")
    wrong = tmp_path / "wrong.sdp"
    wrong.write_text("hello\n")
    with pytest.raises(ConfigurationError, match=r"wrong\.sdp: line 1"):
        BridgeSettings(rooms={"hall": {"group": str(wrong)}})
