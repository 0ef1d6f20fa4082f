"""The sum of several people's sound."""

from __future__ import annotations

import numpy as np
import pytest

from ipconf.pipelines.mixing import mix


def block(value: int, channels: int = 1) -> np.ndarray:
    return np.full((960, channels), value, np.int16)


def test_everybody_is_in_it() -> None:
    assert np.array_equal(mix([block(1), block(20), block(300)]), block(321))


def test_one_alone_stays_as_it_is() -> None:
    assert np.array_equal(mix([block(7, 2)]), block(7, 2))


@pytest.mark.parametrize("value", [20_000, -20_000])
def test_a_hundred_who_shout_in_phase_saturate(value: int) -> None:
    mixed = mix([block(value)] * 100)
    assert mixed.dtype == np.int16
    assert np.array_equal(mixed, block(32767 if value > 0 else -32768))


def test_loud_and_opposite_cancel_before_they_are_cut() -> None:
    assert np.array_equal(mix([block(30_000), block(30_000), block(-30_000)]), block(30_000))


def test_mono_is_spread_where_others_are_stereo() -> None:
    stereo = np.stack([np.arange(960), -np.arange(960)], axis=1).astype(np.int16)
    assert np.array_equal(mix([block(5), stereo]), stereo + 5)


def test_what_was_given_is_not_changed() -> None:
    given = [block(1), block(2)]
    mix(given)
    assert np.array_equal(given[0], block(1)) and np.array_equal(given[1], block(2))
