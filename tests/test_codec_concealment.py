"""What replaces lost sound: the pitch goes on without a click, then fades, then makes way."""

import numpy as np
import pytest
from audio_lab import level_db
from codec_lab import longest_step

from ipconf.codecs.concealment import Concealer

RATES = [8_000, 16_000, 44_100, 48_000]


def sine(rate_hz, hz, begin_s, seconds, channels=1):
    at = round(begin_s * rate_hz) + np.arange(round(seconds * rate_hz))
    wave = (np.sin(2 * np.pi * hz * at / rate_hz) * 8000).astype(np.int16)
    return np.repeat(wave[:, np.newaxis], channels, axis=1)


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("hz", [80, 123, 200, 440, 1111])
def test_a_tone_goes_on_and_comes_back_without_a_click(rate_hz, channels, hz):
    concealer = Concealer(rate_hz, channels)
    before = concealer.received(sine(rate_hz, hz, 0, 0.1, channels))
    gap = concealer.conceal(rate_hz // 50)
    after = concealer.received(sine(rate_hz, hz, 0.12, 0.1, channels))
    assert gap.shape == (rate_hz // 50, channels)
    whole = np.concatenate((before, gap, after))
    assert longest_step(whole) < 1.35 * longest_step(before)
    wanted = sine(rate_hz, hz, 0.1, 0.02, channels).astype(float)
    error = gap - wanted
    assert 10 * np.log10(np.sum(wanted**2) / np.sum(error**2)) > 8
    # What comes after is itself again within 8 ms.
    overlap = rate_hz // 125
    np.testing.assert_array_equal(after[overlap:], sine(rate_hz, hz, 0.12, 0.1, channels)[overlap:])


def test_it_fades_out_within_60_ms():
    concealer = Concealer(8_000, 1)
    concealer.received(sine(8_000, 200, 0, 0.1))
    levels = [level_db(concealer.conceal(80)) for _ in range(8)]
    assert levels[0] == pytest.approx(level_db(sine(8_000, 200, 0, 0.1)), abs=0.7)
    assert levels == sorted(levels, reverse=True)
    assert levels[5] < levels[0] - 12
    assert levels[6] == levels[7] == -200.0


def test_after_a_long_loss_sound_fades_in():
    concealer = Concealer(8_000, 1)
    concealer.received(sine(8_000, 200, 0, 0.1))
    concealer.conceal(8000)
    after = concealer.received(sine(8_000, 200, 0.00125, 0.1))
    assert abs(after[0, 0]) < 300
    assert longest_step(after) < 1.35 * longest_step(sine(8_000, 200, 0, 0.1))


def test_pieces_of_a_gap_are_like_one():
    one, other = Concealer(8_000, 1), Concealer(8_000, 1)
    for concealer in (one, other):
        concealer.received(sine(8_000, 150, 0, 0.1))
    pieces = np.concatenate([other.conceal(size) for size in (1, 20, 139, 160)])
    np.testing.assert_array_equal(one.conceal(320), pieces)


def test_noise_keeps_its_loudness():
    rng = np.random.default_rng(5)
    concealer = Concealer(8_000, 1)
    noise = rng.normal(0, 2000, (1600, 1)).astype(np.int16)
    concealer.received(noise)
    assert level_db(concealer.conceal(80)) == pytest.approx(level_db(noise), abs=3)


def test_the_loudest_sound_does_not_wrap():
    square = np.repeat(np.array([32767, -32768] * 20, np.int16), 20)[:, np.newaxis]
    concealer = Concealer(8_000, 1)
    concealer.received(square)
    gap = concealer.conceal(80)
    assert np.sign(gap[:, 0]).tolist() == np.sign(square[:80, 0]).tolist()


def test_before_anything_was_heard_there_is_silence():
    concealer = Concealer(48_000, 2)
    assert not concealer.conceal(960).any()
    assert not concealer.conceal(0).size
