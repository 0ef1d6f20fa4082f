"""Heights of pictures from the heads of real key frames, and from nonsense."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import av
import pytest

from ipconf.codecs.h264_payload import split_units
from ipconf.engine.picture_sizes import h264_height, vp8_height

SIZES = [(160, 96), (320, 180), (640, 360), (1280, 720), (1920, 1080), (176, 144), (34, 18)]


def key_frame(codec: str, size: tuple[int, int], pixels: str, **options: str) -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = pixels, Fraction(1, 30)
    encoder.options = options
    frame = av.VideoFrame(*size, pixels)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


@pytest.mark.parametrize("size", SIZES)
def test_vp8(size: tuple[int, int]) -> None:
    frame = key_frame("libvpx", size, "yuv420p")
    assert vp8_height(frame) == size[1]
    assert vp8_height(frame[:9]) == 0


@pytest.mark.parametrize(
    ("profile", "pixels", "interlaced"),
    [
        ("baseline", "yuv420p", 0),
        ("main", "yuv420p", 0),
        ("main", "yuv420p", 1),
        ("high", "yuv420p", 0),
        ("high", "gray", 0),
        ("high444", "yuv444p", 0),
        ("high444", "yuv444p", 1),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_h264(size: tuple[int, int], profile: str, pixels: str, interlaced: int) -> None:
    if interlaced and size[1] % 4:
        size = (size[0], size[1] + 2)  # of two fields, each with whole rows of chroma
    options = {"profile": profile, "x264-params": f"interlaced={interlaced}"}
    stream = key_frame("libx264", size, pixels, **options)
    (sps,) = (unit for unit in split_units(stream) if unit[0] & 0x1F == 7)
    assert h264_height(sps) == size[1]
    for end in range(len(sps)):
        assert h264_height(sps[:end]) in (0, size[1])


def test_nonsense_has_no_height_or_a_bounded_one() -> None:
    rng = Random(7)
    for _ in range(3000):
        assert 0 <= h264_height(rng.randbytes(rng.randrange(120))) <= 16_384
    assert h264_height(b"\x67" + bytes(5000)) == h264_height(b"") == 0
