"""Opus: sound out as it went in, losses concealed, garbage refused; with libopus and with PyAV."""

import contextlib
import fractions
import random

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from audio_lab import BLOCK, OPUS, RATE, level_db, pitch_hz, tone, vowels
from av import AudioFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from ipconf.codecs.libopus import LibOpusDecoder, LibOpusEncoder, load
from ipconf.codecs.opus import (
    PyAvOpusDecoder,
    PyAvOpusEncoder,
    create_opus_decoder,
    create_opus_encoder,
)
from ipconf.codecs.opus_packet import packet_samples
from ipconf.codecs.registry import create_audio_decoder, create_audio_encoder
from ipconf.engine.session_config import PayloadFormat
from ipconf.errors import MediaError

LIBRARY = load()
ENCODERS = [
    pytest.param(lambda channels, bps: LibOpusEncoder(LIBRARY, channels, bps), id="libopus"),
    pytest.param(PyAvOpusEncoder, id="pyav"),
]
DECODERS = [
    pytest.param(lambda channels: LibOpusDecoder(LIBRARY, channels), id="libopus"),
    pytest.param(PyAvOpusDecoder, id="pyav"),
]
if LIBRARY is None:  # the fallback is all there is to test then
    ENCODERS, DECODERS = ENCODERS[1:], DECODERS[1:]


def encode(encoder, sound):
    blocks = [sound[begin : begin + BLOCK] for begin in range(0, len(sound), BLOCK)]
    return [payload for block in blocks if (payload := encoder.encode(block)) is not None]


def decode(decoder, payloads):
    return np.concatenate([decoder.decode(payload) for payload in payloads])


def assert_same_tone(heard, sound, hz):
    """Frequency, and loudness within 1 dB, of each channel."""
    heard = heard[RATE // 2 :]
    for channel in range(heard.shape[1]):
        part = heard[:, channel : channel + 1]
        assert pitch_hz(part) == pytest.approx(hz, abs=1)
        assert level_db(part) == pytest.approx(level_db(sound[:, :1]), abs=1)


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize("make_decoder", DECODERS)
@pytest.mark.parametrize("sent", [1, 2])
@pytest.mark.parametrize("heard", [1, 2])
def test_a_tone_comes_out_as_it_went_in(make_encoder, make_decoder, sent, heard):
    sound = tone(2.0, 440, channels=sent)
    payloads = encode(make_encoder(sent, 48_000), sound)
    out = decode(make_decoder(heard), payloads)
    assert out.shape[1] == heard
    assert out.dtype == np.int16
    assert out.flags.c_contiguous
    assert_same_tone(out, sound, 440)


@pytest.mark.parametrize("hz", [120, 1000, 3400])
def test_low_and_high_voices_keep_their_loudness(hz):
    sound = tone(2.0, hz)
    payloads = encode(create_opus_encoder(1, 32_000), sound)
    assert_same_tone(decode(create_opus_decoder(1), payloads), sound, hz)


def test_the_bit_rate_is_held_and_can_be_changed():
    encoder = create_opus_encoder(1, 32_000)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 5000, (2 * RATE, 1)).astype(np.int16)
    for bps in (32_000, 16_000, 64_000):
        encoder.bitrate_bps = bps
        assert encoder.bitrate_bps == bps
        assert sum(map(len, encode(encoder, noise))) * 4 == pytest.approx(bps, rel=0.25)


def losing_every_tenth(payloads, replace):
    """What a decoder puts out, and how well what `replace` puts in place of losses fits, in dB."""
    reference, decoder = create_opus_decoder(1), create_opus_decoder(1)
    sound, wanted, error = [], 0.0, 0.0
    for index, payload in enumerate(payloads[:-1]):
        right = reference.decode(payload)
        if index % 10 != 5:
            sound.append(decoder.decode(payload))
            continue
        sound.append(replace(decoder, payloads[index + 1]))
        wanted += float(np.sum(np.square(right, dtype=np.float64)))
        error += float(np.sum(np.square(np.subtract(right, sound[-1], dtype=np.float64))))
    return np.concatenate(sound), 10 * np.log10(wanted / error)


needs_library = pytest.mark.skipif(LIBRARY is None, reason="only libopus conceals")


@needs_library
def test_concealment_continues_the_voice():
    payloads = encode(create_opus_encoder(1, 32_000), vowels(4.0))
    whole = decode(create_opus_decoder(1), payloads)
    sound, fit_db = losing_every_tenth(payloads, lambda decoder, _: decoder.conceal(BLOCK))
    assert len(sound) == len(whole) - BLOCK
    assert fit_db > 2  # silence would be 0
    assert level_db(sound) == pytest.approx(level_db(whole), abs=1)
    steepest = np.abs(np.diff(whole[:, 0].astype(int))).max()
    assert np.abs(np.diff(sound[:, 0].astype(int))).max() < 2 * steepest


@needs_library
def test_the_next_packet_repairs_a_loss_better_than_concealment():
    payloads = encode(create_opus_encoder(1, 32_000), vowels(4.0))
    _, guessed_db = losing_every_tenth(payloads, lambda decoder, _: decoder.conceal(BLOCK))
    _, fit_db = losing_every_tenth(payloads, lambda decoder, next_: decoder.recover(next_, BLOCK))
    assert fit_db > guessed_db + 5


@pytest.mark.parametrize("make_decoder", DECODERS)
def test_recovering_from_anything_gives_the_samples_asked_for(make_decoder):
    rng = random.Random(3)
    decoder = make_decoder(1)
    for samples in (1, 480, 960, 2880, 5760):
        for following in (b"", b"\xff", rng.randbytes(50)):
            assert decoder.recover(following, samples).shape == (samples, 1)


def test_the_fallback_fades_out():
    decoder = PyAvOpusDecoder(1)
    before = decode(decoder, encode(PyAvOpusEncoder(1, 32_000), tone(1.0)))
    gap = decoder.conceal(BLOCK)
    assert level_db(gap) == pytest.approx(level_db(before[-BLOCK:]) - 5, abs=2)
    assert abs(int(gap[0, 0]) - int(before[-1, 0])) < 600
    assert abs(gap[-1, 0]) < 600
    assert not decoder.conceal(BLOCK).any()


@pytest.mark.parametrize("make_decoder", DECODERS)
@pytest.mark.parametrize("samples", [1, 100, 120, 480, 961, 2880, 5760])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_number_of_samples_can_be_concealed(make_decoder, samples, channels):
    decoder = make_decoder(channels)
    assert decoder.conceal(samples).shape == (samples, channels)  # even before the first packet
    decode(decoder, encode(create_opus_encoder(1, 32_000), tone(0.2)))
    assert decoder.conceal(samples).shape == (samples, channels)


def frames(sound):
    """The sound as aiortc's encoder wants it."""
    for begin in range(0, len(sound), BLOCK):
        block = np.ascontiguousarray(sound[begin : begin + BLOCK])
        layout = "stereo" if block.shape[1] == 2 else "mono"
        frame = AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts = RATE, begin
        frame.time_base = fractions.Fraction(1, RATE)
        yield frame


@pytest.mark.parametrize("channels", [1, 2])
def test_aiortc_decodes_what_we_encode(channels):
    sound = tone(2.0, 440, channels=channels)
    decoder = OpusDecoder()
    heard = []
    for index, payload in enumerate(encode(create_opus_encoder(channels, 32_000), sound)):
        for frame in decoder.decode(JitterFrame(data=payload, timestamp=index * BLOCK)):
            heard.append(frame.to_ndarray().reshape(-1, 2))
    assert_same_tone(np.concatenate(heard), sound, 440)


@pytest.mark.parametrize("channels", [1, 2])
def test_we_decode_what_aiortc_encodes(channels):
    sound = tone(2.0, 440, channels=2)
    encoder = OpusEncoder()
    payloads = [payload for frame in frames(sound) for payload in encoder.encode(frame)[0]]
    assert_same_tone(decode(create_opus_decoder(channels), payloads), sound, 440)


@pytest.mark.skipif(LIBRARY is None, reason="there is only one decoder")
@pytest.mark.parametrize("channels", [1, 2])
def test_the_fallback_decodes_the_same(channels):
    sound = tone(2.0, 440, channels=channels)
    payloads = encode(create_opus_encoder(channels, 48_000), sound)
    ours = decode(LibOpusDecoder(LIBRARY, channels), payloads)
    theirs = decode(PyAvOpusDecoder(channels), payloads)
    size = min(len(ours), len(theirs))
    # FFmpeg may cut or keep the encoder's 6.5 ms of look-ahead at the beginning.
    best = min(
        np.abs(ours[shift:size].astype(int) - theirs[: size - shift].astype(int)).mean()
        for shift in (0, 312)
    )
    assert best < 2


@pytest.mark.parametrize("make_decoder", DECODERS)
def test_garbage_is_a_media_error_or_sound_and_nothing_else(make_decoder):
    rng = random.Random(2)
    decoder = make_decoder(1)
    refused = 0
    for _ in range(1000):
        try:
            sound = decoder.decode(rng.randbytes(rng.randrange(80)))
        except MediaError:
            refused += 1
        else:
            assert sound.shape[1] == 1
    assert refused > 0
    payloads = encode(create_opus_encoder(1, 32_000), tone(2.0))
    assert_same_tone(decode(decoder, payloads), tone(2.0), 440)  # and it still works


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_a_payload_plays_as_long_as_its_first_bytes_say(payload):
    decoder = create_opus_decoder(1)
    samples = packet_samples(payload)
    assert 0 <= samples <= 5760
    with contextlib.suppress(MediaError):
        assert len(decoder.decode(payload)) == samples


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"", 0),
        (b"\x00", 480),  # SILK, 10 ms
        (b"\x18", 2880),  # SILK, 60 ms
        (b"\x19", 5760),  # two of them
        (b"\x1b\x03", 0),  # three are too long
        (b"\x68", 960),  # hybrid, 20 ms
        (b"\x80", 120),  # CELT, 2.5 ms
        (b"\xf8", 960),  # CELT, 20 ms
        (b"\xfa", 1920),
        (b"\xfb\x06", 5760),
        (b"\xfb\x07", 0),
        (b"\xfb\x00", 0),
        (b"\xfb", 0),
    ],
)
def test_durations_of_packets(payload, samples):
    assert packet_samples(payload) == samples


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((480, 1), np.int16),
        np.zeros((960, 2), np.int16),
        np.zeros((960, 1), np.float32),
    ],
)
def test_blocks_of_the_wrong_shape_or_type_are_refused(make_encoder, wrong):
    with pytest.raises(MediaError, match="960"):
        make_encoder(1, 32_000).encode(wrong)


def test_a_block_need_not_be_contiguous():
    wide = np.hstack((tone(1.0), tone(1.0, 900)))
    payloads = encode(create_opus_encoder(1, 32_000), wide[:, :1])
    assert_same_tone(decode(create_opus_decoder(1), payloads), tone(1.0), 440)


def test_pyav_takes_over_where_there_is_no_libopus(monkeypatch):
    monkeypatch.setattr("ipconf.codecs.opus.load", lambda: None)
    assert isinstance(create_opus_encoder(1, 32_000), PyAvOpusEncoder)
    assert isinstance(create_opus_decoder(2), PyAvOpusDecoder)


def test_the_format_decides_on_the_channels():
    stereo = PayloadFormat(111, "OPUS", 48_000, 2, {"stereo": "1"})
    assert create_audio_encoder(OPUS, 32_000).channels == 1
    assert create_audio_decoder(OPUS).channels == 1
    assert create_audio_encoder(stereo, 32_000).channels == 2
    assert create_audio_decoder(stereo).channels == 2


@pytest.mark.parametrize(("name", "rate"), [("GSM", 8000), ("opus", 8000), ("VP8", 90_000)])
def test_other_formats_have_no_audio_codec(name, rate):
    with pytest.raises(MediaError, match=name):
        create_audio_decoder(PayloadFormat(1, name, rate))
    with pytest.raises(MediaError, match=name):
        create_audio_encoder(PayloadFormat(1, name, rate), 32_000)
