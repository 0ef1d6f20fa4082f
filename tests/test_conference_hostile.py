"""A leg that floods, lies, sends garbage or a thousand sources: bounded, and counted."""

from __future__ import annotations

import asyncio
import random
import struct

from conference_lab import Meeting, meeting
from peers import PLAIN, eventually, scenario

from ipconf.engine.rtp_wire import compose_rtp
from ipconf.hub.call_legs import MAX_VOICES

OPUS = 111
BURST = 3000


def _send(there: Meeting, name: str, datagrams: list[bytes]) -> None:
    """Let the far end of somebody's leg send these, besides what it sends anyway."""
    (channel,) = there[name].call._media.channels
    for datagram in datagrams:
        channel.transport.send(datagram)


async def _others_are_fine(there: Meeting, but_for: str = "A") -> None:
    others = set(there.parties) - {but_for}
    for name in others:
        heard = there.heard_by(name)
        assert all(abs(heard[other]) < 2 for other in others - {name}), (name, heard)


@scenario()
async def test_a_flood_is_cut_and_counted() -> None:
    async with meeting("ABC", PLAIN.replace(max_packets_per_s=500)) as there:
        await there.hear_each_other()
        (channel,) = there["A"].leg.call._media.channels
        ssrc, sequence = 0xABCD, 7
        for _ in range(BURST // 100):
            _send(there, "A", [compose_rtp(OPUS, sequence, 960, ssrc, b"\xf8\xff\xfe")] * 100)
            await asyncio.sleep(0)
            await there.hears("B", "AC")
        await eventually(lambda: channel.transport.counters.flooded > BURST // 3)
        await _others_are_fine(there)
        stats = there.conference.stats().legs[0]
        assert stats.call is not None


@scenario()
async def test_garbage_is_no_sound() -> None:
    async with meeting("ABC", PLAIN) as there:
        await there.hear_each_other()
        rng = random.Random(5)
        junk = [rng.randbytes(rng.randrange(1, 200)) for _ in range(200)]
        rtp = [struct.pack("!BBHII", 0x80, OPUS, n, n, 77) + rng.randbytes(20) for n in range(200)]
        rtcp = [b"\x80\xca\x00\x10" + rng.randbytes(64) for _ in range(50)]
        _send(there, "A", junk + rtp + rtcp)
        await there.hears("B", "AC")
        await _others_are_fine(there)


@scenario()
async def test_a_thousand_sources_are_bounded() -> None:
    async with meeting("AB", PLAIN) as there:
        await there.hear_each_other()
        leg = there["A"].leg
        (channel,) = leg.call._media.channels
        for ssrc in range(1, 1001):
            before = channel.transport.counters.received
            pair = [compose_rtp(OPUS, n, n * 960, ssrc, b"\xf8\xff\xfe") for n in range(1, 4)]
            _send(there, "A", pair)
            await eventually(lambda b=before: channel.transport.counters.received >= b + 3)
        assert len(leg.voices) == MAX_VOICES and leg.refused
        assert len(channel.session.sources) <= 512
        assert len(there.conference.attendees) <= 65
        await there.hears("B", "A")


@scenario()
async def test_lies_about_others_are_not_believed() -> None:
    async with meeting("ABC", PLAIN) as there:
        await eventually(lambda: there["B"].knows == {"A", "C"})
        victim = next(p for p in there.conference.attendees if p.name == "C")
        bye = struct.pack("!BBHI", 0x80, 201, 1, 1) + struct.pack(
            "!BBHI", 0x81, 203, 1, victim.csrc
        )
        _send(there, "A", [bye] * 20)
        await there.hears("B", "AC")
        assert there["B"].knows == {"A", "C"} and victim.present
