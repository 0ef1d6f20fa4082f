"""Sound at the rate of slow codecs: nothing is converted, times are the same, no change clicks."""

from __future__ import annotations

import numpy as np
import pytest
from audio_lab import BLOCK, RATE, level_db, listen, ticks, tone, vowels
from codec_lab import longest_step
from numpy.typing import NDArray

from ipconf.codecs.base import AudioWishes
from ipconf.codecs.g711 import RATE_HZ as SLOW
from ipconf.codecs.g711 import decoding_table, encoding_table
from ipconf.codecs.registry import CODEC_FORMATS, create_audio_encoder, sound_rate_hz
from ipconf.codecs.resampling import RateConverter
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.errors import MediaError
from ipconf.pipelines.audio_receiver import AudioReceiver
from ipconf.pipelines.audio_sender import AudioSender
from ipconf.pipelines.mix_minus import Mix, mix_minus, steady
from ipconf.pipelines.time_scaling import MAX_SHIFT_S, MIN_SHIFT_S, shrink, stretch

PCMU, PCMA = CODEC_FORMATS["PCMU"][0], CODEC_FORMATS["PCMA"][0]
G722, OPUS = CODEC_FORMATS["G722"][0], CODEC_FORMATS["opus"][0]
SLOW_BLOCK = SLOW // 50
VOICE_HZ = 230.0
STEEPEST = 8000 * 2 * np.pi * VOICE_HZ / SLOW


def slow_tone(seconds: float, hz: float = VOICE_HZ) -> NDArray:
    return np.ascontiguousarray(tone(seconds, hz)[:: RATE // SLOW])


def packets(sound: NDArray, law: str = "PCMU", lost: tuple[int, ...] = ()) -> list:
    """Packets of G.711 of sound at 8 kHz, when they come, without those that are lost."""
    codes = encoding_table(law)[sound[:, 0].view(np.uint16)]
    number = CODEC_FORMATS[law][0].payload_type
    arrivals = []
    for index in range(len(sound) // SLOW_BLOCK):
        at = index * SLOW_BLOCK
        payload = codes[at : at + SLOW_BLOCK].tobytes()
        if index not in lost:
            arrivals.append((index / 50, RtpPacket(number, index, 900 + at, 7, payload)))
    return arrivals


def decoded(payloads: list[bytes], law: str = "PCMU") -> NDArray:
    codes = np.frombuffer(b"".join(payloads), np.uint8)
    return decoding_table(law)[codes][:, np.newaxis]


@pytest.mark.parametrize(
    ("formats", "rate_hz"),
    [
        ((PCMU, PCMA), 8_000),
        ((G722,), 16_000),
        ((PCMU, G722), 16_000),
        ((PCMU, OPUS), 48_000),
        (CODEC_FORMATS["L16"], 48_000),
        ((), 8_000),
    ],
)
def test_the_rate_is_that_of_the_best_format(formats, rate_hz) -> None:
    assert sound_rate_hz(formats) == rate_hz


# -- arriving


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_at_its_own_rate_sound_is_just_decoded(law) -> None:
    sound = np.ascontiguousarray(vowels(3.0)[::6])
    receiver = AudioReceiver(CODEC_FORMATS[law], rate_hz=SLOW)
    played = listen(receiver, packets(sound, law), ticks(0, 2.5))
    blocks = [block for block in played.blocks if block is not None]
    assert {block.shape for block in blocks} == {(SLOW_BLOCK, 1)}
    told = [packet.payload for _, packet in packets(sound, law)]
    heard = np.concatenate(blocks)[: SLOW // 2]  # before the first delay is worked off
    np.testing.assert_array_equal(heard, decoded(told, law)[: SLOW // 2])
    assert receiver.stats().concealed_s == receiver.stats().discarded == 0


@pytest.mark.parametrize(("rate_hz", "formats"), [(SLOW, (PCMU,)), (16_000, (PCMU, G722))])
def test_losses_are_concealed_at_any_rate(rate_hz, formats) -> None:
    lost = (60, 80, 81, 100)
    receiver = AudioReceiver(formats, rate_hz=rate_hz)
    played = listen(receiver, packets(slow_tone(3.0), lost=lost), ticks(0, 2.7))
    assert receiver.stats().concealed_s == pytest.approx(0.080)
    heard = played.sound()[rate_hz // 2 :]
    assert level_db(heard) == pytest.approx(level_db(tone(1.0, VOICE_HZ)), abs=1)
    assert longest_step(heard) < 1.5 * STEEPEST * SLOW / rate_hz


def test_time_and_delay_are_the_same_at_every_rate() -> None:
    told = []
    for rate_hz in (SLOW, 16_000, RATE):
        receiver = AudioReceiver((PCMU,), rate_hz=rate_hz)
        arrivals = [(at + (0.045 if index % 40 == 7 else 0), packet)
                    for index, (at, packet) in enumerate(packets(slow_tone(6.0)))]  # fmt: skip
        listen(receiver, sorted(arrivals, key=lambda pair: pair[0]), ticks(0, 5.5))
        stats = receiver.stats()
        told.append((stats.decoded, stats.late, round(stats.delay_s, 3), stats.concealed_s))
        next_ms = (receiver.next_timestamp(5.5) - 900) / 8
        assert next_ms == pytest.approx(5500 - stats.delay_s * 1000, abs=25)
    assert told[0] == told[1] == told[2]


def test_a_rate_may_change_while_it_plays() -> None:
    receiver = AudioReceiver((PCMU,), rate_hz=SLOW)
    arrivals = packets(slow_tone(4.0))
    before = listen(receiver, [a for a in arrivals if a[0] < 2.0], ticks(0, 2.0))
    receiver.rate_hz = RATE
    after = listen(receiver, [a for a in arrivals if a[0] >= 2.0], ticks(2.0, 3.9))
    assert after.empty == 0 and receiver.stats().concealed_s == 0
    assert {block.shape for block in after.blocks} == {(BLOCK, 1)}
    assert receiver.rate_hz == RATE
    # It goes on where it was, or as far before that as the filter's delay.
    ends = before.blocks[-1][[-17, -1], 0].astype(int)
    assert np.abs(ends - after.blocks[0][0, 0]).min() < 1.5 * STEEPEST
    assert longest_step(after.sound()[:BLOCK]) < 1.5 * STEEPEST * SLOW / RATE
    for played, rate_hz in ((before, SLOW), (after, RATE)):
        heard = played.sound()[rate_hz // 2 :]
        assert level_db(heard) == pytest.approx(level_db(tone(1.0, VOICE_HZ)), abs=0.6)
        assert longest_step(heard) < 1.5 * STEEPEST * SLOW / rate_hz


@pytest.mark.parametrize("cut", [90, 100, 161])
def test_what_is_held_when_the_rate_changes_is_not_lost(cut) -> None:
    codes = encoding_table("PCMU")[slow_tone(4.0)[:, 0].view(np.uint16)].tobytes()
    arrivals = [
        ((at + cut) / SLOW, RtpPacket(0, at // cut, at, 7, codes[at : at + cut]))
        for at in range(0, len(codes) - cut, cut)
    ]
    receiver = AudioReceiver((PCMU,), rate_hz=SLOW)
    listen(receiver, [a for a in arrivals if a[0] < 2.0], ticks(0, 2.0))
    decoded_s = receiver.stats().delay_s
    receiver.rate_hz = RATE
    assert receiver.stats().delay_s == pytest.approx(decoded_s, abs=1e-4)
    listen(receiver, [a for a in arrivals if a[0] >= 2.0], ticks(2.0, 3.5))
    assert receiver.stats().concealed_s <= cut / SLOW  # one packet at most


@pytest.mark.parametrize(("formats", "rate_hz"), [((OPUS,), SLOW), ((PCMU, G722), SLOW),
                                                  ((PCMU,), 44_100)])  # fmt: skip
def test_no_rate_at_which_something_is_lost(formats, rate_hz) -> None:
    with pytest.raises(MediaError, match="go into"):
        AudioReceiver(formats, rate_hz=rate_hz)


@pytest.mark.parametrize("rate_hz", [SLOW, 16_000])
@pytest.mark.parametrize("hz", [90, 200, 440])
def test_scaling_at_slow_rates(rate_hz, hz) -> None:
    sound = np.ascontiguousarray(tone(0.1, hz)[:: RATE // rate_hz])
    for scaled, sign in ((shrink(sound, rate_hz), -1), (stretch(sound, rate_hz), 1)):
        shift = sign * (len(scaled) - len(sound))
        assert MIN_SHIFT_S * rate_hz <= shift <= MAX_SHIFT_S * rate_hz
        assert level_db(scaled) == pytest.approx(level_db(sound), abs=0.7)
        assert longest_step(scaled) <= 1.3 * longest_step(sound)


# -- mixing


@pytest.mark.parametrize("samples", [SLOW_BLOCK, 320])
def test_slow_voices_are_mixed_alike(samples) -> None:
    rng = np.random.default_rng(1)
    voices = [rng.integers(-900, 900, (samples, 1)).astype(np.int16) for _ in range(20)]
    mixes = [steady(((own, 0.0),)) for own in range(20)] + [Mix(((3, 0.0),), ())]
    heard, held = mix_minus(voices, mixes, 1, samples=samples)
    total = np.sum(voices, axis=0, dtype=np.int32)
    for own in range(20):
        np.testing.assert_array_equal(heard[own], total - voices[own])
    np.testing.assert_array_equal(heard[20][-1], total[-1])
    assert abs(int(heard[20][0, 0]) - int(total[0, 0] - voices[3][0, 0])) <= 1
    assert set(held) == {1.0}


def test_slow_voices_are_limited_as_fast_ones() -> None:
    gains = []
    for rate_hz in (SLOW, RATE):
        loud = np.ascontiguousarray(tone(0.02, VOICE_HZ, peak=30_000)[:: RATE // rate_hz])
        heard, held = mix_minus([loud, loud], [steady(())], 1, samples=len(loud))
        assert 30_000 < np.abs(heard[0]).max() <= 32767
        gains.append(held[0])
    assert gains[0] == pytest.approx(gains[1], rel=0.02)


# -- sending


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_codes_are_what_the_encoder_makes(law) -> None:
    sound = slow_tone(0.5)
    sender, other = AudioSender(CODEC_FORMATS[law][0], 0, 77), AudioSender(
        CODEC_FORMATS[law][0], 0, 77
    )  # fmt: skip
    assert sender.codes is None  # there is sound to be converted first
    sender.rate_hz = other.rate_hz = SLOW
    for at in range(0, len(sound), SLOW_BLOCK):
        block = sound[at : at + SLOW_BLOCK]
        assert sender.codes is not None
        payload = sender.codes[block[:, 0].view(np.uint16)].tobytes()
        assert [sender.coded(block, payload, 20)] == other.push(block, 20)


@pytest.mark.parametrize("ptime_ms", [20, 30])
@pytest.mark.parametrize("rates", [(SLOW, RATE), (RATE, SLOW)])
def test_a_sender_changes_its_rate_without_a_gap_or_a_click(ptime_ms, rates) -> None:
    sender = AudioSender(PCMU, 0, 500, wishes=AudioWishes(ptime_ms=ptime_ms))
    sound, sent = tone(2.0, VOICE_HZ), []
    for index in range(len(sound) // BLOCK):
        rate_hz = rates[index >= 49]
        block = np.ascontiguousarray(sound[index * BLOCK :][:BLOCK][:: RATE // rate_hz])
        sender.rate_hz = rate_hz
        sent += sender.push(block)
    assert {len(packet.payload) for packet in sent} == {ptime_ms * 8}
    stamps = np.diff([packet.timestamp for packet in sent])
    assert set(stamps) == {ptime_ms * 8}
    heard = decoded([packet.payload for packet in sent])[SLOW // 10 :]
    assert longest_step(heard) < 1.5 * STEEPEST


def test_a_primed_encoder_of_another_rate_goes_on_as_the_one_before() -> None:
    sound = tone(0.2, VOICE_HZ)
    blocks = [sound[at : at + BLOCK] for at in range(0, len(sound), BLOCK)]
    old, new = (create_audio_encoder(PCMU, 0) for _ in range(2))
    for block in blocks[:5]:
        former = old.encode(block)
    new.prime(blocks[3])
    new.prime(blocks[4])
    assert former is not None
    assert new.encode(blocks[5]) == old.encode(blocks[5])


def test_codecs_that_have_one_rate_say_so() -> None:
    encoder = create_audio_encoder(OPUS, 32_000)
    encoder.rate_hz = RATE
    with pytest.raises(MediaError, match="48000 Hz"):
        encoder.rate_hz = SLOW


def test_half_a_block_is_converted_to_half_a_block() -> None:
    """What waits in senders and receivers keeps its length."""
    for length in (1, 79, 80, 159):
        held = slow_tone(1.0)[:length]
        assert len(RateConverter(SLOW, RATE, 1).convert(held)) == 6 * length
