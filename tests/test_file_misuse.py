"""What is wrong with files, paths, tracks and options is answered at once, in a sentence."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import scenario
from senses import AUDIO, CAPTURE, RENDER
from terminal_lab import file_audio, file_names, sine, solid_frame, sound_file

from ipconf import ClipPlayer, FilePlayback, FileRecorder, MediaType
from ipconf.errors import (
    ConfigurationError,
    InvalidMediaTypeError,
    InvalidStateError,
    MediaError,
)
from ipconf.terminals.file_formats import FORMATS
from ipconf.terminals.files import PayloadRecorder
from ipconf.terminals.muxing import MediaWriter
from ipconf.terminals.registry import TerminalRegistry

LIMIT_S = 5.0
"""Longer than anything here takes, unless it waits for what never comes."""


def at_once(work: Callable[[], object]) -> BaseException | None:
    """What `work` raises; AssertionError if it waits for something."""
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            raised.append(None)
        except Exception as exc:
            raised.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert raised, "it waits"
    return raised[0]


# -- paths

NO_PATHS: list[Any] = [None, 7, b"call.mkv", "a\0b.mkv", Path("a\0b.mkv"), "\ud800.mkv", ["a.mkv"]]


@pytest.mark.parametrize("path", NO_PATHS, ids=repr)
def test_what_is_no_path(path: Any, tmp_path: Path) -> None:
    song = sound_file(tmp_path / "song.wav", sine(0.1))
    playback, recorder = FilePlayback([song]), FileRecorder(tmp_path / "call.mkv")
    mistakes: list[Callable[[], object]] = [
        lambda: FilePlayback([path]),
        lambda: FilePlayback([song, path]),
        lambda: setattr(playback, "play_list", [path]),
        lambda: ClipPlayer(path),
        lambda: FileRecorder(path),
        lambda: PayloadRecorder(path),
        lambda: setattr(recorder, "path", path),
    ]
    for mistake in mistakes:
        with pytest.raises(ConfigurationError, match="cannot be the path of a file: give text"):
            mistake()
    assert playback.play_list == (song,) and recorder.path == tmp_path / "call.mkv"


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    for mistake in (lambda: FilePlayback([pipe]), lambda: ClipPlayer(pipe)):
        error = at_once(mistake)
        assert isinstance(error, MediaError) and "it is a pipe or a device" in str(error)
    error = at_once(lambda: MediaWriter(pipe))
    assert isinstance(error, MediaError) and "it is a pipe" in str(error)
    with pytest.raises(MediaError, match="it is a pipe or a device; play a copy"):
        FilePlayback(["/dev/null"])


@scenario()
async def test_a_file_that_became_a_pipe_holds_up_no_thread(tmp_path: Path) -> None:
    song = sound_file(tmp_path / "song.wav", sine(0.1))
    playback = FilePlayback([song])
    song.unlink()
    os.mkfifo(song)
    playback.start()
    playback.close()
    await playback.wait_closed()


# -- two at one file


@scenario()
async def test_two_recorders_do_not_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    (tmp_path / "link.wav").symlink_to(path)
    first, second = FileRecorder(path), FileRecorder(tmp_path / "link.wav")
    first.start()
    first.audio.write(sine(0.02), 0.0)
    for other in (second, FileRecorder(path), PayloadRecorder(path)):
        with pytest.raises(InvalidStateError, match="recorded already; stop that recorder and"):
            other.start()
    first.stop()
    await first.wait_complete()
    assert first.error is None and len(file_audio(path)) == 960
    second.start()  # now it may
    second.audio.write(sine(0.04), 0.0)
    second.close()
    await second.wait_closed()
    assert len(file_audio(path)) == 1920


@scenario()
async def test_a_recorder_that_nobody_closed_keeps_its_file_to_itself_no_longer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "call.wav"
    writer = MediaWriter(path)
    with pytest.raises(InvalidStateError):
        MediaWriter(path)
    writer._file.close()
    del writer
    MediaWriter(path).close()


# -- tracks


@pytest.mark.parametrize("kind", [FileRecorder, PayloadRecorder])
@scenario()
async def test_what_is_no_track(kind: type[FileRecorder | PayloadRecorder], tmp_path: Path) -> None:
    recorder = kind(tmp_path / "call.mkv")
    media: list[Any] = ["audio", None, 1, MediaType.MULTITRACK, CAPTURE, ["audio"]]
    for medium in media:
        with pytest.raises(InvalidMediaTypeError, match=r"is for no track: give MediaType\.AUDIO"):
            recorder.create_track(medium)
    names: list[Any] = [7, None, b"Bob", ["Bob"]]
    for name in names:
        with pytest.raises(ConfigurationError, match="give its name as text"):
            recorder.create_track(AUDIO, name)
    assert recorder.tracks == ()


@scenario()
async def test_names_that_are_text_are_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "call.mkv"
    async with FileRecorder(path) as recorder:
        recorder.create_track(AUDIO, "Zoë").write(sine(0.02), 0.0)
    assert recorder.error is None and file_names(path) == ["Zoë"]


# -- positions


@pytest.mark.parametrize("position", ["2", None, b"0", [0], 1j, float("nan"), -1, 9], ids=repr)
def test_what_is_no_position(position: Any, tmp_path: Path) -> None:
    playback = FilePlayback([sound_file(tmp_path / "song.wav", sine(1))])
    with pytest.raises(ConfigurationError, match=r"there is no .* s in files of 1\.0 s"):
        playback.seek(position)
    assert playback.position_s == 0
    for right in (0, 0.5, np.float32(0.5), np.int64(1)):
        playback.seek(right)
        assert playback.position_s == right


# -- options


@pytest.mark.parametrize(
    ("name", "medium", "direction", "options", "words"),
    [
        ("file playback", MediaType.MULTITRACK, CAPTURE, {}, "missing .* 'play_list'"),
        ("file recording", MediaType.MULTITRACK, RENDER, {}, "missing .* 'path'"),
        ("tone", AUDIO, CAPTURE, {"hz": 440}, "unexpected keyword argument 'hz'"),
        ("media stream", AUDIO, RENDER, {"rate": 8000}, "unexpected keyword argument 'rate'"),
    ],
)
def test_options_that_a_class_does_not_have(
    name: str, medium: MediaType, direction: Any, options: dict[str, Any], words: str
) -> None:
    registry = TerminalRegistry()
    with pytest.raises(ConfigurationError, match=f"are not made like that: .*{words}.*; give"):
        registry.create(name, medium, direction, **options)


# -- crashes


@pytest.mark.parametrize(
    ("ending", "pictures"),
    [(e, p) for e in FORMATS for p in (False, True) if not p or FORMATS[e].limit(MediaType.VIDEO)],
)
def test_what_a_crash_in_the_first_second_leaves_can_be_played(
    ending: str, pictures: bool, tmp_path: Path
) -> None:
    path, left = tmp_path / f"call{ending}", tmp_path / f"left{ending}"
    writer = MediaWriter(path)
    media = [AUDIO, MediaType.VIDEO] if pictures else [AUDIO]
    writer.plan({medium: medium for medium in media})
    for n in range(45):
        writer.write(sine(0.02), n * 0.02)
        if pictures and n % 2 == 0:
            writer.write(solid_frame(160, 120, n), n * 0.02)
    left.write_bytes(path.read_bytes())  # what is on the disk after 0.9 s
    writer.close()
    assert len(file_audio(left)) > 0.2 * 48_000
