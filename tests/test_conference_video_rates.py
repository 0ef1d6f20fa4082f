"""What viewers can take of pictures, and what senders are told of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from gallery_lab import PATIENCE_S, Gallery, gallery, passes
from gallery_loop import visibly
from peers import eventually
from senses import CAPTURE, RENDER, VIDEO

from ipconf.engine.video_rates import TOLD_SHARE, RateSettings
from ipconf.hub.stats import PictureStats

NAMES = "ABCD"
SAID_EVERY_S = 0.5
OVERUSE_S = RateSettings().overuse_s + 2 * PATIENCE_S
RECOVERY_S = RateSettings().recovery_s + 2 * PATIENCE_S


@asynccontextmanager
async def saying(there: Gallery, limits: Mapping[str, int]) -> AsyncIterator[None]:
    """These say (REMB) what they can take, again and again."""

    async def say() -> None:
        while True:
            for name, bps in limits.items():
                call = there[name].call
                substreams = call.stream(VIDEO, RENDER).substreams
                sources = [s.source for s in substreams if s.source is not None]
                call.stream(VIDEO, RENDER).limit_bitrate(sources, bps)
            await asyncio.sleep(SAID_EVERY_S)

    task = asyncio.create_task(say())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def pictures(there: Gallery, name: str) -> PictureStats:
    """The numbers of a party's leg."""
    stats = there[name].leg.stats().pictures
    assert stats is not None
    return stats


@visibly()
async def test_who_takes_little_sees_fewer() -> None:
    async with gallery(NAMES) as there:
        others = {"B": "ACD", "C": "ABD", "D": "ABC"}
        await there.see(A="BCD", **others)
        there.conference.pin(there.person("C"), there["A"].leg)
        for viewer in there.viewers.values():
            viewer.camera.restless = True
        await passes(2.0)
        rates = [pictures(there, name).feeds[0].bit_rate_bps for name in "BCD"]
        assert min(rates) > 100_000 and max(rates) < 200_000
        limits = {"A": 300_000}
        async with saying(there, limits):
            await eventually(lambda: pictures(there, "A").paused_slots == 1, limit_s=OVERUSE_S)
            await eventually(lambda: len(there["A"].sees()) == 2, limit_s=PATIENCE_S)
            assert "C" in there["A"].sees()
            limits["A"] = 200_000
            await there.see(OVERUSE_S, A="C", **others)
            few = pictures(there, "A")
            assert few.takes_bps == pytest.approx(limits["A"], rel=0.01)
            assert few.paused_slots == 2
            assert there.conference.stats().filled_slots == 10
            limits["A"] = 3_000_000
            await there.see(RECOVERY_S, A="BCD", **others)
            assert pictures(there, "A").paused_slots == 0


@visibly()
async def test_senders_are_told_what_their_viewers_take() -> None:
    async with gallery(NAMES, video_bitrate_bps=3_000_000) as there:
        await there.see(A="BCD", B="ACD", C="ABD", D="ABC")
        most = there.conference.settings.video_sender_bps
        camera = there["B"].call.stream(VIDEO, CAPTURE)
        await eventually(lambda: pictures(there, "B").feeds[0].told_bps == most)
        await eventually(lambda: camera._sender.bitrate_bps == pytest.approx(most, rel=0.01))
        share = 3 * 400_000
        async with saying(there, {"A": share}):
            settings = RateSettings()
            told = 400_000 * TOLD_SHARE / settings.headroom
            await eventually(
                lambda: pictures(there, "B").feeds[0].told_bps == pytest.approx(told, rel=0.01)
            )
            await eventually(lambda: camera._sender.bitrate_bps == pytest.approx(told, rel=0.01))
            assert pictures(there, "A").feeds[0].told_bps == most, "A itself is seen by fast ones"
            there.conference.hide(there.person("B"))
            await there.see(A="CD", B="ACD")
            more = 600_000 * TOLD_SHARE / settings.headroom
            await eventually(
                lambda: pictures(there, "C").feeds[0].told_bps == pytest.approx(more, rel=0.01)
            )


@visibly()
async def test_what_is_counted() -> None:
    async with gallery("AB", slots=2) as there:
        await there.see(A="B", B="A")
        there.talk("A")
        await eventually(lambda: there.person("A").talking)
        stats, mine = there.conference.stats(), pictures(there, "A")
        assert (stats.feeds, stats.slots, stats.filled_slots, stats.switches) == (2, 4, 2, 2)
        assert stats.forwarded == sum(
            slot.forwarded for name in "AB" for slot in pictures(there, name).slots
        )
        (feed,), (seen, empty) = mine.feeds, mine.slots
        assert feed.attendee == there.person("A").identity and feed.codec == "VP8" and feed.live
        assert not feed.excessive and not feed.barren and feed.content == ""
        assert feed.malformed == feed.unknown_format == 0 and feed.bit_rate_bps > 1000
        assert seen.attendee == there.person("B").identity and seen.switches == 1
        assert seen.forwarded > 1 and seen.mismatched == seen.dropped == 0
        assert empty.attendee is None and empty.forwarded == empty.switches == 0
        assert mine.takes_bps is None and mine.paused_slots == 0
        local = there.conference.add_local("Announcer")
        assert local.stats().pictures is None
