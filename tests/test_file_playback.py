"""Playing lists of files: content and timing, start, pause, stop, seek, loop, ends and failures."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from call_ends import EventLog, loopback
from peers import eventually, scenario
from senses import AUDIO, CAPTURE, RENDER, VIDEO, Sink
from terminal_lab import (
    BLOCK,
    Host,
    Reader,
    film_file,
    foreign_file,
    luma_of,
    pitch_hz,
    rms,
    sine,
    solid_frame,
    sound_file,
)

from ipconf import ClipPlayer, FilePlayback, MediaType
from ipconf.errors import (
    ClosedError,
    ConfigurationError,
    InvalidStateError,
    InvalidTerminalError,
    MediaError,
    NotSupportedError,
    TerminalInUseError,
)
from ipconf.events import FileCause, FileState, FileTerminalEvent
from ipconf.model import Direction
from ipconf.terminals.muxing import MediaWriter
from ipconf.ticker import Ticker

STARTED = (FileState.ACTIVE, FileCause.NORMAL)
PAUSED = (FileState.PAUSED, FileCause.NORMAL)
STOPPED = (FileState.IDLE, FileCause.NORMAL)
ENDED = (FileState.IDLE, FileCause.END_OF_FILE)
FAILED = (FileState.IDLE, FileCause.READ_ERROR)
GOES_ON = (FileState.ACTIVE, FileCause.READ_ERROR)


def running(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop; no thread may be left."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        before = threading.active_count()
        asyncio.run(test(*args, **kwargs))
        assert threading.active_count() == before

    return run


async def close(*playbacks: FilePlayback) -> None:
    for playback in playbacks:
        playback.close()
        await playback.wait_closed()


async def in_real_time(step: Callable[[float, int], object]) -> None:
    """Call `step` every 10 ms, as streams are, until it says that it is done."""
    done = asyncio.Event()

    def tick(now: float, number: int) -> None:
        if step(now, number):
            done.set()

    ticker = Ticker(asyncio.get_running_loop())
    ticker.add(tick)
    async with asyncio.timeout(20):
        await done.wait()
    ticker.remove(tick)


async def screening(playback: FilePlayback, host: Host) -> list[tuple[float, av.VideoFrame]]:
    """Show all pictures: each, and when since the first it came."""
    shown: list[tuple[float, av.VideoFrame]] = []

    def look(now: float, number: int) -> bool:
        frame = playback.video.capture(now)
        if isinstance(frame, av.VideoFrame):
            shown.append((now, frame))
        return playback.state is FileState.IDLE

    playback.video.attach(host)
    playback.start()
    await in_real_time(look)
    return [(at - shown[0][0], frame) for at, frame in shown]


def shade_of(frame: av.VideoFrame) -> float:
    return float(luma_of(frame).mean())


# -- content


@running
async def test_a_play_list_is_played_without_a_seam(tmp_path: Path) -> None:
    waves = [sine(0.51), sine(0.733, 700), sine(0.4, 400)]
    files = [sound_file(tmp_path / f"{n}.wav", wave) for n, wave in enumerate(waves)]
    playback = FilePlayback(files)
    assert playback.play_list == tuple(files)
    assert playback.duration_s == pytest.approx(1.643)
    reader = Reader(playback.audio)
    playback.start()
    sound = await reader.sound()
    whole = np.concatenate(waves)
    assert np.array_equal(sound[: len(whole)], whole) and not sound[len(whole) :].any()
    assert reader.host.states == [STARTED, ENDED]
    await close(playback)


@running
@pytest.mark.parametrize("ending", ["wav", "mp3", "ogg", "mp4", "mkv", "webm"])
async def test_every_format_can_be_played(tmp_path: Path, ending: str) -> None:
    playback = FilePlayback([sound_file(tmp_path / f"clip.{ending}", sine(1.0))])
    assert [track.media_type for track in playback.tracks] == [MediaType.AUDIO]
    reader = Reader(playback.audio)
    playback.start()
    sound = await reader.sound()
    assert abs(len(sound) - 48_000) <= 2 * BLOCK
    assert pitch_hz(sound) == pytest.approx(1000, abs=2)
    assert rms(sound[4_800:43_200]) == pytest.approx(rms(sine(1.0)), rel=0.08)
    assert reader.host.states == [STARTED, ENDED]
    await close(playback)


@running
@pytest.mark.parametrize(
    ("name", "codec", "rate_hz"),
    [
        ("odd.wav", "pcm_s16le", 11_025),
        ("phone.wav", "pcm_mulaw", 8_000),
        ("eight bits.wav", "pcm_u8", 22_050),
        ("floats.wav", "pcm_f32le", 37_800),
        ("studio.wav", "pcm_s24le", 96_000),
        ("cd.mp3", "libmp3lame", 44_100),
        ("slow.mp3", "libmp3lame", 16_000),
        ("flac.ogg", "flac", 44_100),
    ],
)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
async def test_odd_rates_and_stereo(
    tmp_path: Path, name: str, codec: str, rate_hz: int, layout: str
) -> None:
    wave = sine(1.0, 600, rate_hz=rate_hz)
    if layout == "stereo":
        wave = np.hstack((wave, wave))
    path = foreign_file(tmp_path / name, codec, rate_hz, layout, wave)
    for channels in (1, 2):
        playback = FilePlayback([path], channels=channels)
        reader = Reader(playback.audio)
        playback.start()
        blocks = await reader.take(1_000)
        assert {block.shape for block in blocks} == {(BLOCK, channels)}
        sound = np.concatenate(blocks)
        assert abs(len(sound) - 48_000) <= 4 * BLOCK
        assert pitch_hz(sound) == pytest.approx(600, abs=2)
        assert rms(sound[9_600:38_400]) == pytest.approx(rms(sine(1.0)), rel=0.06)
        await close(playback)


@running
async def test_more_channels_than_two_are_mixed_down(tmp_path: Path) -> None:
    wave = np.zeros((24_000, 6), np.int16)
    wave[:, 2] = sine(0.5, 500)[:, 0]  # the centre
    path = foreign_file(tmp_path / "cinema.wav", "pcm_s16le", 48_000, "5.1", wave)
    playback = FilePlayback([path], channels=2)
    reader = Reader(playback.audio)
    playback.start()
    sound = np.concatenate(await reader.take(100))
    assert pitch_hz(sound[2_000:20_000, :1]) == pytest.approx(500, abs=3)
    assert pitch_hz(sound[2_000:20_000, 1:]) == pytest.approx(500, abs=3)
    await close(playback)


@running
async def test_pictures_come_when_they_are_due(tmp_path: Path) -> None:
    playback = FilePlayback([film_file(tmp_path / "film.mkv", 2.0, sound=False)])
    assert [track.media_type for track in playback.tracks] == [MediaType.VIDEO]
    host = Host()
    shown = await screening(playback, host)
    assert len(shown) in (50, 51)
    late = [at - number / 25 for number, (at, _) in enumerate(shown[:50])]
    assert np.median(np.abs(late)) < 0.015 and max(np.abs(late)) < 0.2  # on a busy machine
    for _, frame in shown:
        assert frame.format.name == "yuv420p" and (frame.width, frame.height) == (160, 120)
    assert all(np.diff([shade_of(frame) for _, frame in shown[:50]]) > 0)
    assert host.states == [STARTED, ENDED]
    await close(playback)


@running
async def test_a_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "slides.mkv"
    times = [0.0, 0.04, 0.08, 0.9, 1.0, 1.005, 1.7]
    writer = MediaWriter(path)
    for number, at in enumerate(times):
        writer.write(solid_frame(64, 48, 30 * number + 16), at)
    writer.close()
    playback = FilePlayback([path])
    shown = await screening(playback, Host())
    shades = np.array([shade_of(frame) for _, frame in shown])
    for number, at in enumerate(times):
        if at == 1.0:
            continue  # the next comes before anybody looks again
        shade = shade_of(solid_frame(64, 48, 30 * number + 16))
        assert shown[int(np.argmin(np.abs(shades - shade)))][0] == pytest.approx(at, abs=0.05)
    await close(playback)


@running
async def test_the_cover_of_an_album_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=48_000, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(solid_frame(64, 48, 99).reformat(format="rgb24")))
        container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(sine(0.5).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    playback = FilePlayback([path])
    assert playback.media_types_in_use == {MediaType.AUDIO}
    await close(playback)


# -- control


@running
async def test_start_pause_stop(tmp_path: Path) -> None:
    wave = sine(2.0, 333)
    playback = FilePlayback([sound_file(tmp_path / "clip.wav", wave)])
    reader = Reader(playback.audio)
    assert await reader.poll() is None and playback.state is FileState.IDLE
    playback.start()
    playback.start()  # it runs, so that is nothing new
    assert playback.state is FileState.ACTIVE
    first = np.concatenate(await reader.take(20))
    playback.pause()
    playback.pause()
    for _ in range(500):  # ten seconds
        assert await reader.poll() is None
    assert playback.position_s == pytest.approx(0.4, abs=0.05)
    playback.start()
    second = np.concatenate(await reader.take(20))
    assert np.array_equal(np.concatenate((first, second)), wave[: 40 * BLOCK])
    playback.stop()
    playback.stop()
    assert await reader.poll() is None and playback.position_s == 0
    playback.start()
    assert np.array_equal(np.concatenate(await reader.take(10)), wave[: 10 * BLOCK])
    playback.pause()
    playback.stop()
    expected = [STARTED, PAUSED, STARTED, STOPPED, STARTED, PAUSED, STOPPED]
    assert reader.host.states == expected
    await close(playback)
    assert reader.host.states == expected
    for use in (playback.start, lambda: playback.seek(0)):
        with pytest.raises(ClosedError, match="create a new terminal"):
            use()


@running
async def test_it_can_be_played_again_after_its_end(tmp_path: Path) -> None:
    playback = FilePlayback([sound_file(tmp_path / "clip.wav", sine(0.2))])
    for _ in range(3):
        reader = Reader(playback.audio, Host())
        playback.start()
        assert len(await reader.take(100)) == 10
        assert reader.host.states == [STARTED, ENDED]
        assert playback.position_s == 0
        playback.audio.detach(reader.host)
    await close(playback)


@running
async def test_a_loop_goes_on_until_it_is_told_otherwise(tmp_path: Path) -> None:
    wave = sine(0.51)
    playback = FilePlayback([sound_file(tmp_path / "clip.wav", wave)], loop=True)
    reader = Reader(playback.audio)
    playback.start()
    sound = await reader.sound(200)
    assert np.array_equal(sound, np.resize(wave, (200 * BLOCK, 1)))
    assert 0 <= playback.position_s <= 0.53
    assert reader.host.states == [STARTED]
    assert playback.loop
    playback.loop = False
    await reader.sound()
    assert reader.host.states == [STARTED, ENDED]
    await close(playback)


@running
@pytest.mark.parametrize("ending", ["wav", "mp3", "ogg", "mp4", "mkv"])
async def test_seeking_is_exact_in_sound(tmp_path: Path, ending: str) -> None:
    """The loudness of the file grows; so it tells the position."""
    ramp = (np.linspace(0, 1, 4 * 48_000)[:, np.newaxis] * sine(4.0)).astype(np.int16)
    playback = FilePlayback([sound_file(tmp_path / f"clip.{ending}", ramp)])
    reader = Reader(playback.audio)
    playback.start()
    await reader.take(5)
    for position_s in (3.0, 0.55, 2.0):
        playback.seek(position_s)
        assert playback.position_s == pytest.approx(position_s)
        block = np.concatenate(await reader.take(5))
        assert rms(block) == pytest.approx(rms(sine(1.0)) * (position_s + 0.05) / 4, rel=0.08)
        assert playback.position_s == pytest.approx(position_s + 0.1, abs=0.05)
    playback.pause()
    playback.seek(1.0)
    assert playback.state is FileState.PAUSED and await reader.poll() is None
    playback.start()
    block = np.concatenate(await reader.take(5))
    assert rms(block) == pytest.approx(rms(sine(1.0)) * 1.05 / 4, rel=0.08)
    playback.stop()
    playback.seek(2.0)
    playback.start()
    block = np.concatenate(await reader.take(5))
    assert rms(block) == pytest.approx(rms(sine(1.0)) * 2.05 / 4, rel=0.08)
    await close(playback)


@running
async def test_seeking_in_a_list_and_in_pictures(tmp_path: Path) -> None:
    files = [film_file(tmp_path / f"{n}.mkv", 2.0, sound=False) for n in range(3)]
    playback = FilePlayback(files)
    assert playback.duration_s == pytest.approx(6.0, abs=0.1)
    reader = Reader(playback.video)
    playback.start()
    playback.seek(3.3)
    (frame, *_) = await reader.take(1)
    first_s = playback.play_list and (playback.duration_s or 0) / 3
    assert shade_of(frame) == pytest.approx(
        shade_of(solid_frame(64, 48, 16 + 2 * round((3.3 - first_s) * 25))), abs=4
    )
    with pytest.raises(ConfigurationError, match="give 0 to that"):
        playback.seek(100)
    with pytest.raises(ConfigurationError):
        playback.seek(-1)
    with pytest.raises(ConfigurationError):
        playback.seek(float("nan"))
    await close(playback)


# -- sound and pictures together


async def watch(playback: FilePlayback, seconds: float) -> tuple[list[float], list[float]]:
    """When the sound was loud, and when the pictures were bright."""
    loud: list[float] = []
    bright: list[float] = []
    began: list[float] = []

    def look_and_listen(now: float, number: int) -> bool:
        frame = playback.video.capture(now)
        if isinstance(frame, av.VideoFrame) and shade_of(frame) > 130:
            bright.append(now)
        block = playback.audio.capture(now) if number % 2 == 0 else None
        if isinstance(block, np.ndarray):
            began.append(now)
            if rms(block) > 3_000:
                loud.append(now)
        return bool(began) and now - began[0] > seconds

    playback.audio.attach(Host())
    playback.video.attach(Host())
    playback.start()
    await in_real_time(look_and_listen)
    return loud, bright


@running
@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm"])
async def test_a_flash_and_a_beep_stay_together(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"clap.{ending}"
    writer = MediaWriter(path)
    for n in range(75):
        event = 50 <= n < 60
        writer.write(sine(0.02) if event else np.zeros((BLOCK, 1), np.int16), n * 0.02)
        if n % 2 == 0:
            writer.write(solid_frame(160, 120, 230 if event else 30), n * 0.02)
    writer.close()
    playback = FilePlayback([path, path], loop=True)
    loud, bright = await watch(playback, 3.4)
    assert len(loud) > 15 and len(bright) > 5
    beeps = [at for at, before in zip(loud, [0.0, *loud], strict=False) if at - before > 0.3]
    flashes = [at for at, before in zip(bright, [0.0, *bright], strict=False) if at - before > 0.3]
    assert len(beeps) == len(flashes) >= 2
    assert np.abs(np.subtract(beeps, flashes)).max() < 0.04
    await close(playback)


@running
async def test_a_track_may_be_selected_late(tmp_path: Path) -> None:
    """Until then its packets are not decoded; so it begins with the next key frame, on time."""
    playback = FilePlayback([film_file(tmp_path / "film.mp4", 3.2)])
    heard: list[float] = []
    seen: list[tuple[float, av.VideoFrame]] = []

    def step(now: float, number: int) -> bool:
        if number % 2 == 0 and playback.audio.capture(now) is not None:
            heard.append(now)
        if len(heard) == 50 and not playback.video.in_use:
            playback.video.attach(Host())
        if playback.video.in_use and (frame := playback.video.capture(now)):
            seen.append((now - heard[0], frame))
        return playback.state is FileState.IDLE

    playback.audio.attach(Host())
    playback.start()
    await in_real_time(step)
    at, first = seen[0]
    assert 1.0 < at < 2.7 and len(seen) > 10
    expected = 16 + 2 * round(at * 25)
    assert shade_of(first) == pytest.approx(shade_of(solid_frame(64, 48, expected)), abs=5)
    await close(playback)


@running
async def test_a_list_of_different_media(tmp_path: Path) -> None:
    """Sound is silent while only pictures are shown, and the other way round."""
    film = film_file(tmp_path / "film.mkv", 1.0, sound=False)
    song = sound_file(tmp_path / "song.wav", sine(1.0))
    playback = FilePlayback([film, song])
    assert playback.media_types_in_use == {MediaType.AUDIO, MediaType.VIDEO}
    assert playback.directions_in_use == {Direction.CAPTURE}
    reader = Reader(playback.audio)
    playback.start()
    sound = await reader.sound()
    quiet = np.flatnonzero(sound[:, 0])[0]
    assert quiet == pytest.approx(48_000, abs=3_000)
    assert len(sound) - quiet == pytest.approx(48_000, abs=2 * BLOCK)
    await close(playback)


# -- failures


def test_what_cannot_be_opened_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "notes.ogg").write_bytes(b"no media at all" * 100)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:1/secret\n")
    song = sound_file(tmp_path / "song.wav", sine(0.1))
    for name in ("missing.ogg", "notes.ogg", "empty.wav", "list.mp4"):
        with pytest.raises(MediaError, match=f"cannot open .*{name}"):
            FilePlayback([song, tmp_path / name])
    with pytest.raises(MediaError, match="Is a directory"):
        FilePlayback([tmp_path])
    with pytest.raises(ConfigurationError, match="give a list of paths"):
        FilePlayback("song.wav")
    with pytest.raises(ConfigurationError, match="at least one"):
        FilePlayback([])
    with pytest.raises(ConfigurationError, match="channels"):
        FilePlayback([song], channels=3)
    huge = tmp_path / "huge.mkv"
    with av.open(str(huge), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 8192, 16, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(8192, 16, "yuvj420p")))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"8192x16: make a copy with 1 to 4096"):
        FilePlayback([huge])


@running
async def test_what_nobody_can_decode_is_left_out(tmp_path: Path) -> None:
    """A film whose sound is of an unknown kind is a silent film; sound alone is refused."""
    film, song = film_file(tmp_path / "film.mkv", 0.4), sound_file(tmp_path / "song.mkv", sine(0.2))
    for path in (film, song):
        path.write_bytes(path.read_bytes().replace(b"A_OPUS", b"A_SONG"))
    with pytest.raises(MediaError, match=r"song\.mkv holds neither sound nor pictures to play"):
        FilePlayback([song])
    playback = FilePlayback([film])
    assert playback.media_types_in_use == {MediaType.VIDEO}
    reader = Reader(playback.video)
    playback.start()
    assert len(await reader.take(100)) >= 5
    assert reader.host.states == [STARTED, ENDED]
    await close(playback)


@pytest.mark.parametrize("rate_hz", [0, 7, 999, 1_000_000])
def test_rates_that_are_no_sound_are_refused(tmp_path: Path, rate_hz: int) -> None:
    """A small file of 7 Hz would be hours of silence."""
    path = sound_file(tmp_path / "clip.wav", sine(0.1))
    content = bytearray(path.read_bytes())
    content[24:28] = rate_hz.to_bytes(4, "little")  # of the format chunk
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"make a copy with 1000 to 768000 Hz|cannot open"):
        FilePlayback([path])


@running
async def test_a_file_that_turns_out_broken_is_passed_over(tmp_path: Path) -> None:
    good = sound_file(tmp_path / "good.wav", sine(0.5))
    lost = sound_file(tmp_path / "lost.wav", sine(0.5))
    playback = FilePlayback([good, lost, good])
    lost.unlink()
    reader = Reader(playback.audio)
    playback.start()
    sound = await reader.sound()
    assert len(sound) == pytest.approx(48_000, abs=BLOCK)
    assert reader.host.states == [STARTED, GOES_ON, ENDED]
    event = reader.host.files[1]
    assert event["terminal"] is playback and event["track"] is None
    assert isinstance(event["error"], MediaError) and "lost.wav" in str(event["error"])
    await close(playback)


@running
async def test_pictures_that_cannot_be_decoded_leave_the_sound(tmp_path: Path) -> None:
    """It is an event about the one track; the other plays to its end."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
        film = container.add_stream("mjpeg", rate=50)
        film.width, film.height, film.pix_fmt = 64, 48, "yuvj420p"
        for n in range(100):
            packet = av.Packet(b"no picture")
            packet.stream, packet.pts, packet.time_base = film, n, Fraction(1, 50)
            container.mux(packet)
            frame = av.AudioFrame.from_ndarray(sine(0.02).T.copy(), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, n * BLOCK, Fraction(1, 48_000)
            container.mux(sound.encode(frame))
    playback = FilePlayback([path])
    screen = Host()
    playback.video.attach(screen)
    reader = Reader(playback.audio)
    playback.start()
    assert len(await reader.sound()) == 2 * 48_000
    assert reader.host.states == [STARTED, ENDED]
    assert screen.states == [STARTED, GOES_ON, ENDED]
    event = screen.files[1]
    assert event["terminal"] is playback and event["track"] is playback.video
    assert "cannot decode the video of" in str(event["error"])
    await close(playback)


@running
async def test_the_last_file_being_broken_is_the_end(tmp_path: Path) -> None:
    lost = sound_file(tmp_path / "lost.wav", sine(0.5))
    playback = FilePlayback([lost], loop=True)
    lost.unlink()
    reader = Reader(playback.audio)
    playback.start()
    assert not len(await reader.sound())
    assert reader.host.states == [STARTED, FAILED]
    assert "No such file" in str(reader.host.files[1]["error"])
    assert not reader.host.failures  # the terminal works; it can play something else
    await close(playback)


@running
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ogg", "mp3", "wav"])
async def test_broken_packets_are_passed_over(tmp_path: Path, ending: str) -> None:
    """Some damage in the middle costs what was there; sound goes on in its time."""
    path = sound_file(tmp_path / f"scratched.{ending}", sine(4.0))
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(5)
    middle = len(content) // 2
    for place in range(middle, middle + len(content) // 20, 97):
        content[place] = int(rng.integers(256))
    path.write_bytes(content)
    playback = FilePlayback([path])
    reader = Reader(playback.audio)
    playback.start()
    sound = await reader.sound()
    assert reader.host.states == [STARTED, ENDED]
    assert len(sound) == pytest.approx(4 * 48_000, abs=0.4 * 48_000)
    assert pitch_hz(sound[:72_000]) == pytest.approx(1000, abs=2)
    assert pitch_hz(sound[-48_000:-9_600]) == pytest.approx(1000, abs=3)
    await close(playback)


@running
async def test_a_file_that_breaks_off_ends_there(tmp_path: Path) -> None:
    for ending in ("mkv", "ogg", "mp3", "wav", "webm"):
        path = sound_file(tmp_path / f"cut.{ending}", sine(3.0))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        playback = FilePlayback([path])
        reader = Reader(playback.audio)
        playback.start()
        sound = await reader.sound()
        assert 48_000 < len(sound) < 2 * 48_000, ending
        assert reader.host.states[-1] in (ENDED, FAILED)
        await close(playback)


@running
@pytest.mark.parametrize("ending", ["wav", "mp3", "ogg", "mp4", "mkv", "webm"])
async def test_whatever_is_in_a_file_playing_it_ends(tmp_path: Path, ending: str) -> None:
    """Files with random damage are refused, or played as far as they go."""
    whole = sound_file(tmp_path / f"whole.{ending}", sine(1.0)).read_bytes()
    rng = np.random.default_rng(6)
    for number in range(8):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole) if number % 2 else 600, 1 + 4 * number):
            content[place] = int(rng.integers(256))
        path = tmp_path / f"{number}.{ending}"
        path.write_bytes(content[: int(rng.integers(len(whole) // 2, len(whole)))])
        try:
            playback = FilePlayback([path])
        except MediaError as exc:
            assert str(path) in str(exc)
            continue
        reader = Reader(playback.tracks[0])
        playback.start()
        async with asyncio.timeout(20):
            await reader.take(5_000)
        assert reader.host.states[-1] in (ENDED, FAILED)
        await close(playback)


# -- tracks and events


@running
async def test_each_call_hears_of_every_change_once(tmp_path: Path) -> None:
    playback = FilePlayback([film_file(tmp_path / "film.mkv", 1.0)])
    call = object()
    hosts = Host(call), Host(call), Host()
    playback.audio.attach(hosts[0])
    playback.video.attach(hosts[1])
    playback.start()
    playback.pause()
    assert sorted(len(host.files) for host in hosts) == [0, 0, 2]
    playback.video.detach(hosts[1])
    playback.video.attach(hosts[2])
    playback.start()
    assert hosts[2].states == [STARTED]
    (event,) = hosts[2].files
    assert event["terminal"] is playback and event["track"] is None and event["error"] is None
    await close(playback)


@running
async def test_who_comes_later_hears_that_it_is_active(tmp_path: Path) -> None:
    playback = FilePlayback([sound_file(tmp_path / "clip.wav", sine(1.0))])
    playback.start()
    reader = Reader(playback.audio)
    assert reader.host.states == []
    await reader.take(3)
    assert reader.host.states == [STARTED]
    await close(playback)


@running
async def test_the_files_say_which_tracks_there_are(tmp_path: Path) -> None:
    song = sound_file(tmp_path / "song.wav", sine(0.3))
    film = film_file(tmp_path / "film.mkv", 0.5)
    playback = FilePlayback([song])
    with pytest.raises(NotSupportedError, match="has no video"):
        playback.video  # noqa: B018
    with pytest.raises(NotSupportedError, match="say which `tracks`"):
        playback.create_track(MediaType.VIDEO)
    with pytest.raises(NotSupportedError, match="unselected instead"):
        playback.remove_track(playback.audio)
    with pytest.raises(InvalidTerminalError, match="select one of its `tracks`"):
        playback.attach(Host())
    assert not playback.in_use
    audio = playback.audio
    playback.play_list = [film]
    assert playback.audio is audio and audio.playback is playback
    host = Host()
    playback.video.attach(host)
    assert playback.in_use
    with pytest.raises(TerminalInUseError, match="unselect it first"):
        playback.play_list = [song]
    assert playback.play_list == (film,)
    playback.start()
    with pytest.raises(InvalidStateError, match="stop it first"):
        playback.play_list = [song]
    playback.stop()
    playback.video.detach(host)
    with pytest.raises(MediaError):
        playback.play_list = [tmp_path / "missing.wav"]
    playback.play_list = [song, song]
    assert [track.media_type for track in playback.tracks] == [MediaType.AUDIO]
    await close(playback)
    with pytest.raises(ClosedError):
        playback.play_list = [song]


@running
async def test_a_clip_can_be_controlled(tmp_path: Path) -> None:
    clip = ClipPlayer(sound_file(tmp_path / "clip.wav", sine(1.0)))
    reader = Reader(clip)
    assert reader.host.states == []
    await reader.take(5)
    assert clip.state is FileState.ACTIVE and clip.path == tmp_path / "clip.wav"
    clip.playback.stop()
    assert await reader.poll() is None  # it begins by itself only once
    clip.playback.start()
    await reader.sound()
    assert reader.host.states == [STARTED, STOPPED, STARTED, ENDED]
    clip.close()
    await clip.wait_closed()


# -- in a call


@scenario()
async def test_a_film_is_played_into_a_call(tmp_path: Path) -> None:
    film = FilePlayback([film_file(tmp_path / "film.mp4", 3.0)])
    async with loopback() as (tsp, x, y):
        log = EventLog(x)
        heard: asyncio.Queue[Any] = asyncio.Queue()
        seen: asyncio.Queue[Any] = asyncio.Queue()
        with pytest.raises(InvalidTerminalError, match="select the one for audio of its `tracks`"):
            x.stream(AUDIO, CAPTURE).select_terminal(film)
        x.stream(AUDIO, CAPTURE).select_terminal(film.audio)
        x.stream(VIDEO, CAPTURE).select_terminal(film.video)
        y.stream(AUDIO, RENDER).select_terminal(Sink(AUDIO, heard))
        y.stream(VIDEO, RENDER).select_terminal(Sink(VIDEO, seen))
        await tsp.connect(pair=(x, y))
        film.start()
        began = await log.until(FileTerminalEvent)
        assert (began.state, began.cause, began.terminal) == (*STARTED, film)
        await eventually(lambda: heard.qsize() > 50 and seen.qsize() > 10, "it is heard and seen")
        ended = await log.until(FileTerminalEvent)
        assert (ended.state, ended.cause, ended.track) == (*ENDED, None)
        assert ended.at - began.at == pytest.approx(3.0, abs=0.5)
        assert len(log.of(FileTerminalEvent)) == 2
        assert x.stream(AUDIO, CAPTURE).running  # the call goes on without it
    await close(film)


@scenario()
async def test_a_broken_file_is_an_event_and_the_call_goes_on(tmp_path: Path) -> None:
    path = sound_file(tmp_path / "lost.wav", sine(1.0))
    playback = FilePlayback([path])
    path.unlink()
    async with loopback() as (tsp, x, y):
        log = EventLog(x)
        x.stream(AUDIO, CAPTURE).select_terminal(playback.audio)
        await tsp.connect(pair=(x, y))
        playback.start()
        failed = await log.until(FileTerminalEvent, lambda event: event.error)
        assert (failed.state, failed.cause) == FAILED
        playback.play_list = [sound_file(tmp_path / "found.wav", sine(1.0))]
        heard: asyncio.Queue[Any] = asyncio.Queue()
        y.stream(AUDIO, RENDER).select_terminal(Sink(AUDIO, heard))
        playback.start()
        await eventually(lambda: heard.qsize() > 10, "the other file is heard")
    await close(playback)
