"""The settings about codecs in real calls between two of our own ends."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from call_ends import Ends, loopback, provider
from peers import PLAIN, eventually, scenario, together, webrtc
from senses import ALICE, AUDIO, BOB, CAPTURE, RENDER, VIDEO, dominant_frequency

from ipconf import Call, LoopbackTsp
from ipconf.model import AUDIO_FRAME_SAMPLES
from ipconf.terminals.base import CaptureTerminal, Samples
from ipconf.terminals.tones import ToneTerminal


class TwoTones(CaptureTerminal):
    """Another tone on each side."""

    def __init__(self) -> None:
        super().__init__("two tones", AUDIO, CAPTURE)
        self._sides = ToneTerminal(330), ToneTerminal(880)

    def read(self, now: float) -> Samples | None:
        sides = [side.read(now) for side in self._sides]
        return np.ascontiguousarray(np.hstack(sides))  # type: ignore[arg-type]


def packets(call: Call) -> int:
    """How many packets of sound were sent."""
    source = call.stream(AUDIO, CAPTURE).local_source
    assert source is not None
    return source.packets


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU", "PCMA", "L16"])
@scenario()
async def test_every_codec_between_two_of_us(codec: str) -> None:
    pictures = "H264" if codec in ("opus", "L16") else "VP8"
    settings = webrtc(audio_codecs=(codec,), video_codecs=(pictures,))
    async with loopback(settings) as (tsp, one, other):
        alice, bob = Ends(one, 440, ALICE), Ends(other, 550, BOB)
        await tsp.connect(pair=(one, other))
        await together(alice.gets(550, BOB), bob.gets(440, ALICE))
        for call in (one, other):
            session = call.stats().sessions[0]
            assert session["unknown_payload_type"] == session["malformed"] == 0


@scenario()
async def test_two_channels_arrive_as_two() -> None:
    settings = webrtc(opus_stereo=True, audio_bitrate_bps=96_000)
    async with loopback(settings) as (tsp, one, other):
        bob = Ends(other, 440)
        one.stream(AUDIO, CAPTURE).select_terminal(TwoTones())
        await tsp.connect(pair=(one, other))
        blocks: list[Samples] = []
        while len(blocks) < 30:
            block = await bob.heard.get()
            blocks = [*blocks, block] if block.shape == (AUDIO_FRAME_SAMPLES, 2) else []
        sound = np.concatenate(blocks[10:])
        assert dominant_frequency(sound[:, :1]) == pytest.approx(330, abs=5)
        assert dominant_frequency(sound[:, 1:]) == pytest.approx(880, abs=5)


@pytest.mark.parametrize(("codec", "ptime_ms"), [("PCMU", 60), ("opus", 120), ("L16", 10)])
@scenario()
async def test_packets_are_as_long_as_the_far_end_asks(codec: str, ptime_ms: int) -> None:
    settings = PLAIN.replace(audio_codecs=(codec,), ptime_ms=ptime_ms)
    async with loopback(settings) as (tsp, one, other):
        alice, bob = Ends(one, 440), Ends(other, 550)
        await tsp.connect(pair=(one, other), media=(AUDIO,))
        await together(alice.hears(550), bob.hears(440))
        begin, before = asyncio.get_running_loop().time(), packets(one)
        await together(alice.hears(550), bob.hears(440))
        elapsed_s = asyncio.get_running_loop().time() - begin
        assert packets(one) - before == pytest.approx(elapsed_s * 1000 / ptime_ms, rel=0.3, abs=2)


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
@scenario()
async def test_the_longest_packets_get_through_encrypted(codec: str) -> None:
    """180 ms are 1440 octets, to which RTP, its extensions and SRTP add theirs."""
    async with loopback(webrtc(audio_codecs=(codec,), ptime_ms=180)) as (tsp, one, other):
        alice, bob = Ends(one, 440), Ends(other, 550)
        await tsp.connect(pair=(one, other), media=(AUDIO,))
        await together(alice.hears(550), bob.hears(440))
        for call in (one, other):
            assert [transport.unsent for transport in call.stats().transports] == [0]


@pytest.mark.parametrize("codec", ["opus", "PCMA", "G722"])
@scenario()
async def test_silence_takes_next_to_no_packets(codec: str) -> None:
    settings = webrtc(audio_codecs=(codec,), opus_dtx=True, silence_suppression=True)
    async with loopback(settings) as (tsp, one, other):
        bob = Ends(other)
        quiet = ToneTerminal(300, level_dbov=-75)
        one.stream(AUDIO, CAPTURE).select_terminal(quiet)
        await tsp.connect(pair=(one, other))
        await eventually(lambda: packets(one) > 5, "packets before the pause is noticed")
        captured = one.stream(AUDIO, CAPTURE)
        blocks = 0
        while blocks < 50:  # a pause is no silence at the far end
            await bob.heard.get()
            blocks += 1
        before = packets(one)
        while blocks < 100:
            await bob.heard.get()
            blocks += 1
        assert packets(one) - before < 12
        assert captured.active and other.stream(AUDIO, RENDER).active
        one.stream(AUDIO, CAPTURE).unselect_terminal(quiet)
        one.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(440))
        await bob.hears(440)
        session = other.stats().sessions[0]
        assert session["unknown_payload_type"] == 0


@scenario()
async def test_each_end_sends_the_codec_that_it_likes() -> None:
    likes = webrtc(audio_codecs=("PCMU", "opus"), video_codecs=("H264", "VP8"))
    async with (
        provider("Alice", likes) as alice,
        provider("Bob", webrtc()) as bob,
        LoopbackTsp(alice, bob) as tsp,
    ):
        one, other = tsp.pair()
        ends = Ends(one, 440, ALICE), Ends(other, 550, BOB)
        await tsp.connect(pair=(one, other))
        await together(ends[0].gets(550, BOB), ends[1].gets(440, ALICE))
        for call, names in ((one, ("PCMU", "H264")), (other, ("opus", "VP8"))):
            sent = tuple(
                call.stream(medium, CAPTURE)._agreed.send.name for medium in (AUDIO, VIDEO)
            )
            assert sent == names
