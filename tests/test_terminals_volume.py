"""How loud a terminal is: the scale, who may set it, and what it does in a call."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from call_ends import loopback
from peers import LIMIT_S, scenario
from senses import AUDIO, CAPTURE, RENDER, VIDEO, Sink
from terminal_lab import Host, rms, solid_frame

from ipconf import MediaStreamTerminal, NullTerminal, ToneTerminal
from ipconf.errors import ConfigurationError, NoTerminalSelectedError, NotSupportedError
from ipconf.terminals.base import RenderTerminal


class Meter(RenderTerminal):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("meter", AUDIO, RENDER)
        self.media: list[Any] = []

    def write(self, media: object, at: float) -> None:
        self.media.append(media)


def test_a_terminal_must_be_selected_first() -> None:
    tone, host = ToneTerminal(), Host()
    assert tone.volume == 0xFFFF
    with pytest.raises(NoTerminalSelectedError, match="select it before you set its volume"):
        tone.volume = 100
    tone.attach(host)
    tone.volume = 100
    tone.detach(host)
    assert tone.volume == 100  # it stays so
    with pytest.raises(NoTerminalSelectedError):
        tone.volume = 200


def test_only_audio_has_a_volume_and_only_in_its_range() -> None:
    window, tone, host = NullTerminal(VIDEO), ToneTerminal(), Host()
    window.attach(host)
    with pytest.raises(NotSupportedError, match="has no volume"):
        window.volume = 100
    tone.attach(host)
    for value in (-1, 0x10000, 0.5, "loud", None):
        with pytest.raises(ConfigurationError, match="whole number, 0 to 0xFFFF"):
            tone.volume = value
    assert tone.volume == 0xFFFF


@pytest.mark.parametrize(
    ("volume", "loss_db"), [(0xFFFF, 0), (0xC000, 15), (0x8000, 30), (0x4000, 45), (0x2000, 52.5)]
)
def test_the_steps_are_logarithmic(volume: int, loss_db: float) -> None:
    tone, host = ToneTerminal(1000, -3.01), Host()
    tone.attach(host)
    before = rms(tone.capture(0.0))
    tone.volume = volume
    assert 20 * np.log10(before / rms(tone.capture(0.02))) == pytest.approx(loss_db, abs=0.15)
    tone.volume = 0
    assert not tone.capture(0.04).any()


def test_media_are_untouched_at_full_volume_and_never_changed_in_place() -> None:
    meter, host, block = Meter(), Host(), np.full((960, 2), 10_000, np.int16)
    meter.attach(host)
    meter.render(host, block, 0.0)
    assert meter.media[0] is block
    meter.volume = 0x8000
    meter.render(host, block, 0.0)
    softer = meter.media[1]
    assert softer.dtype == np.int16 and softer.shape == block.shape
    assert softer.max() == pytest.approx(316, abs=2) and block.max() == 10_000
    camera = MediaStreamTerminal(VIDEO, CAPTURE)
    camera.attach(host)
    frame = solid_frame(64, 48, 100)
    camera.write_nowait(frame)
    assert camera.capture(0.0) is frame


@scenario()
async def test_volume_in_a_call() -> None:
    async with loopback() as (tsp, x, y):
        heard: asyncio.Queue[Any] = asyncio.Queue()
        tone, ear = ToneTerminal(500, -10), Sink(AUDIO, heard)
        x.stream(AUDIO, CAPTURE).select_terminal(tone)
        y.stream(AUDIO, RENDER).select_terminal(ear)
        await tsp.connect(pair=(x, y))

        async def settles_at(level: float) -> None:
            async with asyncio.timeout(LIMIT_S):
                while abs(20 * np.log10(max(1.0, rms(await heard.get()))) - level) > 1.5:
                    pass

        full = 20 * np.log10(32_768) - 10
        await settles_at(full)
        tone.volume = 0xFFFF - 0xFFFF // 6  # 10 dB
        await settles_at(full - 10)
        ear.volume = 0xFFFF - 0xFFFF // 6
        await settles_at(full - 20)
