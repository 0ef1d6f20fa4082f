"""Conversions at the edge: rates, channels, sample types, pictures, and what is refused."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terminal_lab import pitch_hz, rms, sine

from ipconf.errors import ConfigurationError, UsageError
from ipconf.terminals.convert import (
    AudioConverter,
    PictureConverter,
    Resampler,
    check_rate,
    frame_samples,
    to_array,
    to_int16,
    to_samples,
    with_channels,
)

RATES_HZ = (8_000, 11_025, 12_345, 16_000, 24_000, 44_100, 48_000, 96_000)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("up", [True, False])
def test_pitch_loudness_and_length_survive_every_rate(rate_hz: int, up: bool) -> None:
    from_hz, to_hz = (rate_hz, 48_000) if up else (48_000, rate_hz)
    resampler = Resampler(from_hz, to_hz, 1)
    wave = sine(1.0, rate_hz=from_hz)
    out = np.concatenate([resampler.convert(wave), resampler.flush()])
    assert abs(len(out) - to_hz) <= 1
    middle = out[to_hz // 10 : -to_hz // 10]
    assert pitch_hz(middle, to_hz) == pytest.approx(1000, abs=2)
    assert rms(middle) == pytest.approx(rms(wave), rel=0.01)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 7_999), max_size=12, unique=True),
    rate_hz=st.sampled_from(RATES_HZ),
    channels=st.sampled_from([1, 2]),
)
def test_pieces_sound_like_the_whole(cuts: list[int], rate_hz: int, channels: int) -> None:
    rng = np.random.default_rng(1)
    wave = rng.integers(-20_000, 20_000, (8_000, channels)).astype(np.int16)
    whole, pieces = (Resampler(rate_hz, 48_000, channels) for _ in range(2))
    expected = np.concatenate([whole.convert(wave), whole.flush()])
    parts = [pieces.convert(np.ascontiguousarray(p)) for p in np.split(wave, sorted(cuts))]
    assert np.array_equal(np.concatenate([*parts, pieces.flush()]), expected)


def test_mono_becomes_stereo_by_copying_and_comes_back_unchanged() -> None:
    mono = sine(0.02, peak=32_767)
    stereo = with_channels(mono, 2)
    assert stereo.shape == (960, 2)
    assert np.array_equal(stereo[:, 0], stereo[:, 1])
    assert np.array_equal(with_channels(stereo, 1), mono)


def test_stereo_becomes_mono_by_averaging_without_overflow() -> None:
    stereo = np.array([[32_767, 32_767], [-32_768, -32_768], [1000, 0], [-3, -5]], np.int16)
    assert with_channels(stereo, 1)[:, 0].tolist() == [32_767, -32_768, 500, -4]


def test_floats_saturate_and_nonsense_becomes_silence() -> None:
    wave = np.array([0.0, 0.5, -1.0, 1.0, 7.5, -7.5, np.inf, -np.inf, np.nan], np.float32)
    expected = [0, 16_384, -32_768, 32_767, 32_767, -32_768, 32_767, -32_768, 0]
    assert to_int16(wave).tolist() == expected
    assert to_int16(wave.astype(np.float64)).tolist() == expected


@pytest.mark.parametrize("sample_format", ["u8", "s16", "s32", "flt", "dbl"])
@pytest.mark.parametrize("planar", [False, True])
def test_audio_frames_of_every_usual_format(sample_format: str, planar: bool) -> None:
    wave = np.concatenate([sine(0.02), sine(0.02, hz=500)], axis=1)
    source = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="stereo")
    source.sample_rate = 44_100
    name = sample_format + ("p" if planar else "")
    (frame,) = av.AudioResampler(format=name, layout="stereo", rate=44_100).resample(source)
    samples = frame_samples(frame)
    assert samples.shape == wave.shape
    tolerance = 256 if sample_format == "u8" else 1
    assert np.abs(samples.astype(int) - wave).max() <= tolerance


def test_the_converter_follows_a_change_of_rate() -> None:
    converter = AudioConverter(48_000, 2)
    assert converter.convert(sine(0.02)[:, 0], 48_000).shape == (960, 2)
    narrow = converter.convert(sine(1.0, rate_hz=8_000), 8_000)
    assert abs(len(narrow) - 48_000) < 200
    assert converter.convert(sine(0.02), 48_000).shape == (960, 2)


@pytest.mark.parametrize("rate_hz", [0, -48_000, 7_999, 192_001, 44_100.0, "48000", None])
def test_rates_that_make_no_sense_are_refused(rate_hz: object) -> None:
    with pytest.raises(ConfigurationError, match="give a whole number of Hz"):
        check_rate(rate_hz)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros(0, np.int16), "without samples"),
        (np.zeros((0, 2), np.float32), "without samples"),
        (np.zeros((10, 3), np.int16), "1 or 2 channels"),
        (np.zeros((10, 0), np.int16), "1 or 2 channels"),
        (np.zeros((2, 10, 1), np.int16), "of shape"),
        (np.array(5, np.int16), "of shape"),
        (np.zeros(48_000 * 60 + 1, np.int16), "shorter pieces"),
        (np.zeros(10, np.int32), "give int16 or float32"),
        (np.zeros(10, np.uint8), "give int16 or float32"),
        (np.array(["a"]), "give int16 or float32"),
    ],
)
def test_arrays_that_are_no_audio_are_refused(array: np.ndarray, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        to_samples(array, 48_000)


def test_things_that_are_no_audio_are_refused() -> None:
    with pytest.raises(UsageError, match="list is no audio"):
        to_array([1, 2, 3], 48_000)  # type: ignore[arg-type]
    surround = av.AudioFrame(format="s16", layout="5.1", samples=960)
    surround.sample_rate = 48_000
    with pytest.raises(UsageError, match="channels"):
        to_array(surround, 48_000)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (63, 47), (1, 1), (130, 2)])
def test_rgb_pictures_there_and_back(width: int, height: int) -> None:
    converter = PictureConverter()
    colour = np.broadcast_to(np.array([200, 80, 40], np.uint8), (height, width, 3))
    frame = converter.to_frame(colour)
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", width, height)
    back = converter.to_rgb(frame)
    assert back.shape == (height, width, 3)
    assert np.abs(back.astype(int) - colour).max() <= 4


def test_frames_of_other_formats_are_converted_and_yuv420p_is_passed_on() -> None:
    converter = PictureConverter()
    rgb = av.VideoFrame(32, 32, "bgr24")
    assert converter.to_frame(rgb).format.name == "yuv420p"
    yuv = av.VideoFrame(32, 32, "yuv420p")
    assert converter.to_frame(yuv) is yuv


@pytest.mark.parametrize(
    ("picture", "match"),
    [
        (np.zeros((4, 4), np.uint8), "give RGB"),
        (np.zeros((4, 4, 4), np.uint8), "give RGB"),
        (np.zeros((4, 4, 3), np.float32), "give RGB"),
        (np.zeros((0, 4, 3), np.uint8), "each side"),
        (np.zeros((4, 5000, 3), np.uint8), "each side"),
        ("picture", "str is no picture"),
    ],
)
def test_things_that_are_no_picture_are_refused(picture: object, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        PictureConverter().to_frame(picture)  # type: ignore[arg-type]
