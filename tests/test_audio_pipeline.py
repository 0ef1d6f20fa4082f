"""Sound from capture blocks to packets and from packets to 20 ms blocks."""

import random
from dataclasses import replace

import numpy as np
import pytest
from audio_lab import (
    BLOCK,
    OPUS,
    RATE,
    Source,
    level_db,
    listen,
    opus_payloads,
    pitch_hz,
    schedule,
    ticks,
    tone,
    vowels,
)
from av import AudioFrame, CodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from ipconf.codecs.registry import FORMATS
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.engine.speakers import level_of
from ipconf.errors import MediaError
from ipconf.model import MediaType
from ipconf.pipelines.audio_receiver import AudioReceiver
from ipconf.pipelines.audio_sender import AudioSender
from ipconf.pipelines.time_scaling import MAX_SHIFT_S, MIN_SHIFT_S, shrink, stretch

STEREO = replace(OPUS, parameters={**OPUS.parameters, "stereo": "1"})
TELEPHONE_EVENT = FORMATS[MediaType.AUDIO][1]
VOICE_HZ = 200.0
STEEPEST = 8000 * 2 * np.pi * VOICE_HZ / RATE
"""Largest step between two samples of the source's tone."""


def receive(arrivals, seconds, receiver=None):
    receiver = receiver or AudioReceiver((OPUS,))
    return receiver, listen(receiver, arrivals, ticks(0, seconds))


def voice(**how):
    return Source(payloads=opus_payloads(VOICE_HZ), **how)


def longest_step(sound):
    return int(np.abs(np.diff(sound[:, 0].astype(np.int32))).max())


# -- receiving


def test_steady_packets_become_steady_sound():
    receiver, played = receive(schedule(voice(), 500), 9.9)
    sound = played.sound()
    assert all(block is None or block.shape == (BLOCK, 1) for block in played.blocks)
    assert played.empty <= 3
    assert pitch_hz(sound) == pytest.approx(VOICE_HZ, abs=1)
    assert level_db(sound[RATE:]) == pytest.approx(level_db(tone(1, VOICE_HZ)), abs=1)
    assert longest_step(sound[RATE:]) < 1.5 * STEEPEST
    stats = receiver.stats()
    assert stats.concealed_s == 0
    assert stats.decode_errors == stats.late == stats.duplicates == stats.discarded == 0
    assert stats.delay_s <= 0.05


def test_blocks_are_contiguous_and_do_not_share_memory_with_what_follows():
    receiver = AudioReceiver((OPUS,))
    arrivals = schedule(voice(duration_ms=20), 30)
    heard = []
    for (at, packet), now in zip(arrivals, ticks(0, 0.6), strict=True):
        receiver.push(packet, at)
        block = receiver.pull(now)
        if block is not None:
            assert block.flags.c_contiguous
            assert block.dtype == np.int16
            block[:] = 0  # the receiver of a block may do with it as it likes
            heard.append(block)
    assert len(heard) > 25


def test_a_loss_is_filled_with_the_tone():
    receiver, played = receive(
        schedule(voice(), 500, lambda index: None if index == 250 else 0.0), 9.9
    )
    assert receiver.stats().concealed_s == pytest.approx(0.02)
    around = np.concatenate([block for block in played.blocks[240:265] if block is not None])
    assert level_db(around) == pytest.approx(level_db(played.sound()[RATE:]), abs=0.5)
    assert longest_step(around) < 2.5 * STEEPEST


def test_a_loss_is_repaired_from_the_packet_behind_it():
    sender = AudioSender(OPUS, 32_000)
    payloads = [packet.payload for packet in sender.push(vowels(0.7))]
    lost = {8, 15, 22, 29}
    _, whole = receive(schedule(Source(payloads=payloads), 35), 0.7)
    _, lossy = receive(
        schedule(Source(payloads=payloads), 35, lambda i: None if i in lost else 0.0), 0.7
    )
    right = np.concatenate(whole.blocks[2:]).astype(np.float64)
    error = np.concatenate(lossy.blocks[2:]) - right
    changed = np.abs(error[:, 0]) > 0
    fit_db = 10 * np.log10(np.sum(right[changed] ** 2) / np.sum(error[changed] ** 2))
    assert changed.any()
    assert fit_db > 7


@pytest.mark.parametrize("stall_s", [0.1, 0.2, 0.3, 0.6])
def test_a_burst_of_delay_is_forgotten_within_2_seconds(stall_s):
    def delay(index):
        return max(0.0, 5.0 + stall_s - index * 0.02) if index >= 250 else 0.0

    receiver, played = receive(schedule(voice(), 500, delay), 9.9)
    before = played.worst_delay(4, 5)
    assert played.worst_delay(5 + stall_s + 2, 9.9) <= before + 0.021
    assert receiver.stats().shrunk_s > 0
    assert receiver.stats().concealed_s <= stall_s
    assert longest_step(np.concatenate(played.blocks[360:490])) < 1.5 * STEEPEST


def test_a_single_loss_does_not_leave_it_late():
    _, played = receive(schedule(voice(), 500, lambda i: None if i == 250 else 0.0), 9.9)
    assert played.worst_delay(5.1, 9.9) <= played.worst_delay(4, 4.9) + 0.001


def test_shorter_paths_are_followed():
    receiver, played = receive(
        schedule(voice(), 1000, lambda index: 0.15 if index < 300 else 0.05), 19.9
    )
    assert played.delay_at(19) <= 0.05
    assert receiver.stats().concealed_s == 0


def test_longer_paths_are_followed():
    receiver, played = receive(
        schedule(voice(), 1000, lambda index: 0.05 if index < 300 else 0.2), 19.9
    )
    assert played.worst_delay(12, 19) <= 0.06
    assert receiver.stats().concealed_s <= 0.2


@pytest.mark.parametrize("ppm", [-200, 200])
@pytest.mark.parametrize("jitter_s", [0.0, 0.02])
def test_clocks_that_drift_are_followed_for_minutes(ppm, jitter_s):
    rng = random.Random(7)
    arrivals = schedule(
        voice(), 5 * 60 * 50, lambda index: rng.random() * jitter_s, clock=1 + ppm / 1e6
    )
    receiver, played = receive(arrivals, 298)
    stats = receiver.stats()
    assert stats.concealed_s <= 0.06
    assert played.empty <= 3
    assert played.worst_delay(2, 298) <= 0.07 + jitter_s
    assert played.least_delay(2, 298) >= 0
    # 200 ppm are 60 ms in 5 minutes.
    assert stats.shrunk_s - stats.stretched_s == pytest.approx(ppm * 3e-4, abs=0.045)


def test_a_late_tick_that_is_made_good_changes_nothing():
    times = [4.3 if 4.0 < at < 4.3 else at for at in ticks(0, 11.7)]
    receiver = AudioReceiver((OPUS,))
    played = listen(receiver, schedule(voice(), 590), times)
    stats = receiver.stats()
    assert stats.concealed_s == stats.stretched_s == 0
    assert stats.discarded == stats.late == 0
    assert stats.shrunk_s <= 0.021  # from the careful delay at the start to the usual one
    assert played.delay_at(11.5) <= 0.05


@pytest.mark.parametrize("gap_s", [0.1, 0.6])
def test_skipped_ticks_do_not_leave_it_late(gap_s):
    receiver = AudioReceiver((OPUS,))
    times = ticks(0, 4) + ticks(4 + gap_s, 9.9)
    played = listen(receiver, schedule(voice(), 500), times)
    assert played.delay_at(6) <= 0.05
    assert receiver.stats().concealed_s == 0


@pytest.mark.parametrize("duration_ms", [10, 40, 60, 120])
def test_packets_longer_and_shorter_than_a_block(duration_ms):
    sound = tone(4.0, VOICE_HZ)
    encoder_source = packets_of(sound, duration_ms)
    receiver, played = receive(schedule(encoder_source, 4000 // duration_ms), 3.9)
    assert receiver.stats().concealed_s == 0
    assert receiver.stats().decode_errors == 0
    heard = played.sound()
    assert len(heard) >= 3.6 * RATE
    assert pitch_hz(heard) == pytest.approx(VOICE_HZ, abs=1)
    assert longest_step(heard[RATE:]) < 1.5 * STEEPEST


def packets_of(sound, duration_ms):
    """A source of packets as other encoders make them: 10 ms, or several frames in one."""
    context = CodecContext.create("libopus", "w")
    context.format, context.layout, context.sample_rate = "s16", "mono", RATE
    context.bit_rate = 32_000
    context.options = {"frame_duration": str(duration_ms), "application": "audio"}
    payloads, step = [], duration_ms * 48
    for begin in range(0, len(sound) - step + 1, step):
        frame = AudioFrame.from_ndarray(
            sound[begin : begin + step].reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = RATE, begin
        payloads += [bytes(packet) for packet in context.encode(frame)]
    return Source(duration_ms=duration_ms, payloads=payloads)


def test_stereo_is_two_channels_where_it_was_agreed_on():
    sender = AudioSender(STEREO, 64_000)
    sound = np.hstack((tone(2, 300), tone(2, 800)))
    source = Source(payloads=[packet.payload for packet in sender.push(sound)])
    _, played = receive(schedule(source, 100), 1.9, AudioReceiver((STEREO,)))
    heard = played.sound()
    assert heard.shape[1] == 2
    assert pitch_hz(heard[:, :1]) == pytest.approx(300, abs=2)
    assert pitch_hz(heard[:, 1:]) == pytest.approx(800, abs=2)


def test_pauses_are_none_and_their_borders_are_smooth():
    source = voice()
    arrivals = schedule(source, 100)
    source.pause(2000)
    arrivals += schedule(source, 100, start=4.0)
    receiver, played = receive(arrivals, 6.0)
    assert played.blocks[115:195] == [None] * 80
    assert receiver.stats().concealed_s == 0
    ending = np.concatenate([b for b in played.blocks[95:115] if b is not None])
    assert longest_step(ending) < 2 * STEEPEST
    assert np.abs(ending[-20:]).max() < 800


def test_garbage_is_counted_and_concealed():
    arrivals = schedule(voice(), 500)
    rng = random.Random(8)
    for index in range(20, 480, 10):
        # A head of 20 ms of CELT, and noise behind it that the decoder may or may not refuse.
        arrivals[index][1].payload = bytes([0xFF, 0x41, 0xFF]) + rng.randbytes(30)
    receiver, played = receive(arrivals, 9.9)
    assert receiver.stats().decode_errors > 0
    assert receiver.stats().concealed_s > 0
    assert played.empty <= 3


def test_telephone_events_are_no_loss():
    receiver = AudioReceiver((OPUS, TELEPHONE_EVENT))
    arrivals = schedule(voice(), 200)
    for _, packet in arrivals[80:90]:
        packet.payload_type, packet.payload = TELEPHONE_EVENT.payload_type, b"\x01\x0a\x00\xa0"
    _, played = receive(arrivals, 3.9, receiver)
    assert receiver.stats().concealed_s == 0
    assert played.delay_at(3.9) <= 0.05


def test_without_a_format_to_decode_there_is_no_receiver():
    with pytest.raises(MediaError):
        AudioReceiver((TELEPHONE_EVENT,))


ANY_PACKET = st.builds(
    RtpPacket,
    st.sampled_from([OPUS.payload_type, TELEPHONE_EVENT.payload_type, 0]),
    st.integers(0, 0xFFFF) | st.integers(0, 40),
    st.integers(0, 0xFFFFFFFF) | st.integers(0, 40).map(lambda n: n * BLOCK),
    st.just(1),
    st.binary(max_size=40) | st.sampled_from(opus_payloads()[:5]),
)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.02, 0.02, 1.5]), ANY_PACKET | st.none())))
@settings(deadline=None, max_examples=50)
def test_whatever_comes_blocks_come_out(steps):
    receiver = AudioReceiver((OPUS, TELEPHONE_EVENT))
    now = 0.0
    for wait, packet in steps:
        now += wait
        if packet is not None:
            receiver.push(packet, now)
        block = receiver.pull(now)
        assert block is None or (block.shape == (BLOCK, 1) and block.dtype == np.int16)
    assert receiver.stats().decoded <= len(steps)


def test_a_program_that_is_short_of_time_skips_instead_of_shrinking():
    """Half of the ticks are never run: what is too much is neither decoded nor scaled."""
    receiver = AudioReceiver((OPUS,))
    played = listen(receiver, schedule(voice(), 500), ticks(0, 2) + ticks(2, 9.9)[::2])
    stats = receiver.stats()
    assert stats.shrunk_s <= 0.021  # from the careful delay at the start to the usual one
    assert stats.discarded >= 150
    assert played.worst_delay(3, 9.8) <= 0.5


# -- time scaling


@pytest.mark.parametrize("hz", [90, 200, 440, 1234])
@pytest.mark.parametrize("channels", [1, 2])
def test_scaling_keeps_pitch_level_and_smoothness(hz, channels):
    sound = tone(0.1, hz, channels=channels)
    for scaled, sign in ((shrink(sound), -1), (stretch(sound), 1)):
        shift = sign * (len(scaled) - len(sound))
        assert MIN_SHIFT_S * RATE <= shift <= MAX_SHIFT_S * RATE
        assert scaled.dtype == np.int16
        assert scaled.shape[1] == channels
        assert level_db(scaled) == pytest.approx(level_db(sound), abs=0.7)
        assert longest_step(scaled) <= 1.3 * longest_step(sound)
        np.testing.assert_array_equal(scaled[-BLOCK:], sound[-BLOCK:])


def test_scaling_noise_and_silence():
    rng = np.random.default_rng(9)
    noise = rng.integers(-3000, 3000, (2400, 1)).astype(np.int16)
    for sound in (noise, np.zeros((2400, 1), np.int16)):
        assert len(sound) - len(shrink(sound)) >= MIN_SHIFT_S * RATE
        assert len(stretch(sound)) - len(sound) >= MIN_SHIFT_S * RATE


# -- sending


def test_any_block_size_becomes_packets_of_20_ms():
    sender = AudioSender(OPUS, 32_000, timestamp=1000)
    rng = random.Random(10)
    sound = tone(3.0)
    packets, position = [], 0
    while position < len(sound):
        size = rng.choice([1, 100, 441, 480, 960, 1000, 5000])
        packets += sender.push(sound[position : position + size])
        position += size
    assert len(packets) == 150
    assert [p.timestamp for p in packets] == [1000 + BLOCK * n for n in range(150)]
    assert [p.marker for p in packets] == [True] + [False] * 149
    assert {p.level for p in packets} == {level_of(sound[:BLOCK])}


def test_timestamps_wrap_around():
    sender = AudioSender(OPUS, 32_000, timestamp=(1 << 32) - BLOCK)
    assert [p.timestamp for p in sender.push(tone(0.06))] == [(1 << 32) - BLOCK, 0, BLOCK]


def test_a_pause_moves_the_timestamp_and_marks_the_next_packet():
    sender = AudioSender(OPUS, 32_000)
    sender.push(tone(0.05))
    sender.skip(RATE)
    (packet,) = sender.push(tone(0.02))
    assert packet.timestamp == 2 * BLOCK + BLOCK // 2 + RATE  # half a packet was waiting
    assert packet.marker


@pytest.mark.parametrize(
    ("timestamp", "begins"), [(5 * BLOCK, 5 * BLOCK), (BLOCK, 2 * BLOCK), (-BLOCK, 2 * BLOCK)]
)
def test_a_timestamp_is_reached_and_never_gone_back_to(timestamp, begins):
    sender = AudioSender(OPUS, 32_000)
    sender.push(tone(0.04))
    assert sender.reach(timestamp) is (begins == timestamp)
    (packet,) = sender.push(tone(0.02))
    assert packet.timestamp == begins and packet.marker is (begins == timestamp)


@pytest.mark.parametrize("format_", [OPUS, STEREO])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_goes_through_at_its_loudness_whatever_the_channels(format_, channels):
    sender, receiver = AudioSender(format_, 64_000), AudioReceiver((format_,))
    sound = tone(2.0, channels=channels)
    source = Source(payloads=[packet.payload for packet in sender.push(sound)])
    _, played = receive(schedule(source, 100), 1.9, receiver)
    heard = played.sound()[RATE // 2 :]
    assert pitch_hz(heard) == pytest.approx(440, abs=1)
    for channel in range(heard.shape[1]):
        assert level_db(heard[:, channel : channel + 1]) == pytest.approx(
            level_db(sound[:, :1]), abs=1
        )


def test_the_bit_rate_follows_the_setting():
    sender = AudioSender(OPUS, 64_000)
    rng = np.random.default_rng(11)
    noise = rng.integers(-9000, 9000, (RATE, 1)).astype(np.int16)
    before = sum(len(p.payload) for p in sender.push(noise))
    sender.bitrate_bps = 16_000
    after = sum(len(p.payload) for p in sender.push(noise))
    assert sender.bitrate_bps == 16_000
    assert after < before / 2


def test_there_is_no_sender_for_a_format_without_a_codec():
    with pytest.raises(MediaError, match="telephone-event"):
        AudioSender(TELEPHONE_EVENT, 32_000)
