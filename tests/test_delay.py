"""What a mixer adds to the delay of sound: little where packets come evenly, enough where not."""

import random

import pytest
from audio_lab import (
    BLOCK,
    OPUS,
    RATE,
    TICKS_PER_BYTE,
    Played,
    Source,
    listen,
    opus_payloads,
    play,
    schedule,
    ticks,
)

from ipconf.engine.delay import MARGIN_S, MAX_TARGET_S, MIXER, TELEPHONE, DelayEstimator
from ipconf.engine.jitter import AudioJitterBuffer
from ipconf.model import AUDIO_FRAME_S
from ipconf.pipelines.audio_receiver import AudioReceiver
from ipconf.ticker import MAX_CATCH_UP_TICKS, TICK_S

SECOND = 50
"""Packets of 20 ms."""
FIRST_TICK_S = 0.007
"""Of `play`."""
PHASES_S = [0.0, 0.003, 0.0065, 0.0075, 0.012, 0.0195]
"""How long after a tick of the player, or before it, packets come."""


def mixer_buffer(targets=MIXER) -> AudioJitterBuffer:
    return AudioJitterBuffer(RATE, lambda packet: len(packet.payload) * TICKS_PER_BYTE, targets)


def mixed(seconds, delay_s, phase_s, targets=MIXER) -> tuple[AudioJitterBuffer, Played]:
    """What a mixer plays, without scaling, of packets that come so long after its ticks."""
    buffer = mixer_buffer(targets)
    arrivals = schedule(Source(), seconds * SECOND, delay_s, start=FIRST_TICK_S + phase_s)
    return buffer, play(buffer, arrivals, seconds)


@pytest.mark.parametrize("phase_s", PHASES_S)
def test_regular_packets_wait_for_the_next_tick_but_one_at_most(phase_s):
    buffer, played = mixed(10, lambda index: 0.0, phase_s)
    wait_s = -phase_s % AUDIO_FRAME_S  # until the next tick
    least = wait_s if wait_s >= MIXER.start_s - 0.005 else wait_s + AUDIO_FRAME_S
    assert played.worst_delay(0.1, 10) == pytest.approx(least, abs=1e-6)
    assert played.least_delay(0.1, 10) == pytest.approx(least, abs=1e-6)
    assert buffer.concealed == buffer.late == 0
    assert buffer.target_s == pytest.approx(MARGIN_S)


@pytest.mark.parametrize("phase_s", PHASES_S)
def test_packets_that_come_within_5_ms_of_their_time_cost_no_sound(phase_s):
    rng = random.Random(round(phase_s * 1e4))
    buffer, played = mixed(60, lambda index: rng.random() * 0.005, phase_s)
    assert buffer.concealed <= 60 * RATE / 1000
    assert played.worst_delay(0.1, 60) <= 0.035


@pytest.mark.parametrize("phase_s", PHASES_S)
@pytest.mark.parametrize("jitter_s", [0.03, 0.06])
def test_jitter_that_begins_is_hidden_within_a_second(jitter_s, phase_s):
    rng = random.Random(round(phase_s * 1e4))
    begins = 5 * SECOND

    def jitter(index):
        return rng.random() * jitter_s if index >= begins else 0.0

    buffer, played = mixed(6, jitter, phase_s)
    learning = buffer.concealed
    assert learning <= (jitter_s + 3 * AUDIO_FRAME_S) * RATE
    assert played.least_delay(5.8, 6) >= jitter_s * 0.75
    rng = random.Random(round(phase_s * 1e4))
    buffer, played = mixed(66, jitter, phase_s)
    assert buffer.concealed - learning <= 60 * RATE / 1000 + BLOCK
    assert jitter_s <= played.worst_delay(6, 66) <= jitter_s + 0.05


def test_a_telephone_begins_with_more_and_waits_a_tick_at_least():
    buffer, played = mixed(10, lambda index: 0.0, 0.0, TELEPHONE)
    assert played.least_delay(0.2, 10) >= TELEPHONE.start_s - 0.005
    assert buffer.target_s == pytest.approx(TELEPHONE.least_s)


def estimate(lateness, seconds) -> dict[int, float]:
    """The greatest target in each second; `lateness` is by the time of the packet."""
    estimator, targets = DelayEstimator(MIXER), dict.fromkeys(range(seconds), 0.0)
    for index in range(seconds * SECOND):
        now = index * AUDIO_FRAME_S
        if index:
            estimator.add(lateness(now), now)
        else:
            estimator.restart(0.0, now)
        targets[int(now)] = max(estimator.target_s, targets[int(now)])
    return targets


def at_times(late_s, *times):
    """So late at these times, else punctual."""
    indices = {round(time / AUDIO_FRAME_S) for time in times}
    return lambda now: late_s if round(now / AUDIO_FRAME_S) in indices else 0.0


def test_what_is_a_little_late_twice_is_remembered_for_20_seconds():
    targets = estimate(at_times(0.008, 5.0, 12.0), 40)
    assert targets[5] == targets[12] == pytest.approx(0.018)
    assert targets[10] == pytest.approx(MIXER.least_s)  # once is bad luck
    assert {round(targets[second], 6) for second in range(13, 24)} == {0.018}
    assert targets[34] == pytest.approx(MIXER.least_s)


def test_of_what_is_very_late_a_tick_is_remembered():
    targets = estimate(at_times(0.1, 5.0, 12.0), 40)
    assert targets[12] == pytest.approx(0.11)
    assert {round(targets[second], 6) for second in range(14, 24)} == {0.02}
    assert targets[34] == pytest.approx(MIXER.least_s)


def stands_still(begins, lasts_s, *, ticks_too) -> tuple[AudioJitterBuffer, float]:
    """Nothing comes for a while, then all of it; the greatest target of the second after that.

    With `ticks_too` it was the program that did nothing; it makes good what it missed.
    """
    buffer, worst, waiting = mixer_buffer(), 0.0, schedule(Source(), 10 * SECOND)
    ends = begins + lasts_s
    for due in ticks(0, 10):
        now = ends if ticks_too and begins <= due < ends else due
        read_until = begins if begins <= now < ends else now
        while waiting and waiting[0][0] <= read_until:
            at, packet = waiting.pop(0)
            buffer.push(packet, ends if begins < at < ends else at)
        buffer.pull(now, BLOCK)
        if ends <= now < ends + 1:
            worst = max(worst, buffer.target_s)
    return buffer, worst


@pytest.mark.parametrize("lasts_s", [0.06, 0.3, 1.5])
def test_a_program_that_stood_still_has_no_late_network(lasts_s):
    buffer, worst = stands_still(5.0, lasts_s, ticks_too=True)
    assert worst <= MIXER.least_s + AUDIO_FRAME_S
    assert buffer.concealed == buffer.late == buffer.discarded == 0


@pytest.mark.parametrize("lasts_s", [0.06, 0.3, 1.0])
def test_the_delay_is_back_2_seconds_after_the_program_stood_still(lasts_s):
    ends = 5.0 + lasts_s
    made_good = ends - MAX_CATCH_UP_TICKS * TICK_S
    when = [
        ends if 5.0 <= due < ends else due
        for due in ticks(0, 10)
        if not 5.0 <= due < made_good - 1e-6
    ]
    arrivals = [
        (ends if 5.0 < at < ends else at, packet)
        for at, packet in schedule(Source(payloads=opus_payloads()), 10 * SECOND)
    ]
    played = listen(AudioReceiver((OPUS,), MIXER), arrivals, when)
    before = played.worst_delay(4, 5)
    assert played.worst_delay(ends, ends + 0.3) > before + 0.01  # there was something to work off
    assert played.worst_delay(ends + 2, 9.5) <= before + 0.0155


@pytest.mark.parametrize("lasts_s", [0.06, 0.3])
def test_a_network_that_stood_still_is_late(lasts_s):
    _, worst = stands_still(5.0, lasts_s, ticks_too=False)
    assert worst >= min(lasts_s - AUDIO_FRAME_S + MARGIN_S, MAX_TARGET_S)


def test_who_pulls_nothing_for_long_is_no_excuse():
    buffer = mixer_buffer()
    arrivals = schedule(Source(), 10 * SECOND, lambda index: 0.0 if index % 50 else 0.05)
    for at, packet in arrivals:
        buffer.push(packet, at)
        if at < 2.0:
            buffer.pull(at, BLOCK)
    assert buffer.target_s == pytest.approx(0.06)


def test_packets_longer_than_a_tick_are_no_excuse_either():
    buffer = mixer_buffer()
    source = Source(duration_ms=100)
    arrivals = schedule(source, 100, lambda index: 0.0 if index % 10 else 0.05)
    play(buffer, arrivals, 10.0)
    assert buffer.target_s >= 0.055
