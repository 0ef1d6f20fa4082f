"""H.264: pictures out as they went in, in both packetization modes; garbage refused."""

import base64
import contextlib
import random
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Decoder as AiortcDecoder
from aiortc.codecs.h264 import H264Encoder as AiortcEncoder
from aiortc.codecs.h264 import h264_depayload
from aiortc.jitterbuffer import JitterFrame
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st
from video_lab import luma, picture, psnr_db

from ipconf.codecs.base import MAX_PAYLOAD_BYTES
from ipconf.codecs.h264 import H264Decoder, H264Encoder
from ipconf.codecs.h264_payload import H264Depacketizer, packetize, split_units
from ipconf.codecs.h264_profile import parameter_sets
from ipconf.codecs.registry import (
    CODEC_FORMATS,
    create_video_decoder,
    create_video_encoder,
    depacketizer_of,
)
from ipconf.engine.session_config import PayloadFormat
from ipconf.errors import MediaError, WireError
from ipconf.pipelines.video_receiver import VideoReceiver

TOGETHER, _, _, _, WHOLE, _ = CODEC_FORMATS["H264"]
"""Packetization modes 1 and 0."""
DEPACKETIZER = H264Depacketizer()
SPS, PPS, IDR, SLICE = b"\x67\x42\xc0\x1f", b"\x68\xce", b"\x65\x88", b"\x41\x9a"


def join(payloads):
    return b"".join(DEPACKETIZER.depayload(payload) for payload in payloads)


def through(encoder, decoder, frame, key_frame=False):
    """The picture after encoding and decoding, and whether it was a key frame."""
    payloads, is_key_frame = encoder.encode(frame, key_frame)
    (out,) = decoder.decode(join(payloads))
    return out, is_key_frame


def types(payloads):
    return [payload[0] & 0x1F for payload in payloads]


# -- pictures


@pytest.mark.parametrize("payload_format", [TOGETHER, WHOLE])
def test_pictures_come_out_as_they_went_in(payload_format):
    encoder, decoder = H264Encoder(payload_format, 1_000_000), H264Decoder()
    for index in range(30):
        frame = picture(index)
        out, is_key_frame = through(encoder, decoder, frame)
        assert (out.width, out.height, out.format.name) == (320, 180, "yuv420p")
        assert psnr_db(out, frame) > 35
        assert is_key_frame == (index == 0)


def test_a_key_frame_comes_when_it_is_asked_for_and_scenes_may_change():
    encoder, decoder = H264Encoder(TOGETHER, 1_000_000), H264Decoder()
    keys = []
    for index in range(25):
        frame = picture(index if index < 15 else index + 1000)
        keys.append(through(encoder, decoder, frame, index in (10, 11, 20))[1])
    assert [index for index, key in enumerate(keys) if key] == [0, 10, 11, 20]


def test_decoding_can_begin_at_any_key_frame():
    encoder = H264Encoder(TOGETHER, 1_000_000)
    payloads = [encoder.encode(picture(i), i == 10)[0] for i in range(20)]
    decoder = H264Decoder()
    for index in range(10, 20):
        (out,) = decoder.decode(join(payloads[index]))
        assert psnr_db(out, picture(index)) > 35


def test_the_size_may_change_in_mid_stream():
    encoder, decoder = H264Encoder(TOGETHER, 1_000_000), H264Decoder()
    for width, height in [(320, 180), (640, 360), (160, 120), (320, 180)]:
        for index in range(5):
            frame = picture(index, width, height)
            out, is_key_frame = through(encoder, decoder, frame)
            assert (out.width, out.height) == (width, height)
            assert psnr_db(out, frame) > 33
            assert is_key_frame == (index == 0)


def test_the_frame_rate_may_change_in_mid_stream():
    encoder, decoder = H264Encoder(TOGETHER, 400_000), H264Decoder()
    at, sizes = 0, {}
    for fps in (30, 10, 25, 5):
        sizes[fps] = []
        for index in range(3 * fps):
            frame = picture(index, 640, 360)
            frame.pts, frame.time_base = at, Fraction(1, 90_000)
            at += 90_000 // fps
            payloads, _ = encoder.encode(frame, False)
            (out,) = decoder.decode(join(payloads))
            sizes[fps].append(sum(map(len, payloads)))
        assert psnr_db(out, frame) > 30
    for fps, each in sizes.items():
        assert sum(each[fps:]) * 8 / 2 < 1.3 * 400_000


@pytest.mark.parametrize("bps", [200_000, 1_000_000])
def test_the_bit_rate_is_held(bps):
    encoder, rng = H264Encoder(TOGETHER, bps), np.random.default_rng(1)
    sizes = []
    for index in range(120):
        planes = picture(index, 640, 360).to_ndarray()
        planes[:360] = np.clip(planes[:360] + rng.normal(0, 3, (360, 640)), 0, 255)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        sizes.append(sum(map(len, encoder.encode(frame, False)[0])))
    assert sum(sizes[30:]) * 8 / 3 == pytest.approx(bps, rel=0.2)
    assert max(sizes[30:]) * 8 < bps / 2  # no picture takes half a second of it


def test_a_new_bit_rate_is_followed():
    encoder = H264Encoder(TOGETHER, 2_000_000)
    rates = {}
    for bps in (2_000_000, 300_000):
        encoder.bitrate_bps = bps
        pictures = [encoder.encode(picture(3 * i, 640, 360), False)[0] for i in range(60)]
        rates[bps] = sum(len(payload) for payloads in pictures[30:] for payload in payloads) * 8
    assert rates[300_000] < 350_000 < rates[2_000_000]


def test_the_frame_stays_as_it_was():
    encoder = H264Encoder(TOGETHER, 1_000_000)
    encoder.encode(picture(0), False)
    frame = picture(1)
    frame.pts, frame.time_base, frame.pict_type = 77, Fraction(1, 1000), PictureType.I
    before = frame.to_ndarray().copy()
    assert not encoder.encode(frame, False)[1]
    assert (frame.pts, frame.time_base, frame.pict_type) == (77, Fraction(1, 1000), PictureType.I)
    np.testing.assert_array_equal(frame.to_ndarray(), before)


def test_other_formats_and_odd_sizes_are_converted():
    grey = np.full((121, 161, 3), 100, np.uint8)
    frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
    out, _ = through(H264Encoder(TOGETHER, 1_000_000), H264Decoder(), frame)
    assert (out.width, out.height) == (160, 120)
    assert abs(luma(out).mean() - luma(frame).mean()) < 3


@pytest.mark.parametrize(
    ("level", "size", "sent"),
    [
        ("1f", (1280, 720), (1280, 720)),
        ("1f", (1920, 1080), (1276, 718)),
        ("0d", (640, 360), (422, 236)),  # level 1.3 holds 396 macroblocks
        ("0a", (320, 180), (208, 116)),
        ("1f", (4096, 32), (2676, 20)),  # and its pictures have 2,704 pixels a side
    ],
)
def test_pictures_that_the_far_end_cannot_hold_are_made_smaller(level, size, sent):
    payload_format = PayloadFormat(102, "H264", 90_000, 1, {"profile-level-id": f"42e0{level}"})
    frame = picture(0, *size)
    out, _ = through(H264Encoder(payload_format, 500_000), H264Decoder(), frame)
    assert (out.width, out.height) == pytest.approx(sent, abs=16)
    assert out.width / out.height == pytest.approx(size[0] / size[1], rel=0.1)
    blocks = -(-out.width // 16) * -(-out.height // 16)
    assert blocks <= {"1f": 3600, "0d": 396, "0a": 99}[level]


def test_it_is_constrained_baseline():
    payloads, _ = H264Encoder(WHOLE, 500_000).encode(picture(0, 640, 360), False)
    assert types(payloads)[:2] == [7, 8]
    profile, constraints = payloads[0][1:3]
    assert profile == 0x42 and constraints & 0x40


@pytest.mark.parametrize("size", [(1, 1), (1, 100)])
def test_pictures_of_no_size_are_refused(size):
    with pytest.raises(MediaError, match="two pixels"):
        H264Encoder(TOGETHER, 500_000).encode(av.VideoFrame(*size, "yuv420p"), False)


# -- packets


def big_picture(encoder):
    rng = np.random.default_rng(2)
    planes = rng.integers(0, 255, (540, 640)).astype(np.uint8)
    return encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"), False)[0]


def test_parameter_sets_share_a_packet_and_the_rest_is_cut_evenly():
    payloads = big_picture(H264Encoder(TOGETHER, 5_000_000))
    assert types(payloads)[0] == 24 and set(types(payloads)[1:]) == {28}
    sizes = [len(payload) for payload in payloads[1:]]
    assert max(sizes) <= MAX_PAYLOAD_BYTES
    assert max(sizes) - min(sizes) <= 1
    assert [payload[1] >> 6 for payload in payloads[1:]] == [2] + [0] * (len(payloads) - 3) + [1]


def test_in_mode_0_every_unit_is_a_packet_that_fits():
    payloads = big_picture(H264Encoder(WHOLE, 5_000_000))
    assert types(payloads)[:2] == [7, 8] and set(types(payloads)[2:]) == {5}
    assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES
    H264Decoder().decode(join(payloads))


@pytest.mark.parametrize("payload_format", [TOGETHER, WHOLE])
def test_only_the_first_packet_begins_a_picture(payload_format):
    payloads = big_picture(H264Encoder(payload_format, 5_000_000))
    first_slice = next(i for i, kind in enumerate(types(payloads)) if kind not in (7, 8, 24))
    assert DEPACKETIZER.is_start(payloads[0]) and DEPACKETIZER.is_key_frame(payloads[0])
    for payload in payloads[first_slice + 1 :]:
        assert not DEPACKETIZER.is_start(payload)
        assert not DEPACKETIZER.is_key_frame(payload)


@pytest.mark.parametrize(
    ("payload", "starts", "key"),
    [
        (SPS, True, True),
        (PPS, True, False),
        (IDR, True, True),
        (b"\x65\x48", False, False),  # a later slice
        (SLICE, True, False),
        (b"\x41\x4a", False, False),
        (b"\x09\xf0", True, False),  # a delimiter
        (b"\x78\x00\x04" + SPS + b"\x00\x02" + PPS, True, True),
        (b"\x78\x00\x02" + PPS + b"\x00\x02" + IDR, True, True),
        (b"\x78\x00\x02" + SLICE, True, False),
        (b"\x7c\x85\x88\x00", True, True),  # FU-A: the first piece of an IDR slice
        (b"\x7c\x05\x88\x00", False, False),
        (b"\x7c\x81\x9a\x00", True, False),
        (b"\x7c\x85\x48\x00", False, False),
        (b"\x7c\x85", False, False),
        (b"", False, False),
        (b"\x65", False, False),
        (b"\xe5\x88", False, False),  # says it is broken
        (b"\x78\x00\x09" + SPS, False, False),
        (b"\x79\x00\x04" + SPS, False, False),  # STAP-B
    ],
)
def test_beginnings(payload, starts, key):
    assert DEPACKETIZER.is_start(payload) is starts
    assert DEPACKETIZER.is_key_frame(payload) is key


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80\x00",
        b"\x60\x00",  # type 0
        b"\x78",
        b"\x78\x00",
        b"\x78\x00\x00",
        b"\x78\x00\x05" + SPS,
        b"\x78\x00\x04" + SPS + b"\x00",
        b"\x7c\x85",
        b"\x7c\xc5\x88",  # first and last at once
        b"\x7c\x80\x88",
        b"\x7c\x9c\x88",  # a piece of a FU-A
        b"\x79\x00\x00\x00\x04" + SPS,
        b"\x7d\x85\x00\x00\x88",  # FU-B
    ],
)
def test_malformed_payloads_are_a_wire_error(payload):
    with pytest.raises(WireError):
        DEPACKETIZER.depayload(payload)


@given(st.lists(st.binary(min_size=1, max_size=4000).map(lambda b: b"\x65" + b), min_size=1))
def test_units_survive_their_packets(units):
    units = [unit.replace(b"\0", b"\1") for unit in units]
    joined = join(packetize(units, 1))
    assert split_units(joined) == units
    assert join(packetize(units, 0)) == joined
    assert all(len(payload) <= MAX_PAYLOAD_BYTES for payload in packetize(units, 1))


def test_units_that_nobody_needs_are_left_out():
    data = b"\0\0\0\1" + b"\x09\xf0" + b"\0\0\1" + b"\x06\x05\x04" + b"\0\0\0\1" + IDR + b"\0\0"
    assert split_units(data) == [IDR]
    assert split_units(b"") == split_units(b"\1\2\3") == []


@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda b: b"\x78" + b)
       | st.binary(max_size=20).map(lambda b: b"\x7c" + b))  # fmt: skip
def test_no_payload_does_harm(payload):
    with contextlib.suppress(WireError):
        assert DEPACKETIZER.depayload(payload)
    if DEPACKETIZER.is_key_frame(payload):
        assert DEPACKETIZER.is_start(payload)
    if DEPACKETIZER.is_start(payload):
        DEPACKETIZER.depayload(payload)


# -- garbage


def test_garbage_is_a_media_error_or_a_picture_and_nothing_else():
    rng = random.Random(1)
    encoder, decoder = H264Encoder(TOGETHER, 1_000_000), H264Decoder()
    good = [join(encoder.encode(picture(i), False)[0]) for i in range(5)]
    refused = 0
    for index in range(400):
        if index % 3 == 0:
            data = bytearray(rng.randbytes(rng.randrange(200)))
        else:
            data = bytearray(rng.choice(good))
            for _ in range(5):
                data[rng.randrange(len(data))] = rng.randrange(256)
            if index % 3 == 1:
                del data[rng.randrange(len(data)) :]
        try:
            decoder.decode(bytes(data))
        except MediaError:
            refused += 1
    assert refused > 0
    out = None
    for _ in range(3):  # and it still works
        for frame in decoder.decode(good[0]):
            out = frame
    assert psnr_db(out, picture(0)) > 35


def test_a_picture_without_its_parameters_is_an_error():
    encoder = H264Encoder(WHOLE, 1_000_000)
    payloads, _ = encoder.encode(picture(0), False)
    with pytest.raises(MediaError):
        H264Decoder().decode(join(payloads[2:]))


def test_parameters_may_come_with_the_description_alone():
    payloads, _ = H264Encoder(WHOLE, 1_000_000).encode(picture(0), False)
    sets = ",".join(base64.b64encode(payload).decode() for payload in payloads[:2])
    for text in (sets, f"*,,{sets},AAAA,{sets}"):
        described = replace(WHOLE, parameters={**WHOLE.parameters, "sprop-parameter-sets": text})
        decoder = create_video_decoder(described)
        (out,) = decoder.decode(join(payloads[2:]))
        assert psnr_db(out, picture(0)) > 35


def test_nonsense_in_the_description_does_no_harm():
    encoder = H264Encoder(TOGETHER, 1_000_000)
    for text in ("Z0IA", "Zw==,aA==", "," * 100, "é"):
        decoder = H264Decoder(parameter_sets({"sprop-parameter-sets": text}))
        (out,) = decoder.decode(join(encoder.encode(picture(0), True)[0]))
        assert psnr_db(out, picture(0)) > 35


def test_a_header_that_claims_a_giant_picture_is_refused():
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 8192, 4096, "yuv420p"
    encoder.time_base, encoder.thread_count = Fraction(1, 30), 1
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    (packet,) = encoder.encode(av.VideoFrame(8192, 4096, "yuv420p"))
    with pytest.raises(MediaError):
        H264Decoder().decode(bytes(packet))


# -- with others


def test_aiortc_decodes_what_we_encode():
    encoder, decoder = H264Encoder(TOGETHER, 1_000_000), AiortcDecoder()
    for index in range(10):
        payloads, _ = encoder.encode(picture(index), index == 5)
        data = b"".join(h264_depayload(payload) for payload in payloads)
        (out,) = decoder.decode(JitterFrame(data=data, timestamp=3000 * index))
        assert psnr_db(out, picture(index)) > 33


def test_we_decode_what_aiortc_encodes():
    encoder, decoder = AiortcEncoder(), H264Decoder()
    for index in range(10):
        frame = picture(index)
        frame.pts, frame.time_base = 3000 * index, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, index == 5)
        assert DEPACKETIZER.is_start(payloads[0])
        assert DEPACKETIZER.is_key_frame(payloads[0]) == (index in (0, 5))
        (out,) = decoder.decode(join(payloads))
        assert psnr_db(out, picture(index)) > 33


@pytest.mark.parametrize("profile", ["main", "high"])
def test_other_profiles_are_decoded_without_delay(profile):
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base, encoder.thread_count = Fraction(1, 30), 1
    encoder.options = {"tune": "zerolatency", "profile": profile}
    decoder = H264Decoder()
    for index in range(5):
        frame = picture(index)
        frame.pts = index
        (packet,) = encoder.encode(frame)
        (out,) = decoder.decode(bytes(packet))
        assert psnr_db(out, picture(index)) > 30


def test_the_registry_makes_them():
    assert isinstance(create_video_encoder(TOGETHER, 500_000), H264Encoder)
    assert isinstance(create_video_decoder(TOGETHER), H264Decoder)
    assert isinstance(depacketizer_of(TOGETHER), H264Depacketizer)
    other = PayloadFormat(1, "H264", 90_000, 1, {"packetization-mode": "2"})
    for make in (
        create_video_decoder,
        depacketizer_of,
        lambda f: create_video_encoder(f, 1),
        lambda f: VideoReceiver((f,), lambda work, done: None, lambda frame, at: None),
    ):
        with pytest.raises(MediaError):
            make(other)
