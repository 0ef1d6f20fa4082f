"""Pictures of sizes that nobody sends in a call: made smaller, or refused with advice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import av
import numpy as np
import pytest
from call_ends import Ends, EventLog, loopback
from peers import scenario, together, webrtc
from senses import AUDIO, CAPTURE, VIDEO
from video_lab import VP8

from ipconf.codecs.base import VideoEncoder
from ipconf.codecs.h264 import H264Encoder
from ipconf.codecs.pictures import MAX_DECODED_PIXELS
from ipconf.codecs.registry import CODEC_FORMATS, depacketizer_of
from ipconf.codecs.vp8 import MAX_ENCODED_PIXELS, MAX_SIDE, Vp8Decoder, Vp8Encoder
from ipconf.errors import MediaError
from ipconf.events import StreamFailed
from ipconf.terminals.base import CaptureTerminal, FrameClock

MAX_STALL_S = 1.0
"""Much more than it takes on a machine that is not busy."""


class Camera(CaptureTerminal):
    """Shows the same picture again and again."""

    def __init__(self, picture: av.VideoFrame) -> None:
        super().__init__("camera", VIDEO, CAPTURE)
        self._picture = picture
        self._clock = FrameClock(10.0)

    def read(self, now: float) -> av.VideoFrame | None:
        return self._picture if self._clock.is_due(now) else None


class Stall:
    """The longest time for which the loop did nothing else."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self.longest_s = 0.0
        self._look()

    def _look(self) -> None:
        now = self._loop.time()
        self.longest_s = max(self.longest_s, now - self._last)
        self._last = now
        self._handle = self._loop.call_later(0.005, self._look)

    def stop(self) -> None:
        self._handle.cancel()


def grey(width: int, height: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((height, width), 128, np.uint8), format="gray")


def vp8() -> VideoEncoder:
    return Vp8Encoder(500_000)


def h264() -> VideoEncoder:
    return H264Encoder(CODEC_FORMATS["H264"][0], 500_000)


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ((8192, 8192), (1440, 1440)),
        ((3840, 2160), (1920, 1080)),
        ((2160, 3840), (1080, 1920)),
        ((4096, 1024), (2880, 720)),
        ((MAX_SIDE, 130), (16_164, 128)),
        ((1920, 1080), (1920, 1080)),
    ],
)
def test_what_is_too_large_is_sent_smaller(size: tuple[int, int], sent: tuple[int, int]) -> None:
    """In the same shape, and so that we would decode it ourselves."""
    payloads, key_frame = vp8().encode(grey(*size), False)
    (picture,) = Vp8Decoder().decode(b"".join(map(depacketizer_of(VP8).depayload, payloads)))
    assert key_frame and (picture.width, picture.height) == sent
    assert picture.width * picture.height <= MAX_ENCODED_PIXELS <= MAX_DECODED_PIXELS


@pytest.mark.parametrize("make", [vp8, h264])
@pytest.mark.parametrize("size", [(0, 0), (1, 1), (1, 100), (100, 1)])
def test_what_is_too_small_is_refused_with_advice(
    make: Callable[[], VideoEncoder], size: tuple[int, int]
) -> None:
    advice = rf"a picture of {size[0]}x{size[1]} cannot be sent: .* let the terminal give"
    with pytest.raises(MediaError, match=advice):
        make().encode(av.VideoFrame(*size, "yuv420p"), False)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize("size", [(3840, 2160), (8192, 8192)])
@scenario()
async def test_sound_goes_on_beside_huge_pictures(codec: str, size: tuple[int, int]) -> None:
    async with loopback(webrtc(video_codecs=(codec,))) as (tsp, x, y):
        Ends(x, 440)
        x.stream(VIDEO, CAPTURE).select_terminal(Camera(grey(*size)))
        bob, stall = Ends(y), Stall()
        await tsp.connect(pair=(x, y))
        shown = await bob.seen.get()
        assert shown.width * shown.height <= MAX_DECODED_PIXELS
        assert shown.width / shown.height == pytest.approx(size[0] / size[1], abs=0.01)
        await together(bob.hears(440), bob.sees(((128, 128, 128), (128, 128, 128))))
        stall.stop()
        assert stall.longest_s < MAX_STALL_S


@scenario()
async def test_who_shows_pictures_of_no_size_is_told_so() -> None:
    async with loopback() as (tsp, x, y):
        log, bob = EventLog(x), Ends(y)
        Ends(x, 440)
        x.stream(VIDEO, CAPTURE).select_terminal(Camera(av.VideoFrame(0, 0, "yuv420p")))
        await tsp.connect(pair=(x, y))
        failed = await log.until(StreamFailed)
        assert failed.stream is x.stream(VIDEO, CAPTURE)
        assert "a picture of 0x0 cannot be sent" in str(failed.error)
        await bob.hears(440)
        assert x.stream(AUDIO, CAPTURE).active
