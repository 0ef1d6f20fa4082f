"""Comfort noise: described in a few bytes, made again with the same loudness and colour, and sent
in place of silence.
"""

import asyncio
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from audio_lab import BLOCK, RATE, level_db, listen, ticks, tone
from codec_lab import noise
from conference_lab import Tape, patiently
from hypothesis import given
from hypothesis import strategies as st
from memory_calls import memory_calls
from senses import AUDIO, CAPTURE

from ipconf.codecs.comfort_noise import (
    PACKET_SAMPLES,
    ComfortNoiseDecoder,
    describe_noise,
)
from ipconf.codecs.registry import CODEC_FORMATS, COMFORT_NOISE, offered_formats
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.engine.speakers import SILENT_LEVEL, level_of
from ipconf.errors import MediaError
from ipconf.model import CallSettings, MediaType
from ipconf.pipelines.audio_receiver import AudioReceiver
from ipconf.pipelines.audio_sender import AudioSender
from ipconf.terminals.base import CaptureTerminal

PCMU, G722 = CODEC_FORMATS["PCMU"][0], CODEC_FORMATS["G722"][0]
SILENCE = np.zeros((BLOCK, 1), np.int16)


def band_db(sound, low_hz, high_hz):
    """Power in a band."""
    power = np.abs(np.fft.rfft(sound[:, 0].astype(np.float64))) ** 2
    hz = np.arange(len(power)) * RATE / len(sound)
    return 10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].mean() / len(sound))


def made_of(payload, seconds=2.0):
    decoder = ComfortNoiseDecoder()
    decoder.decode(payload)
    return np.concatenate([decoder.conceal(BLOCK) for _ in range(round(seconds * 50))])


def coloured(kind):
    white = noise(1.0, loudness=200.0)[:, 0].astype(np.float64)
    if kind == "low":
        white = np.convolve(white, np.ones(24) / 5, "same")
    elif kind == "humming":
        at = np.arange(len(white))
        white = white / 10 + 200 * np.sin(2 * np.pi * 1000 * at / RATE + np.cumsum(white) / 4000)
    return white.astype(np.int16)[:, np.newaxis]


@pytest.mark.parametrize("level", [0, 20, 40, 60, 80])
def test_a_level_alone_is_white_noise_of_that_level(level):
    heard = made_of(bytes([level]))
    wanted = max(level, 5) if level < 10 else level  # peaks of the loudest are clipped
    assert level_of(heard) == pytest.approx(wanted, abs=4 if level < 10 else 1)
    bands = [band_db(heard, hz, hz + 500) for hz in range(0, 3500, 500)]
    assert max(bands) - min(bands) < 2.5


@pytest.mark.parametrize("kind", ["white", "low", "humming"])
def test_what_is_described_is_made_again(kind):
    sound = coloured(kind)
    heard = made_of(describe_noise(sound[:4800]))
    for low in range(100, 3300, 400):
        wanted, got = (band_db(each, low, low + 400) for each in (sound, heard))
        if kind == "white" or wanted > band_db(sound, 0, 3600) - 12:
            assert got == pytest.approx(wanted, abs=4)
    assert band_db(heard, 0, 3600) == pytest.approx(band_db(sound, 0, 3600), abs=3)


def test_digital_silence_is_one_byte():
    assert describe_noise(SILENCE) == bytes([SILENT_LEVEL])
    assert not made_of(bytes([SILENT_LEVEL]))[PACKET_SAMPLES:].any()


def test_stereo_is_described_like_mono():
    sound = noise(0.1)
    assert describe_noise(np.repeat(sound, 2, axis=1)) == describe_noise(sound)


def made_by_ffmpeg(payload):
    context = av.CodecContext.create("comfortnoise", "r")
    context.layout, context.sample_rate = "mono", 8000
    parts = [context.decode(av.Packet(payload))[0].to_ndarray() for _ in range(30)]
    return np.concatenate([part.reshape(-1, 1) for part in parts])[1600:]


def tilt_db(wave, rate_hz):
    """How much more there is below 1 kHz than from 2 to 3 kHz."""
    power = np.abs(np.fft.rfft(wave[:, 0].astype(float))) ** 2
    low, middle, high = (round(hz * len(wave) / rate_hz) for hz in (1000, 2000, 3000))
    return 10 * np.log10(power[:low].mean() / power[middle:high].mean())


def test_ffmpeg_makes_the_same_noise_of_it():
    payload = describe_noise(coloured("low")[:4800])
    theirs, ours = made_by_ffmpeg(payload), made_of(payload)
    assert tilt_db(theirs, 8000) == pytest.approx(tilt_db(ours, RATE), abs=3)
    # Its noise is all too quiet; the colour must not make a difference to that.
    white = payload[:1]
    difference = level_db(made_by_ffmpeg(white)) - level_db(made_of(white))
    assert level_db(theirs) - level_db(ours) == pytest.approx(difference, abs=1.5)


def test_what_ffmpeg_describes_we_make():
    context = av.CodecContext.create("comfortnoise", "w")
    context.layout, context.sample_rate, context.format = "mono", 8000, "s16"
    context.time_base = Fraction(1, 8000)
    rng = np.random.default_rng(3)
    wave = rng.normal(0, 500, 3200).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts = 8000, 0
    payloads = [bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]]
    assert level_db(made_of(payloads[-1])) == pytest.approx(level_db(wave), abs=3)


@given(st.binary(max_size=300))
def test_any_description_makes_finite_noise(payload):
    decoder = ComfortNoiseDecoder()
    if not payload:
        with pytest.raises(MediaError):
            decoder.decode(payload)
        return
    assert decoder.decode(payload).shape == (PACKET_SAMPLES, 1)
    heard = np.concatenate([decoder.conceal(samples) for samples in (1, 480, 961, 8640)])
    assert heard.dtype == np.int16
    if payload[0] & 0x7F > 100:
        assert np.abs(heard).max() < 32


def test_a_new_loudness_comes_gradually():
    decoder = ComfortNoiseDecoder()
    decoder.decode(bytes([70]))
    decoder.conceal(BLOCK)
    louder = decoder.decode(bytes([30]))
    assert level_db(louder[:60]) < level_db(louder[-240:]) - 6


# -- sending


def packets_of(sender, blocks):
    return [packet for block in blocks for packet in sender.push(block)]


def room(blocks, seed=1):
    """Quiet noise, -60 dBov."""
    sound = noise(blocks / 50, seed, loudness=32.0)
    return [sound[i : i + BLOCK] for i in range(0, len(sound), BLOCK)]


def speech(blocks):
    sound = tone(blocks / 50)
    return [sound[i : i + BLOCK] for i in range(0, len(sound), BLOCK)]


def test_silence_is_described_and_not_sent():
    sender = AudioSender(PCMU, 64_000, noise=COMFORT_NOISE)
    packets = packets_of(sender, speech(25) + room(100) + speech(25))
    types = [packet.payload_type for packet in packets]
    first = types.index(13)
    assert types[:first] == [0] * (25 + 10)  # speech, and 0.2 s in which it could go on
    noise_packets = [packet for packet in packets if packet.payload_type == 13]
    assert types[first : first + len(noise_packets)] == [13] * len(noise_packets)
    assert [p.timestamp for p in noise_packets] == [
        160 * 35 + 3200 * n for n in range(len(noise_packets))
    ]
    assert len(noise_packets) == 5  # 90 blocks, one description in 20 of them
    assert not any(packet.marker for packet in noise_packets)
    resumed = packets[first + len(noise_packets)]
    assert resumed.marker and resumed.timestamp == 160 * 125
    assert all(len(packet.payload) == 9 for packet in noise_packets)
    assert sum(packet.marker for packet in packets) == 2


def test_without_the_far_ends_consent_silence_is_sent():
    packets = packets_of(AudioSender(PCMU, 64_000), speech(5) + room(50))
    assert [packet.payload_type for packet in packets] == [0] * 55


def test_a_pause_sounds_like_the_room_and_is_no_loss():
    sender = AudioSender(G722, 64_000, noise=COMFORT_NOISE)
    blocks = speech(50) + room(100) + speech(50)
    sound = np.concatenate(blocks)
    arrivals, sequence = [], 700
    for index, block in enumerate(blocks):
        for sent in sender.push(block):
            packet = RtpPacket(
                sent.payload_type, sequence, sent.timestamp, 7, sent.payload, sent.marker
            )
            arrivals.append((index * 0.02, packet))
            sequence += 1
    assert len(arrivals) < 120
    receiver = AudioReceiver((G722, PCMU, COMFORT_NOISE))
    played = listen(receiver, arrivals, ticks(0, 3.9))
    stats = receiver.stats()
    assert stats.concealed_s == stats.late == stats.discarded == 0
    blocks = played.blocks[5:]
    assert all(block is not None for block in blocks)
    heard = np.concatenate(blocks)
    middle = heard[RATE * 14 // 10 : RATE * 27 // 10]
    there = sound[RATE * 14 // 10 :][: len(middle)]
    assert band_db(middle, 0, 3500) == pytest.approx(band_db(there, 0, 3500), abs=3)
    for part in (heard[: RATE * 8 // 10], heard[-RATE // 2 :]):
        assert level_db(part[RATE // 10 :]) == pytest.approx(level_db(tone(1.0)), abs=1)


def test_noise_ends_when_nothing_more_comes():
    receiver = AudioReceiver((PCMU, COMFORT_NOISE))
    receiver.push(RtpPacket(0, 1, 0, 7, bytes([0xFF]) * 160), 0.0)
    receiver.push(RtpPacket(13, 2, 160, 7, bytes([40])), 0.02)
    heard = [receiver.pull(now) for now in ticks(0.02, 8)]
    assert sum(block is not None for block in heard) == pytest.approx(5 * 50, abs=10)
    assert heard[-1] is None


def test_settings_offer_it_with_codecs_of_its_clock_only():
    for names, there in ((("opus",), False), (("opus", "PCMA"), True), (("G722",), True)):
        offered = offered_formats(MediaType.AUDIO, CallSettings(audio_codecs=names))
        assert (COMFORT_NOISE in offered) is there


def test_a_stream_of_noise_alone_cannot_be_received():
    with pytest.raises(MediaError):
        AudioReceiver((COMFORT_NOISE,))
    with pytest.raises(MediaError):
        AudioReceiver((COMFORT_NOISE, replace(COMFORT_NOISE, name="telephone-event")))


class Room(CaptureTerminal):
    """What a microphone gives while nobody says anything."""

    def __init__(self, level_dbov):
        super().__init__("room", AUDIO, CAPTURE)
        self.scale = 10 ** (level_dbov / 20) * 32768
        self.random = np.random.default_rng(1)

    def read(self, now):
        return (self.random.standard_normal((BLOCK, 1)) * self.scale).astype(np.int16)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
@patiently()
async def test_telephones_describe_their_silence_and_hear_that_of_others(codec):
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        for call in (alice, bob):
            call.settings = call.settings.replace(
                audio_codecs=(codec,), silence_suppression=call is alice
            )
        tape = Tape()
        alice.select_terminal(Room(-58))
        bob.select_terminal(tape)
        await tsp.connect(pair=(alice, bob))
        await asyncio.sleep(1.0)
        before = alice.stats().streams[0].packets
        tape.blocks.clear()
        await asyncio.sleep(4.0)
        sent = alice.stats().streams[0].packets - before
        assert 9 <= sent <= 11  # every 0.4 s, in place of 200
        heard = np.concatenate(tape.blocks)
        assert len(heard) == pytest.approx(4 * RATE, abs=5 * BLOCK)  # all the time
        # Of white noise at 48 kHz a telephone has the lowest sixth, 8 dB less.
        assert level_of(heard) == pytest.approx(58 + 8, abs=3)
        assert bob.stats().streams[1].substreams[0].concealed_s < 0.1
