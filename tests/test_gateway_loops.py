"""Two gateways between the same two groups: nothing goes round, neither sound nor people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from call_ends import Ends, provider
from multicast_lab import HERE, conference
from peers import eventually, scenario, together
from senses import level_dbov

from ipconf import Call, Conference, EventStream, NetworkImpairment
from ipconf.events import LoopFound
from ipconf.terminals.base import MAX_VOLUME

QUIET_DBOV = -60.0
SECONDS = HERE.replace(member_timeout_s=3.0)
PATIENT = HERE.replace(member_timeout_s=6.0)


@dataclass(slots=True)
class Ring:
    """Ann in one group, Bob in another, and two gateways that both join both."""

    ann: Call
    bob: Call
    gateways: list[Conference]
    found: list[EventStream[LoopFound]]

    @property
    def looped(self) -> list[int]:
        """Packets that each leg of the gateways has left out."""
        return [leg.looped for gateway in self.gateways for leg in gateway.legs]

    def listed(self, name: str) -> int:
        """How often somebody is listed, at both gateways."""
        return sum(p.name == name for gateway in self.gateways for p in gateway.attendees)


@asynccontextmanager
async def ring() -> AsyncIterator[Ring]:
    """All of them connected."""
    groups = [conference(), conference()]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ann, bob = [
            (await enter(provider(name, SECONDS))).create_call(description=group)
            for name, group in zip(("Ann", "Bob"), groups, strict=True)
        ]
        meetings = []
        for name in ("X", "Y"):
            hub = await enter(provider(name, SECONDS if name == "X" else PATIENT))
            meeting = await enter(hub.create_conference(name))
            for group in groups:
                call = hub.create_call(description=group)
                meeting.add(call)
                await call.join()
            meetings.append(meeting)
        await together(ann.join(), bob.join())
        yield Ring(ann, bob, meetings, [each.events(LoopFound) for each in meetings])


async def falls_silent(ear: Ends) -> None:
    """Wait until half a second of silence has been heard."""
    blocks: list[float] = []

    def is_silent() -> bool:
        while not ear.heard.empty():
            blocks.append(level_dbov(ear.heard.get_nowait()))
        return len(blocks) >= 25 and max(blocks[-25:]) < QUIET_DBOV

    await eventually(is_silent, "it is silent")


def is_loud(ear: Ends) -> bool:
    """Whether the next block is of sound."""
    return not ear.heard.empty() and level_dbov(ear.heard.get_nowait()) > 2 * QUIET_DBOV / 3


def names_of(call: Call) -> list[str]:
    return sorted(person.name for person in call.participants)


@scenario(90.0)
async def test_sound_and_people_do_not_go_round() -> None:
    async with ring() as there:
        ann, bob = Ends(there.ann, 440), Ends(there.bob)
        await eventually(lambda: names_of(there.bob) == ["Ann", "X", "Y"], limit_s=20.0)
        await eventually(lambda: names_of(there.ann) == ["Bob", "X", "Y"], limit_s=20.0)
        await falls_silent(ann)  # she does not hear herself any more
        found = await anext(there.found[0])
        assert found.mixer.name == "Y"
        await eventually(lambda: sum(there.looped) > 100)
        assert there.listed("Ann") == there.listed("Bob") == 2
        assert bob.heard.qsize()
        assert ann.tone is not None
        ann.tone.volume = 0
        await falls_silent(bob)
        ann.tone.volume = MAX_VOLUME
        await eventually(lambda: is_loud(bob), "she is heard again")


@scenario(90.0)
async def test_who_leaves_is_gone_everywhere() -> None:
    async with ring() as there:
        Ends(there.ann, 440)
        Ends(there.bob)
        await eventually(lambda: names_of(there.bob) == ["Ann", "X", "Y"], limit_s=20.0)
        await there.ann.disconnect("so long")
        await eventually(lambda: names_of(there.bob) == ["X", "Y"])
        assert there.listed("Ann") == 0


@scenario(90.0)
async def test_who_vanishes_does_not_live_on_as_a_rumour() -> None:
    """Both gateways time her out, one later than the other, and neither believes the other, though
    they look whether she is there again and again.
    """
    async with ring() as there:
        Ends(there.ann, 440)
        Ends(there.bob)
        await eventually(lambda: names_of(there.bob) == ["Ann", "X", "Y"], limit_s=20.0)
        there.ann.query(NetworkImpairment).set_loss(100)
        await eventually(lambda: there.listed("Ann") == 1)
        await eventually(lambda: there.listed("Ann") == 0)
        await eventually(lambda: names_of(there.bob) == ["X", "Y"])
