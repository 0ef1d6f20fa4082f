"""Senders and viewers of pictures who do what they should not: nobody else notices."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from call_ends import EventLog
from gallery_lab import PATIENCE_S, Gallery, Viewer, gallery, passes
from gallery_loop import visibly
from gallery_pictures import FRAME_RATE, draw
from peers import eventually, webrtc
from senses import CAPTURE, VIDEO

from ipconf.codecs.base import VideoEncoder
from ipconf.codecs.registry import create_video_encoder
from ipconf.engine.places import MIN_STAY_S
from ipconf.engine.rtcp_wire import PictureLoss, compose
from ipconf.events import AttendeeChanged, PicturesRefused
from ipconf.hub.video_feeds import BARREN_S, Feed
from ipconf.terminals.packets import Outlet, PacketSource

Packets = tuple[str, list[bytes]]
"""The name of a codec, and the payloads of a picture in it."""
SETTLED_S = MIN_STAY_S + 2.0
"""Until nothing is looked at anew unless there is a reason."""
GRACE_S = 8.0
"""Until everybody has come to terms with somebody."""


class Forger(PacketSource):
    """Sends payloads of anybody's making as pictures of E."""

    def __init__(self) -> None:
        super().__init__("forger", VIDEO, CAPTURE)
        self.make: Callable[[int], Packets] = self.true
        self.number = 0
        self.asked: list[float] = []
        """When a key frame was asked for."""
        self.told: list[int] = []
        """The limits that were asked for, in bit/s."""
        self._encoders: dict[str, VideoEncoder] = {}
        self._wanted = True

    def begin(self, outlet: Outlet) -> None:
        super().begin(outlet)
        outlet.on_key_frame_request = self._want
        outlet.on_bitrate = lambda bps, ssrcs: self.told.append(bps)

    def _want(self) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        self._wanted = True

    def true(self, number: int, codec: str = "VP8") -> Packets:
        """What an honest sender sends."""
        assert self.outlet is not None
        if codec not in self._encoders:
            (agreed, *_) = [f for f in self.outlet.formats if f.name == codec]
            self._encoders[codec] = create_video_encoder(agreed, 500_000)
        payloads, key_frame = self._encoders[codec].encode(draw("E", number), self._wanted)
        self._wanted = self._wanted and not key_frame
        return codec, payloads

    def send(self, now: float) -> None:
        """The next picture."""
        outlet = self.outlet
        if outlet is None:
            return
        self.number += 1
        codec, payloads = self.make(self.number)
        source = outlet.source
        (payload_type, *_) = [f.payload_type for f in outlet.formats if f.name == codec]
        for payload in payloads:
            ends = payload is payloads[-1]
            stamp = round(now * 90_000) & 0xFFFFFFFF
            made = (source.sequence, payload_type, stamp, b"", payload, ends, b"", now)
            datagram = source.forward(*made)
            assert datagram is not None
            outlet.transmit(datagram, ends)

    async def run(self) -> None:
        """Send all the time."""
        while True:
            self.send(asyncio.get_running_loop().time())
            await asyncio.sleep(1 / FRAME_RATE)


@asynccontextmanager
async def with_forger(names: str, slots: int) -> AsyncIterator[tuple[Gallery, Forger, Feed]]:
    """A gallery in which E, who is seen by all if there is room, is a forger."""
    async with AsyncExitStack() as stack, gallery(names, slots) as there:
        forger = Forger()
        await there.come(stack, "E", webrtc(video_sections=slots), camera=forger)
        running = asyncio.create_task(forger.run())
        try:
            leg = there["E"].leg
            (feed,) = await eventually(lambda: [f for f in leg.feeds if f.attendee is not None])
            yield there, forger, feed
        finally:
            running.cancel()
            await asyncio.wait([running])


def without_key_frames(forger: Forger) -> Callable[[int], Packets]:
    """As if each key frame were lost."""

    def make(number: int) -> Packets:
        codec, payloads = forger.true(number)
        is_key_frame = not payloads[0][4 if payloads[0][0] & 0x80 else 1] & 1
        return codec, [] if is_key_frame else payloads

    return make


@visibly()
async def test_who_sends_no_key_frame_gives_way() -> None:
    async with with_forger("AB", slots=1) as (there, forger, feed):
        there.talk("AB")
        await there.see(MIN_STAY_S + PATIENCE_S, A="B", B="A")
        forger.make = without_key_frames(forger)
        there.talk("E")
        person = there.person("E")
        await eventually(lambda: there.conference.video.views[there["A"].leg].slots[0].waits)
        begun, asked = there.conference.now(), len(forger.asked)
        there["B"].camera.off = True
        await there.see(A="", B="A")
        there["B"].camera.off = False
        await eventually(lambda: feed.is_barren(there.conference.now()))
        await passes(2.0)
        await there.see(A="B", B="A")
        asked = len(forger.asked) - asked
        assert 2 <= asked <= there.conference.now() - begun + 2
        assert person.camera
        forger.make = forger.true
        await there.see(MIN_STAY_S + PATIENCE_S, A="E", B="E")
        assert not feed.is_barren(there.conference.now() + BARREN_S)


@visibly()
async def test_pictures_become_larger() -> None:
    async with gallery("AB") as there:
        await there.see(A="B", B="A")
        for size in (3, 1, 2):
            there["B"].camera.size = size
            number = there["B"].camera.number
            (eye,) = there["A"].eyes.values()
            await eventually(lambda n=number, e=eye: e.seen[-1].number > n, limit_s=PATIENCE_S)
            await there.see(A="B", B="A")


@visibly()
async def test_another_codec_from_now_on() -> None:
    async with AsyncExitStack() as stack, with_forger("A", slots=2) as (there, forger, feed):
        await there.come(stack, "B", webrtc(video_sections=2, video_codecs=("VP8",)))
        await there.see(A="BE", B="AE", E="AB")
        log = EventLog(there.conference)
        for turn in (1, 2):
            await passes(SETTLED_S)
            forger._wanted = True
            forger.make = lambda number: forger.true(number, "H264")
            await there.see(A="BE", B="A", E="AB")
            assert len(log.of(PicturesRefused)) == turn
            refused = log.of(PicturesRefused)[-1]
            assert refused.leg is there["B"].leg and refused.attendee is there.person("E")
            assert refused.reason == "it sends H264, and B takes VP8"
            forger._wanted = True
            forger.make = forger.true
            await there.see(A="BE", B="AE", E="AB")


@visibly()
async def test_payloads_make_no_sense() -> None:
    rng = random.Random(5)
    async with with_forger("AB", slots=2) as (there, forger, feed):
        await there.see(A="BE", B="AE", E="AB")

        def garbage(number: int) -> Packets:
            if number % 3:
                return "VP8", [rng.randbytes(rng.randint(1, 60)) for _ in range(9)]
            codec, payloads = forger.true(number)
            return codec, [bytes([*rng.randbytes(3), *payloads[0][3:]]), *payloads[1:]]

        for _ in range(2):
            forger.make = garbage
            await passes(3.0)
            forger.make = lambda number: ("H264", [rng.randbytes(rng.randint(1, 60))] * 9)
            await passes(2.0)
        for viewer in there.viewers.values():
            eye = next(e for e in viewer.eyes.values() if e.sees_now() in ("A", "B"))
            assert {seen.name for seen in eye.seen} <= {"A", "B", "E"}
            viewer.faults.clear()  # whatever E shows is nobody's fault but E's
        assert feed.marks.malformed > 20
        forger.make = forger.true
        forger._wanted = True
        await passes(PATIENCE_S)
        for viewer in there.viewers.values():
            viewer.faults.clear()
        await there.see(A="BE", B="AE", E="AB")


@visibly()
async def test_who_sends_far_too_much_is_shown_to_nobody() -> None:
    async with with_forger("AB", slots=2) as (there, forger, feed):
        await there.see(A="BE", B="AE", E="AB")
        log = EventLog(there.conference)
        bits = 10_000_000 // FRAME_RATE

        def flood(number: int) -> Packets:
            codec, payloads = forger.true(number)
            return codec, [*payloads, *[payloads[-1].ljust(1200, b"\0")] * (bits // 8 // 1200)]

        forger.make = flood
        await there.see(GRACE_S, A="B", B="A", E="AB")
        assert feed.excessive and feed.meter.bps(there.conference.now()) > 8_000_000
        assert not there.person("E").camera
        assert forger.told and max(forger.told) <= there.conference.settings.video_sender_bps
        forwarded = sum(s.forwarded for v in there.conference.video.views.values() for s in v.slots)
        await passes(0.5)
        rest = sum(s.forwarded for v in there.conference.video.views.values() for s in v.slots)
        assert rest - forwarded < 4 * FRAME_RATE, "only A and B are sent on"
        forger.make = forger.true
        await there.see(GRACE_S, A="BE", B="AE", E="AB")
        said = [e.values for e in log.of(AttendeeChanged) if e.attendee is there.person("E")]
        assert said == [{"camera": False}, {"camera": True}]


def pester(viewer: Viewer) -> None:
    """Ask for a key frame of all that is seen, as no session of ours would."""
    (channel,) = viewer.call._media.channels
    for substream in viewer.eyes:
        assert substream.source is not None
        ours = channel.session.ssrcs[-1]
        channel.transport.send(compose(PictureLoss(ours, substream.source.ssrc)))


@visibly()
async def test_who_asks_all_the_time_gets_a_key_frame_a_second() -> None:
    async with with_forger("AB", slots=2) as (there, forger, feed):
        await there.see(A="BE", B="AE", E="AB")
        forger.asked.clear()
        begun = there.conference.now()
        for _ in range(500):
            pester(there["A"])
            await passes(0.01)
        elapsed = there.conference.now() - begun
        assert elapsed / 2 <= len(forger.asked) <= elapsed + 2
        spaces = [b - a for a, b in zip(forger.asked, forger.asked[1:], strict=False)]
        assert min(spaces) >= 0.9
        await there.see(A="BE", B="AE", E="AB")
        forger.asked.clear()
        await passes(3.0)
        assert len(forger.asked) <= 1, "nobody asks any more"


@visibly(limit_s=200)
async def test_who_falls_silent_disturbs_nobody() -> None:
    async with gallery("ABC", slots=2, rtcp_min_interval_s=0.5) as there:
        await there.see(A="BC", B="AC", C="AB")
        (channel,) = there["C"].call._media.channels
        transport, sink = channel.transport, channel.transport.sink
        silent, person = there.viewers.pop("C"), there.person("C")

        def nowhere(datagram: bytes, now: float = 0.0, origin: Hashable = None) -> None:
            pass

        ways = ("send", "send_rtp")
        for way in ways:
            setattr(transport, way, nowhere)
        transport.sink = nowhere
        await there.see(A="B", B="A")
        there["A"].camera.off = there["B"].camera.off = True  # it takes long enough
        await eventually(lambda: not person.present, limit_s=40.0)
        there["A"].camera.off = there["B"].camera.off = False
        await there.see(A="B", B="A")
        assert silent.leg in there.conference.legs and not person.camera
        assert len(there.conference.video.feeds) == 2
        log = EventLog(there.conference)
        for way in ways:
            delattr(transport, way)
        transport.sink = sink
        there.viewers["C"] = silent
        await there.see(GRACE_S, A="BC", B="AC", C="AB")
        assert person.present and person.camera
        said = [e.values for e in log.of(AttendeeChanged) if e.attendee is person]
        assert {"camera": True} in said


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@visibly()
async def test_a_feed_begins_anew(codec: str) -> None:
    """Its numbers jump, and no key frame comes unless somebody asks."""
    async with with_forger("AB", slots=2) as (there, forger, feed):
        forger.make = lambda number: forger.true(number, codec)
        forger._wanted = True
        await there.see(A="BE", B="AE", E="AB")
        await passes(SETTLED_S)
        outlet = forger.outlet
        assert outlet is not None
        views = there.conference.video.views
        before = sum(slot.slot.switches for view in views.values() for slot in view.slots)
        outlet.source.sequence = (outlet.source.sequence + 20_000) & 0xFFFF
        await passes(0.5)
        await there.see(A="BE", B="AE", E="AB")
        after = sum(slot.slot.switches for view in views.values() for slot in view.slots)
        assert after == before + 2
