"""What each of many listeners hears of many voices, and the limiter behind it."""

from __future__ import annotations

import numpy as np
import pytest
from audio_lab import BLOCK, RATE, tone, vowels
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ipconf.pipelines.limiter import CEILING, FULL_SCALE, RELEASE_DB_PER_S
from ipconf.pipelines.mix_minus import Mix, Room, Row, mix_minus, steady
from ipconf.terminals.convert import with_channels

EVERYBODY: Row = ()


def without(*voices: int) -> Row:
    return tuple((voice, 0.0) for voice in voices)


def voice(seed: int, loudness: float = 300.0, channels: int = 1) -> NDArray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, loudness, (BLOCK, channels)).clip(-32768, 32767).astype(np.int16)


def ticks_of(sound: NDArray) -> list[NDArray]:
    return np.split(sound[: len(sound) // BLOCK * BLOCK], len(sound) // BLOCK)


def hear(sounds: list[NDArray], row: Row = EVERYBODY, channels: int = 1) -> tuple[NDArray, list]:
    """What one listener hears of voices over many ticks, and the limiter's gain after each."""
    held, heard, gains = 1.0, [], []
    for blocks in zip(*map(ticks_of, sounds), strict=True):
        out, (held,) = mix_minus(blocks, [steady(row, held)], channels)
        heard.append(out[0])
        gains.append(held)
    return np.concatenate(heard), gains


def sharpest_bend(sound: NDArray) -> float:
    """The largest second difference: a click has a large one, whatever the sound around it."""
    return float(np.abs(np.diff(sound[:, 0].astype(np.float64), 2)).max())


def distortion_db(sound: NDArray, hz: float) -> float:
    """The power of all that is not the tone, against the tone; whole periods, please."""
    spectrum = np.square(np.abs(np.fft.rfft(sound[:, 0].astype(np.float64))))
    place = round(hz * len(sound) / RATE)
    return float(10 * np.log10((spectrum.sum() - spectrum[place]) / spectrum[place]))


# -- sums


def test_one_voice_stays_bit_for_bit() -> None:
    loud = np.random.default_rng(1).integers(-32768, 32768, (BLOCK, 1), dtype=np.int16)
    loud[:2] = [[-32768], [32767]]
    heard, held = mix_minus([loud], [steady(EVERYBODY)], 1)
    assert np.array_equal(heard[0], loud)
    assert held == [1.0]


def test_each_of_two_hears_just_the_other() -> None:
    one, other = voice(1, 9000), voice(2, 9000)
    heard, held = mix_minus([one, other], [steady(without(0)), steady(without(1))], 1)
    assert np.array_equal(heard[0], other)
    assert np.array_equal(heard[1], one)
    assert held == [1.0, 1.0]


def test_nobody_of_fifty_hears_oneself() -> None:
    voices = [voice(seed) for seed in range(50)]
    heard, _ = mix_minus(voices, [steady(without(own)) for own in range(50)], 1)
    for own in range(50):
        others = sum(v.astype(np.int32) for v in voices[:own] + voices[own + 1 :])
        assert np.array_equal(heard[own], others)


def test_no_voices_are_silence_and_no_mixes_nothing() -> None:
    heard, held = mix_minus([], [steady(EVERYBODY), steady(EVERYBODY, 0.5)], 2)
    assert heard.shape == (2, BLOCK, 2) and not heard.any()
    assert held[0] == 1.0 and 0.5 < held[1] < 0.6
    heard, held = mix_minus([voice(1)], [], 1)
    assert heard.shape == (0, BLOCK, 1) and held == []


def test_what_was_given_is_not_changed_and_what_was_made_stays() -> None:
    room, given_voice = Room(), voice(1)
    first, _ = mix_minus([given_voice], [steady(EVERYBODY)], 1, room)
    mix_minus([voice(2, 30_000)] * 3, [steady(EVERYBODY)], 1, room)
    assert np.array_equal(given_voice, voice(1))
    assert np.array_equal(first[0], voice(1))


@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_survives_any_number_of_hops(channels: int) -> None:
    left_and_right = np.hstack((voice(1), voice(2)))
    mono = voice(3)
    heard, _ = mix_minus([left_and_right, mono], [steady(EVERYBODY)], channels)
    expected = with_channels(left_and_right, channels) + with_channels(mono, channels)
    assert np.array_equal(heard[0], expected)
    for hop in range(6):
        mono = mix_minus([mono], [steady(EVERYBODY)], 1 + (hop + channels) % 2)[0][0]
    assert np.array_equal(with_channels(mono, 1), voice(3))


# -- gains that change


def test_a_voice_that_goes_and_comes_does_not_click() -> None:
    sound = tone(0.08, 300, 8000)
    gone = without(0)
    mixes = [steady(EVERYBODY), Mix(EVERYBODY, gone), Mix(gone, EVERYBODY), steady(EVERYBODY)]
    blocks = [
        mix_minus([block], [mix], 1)[0][0]
        for block, mix in zip(ticks_of(sound), mixes, strict=True)
    ]
    heard = np.concatenate(blocks)
    assert not blocks[1][-1].any()
    assert np.array_equal(blocks[3], ticks_of(sound)[3])
    assert sharpest_bend(heard) < sharpest_bend(sound) + 3  # rounding twice makes 2
    cut = np.concatenate((blocks[0][: BLOCK // 4 + 40], np.zeros_like(blocks[0])))
    assert sharpest_bend(cut) > 10 * sharpest_bend(heard)  # what a click would be


def test_the_own_voice_stays_out_while_others_come_and_go() -> None:
    voices = [voice(1, 5000), voice(2, 1000), voice(3, 1000)]
    mixes = [
        Mix(((0, 0.0), (1, 0.0)), ((0, 0.0), (2, 0.25))),
        Mix(((1, 0.0), (0, 0.0)), ((2, 0.25), (0, 0.0))),
    ]
    heard, _ = mix_minus(voices, mixes, 1)
    silent = mix_minus([np.zeros_like(voices[0]), *voices[1:]], mixes, 1)[0]
    assert np.array_equal(heard, silent)
    assert np.array_equal(heard[0], heard[1])
    assert np.any(heard[0] != voices[2])


def test_half_a_voice_is_half_as_loud() -> None:
    heard, _ = mix_minus([voice(1), voice(2)], [steady(((1, 0.5), (0, 0.25)))], 1)
    assert np.abs(heard[0] - (voice(1) * 0.25 + voice(2) * 0.5)).max() <= 0.5


GAIN = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 2, width=32))
ROW = st.dictionaries(st.integers(0, 5), GAIN, max_size=6).map(lambda gains: tuple(gains.items()))
MIX = st.builds(Mix, ROW, ROW, st.sampled_from([1.0, 0.9990234375, 0.5, 0.01]))


def reference(sounds: list[NDArray], mix: Mix, channels: int) -> NDArray:
    """The same in 64 bits, one voice after the other, without a limiter."""
    after_share = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, BLOCK + 1) / BLOCK)[:, np.newaxis]
    total = np.zeros((BLOCK, channels))
    before, after = dict(mix.before), dict(mix.after)
    for index, sound in enumerate(sounds):
        begin, end = before.get(index, 1.0), after.get(index, 1.0)
        total += with_channels(sound, channels) * (begin + (end - begin) * after_share)
    return total


@settings(max_examples=150, deadline=None)
@given(
    st.lists(MIX, min_size=1, max_size=8),
    st.sampled_from([1, 2]),
    st.lists(st.sampled_from([1, 2]), min_size=6, max_size=6),
    st.sampled_from([100.0, 2000.0, 15000.0, 60000.0]),
    st.integers(0, 1000),
)
def test_any_mixes_of_any_voices(mixes, channels, widths, loudness, seed) -> None:
    sounds = [voice(seed + k, loudness, width) for k, width in enumerate(widths)]
    heard, held = mix_minus(sounds, mixes, channels, Room())
    assert heard.shape == (len(mixes), BLOCK, channels) and heard.dtype == np.int16
    for place, mix in enumerate(mixes):
        alone, (gain,) = mix_minus(sounds, [mix], channels)
        assert np.array_equal(alone[0], heard[place])
        assert gain == held[place]
        right = reference(sounds, mix, channels)
        if np.abs(right).max() < FULL_SCALE and mix.held == 1:
            assert np.abs(heard[place] - right).max() <= 1
            assert gain == 1
        # Turned down or not, it never wraps: no sample has the wrong sign or is made louder.
        assert np.all(np.abs(heard[place]) <= np.abs(right) + 1)
        assert np.all(heard[place] * right >= -1)


# -- the limiter


@pytest.mark.parametrize("hz", [100, 440, 1000, 3000])
def test_a_hundred_who_shout_in_phase_stay_a_sine(hz: int) -> None:
    shout = tone(1.0, hz, 32767)
    heard, gains = hear([shout] * 100)
    assert np.abs(heard).max() <= FULL_SCALE
    settled = heard[RATE // 2 :]
    assert np.abs(settled).max() == pytest.approx(CEILING, rel=0.003)
    assert distortion_db(settled, hz) < -60
    assert max(gains[5:]) / min(gains[5:]) < 1.005


@pytest.mark.parametrize("begins", [0, 1, 60, 119, 120, 500, 959])
def test_a_sudden_shout_neither_wraps_nor_clicks(begins: int) -> None:
    talk = tone(0.2, 200, 8000)
    shout = np.roll(tone(0.2, 300, 30_000), BLOCK + begins, axis=0)
    shout[: BLOCK + begins] = 0
    heard, gains = hear([talk, *[shout] * 20])
    wanted = talk.astype(np.float64) + 20.0 * shout
    assert np.all(heard * wanted >= -1)
    assert np.abs(heard).max() <= FULL_SCALE
    assert np.array_equal(heard[:BLOCK], talk[:BLOCK])
    # The wave steepens by the factor of 21 until it is turned down; a wrap would make 65535.
    assert sharpest_bend(heard) < 20 * sharpest_bend(shout)
    if 100 < begins < 900:  # time enough to be down before the peak
        assert sharpest_bend(heard) < 1.2 * sharpest_bend(shout)
    assert gains[0] == 1.0 and gains[2] < 0.07


def test_it_comes_back_slowly_and_to_rest() -> None:
    shout, after = tone(0.2, 440, 32767), tone(1.0, 440, 3000)
    heard, gains = hear([np.concatenate((shout, after)), np.concatenate((shout, after * 0))])
    seconds_back = -20 * np.log10(gains[9]) / RELEASE_DB_PER_S
    rests = next(tick for tick in range(10, len(gains)) if gains[tick] == 1.0)
    assert 0.1 < seconds_back < 0.5
    assert rests - 9 == np.ceil(seconds_back / 0.02)
    assert gains[9:] == sorted(gains[9:])
    assert np.array_equal(heard[(rests + 1) * BLOCK :], after[(rests - 9) * BLOCK :])
    assert sharpest_bend(heard[10 * BLOCK :]) < sharpest_bend(after) + 3


def test_a_voice_that_is_a_little_too_loud_is_not_modulated() -> None:
    low = vowels(2.0)  # 140 Hz, with syllables
    heard, gains = hear([low, low, low, low])
    steps_db = 20 * np.abs(np.diff(np.log10(gains)))
    assert np.abs(heard).max() <= FULL_SCALE
    rising = steps_db[np.diff(gains) > 0]
    assert rising.max() <= RELEASE_DB_PER_S * 0.02 + 1e-4
    original = 4.0 * low[BLOCK:]
    gain = np.abs(heard[BLOCK:]).astype(np.float64).sum() / np.abs(original).sum()
    error = heard[BLOCK:] - gain * original
    assert 10 * np.log10(np.square(error).sum() / np.square(heard[BLOCK:] * 1.0).sum()) < -15


def test_both_ears_are_turned_down_alike() -> None:
    left, right = tone(0.2, 440, 30_000), tone(0.2, 440, 3000)
    heard, gains = hear([np.hstack((left, right))] * 4, channels=2)
    assert gains[-1] < 0.3
    settled = heard[4 * BLOCK :].astype(np.float64)
    assert np.abs(settled[:, 0] - 10 * settled[:, 1]).max() < 20  # each is rounded, twice


def test_only_loud_rows_are_turned_down() -> None:
    voices = [voice(1, 6000), np.full((BLOCK, 1), 30_000, np.int16), voice(2)]
    heard, held = mix_minus(voices, [steady(without(1)), steady(EVERYBODY)], 1)
    assert np.array_equal(heard[0], voices[0] + voices[2])
    assert held[0] == 1.0 and held[1] < 1.0
