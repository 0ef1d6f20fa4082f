"""Files in calls: what a call records is true to it, and files that fail do the call no harm."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from call_ends import Ends, EventLog, loopback
from numpy.typing import NDArray
from peers import eventually, scenario
from senses import ALICE, AUDIO, CAPTURE, RENDER, VIDEO
from terminal_lab import (
    BLOCK,
    file_audio,
    file_frames,
    file_length_s,
    file_names,
    file_tracks,
    luma_of,
    sine,
    solid_frame,
    sound_file,
)

from ipconf import FilePlayback, FileRecorder, MediaType
from ipconf.engine.lip_sync import Pace
from ipconf.events import (
    FileCause,
    FileState,
    FileTerminalEvent,
    StreamActive,
    TerminalFailed,
)
from ipconf.model import AUDIO_FRAME_S
from ipconf.terminals.base import CaptureTerminal, FrameClock, Samples
from ipconf.terminals.muxing import MediaWriter

SYNC_S = 0.04
PICTURE_S = 0.02
"""From one picture of the camera to the next."""
SETTLED_S = 2.0
"""Before it, reports have to tell which sound and which pictures belong together."""
CLAPS = 4
CLAP_FROM_S, CLAP_TO_S = 0.7, 0.9
"""When in a second hands are together."""


class Hands:
    """Clap once a second, for a fifth of it."""

    def __init__(self) -> None:
        self._began: float | None = None
        self.claps = 0.0

    def are_together(self, at: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self._began is None:
            self._began = float(at[0])
        claps, phase_s = np.divmod(at - self._began, 1.0)
        self.claps = claps[0]
        return (phase_s >= CLAP_FROM_S) & (phase_s < CLAP_TO_S)

    def past(self, moment_s: float, now: float) -> float:
        """How long that moment of the second was ago."""
        assert self._began is not None
        return ((now - self._began) % 1.0 - moment_s) % 1.0


class Microphone(CaptureTerminal):
    """Hears hands clap; its blocks join, also those that are read late on a busy machine."""

    def __init__(self, hands: Hands) -> None:
        super().__init__("microphone", AUDIO, CAPTURE)
        self._hands = hands
        self._pace = Pace()

    def read(self, now: float) -> Samples:
        began_at = self._pace.tick(now) - AUDIO_FRAME_S
        at = began_at + np.arange(BLOCK) / 48_000
        return sine(0.02) * self._hands.are_together(at)[:, np.newaxis]


class Camera(CaptureTerminal):
    """Sees hands clap."""

    def __init__(self, hands: Hands) -> None:
        super().__init__("camera", VIDEO, CAPTURE)
        self._hands = hands
        self._clock = FrameClock(1 / PICTURE_S)
        self._bright = False
        self.late_s: list[float] = []
        """How late it was for the beginning and the end of each clap, in turn."""

    def read(self, now: float) -> av.VideoFrame | None:
        if not self._clock.is_due(now):
            return None
        bright = bool(self._hands.are_together(np.array([now]))[0])
        if bright is not self._bright:
            self._bright = bright
            self.late_s.append(self._hands.past(CLAP_FROM_S if bright else CLAP_TO_S, now))
        return solid_frame(160, 96, 230 if bright else 30)


def beginnings(times: list[float]) -> list[float]:
    """The first of each row of times that lie close together."""
    return [at for before, at in pairwise([-1.0, *times]) if at - before > 0.5]


def endings(times: list[float]) -> list[float]:
    """The last of each such row."""
    return [at for at, after in pairwise([*times, math.inf]) if after - at > 0.5]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
@scenario()
async def test_a_flash_and_a_beep_are_together_in_the_recording(
    tmp_path: Path, ending: str
) -> None:
    path, hands = tmp_path / f"call.{ending}", Hands()
    camera = Camera(hands)
    async with loopback() as (tsp, x, y):
        x.stream(AUDIO, CAPTURE).select_terminal(Microphone(hands))
        x.stream(VIDEO, CAPTURE).select_terminal(camera)
        recorder = FileRecorder(path)
        y.stream(AUDIO, RENDER).select_terminal(recorder.create_track(MediaType.AUDIO, "Alice"))
        y.stream(VIDEO, RENDER).select_terminal(recorder.create_track(MediaType.VIDEO, "Alice"))
        recorder.start()
        log = EventLog(y)  # after the start, of which it would tell
        await tsp.connect(pair=(x, y))
        began = await log.until(StreamActive)
        await eventually(lambda: hands.claps >= CLAPS, "there are some claps")
        recorder.close()
        await recorder.wait_closed()
        ended = await log.until(FileTerminalEvent)
        assert recorder.error is None and recorder.dropped == 0
    assert file_tracks(path) == ["audio", "video"] and file_names(path) == ["Alice", "Alice"]
    assert file_length_s(path) == pytest.approx(ended.at - began.at, abs=0.2)
    loud = np.flatnonzero(np.abs(file_audio(path)[:, 0]) > 3_000) / 48_000
    frames = file_frames(path)
    bright = [frame.time for frame in frames if luma_of(frame).mean() > 130]
    beeps, flashes = beginnings(list(loud)), beginnings(bright)
    assert len(beeps) == len(flashes) == CLAPS
    dark = [
        min((f.time for f in frames if f.time > last), default=last) for last in endings(bright)
    ]
    # Where the machine is busy the camera is late; and a picture may give way to the next one.
    late = np.reshape(camera.late_s[: 2 * CLAPS], (CLAPS, 2)).T
    heard, seen = np.array([beeps, endings(list(loud))]), np.array([flashes, dark])
    apart = np.abs(heard - seen + late)[:, np.array(flashes) > SETTLED_S]
    assert apart.shape[1] >= 2 and apart.max() < SYNC_S + PICTURE_S
    assert np.diff(flashes) == pytest.approx([1.0] * (CLAPS - 1), abs=0.15)


@pytest.mark.parametrize("shift_s", [0.03, -0.03])
def test_sound_whose_times_have_shifted_moves_to_them(tmp_path: Path, shift_s: float) -> None:
    """Pictures go by the times alone; jitter of single blocks moves nothing."""
    writer, wave = MediaWriter(tmp_path / "shifted.wav"), sine(4.0)
    for n in range(200):
        at = 5 + n * 0.02 + (shift_s if n > 50 else 0.0)
        writer.write(wave[n * BLOCK : (n + 1) * BLOCK], at)
    writer.close()
    audio = file_audio(tmp_path / "shifted.wav")
    assert np.array_equal(audio[: 50 * BLOCK], wave[: 50 * BLOCK])
    assert len(audio) / 48_000 == pytest.approx(4.0 + shift_s, abs=0.016)


@scenario()
async def test_a_damaged_file_does_not_silence_what_else_is_sent(tmp_path: Path) -> None:
    """Its sound is mixed with a tone; it breaks, and the tone goes on."""
    path = sound_file(tmp_path / "broken.mp4", sine(6.0, 880))
    with path.open("r+b") as file:  # the index at the end stays
        file.seek(path.stat().st_size // 4)
        file.write(bytes(path.stat().st_size // 2))
    playback = FilePlayback([path], loop=True)
    async with loopback() as (tsp, x, y):
        log = EventLog(x)
        Ends(x, 440, ALICE)
        bob = Ends(y)
        x.stream(AUDIO, CAPTURE).select_terminal(playback.audio)
        await tsp.connect(pair=(x, y))
        await bob.gets(440, ALICE)
        playback.start()
        failed = await log.until(FileTerminalEvent, lambda event: event.error)
        assert (failed.terminal, failed.cause) == (playback, FileCause.READ_ERROR)
        assert "broken.mp4" in str(failed.error)
        playback.stop()
        await bob.gets(440, ALICE)
        assert not log.of(TerminalFailed) and x.stream(AUDIO, CAPTURE).active
        playback.play_list = [sound_file(tmp_path / "whole.wav", sine(0.2, 880))]
        playback.loop = False
        log.forget()
        playback.start()
        ended = await log.until(FileTerminalEvent, lambda event: event.state is FileState.IDLE)
        assert ended.cause is FileCause.END_OF_FILE
    playback.close()
    await playback.wait_closed()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("ending", ["wav", "mp3", "ogg", "mp4", "webm"])
@scenario()
async def test_the_call_goes_on_when_the_disk_is_full(tmp_path: Path, ending: str) -> None:
    """Both ends hear each other; the recorder can then be given another file."""
    path = tmp_path / f"full.{ending}"
    path.symlink_to("/dev/full")
    async with loopback() as (tsp, x, y):
        log = EventLog(y)
        alice, bob = Ends(x, 440), Ends(y, 880)
        recorder = FileRecorder(path)
        y.stream(AUDIO, RENDER).select_terminal(recorder.audio)
        recorder.start()
        await tsp.connect(pair=(x, y))
        failed = await log.until(FileTerminalEvent, lambda event: event.error)
        assert (failed.state, failed.cause) == (FileState.IDLE, FileCause.WRITE_ERROR)
        assert failed.terminal is recorder and "No space" in str(failed.error)
        await asyncio.gather(alice.hears(880), bob.hears(440))
        recorder.path = tmp_path / f"elsewhere.{ending}"
        recorder.start()
        await bob.hears(440)
        recorder.close()
        await recorder.wait_closed()
        assert recorder.error is None and not log.of(TerminalFailed)
    assert len(file_audio(recorder.path)) > 4_800
