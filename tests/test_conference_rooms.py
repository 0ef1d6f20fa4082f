"""One tick of a room in which everybody talks: who hears and who is named what, and encoding it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from codec_lab import longest_step

from ipconf import CallSettings
from ipconf.codecs.base import AudioWishes
from ipconf.codecs.g711 import decoding_table
from ipconf.codecs.registry import CODEC_FORMATS, create_audio_decoder
from ipconf.engine.hearing import Hearing
from ipconf.engine.session_config import PayloadFormat
from ipconf.engine.speakers import level_of
from ipconf.errors import MediaError
from ipconf.hub.encoders import EncoderPool, Job
from ipconf.hub.rooms import MAX_NAMED, RoomTick
from ipconf.pipelines.audio_sender import AudioSender
from ipconf.pipelines.mix_minus import Room

PCMU, PCMA = CODEC_FORMATS["PCMU"][0], CODEC_FORMATS["PCMA"][0]
G722, OPUS = CODEC_FORMATS["G722"][0], CODEC_FORMATS["opus"][0]
SLOW_BLOCK = 160


class Thing(SimpleNamespace):
    """Anything with attributes; each is only equal to itself."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def crowd(count: int) -> list[Any]:
    """Voices, each on a leg of its own, the first ones the loudest."""
    legs = [Thing(row=None) for _ in range(count)]
    return [
        Thing(leg=leg, number=n + 1, level=n, attendee=None, csrcs=(1000 + n,))
        for n, leg in enumerate(legs)
    ]


def blocks(count: int, samples: int = SLOW_BLOCK, loudness: int = 300) -> list[Any]:
    rng = np.random.default_rng(count)
    return [rng.integers(-loudness, loudness, (samples, 1)).astype(np.int16) for _ in range(count)]


class Ticks:
    """A room, tick by tick."""

    def __init__(self, hearing: Hearing, rate_hz: int = 8_000) -> None:
        self._hearing, self._rate_hz = hearing, rate_hz
        self._heard: frozenset[int] = frozenset()
        self._held: dict = {}
        self._memory = Room()

    def mix(self, voices: list[Any], sounds: list[Any], listeners: list[Any]) -> list[Any]:
        there = list(zip(voices, sounds, strict=False))
        tick = RoomTick("", voices, there, frozenset(voices), self._hearing, self._rate_hz)
        mixed = tick.mix(listeners, self._heard, self._held, self._memory)
        self._heard, self._held = tick.heard, tick.held
        return mixed


def test_everybody_hears_and_is_told_of_all_others() -> None:
    voices, sounds = crowd(40), blocks(40)
    listener = Thing(row=None)
    room = Ticks(Hearing())
    legs = [voice.leg for voice in voices] + [listener]
    room.mix(voices, sounds, legs)
    mixes = room.mix(voices, sounds, legs)
    assert len(mixes) == 41
    total = np.sum(sounds, axis=0, dtype=np.int32)
    for mixed in mixes:
        own = [n for n, voice in enumerate(voices) if voice.leg in mixed.legs]
        expected = total - sounds[own[0]] if own else total
        np.testing.assert_array_equal(mixed.block, expected)
        others = [n for n in range(40) if n not in own][:MAX_NAMED]
        assert mixed.said.csrcs == tuple(1000 + n for n in others)
        assert mixed.said.levels == tuple(others)


def test_of_two_voices_on_a_leg_neither_is_named_there() -> None:
    voices = crowd(20)
    voices[1].leg = voices[0].leg
    room = Ticks(Hearing())
    (mixed, *_) = room.mix(voices, blocks(20), [voices[0].leg])
    assert mixed.said.csrcs == tuple(range(1002, 1002 + MAX_NAMED))


def test_a_voice_that_is_late_keeps_its_place() -> None:
    voices, sounds = crowd(3), blocks(3)
    room, legs = Ticks(Hearing()), [voice.leg for voice in voices]
    room.mix(voices, sounds, legs)
    rows = [leg.row for leg in legs]
    mixes = room.mix(voices, sounds[:2], legs)
    assert [leg.row for leg in legs] == rows and len(mixes) == 3
    np.testing.assert_array_equal(mixes[2].block, sounds[0] + sounds[1])


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_silence_is_as_long_as_sound(rate_hz: int) -> None:
    (mixed,) = Ticks(Hearing(), rate_hz).mix([], [], [Thing(row=None)])
    assert mixed.block.shape == (rate_hz // 50, 1) and not mixed.block.any()


# -- encoding


def leg_of(payload_format: PayloadFormat, **settings: Any) -> Any:
    chosen = CallSettings(**settings)
    way = Thing(format=payload_format, settings=chosen)
    wishes = AudioWishes(ptime_ms=chosen.ptime_ms)
    return Thing(outlet=Thing(outlet=way, wishes=wishes, loss=0.0, heard=[], apart=False))


def encode(pool: EncoderPool, jobs: list[Job], turn: int) -> list[Any]:
    pool.begin_turn()
    return pool.encode_all(jobs, turn * 960)


@pytest.mark.parametrize("samples", [SLOW_BLOCK, 960])
def test_many_mixes_are_encoded_as_each_alone(samples: int) -> None:
    formats = [PCMU, PCMA, G722, PCMU] if samples == 960 else [PCMU, PCMA, PCMU, PCMA]
    legs = [leg_of(fmt) for fmt in formats]
    pool = EncoderPool()
    alone = [AudioSender(fmt, 0) for fmt in formats]
    for turn in range(5):
        sounds = blocks(4, samples, 3000 + turn)
        jobs = [Job(n, [legs[n]], sounds[n]) for n in range(4)]
        for sender, block, packets in zip(alone, sounds, encode(pool, jobs, turn), strict=True):
            sender.rate_hz = samples * 50
            (packet,) = packets
            assert packet == sender.push(block)[0]
            assert packet.level == pytest.approx(level_of(block), abs=1)


def test_one_that_cannot_be_encoded_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, legs = EncoderPool(), [leg_of(fmt) for fmt in (PCMU, OPUS, PCMA)]
    sounds = blocks(3, 960)

    def fail(*_: object) -> None:
        raise MediaError("broken")

    with monkeypatch.context() as patch:
        patch.setattr("ipconf.codecs.libopus.LibOpusEncoder.encode", fail)
        patch.setattr("ipconf.codecs.opus.PyAvOpusEncoder.encode", fail)
        sent = encode(pool, [Job(n, [legs[n]], sounds[n]) for n in range(3)], 0)
    assert [len(packets) for packets in sent] == [1, 0, 1] and pool.failures == 1
    sent = encode(pool, [Job(n, [legs[n]], sounds[n]) for n in range(3)], 1)
    assert [len(packets) for packets in sent] == [1, 0, 1]  # not tried again at once


def test_packets_of_ten_ms_come_in_twos() -> None:
    pool, leg = EncoderPool(), leg_of(PCMU, ptime_ms=10)
    for turn in range(3):
        block = blocks(1, SLOW_BLOCK, 3000)[0]
        ((first, second),) = encode(pool, [Job(0, [leg], block)], turn)
        assert len(first.payload) == len(second.payload) == 80
        assert second.timestamp == first.timestamp + 80 == 160 * turn + 80


@pytest.mark.parametrize("rates", [(8_000, 48_000), (48_000, 8_000)])
@pytest.mark.parametrize("moves", [False, True])
def test_a_conference_that_changes_its_rate_does_not_click(
    rates: tuple[int, int], moves: bool
) -> None:
    """Whatever the delays of the filters, and whether the mix is another from then on."""
    pool, leg, payloads = EncoderPool(), leg_of(PCMA), []
    wave = np.sin(np.arange(48_000 * 2) / 48_000 * 2 * np.pi * 230) * 8000
    for turn in range(80):
        rate_hz = rates[turn >= 41]
        block = wave[turn * 960 : (turn + 1) * 960 : 48_000 // rate_hz].astype(np.int16)
        job = Job(moves and turn >= 41, [leg], block[:, np.newaxis])
        ((packet,),) = encode(pool, [job], turn)
        leg.outlet.heard = [*leg.outlet.heard, job.block][-2:]
        assert packet.timestamp == turn * SLOW_BLOCK and len(packet.payload) == SLOW_BLOCK
        payloads.append(packet.payload)
    heard = decoding_table("PCMA")[np.frombuffer(b"".join(payloads), np.uint8)][:, np.newaxis]
    assert longest_step(heard[400:]) < 1.5 * 8000 * 2 * np.pi * 230 / 8000


def test_an_encoder_that_takes_over_goes_on_where_the_other_was() -> None:
    """Who begins to talk is encoded apart: the far end's decoder goes on with what it had."""
    wave = (np.sin(np.arange(48_000) / 48_000 * 2 * np.pi * 200) * 8000).astype(np.int16)
    sounds = wave.reshape(50, 960, 1)
    pool, leg, payloads = EncoderPool(), leg_of(PCMU), []
    for turn in range(50):
        ((packet,),) = encode(pool, [Job(turn >= 31, [leg], sounds[turn])], turn)
        leg.outlet.heard = [*leg.outlet.heard, sounds[turn]][-2:]
        payloads.append(packet.payload)
    decoder = create_audio_decoder(PCMU)
    decoder.rate_hz = 8_000
    heard = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert longest_step(heard[400:]) < 1.1 * 8000 * 2 * np.pi * 200 / 8000
