"""What a leg is sent has timestamps that follow the clock (RFC 3550 section 5.1).

A far end that finds a packet's timestamp behind those before takes it for late and drops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from conference_lab import Meeting, Party, meeting, patiently
from peers import PLAIN

from ipconf import CallSettings
from ipconf.engine.rtp_wire import HeaderExtensions, is_rtcp, parse_rtp

CLOCKS = {"opus": 48_000, "G722": 8_000, "PCMU": 8_000}
LATE_S = 0.021
"""A tick; nothing is on its way for longer here."""


class Trace:
    """When the packets that a party is sent came, and their timestamps in seconds."""

    def __init__(self, party: Party, clock_rate: int) -> None:
        (channel,) = party.call._media.channels
        self.offsets: list[float] = []
        self._take: Callable[..., None] = channel.transport.sink
        self._clock_rate = clock_rate
        self._first: int | None = None
        channel.transport.sink = self._look

    def _look(self, datagram: bytes, now: float, *origin: object) -> None:
        if not is_rtcp(datagram):
            timestamp = parse_rtp(datagram, HeaderExtensions({})).timestamp
            self._first = timestamp if self._first is None else self._first
            ticks = (timestamp - self._first + (1 << 31)) % (1 << 32) - (1 << 31)
            self.offsets.append(now - ticks / self._clock_rate)
        self._take(datagram, now, *origin)

    def check(self) -> None:
        """Nothing was sent too early or too late for its timestamp."""
        assert max(self.offsets) - min(self.offsets) < LATE_S


def _settings(codec: str) -> CallSettings:
    return PLAIN.replace(audio_codecs=(codec,))


async def _mixes_change(there: Meeting) -> None:
    conference, speaker, listener = there.conference, there["A"].leg, there["B"].leg
    for gain in (0.5, 1, 0.25, 0.5, 1):
        conference.set_gain(gain, speaker, listener)
        await asyncio.sleep(0.6)
    for muted in (True, False, True, False):
        conference.mute(speaker, muted)
        await asyncio.sleep(0.9)
    conference.whisper(speaker, [there["C"].leg])
    await asyncio.sleep(0.5)
    conference.whisper(speaker, None)
    await asyncio.sleep(0.5)


async def _the_room_rests(there: Meeting) -> None:
    for muted in (True, False):
        for name in "ABC":
            there.conference.mute(there[name].leg, muted)
        await asyncio.sleep(5)


@pytest.mark.parametrize("work", [_mixes_change, _the_room_rests])
@pytest.mark.parametrize("codec", CLOCKS)
def test_timestamps_follow_the_clock(codec: str, work: Callable[[Meeting], object]) -> None:
    @patiently()
    async def following() -> None:
        async with meeting("ABC", PLAIN, B=_settings(codec)) as there:
            await there.hear_each_other()
            trace = Trace(there["B"], CLOCKS[codec])
            await work(there)
            await there.hears("B", "AC")
            assert len(trace.offsets) > 50
            trace.check()

    following()
