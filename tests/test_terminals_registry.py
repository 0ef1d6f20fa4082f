"""Which terminals a provider lists, makes and closes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from terminal_lab import sine, sound_file

from ipconf.errors import (
    ConfigurationError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    InvalidTerminalClassError,
    MediaError,
)
from ipconf.model import Direction, MediaType
from ipconf.terminals.base import Terminal
from ipconf.terminals.files import ClipPlayer, FilePlayback, FileRecorder
from ipconf.terminals.memory import MediaStreamRender
from ipconf.terminals.pictures import TestPictureTerminal
from ipconf.terminals.registry import TerminalClass, TerminalRegistry
from ipconf.terminals.tones import NullTerminal, ToneTerminal

AUDIO, VIDEO = MediaType.AUDIO, MediaType.VIDEO
CAPTURE, RENDER = Direction.CAPTURE, Direction.RENDER


def test_the_built_in_classes() -> None:
    registry = TerminalRegistry()
    assert registry.static == ()
    built_in = ("media stream", "null", "tone", "test picture", "clip")
    files = ("file playback", "file recording", "payload recording")
    assert registry.classes() == (*built_in, *files)
    assert registry.classes(AUDIO) == ("media stream", "null", "tone", "clip")
    assert registry.classes(VIDEO) == ("media stream", "null", "test picture")
    assert registry.classes(MediaType.MULTITRACK) == files


def test_create_passes_the_options_on() -> None:
    registry = TerminalRegistry()
    reader = registry.create("media stream", AUDIO, RENDER, rate_hz=16_000, name="transcriber")
    assert isinstance(reader, MediaStreamRender) and reader.name == "transcriber"
    tone = registry.create("tone", AUDIO, CAPTURE, frequency_hz=1000.0, level_dbov=-30.0)
    assert isinstance(tone, ToneTerminal) and tone.frequency_hz == 1000.0
    picture = registry.create("test picture", VIDEO, CAPTURE, name="Bob", width=320, height=180)
    assert isinstance(picture, TestPictureTerminal) and picture.width == 320
    sink = registry.create("null", VIDEO, RENDER)
    assert isinstance(sink, NullTerminal) and sink.media_type is VIDEO


def test_create_makes_file_terminals(tmp_path: Path) -> None:
    registry = TerminalRegistry()
    song = sound_file(tmp_path / "song.wav", sine(0.2))
    playback = registry.create("file playback", MediaType.MULTITRACK, CAPTURE, play_list=[song])
    recorder = registry.create("file recording", MediaType.MULTITRACK, RENDER, path="call.mkv")
    clip = registry.create("clip", AUDIO, CAPTURE, path=song, loop=True)
    assert isinstance(playback, FilePlayback) and isinstance(recorder, FileRecorder)
    assert isinstance(clip, ClipPlayer)
    with pytest.raises(InvalidMediaTypeError, match="carry multitrack, not"):
        registry.create("file playback", AUDIO, CAPTURE, play_list=[song])
    with pytest.raises(InvalidDirectionError, match="are for render, not"):
        registry.create("file recording", MediaType.MULTITRACK, CAPTURE, path="call.mkv")
    asyncio.run(registry.close())
    assert playback.closed and recorder.closed and all(track.closed for track in playback.tracks)


def test_create_refuses_with_the_choices_there_are(tmp_path: Path) -> None:
    registry = TerminalRegistry()
    with pytest.raises(InvalidTerminalClassError, match="there are media stream, null"):
        registry.create("telepathy", AUDIO, CAPTURE)
    with pytest.raises(InvalidMediaTypeError, match="carry audio, not"):
        registry.create("tone", VIDEO, CAPTURE)
    with pytest.raises(InvalidDirectionError, match="are for capture and render, not"):
        registry.create("media stream", AUDIO, Direction.BIDIRECTIONAL)
    with pytest.raises(MediaError, match="cannot open"):
        registry.create("clip", AUDIO, CAPTURE, path=tmp_path / "missing.ogg")


def test_a_class_of_ones_own() -> None:
    registry = TerminalRegistry()
    made: list[Terminal] = []

    def make(media_type: MediaType, direction: Direction, *, pitch: float) -> Terminal:
        made.append(ToneTerminal(pitch))
        return made[-1]

    whistle = TerminalClass("whistle", frozenset({AUDIO}), frozenset({CAPTURE}), make)
    registry.register(whistle)
    assert "whistle" in registry.classes(AUDIO) and "whistle" not in registry.classes(VIDEO)
    assert registry.create("whistle", AUDIO, CAPTURE, pitch=2000.0) is made[0]
    with pytest.raises(ConfigurationError, match="choose another name"):
        registry.register(whistle)
    assert "whistle" not in TerminalRegistry().classes()  # nothing is global


def test_default_devices_in_order_of_preference() -> None:
    first, second = ToneTerminal(name="headset"), ToneTerminal(name="webcam microphone")
    both_ways = Terminal("handset", AUDIO, Direction.BIDIRECTIONAL)
    registry = TerminalRegistry([first, second, both_ways])
    assert registry.static == (first, second, both_ways)
    assert registry.default_static(AUDIO, CAPTURE) is first
    assert registry.default_static(AUDIO, RENDER) is both_ways
    assert registry.default_static(VIDEO, RENDER) is None
    with pytest.raises(ConfigurationError, match="list it once"):
        TerminalRegistry([first, second, first])


def test_close_closes_devices_and_what_was_made() -> None:
    device = ToneTerminal(name="headset")
    registry = TerminalRegistry([device])
    made = registry.create("tone", AUDIO, CAPTURE)
    asyncio.run(registry.close())
    assert device.closed and made.closed
