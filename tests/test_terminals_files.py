"""Clips and recordings: content, timing, ends, failures, and nothing left behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from terminal_lab import (
    BLOCK,
    START_S,
    Host,
    Reader,
    file_audio,
    file_frames,
    file_length_s,
    file_tracks,
    luma_of,
    pitch_hz,
    rms,
    sine,
    solid_frame,
    sound_file,
    write_audio,
    written,
)

import ipconf.demo
from ipconf.errors import ConfigurationError, MediaError, NotSupportedError
from ipconf.events import FileCause, FileState
from ipconf.model import MediaType
from ipconf.terminals.files import ClipPlayer, FileRecorder
from ipconf.terminals.muxing import MediaWriter

AV_ENDINGS = ("mkv", "webm", "mp4")
SOUND_ENDINGS = ("wav", "mp3", "ogg")
ACTIVE = (FileState.ACTIVE, FileCause.NORMAL)
CLIPS = Path(next(iter(ipconf.demo.__path__))) / "clips"


def play(path: Path, limit: int = 5_000, **options: bool | int) -> tuple[NDArray, Host]:
    async def run() -> tuple[NDArray, Host]:
        player = ClipPlayer(path, **options)
        reader = Reader(player)
        blocks = await reader.take(limit)
        player.detach(reader.host)
        player.close()
        await player.wait_closed()
        return np.concatenate(blocks), reader.host

    return asyncio.run(run())


# --- playing -------------------------------------------------------------------------------------


def test_a_clip_is_played_as_it_is_and_its_end_is_reported(tmp_path: Path) -> None:
    wave = sine(2.51)
    samples, host = play(sound_file(tmp_path / "clip.wav", wave))
    assert np.array_equal(samples[: len(wave)], wave)
    assert len(samples) == 126 * BLOCK and not samples[len(wave) :].any()
    assert host.states == [ACTIVE, (FileState.IDLE, FileCause.END_OF_FILE)]
    assert not host.failures


def test_a_loop_has_no_seam(tmp_path: Path) -> None:
    path = sound_file(tmp_path / "loop.wav", sine(0.51))
    samples, host = play(path, limit=200, loop=True, channels=2)
    assert samples.shape == (200 * BLOCK, 2)
    assert np.array_equal(samples[:, :1], np.resize(sine(0.51), (200 * BLOCK, 1)))
    assert host.states == [ACTIVE]


@pytest.mark.parametrize("ending", AV_ENDINGS)
def test_compressed_clips(tmp_path: Path, ending: str) -> None:
    samples, _ = play(sound_file(tmp_path / f"clip.{ending}", sine(1.0)))
    assert abs(len(samples) - 48_000) <= 2 * BLOCK
    assert pitch_hz(samples) == pytest.approx(1000, abs=2)
    assert rms(samples[4_800:43_200]) == pytest.approx(rms(sine(1.0)), rel=0.05)


def test_files_without_audio_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.ogg").write_bytes(b"no media at all" * 100)
    writer = MediaWriter(tmp_path / "silent.mkv")
    writer.write(solid_frame(64, 48, 100), 0.0)
    writer.close()
    for name, match in (
        ("missing.ogg", "cannot open"),
        ("notes.ogg", "cannot open"),
        ("silent.mkv", "holds no audio"),
    ):
        with pytest.raises(MediaError, match=match):
            ClipPlayer(tmp_path / name)


def test_a_broken_file_is_a_read_error(tmp_path: Path) -> None:
    path = sound_file(tmp_path / "broken.mp4", sine(6.0))
    content = bytearray(path.read_bytes())
    with path.open("r+b") as file:  # the index at the end stays
        file.seek(len(content) // 3)
        file.write(bytes(len(content) // 2))
    samples, host = play(path)
    assert len(samples) < 3 * 48_000
    assert host.states == [ACTIVE, (FileState.IDLE, FileCause.READ_ERROR)]
    error = host.files[-1]["error"]
    assert isinstance(error, MediaError) and "cannot decode" in str(error)
    assert not host.failures  # it is the file that is broken, not the terminal


def test_closing_in_the_middle_ends_the_thread(tmp_path: Path) -> None:
    async def run() -> None:
        before = threading.active_count()
        player = ClipPlayer(sound_file(tmp_path / "long.wav", sine(30.0)))
        await Reader(player).take(3)
        player.close()
        await player.wait_closed()
        assert threading.active_count() == before
        assert player.read(0.0) is None
        unused = ClipPlayer(tmp_path / "long.wav")
        unused.close()
        await unused.wait_closed()

    asyncio.run(run())


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_the_demo_clips_are_short_clear_and_not_clipped(name: str) -> None:
    path = CLIPS / f"{name}.ogg"
    assert path.stat().st_size < 60_000
    samples, _ = play(path)
    assert 6 <= len(samples) / 48_000 <= 9
    levels = np.array([rms(block) for block in samples.reshape(-1, BLOCK)])
    talking = levels > 180
    assert -23 < 20 * np.log10(rms(samples.reshape(-1, BLOCK)[talking]) / 32_768) < -17
    assert np.abs(samples.astype(int)).max() < 30_000
    assert 0.1 < 1 - talking.mean() < 0.5  # there are pauses


# --- recording -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", AV_ENDINGS)
def test_sound_and_picture_stay_together(tmp_path: Path, ending: str) -> None:
    """A beep and a flash at 3 s of the call are at 3 s of the file."""
    path = tmp_path / f"call.{ending}"
    writer = MediaWriter(path)
    for n in range(250):
        at = START_S + n * 0.02
        event = 150 <= n < 175
        writer.write(sine(0.02) if event else np.zeros((BLOCK, 1), np.int16), at)
        if n % 2 == 0:
            writer.write(solid_frame(160, 120, 220 if event else 40), at + 0.003)
    writer.close()
    audio, frames = file_audio(path), file_frames(path)
    beep = np.flatnonzero(np.abs(audio[:, 0]) > 3_000)
    flash = [frame.time for frame in frames if luma_of(frame).mean() > 130]
    # An encoder's own delay, up to one AAC frame, is not taken off by every decoder.
    assert beep[0] / 48_000 == pytest.approx(3.0, abs=0.03)
    assert beep[-1] / 48_000 == pytest.approx(3.5, abs=0.03)
    assert flash[0] == pytest.approx(3.003, abs=0.005)
    assert len(frames) == 125 + 1 and writer.ignored == 0
    assert file_length_s(path) == pytest.approx(5.0, abs=0.05)
    assert file_tracks(path) == ["audio", "video"]


def test_gaps_become_silence(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path / "gap.wav")
    write_audio(writer, sine(1.0), START_S)
    write_audio(writer, sine(1.0), START_S + 2.5)
    writer.close()
    audio = file_audio(tmp_path / "gap.wav")
    assert np.array_equal(audio[:48_000], sine(1.0))
    assert not audio[48_000:120_000].any()
    assert np.array_equal(audio[120_000:], sine(1.0))


def test_jitter_leaves_no_gap_and_overlaps_are_cut(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path / "jitter.wav")
    rng = np.random.default_rng(7)
    wave = sine(1.0)
    for n in range(50):
        writer.write(wave[n * BLOCK : (n + 1) * BLOCK], 5 + n * 0.02 + rng.uniform(-0.015, 0.015))
    write_audio(writer, sine(0.5), 5.8)  # 0.2 s of it is there already
    writer.close()
    audio = file_audio(tmp_path / "jitter.wav")
    assert np.array_equal(audio[:48_000], wave)
    assert len(audio) == pytest.approx(48_000 * 1.3, abs=2_000)
    assert writer.ignored >= 8


def test_times_that_make_no_sense(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path / "odd.wav")
    write_audio(writer, sine(0.1), 50.0)
    for at in (float("nan"), float("inf"), -float("inf"), -1e9):
        writer.write(sine(0.02), at)
    assert writer.ignored == 4
    write_audio(writer, sine(0.1), 1e9)  # hours later: nobody wants to hear them
    writer.close()
    assert len(file_audio(tmp_path / "odd.wav")) == 9_600


def test_pictures_are_held_and_the_first_may_be_late(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    writer = MediaWriter(path)
    writer.plan({"voice": MediaType.AUDIO, "face": MediaType.VIDEO})
    for n in range(400):
        writer.write(sine(0.02), n * 0.02, "voice")
        if n == 200:  # at 4 s
            writer.write(solid_frame(320, 180, 200), n * 0.02, "face")
    writer.close()
    frames = file_frames(path)
    assert (frames[0].width, frames[0].height) == (640, 360)
    times = [frame.time for frame in frames]
    assert times[0] == 0.0 and times[-1] == pytest.approx(8.0, abs=0.05)
    assert max(np.diff(times)) <= 0.51
    for frame in frames:
        assert luma_of(frame).mean() == pytest.approx(200 if frame.time > 3.99 else 0, abs=20)


def test_pictures_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    path = tmp_path / "sizes.mkv"
    writer = MediaWriter(path, size=(320, 180))
    for n, (width, height) in enumerate([(320, 180), (640, 360), (160, 240), (101, 33), (2, 400)]):
        writer.write(solid_frame(width, height, 220), float(n))
    writer.close()
    shown = {round(frame.time): luma_of(frame) for frame in file_frames(path)}
    assert all(picture.shape == (180, 320) for picture in shown.values())
    assert shown[0].mean() > 200 and shown[1].mean() > 200
    tall = shown[2]  # 120 wide in the middle, black on both sides
    assert tall[:, 110:210].mean() > 200 and tall[:, :90].mean() < 20 and tall[:, 230:].mean() < 20
    wide = shown[3]
    assert wide[70:110].mean() > 200 and wide[:30].mean() < 20


def test_names_that_say_no_format_and_places_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"end the name in \.mkv"):
        FileRecorder(tmp_path / "call.avi")
    with pytest.raises(ConfigurationError, match="each side"):
        FileRecorder(tmp_path / "call.mkv", size=(0, 100))
    with pytest.raises(MediaError, match="cannot write"):
        asyncio.run(record_nothing(tmp_path / "nowhere" / "call.mkv"))


async def record_nothing(path: Path) -> FileRecorder:
    async with FileRecorder(path) as recorder:
        return recorder


def test_the_recorder_writes_in_the_background_and_reports(tmp_path: Path) -> None:
    async def run() -> None:
        before = threading.active_count()
        call = object()
        hosts = Host(call), Host(call), Host()
        async with FileRecorder(tmp_path / "call.mkv") as recorder:
            for track, host in zip((recorder.audio, recorder.video), hosts, strict=False):
                track.attach(host)
            recorder.audio.attach(hosts[2])
            for n in range(100):
                recorder.audio.render(hosts[0], np.repeat(sine(0.02), 2, axis=1), n * 0.02)
                if n % 2 == 0:
                    recorder.video.render(hosts[1], solid_frame(64, 48, 128), n * 0.02)
                await written(recorder)
            assert recorder.state is FileState.ACTIVE
            recorder.audio.render(hosts[2], sine(0.02), 2.0)
        assert recorder.closed and recorder.audio.closed and recorder.error is None
        assert threading.active_count() == before
        both = [*hosts[0].states, *hosts[1].states]
        assert both == hosts[2].states == [ACTIVE, (FileState.IDLE, FileCause.NORMAL)]
        recorder.audio.write(sine(0.02), 2.0)  # nobody listens any more
        recorder.close()

    asyncio.run(run())
    assert len(file_audio(tmp_path / "call.mkv")) == pytest.approx(97_000, abs=1_000)
    assert len(file_frames(tmp_path / "call.mkv")) in (50, 51)


def test_a_format_or_a_file_without_that_track(tmp_path: Path) -> None:
    async def run() -> None:
        async with FileRecorder(tmp_path / "sound.wav") as recorder:
            with pytest.raises(NotSupportedError, match=r"0 tracks for video; .* \.mkv, \.webm"):
                recorder.video  # noqa: B018
            recorder.audio.write(sine(0.02), 0.0)
            recorder.audio.write(np.zeros((960, 1), np.float32), 0.02)  # nothing of ours is so
            recorder.audio.write(np.zeros((960, 5), np.int16), 0.02)
        assert recorder.ignored == 2 and recorder.error is None

    asyncio.run(run())
    assert np.array_equal(file_audio(tmp_path / "sound.wav"), sine(0.02))


def test_too_much_at_once_is_dropped_and_counted(tmp_path: Path) -> None:
    async def run() -> None:
        frame = solid_frame(640, 360, 128)
        async with FileRecorder(tmp_path / "flood.mkv") as recorder:
            for n in range(1_000):
                recorder.video.write(frame, n * 0.033)
        assert recorder.dropped > 500 and recorder.error is None

    asyncio.run(run())
    assert 4 < file_frames(tmp_path / "flood.mkv")[-1].time < 34  # the latest 128 at least


@pytest.mark.parametrize("ending", [*AV_ENDINGS, *SOUND_ENDINGS])
def test_an_empty_recording_is_no_error(tmp_path: Path, ending: str) -> None:
    recorder = asyncio.run(record_nothing(tmp_path / f"empty.{ending}"))
    assert recorder.error is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("ending", [*AV_ENDINGS, *SOUND_ENDINGS])
def test_a_full_disk_is_an_event_and_never_an_exception(tmp_path: Path, ending: str) -> None:
    async def run() -> None:
        path = tmp_path / f"full.{ending}"
        path.symlink_to("/dev/full")
        recorder, host = FileRecorder(path), Host()
        recorder.audio.attach(host)
        recorder.start()
        for n in range(500):
            recorder.audio.render(host, sine(0.02), n * 0.02)
            await asyncio.sleep(0)
        recorder.close()
        await recorder.wait_closed()
        assert isinstance(recorder.error, MediaError) and "No space" in str(recorder.error)
        assert host.states[0] == ACTIVE and host.states[-1][0] is FileState.IDLE
        (event,) = [fields for fields in host.files if fields["cause"] is FileCause.WRITE_ERROR]
        assert event["error"] is recorder.error and event["terminal"] is recorder
        assert not host.failures

    asyncio.run(run())
