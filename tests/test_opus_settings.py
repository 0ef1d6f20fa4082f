"""Opus does what the far end asks for in its format parameters, and what we wish besides."""

from dataclasses import replace

import numpy as np
import pytest
from audio_lab import BLOCK, OPUS, RATE, level_db, listen, pitch_hz, schedule, ticks, tone, vowels
from audio_lab import Source as PacketSource
from codec_lab import assert_same_tone, decode, encode, noise

from ipconf.codecs.base import AudioWishes
from ipconf.codecs.libopus import LibOpusEncoder, load
from ipconf.codecs.opus import PyAvOpusDecoder, PyAvOpusEncoder, create_opus_decoder
from ipconf.codecs.opus_packet import MAX_PAUSE_BYTES, packet_samples
from ipconf.codecs.opus_settings import OpusSettings, opus_channels, opus_settings
from ipconf.codecs.registry import create_audio_decoder, create_audio_encoder, offered_formats
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.model import CallSettings, MediaType
from ipconf.pipelines.audio_receiver import AudioReceiver
from ipconf.pipelines.audio_sender import AudioSender

LIBRARY = load()
ENCODERS = [
    pytest.param(lambda *how: LibOpusEncoder(LIBRARY, *how), id="libopus"),
    pytest.param(PyAvOpusEncoder, id="pyav"),
]
if LIBRARY is None:  # the fallback is all there is to test then
    ENCODERS = ENCODERS[1:]
needs_library = pytest.mark.skipif(LIBRARY is None, reason="only libopus does this")

WISHES = AudioWishes()


def said(**parameters):
    """Opus as a far end describes it."""
    return replace(OPUS, parameters=parameters)


def bits_per_s(payloads, seconds):
    return sum(map(len, payloads)) * 8 / seconds


# -- from parameters to settings


@pytest.mark.parametrize(
    ("parameters", "settings"),
    [
        ({}, OpusSettings(fec=False)),
        ({"useinbandfec": "1"}, OpusSettings()),
        ({"useinbandfec": "0", "usedtx": "1"}, OpusSettings(fec=False, dtx=True)),
        ({"maxaveragebitrate": "20000"}, OpusSettings(fec=False, max_bitrate_bps=20_000)),
        ({"maxaveragebitrate": "1"}, OpusSettings(fec=False, max_bitrate_bps=6_000)),
        ({"maxaveragebitrate": "9999999"}, OpusSettings(fec=False, max_bitrate_bps=510_000)),
        ({"cbr": "1"}, OpusSettings(fec=False, constant=True)),
        ({"maxplaybackrate": "8000"}, OpusSettings(fec=False, bandwidth_hz=4_000)),
        ({"maxplaybackrate": "16000"}, OpusSettings(fec=False, bandwidth_hz=8_000)),
        ({"maxplaybackrate": "44100"}, OpusSettings(fec=False, bandwidth_hz=20_000)),
        ({"ptime": "60"}, OpusSettings(fec=False, frame_samples=2880)),
        ({"maxaveragebitrate": "lots", "usedtx": "", "ptime": "-5"}, OpusSettings(fec=False)),
    ],
)
def test_parameters_mean_settings(parameters, settings):
    assert opus_settings(said(**parameters), WISHES) == settings


def test_wishes_count_where_the_far_end_lets_them():
    silent = AudioWishes(dtx=True, fec=False, stereo=False, ptime_ms=40)
    assert opus_settings(said(useinbandfec="1"), silent) == OpusSettings(1920, False, True)
    assert not opus_settings(said(usedtx="0"), silent).dtx
    assert opus_channels(said(stereo="1"), silent) == 1
    assert opus_channels(said(stereo="1"), WISHES) == 2
    assert opus_channels(said(), WISHES) == 1


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({}, {"minptime": "10", "useinbandfec": "1"}),
        ({"opus_fec": False}, {"minptime": "10"}),
        (
            {"opus_stereo": True, "opus_dtx": True, "ptime_ms": 60},
            {
                "minptime": "10", "ptime": "60", "useinbandfec": "1", "stereo": "1",
                "sprop-stereo": "1", "usedtx": "1",
            },
        ),
    ],
)  # fmt: skip
def test_settings_are_asked_for(settings, parameters):
    offered = offered_formats(MediaType.AUDIO, CallSettings(**settings))
    assert offered[0].parameters == parameters


# -- what encoders make of it


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_the_far_ends_bit_rate_is_the_highest(make_encoder):
    encoder = make_encoder(1, 64_000, OpusSettings(max_bitrate_bps=16_000))
    assert encoder.bitrate_bps == 16_000
    assert bits_per_s(encode(encoder, noise(2.0)), 2.0) < 20_000
    encoder.bitrate_bps = 100_000
    assert encoder.bitrate_bps == 16_000
    encoder.bitrate_bps = 12_000
    assert encoder.bitrate_bps == 12_000


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60, 80, 100, 120])
@pytest.mark.parametrize("channels", [1, 2])
def test_packets_of_every_time(make_encoder, ptime_ms, channels):
    encoder = make_encoder(channels, 48_000, OpusSettings(frame_samples=48 * ptime_ms))
    sound = tone(2.4, channels=channels)
    payloads = encode(encoder, sound)
    assert {packet_samples(payload) for payload in payloads} == {48 * ptime_ms}
    assert len(payloads) in (2400 // ptime_ms, 2400 // ptime_ms - 1)
    heard = decode(create_opus_decoder(channels), payloads)
    assert_same_tone(heard, sound, 440, within_db=1)


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_a_constant_bit_rate_is_constant(make_encoder):
    sound = np.concatenate((noise(0.5), tone(0.5), vowels(0.5)))
    payloads = encode(make_encoder(1, 32_000, OpusSettings(constant=True, fec=False)), sound)
    assert {len(payload) for payload in payloads} == {80}


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_what_the_far_end_does_not_play_is_not_sent(make_encoder):
    sound = tone(1.0, 6000)
    narrow = encode(make_encoder(1, 32_000, OpusSettings(bandwidth_hz=4_000)), sound)
    wide = encode(make_encoder(1, 32_000, OpusSettings()), sound)
    assert level_db(decode(create_opus_decoder(1), wide)[RATE // 2 :]) > level_db(sound) - 1
    assert level_db(decode(create_opus_decoder(1), narrow)[RATE // 2 :]) < level_db(sound) - 30


def repaired_db(settings):
    """How well lost packets are repaired from the ones behind them."""
    payloads = encode(LibOpusEncoder(LIBRARY, 1, 32_000, settings), vowels(3.0))
    reference, decoder = create_opus_decoder(1), create_opus_decoder(1)
    wanted = error = 0.0
    for index, payload in enumerate(payloads[:-1]):
        right = reference.decode(payload)
        if index % 10 != 5:
            decoder.decode(payload)
            continue
        guess = decoder.recover(payloads[index + 1], BLOCK)
        wanted += float(np.sum(np.square(right, dtype=np.float64)))
        error += float(np.sum(np.square(np.subtract(right, guess, dtype=np.float64))))
    return 10 * np.log10(wanted / error)


@needs_library
def test_redundancy_is_there_where_it_was_asked_for():
    assert repaired_db(OpusSettings(fec=True)) > repaired_db(OpusSettings(fec=False)) + 4


# -- pauses


def silence(seconds):
    return noise(seconds, loudness=8.0)  # -72 dBov: nothing is quite silent


@needs_library
def test_a_pause_is_announced_and_then_renewed_twice_a_second():
    encoder = LibOpusEncoder(LIBRARY, 1, 32_000, OpusSettings(dtx=True))
    spoken = encode(encoder, vowels(1.0))
    assert len(spoken) >= 49
    paused = encode(encoder, silence(4.0))
    assert len(paused) < 45
    assert any(len(payload) <= MAX_PAUSE_BYTES for payload in paused[-4:])
    assert len(encode(encoder, vowels(1.0))) > 48
    unpaused = LibOpusEncoder(LIBRARY, 1, 32_000, OpusSettings(dtx=False))
    assert len(encode(unpaused, silence(4.0))) == 200


@needs_library
def test_a_pause_of_the_far_end_is_no_loss_and_not_dead():
    sender = AudioSender(said(usedtx="1", useinbandfec="1"), 32_000)
    sound = np.concatenate((vowels(1.0), silence(3.0), vowels(1.0)))
    arrivals, sequence = [], 9
    for index in range(0, len(sound), BLOCK):
        for sent in sender.push(sound[index : index + BLOCK]):
            packet = RtpPacket(111, sequence, sent.timestamp, 7, sent.payload, sent.marker)
            arrivals.append((index / RATE, packet))
            sequence += 1
    assert len(arrivals) < 140
    assert sum(packet.marker for _, packet in arrivals) >= 2
    receiver = AudioReceiver((OPUS,))
    played = listen(receiver, arrivals, ticks(0, 4.9))
    assert receiver.stats().concealed_s == receiver.stats().late == 0
    assert all(block is not None for block in played.blocks[5:])
    heard = np.concatenate(played.blocks[5:])
    assert level_db(heard[-RATE // 2 :]) == pytest.approx(level_db(vowels(1.0)), abs=2)
    quiet = heard[2 * RATE : 3 * RATE]
    steps = np.split(quiet, 10)
    assert all(-95 < level_db(step) < -60 for step in steps)


# -- channels


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize("make_decoder", [create_opus_decoder, PyAvOpusDecoder])
def test_mono_to_stereo_and_back_loses_no_loudness(make_encoder, make_decoder):
    sound = tone(1.0)
    stereo = decode(make_decoder(2), encode(make_encoder(1, 48_000), sound))
    assert_same_tone(stereo, sound, 440)
    again = stereo[: len(stereo) // BLOCK * BLOCK]
    mono = decode(make_decoder(1), encode(make_encoder(2, 96_000), again))
    assert_same_tone(mono, sound, 440)


def test_stereo_goes_from_one_end_to_the_other_where_both_wish_it():
    ours = offered_formats(MediaType.AUDIO, CallSettings(opus_stereo=True))[0]
    sender = AudioSender(ours, 96_000, wishes=AudioWishes(stereo=True))
    sound = np.hstack((tone(2.0, 300), tone(2.0, 800)))
    source = PacketSource(payloads=[packet.payload for packet in sender.push(sound)])
    heard = listen(AudioReceiver((ours,)), schedule(source, 100), ticks(0, 1.9)).sound()
    assert heard.shape[1] == 2
    assert pitch_hz(heard[:, :1]) == pytest.approx(300, abs=2)
    assert pitch_hz(heard[:, 1:]) == pytest.approx(800, abs=2)
    mono = AudioSender(ours, 48_000, wishes=AudioWishes(stereo=False))
    (packet, *_) = mono.push(sound)
    assert not packet.payload[0] & 0x04  # the stereo flag of RFC 6716 section 3.1


def test_the_factory_takes_all_that_into_account():
    encoder = create_audio_encoder(said(stereo="1", ptime="40"), 64_000, WISHES)
    assert (encoder.channels, encoder.frame_samples) == (2, 1920)
    assert create_audio_decoder(said(stereo="1")).channels == 2
