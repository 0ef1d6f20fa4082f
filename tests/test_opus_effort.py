"""How hard Opus encoders try: chosen, changed while they run, and decided on by a policy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from audio_lab import BLOCK, OPUS, RATE, level_db, tone, vowels
from codec_lab import assert_same_tone, decode, encode, noise
from hypothesis import given
from hypothesis import strategies as st

from ipconf.codecs.base import AudioWishes
from ipconf.codecs.libopus import LibOpusEncoder, load
from ipconf.codecs.opus import PyAvOpusEncoder, create_opus_decoder, create_opus_encoder
from ipconf.codecs.opus_packet import MAX_PAUSE_BYTES, packet_samples
from ipconf.codecs.opus_settings import OpusApplication, OpusEffort, OpusEncoder, OpusSettings
from ipconf.codecs.registry import CODEC_FORMATS, create_audio_encoder
from ipconf.errors import MediaError
from ipconf.pipelines.effort import (
    AMPLE_SHARE,
    BEST_COMPLEXITY,
    FEW_MIXES,
    LEAN_COMPLEXITY,
    MANY_MIXES,
    MUSIC_BITRATE_BPS,
    EffortPolicy,
)

LIBRARY = load()
ENCODERS = [
    pytest.param(lambda *how: LibOpusEncoder(LIBRARY, *how), id="libopus"),
    pytest.param(PyAvOpusEncoder, id="pyav"),
]
if LIBRARY is None:  # the fallback is all there is to test then
    ENCODERS = ENCODERS[1:]
needs_library = pytest.mark.skipif(LIBRARY is None, reason="only libopus does this")

VOIP, AUDIO, LOW_DELAY = OpusApplication
FIRST_HYBRID, FIRST_CELT = 12, 16
"""Of the 32 configurations (RFC 6716 section 3.1)."""


def configurations(payloads: list[bytes]) -> set[int]:
    return {payload[0] >> 3 for payload in payloads}


def delay(encoder: OpusEncoder) -> int:
    """How many samples later a click comes out."""
    sound = np.zeros((10 * BLOCK, 1), np.int16)
    sound[5 * BLOCK : 5 * BLOCK + 4] = 30_000
    heard = decode(create_opus_decoder(1), encode(encoder, sound))
    return int(np.argmax(np.abs(heard[:, 0].astype(np.int32)))) - 5 * BLOCK


# -- what encoders make of it


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_ordinary_encoders_try_as_hard_as_ever(make_encoder) -> None:
    encoder = make_encoder(1, 32_000)
    assert encoder.effort == OpusEffort(32_000, VOIP, 5, 10)
    assert create_audio_encoder(OPUS, 32_000).effort == OpusEffort(32_000)
    sound = vowels(1.0)
    told = make_encoder(1, 6_000, OpusSettings(), OpusEffort(32_000))
    assert encode(told, sound) == encode(encoder, sound)


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize("application", OpusApplication)
@pytest.mark.parametrize("complexity", [0, 10])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_effort_sounds_right(make_encoder, application, complexity, channels) -> None:
    effort = OpusEffort(64_000 * channels, application, complexity, 0)
    sound = tone(1.0, channels=channels)
    payloads = encode(make_encoder(channels, 1, OpusSettings(), effort), sound)
    assert_same_tone(decode(create_opus_decoder(channels), payloads), sound, 440, within_db=1)


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_low_delay_has_less_delay_and_codes_no_speech(make_encoder) -> None:
    encoders = [make_encoder(1, 1, OpusSettings(), OpusEffort(64_000, a)) for a in OpusApplication]
    kinds = [configurations(encode(encoder, vowels(1.0))) for encoder in encoders]
    assert min(kinds[2]) >= FIRST_CELT
    voip, audio, low = (
        delay(make_encoder(1, 1, OpusSettings(), OpusEffort(64_000, a, 5, 0)))
        for a in OpusApplication
    )
    assert voip - low == pytest.approx(192, abs=30)
    assert audio - low == pytest.approx(192, abs=30)


@needs_library
def test_speech_is_coded_as_speech_up_to_64_kbit() -> None:
    for complexity in (BEST_COMPLEXITY, LEAN_COMPLEXITY):
        encoder = LibOpusEncoder(
            LIBRARY, 1, 1, OpusSettings(), OpusEffort(64_000, AUDIO, complexity, 0)
        )
        kinds = configurations(encode(encoder, np.concatenate((vowels(1.0), noise(0.5)))))
        assert min(kinds) >= FIRST_HYBRID and max(kinds) < FIRST_CELT


@needs_library
def test_many_mixes_are_coded_as_music_which_takes_less_time() -> None:
    effort = EffortPolicy().choose(50, 510_000, 0, 0.9)
    encoder = LibOpusEncoder(LIBRARY, 1, 1, OpusSettings(), effort)
    assert min(configurations(encode(encoder, vowels(1.0)))) >= FIRST_CELT


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_an_encoder_changes_while_it_runs_but_not_its_application(make_encoder) -> None:
    encoder = make_encoder(1, 1, OpusSettings(), OpusEffort(64_000, AUDIO, 5, 0))
    decoder, sound = create_opus_decoder(1), tone(2.0)
    heard = []
    for index in range(0, len(sound), BLOCK):
        if index % (10 * BLOCK) == 0:
            rate = (16_000, 64_000)[index // (10 * BLOCK) % 2]
            encoder.effort = OpusEffort(rate, AUDIO, index // BLOCK % 11, index // BLOCK % 30)
        heard.append(decoder.decode(encoder.encode(sound[index : index + BLOCK])))
    assert_same_tone(np.concatenate(heard), sound, 440, within_db=1)
    before = encoder.effort
    with pytest.raises(MediaError, match="another one for lowdelay"):
        encoder.effort = replace(before, application=LOW_DELAY)
    assert encoder.effort == before
    encoder.bitrate_bps = 20_000
    assert encoder.effort == replace(before, bitrate_bps=20_000)


@needs_library
def test_what_opus_does_not_have_is_refused() -> None:
    encoder = LibOpusEncoder(LIBRARY, 1, 32_000)
    for nonsense in ({"complexity": 11}, {"loss_percent": 101}):
        with pytest.raises(MediaError, match="libopus failed to set"):
            encoder.effort = replace(encoder.effort, **nonsense)


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize(
    "change", [{"complexity": 0}, {"loss_percent": 0}, {"bitrate_bps": 12_000}]
)
def test_the_change_takes_effect(make_encoder, change) -> None:
    sound = vowels(2.0)
    encoder = make_encoder(1, 32_000)
    encoder.effort = replace(encoder.effort, **change)
    assert encode(encoder, sound) != encode(make_encoder(1, 32_000), sound)


def repaired_db(effort: OpusEffort) -> float:
    """How well each tenth packet is repaired from the one behind it."""
    payloads = encode(LibOpusEncoder(LIBRARY, 1, 1, OpusSettings(), effort), vowels(3.0))
    reference, decoder = create_opus_decoder(1), create_opus_decoder(1)
    wanted = error = 0.0
    for index, payload in enumerate(payloads[:-1]):
        right = reference.decode(payload).astype(np.float64)
        if index % 10 != 5:
            decoder.decode(payload)
            continue
        guess = decoder.recover(payloads[index + 1], BLOCK)
        wanted += float(np.sum(np.square(right)))
        error += float(np.sum(np.square(right - guess)))
    return float(10 * np.log10(wanted / error))


@needs_library
@pytest.mark.parametrize("mixes", [3, 50])
def test_what_the_policy_does_about_loss_repairs_it(mixes) -> None:
    with_loss = EffortPolicy().choose(mixes, 64_000, 0.05, 0.9)
    without = EffortPolicy().choose(mixes, 64_000, 0, 0.9)
    assert repaired_db(with_loss) > repaired_db(without) + 4


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_the_far_end_has_the_last_word(make_encoder) -> None:
    settings = OpusSettings(max_bitrate_bps=20_000, fec=False)
    encoder = make_encoder(1, 1, settings, OpusEffort(64_000, AUDIO, 5, 20))
    assert encoder.effort.bitrate_bps == encoder.bitrate_bps == 20_000
    without = make_encoder(1, 1, settings, OpusEffort(20_000, AUDIO, 5, 0))
    assert encode(encoder, vowels(1.0)) == encode(without, vowels(1.0))


def test_the_factory_takes_it_for_opus_and_ignores_it_elsewhere() -> None:
    effort = OpusEffort(64_000, AUDIO, 0, 0)
    encoder = create_audio_encoder(OPUS, 32_000, AudioWishes(), effort)
    assert isinstance(encoder, OpusEncoder) and encoder.effort == effort
    (pcmu,) = CODEC_FORMATS["PCMU"]
    assert create_audio_encoder(pcmu, 64_000, effort=effort).bitrate_bps == 64_000
    assert create_opus_encoder(1, 32_000, effort=effort).bitrate_bps == 64_000


# -- from one encoder to another


def joined(make_encoder, effort: OpusEffort, primed: int, at: int) -> np.ndarray:
    """What a decoder makes of packets of one encoder, and from block `at` on of another one."""
    sound = tone(0.8)
    blocks = np.split(sound, len(sound) // BLOCK)
    one = make_encoder(1, 1, OpusSettings(), effort)
    other = make_encoder(1, 1, OpusSettings(), effort)
    for block in blocks[at - primed : at]:
        other.prime(block)
    payloads = [one.encode(block) for block in blocks[:at]]
    payloads += [other.encode(block) for block in blocks[at:]]
    return decode(create_opus_decoder(1), payloads)


def click_db(make_encoder, effort: OpusEffort, primed: int) -> float:
    """The sharpest bend of the wave at joints anywhere in it, against those of the sound itself."""
    sharpest = 0.0
    for at in range(15, 25, 2):
        heard = joined(make_encoder, effort, primed, at)[at * BLOCK - 60 : at * BLOCK + 480, 0]
        sharpest = max(sharpest, float(np.abs(np.diff(heard.astype(np.float64), 2)).max()))
    own = float(np.abs(np.diff(tone(0.1)[:, 0].astype(np.float64), 2)).max())
    return float(20 * np.log10(sharpest / own))


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize(
    "effort", [OpusEffort(64_000, AUDIO, 5, 0), OpusEffort(64_000, LOW_DELAY, 5, 0)]
)
def test_a_primed_encoder_goes_on_without_a_click(make_encoder, effort) -> None:
    assert click_db(make_encoder, effort, 0) > 30
    assert click_db(make_encoder, effort, 1) < 10
    assert click_db(make_encoder, effort, 2) < 3
    moved = joined(make_encoder, effort, 2, 20)
    assert level_db(moved[20 * BLOCK :]) == pytest.approx(level_db(tone(0.1)), abs=0.5)


@pytest.mark.parametrize("make_encoder", ENCODERS)
def test_priming_sends_nothing_and_keeps_the_packet_time(make_encoder) -> None:
    settings, sound = OpusSettings(frame_samples=2880), vowels(2.4)
    one, other = make_encoder(1, 32_000, settings), make_encoder(1, 32_000, settings)
    before = encode(one, sound[: 20 * 2880])
    other.prime(sound[20 * 2880 - BLOCK : 20 * 2880])
    after = encode(other, sound[20 * 2880 :])
    assert {packet_samples(payload) for payload in after} == {2880}
    assert len(before) == len(after) == 20
    heard = decode(create_opus_decoder(1), before + after)
    assert level_db(heard[RATE:]) == pytest.approx(level_db(sound[RATE:]), abs=0.5)


@needs_library
def test_a_pause_after_priming_is_told() -> None:
    encoder = LibOpusEncoder(LIBRARY, 1, 32_000, OpusSettings(dtx=True))
    for block in np.split(vowels(1.0), 50):
        encoder.encode(block)
    quiet = np.split(noise(2.0, loudness=8.0), 100)
    began = next(n for n, block in enumerate(quiet) if encoder.encode(block) is None)
    encoder.prime(quiet[began + 1])
    first = encoder.encode(quiet[began + 2])
    assert first is not None and len(first) <= MAX_PAUSE_BYTES
    assert encoder.encode(quiet[began + 3]) is None


@needs_library
@pytest.mark.parametrize("tones_hz", [(440.0,), (262.0, 330.0, 392.0, 523.0)])
def test_tones_are_no_pause(tones_hz: tuple[float, ...]) -> None:
    encoder = LibOpusEncoder(LIBRARY, 1, 32_000, OpusSettings(dtx=True))
    times = np.arange(4 * RATE) / RATE
    sound = sum(3000 * np.sin(2 * np.pi * hz * times) for hz in tones_hz)
    blocks = np.split(np.asarray(sound).astype(np.int16)[:, np.newaxis], 200)
    assert all(len(encoder.encode(block) or b"") > MAX_PAUSE_BYTES for block in blocks)


@pytest.mark.parametrize("make_encoder", ENCODERS)
@pytest.mark.parametrize(
    "nonsense",
    [np.zeros((BLOCK, 1), np.int16), np.zeros((0, 2), np.int16), np.zeros((500, 2), np.int16),
     np.zeros((BLOCK, 2), np.float32), np.zeros(BLOCK, np.int16)],
)  # fmt: skip
def test_only_sound_of_its_kind_primes_an_encoder(make_encoder, nonsense) -> None:
    with pytest.raises(MediaError, match="to prime an encoder"):
        make_encoder(2, 32_000).prime(nonsense)


# -- the policy


def test_few_mixes_get_the_best_and_many_are_lean() -> None:
    policy = EffortPolicy()
    assert policy.choose(3, 510_000, 0, 0.9) == OpusEffort(64_000, AUDIO, BEST_COMPLEXITY, 0)
    music = OpusEffort(MUSIC_BITRATE_BPS, AUDIO, BEST_COMPLEXITY, 0)
    assert policy.choose(50, 510_000, 0, 0.9) == music
    assert policy.choose(50, 510_000, 0, 0.9, channels=2).bitrate_bps == 2 * MUSIC_BITRATE_BPS
    assert policy.choose(50, 64_000, 0, 0.9) == OpusEffort(64_000, AUDIO, LEAN_COMPLEXITY, 0)
    assert policy.choose(50, 510_000, 0.05, 0.9) == OpusEffort(64_000, AUDIO, LEAN_COMPLEXITY, 10)
    policy = EffortPolicy()
    assert policy.choose(5, 510_000, 0, 0.05) == music  # the processor is busy
    policy = EffortPolicy()
    assert policy.choose(3, 510_000, 0, 0.9, channels=2).bitrate_bps == 128_000
    assert policy.choose(3, 24_000, 0, 0.9).bitrate_bps == 24_000


def complexities(policy: EffortPolicy, *situations: tuple[int, float]) -> list[int]:
    return [policy.choose(mixes, 64_000, 0, spare).complexity for mixes, spare in situations]


def test_a_talker_more_or_less_changes_nothing() -> None:
    best, lean = BEST_COMPLEXITY, LEAN_COMPLEXITY
    policy = EffortPolicy()
    mixes = (MANY_MIXES, MANY_MIXES + 1, MANY_MIXES, FEW_MIXES + 1, FEW_MIXES, MANY_MIXES)
    assert complexities(policy, *((n, 0.9) for n in mixes)) == [best, lean, lean, lean, best, best]


def test_a_busy_processor_is_spared_until_there_is_room_again() -> None:
    best, lean = BEST_COMPLEXITY, LEAN_COMPLEXITY
    policy = EffortPolicy()
    spare = (0.5, 0.11, 0.09, 0.2, AMPLE_SHARE + 0.02, AMPLE_SHARE + 0.04, 0.2)
    expected = [best, best, lean, lean, lean, best, best]
    assert complexities(policy, *((5, share) for share in spare)) == expected


def test_what_sparing_gains_is_not_taken_for_room() -> None:
    """Whatever the load besides: the effort settles, as `spare` follows from it."""
    for others in np.linspace(0, 1, 101):
        policy, effort, seen = EffortPolicy(), None, []
        for _ in range(10):
            cost = 0.0115 if effort is None or effort.complexity == BEST_COMPLEXITY else 0.0055
            effort = policy.choose(10, 64_000, 0, max(0.0, 1 - others - 10 * cost))
            seen.append(effort.complexity)
        assert len(set(seen[2:])) == 1


def test_lean_is_only_who_has_the_bits_for_it() -> None:
    policy = EffortPolicy()
    chosen = [policy.choose(50, limit, loss, 0.5) for limit, loss in
              [(64_000, 0), (32_000, 0), (50_000, 0), (50_000, 0.05), (64_000, 0.05)]]  # fmt: skip
    assert [effort.complexity for effort in chosen] == [0, 5, 0, 5, 0]
    assert policy.choose(50, 32_000, 0, 0.02).complexity == LEAN_COMPLEXITY


def test_loss_asks_for_redundancy_and_a_report_without_loss_does_not_end_it() -> None:
    policy = EffortPolicy()
    losses = (0, 0.01, 0.03, 0.015, 0.12, 0.06, 0.04, 0.9, 0.005, 0.02)
    percents = [policy.choose(3, 64_000, loss, 0.9).loss_percent for loss in losses]
    assert percents == [0, 0, 10, 10, 20, 20, 10, 30, 0, 10]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 200),
            st.integers(6_000, 510_000),
            st.floats(0, 1),
            st.floats(0, 2),
            st.sampled_from([1, 2]),
        )
    )
)
def test_whatever_happens_no_new_encoder_is_needed(situations) -> None:
    policy = EffortPolicy()
    for situation in situations:
        effort = policy.choose(*situation)
        assert effort.application is AUDIO
        assert effort.bitrate_bps <= situation[1]
        assert policy.choose(*situation) == effort
