"""What happens in the middle of a tick, or while nobody looks, spoils nothing for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from conference_lab import Ear, Meeting, Party, meeting, patiently
from peers import PLAIN, eventually
from senses import AUDIO, CAPTURE, RENDER

from ipconf import ToneTerminal
from ipconf.engine.rtp_wire import is_rtcp
from ipconf.hub.call_legs import CallLeg
from ipconf.hub.legs import Leg

TELEPHONES = PLAIN.replace(audio_codecs=("PCMU",))
TONE_HZ = 1500


class Meddler(Ear):
    """Does something from within `write`, once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.deed: Callable[[], object] | None = None

    def write(self, media: object, at: float) -> None:
        super().write(media, at)
        if self.deed is not None:
            deed, self.deed = self.deed, None
            deed()


@contextmanager
def no_faults() -> Iterator[None]:
    """Nothing is told to the loop's exception handler, as ticks that fail are."""
    loop, faults = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    yield
    loop.set_exception_handler(None)
    assert not faults


@pytest.mark.parametrize("announced", [False, True], ids=["local", "announced"])
@patiently()
async def test_who_made_telephones_wideband_leaves_in_mid_sound(announced: bool) -> None:
    with no_faults():
        async with meeting("ABC", TELEPHONES) as there:
            await there.hear_each_other()
            tone = ToneTerminal(frequency_hz=TONE_HZ)
            conference = there.conference
            leg: Leg = conference.announce(tone) if announced else conference.add_local("T", tone)
            await eventually(lambda: conference.bridge.rate_hz == 48_000)
            await there.hear_each_other()
            await conference.remove(leg)
            await eventually(lambda: conference.bridge.rate_hz == 8_000)
            await there.hear_each_other()


@patiently()
async def test_the_only_wideband_talker_hangs_up_in_mid_word() -> None:
    with no_faults():
        async with meeting("ABC", TELEPHONES, C=PLAIN) as there:
            there["C"].leg.call.settings = PLAIN
            await there.hear_each_other()
            voices = [v for party in there.parties.values() for v in party.leg.voices.values()]
            gone = there.parties.pop("C")
            await gone.call.disconnect()
            await there.hear_each_other()
            assert not any(voice.failed for voice in voices)


@patiently()
async def test_a_listener_here_brings_somebody_in_while_all_is_quiet() -> None:
    with no_faults():
        async with meeting("A") as there:
            there["A"].call.stream(AUDIO, CAPTURE).pause()
            meddler, ear = Meddler(), Ear()
            there.conference.add_local("meddler", meddler)
            there.conference.add_local("ear", ear)
            await asyncio.sleep(3)  # the room rests
            sound = np.full((4800, 1), 1000, np.int16)
            meddler.deed = lambda: there.conference.announce(sound)
            await eventually(lambda: any(block.max() > 900 for block in ear.blocks))


@pytest.mark.parametrize("what", ["pause", "move"])
@patiently()
async def test_a_listener_here_takes_away_whom_others_follow(what: str) -> None:
    with no_faults():
        async with meeting("ABCD") as there:
            for name in "BCD":
                there[name].call.stream(AUDIO, CAPTURE).pause()
            meddler = Meddler()
            there.conference.add_local("meddler", meddler)
            legs = [there[name].leg for name in "BCD"]
            await eventually(lambda: sum(bool(leg.outlet.followers) for leg in legs) == 1)
            (lead,) = (leg for leg in legs if leg.outlet.followers)
            (other, *_) = lead.outlet.followers
            (name,) = (n for n in "BCD" if there[n].leg is other)
            ear = there[name].ear
            await asyncio.sleep(1.5)
            await there.hears(name, "A")
            with _timestamps_sent(there[name]) as sent:
                meddler.deed = lambda: _take_away(there, lead, what)
                await asyncio.sleep(0.5)
            assert {(b - a) % (1 << 32) for a, b in pairwise(sent)} == {960}
            loudness = [float(np.abs(block.astype(float)).mean()) for block in ear.blocks]
            assert len(loudness) >= 25
            assert min(loudness) > 0.9 * max(loudness)  # nothing faded


def _take_away(there: Meeting, lead: CallLeg, what: str) -> None:
    if what == "pause":
        lead.call.stream(AUDIO, CAPTURE).pause()
    else:
        there.conference.move(lead, "side")


@contextmanager
def _timestamps_sent(party: Party) -> Iterator[list[int]]:
    """Those of what a party is sent."""
    (channel,) = party.call._media.channels
    sink, sent = channel.transport.sink, list[int]()

    def look(datagram: bytes, now: float, origin: Hashable = None) -> None:
        if not is_rtcp(datagram):
            sent.append(int.from_bytes(datagram[4:8], "big"))
        sink(datagram, now, origin)

    channel.transport.sink = look
    yield sent
    channel.transport.sink = sink


@pytest.mark.parametrize("ptime_ms", [30, 60])
@patiently()
async def test_long_packets_come_in_a_room_that_rests(ptime_ms: int) -> None:
    async with meeting("AB", TELEPHONES.replace(ptime_ms=ptime_ms)) as there:
        await there.hear_each_other()
        for name in "AB":
            there.conference.mute(there[name].leg)
        await asyncio.sleep(3)
        stream = there["B"].call.stream(AUDIO, RENDER)
        before = stream.stats().packets
        await asyncio.sleep(6)
        assert 4 <= stream.stats().packets - before <= 24 and stream.active
