"""Who sees whom in a conference, over ICE and DTLS-SRTP, while people talk, come, go and hide.

Every party has pictures of a colour of its own, so that each picture in each slot of each party is
recognised. In all tests no slot may show a broken or frozen face for longer than 1.5 s, which
`gallery` watches all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
from gallery_lab import PATIENCE_S, Gallery, Viewer, gallery
from gallery_loop import visibly
from peers import eventually, webrtc
from senses import CAPTURE, RENDER, VIDEO

from ipconf import NetworkImpairment
from ipconf.engine.places import MIN_STAY_S
from ipconf.engine.rtp_wire import HeaderExtensions, RtpPacket, is_rtcp, parse_rtp

TAKES_S = MIN_STAY_S + PATIENCE_S
"""So long it may take until who talks is seen: who was there stays a little."""
NAMES = "ABCD"
LOST_PERCENT = 5


def others(names: str) -> dict[str, set[str]]:
    """Each sees all others."""
    return {name: set(names) - {name} for name in names}


def at_hub(there: Gallery, name: str) -> set[str]:
    """Whom the conference says that a party sees."""
    seen = there.conference.seen(there[name].leg)
    return {person.name for person in seen if person is not None}


async def all_show(there: Gallery, name: str, limit_s: float = TAKES_S) -> None:
    """Return when everybody else sees somebody, and everybody has as many pictures as slots."""

    def right() -> bool:
        return all(
            (name in viewer.sees() or viewer.name == name)
            and viewer.name not in viewer.sees()
            and len(viewer.sees()) == 2
            for viewer in there.viewers.values()
        )

    await eventually(right, f"all see {name}", limit_s=limit_s)


@visibly()
async def test_who_talks_is_seen() -> None:
    async with gallery(NAMES, slots=2) as there:
        await eventually(
            lambda: all(len(v.sees()) == 2 for v in there.viewers.values()), limit_s=PATIENCE_S
        )
        for name in "DBCA":
            there.talk(name)
            await all_show(there, name)
            for viewer in there.viewers.values():
                assert at_hub(there, viewer.name) == viewer.sees() == viewer.knows()
        there.talk("")
        before = {name: there[name].sees() for name in NAMES}
        await there.see(A=before["A"], B=before["B"], C=before["C"], D=before["D"])


@visibly()
async def test_people_come_go_and_hide() -> None:
    async with AsyncExitStack() as stack, gallery("ABC") as there:
        await there.see(**others("ABC"))
        await there.come(stack, "D", webrtc(video_sections=3))
        await there.see(**others("ABCD"))
        there["B"].camera.off = True
        await there.see(A="CD", B="ACD", C="AD", D="AC")
        there["B"].camera.off = False
        await there.see(**others("ABCD"))
        there.conference.hide(there.person("C"))
        await there.see(A="BD", B="AD", C="ABD", D="AB")
        there.conference.hide(there["C"].leg)
        there.conference.hide(there.person("C"), False)
        with pytest.raises(AssertionError):
            await there.see(**others("ABCD"))
        there.conference.hide(there["C"].leg, False)
        await there.see(**others("ABCD"))
        await there["D"].call.disconnect("tea")
        del there.viewers["D"]
        await there.see(**others("ABC"))
        there["A"].call.stream(VIDEO, CAPTURE).pause()
        await there.see(A="BC", B="C", C="B")
        there["A"].call.stream(VIDEO, CAPTURE).start()
        await there.see(**others("ABC"))
        await there.conference.remove(there["A"].leg)
        del there.viewers["A"]
        await there.see(**others("BC"))


@visibly()
async def test_rooms_and_holding() -> None:
    async with gallery(NAMES) as there:
        conference = there.conference
        await there.see(**others(NAMES))
        for name in "CD":
            conference.move(there[name].leg, "side")
        await there.see(A="B", B="A", C="D", D="C")
        conference.broadcast(there.person("A"))
        await there.see(A="B", B="A", C="AD", D="AC")
        conference.hold(there["A"].leg)
        await there.see(A="", B="", C="D", D="C")
        conference.hold(there["A"].leg, False)
        conference.broadcast(there.person("A"), False)
        for name in "CD":
            conference.move(there[name].leg)
        await there.see(**others(NAMES))


@visibly()
async def test_who_comes_sees_at_once() -> None:
    """Also those who have been talking for long, and in spite of requests by others just before."""
    async with AsyncExitStack() as stack, gallery("AB", slots=1) as there:
        there.talk("A")
        await there.see(A="B", B="A")
        for name in "CDE":
            await there.come(stack, name, webrtc(video_sections=1))
            await there.see(**{name: "A"})


@visibly()
async def test_packets_are_lost() -> None:
    async with gallery(NAMES, slots=2) as there:
        await all_show(there, "A")
        for seed, viewer in enumerate(there.viewers.values()):
            viewer.far.query(NetworkImpairment).set_loss(LOST_PERCENT, seed)
        for name in "CADBDA":
            there.talk(name)
            await all_show(there, name)
        reports = [s._report for v in there.conference.video.views.values() for s in v.slots]
        assert any(report is not None and report.lost for report in reports), "nothing was lost"
        assert not any(view.paused for view in there.conference.video.views.values())


class Tap:
    """Reads the pictures that a party is sent, before anybody else does, with when they came."""

    def __init__(self, viewer: Viewer) -> None:
        (channel,) = viewer.call._media.channels
        self._sink: Callable[..., None] = channel.transport.sink
        channel.transport.sink = self._arrived
        formats = viewer.call.stream(VIDEO, RENDER)._sections.formats_of(None)
        self._types = {f.payload_type for f in formats if f.name == "VP8"}
        self._extensions = HeaderExtensions({})
        self.slots: dict[int, list[tuple[RtpPacket, float]]] = {}

    def _arrived(self, datagram: bytes, now: float, origin: Hashable = None) -> None:
        if not is_rtcp(datagram):
            packet = parse_rtp(datagram, self._extensions)
            if packet.payload_type in self._types:
                self.slots.setdefault(packet.ssrc, []).append((packet, now))
        self._sink(datagram, now, origin)


def picture_id(payload: bytes) -> int:
    """Of a VP8 payload with a picture id of 15 bits (RFC 7741 section 4.2)."""
    assert payload[0] & 0x80 and payload[1] & 0x80 and payload[2] & 0x80
    return (payload[2] & 0x7F) << 8 | payload[3]


@visibly()
async def test_slots_go_on_over_switches() -> None:
    """Each SSRC is one camera that never stops, whoever is in front of it."""
    async with gallery(NAMES, slots=2) as there:
        tap = Tap(there["A"])
        for name in "DCBDC":
            there.talk(name)
            await all_show(there, name)
        there["C"].camera.off = there["D"].camera.off = True
        await there.see(A="B")
        there["C"].camera.off = there["D"].camera.off = False
        await eventually(lambda: len(there["A"].sees()) == 2)
        view = there.conference.video.views[there["A"].leg]
        assert sum(slot.slot.switches for slot in view.slots) >= 6
        assert len(tap.slots) == 2
        names = set()
        for packets in tap.slots.values():
            for (one, _), (other, _) in pairwise(packets):
                assert (other.sequence - one.sequence) & 0xFFFF == 1
                names.update(other.csrcs)
            pictures = [packet for packet in packets if packet[0].payload]
            for (one, one_at), (other, other_at) in pairwise(pictures):
                elapsed_s = ((other.timestamp - one.timestamp) & 0xFFFFFFFF) / 90_000
                assert elapsed_s == pytest.approx(other_at - one_at, abs=0.2)
                step = (picture_id(other.payload) - picture_id(one.payload)) & 0x7FFF
                assert step == (one.timestamp != other.timestamp)
                if one.csrcs != other.csrcs:
                    assert other.payload[4] & 1 == 0, "a switch is made where a key frame begins"
            assert any(not packet.payload and not packet.csrcs for packet, _ in packets)
        shown = [csrc for name in "BCD" for csrc in there.person(name).picture_csrcs]
        assert names == set(shown)
