"""The audio jitter buffer: order, exact counts, delay that comes and goes, absurd input."""

import random

import pytest
from audio_lab import (
    BLOCK,
    OPUS,
    RATE,
    Played,
    Source,
    listen,
    millisecond_payload,
    opus_payloads,
    plain_buffer,
    play,
    schedule,
    ticks,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ipconf.engine.delay import MAX_TARGET_S
from ipconf.engine.jitter import CONCEAL_LIMIT_S, MAX_PACKETS, Playout
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.pipelines.audio_receiver import AudioReceiver, AudioReceiverStats

SECOND = 50
"""Packets of 20 ms."""
BURST_AT_S = 10.3


def run(count, delay_s=lambda index: 0.0, source=None, buffer=None, **how):
    """Play `count` packets; the end is cut so that nothing is waited for in vain."""
    buffer = buffer or plain_buffer()
    source = source or Source()
    seconds = count * source.duration_ms / 1000
    return buffer, play(buffer, schedule(source, count, delay_s, **how), seconds)


def numbers(begin, end):
    return [sequence & 0xFFFF for sequence in range(begin, end)]


def test_steady_packets_are_played_in_order_without_a_gap():
    buffer, played = run(10 * SECOND)
    assert played.sequences == numbers(100, 100 + len(played.sequences))
    assert len(played.sequences) >= 10 * SECOND - 3
    assert played.concealed == buffer.concealed == 0
    assert played.empty <= 3  # before the first packet was due


def test_the_delay_of_steady_packets_is_short():
    buffer, played = run(10 * SECOND)
    assert played.worst_delay(1, 10) <= 0.05
    assert buffer.target_s == pytest.approx(0.02)


@pytest.mark.parametrize("jitter_s", [0.01, 0.03, 0.06])
def test_random_jitter_is_hidden(jitter_s):
    rng = random.Random(1)
    buffer, played = run(60 * SECOND, lambda index: rng.random() * jitter_s)
    assert buffer.concealed <= 0.002 * 60 * RATE
    assert played.worst_delay(2, 60) <= jitter_s + 0.05
    assert played.sequences == sorted(played.sequences)


def test_jitter_that_begins_raises_the_target_and_its_end_lowers_it():
    rng = random.Random(2)

    def delay(index):
        return rng.random() * 0.08 if 5 * SECOND <= index < 15 * SECOND else 0.0

    buffer = plain_buffer()
    targets = {}
    arrivals = schedule(Source(), 25 * SECOND, delay)
    for at, packet in arrivals:
        buffer.push(packet, at)
        buffer.pull(at, BLOCK)
        targets[round(at)] = buffer.target_s
    assert targets[4] == pytest.approx(0.02)
    assert 0.07 <= targets[10] <= 0.1
    assert targets[20] == pytest.approx(0.02)


def burst(kind, lasts_s, seed):
    """Delays by packet: for a while jitter up to 120 ms, a stall or loss; nobody overtakes."""
    rng, latest = random.Random(seed), 0.0

    def delay(index):
        nonlocal latest
        at = index * 0.02
        if BURST_AT_S <= at < BURST_AT_S + lasts_s:
            if kind == "loss":
                return None
            rest = BURST_AT_S + lasts_s - at
            latest = max(latest, at + (rest if kind == "stall" else rng.uniform(0, 0.12)))
        return max(0.0, latest - at)

    return delay


def hear(delay_s, seconds, clock=1.0, phase=0.007) -> tuple[AudioReceiverStats, Played]:
    """A whole receiver, which shrinks and stretches sound, plays packets of Opus."""
    receiver = AudioReceiver((OPUS,))
    source = Source(payloads=opus_payloads())
    arrivals = schedule(source, seconds * SECOND, delay_s, clock=clock)
    played = listen(receiver, arrivals, ticks(0, seconds, phase))
    return receiver.stats(), played


@pytest.mark.parametrize(
    ("kind", "lasts_s"),
    [("jitter", 0.2), ("jitter", 0.5), ("jitter", 1.0), ("stall", 0.3), ("loss", 0.2)],
)
@pytest.mark.parametrize("seed", range(4))
def test_the_delay_is_back_2_seconds_after_a_burst(kind, lasts_s, seed):
    _, played = hear(burst(kind, lasts_s, seed), 18, phase=0.001 + seed * 0.005)
    ends = BURST_AT_S + lasts_s
    before = played.worst_delay(BURST_AT_S - 2, BURST_AT_S)
    assert before <= 0.05
    if kind != "loss":
        assert played.worst_delay(BURST_AT_S, ends + 0.5) >= before + 0.05  # it was worth hiding
    assert played.worst_delay(ends + 2, 18) <= before + 0.0155


@pytest.mark.parametrize("period_s", [0.5, 1.0, 1.5, 1.74, 2.0])
def test_a_delay_that_keeps_coming_back_is_learned(period_s):
    period = round(period_s * SECOND)
    stats, played = hear(lambda index: 0.06 if index % period == period // 2 else 0.0, 40)
    assert stats.late <= 3
    assert stats.concealed_s <= 3 * 0.02
    assert played.worst_delay(10, 40) <= 0.11


@pytest.mark.parametrize("period_s", [1.5, 2.0])
def test_a_radio_that_scans_again_and_again_is_learned(period_s):
    # For 100 ms nothing comes, then all at once.
    period = round(period_s * SECOND)
    rng = random.Random(7)

    def delay(index):
        return max(0.1 - index % period * 0.02, rng.random() * 0.005)

    stats, played = hear(delay, 40)
    assert stats.concealed_s <= 0.3
    assert played.worst_delay(10, 40) <= 0.15


def test_a_delay_that_came_twice_is_forgotten_when_it_stays_away():
    _, played = hear(lambda index: 0.08 if index in (400, 480) else 0.0, 20)
    assert played.worst_delay(10, 11) >= 0.08
    assert played.worst_delay(16, 20) <= 0.05


@pytest.mark.parametrize("parts_per_million", [-200, 200])
def test_a_sender_whose_clock_is_off_is_played_without_gaps(parts_per_million):
    rng = random.Random(8)
    clock = 1 + parts_per_million / 1e6
    stats, played = hear(lambda index: rng.random() * 0.01, 120, clock)
    assert stats.concealed_s == stats.late == stats.discarded == 0
    assert played.worst_delay(5, 120) <= 0.06


def test_a_single_loss_is_concealed_once_and_does_not_delay():
    buffer, played = run(10 * SECOND, lambda index: None if index == 100 else 0.0)
    assert buffer.concealed == BLOCK
    assert played.concealed == 1
    assert numbers(200, 201)[0] not in played.sequences
    assert played.worst_delay(2.1, 10) <= played.worst_delay(1, 1.9) + 0.001


@pytest.mark.parametrize("burst", [2, 3, 5, 10, 40])
def test_a_burst_of_loss_is_counted_exactly_and_does_not_delay(burst):
    buffer, played = run(10 * SECOND, lambda index: None if 100 <= index < 100 + burst else 0.0)
    assert buffer.concealed == burst * BLOCK
    assert played.worst_delay(5, 10) <= played.worst_delay(1, 1.9) + 0.001


def test_scattered_loss_is_counted_exactly():
    lost = set(random.Random(3).sample(range(10, 490), 60))
    buffer, played = run(10 * SECOND, lambda index: None if index in lost else 0.0)
    assert buffer.concealed == len(lost) * BLOCK
    assert len(played.sequences) + len(lost) >= 10 * SECOND - 3


def test_loss_and_jitter_together_are_counted_exactly():
    rng = random.Random(4)
    lost = set(rng.sample(range(10, 2990), 200))
    buffer, _ = run(60 * SECOND, lambda index: None if index in lost else rng.random() * 0.015)
    assert buffer.concealed == len(lost) * BLOCK


def test_long_loss_is_concealed_for_a_while_and_then_silent():
    _, played = run(10 * SECOND, lambda index: None if 100 <= index < 150 else 0.0)
    assert played.concealed == round(CONCEAL_LIMIT_S / 0.02)
    assert played.empty >= 40


def test_reordered_packets_are_played_in_order():
    buffer, played = run(10 * SECOND, lambda index: 0.025 if index % 5 == 0 else 0.0)
    after_start = [s for s in played.sequences if s >= 150]
    assert after_start == numbers(after_start[0], after_start[-1] + 1)
    assert buffer.concealed <= 2 * BLOCK  # until the reordering was known


def test_duplicates_are_counted_and_dropped():
    arrivals = schedule(Source(), 100)
    doubled = sorted(arrivals + [(at + 0.001, packet) for at, packet in arrivals], key=first)
    buffer = plain_buffer()
    played = play(buffer, doubled, 2.0)
    assert buffer.duplicates == 100
    assert buffer.late == buffer.discarded == buffer.concealed == 0
    assert played.sequences == numbers(100, 100 + len(played.sequences))


def first(pair):
    return pair[0]


def test_a_packet_after_its_time_is_late_and_not_played():
    buffer, played = run(5 * SECOND, lambda index: 0.07 if index == 100 else 0.0)
    assert buffer.late == 1
    assert buffer.concealed == BLOCK
    assert 200 not in played.sequences


def test_a_pause_of_the_source_is_silence_and_not_loss():
    source = Source()
    arrivals = schedule(source, 100)
    source.pause(600)
    arrivals += schedule(source, 100, start=2.6)
    buffer = plain_buffer()
    played = play(buffer, arrivals, 4.6)
    assert buffer.concealed == buffer.late == buffer.discarded == 0
    assert played.sequences == numbers(100, 100 + len(played.sequences))
    assert len(played.sequences) >= 197


def test_many_pauses_of_any_length():
    rng = random.Random(5)
    source, arrivals, at = Source(), [], 0.0
    for _ in range(40):
        talk = rng.randrange(5, 60)
        arrivals += schedule(source, talk, start=at)
        silence_ms = rng.choice([40, 100, 200, 400, 900, 3000])
        source.pause(silence_ms)
        at += talk * 0.02 + silence_ms / 1000
    buffer = plain_buffer()
    played = play(buffer, arrivals, at + 1)
    assert buffer.concealed == buffer.late == buffer.discarded == 0
    assert played.sequences == numbers(100, 100 + len(arrivals))


def test_loss_at_the_end_of_talk_is_not_counted_for_the_pause_after_it():
    source = Source()
    arrivals = schedule(source, 100)[:-2]
    source.pause(400)
    arrivals += schedule(source, 100, start=2.4)
    buffer = plain_buffer()
    play(buffer, arrivals, 4.4)
    assert buffer.concealed == 2 * BLOCK


def test_packets_that_are_no_sound_are_not_missed():
    buffer = plain_buffer()
    source = Source()
    arrivals = schedule(source, 200)
    event = set(range(80, 90))
    for index, (at, packet) in enumerate(arrivals):
        if index in event:
            buffer.skip(packet)
        else:
            buffer.push(packet, at)
        buffer.pull(at, BLOCK)
    assert buffer.concealed == 0


@pytest.mark.parametrize("duration_ms", [10, 20, 30, 40, 60, 80, 100, 120])
def test_packets_of_any_duration(duration_ms):
    count = 20_000 // duration_ms
    source = Source(duration_ms=duration_ms)
    buffer, played = run(count, source=source)
    assert buffer.concealed == buffer.late == buffer.discarded == 0
    assert played.sequences == numbers(100, 100 + len(played.sequences))
    assert len(played.sequences) >= count - 120 // duration_ms - 1
    assert played.worst_delay(2, 20) <= 0.06


@pytest.mark.parametrize("duration_ms", [10, 40, 60, 120])
def test_loss_of_packets_of_any_duration_is_counted_exactly(duration_ms):
    count = 20_000 // duration_ms
    lost = {30, 31, 60, 90}
    buffer, _ = run(
        count, lambda index: None if index in lost else 0.0, Source(duration_ms=duration_ms)
    )
    assert buffer.concealed == len(lost) * duration_ms * 48


def test_the_duration_may_change_at_any_time():
    source, arrivals, at = Source(), [], 0.0
    for duration_ms in (20, 60, 10, 120, 20):
        source.duration_ms = duration_ms
        # A longer packet is sent when its end was recorded, which is later after its beginning.
        arrivals += schedule(source, 2000 // duration_ms, start=at + duration_ms / 1000)
        at += 2.0
    buffer = plain_buffer()
    played = play(buffer, sorted(arrivals, key=first), at)
    assert played.sequences == sorted(played.sequences)
    assert buffer.concealed <= 0.25 * RATE
    assert buffer.late + buffer.discarded <= 12


def test_sequence_numbers_and_timestamps_wrap_around():
    source = Source(sequence=65500, timestamp=(1 << 32) - 50 * BLOCK)
    lost = {20, 36, 60}
    buffer, played = run(10 * SECOND, lambda index: None if index in lost else 0.0, source)
    assert buffer.concealed == len(lost) * BLOCK
    assert buffer.discarded == buffer.late == 0
    assert len(played.sequences) >= 10 * SECOND - 3 - len(lost)


@pytest.mark.parametrize("jump_s", [-90000, -600, -10, 3, 10, 600, 40000])
def test_a_jump_of_the_timestamps_costs_one_packet(jump_s):
    source = Source(timestamp=3_000_000_000)
    arrivals = schedule(source, 100)
    source.timestamp += jump_s * RATE
    arrivals += schedule(source, 200, start=2.0)
    buffer = plain_buffer()
    played = play(buffer, arrivals, 6.0)
    assert buffer.discarded == 1  # the first of the new ones, until the second confirmed it
    assert buffer.concealed == BLOCK
    assert len(played.sequences) >= 296
    assert played.worst_delay(3, 6) <= 0.06


@pytest.mark.parametrize("jump_s", [-1.5, -0.5, -0.1, 0.1, 0.25, 0.5, 1.5])
def test_after_a_small_jump_of_the_timestamps_it_is_normal_again_within_2_seconds(jump_s):
    source = Source(timestamp=3_000_000_000)
    arrivals = schedule(source, 100)
    source.timestamp += round(jump_s * RATE)
    arrivals += schedule(source, 500, start=2.0)
    buffer = plain_buffer()
    played = play(buffer, arrivals, 12.0)
    tail = [s for s in played.sequences if s >= 300]
    assert tail == numbers(300, 300 + len(tail))
    assert buffer.concealed <= 0.3 * RATE


def test_a_restart_of_the_source_with_new_numbers():
    source = Source()
    arrivals = schedule(source, 100)
    source.sequence, source.timestamp = 40_000, 999_999_999
    arrivals += schedule(source, 100, start=2.0)
    source.sequence, source.timestamp = 7, 12
    arrivals += schedule(source, 100, start=5.0)  # after a pause: nothing to confirm
    buffer = plain_buffer()
    played = play(buffer, arrivals, 7.0)
    assert buffer.discarded == 1
    assert len(played.sequences) >= 296
    assert played.sequences[-1] < 107


def test_lone_absurd_timestamps_change_nothing():
    rng = random.Random(6)
    source, arrivals = Source(), []
    for index in range(10 * SECOND):
        packet = source.next()
        if index % 10 == 5:
            packet.timestamp = (packet.timestamp + rng.randrange(1 << 28, 1 << 31)) & 0xFFFFFFFF
        arrivals.append((index * 0.02, packet))
    buffer = plain_buffer()
    played = play(buffer, arrivals, 10.0)
    assert buffer.discarded == SECOND
    assert buffer.concealed == SECOND * BLOCK
    assert played.worst_delay(1, 10) <= 0.05


def test_unplayable_payloads_count_as_discarded_and_lost():
    arrivals = schedule(Source(), 100)
    arrivals[50][1].payload = b""
    buffer = plain_buffer()
    play(buffer, arrivals, 2.0)
    assert buffer.discarded == 1
    assert buffer.concealed == BLOCK


def test_without_pulls_the_buffer_stays_bounded():
    buffer = plain_buffer()
    for at, packet in schedule(Source(), 5000):
        buffer.push(packet, at)
    assert buffer.discarded >= 5000 - MAX_PACKETS
    heard = [buffer.pull(100.0, BLOCK) for _ in range(200)]
    assert sum(isinstance(answer, RtpPacket) for answer in heard) <= MAX_PACKETS


def test_nothing_is_played_before_the_first_packet():
    buffer = plain_buffer()
    assert [buffer.pull(now, BLOCK) for now in ticks(0, 1)] == [Playout.EMPTY] * 50
    assert buffer.concealed == 0


def test_sound_that_stands_still_and_comes_at_once_does_not_exceed_the_greatest_delay():
    def delay(index):
        return max(0.0, 3.5 - index * 0.02) if index >= 150 else 0.0

    buffer, played = run(10 * SECOND, delay)
    assert played.worst_delay(3.5, 10) <= MAX_TARGET_S + 0.03
    assert 0.43 * RATE <= buffer.concealed <= 0.5 * RATE


def test_skipping_to_what_is_due_drops_what_is_older():
    buffer = plain_buffer()
    for at, packet in schedule(Source(), 50):
        buffer.push(packet, at)
        if at < 0.2:
            buffer.pull(at, BLOCK)
    assert buffer.ready
    buffer.catch_up(1.0)
    packet = buffer.pull(1.0, BLOCK)
    assert isinstance(packet, RtpPacket)
    assert buffer.delay_s <= 0.06
    assert buffer.discarded > 30
    assert buffer.concealed == 0


PACKETS = st.builds(
    RtpPacket,
    st.just(111),
    st.integers(0, 0xFFFF) | st.integers(0, 40),
    st.integers(0, 0xFFFFFFFF) | st.integers(0, 40).map(lambda n: n * BLOCK),
    st.just(1),
    st.sampled_from([0, 2, 5, 10, 20, 60, 120]).map(millisecond_payload),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.001, 0.02, 0.02, 0.5, 30.0]),
        PACKETS | st.none() | st.just("catch up"),
        st.integers(1, BLOCK),
    ),
    max_size=200,
)


@given(STEPS)
@settings(deadline=None)
def test_whatever_comes_nothing_raises_and_nothing_grows(steps):
    buffer = plain_buffer()
    now, pulled, pushed = 0.0, 0, 0
    for wait, what, wanted in steps:
        now += wait
        if isinstance(what, RtpPacket):
            buffer.push(what, now)
            pushed += 1
        elif what == "catch up":
            buffer.catch_up(now)
        else:
            answer = buffer.pull(now, wanted)
            pulled += 1
            if isinstance(answer, RtpPacket):
                assert buffer.span == len(answer.payload) * 48
            else:
                assert 0 < buffer.span <= (wanted if answer is Playout.EMPTY else 120 * 48)
    assert 0 <= buffer.concealed <= (pulled + pushed) * 2 * RATE
    assert buffer.late + buffer.duplicates + buffer.discarded <= pushed
    assert 0.02 <= buffer.target_s <= MAX_TARGET_S
