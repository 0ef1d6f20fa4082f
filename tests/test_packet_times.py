"""Packets of 10 to 180 ms: cut as the far end wishes, timed right, heard without a gap."""

from dataclasses import replace

import numpy as np
import pytest
from audio_lab import BLOCK, RATE, level_db, listen, pitch_hz, ticks, tone
from codec_lab import longest_step, noise
from hypothesis import given
from hypothesis import strategies as st

from ipconf.codecs.base import MAX_PAYLOAD_BYTES, AudioWishes
from ipconf.codecs.packet_time import fitting_ptime_ms
from ipconf.codecs.registry import CODEC_FORMATS
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.pipelines.audio_receiver import AudioReceiver
from ipconf.pipelines.audio_sender import AudioSender

PCMU, PCMA = CODEC_FORMATS["PCMU"][0], CODEC_FORMATS["PCMA"][0]
G722, OPUS = CODEC_FORMATS["G722"][0], CODEC_FORMATS["opus"][0]
L16_MONO, L16_STEREO, L16_44_MONO, L16_44_STEREO = CODEC_FORMATS["L16"]
VOICE_HZ = 200.0
STEEPEST = 8000 * 2 * np.pi * VOICE_HZ / RATE


def said(payload_format, **parameters):
    """The format as a far end describes it."""
    return replace(payload_format, parameters=parameters)


def sent(payload_format, sound, ptime_ms=20, block=BLOCK):
    """The packets of a stream that captures blocks of that size, each with its time."""
    sender = AudioSender(payload_format, 48_000, 7000, wishes=AudioWishes(ptime_ms=ptime_ms))
    arrivals, sequence = [], 100
    for index in range(0, len(sound) - block + 1, block):
        for out in sender.push(sound[index : index + block]):
            packet = RtpPacket(out.payload_type, sequence, out.timestamp, 7, out.payload)
            arrivals.append(((index + block) / RATE, packet))
            sequence += 1
    return arrivals


def steps(arrivals):
    """Timestamps from packet to packet."""
    stamps = [packet.timestamp for _, packet in arrivals]
    return {later - earlier for earlier, later in zip(stamps, stamps[1:], strict=False)}


@pytest.mark.parametrize(
    ("parameters", "wished", "ptime_ms"),
    [
        ({}, 20, 20),
        ({}, 60, 60),
        ({"ptime": "30"}, 20, 30),  # the far end's wish goes first
        ({"ptime": "30", "maxptime": "20"}, 60, 20),
        ({"maxptime": "40"}, 60, 40),
        ({"maxptime": "200"}, 20, 20),
        ({"minptime": "40"}, 20, 40),
        ({"minptime": "60", "maxptime": "40"}, 20, 40),
        ({"ptime": "2.5"}, 20, 10),  # less than we make
        ({"ptime": "25"}, 20, 20),  # and what is no multiple is rounded down
        ({"ptime": "1000"}, 20, 180),
        ({"ptime": "0", "maxptime": "0"}, 20, 20),
        ({"ptime": "soon", "maxptime": ""}, 50, 50),
    ],
)
def test_the_far_ends_wishes_and_limits_go_before_ours(parameters, wished, ptime_ms):
    sender = AudioSender(said(PCMU, **parameters), 0, wishes=AudioWishes(ptime_ms=wished))
    assert sender.packet_s * 1000 == ptime_ms
    (packet, *_) = sender.push(tone(0.2))
    assert len(packet.payload) == 8 * ptime_ms


TEXTS = st.text(max_size=6) | st.integers(-5, 9999).map(str)


@given(
    st.dictionaries(st.sampled_from(["ptime", "maxptime", "minptime"]), TEXTS),
    st.integers(10, 180),
    st.sets(st.integers(10, 200), min_size=1),
)
def test_whatever_is_said_the_time_is_one_that_we_make(parameters, wished, choices):
    assert fitting_ptime_ms(said(PCMU, **parameters), wished, sorted(choices)) in choices


@pytest.mark.parametrize(
    ("wished", "ptime_ms"),
    [(10, 10), (30, 20), (50, 40), (60, 60), (90, 80), (120, 120), (180, 120)],
)
def test_opus_has_packets_of_whole_frames(wished, ptime_ms):
    sender = AudioSender(OPUS, 32_000, wishes=AudioWishes(ptime_ms=wished))
    assert sender.packet_s * 1000 == ptime_ms


@pytest.mark.parametrize("payload_format", [OPUS, G722, PCMU, PCMA])
@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60, 120])
@pytest.mark.parametrize("block", [480, 960, 1000])
def test_any_blocks_become_packets_of_that_time(payload_format, ptime_ms, block):
    arrivals = sent(payload_format, tone(1.3), ptime_ms, block)
    assert len(arrivals) == pytest.approx(1300 / ptime_ms, abs=2)
    assert steps(arrivals) == {payload_format.clock_rate * ptime_ms // 1000}
    assert arrivals[0][1].timestamp == 7000


@pytest.mark.parametrize("payload_format", [PCMU, PCMA, G722])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 50, 70, 100, 150, 180])
def test_telephone_packets_of_every_time_are_heard(payload_format, ptime_ms):
    arrivals = sent(payload_format, tone(4.0, VOICE_HZ), ptime_ms)
    heard_well(payload_format, arrivals, ptime_ms)


@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60, 80, 100, 120])
def test_opus_packets_of_every_time_are_heard(ptime_ms):
    heard_well(OPUS, sent(OPUS, tone(4.0, VOICE_HZ), ptime_ms), ptime_ms)


@pytest.mark.parametrize(
    ("payload_format", "ptime_ms"),
    [(L16_MONO, 10), (L16_STEREO, 5), (L16_44_MONO, 40 / 3), (L16_44_STEREO, 20 / 3)],
)
def test_l16_packets_are_as_long_as_fits_and_heard(payload_format, ptime_ms):
    arrivals = sent(payload_format, tone(4.0, VOICE_HZ), 20)
    assert steps(arrivals) == {round(payload_format.clock_rate * ptime_ms / 1000)}
    assert max(len(packet.payload) for _, packet in arrivals) <= MAX_PAYLOAD_BYTES
    heard_well(payload_format, arrivals, ptime_ms)


def heard_well(payload_format, arrivals, ptime_ms):
    receiver = AudioReceiver((payload_format,))
    played = listen(receiver, arrivals, ticks(0, 3.7))
    stats = receiver.stats()
    assert stats.concealed_s == stats.decode_errors == stats.discarded == 0
    assert stats.late <= (3 if ptime_ms < 10 else 0)  # of a burst that is due at once
    assert played.empty <= 3 + -(-ptime_ms // 20)
    heard = played.sound()
    assert pitch_hz(heard) == pytest.approx(VOICE_HZ, abs=1)
    assert level_db(heard[RATE:]) == pytest.approx(level_db(tone(1, VOICE_HZ)), abs=0.6)
    assert longest_step(heard[RATE:]) < 1.5 * STEEPEST
    # Delay: a packet's own time, the buffer's, and what is decoded and waits.
    assert stats.delay_s <= 0.05 + ptime_ms / 1000


@pytest.mark.parametrize("ptime_ms", [20, 60, 120, 180])
def test_a_lost_packet_is_as_long_as_the_others(ptime_ms):
    arrivals = sent(PCMU, noise(6.0), ptime_ms)
    lost = [len(arrivals) // 3, len(arrivals) // 2]
    kept = [arrival for index, arrival in enumerate(arrivals) if index not in lost]
    receiver = AudioReceiver((PCMU,))
    played = listen(receiver, kept, ticks(0, 5.7))
    assert receiver.stats().concealed_s == pytest.approx(2 * ptime_ms / 1000)
    assert len(played.sound()) >= 5.2 * RATE


def test_the_far_end_may_change_its_packet_time_at_any_moment():
    sound = tone(6.0, VOICE_HZ)
    arrivals, sequence, at = [], 0, 0
    for ptime_ms in (20, 60, 10, 180, 20, 120):
        part = sound[at : at + 1080 * 48]
        for when, packet in sent(PCMA, part, ptime_ms):
            packet.sequence = sequence
            packet.timestamp += at // 6
            arrivals.append((when + at / RATE, packet))
            sequence += 1
        at += len(part)
    receiver = AudioReceiver((PCMA,))
    played = listen(receiver, arrivals, ticks(0, 5.7))
    heard = played.sound()
    assert receiver.stats().late == receiver.stats().discarded == 0
    assert receiver.stats().concealed_s <= 0.2  # longer packets come later than expected
    assert pitch_hz(heard) == pytest.approx(VOICE_HZ, abs=1)
    assert played.worst_delay(5.4, 5.7) < 0.3


@pytest.mark.parametrize("size", [1, 7, 100, 161, 1459])
def test_packets_of_no_certain_length_are_sound_as_well(size):
    """FFmpeg, for one, cuts G.711 as it likes."""
    rng = np.random.default_rng(size)
    sender = AudioSender(PCMU, 0)
    bits = b"".join(packet.payload for packet in sender.push(tone(4.0, VOICE_HZ)))
    arrivals, at, sequence = [], 0, 0
    while at < len(bits):
        count = int(rng.integers(max(1, size // 2), size + 1)) + 79
        packet = RtpPacket(0, sequence, 5000 + at, 7, bits[at : at + count])
        at += count
        sequence += 1
        arrivals.append((at / 8000, packet))
    receiver = AudioReceiver((PCMU,))
    heard = listen(receiver, arrivals, ticks(0, 3.7)).sound()
    assert receiver.stats().discarded == receiver.stats().decode_errors == 0
    assert receiver.stats().concealed_s <= 0.4
    assert pitch_hz(heard) == pytest.approx(VOICE_HZ, abs=1)


def test_what_would_play_for_seconds_is_no_sound():
    receiver = AudioReceiver((PCMU,))
    receiver.push(RtpPacket(0, 1, 0, 7, bytes(8 * 401)), 0.0)
    assert receiver.stats().discarded == 1
