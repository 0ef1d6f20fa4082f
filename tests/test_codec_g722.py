"""G.722: wide sound through FFmpeg's codec, losses concealed, in packets of any time."""

from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.g722 import G722Decoder as AiortcDecoder
from aiortc.codecs.g722 import G722Encoder as AiortcEncoder
from aiortc.jitterbuffer import JitterFrame
from audio_lab import RATE, level_db, pitch_hz, tone, vowels
from codec_lab import assert_same_tone, decode, delay_s, encode, longest_step, losing_some, noise
from hypothesis import given, settings
from hypothesis import strategies as st

from ipconf.codecs.g722 import G722Decoder, G722Encoder
from ipconf.errors import MediaError


@pytest.mark.parametrize("hz", [150, 440, 3000, 6000])
def test_a_tone_comes_out_as_it_went_in(hz):
    sound = tone(1.0, hz)
    heard = decode(G722Decoder(), encode(G722Encoder(960), sound))
    assert heard.dtype == np.int16 and heard.shape == (len(sound), 1)
    assert_same_tone(heard, sound, hz)


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60, 120, 180])
def test_a_packet_has_a_byte_for_each_tick_of_8_khz(ptime_ms):
    sound = tone(1.08)
    payloads = encode(G722Encoder(48 * ptime_ms), sound)
    assert [len(payload) for payload in payloads] == [8 * ptime_ms] * (1080 // ptime_ms)
    assert_same_tone(decode(G722Decoder(), payloads), sound, 440)


def test_packets_of_one_time_are_cut_from_the_same_bits_as_of_another():
    sound = vowels(1.2)
    short, long = (encode(G722Encoder(samples), sound) for samples in (480, 2880))
    assert b"".join(short) == b"".join(long)


def test_the_codec_adds_no_more_than_5_ms():
    sound = noise(0.5)
    heard = decode(G722Decoder(), encode(G722Encoder(960), sound))
    assert 0 < delay_s(heard, sound) < 0.005


def test_what_aiortc_encodes_we_decode():
    sound = tone(1.0, 1500)
    encoder, payloads = AiortcEncoder(), []
    for begin in range(0, len(sound), 960):
        frame = av.AudioFrame.from_ndarray(
            sound[begin : begin + 960].reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
        payloads += encoder.encode(frame)[0]
    assert_same_tone(decode(G722Decoder(), payloads), sound, 1500)


def test_what_we_encode_aiortc_decodes():
    sound = tone(1.0, 1500)
    decoder, heard = AiortcDecoder(), []
    for index, payload in enumerate(encode(G722Encoder(960), sound)):
        for frame in decoder.decode(JitterFrame(data=payload, timestamp=160 * index)):
            heard.append(frame.to_ndarray().reshape(-1, 1))
    wave = np.concatenate(heard)
    assert pitch_hz(wave) * 16_000 / RATE == pytest.approx(1500, abs=1)
    assert level_db(wave[4000:]) == pytest.approx(level_db(sound), abs=0.5)


def test_a_lost_packet_sounds_like_what_was_before_it():
    payloads = encode(G722Encoder(960), vowels(3.0))
    whole = decode(G722Decoder(), payloads)
    lossy = losing_some(G722Decoder(), payloads)
    assert len(lossy) == len(whole)
    assert level_db(lossy) == pytest.approx(level_db(whole), abs=1)
    assert longest_step(lossy) < 1.5 * longest_step(whole)


@given(payload=st.binary(max_size=1500))
@settings(deadline=None)
def test_any_bytes_are_sound(payload):
    decoder = G722Decoder()
    if payload:
        assert decoder.decode(payload).shape == (6 * len(payload), 1)
    else:
        with pytest.raises(MediaError):
            decoder.decode(payload)
    assert decoder.conceal(960).shape == (960, 1)
