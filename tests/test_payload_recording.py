"""Recording payloads as they came: what the file holds, control, gaps, crashes and misuse."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from payload_lab import (
    G722,
    H264,
    OPUS,
    PCMA,
    PCMU,
    VP8,
    complete,
    file_codecs,
    file_packets,
    give,
    pictures,
    sounds,
)
from peers import eventually, scenario
from senses import AUDIO, VIDEO
from terminal_lab import (
    Host,
    file_audio,
    file_frames,
    file_length_s,
    file_names,
    pitch_hz,
    rms,
)
from video_lab import picture, psnr_db

from ipconf import FileRecorder, Payload, PayloadRecorder, TerminalClass
from ipconf.codecs.h264_payload import split_units
from ipconf.engine.session_config import PayloadFormat
from ipconf.errors import (
    ConfigurationError,
    InvalidStateError,
    MediaError,
    NotSupportedError,
)
from ipconf.events import FileCause, FileState
from ipconf.model import Direction, MediaType
from ipconf.terminals.payload_muxing import Numbered, PayloadWriter
from ipconf.terminals.registry import TerminalRegistry

GOOD_DB = 32.0
"""A picture that is as it was but for what coding does to it."""


@pytest.mark.parametrize(
    ("ending", "sound", "codecs"),
    [
        ("webm", OPUS, ["opus", "vp8"]),
        ("mkv", PCMU, ["pcm_mulaw", "vp8"]),
        ("wav", PCMU, ["pcm_mulaw"]),
        ("ogg", OPUS, ["opus"]),
        ("wav", PCMA, ["pcm_alaw"]),
    ],
)
@scenario()
async def test_what_came_is_in_the_file(
    tmp_path: Path, ending: str, sound: PayloadFormat, codecs: list[str]
) -> None:
    """To the bit."""
    path = tmp_path / f"bob.{ending}"
    heard, seen = sounds(2.0, sound), pictures(2.0)
    recorder = PayloadRecorder(path)
    given = [(recorder.create_track(AUDIO, "Bob"), heard)]
    if len(codecs) > 1:
        given.append((recorder.create_track(VIDEO, "Bob's camera"), seen))
    recorder.start()
    await give(*given)
    await complete(recorder)
    assert file_codecs(path) == codecs
    assert b"".join(file_packets(path)) == b"".join(payload.data for payload in heard)
    assert file_length_s(path) == pytest.approx(2.0, abs=0.05)
    assert pitch_hz(file_audio(path)[24_000:72_000]) == pytest.approx(1000, abs=1)
    if len(codecs) > 1:
        assert file_packets(path, 1) == [payload.data for payload in seen]
        assert file_names(path) == ["Bob", "Bob's camera"]


@pytest.mark.parametrize("form", [VP8, H264], ids=["vp8", "h264"])
@scenario()
async def test_pictures_are_shown_when_they_were_taken(tmp_path: Path, form: PayloadFormat) -> None:
    path = tmp_path / "bob.mkv"
    recorder = PayloadRecorder(path)
    recorder.start()
    await give((recorder.audio, sounds(2.0)), (recorder.video, pictures(2.0, form)))
    await complete(recorder)
    frames = file_frames(path)
    assert [frame.time for frame in frames] == pytest.approx([n / 30 for n in range(60)], abs=0.001)
    assert min(psnr_db(frame, picture(n)) for n, frame in enumerate(frames)) > GOOD_DB


@pytest.mark.parametrize(
    ("ending", "sound"), [("mkv", OPUS), ("ogg", OPUS), ("mkv", PCMU), ("wav", PCMA)]
)
@scenario()
async def test_lost_sound_leaves_a_gap(tmp_path: Path, ending: str, sound: PayloadFormat) -> None:
    """A packet and half a second are missing; what follows is where it belongs."""
    path = tmp_path / f"bob.{ending}"
    low, high = sounds(2.0, sound, 500.0), sounds(2.0, sound, 1500.0)
    recorder = PayloadRecorder(path)
    recorder.start()
    await give((recorder.audio, low[:30] + low[31:50] + high[75:]))
    await complete(recorder)
    heard = file_audio(path)
    assert len(heard) / 48_000 == pytest.approx(2.0, abs=0.02)
    assert pitch_hz(heard[24_000:48_000]) == pytest.approx(500, abs=5)
    assert rms(heard[56_000:70_000]) < 50
    assert pitch_hz(heard[73_000:95_000]) == pytest.approx(1500, abs=5)
    assert rms(heard[70_000:71_500]) < 1_000 < rms(heard[72_700:74_000])


@scenario()
async def test_start_pause_stop(tmp_path: Path) -> None:
    """The pause is left out, and pictures go on with a key frame, which is asked for."""
    path = tmp_path / "bob.webm"
    host, recorder = Host(), PayloadRecorder(path)
    ear, eye = recorder.audio, recorder.video
    ear.attach(host)
    heard, seen = sounds(6.0), pictures(6.0, key_frames=(160,))
    assert not eye.needs_key_frame
    await give((ear, heard[:50]), (eye, seen[:30]))  # nobody has started it
    recorder.start()
    assert eye.needs_key_frame and not ear.needs_key_frame
    await give((ear, heard[:50]), (eye, seen[:30]))
    assert not eye.needs_key_frame
    recorder.pause()
    await give((ear, heard[50:250]), (eye, seen[30:150]))
    assert not eye.needs_key_frame
    recorder.start()
    await give((ear, heard[250:260]), (eye, seen[150:156]))
    assert eye.needs_key_frame
    await give((ear, heard[260:]), (eye, seen[156:]))
    assert not eye.needs_key_frame
    recorder.stop()
    await recorder.wait_complete()
    states = [state for state, _ in host.states]
    active, paused, idle = FileState.ACTIVE, FileState.PAUSED, FileState.IDLE
    assert states == [active, paused, active, idle]
    times = [frame.time for frame in file_frames(path)]
    assert len(times) == 30 + 20  # from the key frame on
    assert times[30] - times[29] == pytest.approx(1 / 30 + 10 / 30, abs=0.05)
    assert len(file_audio(path)) / 48_000 == pytest.approx(2.0, abs=0.05)
    with pytest.raises(InvalidStateError, match="has been recorded; set `path`"):
        recorder.start()
    recorder.path = tmp_path / "again.webm"
    recorder.start()
    await give((ear, heard[:50]), (eye, seen[:30]))
    await complete(recorder)
    assert len(file_frames(recorder.path)) == 30


@pytest.mark.parametrize("form", [VP8, H264], ids=["vp8", "h264"])
@scenario()
async def test_another_size_in_the_midst(tmp_path: Path, form: PayloadFormat) -> None:
    path = tmp_path / "bob.mkv"
    recorder = PayloadRecorder(path)
    recorder.start()
    await give((recorder.video, pictures(1.0, form)))
    await give((recorder.video, pictures(1.0, form, size=(640, 360))), at=1.0)
    await complete(recorder)
    frames = file_frames(path)
    assert [frame.width for frame in frames] == [320] * 30 + [640] * 30
    assert psnr_db(frames[-1], picture(29, 640, 360)) > GOOD_DB


def test_nothing_is_written_that_cannot_be_decoded(tmp_path: Path) -> None:
    """The disk was too slow, and a picture was given up before it was written."""
    path = tmp_path / "bob.webm"
    writer = PayloadWriter(path)
    writer.plan({"eye": VIDEO})
    for number, payload in enumerate(pictures(2.0, key_frames=(40,))):
        if number != 20:
            writer.write(Numbered(payload, number, VIDEO), number / 30, "eye")
    writer.close()
    assert writer.ignored == 19
    numbers = [*range(20), *range(40, 60)]
    for number, frame in zip(numbers, file_frames(path), strict=True):
        assert psnr_db(frame, picture(number)) > GOOD_DB
        assert frame.time == pytest.approx(number / 30, abs=0.001)


@scenario()
async def test_who_sends_nothing_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A camera is turned on after six seconds; until then the file has sound alone."""
    path = tmp_path / "bob.webm"
    recorder = PayloadRecorder(path)
    recorder.start()
    ear, eye = recorder.audio, recorder.video
    await give((ear, sounds(6.0)))
    await eventually(lambda: path.stat().st_size > 20_000, "sound is in the file")
    await give((eye, pictures(1.0)), at=6.0)
    await complete(recorder)
    frames = file_frames(path)
    assert len(frames) == 30 and frames[0].time == pytest.approx(6.0, abs=0.001)
    assert len(file_audio(path)) / 48_000 == pytest.approx(7.0, abs=0.05)


@scenario()
async def test_key_frames_that_are_none(tmp_path: Path) -> None:
    """Strangers may send anything: it is left out with what follows, and does no other harm."""
    path = tmp_path / "bob.mkv"
    recorder = PayloadRecorder(path)
    recorder.start()
    ear, vp8, h264 = (recorder.create_track(medium) for medium in (AUDIO, VIDEO, VIDEO))
    broken = Payload(b"\0\0\0\x9d\x01\x2a", VP8, 0)
    await give((ear, sounds(1.0)), (vp8, [broken]), (h264, [Payload(b"\0\0\1\x65", H264, 0)]))
    await give(
        (ear, sounds(2.0)[50:]),
        (vp8, pictures(2.0, key_frames=(30,))[25:]),
        (h264, pictures(2.0, H264, key_frames=(30,))[25:]),
    )
    recorder.close()
    await recorder.wait_closed()
    assert recorder.error is None and recorder.ignored == 2 + 2 * 5
    assert [len(file_frames(path, track)) for track in (0, 1)] == [30, 30]
    assert len(file_audio(path)) / 48_000 == pytest.approx(2.0, abs=0.05)


@scenario()
async def test_parameter_sets_of_the_description(tmp_path: Path) -> None:
    """They do not come with the pictures, but stand in the description of the call."""
    path = tmp_path / "bob.mkv"
    first, *rest = pictures(1.0, H264)
    units = split_units(first.data)
    sets = ",".join(b64encode(unit).decode() for unit in units if unit[0] & 0x1F in (7, 8))
    described = replace(H264, parameters={**H264.parameters, "sprop-parameter-sets": sets})
    picture_alone = b"".join(b"\0\0\0\1" + u for u in units if u[0] & 0x1F not in (7, 8))
    recorder = PayloadRecorder(path)
    recorder.start()
    sent = [replace(first, data=picture_alone), *rest]
    await give((recorder.video, [replace(payload, format=described) for payload in sent]))
    await complete(recorder)
    frames = file_frames(path)
    assert frames[0].width == 320
    assert min(psnr_db(frame, picture(n)) for n, frame in enumerate(frames)) > GOOD_DB


def test_formats_have_limits(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"end the name in \.mkv, \.webm, \.ogg, \.wav"):
        PayloadRecorder(tmp_path / "bob.mp4")
    recorder = PayloadRecorder(tmp_path / "bob.ogg")
    with pytest.raises(NotSupportedError, match=r"0 tracks for video.*\.mkv, \.webm"):
        recorder.create_track(VIDEO)
    recorder.create_track(AUDIO)
    with pytest.raises(NotSupportedError, match=r"1 tracks for audio.*\.mkv, \.webm"):
        recorder.create_track(AUDIO)
    recorder.audio.attach(Host())
    with pytest.raises(NotSupportedError, match="it takes sound undecoded"):
        recorder.audio.volume = 100


@pytest.mark.parametrize(
    ("ending", "form", "choices"),
    [
        ("webm", PCMU, r"cannot hold pcmu; record into \.mkv or \.wav, or decode it"),
        ("mkv", G722, "cannot hold g722; decode it with a FileRecorder"),
        ("wav", OPUS, r"cannot hold opus; record into \.mkv or \.webm or \.ogg"),
    ],
)
@scenario()
async def test_sound_that_the_file_cannot_hold(
    tmp_path: Path, ending: str, form: PayloadFormat, choices: str
) -> None:
    recorder = PayloadRecorder(tmp_path / f"bob.{ending}")
    recorder.start()
    with pytest.raises(NotSupportedError, match=choices):
        recorder.audio.write_payload(sounds(0.02, form)[0], 1.0)
    await complete(recorder)


@scenario()
async def test_a_track_has_one_format(tmp_path: Path) -> None:
    path = tmp_path / "bob.mkv"
    h264, vp8 = pictures(1.0, H264), pictures(0.04)
    recorder = PayloadRecorder(path)
    recorder.start()
    await give((recorder.video, h264))
    with pytest.raises(NotSupportedError, match="holds h264, and now vp8 comes: record into"):
        recorder.video.write_payload(vp8[0], 1001.0)
    recorder.stop()
    await recorder.wait_complete()
    recorder.path = path.with_suffix(".webm")
    recorder.start()
    await give((recorder.video, vp8))
    await complete(recorder)
    assert [len(file_frames(p)) for p in (path, recorder.path)] == [30, 1]


CRASH = """
import asyncio, sys
from payload_lab import give, pictures, sounds
from ipconf import PayloadRecorder

async def record(path):
    recorder = PayloadRecorder(path)
    given = [(recorder.audio, sounds(6.0))]
    if not path.endswith("ogg"):
        given.append((recorder.video, pictures(6.0)))
    recorder.start()
    await give(*given)

async def main():
    for path in sys.argv[1:]:
        await record(path)
    print("recorded", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def test_a_crash_leaves_files_that_play(tmp_path: Path) -> None:
    """The process is killed six seconds into the recordings: at most the last two are missing."""
    paths = [tmp_path / f"bob.{ending}" for ending in ("mkv", "webm", "ogg")]
    with subprocess.Popen(
        [sys.executable, "-c", CRASH, *map(str, paths)],
        cwd=Path(__file__).parent,
        env={"PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"recorded\n"
        process.kill()
    for path in paths:
        heard = file_audio(path)
        assert len(heard) > 4 * 48_000, path.name
        assert pitch_hz(heard[48_000:144_000]) == pytest.approx(1000, abs=1)
        if path.suffix != ".ogg":
            frames = file_frames(path)
            assert frames[-1].time > 4
            assert min(psnr_db(f, picture(n)) for n, f in enumerate(frames)) > GOOD_DB


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@scenario()
async def test_a_full_disk_is_an_event(tmp_path: Path) -> None:
    path = tmp_path / "full.webm"
    path.symlink_to("/dev/full")
    host, recorder = Host(), PayloadRecorder(path)
    recorder.audio.attach(host)
    recorder.start()
    await give((recorder.audio, sounds(3.0)))
    recorder.stop()
    await recorder.wait_complete()
    assert FileCause.WRITE_ERROR in [cause for _, cause in host.states]
    assert isinstance(recorder.error, MediaError) and "No space" in str(recorder.error)
    recorder.path = tmp_path / "elsewhere.webm"
    recorder.start()
    await give((recorder.audio, sounds(1.0)))
    await complete(recorder)
    assert len(file_audio(recorder.path)) / 48_000 == pytest.approx(1.0, abs=0.02)


def test_it_is_made_by_its_class(tmp_path: Path) -> None:
    registry = TerminalRegistry()
    found = registry.describe("payload recording")
    assert isinstance(found, TerminalClass) and found.superclass == "file"
    recorder = registry.create(
        "payload recording", MediaType.MULTITRACK, Direction.RENDER, path=tmp_path / "bob.webm"
    )
    assert isinstance(recorder, PayloadRecorder) and not isinstance(recorder, FileRecorder)
    assert not np.any(recorder.tracks)
