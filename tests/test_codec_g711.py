"""G.711: the tables are those of the standard, sound keeps its loudness, losses are concealed."""

from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.g711 import PcmaDecoder, PcmaEncoder, PcmuDecoder, PcmuEncoder
from aiortc.jitterbuffer import JitterFrame
from audio_lab import RATE, level_db, pitch_hz, tone, vowels
from codec_lab import assert_same_tone, decode, delay_s, encode, longest_step, losing_some, noise
from hypothesis import given
from hypothesis import strategies as st

from ipconf.codecs.g711 import G711Decoder, G711Encoder, decoding_table, encoding_table
from ipconf.errors import MediaError

LAWS = ["PCMU", "PCMA"]
FFMPEG = {"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}
AIORTC = {"PCMU": (PcmuEncoder, PcmuDecoder), "PCMA": (PcmaEncoder, PcmaDecoder)}
SAMPLES = np.arange(1 << 16).astype(np.uint16).view(np.int16)


@pytest.mark.parametrize("law", LAWS)
def test_codes_mean_what_they_mean_to_others(law):
    context = av.CodecContext.create(FFMPEG[law], "r")
    context.layout, context.sample_rate = "mono", 8000
    (frame,) = context.decode(av.Packet(bytes(range(256))))
    np.testing.assert_array_equal(decoding_table(law), frame.to_ndarray()[0])


@pytest.mark.parametrize("law", LAWS)
def test_every_sample_gets_the_code_that_is_nearest(law):
    values, codes = decoding_table(law).astype(int), encoding_table(law)
    nearest = np.abs(SAMPLES[:, np.newaxis].astype(int) - values).min(axis=1)
    np.testing.assert_array_equal(np.abs(values[codes] - SAMPLES), nearest)


@pytest.mark.parametrize("law", LAWS)
def test_a_code_survives_decoding_and_encoding(law):
    codes = np.arange(256, dtype=np.uint8)
    again = encoding_table(law)[decoding_table(law).view(np.uint16)]
    different = codes[again != codes]
    assert different.tolist() == ([0x7F] if law == "PCMU" else [])  # there is a negative zero


def test_silence_is_the_code_that_everybody_knows():
    silence = np.zeros((960, 1), np.int16)
    assert set(G711Encoder("PCMU", 960).encode(silence)) == {0xFF}
    assert set(G711Encoder("PCMA", 960).encode(silence)) == {0xD5}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("hz", [150, 440, 1000, 3000])
def test_a_tone_comes_out_as_it_went_in(law, hz):
    sound = tone(1.0, hz)
    payloads = encode(G711Encoder(law, 960), sound)
    assert {len(payload) for payload in payloads} == {160}
    heard = decode(G711Decoder(law), payloads)
    assert heard.dtype == np.int16 and heard.shape == (len(sound), 1)
    assert_same_tone(heard, sound, hz)


@pytest.mark.parametrize("law", LAWS)
def test_the_codec_adds_no_more_than_5_ms(law):
    sound = noise(0.5)
    heard = decode(G711Decoder(law), encode(G711Encoder(law, 960), sound))
    assert 0 < delay_s(heard, sound) < 0.005


@pytest.mark.parametrize("law", LAWS)
def test_what_aiortc_encodes_we_decode(law):
    sound = tone(1.0)
    encoder = AIORTC[law][0]()
    payloads = []
    for begin in range(0, len(sound), 960):
        frame = av.AudioFrame.from_ndarray(
            sound[begin : begin + 960].reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
        payloads += encoder.encode(frame)[0]
    assert_same_tone(decode(G711Decoder(law), payloads), sound, 440)


@pytest.mark.parametrize("law", LAWS)
def test_what_we_encode_aiortc_decodes(law):
    sound = tone(1.0)
    decoder = AIORTC[law][1]()
    heard = []
    for index, payload in enumerate(encode(G711Encoder(law, 960), sound)):
        for frame in decoder.decode(JitterFrame(data=payload, timestamp=160 * index)):
            heard.append(frame.to_ndarray().reshape(-1, 1))
    wave = np.concatenate(heard)
    assert pitch_hz(wave) * 8000 / RATE == pytest.approx(440, abs=1)
    assert level_db(wave[2000:]) == pytest.approx(level_db(sound), abs=0.5)


@pytest.mark.parametrize("law", LAWS)
def test_a_lost_packet_sounds_like_what_was_before_it(law):
    voice = vowels(3.0)
    payloads = encode(G711Encoder(law, 960), voice)
    whole = decode(G711Decoder(law), payloads)
    lossy = losing_some(G711Decoder(law), payloads)
    assert len(lossy) == len(whole)
    changed = np.abs(lossy.astype(int) - whole)[:, 0] > 0
    error = np.sum((lossy.astype(float) - whole)[changed] ** 2)
    assert 10 * np.log10(np.sum(whole[changed].astype(float) ** 2) / error) > 3  # silence is 0
    assert level_db(lossy) == pytest.approx(level_db(whole), abs=1)
    assert longest_step(lossy) < 1.5 * longest_step(whole)


@pytest.mark.parametrize("samples", [1, 100, 480, 960, 5760, 8640])
def test_any_number_of_samples_can_be_concealed(samples):
    decoder = G711Decoder("PCMU")
    assert decoder.conceal(samples).shape == (samples, 1)
    decode(decoder, encode(G711Encoder("PCMU", 960), tone(0.2)))
    assert decoder.conceal(samples).shape == (samples, 1)


@pytest.mark.parametrize("law", LAWS)
@given(payload=st.binary(max_size=2000))
def test_any_bytes_are_sound(law, payload):
    decoder = G711Decoder(law)
    if payload:
        assert decoder.decode(payload).shape == (6 * len(payload), 1)
    else:
        with pytest.raises(MediaError):
            decoder.decode(payload)


def test_the_bit_rate_is_what_it_is():
    encoder = G711Encoder("PCMA", 960)
    encoder.bitrate_bps = 1000
    assert encoder.bitrate_bps == 64_000


@pytest.mark.parametrize("wrong", [np.zeros((480, 1), np.int16), np.zeros((960, 2), np.int16)])
def test_blocks_of_the_wrong_shape_are_refused(wrong):
    with pytest.raises(MediaError, match="960"):
        G711Encoder("PCMU", 960).encode(wrong)
