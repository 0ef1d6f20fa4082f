"""Simulcast in a conference: each viewer is sent the layer that it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from gallery_lab import Gallery, gallery, passes
from gallery_loop import visibly
from gallery_pictures import FRAME_RATE, HEIGHT, draw
from peers import eventually
from senses import RENDER, VIDEO

from ipconf.codecs.base import VideoEncoder
from ipconf.codecs.registry import create_video_encoder
from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.errors import ConfigurationError
from ipconf.hub.video_feeds import Feed
from ipconf.hub.video_legs import VideoInlet

LAYERS = {"q": ("a", 0), "h": ("b", 1500), "f": ("E", 9000)}
"""By rid: whose colour its pictures have, and octets that are added to each to make it larger."""
PIECE = 1000


class Browser:
    """Sends three layers of one picture into the hub's end of a leg."""

    def __init__(self, there: Gallery, name: str) -> None:
        leg = there[name].leg
        assert leg.video_inlet is not None
        self.inlet: VideoInlet = leg.video_inlet
        (section, *_) = leg.call.stream(VIDEO, RENDER)._sections._by_mid.values()  # type: ignore[attr-defined]
        self._format = next(f for f in section[1].receive if f.name == "VP8")
        self.sources: dict[str, RemoteSource] = {}
        self.off: set[str] = set()
        self.asked: list[str] = []
        self._encoders: dict[str, VideoEncoder] = {}
        for number, rid in enumerate(LAYERS):
            source = self.sources[rid] = RemoteSource(1000 + number, 0.0)
            source.mid, source.rid, source.medium = section[1].mid, rid, VIDEO
            self._encoders[rid] = create_video_encoder(self._format, 300_000)
        self._wanted = set(LAYERS)
        self.inlet.request_key_frame = self._want  # type: ignore[method-assign]
        self.inlet.limit_bitrate = lambda sources, bps: None  # type: ignore[method-assign]

    @property
    def feeds(self) -> list[Feed]:
        return [feed for feed in self.inlet.feeds if feed.source in self.sources.values()]

    def _want(self, source: RemoteSource) -> None:
        (rid,) = (rid for rid, each in self.sources.items() if each is source)
        self.asked.append(rid)
        self._wanted.add(rid)

    async def run(self) -> None:
        number, loop = 0, asyncio.get_running_loop()
        while True:
            number += 1
            for rid in LAYERS:
                if rid not in self.off:
                    self._send(rid, number, loop.time())
            await asyncio.sleep(1 / FRAME_RATE)

    def _send(self, rid: str, number: int, now: float) -> None:
        colour, more = LAYERS[rid]
        source, wanted = self.sources[rid], rid in self._wanted
        payloads, key_frame = self._encoders[rid].encode(draw(colour, number), wanted)
        if key_frame:
            self._wanted.discard(rid)
        lead = bytes((payloads[0][0] & ~0x10,)) + payloads[0][1:4]  # no start of a partition
        payloads = [*payloads, *[lead + bytes(PIECE)] * (more // PIECE)]
        for payload in payloads:
            source.highest += 1
            packet = RtpPacket(
                self._format.payload_type, source.highest & 0xFFFF,
                int(now * 90_000) & 0xFFFFFFFF, source.ssrc, payload,
                marker=payload is payloads[-1],
            )  # fmt: skip
            packet.source, packet.extended, packet.arrival = source, source.highest, now
            self.inlet.packet_arrived(packet, now)


@asynccontextmanager
async def with_browser(names: str) -> AsyncIterator[tuple[Gallery, Browser]]:
    """A gallery in which E, whose own camera is off, sends layers."""
    async with gallery(names, 1, strict=False) as there:
        there["E"].camera.off = True
        browser = Browser(there, "E")
        running = asyncio.create_task(browser.run())
        try:
            there.talk("E")
            yield there, browser
        finally:
            running.cancel()
            await asyncio.wait([running])


@visibly()
async def test_each_viewer_is_sent_the_layer_that_it_takes() -> None:
    async with with_browser("ABE") as (there, browser):
        a, b = (there.conference.video.views[there[name].leg] for name in "AB")
        await eventually(lambda: all(len(view.slots) == 1 for view in (a, b)))
        await eventually(
            lambda: all(
                view.slots[0].seen is not None and view.slots[0].seen.source.rid == "f"
                for view in (a, b)
            ),
            "both see the best",
        )
        for _ in range(12):
            a.estimate.note_remb(60_000, there.conference.now())
            await passes(0.5)
        seen = a.slots[0].seen
        assert seen is not None and seen.source.rid == "q"
        assert b.slots[0].seen is not None and b.slots[0].seen.source.rid == "f"
        assert a.slots[0].slot.switches >= 2 and not a.paused
        heads = {feed.head for feed in browser.feeds}
        assert len(heads) == 1 and len({feed.csrc for feed in browser.feeds}) == 1


@visibly()
async def test_a_layer_that_ends_is_replaced_by_the_next_best() -> None:
    async with with_browser("AE") as (there, browser):
        (slot,) = (there.conference.video.views[there["A"].leg]).slots
        await eventually(lambda: slot.seen is not None and slot.seen.source.rid == "f")
        browser.off = {"f"}
        await eventually(lambda: slot.seen is not None and slot.seen.source.rid == "h")
        browser.off = {"f", "q"}
        browser.inlet.source_gone(browser.sources["q"])  # it came first, and stood for all
        await passes(0.5)
        assert slot.seen is not None and slot.seen.source.rid == "h"
        browser.off = set(LAYERS)
        await eventually(lambda: slot.seen is None)


@visibly()
async def test_a_small_window_is_sent_no_larger_layer_than_is_of_use() -> None:
    async with with_browser("AE") as (there, browser):
        conference, leg = there.conference, there["A"].leg
        (slot,) = conference.video.views[leg].slots
        await eventually(lambda: slot.seen is not None and slot.seen.source.rid == "f")
        heights = {feed.source.rid: feed.height for feed in browser.feeds}
        assert heights == dict.fromkeys(LAYERS, HEIGHT)
        conference.set_slot_height(leg, 0, HEIGHT)
        await eventually(lambda: slot.seen is not None and slot.seen.source.rid == "q")
        await passes(2.0)
        assert slot.seen is not None and slot.seen.source.rid == "q"
        conference.set_slot_height(leg, 0, HEIGHT + 1)  # none of them has as many
        await eventually(lambda: slot.seen is not None and slot.seen.source.rid == "f")
        conference.set_slot_height(leg, 0, None)
        for wrong in ((0, 0), (7, 100), (-1, 100)):
            with pytest.raises(ConfigurationError):
                conference.set_slot_height(leg, *wrong)
