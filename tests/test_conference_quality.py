"""How natural speech sounds after a conference: recordings through two codecs and the hub, by PESQ.

A leg's phone codes recordings of people with Opus at 64 kbit/s, as well as it can; the hub decodes,
mixes and codes again, for so many distinct mixes as there may be; a listener decodes. What they
hear is compared with the recording by PESQ (ITU-T P.862.2, wideband), of which 4.64 is the best.
Everything runs in memory by a clock of its own, so that nothing is lost or late by accident.

The recordings are those with which Debian's package alsa-utils tests loudspeakers.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from conference_lab import Tape, patiently
from memory_calls import MemoryProvider, Plug
from numpy.typing import NDArray
from senses import AUDIO, CAPTURE, RENDER

from ipconf import Call, Conference, LoopbackTsp, MediaServiceProvider
from ipconf.codecs.opus_settings import OpusEffort
from ipconf.hub.audio import AudioBridge
from ipconf.hub.call_legs import CallLeg
from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ipconf.terminals.base import CaptureTerminal, Samples

RECORDINGS = Path("/usr/share/sounds/alsa")
NAMES = ("Front_Center", "Front_Left", "Rear_Left", "Side_Right")
PHONE = OpusEffort(64_000, complexity=10, loss_percent=0)
"""How a telephone codes that means well, on a network that loses nothing."""
LEAD_S, END_S = 2.5, 0.5
"""Silence before the first word, in which encoders learn how many they are, and after the last."""
AROUND = AUDIO_RATE_HZ // 5
"""Silence around a recording that is judged with it."""
SEARCH = AUDIO_RATE_HZ // 10
"""So much earlier or later than the others one recording is looked for."""
PESQ_RATE_HZ = 16_000

Score = Callable[[int, Samples, Samples, str], float]


class Speech(CaptureTerminal):
    """Says something once, from when it is told to."""

    def __init__(self, sound: Samples) -> None:
        super().__init__("speech", AUDIO, CAPTURE)
        self._blocks = iter(np.split(sound, len(sound) // AUDIO_FRAME_SAMPLES))

    def read(self, now: float) -> Samples:
        return next(self._blocks, _silence(1))


class Hush(CaptureTerminal):
    """Is there, and says nothing: who hears it louder or softer has a mix of their own."""

    def read(self, now: float) -> Samples:
        return _silence(1)


class Listener(Tape):
    """Tells what it has kept."""

    @property
    def sound(self) -> NDArray[np.int16]:
        """All that was heard, mono."""
        return np.concatenate(self.blocks)[:, 0]


class Said:
    """Recordings one after the other, with pauses."""

    def __init__(self, clips: list[Samples], pause_s: float) -> None:
        parts, at = [_pause(LEAD_S)], len(_pause(LEAD_S))
        self.places: list[tuple[int, int]] = []
        """Where each begins and ends."""
        for clip in clips:
            self.places.append((at, at + len(clip)))
            parts += [clip, _pause(pause_s)]
            at += len(clip) + len(parts[-1])
        self.sound = np.concatenate([*parts, _pause(END_S)])

    @property
    def seconds(self) -> float:
        return len(self.sound) / AUDIO_RATE_HZ

    def judge(self, heard: NDArray[np.int16], score: Score) -> list[float]:
        """PESQ of each recording, in what was heard of all of them."""
        said = self.sound[:, 0]
        late = _lag(said, heard)
        found = []
        for begin, end in self.places:
            one = said[begin - AROUND : end + AROUND]
            first = max(0, begin - AROUND + late - SEARCH)
            around = heard[first : first + len(one) + 2 * SEARCH]
            other = around[_lag(one, around) :][: len(one)]
            found.append(score(PESQ_RATE_HZ, _slower(one), _slower(other), "wb"))
        return found


def _silence(ticks: int) -> Samples:
    return np.zeros((ticks * AUDIO_FRAME_SAMPLES, 1), np.int16)


def _pause(seconds: float) -> Samples:
    return _silence(round(seconds * AUDIO_RATE_HZ / AUDIO_FRAME_SAMPLES))


def _lag(sound: NDArray[np.int16], within: NDArray[np.int16]) -> int:
    """Where in something longer a sound is most alike, by cross-correlation."""
    size = 1 << (len(sound) + len(within)).bit_length()
    spectrum = np.fft.rfft(within.astype(float), size)
    spectrum *= np.conj(np.fft.rfft(sound.astype(float), size))
    return int(np.fft.irfft(spectrum, size)[: len(within)].argmax())


def _slower(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """A third of the rate: the spectrum up to 8 kHz, without what a filter would do to it."""
    size = len(sound) // 3
    spectrum = np.fft.rfft(sound[: 3 * size].astype(float))
    return np.rint(np.fft.irfft(spectrum[: size // 2 + 1], size) / 3).astype(np.int16)


@pytest.fixture
def score() -> Score:
    measure: Score = pytest.importorskip("pesq").pesq
    return measure


@pytest.fixture
def clips() -> list[Samples]:
    """Recorded speech, whole blocks at 48 kHz."""
    found = []
    for name in NAMES:
        path = RECORDINGS / f"{name}.wav"
        if not path.exists():
            pytest.skip(f"there is no {path}: apt-get install alsa-utils")
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels()) == (AUDIO_RATE_HZ, 1)
            sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)[:, np.newaxis]
        found.append(sound[: len(sound) // AUDIO_FRAME_SAMPLES * AUDIO_FRAME_SAMPLES])
    return found


@pytest.fixture(autouse=True)
def an_idle_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured must not depend on what else this machine does."""
    monkeypatch.setattr(AudioBridge, "_spare", lambda bridge, now: 1.0)


class Hall:
    """A conference in memory, to which people come with one terminal each."""

    def __init__(self, stack: AsyncExitStack, hub: MediaServiceProvider, conference: Conference):
        self.conference = conference
        self._stack = stack
        self._hub = hub

    async def enter(self, provider: MediaServiceProvider) -> tuple[Call, CallLeg]:
        await self._stack.enter_async_context(provider)
        tsp = await self._stack.enter_async_context(LoopbackTsp(provider, self._hub))
        call, far = tsp.pair({AUDIO})
        leg = self.conference.add(far)
        await tsp.connect(pair=(call, far))
        return call, leg


async def hear(said: Said, mixes: int) -> NDArray[np.int16]:
    """What one of the listeners hears of it; one of so many mixes is the speaker's own."""
    board: dict[int, Plug] = {}
    free = count(2, 2)
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(MemoryProvider("Hub", board, free))
        conference = await stack.enter_async_context(hub.create_conference())
        hall = Hall(stack, hub, conference)
        hush = conference.add_local("Hush", Hush("hush", AUDIO, CAPTURE))
        tape = Listener()
        for number in range(mixes - 1):
            call, leg = await hall.enter(MemoryProvider(f"l{number}", board, free))
            conference.set_gain(1.5 + number / 100, hush, leg)
            if not number:
                call.stream(AUDIO, RENDER).select_terminal(tape)
        call, _ = await hall.enter(MemoryProvider("Speaker", board, free))
        mouth = call.stream(AUDIO, CAPTURE)
        mouth.select_terminal(Speech(said.sound))
        mouth._sender.effort = PHONE  # type: ignore[attr-defined]
        await asyncio.sleep(said.seconds)
        assert conference.bridge.mixes == mixes
        return tape.sound


@pytest.mark.parametrize(("mixes", "goal"), [(2, 4.3), (10, 4.3), (50, 4.2)])
def test_somebody_talks(clips: list[Samples], score: Score, mixes: int, goal: float) -> None:
    _check(Said(clips, pause_s=0.2), score, mixes, goal)


def test_each_recording_begins_a_turn(clips: list[Samples], score: Score) -> None:
    _check(Said(clips, pause_s=2.0), score, mixes=10, goal=4.3)


def _check(said: Said, score: Score, mixes: int, goal: float) -> None:
    heard: list[NDArray[np.int16]] = []

    @patiently(limit_s=said.seconds + 10)
    async def listen() -> None:
        heard.append(await hear(said, mixes))

    listen()
    found = said.judge(heard[0], score)
    assert np.mean(found) >= goal, [round(each, 2) for each in found]
