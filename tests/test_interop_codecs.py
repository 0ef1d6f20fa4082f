"""Every codec with far ends that are not ours: tone, level and picture arrive, both ways."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing

import aioice.ice
import av
import pytest
from call_ends import Ends, provider
from codec_peers import FORMATS, HEAD, AnyCodecDemuxer, AnyCodecMuxer, AnyCodecPeer
from ffmpeg_peer import free_ports, port_of
from peers import LIMIT_S, LOCALHOST, PLAIN, scenario, together, webrtc
from senses import AUDIO, BLUE, CAPTURE, GREEN, RED, VIDEO, YELLOW, PictureTerminal

from ipconf import Call, MediaServiceProvider, MediaType
from ipconf.events import TspData
from ipconf.model import AUDIO_CODECS
from ipconf.terminals.base import FrameClock
from ipconf.tsp_data import Description

OURS, THEIRS = (RED, GREEN), (BLUE, YELLOW)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc on its own never offers the loopback address."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [LOCALHOST])


def codec_of(call: Call, medium: MediaType) -> str:
    """What we send."""
    return call.stream(medium, CAPTURE)._agreed.send.name


# -- aiortc


@pytest.mark.parametrize("they_offer", [True, False])
@pytest.mark.parametrize(
    ("codec", "pictures"),
    [("opus", "H264"), ("G722", "VP8"), ("PCMU", "H264"), ("PCMA", "VP8")],
)
@scenario()
async def test_aiortc_in_every_codec(codec: str, pictures: str, they_offer: bool) -> None:
    settings = webrtc(audio_codecs=(codec,), video_codecs=(pictures,))
    async with provider("Us", settings) as msp, AnyCodecPeer(660, THEIRS) as peer:
        call = msp.create_call()
        us = Ends(call, 440, OURS)
        await (peer.call_us if they_offer else peer.answer_us)(msp, call)
        await together(us.gets(660, THEIRS), peer.gets(440, OURS))
        stats = call.stats()
        assert stats.sessions[0]["unknown_payload_type"] == 0


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU", "PCMA"])
@scenario()
async def test_aiortc_chooses_among_what_we_offer(codec: str) -> None:
    pictures = "H264" if codec in ("opus", "G722") else "VP8"
    async with provider("Us", webrtc()) as msp, AnyCodecPeer(660, THEIRS) as peer:
        peer.prefer(codec, pictures)
        call = msp.create_call()
        us = Ends(call, 440, OURS)
        await peer.call_us(msp, call)
        await together(us.gets(660, THEIRS), peer.gets(440, OURS))
        assert (codec_of(call, AUDIO), codec_of(call, VIDEO)) == (codec, pictures)


@pytest.mark.parametrize("ptime_ms", [10, 60])
@scenario()
async def test_aiortc_hears_packets_of_other_times(ptime_ms: int) -> None:
    settings = webrtc(audio_codecs=("opus",), ptime_ms=ptime_ms)
    async with provider("Us", settings) as msp, AnyCodecPeer(660) as peer:
        call = msp.create_call({AUDIO})
        us = Ends(call, 440)
        await peer.answer_us(msp, call)
        await together(us.gets(660), peer.gets(440))
        source = call.stream(AUDIO, CAPTURE).local_source
        before, at = source.packets, asyncio.get_running_loop().time()
        await peer.hears(440)
        elapsed_s = asyncio.get_running_loop().time() - at
        assert source.packets - before == pytest.approx(elapsed_s * 1000 / ptime_ms, rel=0.3)


class Camera(PictureTerminal):
    """One that can be set to other sizes and rates while it runs."""

    def __init__(self) -> None:
        super().__init__(OURS)
        self.size = (160, 96)

    def set(self, width: int, height: int, fps: float) -> None:
        self.size = width, height
        self._clock = FrameClock(fps)

    def read(self, now: float) -> av.VideoFrame | None:
        frame = super().read(now)
        return None if frame is None else frame.reformat(*self.size)


@pytest.mark.parametrize("pictures", ["VP8", "H264"])
@scenario()
async def test_size_and_rate_of_pictures_may_change_in_mid_call(pictures: str) -> None:
    settings = webrtc(video_codecs=(pictures,))
    async with provider("Us", settings) as msp, AnyCodecPeer(None, THEIRS) as peer:
        call = msp.create_call({VIDEO})
        camera = Camera()
        call.stream(VIDEO, CAPTURE).select_terminal(camera)
        await peer.call_us(msp, call)
        await peer.sees(OURS)
        for width, height, fps in ((320, 192, 10), (96, 64, 60), (160, 96, 25)):
            camera.set(width, height, fps)
            async with asyncio.timeout(LIMIT_S):
                while (await peer.seen.get()).width != width:
                    pass
            await peer.sees(OURS)
        assert call.stats().sessions[0]["malformed"] == 0


# -- FFmpeg


@pytest.mark.parametrize("sound", [name for name in FORMATS if FORMATS[name].rate_hz])
@scenario()
async def test_ffmpeg_hears_us_and_is_heard(sound: str) -> None:
    await with_ffmpeg(AUDIO, sound)


@pytest.mark.parametrize("pictures", [name for name in FORMATS if not FORMATS[name].rate_hz])
@scenario()
async def test_ffmpeg_sees_us_and_is_seen(pictures: str) -> None:
    await with_ffmpeg(VIDEO, pictures)


async def with_ffmpeg(medium: MediaType, name: str) -> None:
    """A call with FFmpeg over plain RTP, in the format that it offers."""
    settings = PLAIN.replace(audio_codecs=AUDIO_CODECS)
    async with provider("Us", settings) as msp, AsyncExitStack() as ffmpeg:
        call = msp.create_call({medium})
        us = Ends(call, 440.0, OURS)
        theirs = HEAD + FORMATS[name].line(free_ports())
        ours = await answer_of(msp, call, theirs)
        receiver = await ffmpeg.enter_async_context(AnyCodecDemuxer(theirs))
        content = 660.0 if medium is AUDIO else THEIRS
        muxer = AnyCodecMuxer(content, port_of(ours, medium), FORMATS[name])
        await ffmpeg.enter_async_context(muxer)
        if medium is AUDIO:
            await together(us.hears(660.0), receiver.hears(440.0))
        else:
            await together(us.sees(THEIRS), receiver.sees(OURS))
        assert codec_of(call, medium) == name.split()[0]
        await call.disconnect("enough")
        await receiver.ended()


async def answer_of(msp: MediaServiceProvider, call: Call, offer: str) -> str:
    with closing(msp.events(TspData)) as posted:
        call.receive_tsp_data(Description(type="offer", sdp=offer))
        async with asyncio.timeout(LIMIT_S):
            ours = (await posted.wait_for(TspData)).data
            await call.wait_connected()
    assert isinstance(ours, Description)
    return ours.sdp
