"""Sound in a conference keeps its loudness, saturates where it must, and never clicks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import numpy as np
import pytest
from audio_lab import tone
from conference_lab import Ear, Tape, patiently
from memory_calls import MemoryProvider, Plug
from numpy.typing import NDArray
from peers import eventually
from senses import AUDIO, CAPTURE, RENDER

from ipconf import Call, Conference, LoopbackTsp, MediaServiceProvider, ToneTerminal
from ipconf.hub.legs import Leg
from ipconf.hub.people import Role
from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ipconf.pipelines.limiter import CEILING, FULL_SCALE
from ipconf.terminals.base import CaptureTerminal, RenderTerminal, Samples

VOICE_HZ, PEAK = 213.0, 8000
BEND = PEAK * (2 * np.pi * VOICE_HZ / AUDIO_RATE_HZ) ** 2
"""The largest second difference of that tone."""
STEP = PEAK * 2 * np.pi * VOICE_HZ / AUDIO_RATE_HZ
"""The largest first one."""
HOPS = 6
MOST_STEP, MOST_BEND = 4.0, 20.0
"""As multiples of those: twice as loud, other tones and short ramps make some, a click 30 and 1000.
"""


class Says(CaptureTerminal):
    """Says the same sound again and again."""

    def __init__(self, sound: Samples) -> None:
        super().__init__("says", AUDIO, CAPTURE)
        self.blocks = np.split(sound, len(sound) // AUDIO_FRAME_SAMPLES)
        self._at = 0

    def read(self, now: float) -> Samples:
        self._at += 1
        return self.blocks[(self._at - 1) % len(self.blocks)]


class Listener(Tape):
    """Tells what it has kept."""

    def sound(self, begin: int = 0) -> NDArray[np.float64]:
        """What was heard from a block on, the left ear's."""
        return np.concatenate([block[:, 0] for block in self.blocks[begin:]]).astype(float)

    async def goes_on(self, blocks: int = 10) -> None:
        """Return when so many more have come."""
        enough = len(self.blocks) + blocks
        await eventually(lambda: len(self.blocks) >= enough)


class Wire:
    """What one conference says is heard in the next."""

    def __init__(self) -> None:
        self.blocks: list[Samples] = []
        wire = self

        class End(RenderTerminal):
            def write(self, media: object, at: float) -> None:
                assert isinstance(media, np.ndarray)
                wire.blocks.append(media)

        class Beginning(CaptureTerminal):
            def read(self, now: float) -> Samples | None:
                return wire.blocks.pop(0) if wire.blocks else None

        self.end = End("end", AUDIO, RENDER)
        self.beginning = Beginning("beginning", AUDIO, CAPTURE)


VOICE = tone(1.0, VOICE_HZ, PEAK)


def noise(channels: int = 1) -> Samples:
    """A second in which no block is like another."""
    sound = np.random.default_rng(1).normal(0, 3000, (AUDIO_RATE_HZ, channels))
    return np.clip(sound, -32768, 32767).astype(np.int16)


def silence(channels: int = 1) -> Samples:
    return np.zeros((AUDIO_RATE_HZ, channels), np.int16)


@asynccontextmanager
async def conference() -> AsyncIterator[Conference]:
    async with (
        MemoryProvider("Hub", {}, count(2, 2)) as hub,
        hub.create_conference() as there,
    ):
        yield there


# -- loudness


@patiently()
async def test_what_passes_many_conferences_stays_bit_for_bit() -> None:
    said, tape = noise(), Listener()
    async with MemoryProvider("Hub", {}, count(2, 2)) as hub:
        halls = [hub.create_conference() for _ in range(HOPS)]
        halls[0].add_local("Speaker", Says(said))
        for number, hall in enumerate(halls):
            # Somebody who is silent in stereo makes all mixes stereo.
            hall.add_local("Hush", Says(silence(1 + number % 2)))
        for hall, following in zip(halls, halls[1:], strict=False):
            wire = Wire()
            hall.add_local("There", wire.end)
            following.add_local("From there", wire.beginning)
        halls[-1].add_local("Listener", tape)
        await tape.goes_on(110)
        first = np.repeat(said[:AUDIO_FRAME_SAMPLES], 2, axis=1)
        # From the second time on: where a voice begins it fades in.
        begins = [np.array_equal(block, first) for block in tape.blocks].index(True)
        heard = np.concatenate(tape.blocks[begins : begins + 50])
        assert np.array_equal(heard, np.repeat(said, 2, axis=1))


@patiently()
async def test_a_chain_of_hubs_over_calls_keeps_the_level() -> None:
    board: dict[int, Plug] = {}
    free = count(2, 2)
    codecs = ["opus", "opus", "G722", "opus", "PCMU", "opus"]
    async with AsyncExitStack() as stack:
        hubs = [MemoryProvider(f"Hub {n}", board, free) for n in range(HOPS + 1)]
        halls = []
        for hub in hubs:
            await stack.enter_async_context(hub)
            halls.append(hub.create_conference())
        for number, codec in enumerate(codecs):
            tsp = LoopbackTsp(hubs[number], hubs[number + 1])
            await stack.enter_async_context(tsp)
            pair = tsp.pair({AUDIO})
            for call, hall in zip(pair, halls[number : number + 2], strict=True):
                call.settings = call.settings.replace(
                    audio_codecs=(codec,), opus_stereo=number % 2 == 0
                )
                hall.add(call)
            await tsp.connect(pair=pair)
        ears = [Ear(), Ear()]
        halls[0].add_local("First", ToneTerminal(frequency_hz=440), ears[0])
        halls[-1].add_local("Last", ToneTerminal(frequency_hz=610), ears[1])
        for ear, hz, own in ((ears[0], 610.0, 440.0), (ears[1], 440.0, 610.0)):
            await eventually(lambda e=ear, f=hz: abs(e.levels([f])[f] + 20) < 0.5)
            assert ear.levels([own])[own] < -65  # no echo of all these hubs


@patiently()
async def test_a_hundred_who_shout_in_phase_saturate_without_an_echo() -> None:
    shout = tone(1.0, 500, 32767)
    own = tone(1.0, 900, 32767)
    async with conference() as there:
        for number in range(99):
            there.add_local(f"{number}", Says(shout))
        outside, shouting = Listener(), Listener()
        there.add_local("Listener", outside)
        there.add_local("One of them", Says(own), shouting)
        await shouting.goes_on(60)
        for tape in (outside, shouting):
            heard = tape.sound(begin=1)
            assert np.abs(heard).max() <= FULL_SCALE
        settled = shouting.sound(begin=10)
        assert np.abs(settled).max() == pytest.approx(CEILING, rel=0.003)
        assert _wraps(outside.sound(begin=10)) == _wraps(settled) == 0
        levels = _levels(settled[-AUDIO_RATE_HZ:], 500, 900)
        assert levels[900] < levels[500] - 60  # never oneself, however loud
        assert _levels(outside.sound(begin=10)[-AUDIO_RATE_HZ:], 900)[900] > levels[900] + 15


def _wraps(sound: NDArray[np.float64]) -> int:
    """How often it jumps as far as only an overflow makes it jump."""
    return int((np.abs(np.diff(sound)) > FULL_SCALE).sum())


def _levels(sound: NDArray[np.float64], *tones: int) -> dict[int, float]:
    """In dB, of a second."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return {hz: float(20 * np.log10(spectrum[hz - 2 : hz + 3].max() + 1e-9)) for hz in tones}


# -- clicks


class Stage:
    """Somebody talks all the time, from here or over a call that loses no bit, and one listens."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.board: dict[int, Plug] = {}
        self.tape = Listener()
        self.hub: MediaServiceProvider
        self.there: Conference
        self.talker: Leg
        self.listener: Leg
        self.call: Call

    async def set(self, *, remote: bool) -> None:
        board, hub = self.board, MemoryProvider("Hub", self.board, count(2, 2))
        self.hub = await self.stack.enter_async_context(hub)
        self.there = await self.stack.enter_async_context(hub.create_conference())
        self.there.add_local("Hush", Says(silence()))
        self.listener = self.there.add_local("Listener", self.tape)
        if not remote:
            self.talker = self.there.add_local("Talker", Says(VOICE))
        else:
            far = MemoryProvider("Talker", board, count(1001, 2))
            await self.stack.enter_async_context(far)
            tsp = await self.stack.enter_async_context(LoopbackTsp(far, hub))
            pair = self.call, ours = tsp.pair({AUDIO})
            for call in pair:
                call.settings = call.settings.replace(audio_codecs=("L16",))
            self.call.stream(AUDIO, CAPTURE).select_terminal(Says(VOICE))
            self.talker = self.there.add(ours)
            await tsp.connect(pair=pair)
        await eventually(lambda: self.loudest() > 0.9 * PEAK)
        await self.tape.goes_on(20)

    def loudest(self) -> float:
        """Of the latest block."""
        return float(np.abs(self.tape.sound(-1)).max()) if self.tape.blocks else 0.0

    async def change(self, change: Change) -> None:
        """Do it, and let it take effect."""
        change(self)
        await self.tape.goes_on(30)

    def worst(self) -> tuple[float, float]:
        """The largest step and the largest bend since the talker was first heard, in the tone's."""
        blocks = [k for k, block in enumerate(self.tape.blocks) if np.abs(block).max() > 0.9 * PEAK]
        heard = self.tape.sound(blocks[0])
        return np.abs(np.diff(heard)).max() / STEP, np.abs(np.diff(heard, 2)).max() / BEND


Change = Callable[[Stage], object]
CHANGES: dict[str, tuple[Change, Change]] = {
    "gain": (lambda s: s.there.set_gain(0.25, s.talker), lambda s: s.there.set_gain(1, s.talker)),
    "more gain": (lambda s: s.there.set_gain(3, s.talker), lambda s: s.there.set_gain(1, s.talker)),
    "gain for one": (
        lambda s: s.there.set_gain(0.5, s.talker, s.listener),
        lambda s: s.there.set_gain(1, s.talker, s.listener),
    ),
    "mute": (lambda s: s.there.mute(s.talker), lambda s: s.there.mute(s.talker, False)),
    "role": (
        lambda s: s.there.set_role(s.talker, Role.LISTENER),
        lambda s: s.there.set_role(s.talker, Role.SPEAKER),
    ),
    "deafen": (lambda s: s.there.deafen(s.listener), lambda s: s.there.deafen(s.listener, False)),
    "hold": (lambda s: s.there.hold(s.talker), lambda s: s.there.hold(s.talker, False)),
    "hold the listener": (
        lambda s: s.there.hold(s.listener),
        lambda s: s.there.hold(s.listener, False),
    ),
    "whisper": (
        lambda s: s.there.whisper(s.talker, []),
        lambda s: s.there.whisper(s.talker, None),
    ),
    "move": (lambda s: s.there.move(s.talker, "side"), lambda s: s.there.move(s.talker)),
    "move the listener": (
        lambda s: s.there.move(s.listener, "side"),
        lambda s: s.there.move(s.listener),
    ),
}


@pytest.mark.parametrize("remote", [False, True], ids=["local", "call"])
@pytest.mark.parametrize("name", CHANGES)
def test_no_change_clicks(name: str, remote: bool) -> None:
    @patiently()
    async def changing() -> None:
        async with AsyncExitStack() as stack:
            stage = Stage(stack)
            await stage.set(remote=remote)
            change, back = CHANGES[name]
            before = stage.loudest()
            await stage.change(change)
            assert abs(stage.loudest() - before) > 0.2 * PEAK  # it has had an effect
            await stage.change(back)
            assert stage.loudest() > 0.9 * PEAK
            step, bend = stage.worst()
            assert step < MOST_STEP and bend < MOST_BEND

    changing()


@pytest.mark.parametrize("remote", [False, True], ids=["local", "call"])
def test_nobody_comes_or_goes_with_a_click(remote: bool) -> None:
    @patiently()
    async def coming() -> None:
        async with AsyncExitStack() as stack:
            stage = Stage(stack)
            await stage.set(remote=remote)
            other = stage.there.add_local("Other", Says(tone(1.0, 317, PEAK)))
            await stage.tape.goes_on(20)
            await stage.there.remove(other)
            await stage.tape.goes_on(20)
            await stage.there.remove(stage.talker)
            await stage.tape.goes_on(20)
            assert stage.loudest() == 0
            step, bend = stage.worst()
            assert step < MOST_STEP and bend < MOST_BEND

    coming()


@patiently()
async def test_who_hangs_up_in_mid_word_does_not_click() -> None:
    async with AsyncExitStack() as stack:
        stage = Stage(stack)
        await stage.set(remote=True)
        await stage.call.disconnect()
        await stage.tape.goes_on(20)
        assert stage.loudest() == 0
        step, bend = stage.worst()
        assert step < MOST_STEP and bend < MOST_BEND


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU"])
def test_what_a_far_end_is_sent_does_not_click(codec: str) -> None:
    @patiently()
    async def changing() -> None:
        async with AsyncExitStack() as stack:
            stage = Stage(stack)
            await stage.set(remote=False)
            far = MemoryProvider("Far", stage.board, count(3001, 2))
            await stack.enter_async_context(far)
            tsp = await stack.enter_async_context(LoopbackTsp(far, stage.hub))
            pair = call, ours = tsp.pair({AUDIO})
            for each in pair:
                each.settings = each.settings.replace(audio_codecs=(codec,))
            stage.tape = Listener()
            call.stream(AUDIO, RENDER).select_terminal(stage.tape)
            stage.listener = stage.there.add(ours)
            await tsp.connect(pair=pair)
            await eventually(lambda: stage.loudest() > 0.9 * PEAK)
            for name in ("gain for one", "deafen", "mute", "whisper", "hold the listener"):
                for change in CHANGES[name]:
                    await stage.change(change)
            step, _ = stage.worst()
            assert step < MOST_STEP

    changing()
