"""Terminals that need no device: tones, the place where media ends, the moving test picture."""

from __future__ import annotations

import av
import numpy as np
import pytest
from terminal_lab import BLOCK, luma_of, pitch_hz, rms, sine

from ipconf.engine.speakers import level_of
from ipconf.errors import ConfigurationError
from ipconf.model import Direction, MediaType
from ipconf.terminals.base import FrameClock
from ipconf.terminals.font import draw, glyph, to_ascii
from ipconf.terminals.pictures import TestPictureTerminal
from ipconf.terminals.tones import NullTerminal, ToneTerminal


@pytest.mark.parametrize("frequency_hz", [100.0, 440.0, 997.3, 15_000.0])
def test_a_tone_has_its_pitch_and_no_seams(frequency_hz: float) -> None:
    terminal = ToneTerminal(frequency_hz)
    wave = np.concatenate([terminal.read(n * 0.02) for n in range(50)])
    assert wave.shape == (48_000, 1) and wave.dtype == np.int16
    assert pitch_hz(wave) == pytest.approx(frequency_hz, abs=0.6)
    ideal = np.sin(2 * np.pi * frequency_hz * np.arange(48_000) / 48_000)
    assert np.abs(wave[:, 0] - ideal * np.sqrt(2) * 3_276.8).max() <= 1


@pytest.mark.parametrize("level_dbov", [-3.01, -20.0, -45.0, -60.0])
def test_a_tone_has_its_level(level_dbov: float) -> None:
    block = ToneTerminal(1000, level_dbov, channels=2).read(0.0)
    assert block.shape == (BLOCK, 2)
    assert level_of(block) == round(-level_dbov)


def test_tones_that_cannot_be() -> None:
    for frequency_hz in (0, -1, 24_000):
        with pytest.raises(ConfigurationError, match="Hz: give"):
            ToneTerminal(frequency_hz)
    for level_dbov in (0, -3, -200, float("nan")):
        with pytest.raises(ConfigurationError, match="dBov: give"):
            ToneTerminal(440, level_dbov)
    with pytest.raises(ConfigurationError, match="channels"):
        ToneTerminal(440, channels=0)


def test_a_closed_tone_is_silent() -> None:
    terminal = ToneTerminal()
    terminal.close()
    assert terminal.closed and terminal.read(0.0) is None


def test_the_null_terminal_counts_and_forgets() -> None:
    for medium, media in (
        (MediaType.AUDIO, sine(0.02)),
        (MediaType.VIDEO, av.VideoFrame(16, 16, "yuv420p")),
    ):
        terminal = NullTerminal(medium)
        assert (terminal.media_type, terminal.direction) == (medium, Direction.RENDER)
        for n in range(3):
            terminal.write(media, n * 0.02)
        assert terminal.blocks == 3


def test_frames_come_at_their_rate_without_drift() -> None:
    clock = FrameClock(30)
    due = [poll for poll in range(1000) if clock.is_due(poll * 0.01)]
    assert len(due) == 300
    assert {b - a for a, b in zip(due, due[1:], strict=False)} <= {3, 4}
    assert clock.is_due(20.0) and not clock.is_due(20.01)  # nothing is made up for


def test_the_picture_is_due_moves_and_counts() -> None:
    camera = TestPictureTerminal("Alice", 320, 180, fps=10)
    frames = [frame for n in range(100) if (frame := camera.read(n * 0.01)) is not None]
    assert len(frames) == camera.frames == 10
    assert all((f.format.name, f.width, f.height) == ("yuv420p", 320, 180) for f in frames)
    for before, after in zip(frames, frames[1:], strict=False):
        changed = luma_of(before) != luma_of(after)
        assert 0 < changed.mean() < 0.2  # the clock, the counter and the bar
        assert not changed[:110].any()  # the name stands still
    camera.close()
    assert camera.read(2.0) is None


def test_the_bar_crosses_the_picture() -> None:
    camera = TestPictureTerminal("Bob", 640, 360)
    positions = []
    for second in range(4):
        lane = luma_of(camera.read(100.0 + second))[315]
        positions.append(int(np.flatnonzero(lane > 150).mean()))
    assert positions == sorted(positions)
    assert positions[0] < 40 and positions[3] > 450


def test_the_name_is_drawn_large_and_each_has_a_colour() -> None:
    colours = set()
    for name in ("Alice", "Bob", "Chloë"):
        frame = TestPictureTerminal(name).read(0.0)
        upper = luma_of(frame)[:225]
        rows = np.flatnonzero((upper > 200).any(axis=1))
        columns = np.flatnonzero((upper > 200).any(axis=0))
        assert np.ptp(rows) > 100 and np.ptp(columns) > 300
        colours.add(tuple(frame.to_ndarray(format="rgb24")[0, 0]))
    assert len(colours) == 3


def test_the_letters_can_be_read_off_the_picture() -> None:
    upper = luma_of(TestPictureTerminal("Hi!").read(0.0))[:225] > 180
    rows, columns = np.flatnonzero(upper.any(axis=1)), np.flatnonzero(upper.any(axis=0))
    letters = upper[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = letters.shape[0] // 7
    expected = draw("Hi!", 1)
    ink = np.flatnonzero(expected.any(axis=0))
    assert np.array_equal(letters[::scale, ::scale], expected[:, ink[0] : ink[-1] + 1])


@pytest.mark.parametrize("name", ["", " ", "x" * 300, "ein sehr langer Name " * 9, "日本語", "\n"])
@pytest.mark.parametrize(("width", "height"), [(32, 32), (160, 90), (90, 160), (1920, 1080)])
def test_any_name_in_any_size(name: str, width: int, height: int) -> None:
    camera = TestPictureTerminal(name, width, height)
    assert camera.read(0.0) is not None
    frame = camera.read(4_000_000.0)
    assert (frame.width, frame.height) == (width, height)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (641, 360), (640, 30), (8192, 64)])
def test_sizes_that_cannot_be(width: int, height: int) -> None:
    with pytest.raises(ConfigurationError, match="each side is even"):
        TestPictureTerminal("Alice", width, height)


def test_frames_given_out_do_not_change() -> None:
    camera = TestPictureTerminal("Alice", 320, 180)
    first = camera.read(0.0)
    before = luma_of(first).copy()
    for n in range(1, 60):
        camera.read(n / 30)
    assert np.array_equal(luma_of(first), before)


def test_every_printable_letter_has_a_shape_of_its_own() -> None:
    shapes = {glyph(chr(code), 1).tobytes() for code in range(ord(" "), ord("~") + 1)}
    assert len(shapes) == 95
    assert draw("AB", 3).shape == (21, 36)
    assert to_ascii("Zoë Ångström ½ 日") == "Zoe Angstrom 1?2 ?"


def test_silence_between_tones_is_possible() -> None:
    assert rms(ToneTerminal(440, -127.0).read(0.0)) == 0
