"""Levels in dBov, and who talks."""

import numpy as np
import pytest
from audio_lab import tone

from ipconf.engine.speakers import SILENT_LEVEL, TalkDetector, level_of, levels_of


@pytest.mark.parametrize("channels", [1, 2])
def test_a_square_wave_of_full_scale_is_0_dbov(channels):
    square = np.tile(np.array([32767, -32767], np.int16), 480 * channels)
    assert level_of(square.reshape(-1, channels)) == 0


@pytest.mark.parametrize("channels", [1, 2])
def test_a_sine_of_full_scale_is_3_db_below(channels):
    assert level_of(tone(0.02, 1000, peak=32767, channels=channels)) == 3


def test_the_level_falls_20_db_per_tenth():
    assert [level_of(np.full((960, 1), 32767 // 10**n, np.int16)) for n in range(4)] == [
        0,
        20,
        40,
        60,
    ]


def test_the_most_negative_sample_stays_on_the_scale():
    assert level_of(np.full((960, 1), -32768, np.int16)) == 0


def test_silence_and_nothing_are_the_lowest_level():
    assert level_of(np.zeros((960, 2), np.int16)) == SILENT_LEVEL
    assert level_of(np.empty((0, 1), np.int16)) == SILENT_LEVEL


def test_a_single_step_is_not_silence():
    one = np.zeros((960, 1), np.int16)
    one[5] = 1
    assert 110 < level_of(one) < SILENT_LEVEL


def test_a_channel_of_silence_takes_3_db():
    both = tone(0.02, 1000, channels=2)
    left = both.copy()
    left[:, 1] = 0
    assert level_of(left) == level_of(both) + 3


def talk(detector, levels, begin=0.0, step=0.02):
    """What `update` says for levels 20 ms apart."""
    return [detector.update(level, begin + i * step) for i, level in enumerate(levels)]


def test_the_levels_of_many_blocks_are_those_of_each():
    rng = np.random.default_rng(3)
    blocks = [(rng.normal(0, 1, (960, 2)) * 10**p).astype(np.int16) for p in np.arange(-1, 4, 0.1)]
    blocks += [np.zeros((960, 2), np.int16), np.full((960, 2), -32768, np.int16)]
    assert levels_of(blocks) == [level_of(block) for block in blocks]
    assert levels_of(blocks)[-2:] == [127, 0]
    stereo_and_mono = [blocks[-3], blocks[-4][:, :1]]
    assert levels_of(stereo_and_mono) == [level_of(block) for block in stereo_and_mono]


def test_talk_begins_with_the_second_loud_level():
    detector = TalkDetector()
    assert talk(detector, [60, 30, 30, 30]) == [None, None, True, None]
    assert detector.talking


def test_a_click_is_not_talk():
    detector = TalkDetector()
    assert talk(detector, [127, 10] + [127] * 60 + [10] + [127] * 60) == [None] * 123
    assert not detector.talking


def test_loud_levels_too_far_apart_are_clicks():
    assert talk(TalkDetector(), [10] * 5, step=0.11) == [None] * 5


def test_the_border_is_45_dbov():
    assert talk(TalkDetector(), [45, 45])[-1] is True
    assert talk(TalkDetector(), [46] * 50) == [None] * 50


def test_pauses_between_words_do_not_end_talk():
    detector = TalkDetector()
    talk(detector, [30, 30])
    assert talk(detector, [127] * 29, begin=0.04) == [None] * 29
    assert talk(detector, [30], begin=0.61) == [None]
    assert detector.talking


def test_talk_ends_once_after_the_hold_time():
    detector = TalkDetector()
    talk(detector, [30, 30])
    said = talk(detector, [127] * 60, begin=0.04)
    assert said.count(False) == 1
    assert 0.6 <= 0.04 + said.index(False) * 0.02 - 0.02 < 0.63
    assert not detector.talking


def test_a_source_that_stops_sending_is_expired():
    detector = TalkDetector()
    talk(detector, [30, 30])
    assert detector.expire(0.5) is None
    assert detector.expire(0.7) is False
    assert detector.expire(9.0) is None


def test_talk_can_begin_again_and_needs_two_levels_again():
    detector = TalkDetector()
    talk(detector, [30, 30])
    detector.expire(1.0)
    assert talk(detector, [30, 30], begin=1.02) == [None, True]
