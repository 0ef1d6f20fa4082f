"""Who has the floor: speech takes it within a second; noise, coughs, clicks and "mhm" do not.

Everybody is a track of sound on one clock, whose blocks of 20 ms become levels. The reaction times
are in the docstring of `ipconf.engine.dominance`, and `test_reactions_are_as_documented` measures
them.
"""

from __future__ import annotations

import importlib.resources
import math
import re
from collections.abc import Hashable, Iterable, Mapping
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from terminal_lab import file_audio

from ipconf.engine import dominance
from ipconf.engine.dominance import DominantSpeaker, outdoes
from ipconf.engine.speakers import level_of
from ipconf.engine.speech_activity import NOBODY, Activity, SpeechActivity

RATE = 48_000
FULL_SCALE = 32767
ROOM_DB = -70
"""A quiet room."""
START_S = 100.0
Sound = NDArray[np.float64]
Switch = tuple[float, Hashable]
Row = list[int | None]


@cache
def clip(name: str, db: float = 0) -> Sound:
    """A recording of the demo, about -20 dBov while it talks, `db` louder."""
    with importlib.resources.as_file(
        importlib.resources.files("ipconf.demo") / "clips" / f"{name}.ogg"
    ) as path:
        return file_audio(path)[:, 0] * 10 ** (db / 20)


def noise(seconds: float, db: float, seed: int = 0) -> Sound:
    """White noise of a level in dBov."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, FULL_SCALE * 10 ** (db / 20), round(seconds * RATE))


def cough(milliseconds: int, db: float = -12, seed: int = 0) -> Sound:
    burst = noise(milliseconds / 1000, db, seed)
    return burst * np.exp(-2 * np.arange(len(burst)) / len(burst))


def typing(seconds: float, per_second: float, seed: int = 0) -> Sound:
    """Keystrokes of 30 ms, as loud as speech, at uneven times."""
    rng = np.random.default_rng(seed)
    sound, at = np.zeros(round(seconds * RATE)), 0.0
    while at < seconds - 0.1:
        begin = int(at * RATE)
        click = noise(0.03, -20, rng.integers(1 << 30))
        sound[begin : begin + len(click)] += click * np.exp(-np.arange(len(click)) / 400)
        at += rng.uniform(0.6, 1.4) / per_second
    return sound


def mhm() -> Sound:
    """300 ms of speech."""
    return clip("bob")[: RATE * 3 // 10]


def track(
    seconds: float, *sounds: tuple[float, Sound], room: float = ROOM_DB, seed: int = 0
) -> Sound:
    """A person's sound: the given ones, each from its second on, in the noise of a room."""
    whole = noise(seconds, room, seed)
    for at, sound in sounds:
        begin = round(at * RATE)
        part = whole[begin : begin + len(sound)]
        part += sound[: len(part)]
    return whole


def levels(sound: Sound, block_s: float = 0.02) -> Row:
    size = round(block_s * RATE)
    pcm = np.clip(sound, -FULL_SCALE, FULL_SCALE).astype(np.int16)
    return [level_of(pcm[i : i + size]) for i in range(0, len(pcm) - size + 1, size)]


def confer(
    tracks: Mapping[str, Sound],
    *,
    block_s: float = 0.02,
    decide_s: float = 0.02,
    lost: float = 0.0,
    speaker: DominantSpeaker | None = None,
) -> list[Switch]:
    """Who got the floor, and in which second; `lost` is the share of packets that do not come."""
    rng = np.random.default_rng(8)
    rows: dict[str, Row] = {name: levels(sound, block_s) for name, sound in tracks.items()}
    for row in rows.values():
        for index in np.flatnonzero(rng.random(len(row)) < lost):
            row[index] = None
    return follow(rows, speaker or DominantSpeaker(), block_s, decide_s)


def follow(
    rows: Mapping[str, Row], speaker: DominantSpeaker, block_s: float = 0.02, decide_s: float = 0.02
) -> list[Switch]:
    """The same for everybody's levels, None where there is none."""
    switches: list[Switch] = []
    due = 0.0
    for index, now_levels in enumerate(zip(*rows.values(), strict=True)):
        at = (index + 1) * block_s
        for name, level in zip(rows, now_levels, strict=True):
            if level is not None:
                speaker.level(name, level, START_S + at)
        if at >= due:
            due += decide_s
            if speaker.decide(START_S + at):
                switches.append((round(at, 2), speaker.dominant))
    return switches


def names(switches: Iterable[Switch]) -> list[Hashable]:
    return [name for _, name in switches]


def turns(seconds: float, *speakers: tuple[str, str], gap_s: float = 0.1) -> tuple[dict, list]:
    """Pairs of a key and its clip talk in turns: everybody's track, and who begins when."""
    sounds: dict[str, list[tuple[float, Sound]]] = {key: [] for key, _ in speakers}
    begins, at, turn = [], 0.0, 0
    while at < seconds:
        key, name = speakers[turn % len(speakers)]
        sounds[key].append((at, clip(name)))
        begins.append((at, key))
        at += len(clip(name)) / RATE + gap_s
        turn += 1
    return {
        key: track(at, *parts, seed=seed) for seed, (key, parts) in enumerate(sounds.items())
    }, begins


def test_reactions_are_as_documented():
    alternating, begins = turns(58, ("alice", "alice"), ("bob", "bob"))
    switches = confer(alternating)
    assert names(switches) == names(begins)
    handovers = [took - began for (took, _), (began, _) in zip(switches, begins, strict=True)][1:]
    measured = {
        f"{name.title()} begins in silence": took(track(6, (1, clip(name))))
        for name in ("alice", "bob")
    }
    measured |= {
        f"{name.title()} begins 25 dB softer": took(track(6, (1, clip(name, -25))))
        for name in ("alice", "bob")
    }
    measured |= {
        f"{name.title()} begins in noise 15 dB below": took(track(6, (1, clip(name)), room=-35))
        for name in ("alice", "bob")
    }
    measured["handover after a pause of 0.1 s, the quickest of 7"] = min(handovers)
    measured["handover after a pause of 0.1 s, the slowest of 7"] = max(handovers)
    assert all(0.5 <= reaction <= 1.2 for reaction in measured.values()), measured
    rows = re.findall(r"^(\S.*?)  +(\d\.\d\d) s$", dominance.__doc__ or "", re.MULTILINE)
    told = {what: float(reaction) for what, reaction in rows}
    assert told == pytest.approx(measured, abs=0.101)


def took(sound: Sound) -> float:
    """After how many seconds somebody who begins in the first second gets the floor."""
    [(at, _)] = confer({"one": sound, "other": track(6, seed=9)})
    return at - 1


def test_a_handover_is_one_switch_within_a_second():
    switches = confer(
        {"alice": track(14, (0, clip("alice")), seed=1), "bob": track(14, (7.3, clip("bob")))}
    )
    assert names(switches) == ["alice", "bob"]
    assert 7.3 + 0.5 < switches[1][0] < 7.3 + 1.0


def test_a_minute_of_turns_has_one_switch_for_each():
    tracks, begins = turns(58, ("a", "alice"), ("b", "bob"))
    switches = confer(tracks, decide_s=0.1)
    assert names(switches) == names(begins)
    assert all(
        0.5 < took - began < 1.2 for (took, _), (began, _) in zip(switches, begins, strict=True)
    )


def test_short_turns_do_not_flap():
    """Sentences of a second or two, a pause of 0.2 s: at most one switch for each."""
    first = clip("alice")[: RATE * 18 // 10]
    second = clip("bob")[: RATE * 19 // 10]
    a = track(60, *((at, first) for at in np.arange(0, 58, 4.2)), seed=1)
    b = track(60, *((at, second) for at in np.arange(2, 58, 4.2)), seed=2)
    switches = names(confer({"a": a, "b": b}))
    assert 20 <= len(switches) <= 28
    assert switches == ["a", "b"] * (len(switches) // 2)


@pytest.mark.parametrize("decide_s", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("block_s", [0.01, 0.02, 0.03, 0.04, 0.06])
def test_packet_times_and_calls_of_any_length(block_s, decide_s):
    switches = confer(
        {"alice": track(14, (0, clip("alice")), seed=1), "bob": track(14, (7.3, clip("bob")))},
        block_s=block_s,
        decide_s=decide_s,
    )
    assert names(switches) == ["alice", "bob"]
    assert 0.5 < switches[1][0] - 7.3 < 1.3


@pytest.mark.parametrize("lost", [0.05, 0.2])
def test_lost_packets_change_little(lost):
    switches = confer(
        {"alice": track(14, (0, clip("alice")), seed=1), "bob": track(14, (7.3, clip("bob")))},
        lost=lost,
    )
    assert names(switches) == ["alice", "bob"]
    assert switches[1][0] < 7.3 + 1.2


@pytest.mark.parametrize("milliseconds", [200, 300, 400])
def test_a_cough_does_not_take_the_floor(milliseconds):
    twice = (8.4, cough(300)), (8.9, cough(300))
    sick = track(12, (2, cough(milliseconds)), *twice)
    assert confer({"sick": sick, "other": track(12, seed=1)}) == []
    talks = track(12, (0.5, clip("alice")), seed=1)
    assert names(confer({"sick": sick, "alice": talks})) == ["alice"]


@pytest.mark.parametrize("per_second", [2, 5, 8])
def test_typing_does_not_take_the_floor(per_second):
    clerk = track(20, (0, typing(20, per_second)))
    assert confer({"clerk": clerk, "other": track(20, seed=1)}) == []
    talks = track(20, (5, clip("bob")), seed=1)
    switches = confer({"clerk": clerk, "bob": talks})
    assert names(switches) == ["bob"]
    assert switches[0][0] < 6


def test_backchannels_do_not_take_the_floor():
    """Neither over speech, nor in its pauses of 0.7 s, nor into the silence after it."""
    listener = track(12, *((at, mhm()) for at in np.arange(0.5, 12, 1.1)))
    for name in ("alice", "bob"):
        talks = track(12, (0, clip(name)), seed=1)
        assert names(confer({"listener": listener, "talks": talks})) == ["talks"]


def test_an_echo_does_not_take_the_floor():
    for delay_s in (0.1, 0.3, 0.5):
        echo = track(9, (delay_s, clip("alice", -25)))
        talks = track(9, (0, clip("alice")), seed=1)
        assert names(confer({"echo": echo, "talks": talks})) == ["talks"]


@pytest.mark.parametrize(("first", "second"), [("alice", "bob"), ("bob", "alice")])
@pytest.mark.parametrize("louder_db", [0, 6])
def test_who_began_keeps_the_floor_while_both_talk(first, second, louder_db):
    """A sentence in the midst of another; the pauses between sentences are no overlap."""
    sentence = clip(second, louder_db)[: RATE * 19 // 10]
    without_pauses = np.concatenate([clip(first)[: RATE * 15 // 10]] * 4)
    tracks = {
        "first": track(7, (0, without_pauses), seed=1),
        "second": track(7, (2.5, sentence)),
    }
    assert names(confer(tracks)) == ["first"]


def test_who_goes_on_after_an_overlap_gets_the_floor():
    tracks = {
        "alice": track(12, (0, clip("alice")), seed=1),
        "bob": track(12, (6.2, np.concatenate([clip("bob")] * 2))),
    }
    switches = confer(tracks)
    assert names(switches) == ["alice", "bob"]
    assert 7.0 < switches[1][0] < 8.0  # Alice talks until 6.9 s


def test_in_silence_the_last_one_keeps_the_floor():
    speaker = DominantSpeaker()
    tracks = {"alice": track(60, (0, clip("alice")), seed=1), "bob": track(60)}
    assert names(confer(tracks, speaker=speaker)) == ["alice"]
    assert speaker.dominant == "alice"
    assert speaker.talkers(START_S + 60) == []


@pytest.mark.parametrize("db", [-60, -45, -35, -25])
def test_a_fan_is_not_speech(db):
    """Also one that is switched on in a quiet room; and talk before it is."""
    assert confer({"fan": noise(10, db), "other": track(10, seed=1)}) == []
    switched_on = track(14, (2, noise(12, db)))
    assert confer({"fan": switched_on, "other": track(14, seed=1)}) == []
    talk = track(14, (2, noise(12, db)), (4, clip("bob", max(0, db + 30))))
    assert names(confer({"fan": talk, "other": track(14, seed=1)})) == ["fan"]


def test_talk_in_a_noisy_place_gets_the_floor():
    """10 dB above the noise."""
    for name in ("alice", "bob"):
        talks = track(8, (1, clip(name, -15)), room=-45)
        assert names(confer({"talks": talks, "other": track(8, seed=1)})) == ["talks"]


def test_who_talks_after_it_takes_the_floor_from_rumble():
    """A rumble below 200 Hz has levels as uneven as speech, and gets the floor in silence."""
    spectrum = np.fft.rfft(noise(14, 0))
    spectrum[14 * 200 :] = 0
    rumble = np.fft.irfft(spectrum)
    rumble *= FULL_SCALE * 10 ** (-35 / 20) / rumble.std()
    tracks = {"rumble": track(14, (1, rumble)), "alice": track(14, (7, clip("alice")))}
    switches = confer(tracks)
    assert names(switches)[-1] == "alice"
    assert len(switches) <= 2
    assert switches[-1][0] < 8.2


def test_the_floor_of_noise_is_found_and_lost():
    person = SpeechActivity(0.0)
    sound = [*levels(noise(2, -35)), *levels(noise(1, -55))]
    for index, level in enumerate(sound):
        person.take(level, index * 0.02)
        if index == 40:
            assert person.measure(0.8) is NOBODY, "the noise is not counted any more"
        if index == 99:
            assert person.noise_level == pytest.approx(35, abs=1)
    assert person.noise_level == pytest.approx(55, abs=1)


def test_three_of_fifty_talk_in_turns():
    tracks, begins = turns(29, ("p7", "alice"), ("p19", "bob"), ("p33", "alice"))
    rows = {name: levels(sound) for name, sound in tracks.items()}
    rng = np.random.default_rng(4)
    for n in range(50):  # the others have fans, cough now and then, and type
        row = rng.normal(75 - n % 35, 0.5, len(rows["p7"])).round().astype(int)
        for at in rng.integers(0, len(row), 5):
            row[at : at + 12] = rng.integers(14, 30)
        if n % 5 == 0:
            row[:: rng.integers(5, 9)] = 30
        rows.setdefault(f"p{n}", row.tolist())
    switches = follow(rows, DominantSpeaker())
    assert names(switches) == names(begins)
    assert all(at - began < 1.2 for (at, _), (began, _) in zip(switches, begins, strict=True))


def test_all_is_the_same_again():
    tracks, _ = turns(20, ("a", "alice"), ("b", "bob"))
    assert confer(tracks, lost=0.1) == confer(tracks, lost=0.1)


def talk(speaker: DominantSpeaker, key: Hashable, begin: float, seconds: float) -> float:
    """Levels like syllables; when they end."""
    for index in range(round(seconds * 50)):
        now = begin + index * 0.02
        speaker.level(key, (20, 21, 26, 34, 28, 22, 18, 24, 33, 30)[index % 10], now)
        speaker.decide(now)
    return begin + seconds


def test_who_leaves_has_no_floor_until_it_is_decided_anew():
    speaker = DominantSpeaker()
    now = talk(speaker, "a", 1.0, 1.5)
    assert speaker.dominant == "a"
    for index in range(50):
        speaker.level("a", (20, 30)[index // 5 % 2], now + index * 0.02)
        speaker.level("b", (22, 32)[index // 5 % 2], now + index * 0.02)
    speaker.forget("stranger")
    speaker.forget("a")
    assert speaker.dominant is None
    assert speaker.talked_at("a") == -math.inf
    assert speaker.talkers(now + 1) == ["b"]
    assert speaker.decide(now + 1)
    assert speaker.dominant == "b"


@pytest.mark.parametrize(
    ("rival", "holder", "taken"),
    [
        ((10, 5, 9), NOBODY, True),
        ((10, 5, 6), NOBODY, False),  # no longer than two coughs
        ((10, 0, 9), NOBODY, False),
        ((3, 5, 9), NOBODY, False),
        ((9, 5, 9), (3, 2, 5), True),
        ((9, 5, 9), (4, 2, 5), False),  # the holder is no softer at this moment,
        ((9, 5, 9), (3, 3, 5), False),  # has not paused,
        ((9, 5, 9), (3, 2, 6), False),  # or talked nearly as much
    ],
)
def test_every_scale_can_refuse_the_floor(rival, holder, taken):
    assert outdoes(Activity(*rival), Activity(*holder)) is taken


def test_decisions_are_a_tenth_of_a_second_apart():
    speaker = DominantSpeaker()
    speaker.decide(1.0)
    for index in range(60):
        speaker.level("a", (20, 30)[index // 5 % 2], index * 0.02 - 0.12)
    assert not speaker.decide(1.06)
    assert speaker.decide(1.1)
    assert not speaker.decide(1.3)


def test_people_without_levels_have_no_floor():
    speaker = DominantSpeaker()
    assert not speaker.decide(1.0)
    assert speaker.dominant is None
    assert speaker.talkers(1.0) == []
    assert speaker.talked_at("nobody") == -math.inf


def test_talkers_are_there_at_once_and_the_dominant_is_first():
    speaker = DominantSpeaker()
    now = talk(speaker, "a", 1.0, 1.5)
    for index in range(60):
        at = now + index * 0.02
        speaker.level("b", (20, 30)[index // 5 % 2], at)
        if index > 20:
            speaker.level("c", (20, 30)[index // 5 % 2], at)
        if index in (5, 27):
            assert speaker.talkers(at)[:2] == ["a", "b"]
    assert speaker.dominant == "a"
    assert speaker.talkers(at) == ["b", "c"]  # "a" has been silent for more than 0.6 s
    assert speaker.decide(at)
    speaker.level("a", 10, at)
    assert speaker.talkers(at) == ["b", "c"], "a click is not talk"
    assert speaker.talked_at("a") == pytest.approx(now, abs=0.05)
    assert speaker.talked_at("b") == pytest.approx(at)


def test_who_stops_sending_is_silent():
    speaker = DominantSpeaker()
    now = talk(speaker, "a", 1.0, 1.5)
    assert speaker.talkers(now + 0.5) == ["a"]
    assert speaker.talkers(now + 0.7) == []
    person = SpeechActivity(0.0)
    for index in range(50):
        person.take((20, 30)[index // 5 % 2], index * 0.02)
    assert person.measure(1.06).medium == 5, "a packet late or lost is no pause"
    assert person.measure(1.2).medium == 0
    assert person.measure(2.1) is NOBODY
    assert person.measure(-50.0) is NOBODY, "time was set back"


@pytest.mark.parametrize("jump_s", [-1000.0, -0.3, 0.3, 1000.0, 1e9])
def test_time_may_jump(jump_s):
    speaker = DominantSpeaker()
    now = talk(speaker, "a", 2000.0, 1.5)
    assert speaker.talkers(now + jump_s) == (["a"] if abs(jump_s) < 0.5 else [])
    now = talk(speaker, "a", now + jump_s, 0.5)
    assert speaker.dominant == "a"
    now = talk(speaker, "b", now, 2.0)
    assert speaker.dominant == "b"
    assert speaker.talkers(now) == ["b"]


def test_two_clocks_somewhat_apart_are_one():
    person = SpeechActivity(5.0)
    for index in range(50):
        person.take((20, 30)[index // 5 % 2], 5 + index * 0.02 - 0.04 * (index % 2))
    assert person.measure(6.0).long >= 9


def test_peaks_before_a_jump_are_history():
    person = SpeechActivity(2000.0)
    person.take(5, 2000.0)
    person.take(127, 1000.0)
    person.take(40, 1000.02)
    assert person.measure(1000.02).immediate < 10


def test_what_is_kept_of_a_person_is_bounded():
    person = SpeechActivity(0.0)
    for index in range(5000):
        person.take((20, 30)[index // 5 % 2], index * 0.05)
        assert person._register.bit_length() <= 50
    assert not hasattr(person, "__dict__")


def test_only_who_was_active_lately_is_looked_at(monkeypatch):
    looked = []
    measure = SpeechActivity.measure
    monkeypatch.setattr(
        SpeechActivity, "measure", lambda self, now: looked.append(self) or measure(self, now)
    )
    speaker = DominantSpeaker()
    for key in range(400):
        speaker.level(key, 90, 1.0)
    now = talk(speaker, 7, 1.0, 1.0)
    looked.clear()
    speaker.decide(now + 0.1)
    assert len(looked) == 1
    speaker.decide(now + 2)
    looked.clear()
    speaker.decide(now + 3)
    assert not looked


KEYS = st.integers(0, 4)
STEPS = st.one_of(
    st.tuples(st.just("level"), KEYS, st.integers(0, 127), st.integers(1, 60)),
    st.tuples(st.just("forget"), KEYS, st.just(0), st.just(1)),
    st.tuples(st.just("wait"), KEYS, st.just(0), st.just(1)),
)
PASSING_S = st.one_of(st.sampled_from([0.0, 0.02, 0.3]), st.floats(-1e6, 1e6))


@settings(deadline=None)
@given(st.lists(st.tuples(STEPS, PASSING_S), max_size=40))
def test_nothing_raises_and_the_dominant_is_known(script):
    speaker = DominantSpeaker()
    known: set[int] = set()
    now = 0.0
    for (action, key, level, times), passing_s in script:
        now += passing_s
        if action == "forget":
            speaker.forget(key)
            known.discard(key)
        for index in range(times if action == "level" else 0):
            known.add(key)
            speaker.level(key, (level + index % 7 * 3) % 128, now)
            now += 0.02
        before = speaker.dominant
        assert speaker.decide(now) is (speaker.dominant != before)
        assert speaker.dominant is None or speaker.dominant in known
        assert set(speaker.talkers(now)) <= known
