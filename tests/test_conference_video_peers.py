"""Pictures in conferences with others than ourselves, in several codecs, and of screens."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import aioice.ice
import av
import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, VideoStreamTrack
from aiortc_peer import AiortcPeer, _Tone
from call_ends import EventLog
from conference_lab import Ear
from gallery_lab import PATIENCE_S, Gallery, gallery
from gallery_loop import visibly
from gallery_pictures import draw, read
from peers import LOCALHOST, eventually, scenario, webrtc
from senses import AUDIO, RENDER, VIDEO

from ipconf.engine.places import MIN_STAY_S
from ipconf.events import AttendeeChanged, PicturesRefused, SlotChanged
from ipconf.hub.video_feeds import SLIDES_LIVE_S

TAKES_S = MIN_STAY_S + PATIENCE_S
HEARD_DBOV = -40.0


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc on its own never offers the loopback address."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [LOCALHOST])


class Drawing(VideoStreamTrack):
    """Sends the pictures of a party."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._number = 0

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        self._number += 1
        frame = draw(self._name, self._number)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Onlooker(AiortcPeer):
    """A plain `RTCPeerConnection` with a camera that can see three others."""

    def __init__(self, name: str) -> None:
        super().__init__()
        bundled = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.pc = RTCPeerConnection(bundled)
        self.pc.on("track", self._track)
        self.pc.addTrack(_Tone(660))
        self.pc.addTrack(Drawing(name))
        for _ in range(2):
            self.pc.addTransceiver("video", direction="recvonly")

    def sees(self) -> set[str]:
        """Whose pictures have come since this was asked last."""
        names = set()
        while not self.seen.empty():
            names.add(read(self.seen.get_nowait())[0])
        return names


@pytest.mark.usefixtures("loopback_only")
@pytest.mark.parametrize("they_offer", [True, False])
@scenario()
async def test_a_plain_peer_connection_sees_and_is_seen(they_offer: bool) -> None:
    async with gallery("ABC", strict=False) as there, Onlooker("D") as peer:
        settings = webrtc(video_sections=3)
        call = there.hub.create_call((AUDIO, VIDEO), settings)
        leg = there.conference.add(call, "D")
        await (peer.call_us if they_offer else peer.answer_us)(there.hub, call)
        await there.see(10.0, A="BCD", B="ACD", C="ABD")
        seen: set[str] = set()
        await eventually(lambda: seen.update(peer.sees()) or seen >= {"A", "B", "C"})
        assert seen == {"A", "B", "C"}
        assert len(there.conference.seen(leg)) == 3
        there["A"].camera.off = True
        await there.see(10.0, A="BCD", B="CD", C="BD")
        peer.sees()
        names: list[str] = []
        await eventually(lambda: names.extend(peer.sees()) or len(names) > 9)
        assert set(names) == {"B", "C"}
        there["A"].camera.off = False
        await eventually(lambda: "A" in peer.sees())
        view = there.conference.stats().legs[-1].pictures
        assert view is not None and [slot.dropped for slot in view.slots] == [0, 0, 0]
        assert all(feed.malformed == feed.unknown_format == 0 for feed in view.feeds)


def hears(there: Gallery, name: str) -> Ear:
    """What a party hears."""
    ear = Ear()
    there[name].call.stream(AUDIO, RENDER).select_terminal(ear)
    return ear


@visibly()
async def test_those_without_a_common_codec_hear_each_other() -> None:
    old, new = (
        webrtc(video_codecs="VP8", video_sections=4),
        webrtc(video_codecs="H264", video_sections=4),
    )
    several = {"A": old, "B": old, "C": new, "D": new}
    async with AsyncExitStack() as stack, gallery("", slots=4) as there:
        log = EventLog(there.conference)
        for name, settings in several.items():
            await there.come(stack, name, settings)
        await there.see(A="B", B="A", C="D", D="C")
        await there.come(stack, "E", webrtc(video_sections=4))
        await there.see(A="BE", B="AE", C="D", D="C", E="ABCD")
        reasons = {
            (event.leg.display_name, event.attendee.name, event.reason)
            for event in log.of(PicturesRefused)
            if event.attendee is not None
        }
        assert len(log.of(PicturesRefused)) == len(reasons)
        vp8, h264 = "it sends VP8, and {} takes H264", "it sends H264, and {} takes VP8"
        assert reasons == {
            *((n, other, h264.format(n)) for n in "AB" for other in "CD"),
            *((n, other, vp8.format(n)) for n in "CD" for other in "ABE"),
        }
        ears = [hears(there, name) for name in "BCDE"]
        there.talk("A")
        await eventually(lambda: all(ear.levels([300])[300] > HEARD_DBOV for ear in ears))
        await there.see(TAKES_S, A="BE", B="AE", C="D", D="C", E="ABCD")


@visibly()
async def test_a_screen_goes_before_those_who_talk() -> None:
    async with AsyncExitStack() as stack, gallery("BC", slots=1) as there:
        log = EventLog(there.conference)
        settings: dict[str, Any] = {"A": webrtc(video_sections=3), "D": webrtc(video_sections=4)}
        there.talk("C")
        await there.see(TAKES_S, B="C", C="B")
        await there.come(stack, "D", settings["D"])
        await there.come(stack, "A", settings["A"], screen=True)
        await there.see(B="a", C="a", D="aABC", A="BCD", knows=False)
        ann = there.person("A")
        assert ann.screen and ann.camera and len(ann.picture_csrcs) == 2
        assert there["B"].knows() == {"A"}
        on = {"camera": True}, {"screen": True}
        said = [event.values for event in log.of(AttendeeChanged) if event.attendee is ann]
        assert len(said) == 2 and all(values in said for values in on)
        shown = [e for e in log.of(SlotChanged) if e.leg is there["B"].leg and e.attendee is ann]
        assert [event.content for event in shown] == ["slides"]
        (state,) = [p for p in there.conference.state().people if p.name == "A"]
        assert state.screen and state.camera
        (screen,) = [s for s in there["A"].call.streams if s.identity == "video capture 2"]
        there["A"].call.remove_stream(screen)
        await there.see(SLIDES_LIVE_S + PATIENCE_S, B="C", D="ABC", A="BCD")
        assert not ann.screen and ann.camera
        for viewer in there.viewers.values():
            viewer.faults.clear()  # a screen on which nothing moves may stand still for longer
