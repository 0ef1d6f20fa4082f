"""VP8: pictures out as they went in, packets that fit, garbage refused."""

import random
from fractions import Fraction

import numpy as np
import pytest
from aiortc.codecs.vpx import Vp8Decoder as AiortcDecoder
from aiortc.codecs.vpx import Vp8Encoder as AiortcEncoder
from aiortc.codecs.vpx import VpxPayloadDescriptor, vp8_depayload
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st
from video_lab import VP8, picture, psnr_db

from ipconf.codecs.registry import create_video_decoder, create_video_encoder, depacketizer_of
from ipconf.codecs.vp8 import Vp8Decoder, Vp8Encoder
from ipconf.codecs.vp8_payload import MAX_PAYLOAD_BYTES, Vp8Depacketizer, packetize
from ipconf.engine.session_config import PayloadFormat
from ipconf.errors import MediaError, WireError

DEPACKETIZER = Vp8Depacketizer()


def join(payloads):
    return b"".join(DEPACKETIZER.depayload(payload) for payload in payloads)


def through(encoder, decoder, frame, key_frame=False):
    """The picture after encoding and decoding, and whether it was a key frame."""
    payloads, is_key_frame = encoder.encode(frame, key_frame)
    (out,) = decoder.decode(join(payloads))
    return out, is_key_frame


def test_pictures_come_out_as_they_went_in():
    encoder, decoder = Vp8Encoder(1_000_000), Vp8Decoder()
    for index in range(30):
        frame = picture(index)
        out, is_key_frame = through(encoder, decoder, frame)
        assert (out.width, out.height, out.format.name) == (320, 180, "yuv420p")
        assert psnr_db(out, frame) > 35
        assert is_key_frame == (index == 0)


def test_a_key_frame_comes_when_it_is_asked_for():
    encoder, decoder = Vp8Encoder(1_000_000), Vp8Decoder()
    keys = [through(encoder, decoder, picture(i), i in (10, 11, 20))[1] for i in range(25)]
    assert [index for index, key in enumerate(keys) if key] == [0, 10, 11, 20]


def test_decoding_can_begin_at_any_key_frame():
    encoder = Vp8Encoder(1_000_000)
    payloads = [encoder.encode(picture(i), i == 10)[0] for i in range(20)]
    decoder = Vp8Decoder()
    for index in range(10, 20):
        (out,) = decoder.decode(join(payloads[index]))
        assert psnr_db(out, picture(index)) > 35


def test_the_frame_stays_as_it_was_and_its_old_type_does_not_matter():
    encoder = Vp8Encoder(1_000_000)
    encoder.encode(picture(0), False)
    frame = picture(1)
    frame.pts, frame.time_base, frame.pict_type = 77, Fraction(1, 1000), PictureType.I
    before = frame.to_ndarray().copy()
    _, is_key_frame = encoder.encode(frame, False)
    assert not is_key_frame
    assert (frame.pts, frame.time_base, frame.pict_type) == (77, Fraction(1, 1000), PictureType.I)
    np.testing.assert_array_equal(frame.to_ndarray(), before)


def test_the_size_may_change_in_mid_stream():
    encoder, decoder = Vp8Encoder(1_000_000), Vp8Decoder()
    sizes = [(320, 180), (640, 360), (160, 120), (320, 180)]
    for width, height in sizes:
        for index in range(5):
            frame = picture(index, width, height)
            out, is_key_frame = through(encoder, decoder, frame)
            assert (out.width, out.height) == (width, height)
            assert psnr_db(out, frame) > 33
            assert is_key_frame == (index == 0)


def test_other_formats_and_odd_sizes_are_converted():
    encoder, decoder = Vp8Encoder(1_000_000), Vp8Decoder()
    grey = np.full((121, 161, 3), 100, np.uint8)
    out, _ = through(encoder, decoder, VideoFrame.from_ndarray(grey, format="rgb24"))
    assert (out.width, out.height) == (160, 120)
    assert abs(out.to_ndarray(format="rgb24").mean() - 100) < 3


@pytest.mark.parametrize(
    "times", [[0, 0, 0, 0], [5, 4, 3, 2], [0, 1e6, 2e6, 1], [None, 3, None, 4]]
)
def test_the_times_of_frames_may_be_anything(times):
    encoder, decoder = Vp8Encoder(1_000_000), Vp8Decoder()
    for index, time in enumerate(times):
        frame = picture(index)
        if time is not None:
            frame.pts, frame.time_base = int(time * 1000), Fraction(1, 1000)
        out, _ = through(encoder, decoder, frame)
        assert psnr_db(out, frame) > 35


def noise(index, width=320, height=180):
    rng = np.random.default_rng(index)
    planes = rng.integers(0, 255, (height * 3 // 2, width)).astype(np.uint8)
    return VideoFrame.from_ndarray(planes, format="yuv420p")


def test_packets_fit_and_are_about_the_same_size():
    encoder = Vp8Encoder(5_000_000)
    for index in range(10):
        payloads, _ = encoder.encode(noise(index), False)
        sizes = [len(payload) for payload in payloads]
        assert max(sizes) <= MAX_PAYLOAD_BYTES
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("bps", [400_000, 1_000_000])
def test_the_bit_rate_is_held(bps):
    encoder = Vp8Encoder(bps)
    sizes = [sum(map(len, encoder.encode(picture(i, 640, 360), False)[0])) for i in range(120)]
    assert sum(sizes[30:]) * 8 / 3 == pytest.approx(bps, rel=0.2)


def test_a_bit_rate_of_nothing_is_still_video():
    encoder, decoder = Vp8Encoder(0), Vp8Decoder()
    for bps in (1, 500_000, 0):
        encoder.bitrate_bps = bps
        out, _ = through(encoder, decoder, picture(0))
        assert psnr_db(out, picture(0)) > 25


def test_only_large_changes_of_the_bit_rate_cost_a_key_frame():
    encoder = Vp8Encoder(500_000)
    encoder.encode(picture(0), False)
    for bps, key_frame in ((550_000, False), (450_000, False), (200_000, True), (210_000, False)):
        encoder.bitrate_bps = bps
        assert encoder.bitrate_bps == bps
        assert encoder.encode(picture(1), False)[1] == key_frame


def test_picture_ids_count_up_and_wrap_at_15_bits():
    encoder = Vp8Encoder(500_000, picture_id=0x7FFE)
    ids = []
    for index in range(4):
        encoder.bitrate_bps = 500_000 if index < 2 else 100_000  # a new encoder in between
        for payload in encoder.encode(picture(index), False)[0]:
            ids.append(VpxPayloadDescriptor.parse(payload)[0].picture_id)
    assert sorted(set(ids), key=ids.index) == [0x7FFE, 0x7FFF, 0, 1]


def test_packets_read_the_same_as_with_aiortc():
    encoder = Vp8Encoder(3_000_000)
    for index in range(3):
        payloads, _ = encoder.encode(noise(index), False)
        assert len(payloads) > 2
        for number, payload in enumerate(payloads):
            descriptor, data = VpxPayloadDescriptor.parse(payload)
            assert DEPACKETIZER.depayload(payload) == data
            assert (descriptor.partition_start, descriptor.partition_id) == (number == 0, 0)
            assert DEPACKETIZER.is_start(payload) == (number == 0)
            assert DEPACKETIZER.is_key_frame(payload) == (number == 0 and index == 0)


@given(
    st.integers(0, 1),
    st.integers(0, 7),
    st.none() | st.integers(0, 0x7FFF),
    st.none() | st.integers(0, 255),
    st.none() | st.tuples(st.integers(0, 3), st.integers(0, 1)),
    st.none() | st.integers(0, 31),
    st.binary(min_size=1, max_size=20),
)
def test_every_descriptor_is_read_as_aiortc_wrote_it(start, part, picture_id, tl0, tid, key, data):
    descriptor = VpxPayloadDescriptor(start, part, picture_id, tl0, tid, key)
    payload = bytes(descriptor) + data
    assert DEPACKETIZER.depayload(payload) == data
    assert DEPACKETIZER.is_start(payload) == (start == 1 and part == 0)


@given(st.binary(max_size=12))
def test_any_payload_is_read_as_aiortc_does_or_refused(payload):
    try:
        theirs = vp8_depayload(payload)
    except ValueError:
        theirs = b""
    if theirs:
        assert DEPACKETIZER.depayload(payload) == theirs
    else:
        with pytest.raises(WireError):
            DEPACKETIZER.depayload(payload)
        assert not DEPACKETIZER.is_start(payload)
    assert DEPACKETIZER.is_key_frame(payload) in (True, False)


def test_short_picture_ids_are_read():
    assert DEPACKETIZER.depayload(b"\x90\x80\x05data") == b"data"
    assert DEPACKETIZER.is_start(b"\x90\x80\x05data")


@given(st.binary(max_size=5000), st.integers(0, 0x7FFF))
def test_packets_put_together_are_the_picture(data, picture_id):
    payloads = packetize(data, picture_id)
    assert join(payloads) == data
    assert all(len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)


def test_aiortc_decodes_what_we_encode():
    encoder, decoder = Vp8Encoder(1_000_000), AiortcDecoder()
    for index in range(10):
        payloads, _ = encoder.encode(picture(index), False)
        data = b"".join(vp8_depayload(payload) for payload in payloads)
        (out,) = decoder.decode(JitterFrame(data=data, timestamp=index * 3000))
        assert psnr_db(out, picture(index)) > 35


def test_we_decode_what_aiortc_encodes():
    encoder, decoder = AiortcEncoder(), Vp8Decoder()
    for index in range(10):
        frame = picture(index)
        frame.pts, frame.time_base = index * 3000, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame)
        (out,) = decoder.decode(join(payloads))
        assert psnr_db(out, picture(index)) > 33


def test_garbage_is_a_media_error_or_a_picture_and_nothing_else():
    rng = random.Random(1)
    encoder, decoder = Vp8Encoder(1_000_000), Vp8Decoder()
    good = [join(encoder.encode(picture(i), False)[0]) for i in range(5)]
    refused = 0
    for index in range(600):
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
    (out,) = decoder.decode(good[0])  # and it still works
    assert psnr_db(out, picture(0)) > 35


def test_a_header_that_claims_a_giant_picture_is_refused():
    giant = b"\x10\x00\x00\x9d\x01\x2a" + (16383).to_bytes(2, "little") * 2 + bytes(100)
    with pytest.raises(MediaError, match="16383x16383"):
        Vp8Decoder().decode(giant)


@pytest.mark.parametrize("size", [(20_000, 16)])
def test_pictures_that_vp8_cannot_hold_are_refused(size):
    with pytest.raises(MediaError, match="16383"):
        Vp8Encoder(500_000).encode(VideoFrame(*size, "yuv420p"), False)


def test_the_registry_knows_vp8_and_refuses_what_it_does_not_know():
    assert isinstance(create_video_encoder(VP8, 500_000), Vp8Encoder)
    assert isinstance(create_video_decoder(VP8), Vp8Decoder)
    assert isinstance(depacketizer_of(VP8), Vp8Depacketizer)
    other = PayloadFormat(1, "AV1", 90_000)
    for make in (create_video_decoder, depacketizer_of, lambda f: create_video_encoder(f, 1)):
        with pytest.raises(MediaError, match="AV1"):
            make(other)
