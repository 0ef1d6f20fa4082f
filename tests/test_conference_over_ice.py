"""Who hears whom over ICE and DTLS-SRTP, while people come, go, are controlled and change codecs.

Everything goes through sockets of 127.0.0.1. A change is waited for; then a whole second of what
every leg is sent must be right: all others as loud as they are, and nothing of oneself.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from conference_lab import STEP_HZ, Meeting, Party, everybody, join, meeting, patiently
from peers import eventually, webrtc
from senses import AUDIO, RENDER

from ipconf import CallSettings, Identity, MediaServiceProvider, NetworkImpairment

NAMES = "ABCDEF"
CODECS = {"A": "opus", "B": "opus", "C": "G722", "D": "PCMU", "E": "PCMA", "F": "opus"}
"""F has Opus in stereo."""
LOST_PERCENT = 10
LOST_DB, LOST_ABSENT_DB = 4.0, 18.0
"""A fifth of a tone is concealed on its way through two networks, which neither keeps it as loud
nor as pure as it was."""


def settings_of(name: str) -> CallSettings:
    return webrtc(audio_codecs=(CODECS[name],), opus_stereo=name == "F")


def mixed(names: str = NAMES) -> dict[str, CallSettings]:
    """The settings of these parties, for `meeting`."""
    return {name: settings_of(name) for name in names}


async def come(stack: AsyncExitStack, there: Meeting, name: str) -> Party:
    """Somebody joins a meeting that has begun, with a tone that nobody has had."""
    provider = MediaServiceProvider(Identity(name=name), settings_of(name))
    await stack.enter_async_context(provider)
    party = Party(name, max(p.hz for p in there.parties.values()) + STEP_HZ, provider)
    await join(stack, there, party)
    return party


def concealed_s(party: Party) -> float:
    """How much of what it was sent is missing."""
    (mixer,) = party.call.stream(AUDIO, RENDER).stats().substreams
    return mixer.concealed_s


@patiently()
async def test_six_people_in_four_codecs() -> None:
    async with meeting(NAMES, webrtc(opus_stereo=True), **mixed()) as there:
        for name in NAMES:
            assert there[name].codecs == (CODECS[name], CODECS[name])
        await there.hear_each_other()
        await there.all_hear(everybody(NAMES))


@patiently()
async def test_people_come_and_go() -> None:
    async with AsyncExitStack() as stack, meeting("ACD", webrtc(), **mixed("ACD")) as there:
        await there.hear_each_other("ACD")
        for name in "EF":
            await come(stack, there, name)
        await there.hear_each_other("ACDEF")
        await there.all_hear(everybody("ACDEF"))
        await there["C"].call.disconnect("dinner")
        await there.conference.remove(there["D"].leg, "enough")
        await there.hear_each_other("AEF")
        await there.all_hear(everybody("AEF"))
        await come(stack, there, "C")
        await there.hear_each_other("ACEF")
        await there.all_hear(everybody("ACEF"))
        for name in "ACEF":
            await eventually(lambda n=name: there[n].knows == set("ACEF") - {n})


@patiently()
async def test_five_are_muted_turned_down_and_whisper() -> None:
    names = "ACDEF"
    async with meeting(names, webrtc(), **mixed(names)) as there:
        conference = there.conference
        await there.hear_each_other()
        conference.mute(there["A"].leg)
        conference.whisper(there["C"].leg, [there["E"].leg, there["F"].leg])
        conference.set_gain(0.25, there["F"].leg, there["D"].leg)
        truth = {
            "A": {"D": 0, "E": 0, "F": 0},
            "C": {"D": 0, "E": 0, "F": 0},
            "D": {"E": 0, "F": -12.04},
            "E": {"C": 0, "D": 0, "F": 0},
            "F": {"C": 0, "D": 0, "E": 0},
        }
        for name, heard in truth.items():
            await there.hears(name, heard)
        await there.all_hear(truth)
        conference.mute(there["A"].leg, False)
        conference.whisper(there["C"].leg, None)
        conference.set_gain(1, there["F"].leg, there["D"].leg)
        conference.hold(there["E"].leg)
        truth = {**everybody("ACDF"), "E": ""}
        for name, heard in truth.items():
            await there.hears(name, heard)
        await there.all_hear(truth)


@pytest.mark.parametrize("hub_offers", [False, True])
def test_one_changes_codec_in_mid_call(hub_offers: bool) -> None:
    @patiently()
    async def changing() -> None:
        async with meeting("ABCDE", webrtc(), **mixed("CDE")) as there:
            conference, changer, leg = there.conference, there["A"], there["A"].leg
            await there.hear_each_other()
            await there.all_hear(everybody("ABCDE"))
            (person,) = leg.attendees
            for codec in ("PCMU", "G722", "PCMA", "opus"):
                before = {name: concealed_s(there[name]) for name in "BCDE"}
                await changer.call_again(hub_offers=hub_offers, audio_codecs=(codec,))
                assert changer.codecs == (codec, codec)
                await there.hear_each_other()
                assert there.wrong(everybody("BCDE"), ignored="A") == []  # nor was it meanwhile
                await there.all_hear(everybody("ABCDE"))
                assert {name: concealed_s(there[name]) for name in "BCDE"} == before
                assert changer.leg is leg and leg in conference.legs
                await eventually(lambda: leg.attendees == (person,))
            for name in "ABCDE":
                await eventually(lambda n=name: there[n].knows == set("ABCDE") - {n})

    changing()


@patiently()
async def test_what_was_set_outlasts_a_change_of_codec() -> None:
    async with meeting("ABC", webrtc()) as there:
        await there.hear_each_other()
        there.conference.mute(there["A"].leg)
        there.conference.set_gain(0.25, there["B"].leg, there["A"].leg)
        await there["A"].call_again(audio_codecs=("PCMU",))
        await there["B"].call_again(audio_codecs=("G722",), hub_offers=True)
        truth = {"A": {"B": -12.04, "C": 0}, "B": "C", "C": "B"}
        for name, heard in truth.items():
            await there.hears(name, heard)
        await there.all_hear(truth)
        assert there.conference.is_muted(there["A"].leg)


@patiently()
async def test_a_tenth_of_all_packets_is_lost_both_ways() -> None:
    async with meeting("ABCDE", webrtc(), **mixed("CDE")) as there:
        await there.hear_each_other()
        for seed, name in enumerate("ABCDE"):
            there[name].far.query(NetworkImpairment).set_loss(LOST_PERCENT, seed)
        await there.all_hear(everybody("ABCDE"), LOST_DB, LOST_ABSENT_DB)
        there.conference.mute(there["A"].leg)
        await there["B"].call_again(audio_codecs=("PCMA",))
        truth = {**everybody("BCDE"), "A": "BCDE"}
        await there.all_hear(truth, LOST_DB, LOST_ABSENT_DB)
