"""Rates are converted without loss of sound, without what was not there, and in any pieces."""

import random

import numpy as np
import pytest
from audio_lab import level_db
from codec_lab import gain_db

from ipconf.codecs.resampling import RateConverter

RATES = [(8_000, 48_000), (16_000, 48_000), (48_000, 8_000), (48_000, 16_000),
         (44_100, 48_000), (48_000, 44_100)]  # fmt: skip


def sine(rate_hz, hz, seconds=0.5, peak=8000):
    wave = np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz) * peak
    return wave.astype(np.int16)[:, np.newaxis]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.8])
def test_what_both_rates_hold_keeps_its_loudness(from_hz, to_hz, part):
    hz = part * min(from_hz, to_hz) / 2
    out = RateConverter(from_hz, to_hz, 1).convert(sine(from_hz, hz))
    assert gain_db(out, sine(from_hz, hz)) == pytest.approx(0, abs=0.2)
    spectrum = np.abs(np.fft.rfft(out[len(out) // 4 :, 0] * np.hanning(len(out) - len(out) // 4)))
    peak = np.argmax(spectrum)
    assert peak * to_hz / (len(out) - len(out) // 4) == pytest.approx(hz, abs=5)
    spectrum[max(0, peak - 5) : peak + 6] = 0
    assert 20 * np.log10(spectrum.max() / 8000 / len(out) * 4) < -55  # no images of it


@pytest.mark.parametrize("to_hz", [8_000, 16_000])
def test_what_the_lower_rate_cannot_hold_is_gone(to_hz):
    for part in (1.12, 1.5, 2.3):
        high = sine(48_000, part * to_hz / 2)
        assert gain_db(RateConverter(48_000, to_hz, 1).convert(high), high) < -50


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_pieces_sound_as_if_converted_in_one(from_hz, to_hz):
    rng = random.Random(4)
    sound = np.hstack((sine(from_hz, 440), sine(from_hz, 1000)))
    whole = RateConverter(from_hz, to_hz, 2).convert(sound)
    converter, pieces, at = RateConverter(from_hz, to_hz, 2), [], 0
    while at < len(sound):
        size = rng.choice([1, 7, 80, 160, 441, 960])
        pieces.append(converter.convert(sound[at : at + size]))
        at += size
    joined = np.concatenate(pieces)
    assert len(joined) == len(whole) == len(sound) * to_hz // from_hz
    assert np.abs(joined.astype(int) - whole).max() <= 1
    assert joined.flags.c_contiguous and joined.dtype == np.int16


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_the_delay_is_short_and_as_told(from_hz, to_hz):
    converter = RateConverter(from_hz, to_hz, 1)
    click = np.zeros((from_hz // 10, 1), np.int16)
    click[from_hz // 20] = 20000
    out = converter.convert(click)
    at = int(np.argmax(np.abs(out[:, 0]))) / to_hz
    assert at - 0.05 == pytest.approx(converter.delay_s, abs=2 / min(from_hz, to_hz))
    assert converter.delay_s <= 0.002


def test_loud_sound_saturates_and_does_not_wrap():
    square = np.repeat(np.array([32767, -32768] * 50, np.int16), 40)[:, np.newaxis]
    out = RateConverter(8_000, 48_000, 1).convert(square)
    assert np.abs(out).max() >= 32767
    assert np.abs(np.diff(out[:, 0].astype(int))).max() < 40000


def test_the_same_rate_is_no_work():
    sound = sine(48_000, 440)
    converter = RateConverter(48_000, 48_000, 1)
    assert converter.convert(sound) is sound and converter.delay_s == 0


def test_silence_stays_silent():
    out = RateConverter(48_000, 8_000, 1).convert(np.zeros((960, 1), np.int16))
    assert level_db(out) == -200.0
