"""Silent people, whose packets wait, and listeners, sent to in step, are like all others."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Hashable
from itertools import pairwise

from conference_lab import Meeting, meeting, patiently
from peers import LOCALHOST, PLAIN, eventually, scenario
from senses import AUDIO, CAPTURE, RENDER

from ipconf import Call, ToneTerminal
from ipconf.calls.channel import Channel
from ipconf.engine.rtp_wire import compose_rtp, is_rtcp
from ipconf.hub.call_legs import CallLeg

HUSHED_DBOV = -80.0


def channel_of(call: Call) -> Channel:
    (channel,) = call._media.channels
    return channel


def hush(there: Meeting, name: str) -> None:
    """Let a party be silent, and send that."""
    stream = there[name].call.stream(AUDIO, CAPTURE)
    for terminal in stream.terminals:
        stream.unselect_terminal(terminal)
    stream.select_terminal(ToneTerminal(frequency_hz=600, level_dbov=HUSHED_DBOV))


async def one_lead(there: Meeting, listeners: str) -> CallLeg:
    """Only the others speak; whom all listeners but one follow."""
    for name in listeners:
        there[name].call.stream(AUDIO, CAPTURE).pause()
    legs = [there[name].leg for name in listeners]
    await eventually(lambda: sum(leg.outlet.lead is not None for leg in legs) == len(legs) - 1)
    (lead,) = (leg for leg in legs if leg.outlet.followers)
    return lead


def party_on(there: Meeting, leg: CallLeg) -> str:
    (name,) = (name for name, party in there.parties.items() if party.leg is leg)
    return name


@scenario()
async def test_a_stranger_with_our_ssrc_silences_neither_follower_nor_lead() -> None:
    async with meeting("ABCDE", PLAIN) as there:
        lead = await one_lead(there, "BCDE")
        follower = next(iter(lead.outlet.followers))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((LOCALHOST, 0))
            for leg in (follower, lead):
                channel, name = channel_of(leg.call), party_on(there, leg)
                way = leg.outlet.outlet
                assert way is not None
                before = way.source.ssrc
                forged = compose_rtp(111, 1, 5, before, b"x" * 20)
                stranger.sendto(forged, channel.transport.local)  # type: ignore[attr-defined]
                await eventually(lambda way=way, before=before: way.source.ssrc != before)
                there[name].ear.blocks.clear()
                await there.hears(name, "A")


@patiently()
async def test_nobody_is_sent_two_packets_of_one_moment_when_a_listener_speaks() -> None:
    async with meeting("ABCDE") as there:
        lead = await one_lead(there, "BCDE")
        stamps: dict[str, list[int]] = {name: [] for name in there.parties}
        for name, party in there.parties.items():
            transport = channel_of(party.call).transport

            def look(
                datagram: bytes, now: float, origin: Hashable = None,
                sink=transport.sink, seen=stamps[name],
            ) -> None:  # fmt: skip
                if not is_rtcp(datagram):
                    seen.append(struct.unpack_from("!4xI", datagram)[0])
                sink(datagram, now, origin)

            transport.sink = look
        there[party_on(there, lead)].call.stream(AUDIO, CAPTURE).start()
        await asyncio.sleep(1.5)
        for seen in stamps.values():
            assert len(seen) > 60
            assert all((later - earlier) % (1 << 32) == 960 for earlier, later in pairwise(seen))


@patiently()
async def test_who_has_left_is_forgotten_though_their_packets_waited() -> None:
    async with meeting("AB", PLAIN) as there:
        hush(there, "B")
        await asyncio.sleep(2)
        conference, leg = there.conference, there["B"].leg
        render = leg.call.stream(AUDIO, RENDER)
        for _ in range(5):
            await asyncio.sleep(0.61)
            render.pause()
            await asyncio.sleep(0.05)
            render.start()
        await asyncio.sleep(0.3)
        alive = {voice for each in conference.legs for voice in each.voices.values()}
        assert set(conference._speakers._people) <= alive
        await asyncio.sleep(0.4)
        await conference.remove(leg)
        assert all(voice.leg is not leg for voice in conference._speakers._people)  # type: ignore[attr-defined]


@patiently()
async def test_all_that_was_sent_before_a_goodbye_is_counted() -> None:
    async with meeting("AB", PLAIN.replace(rtcp_mux=False)) as there:
        hush(there, "B")
        await asyncio.sleep(2.9)
        far = there["B"].call.stream(AUDIO, CAPTURE)
        sent = far.stats().packets
        far.pause()
        channel_of(there["B"].call).leave("bye")
        await asyncio.sleep(0.1)
        stats = there["B"].leg.call.stats()
        assert [s.packets for s in stats.streams if s.direction == "render"] == [sent]
        assert stats.sessions[0]["discarded"] == 0


@patiently()
async def test_silence_is_no_flood() -> None:
    async with meeting("AB", PLAIN.replace(max_packets_per_s=100)) as there:
        hush(there, "B")
        await asyncio.sleep(3)
        counters = channel_of(there["B"].leg.call).transport.counters
        assert counters.received > 140 and counters.flooded == 0
