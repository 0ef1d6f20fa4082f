"""Terminals and streams in a live call: starting, pausing, swapping, failing."""

from __future__ import annotations

import numpy as np
from call_ends import Ends, EventLog, loopback
from peers import eventually, scenario, together
from senses import ALICE, AUDIO, BOB, CAPTURE, RENDER, VIDEO, PictureTerminal, Sink

from ipconf import Cause, MediaStreamTerminal, NullTerminal, ToneTerminal
from ipconf.events import (
    CallMediaEvent,
    StreamActive,
    StreamFailed,
    StreamInactive,
    SubStreamMapped,
    SubStreamUnmapped,
    TerminalFailed,
)


class BrokenTone(ToneTerminal):
    """Works until it is told to break."""

    broken = False

    def read(self, now: float) -> np.ndarray | None:
        if self.broken:
            raise OSError("the cable is loose")
        return super().read(now)


class BrokenSink(Sink):
    """Raises at once."""

    def write(self, media: object, at: float) -> None:
        raise OSError("the disk is full")


@scenario()
async def test_a_capture_terminal_that_fails_is_left_out() -> None:
    async with loopback() as (tsp, x, y):
        log, stream = EventLog(x), x.stream(AUDIO, CAPTURE)
        bob, first, second = Ends(y), BrokenTone(440), BrokenTone(660)
        x.stream(VIDEO, CAPTURE).select_terminal(PictureTerminal(ALICE))
        stream.select_terminal(first)
        stream.select_terminal(second)
        await tsp.connect(pair=(x, y))
        await eventually(lambda: not bob.heard.empty(), "both are heard")
        first.broken = True
        failed = await log.until(TerminalFailed)
        assert failed.stream is stream and failed.terminal is first
        assert failed.cause is Cause.BAD_DEVICE and str(failed.error) == "the cable is loose"
        await bob.gets(660, ALICE)
        assert stream.active and not log.of(StreamFailed)
        # With the last one the stream has failed, and only that stream.
        second.broken = True
        assert (await log.until(TerminalFailed)).terminal is second
        assert (await log.until(StreamFailed)).stream is stream
        assert (await log.until(StreamInactive)).cause is Cause.BAD_DEVICE
        await bob.sees(ALICE)
        stream.unselect_terminal(first)
        stream.select_terminal(ToneTerminal(880))
        assert (await log.until(StreamActive)).stream is stream
        await bob.hears(880)


@scenario()
async def test_a_render_terminal_that_fails_is_left_out() -> None:
    async with loopback() as (tsp, x, y):
        log = EventLog(y)
        bob, broken = Ends(y), {AUDIO: BrokenSink(AUDIO, None), VIDEO: BrokenSink(VIDEO, None)}
        y.stream(AUDIO, RENDER).select_terminal(broken[AUDIO])
        y.stream(VIDEO, RENDER).unselect_terminal(bob.eye)
        y.stream(VIDEO, RENDER).select_terminal(broken[VIDEO])
        Ends(x, 440, ALICE)
        await tsp.connect(pair=(x, y))
        for _ in broken:
            failed = await log.until(TerminalFailed)
            assert failed.terminal is broken[failed.stream.media_type]
            assert str(failed.error) == "the disk is full"
        await bob.hears(440)
        assert [event.stream for event in log.of(StreamFailed)] == [y.stream(VIDEO, RENDER)]
        y.stream(VIDEO, RENDER).select_terminal(bob.eye)
        await bob.sees(ALICE)


@scenario()
async def test_pause_stop_and_start() -> None:
    async with loopback() as (tsp, x, y):
        log, far = EventLog(x), EventLog(y)
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))
        sound, picture = x.stream(AUDIO, CAPTURE), x.stream(VIDEO, RENDER)
        for cease in (sound.pause, sound.stop):
            log.forget()
            cease()
            ended = await log.until(StreamInactive)
            assert ended.stream is sound and ended.cause is Cause.LOCAL_REQUEST
            assert not sound.running and not sound.active
            sound.start()
            began = await log.until(StreamActive)
            assert began.stream is sound and began.cause is Cause.LOCAL_REQUEST
            await bob.hears(440)
        for cease in (picture.pause, picture.stop):
            log.forget()
            cease()
            assert (await log.until(StreamInactive)).stream is picture
            assert (await log.until(SubStreamUnmapped)).substream.stream is picture
            picture.start()
            assert (await log.until(SubStreamMapped)).substream.stream is picture
            assert (await log.until(StreamActive)).stream is picture
            await alice.sees(BOB)
        assert not far.of(StreamInactive)  # a pause is no end; its far end waits some seconds


@scenario()
async def test_a_stop_before_the_call_holds() -> None:
    async with loopback() as (tsp, x, y):
        log = EventLog(x)
        alice, bob = Ends(x, 440, ALICE), Ends(y)
        x.stream(AUDIO, CAPTURE).stop()
        await tsp.connect(pair=(x, y))
        await bob.sees(ALICE)
        assert bob.heard.empty() and x.stream(AUDIO, CAPTURE).terminals == (alice.tone,)
        assert {e.stream for e in log.of(CallMediaEvent)} == {x.stream(VIDEO, CAPTURE)}
        x.stream(AUDIO, CAPTURE).start()
        await bob.hears(440)


@scenario()
async def test_terminals_are_swapped_in_a_live_call() -> None:
    async with loopback() as (tsp, x, y):
        log = EventLog(x)
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880)
        await tsp.connect(pair=(x, y))
        await together(bob.gets(440, ALICE), alice.hears(880))
        sound, camera = x.stream(AUDIO, CAPTURE), x.stream(VIDEO, CAPTURE)
        sound.unselect_terminal(alice.tone)
        assert (await log.until(StreamInactive)).stream is sound
        camera.unselect_terminal(alice.camera)
        sound.select_terminal(ToneTerminal(660))
        camera.select_terminal(PictureTerminal(BOB))
        second = NullTerminal(AUDIO)  # one listens, one records: both get everything
        x.stream(AUDIO, RENDER).select_terminal(second)
        await together(bob.gets(660, BOB), alice.hears(880))
        assert second.blocks > 10
        assert not alice.tone.in_use and not alice.camera.in_use


@scenario()
async def test_the_application_writes_and_reads_media() -> None:
    async with loopback() as (tsp, x, y):
        microphone = MediaStreamTerminal(AUDIO, CAPTURE, rate_hz=16_000)
        speaker = MediaStreamTerminal(AUDIO, RENDER, rate_hz=8_000)
        screen = MediaStreamTerminal(VIDEO, RENDER, arrays=True)
        x.stream(AUDIO, CAPTURE).select_terminal(microphone)
        y.stream(AUDIO, RENDER).select_terminal(speaker)
        Ends(x, None, ALICE)
        y.stream(VIDEO, RENDER).select_terminal(screen)
        await tsp.connect(pair=(x, y))
        times = np.arange(16_000) / 16_000
        wave = (0.1 * np.sin(2 * np.pi * 500 * times)).astype(np.float32)
        heard: list[np.ndarray] = []

        async def listen() -> None:
            async for samples in speaker:
                heard.append(samples)
                if len(heard) >= 40:
                    return

        await together(microphone.write(wave), listen())
        sound = np.concatenate(heard)[2_000:]
        spectrum = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(len(sound))))
        assert abs(spectrum.argmax() * 8_000 / len(sound) - 500) < 5
        assert (await screen.read()).shape[2] == 3
