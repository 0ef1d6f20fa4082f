"""Recording calls: tracks and mixing, control, sync, crashes and full disks."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from call_ends import Ends, EventLog, loopback
from numpy.typing import NDArray
from peers import eventually, scenario
from senses import ALICE, AUDIO, CAPTURE, RENDER, VIDEO
from terminal_lab import (
    BLOCK,
    Host,
    Reader,
    file_audio,
    file_frames,
    file_length_s,
    file_names,
    file_tracks,
    luma_of,
    pitch_hz,
    rms,
    sine,
    solid_frame,
    written,
)

from ipconf import FilePlayback, FileRecorder, MediaType, ToneTerminal
from ipconf.errors import (
    ClosedError,
    ConfigurationError,
    InvalidMediaTypeError,
    InvalidStateError,
    InvalidTerminalError,
    MediaError,
    NotSupportedError,
    TerminalInUseError,
)
from ipconf.events import FileCause, FileState, FileTerminalEvent, TerminalFailed
from ipconf.model import Direction
from ipconf.terminals.recording import RecordingTrack

AV_ENDINGS = ("mkv", "mp4", "webm")
ENDINGS = (*AV_ENDINGS, "wav", "mp3", "ogg")
STARTED = (FileState.ACTIVE, FileCause.NORMAL)
PAUSED = (FileState.PAUSED, FileCause.NORMAL)
STOPPED = (FileState.IDLE, FileCause.NORMAL)
FAILED = (FileState.IDLE, FileCause.WRITE_ERROR)
LIMIT_S = 60.0


def running(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop; no thread may be left."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        before = threading.active_count()
        asyncio.run(test(*args, **kwargs))
        assert threading.active_count() == before

    return run


async def complete(recorder: FileRecorder) -> None:
    recorder.close()
    await recorder.wait_closed()
    assert recorder.error is None and recorder.dropped == 0


async def speak(
    track: RecordingTrack, host: Host | None, wave: NDArray, at: float, jitter_s: float = 0.0
) -> None:
    """Blocks of 20 ms, one after the other, some a little early or late."""
    rng = np.random.default_rng(3)
    for start in range(0, len(wave), BLOCK):
        due = at + start / 48_000 + rng.uniform(-jitter_s, jitter_s)
        track.render(host or Host(), wave[start : start + BLOCK], due)
        await written(track.recorder)


async def played(path: Path) -> NDArray:
    """The sound of a file, but for packets that are not whole."""
    playback = FilePlayback([path])
    reader = Reader(playback.audio)
    playback.start()
    sound = await reader.sound()
    assert reader.host.states[-1][1] is FileCause.END_OF_FILE
    playback.close()
    await playback.wait_closed()
    return sound


def strength(samples: NDArray, hz: float) -> float:
    """The amplitude of a tone in the samples."""
    wave = samples[:, 0] * np.exp(-2j * np.pi * hz * np.arange(len(samples)) / 48_000)
    return float(2 * np.abs(wave.mean()))


# -- tracks


@running
@pytest.mark.parametrize("ending", AV_ENDINGS)
async def test_a_track_for_each_stream_and_one_that_they_share(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"meeting.{ending}"
    hosts = Host(), Host()
    async with FileRecorder(path) as recorder:
        everybody = recorder.audio
        names = ("Zoë", "nobody \udcff")
        alone = [recorder.create_track(MediaType.AUDIO, name) for name in names]
        faces = [recorder.create_track(MediaType.VIDEO, name) for name in names]
        assert recorder.tracks == (everybody, *alone, *faces)
        assert recorder.media_types_in_use == {MediaType.AUDIO, MediaType.VIDEO}
        assert recorder.directions_in_use == {Direction.RENDER}
        for number, host in enumerate(hosts):
            everybody.attach(host)
            alone[number].attach(host)
            faces[number].attach(host)
        for n in range(100):
            for host, hz, voice, face in zip(hosts, (440, 990), alone, faces, strict=True):
                block = sine(2.0, hz, 6_000)[n * BLOCK : (n + 1) * BLOCK]
                for track in (everybody, voice):
                    track.render(host, block, n * 0.02)
                if n % 4 == 0:
                    face.render(host, solid_frame(64, 48, 100 if hz == 440 else 200), n * 0.02)
            await written(recorder)
    assert file_tracks(path) == ["audio"] * 3 + ["video"] * 2
    assert file_names(path) == [f"{path.name} audio", *["Zoë", "nobody ?"] * 2]
    assert file_length_s(path) == pytest.approx(2.0, abs=0.06)
    mixed, first, second = (file_audio(path, track)[9_600:86_400] for track in range(3))
    for sound, tones in ((mixed, (440, 990)), (first, (440,)), (second, (990,))):
        for hz in (440, 990):
            expected = 6_000 if hz in tones else 0
            assert strength(sound, hz) == pytest.approx(expected, abs=400)
    for track, shade in ((0, 100), (1, 200)):
        frames = file_frames(path, track)
        assert len(frames) >= 25
        assert luma_of(frames[5]).mean() == pytest.approx(shade, abs=6)


@running
async def test_a_shared_track_mixes_what_comes_at_the_same_time(tmp_path: Path) -> None:
    """Each source goes on without a seam, whatever its jitter; the sum saturates."""
    path = tmp_path / "mix.wav"
    one, other = sine(2.0, 300, 9_000), sine(1.0, 700, 9_000)
    async with FileRecorder(path) as recorder:
        track = recorder.audio
        hosts = Host(), Host()
        rng = np.random.default_rng(4)
        for n in range(100):
            jitter_s = rng.uniform(-0.012, 0.012, 2)
            if n:
                track.render(hosts[0], one[n * BLOCK : (n + 1) * BLOCK], n * 0.02 + jitter_s[0])
            else:
                track.render(hosts[0], one[:BLOCK], 0.0)
            if n == 50:
                track.render(hosts[1], other[:BLOCK], 1.0)
            elif n > 50:
                place = (n - 50) * BLOCK
                track.render(hosts[1], other[place : place + BLOCK], n * 0.02 + jitter_s[1])
            await written(recorder)
    expected = one.astype(int)
    expected[48_000:] += other
    assert np.array_equal(file_audio(path), expected)

    path = tmp_path / "loud.wav"
    async with FileRecorder(path) as recorder:
        for host in (Host(), Host(), Host()):
            await speak(recorder.audio, host, np.full((BLOCK, 1), 20_000, np.int16), 5.0)
    assert np.array_equal(file_audio(path), np.full((BLOCK, 1), 32_767))


@running
async def test_a_source_that_is_late_or_silent_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "mix.wav"
    async with FileRecorder(path) as recorder:
        hosts = Host(), Host()
        await speak(recorder.audio, hosts[0], sine(1.0, 300), 0.0)
        await speak(recorder.audio, hosts[1], sine(0.1, 700), 0.2)  # everybody has gone on
        await speak(recorder.audio, hosts[1], sine(0.1, 700), 1.5)
        await speak(recorder.audio, hosts[0], sine(0.5, 300), 2.0)
    sound = file_audio(path)
    assert recorder.ignored == 5 and len(sound) == 2.5 * 48_000
    assert np.array_equal(sound[:48_000], sine(1.0, 300))
    assert not sound[48_000:72_000].any() and not sound[76_800:96_000].any()
    assert np.array_equal(sound[72_000:76_800], sine(0.1, 700))
    assert np.array_equal(sound[96_000:], sine(0.5, 300))


@running
async def test_who_may_have_a_track(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path / "call.mkv")
    hosts = Host(), Host()
    sound, picture = recorder.audio, recorder.video
    assert recorder.audio is sound and sound.recorder is recorder
    sound.attach(hosts[0])
    sound.attach(hosts[1])
    picture.attach(hosts[0])
    with pytest.raises(TerminalInUseError, match="unselect it there first"):
        picture.attach(hosts[1])  # pictures cannot be mixed
    with pytest.raises(InvalidTerminalError, match="select one of its `tracks`"):
        recorder.attach(hosts[0])
    sound.detach(hosts[0])
    assert sound.in_use and sound.hosts == (hosts[1],)
    with pytest.raises(TerminalInUseError, match="unselect it first"):
        recorder.remove_track(sound)
    sound.detach(hosts[1])
    recorder.remove_track(sound)
    with pytest.raises(InvalidTerminalError, match="is no track of"):
        recorder.remove_track(sound)
    assert recorder.tracks == (picture,)
    with pytest.raises(ClosedError):
        sound.attach(hosts[0])
    with pytest.raises(InvalidMediaTypeError, match=r"give MediaType\.AUDIO or"):
        recorder.create_track(MediaType.MULTITRACK)
    await complete(recorder)
    with pytest.raises(ClosedError, match="create a new terminal"):
        recorder.create_track(MediaType.AUDIO)
    with pytest.raises(ClosedError):
        recorder.start()


@running
async def test_formats_have_limits(tmp_path: Path) -> None:
    for ending in ("wav", "mp3", "ogg"):
        recorder = FileRecorder(tmp_path / f"call.{ending}")
        recorder.create_track(MediaType.AUDIO)
        with pytest.raises(NotSupportedError, match=r"1 tracks for audio; share one .* \.mkv"):
            recorder.create_track(MediaType.AUDIO)
        with pytest.raises(NotSupportedError, match="0 tracks for video"):
            recorder.create_track(MediaType.VIDEO)
    several = FileRecorder(tmp_path / "call.mkv")
    several.create_track(MediaType.AUDIO)
    several.create_track(MediaType.AUDIO)
    with pytest.raises(NotSupportedError, match=r"2 tracks for audio; remove tracks or"):
        several.path = tmp_path / "call.wav"
    with pytest.raises(ConfigurationError, match="end the name in"):
        several.path = tmp_path / "call.avi"
    assert several.path == tmp_path / "call.mkv"


@running
async def test_the_tracks_are_settled_with_the_first_media(tmp_path: Path) -> None:
    path = tmp_path / "call.mkv"
    async with FileRecorder(path) as recorder:
        recorder.create_track(MediaType.VIDEO)
        removed = recorder.create_track(MediaType.AUDIO)
        recorder.remove_track(recorder.create_track(MediaType.AUDIO))
        await speak(recorder.audio, None, sine(0.5), 0.0)
        with pytest.raises(InvalidStateError, match="create its tracks before media arrive"):
            recorder.create_track(MediaType.AUDIO)
        recorder.remove_track(removed)
        await speak(removed, None, sine(0.5), 0.5)  # it is closed
    assert file_tracks(path) == ["audio", "video"]
    assert len(file_audio(path)) == pytest.approx(24_000, abs=1_000)
    frames = file_frames(path)  # black, as long as the sound
    assert frames[0].time == 0 and frames[-1].time == pytest.approx(0.47, abs=0.05)
    assert max(luma_of(frame).mean() for frame in frames) < 20


@running
async def test_pictures_of_impossible_sizes_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "call.mkv"
    async with FileRecorder(path, size=(64, 48)) as recorder:
        for n in range(10):
            recorder.video.render(Host(), solid_frame(64, 48, 150), n * 0.04)
        recorder.video.render(Host(), av.VideoFrame(5000, 16, "yuv420p"), 0.4)
        recorder.video.render(Host(), av.VideoFrame(0, 0, "yuv420p"), 0.44)
        recorder.video.render(Host(), solid_frame(4096, 2, 150), 0.48)
        recorder.video.render(Host(), solid_frame(3, 1, 150), 0.52)
    assert recorder.ignored == 2 and recorder.error is None
    assert len(file_frames(path)) in (12, 13)


@running
async def test_blocks_may_be_of_any_length(tmp_path: Path) -> None:
    """Also longer than what a track keeps back for late sources."""
    path = tmp_path / "call.wav"
    hosts = Host(), Host()
    async with FileRecorder(path) as recorder:
        track = recorder.audio
        track.render(hosts[0], sine(0.3, 300), 0.0)
        track.render(hosts[0], sine(2.5, 300), 0.5)
        track.render(hosts[1], sine(0.001, 700), 2.9)
        track.render(hosts[1], sine(0.5, 700), 2.901)
    assert recorder.error is None and recorder.ignored == 0
    sound = file_audio(path)
    assert len(sound) == round(3.401 * 48_000)
    assert np.array_equal(sound[:14_400], sine(0.3, 300)) and not sound[14_400:24_000].any()
    assert np.array_equal(sound[24_000:139_200], sine(2.4, 300))
    both = sine(2.5, 300)[115_200:] + np.concatenate((sine(0.001, 700), sine(0.099, 700)))
    assert np.array_equal(sound[139_200:144_000], both)


@running
async def test_what_is_no_sound_or_picture_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    useless: list[Any] = [None, "sound", [0] * 960, av.AudioFrame(), np.zeros(960, np.int16)]
    useless += [np.zeros((0, 1), np.int16), np.zeros((48_000 * 60 + 1, 1), np.int16)]
    useless += [np.zeros((960, 3), np.int16), np.zeros((960, 1)), solid_frame(64, 48, 0)]
    async with FileRecorder(path) as recorder:
        await speak(recorder.audio, None, sine(0.1), 0.0)
        for media in useless:
            recorder.audio.write(media, 0.1)
        await speak(recorder.audio, None, sine(0.1), 0.1)
    assert recorder.error is None and recorder.ignored == len(useless)
    assert len(file_audio(path)) == 9_600


@pytest.mark.parametrize("size", [(640.0, 360), ("640", "360"), (640,), (640, 360, 3), (4097, 360)])
def test_sizes_that_no_video_has_are_refused(tmp_path: Path, size: Any) -> None:
    with pytest.raises(ConfigurationError, match="give width and height, each side 2 to 4096"):
        FileRecorder(tmp_path / "call.mkv", size=size)


# -- control


@running
async def test_start_pause_stop(tmp_path: Path) -> None:
    """What is not recorded while paused is left out, of sound and pictures alike."""
    recorder, host = FileRecorder(tmp_path / "call.mkv"), Host()
    recorder.audio.attach(host)
    sound, picture = recorder.audio, recorder.video

    async def show(shade: int, begin: int, end: int) -> None:
        for n in range(begin, end):
            sound.render(host, sine(0.02, 10 * shade), n * 0.02)
            if n % 2 == 0:
                picture.render(host, solid_frame(64, 48, shade), n * 0.02)
            await written(recorder)

    await show(60, 0, 10)
    assert recorder.state is FileState.IDLE and not recorder.path.exists()
    recorder.start()
    recorder.start()
    await show(100, 10, 60)
    recorder.pause()
    recorder.pause()
    await show(150, 60, 1_000)
    recorder.start()
    await show(200, 1_000, 1_050)
    recorder.stop()
    recorder.stop()
    await show(60, 1_050, 1_100)
    await recorder.wait_complete()
    assert host.states == [STARTED, PAUSED, STARTED, STOPPED]
    path = recorder.path
    assert file_length_s(path) == pytest.approx(2.0, abs=0.05)
    audio, frames = file_audio(path), file_frames(path)
    assert pitch_hz(audio[4_800:43_200]) == pytest.approx(1000, abs=3)
    assert pitch_hz(audio[52_800:91_200]) == pytest.approx(2000, abs=3)
    for frame in frames:
        shade = 100 if frame.time < 0.99 else 200
        if not 0.9 < frame.time < 1.1:
            assert luma_of(frame).mean() == pytest.approx(shade, abs=6)
    await complete(recorder)


@running
async def test_times_that_make_no_sense_are_ignored(tmp_path: Path) -> None:
    async with FileRecorder(tmp_path / "call.wav") as recorder:
        for at in (float("nan"), float("inf"), -float("inf")):
            recorder.audio.write(sine(0.02), at)
        await speak(recorder.audio, None, sine(0.1), 5.0)
        recorder.audio.write(sine(0.02), float("nan"))
        recorder.pause()
        recorder.start()
        recorder.pause()
        recorder.start()
        await speak(recorder.audio, None, sine(0.1), 9.0)
    assert np.array_equal(file_audio(recorder.path), np.concatenate((sine(0.1), sine(0.1))))


@running
async def test_one_file_after_the_other(tmp_path: Path) -> None:
    recorder, host = FileRecorder(tmp_path / "first.wav"), Host()
    recorder.audio.attach(host)
    recorder.start()
    with pytest.raises(InvalidStateError, match="stop it first"):
        recorder.path = tmp_path / "second.wav"
    await speak(recorder.audio, host, sine(0.4, 400), 0.0)
    recorder.stop()
    with pytest.raises(InvalidStateError, match="set `path`"):
        recorder.start()
    recorder.path = tmp_path / "second.ogg"
    recorder.start()
    await speak(recorder.audio, host, sine(0.4, 800), 10.0)
    recorder.stop()
    await recorder.wait_complete()
    recorder.path = tmp_path / "first.wav"  # the same again: it is overwritten
    recorder.start()
    await speak(recorder.audio, host, sine(0.2, 1600), 20.0)
    await complete(recorder)
    assert host.states == [STARTED, STOPPED] * 3
    assert np.array_equal(file_audio(tmp_path / "first.wav"), sine(0.2, 1600))
    assert pitch_hz(file_audio(tmp_path / "second.ogg")) == pytest.approx(800, abs=5)


@running
async def test_a_file_that_is_being_completed_is_not_begun_again(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path / "call.mp4")
    track = recorder.video
    recorder.start()
    for n in range(60):
        track.write(solid_frame(640, 360, n), n * 0.04)
    recorder.stop()
    recorder.path = tmp_path / "call.mp4"
    with pytest.raises(InvalidStateError, match="wait_complete"):
        recorder.start()
    await recorder.wait_complete()
    recorder.start()
    recorder.video.write(solid_frame(640, 360, 50), 0.0)
    await complete(recorder)
    assert len(file_frames(tmp_path / "call.mp4")) == 1


@running
async def test_volume_holds_for_what_is_recorded(tmp_path: Path) -> None:
    async with FileRecorder(tmp_path / "call.wav") as recorder:
        host = Host()
        recorder.audio.attach(host)
        recorder.audio.volume = 0x7FFF  # half of 60 dB down
        await speak(recorder.audio, host, sine(0.2, 1000, 30_000), 0.0)
    assert rms(file_audio(recorder.path)) == pytest.approx(rms(sine(0.2, 1000, 949)), rel=0.01)


# -- crashes and full disks

CRASH = """
import asyncio, sys
from terminal_lab import Host, sine, solid_frame, written
from ipconf import FileRecorder

async def record(paths):
    recorders, host = [FileRecorder(path) for path in paths], Host()
    for recorder in recorders:
        recorder.audio.attach(host)
        recorder.start()
        if recorder.path.suffix in (".mkv", ".mp4", ".webm"):
            recorder.video.attach(host)
    for n in range(300):
        for recorder in recorders:
            recorder.audio.render(host, sine(0.02), n * 0.02)
            if n % 2 == 0 and len(recorder.tracks) > 1:
                recorder.video.render(host, solid_frame(160, 120, n % 200), n * 0.02)
            await written(recorder)
    while any(recorder.backlog for recorder in recorders):
        await asyncio.sleep(0)
    print("recorded", flush=True)
    sys.stdin.read()

asyncio.run(record(sys.argv[1:]))
"""


def test_a_crash_leaves_files_that_play(tmp_path: Path) -> None:
    """The process is killed six seconds into the recordings: at most the last two are missing."""
    paths = [tmp_path / f"call.{ending}" for ending in ENDINGS]
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
        sound = file_audio(path)
        assert len(sound) > 4 * 48_000, path.name
        assert pitch_hz(sound[48_000:144_000]) == pytest.approx(1000, abs=1)
        if path.suffix in (".mkv", ".mp4", ".webm"):
            frames = file_frames(path)
            assert frames[-1].time > 4
            assert abs(frames[-1].time - len(sound) / 48_000) < 1.0


FULL_DISK = """
import asyncio, resource, sys
from terminal_lab import Host, sine, solid_frame, written
from ipconf import FileRecorder
from ipconf.events import FileCause, FileState

async def record(path):
    host = Host()
    recorder = FileRecorder(path)
    recorder.audio.attach(host)
    if path.endswith(("mkv", "mp4", "webm")):
        recorder.video.attach(host)
    recorder.start()
    n = 0
    while recorder.state is FileState.ACTIVE:
        recorder.audio.render(host, sine(0.02), n * 0.02)
        if len(recorder.tracks) > 1:
            recorder.video.render(host, solid_frame(160, 120, 90 * n % 251), n * 0.02)
        n += 1
        await asyncio.sleep(0)
        await written(recorder)
    recorder.close()
    await recorder.wait_closed()
    assert "File too large" in str(recorder.error), recorder.error
    causes = [fields["cause"] for fields in host.files]
    assert causes == [FileCause.NORMAL, FileCause.WRITE_ERROR], causes
    assert host.files[1]["error"] is recorder.error

resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
for path in sys.argv[1:]:
    asyncio.run(record(path))
"""


def test_a_full_disk_leaves_files_that_play(tmp_path: Path) -> None:
    paths = [tmp_path / f"call.{ending}" for ending in ENDINGS]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL_DISK, *map(str, paths)],
        cwd=Path(__file__).parent,
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    for path in paths:
        assert path.stat().st_size > 30_000
        assert len(asyncio.run(played(path))) > 0.4 * 48_000, path.name


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@running
async def test_a_file_that_cannot_be_completed_is_an_event_after_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "full.mkv"
    path.symlink_to("/dev/full")
    recorder, host = FileRecorder(path), Host()
    recorder.audio.attach(host)
    recorder.start()
    await speak(recorder.audio, host, sine(0.1), 0.0)  # not enough for the file to begin
    recorder.stop()
    assert host.states == [STARTED, STOPPED] and recorder.error is None
    await recorder.wait_complete()
    assert host.states == [STARTED, STOPPED, FAILED]
    assert isinstance(recorder.error, MediaError) and "No space" in str(recorder.error)
    recorder.path = tmp_path / "elsewhere.mkv"
    recorder.start()
    assert recorder.error is None
    await speak(recorder.audio, host, sine(0.1), 0.0)
    await complete(recorder)


# -- in calls


@scenario()
async def test_two_calls_are_mixed_on_a_shared_track(tmp_path: Path) -> None:
    path = tmp_path / "both.wav"
    async with loopback() as (tsp, x, y), FileRecorder(path) as recorder:
        pairs = [(x, y), tsp.pair()]
        logs = [EventLog(near) for near, _ in pairs]
        for (near, far), hz in zip(pairs, (440, 990), strict=True):
            near.stream(AUDIO, RENDER).select_terminal(recorder.audio)
            far.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(hz))
            await tsp.connect(pair=(near, far))
        assert len(recorder.audio.hosts) == 2
        with pytest.raises(InvalidTerminalError, match="select the one for audio of its `tracks`"):
            x.stream(AUDIO, RENDER).select_terminal(recorder)
        for log, (near, _) in zip(logs, pairs, strict=True):
            began = await log.until(FileTerminalEvent)
            assert (began.state, began.cause, began.terminal) == (*STARTED, recorder)
            assert began.call is near and began.track is None
        await asyncio.wait_for(Ends(x, None).hears(440), LIMIT_S)
        await asyncio.wait_for(Ends(pairs[1][0], None).hears(990), LIMIT_S)
        x.stream(AUDIO, RENDER).unselect_terminal(recorder.audio)
        assert recorder.audio.in_use
        recorder.stop()
        assert [(e.state, e.cause) for e in logs[0].of(FileTerminalEvent)] == [STARTED]
        await logs[1].until(FileTerminalEvent, lambda event: event.state is FileState.IDLE)
    sound = file_audio(path)
    level = ToneTerminal(440).read(0.0)
    assert level is not None
    peak = float(np.sqrt(2) * rms(level))
    spectra = [
        [strength(sound[n : n + 9_600], hz) for n in range(0, len(sound) - 9_600, 4_800)]
        for hz in (440, 990)
    ]
    together = max(min(pair) for pair in zip(*spectra, strict=True))
    assert together == pytest.approx(peak, rel=0.15)


@scenario()
async def test_a_full_disk_does_not_harm_the_call(tmp_path: Path) -> None:
    path = tmp_path / "full.mkv"
    path.symlink_to("/dev/full")
    async with loopback() as (tsp, x, y):
        log = EventLog(y)
        Ends(x, 440, ALICE)
        bob = Ends(y)
        recorder = FileRecorder(path, size=(64, 48))
        y.stream(AUDIO, RENDER).select_terminal(recorder.audio)
        y.stream(VIDEO, RENDER).unselect_terminal(bob.eye)
        y.stream(VIDEO, RENDER).select_terminal(recorder.video)
        recorder.start()
        await tsp.connect(pair=(x, y))
        failed = await log.until(FileTerminalEvent, lambda event: event.error)
        assert (failed.state, failed.cause, failed.terminal) == (*FAILED, recorder)
        await bob.hears(440)
        assert y.stream(VIDEO, RENDER).running and not log.of(TerminalFailed)
        assert len(log.of(FileTerminalEvent)) == 2
        recorder.close()
        await recorder.wait_closed()


@scenario()
async def test_a_call_is_recorded_with_sound_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    async with loopback() as (tsp, x, y):
        Ends(x, 440, ALICE)
        bob = Ends(y)
        async with FileRecorder(path) as recorder:
            y.stream(AUDIO, RENDER).select_terminal(recorder.audio)
            y.stream(VIDEO, RENDER).unselect_terminal(bob.eye)
            y.stream(VIDEO, RENDER).select_terminal(recorder.video)
            await tsp.connect(pair=(x, y))
            await bob.hears(440)
            await eventually(lambda: recorder.state is FileState.ACTIVE)
            y.stream(VIDEO, RENDER).unselect_terminal(recorder.video)
            y.stream(VIDEO, RENDER).select_terminal(bob.eye)
            await bob.sees(ALICE)
    assert file_tracks(path) == ["audio", "video"]
    assert pitch_hz(file_audio(path)) == pytest.approx(440, abs=3)
    assert len(file_frames(path)) > 5
