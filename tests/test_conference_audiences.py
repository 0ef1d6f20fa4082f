"""Listeners who are sent the same follow one of them: nobody can tell from what they hear."""

from __future__ import annotations

import asyncio

from conference_lab import Meeting, meeting
from peers import PLAIN, eventually, scenario
from senses import AUDIO, CAPTURE, RENDER

from ipconf.hub.call_legs import CallLeg


async def listening(there: Meeting) -> None:
    """Only A speaks; return when all others follow one of them."""
    for name in there.parties:
        if name != "A":
            there[name].call.stream(AUDIO, CAPTURE).pause()
    await eventually(lambda: len(followers(there)) == len(there.parties) - 2)
    for name in there.parties:
        await there.hears(name, "A" if name != "A" else "")


def followers(there: Meeting) -> set[CallLeg]:
    legs = there.conference.legs
    return {leg for leg in legs if isinstance(leg, CallLeg) and leg.outlet.lead is not None}


def leads(there: Meeting) -> list[CallLeg]:
    """Who is followed by somebody."""
    legs = there.conference.legs
    return [leg for leg in legs if isinstance(leg, CallLeg) and leg.outlet.followers]


def lost(there: Meeting) -> int:
    """Packets of the mix that did not come, of all parties."""
    streams = [party.call.stream(AUDIO, RENDER).stats() for party in there.parties.values()]
    return sum(share.lost for stats in streams for share in stats.substreams)


@scenario()
async def test_listeners_follow_one_of_them_until_they_speak() -> None:
    async with meeting("ABCDE") as there:
        await listening(there)
        (lead,) = leads(there)
        assert followers(there) == {there[n].leg for n in "BCDE"} - {lead}
        there["C"].call.stream(AUDIO, CAPTURE).start()
        await there.hears("B", "AC")
        await there.hears("C", "A")
        assert there["C"].leg not in followers(there)
        assert there["C"].leg.outlet.followers == {}
        there["C"].call.stream(AUDIO, CAPTURE).pause()
        await eventually(lambda: len(followers(there)) == 3)
        await there.hears("C", "A")


@scenario()
async def test_what_is_set_for_one_is_set_for_that_one_alone() -> None:
    async with meeting("ABCDE") as there:
        await listening(there)
        (lead,) = leads(there)
        other = next(iter(followers(there)))
        for leg in (lead, other):
            there.conference.set_gain(0.5, there["A"].leg, leg)
            for name in "BCDE":
                await there.hears(name, {"A": -6.0 if there[name].leg is leg else 0.0})
            there.conference.set_gain(1.0, there["A"].leg, leg)
            await eventually(lambda: len(followers(there)) == 3)
        there.conference.move(other, "side")
        for name in "BCDE":
            await there.hears(name, "" if there[name].leg is other else "A")


@scenario()
async def test_the_others_miss_nothing_when_their_lead_leaves() -> None:
    async with meeting("ABCDE") as there:
        await listening(there)
        gone = []
        for left in (3, 2, 1):
            (lead,) = leads(there)
            (name,) = (n for n, party in there.parties.items() if party.leg is lead)
            await there.conference.remove(lead)
            gone.append(there.parties.pop(name))
            await eventually(lambda left=left: len(followers(there)) == left - 1)
            for other in there.parties:
                await there.hears(other, "A" if other != "A" else "")
        await asyncio.sleep(0)
        assert lost(there) == 0


@scenario()
async def test_who_is_sent_nothing_for_a_while_is_left_out() -> None:
    async with meeting("ABCDE") as there:
        await listening(there)
        (lead,) = leads(there)
        for leg in (lead, next(iter(followers(there)))):
            assert isinstance(leg, CallLeg)
            stream = leg.call.stream(AUDIO, CAPTURE)
            stream.pause()
            assert leg.outlet.kind is None
            await eventually(lambda: len(followers(there)) == 2)
            for name in "BCDE":
                if there[name].leg is not leg:
                    await there.hears(name, "A")
            stream.start()
            await eventually(lambda: len(followers(there)) == 3)
            for name in "BCDE":
                await there.hears(name, "A")


@scenario()
async def test_a_room_with_different_codecs_has_an_audience_for_each() -> None:
    narrow = PLAIN.model_copy(update={"audio_codecs": ("PCMU",)})
    async with meeting("ABCDE", PLAIN, D=narrow, E=narrow) as there:
        for name in "BCDE":
            there[name].call.stream(AUDIO, CAPTURE).pause()
        await eventually(lambda: len(leads(there)) == 2)
        assert sorted(len(leg.outlet.followers) for leg in leads(there)) == [1, 1]
        for name in "BCDE":
            await there.hears(name, "A")
