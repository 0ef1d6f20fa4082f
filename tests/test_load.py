"""The load generator: what it takes for carried, and a small load over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from peers import scenario

from ipconf.cli import main
from ipconf.codecs.registry import CODEC_FORMATS
from ipconf.load import sounds
from ipconf.load.callers import Callers
from ipconf.load.hub import Hub
from ipconf.load.latency import codec_shift, latencies
from ipconf.load.run import Outcome, Task, describe, quantile
from ipconf.load.verdict import EDGE_PACKETS, find_failures
from ipconf.model import AUDIO_FRAME_S

ATTEMPTS = 3
"""Where others use the machine the hub may not get what it needs."""

USED: dict[str, Any] = {"skipped": 0}
CAME: dict[str, Any] = {"seconds": 2.0, "packets": [100, 99, 101], "lost": [0, 0, 0]}
HEARD: list[dict[str, Any]] = [
    {"leg": 0, "missing": [], "echo": False, "latencies": []},
    {"leg": 2, "missing": [], "echo": False, "latencies": [0.03]},
]


def test_a_load_that_was_carried_has_no_failures() -> None:
    assert find_failures(USED, CAME, HEARD, loses=False) == []


@pytest.mark.parametrize(
    ("used", "came", "heard", "words"),
    [
        ({"skipped": 3}, {}, {}, "left out 3 ticks"),
        ({}, {"packets": [100, 92, 100]}, {}, "1 legs got too few packets, one 46.0 a second"),
        ({}, {"lost": [0, 1, 0]}, {}, "1 packets to 1 legs were lost"),
        ({}, {}, {"missing": [0, 1]}, "leg 2 does not hear 2 talkers: 0, 1"),
        ({}, {}, {"echo": True}, "leg 2 hears itself"),
        ({}, {}, {"latencies": []}, "nobody hears the first talker"),
    ],
)
def test_each_thing_that_goes_wrong_is_told(
    used: dict[str, Any], came: dict[str, Any], heard: dict[str, Any], words: str
) -> None:
    (failure,) = find_failures(USED | used, CAME | came, [HEARD[0], HEARD[1] | heard], loses=False)
    assert words in failure


def test_what_is_lost_on_purpose_may_be_known_a_packet_too_early() -> None:
    assert find_failures(USED, CAME | {"lost": [-1, 2, 0]}, HEARD, loses=True) == []
    assert find_failures(USED, CAME | {"lost": [0, 3, 0]}, HEARD, loses=True) != []


@pytest.mark.parametrize("talkers", [3, 50, 150])
@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU"])
def test_talkers_are_told_apart(talkers: int, codec: str) -> None:
    absent = talkers // 2
    saying = [n for n in range(talkers) if n != absent]
    mixed = sum(sounds.spoken(n, talkers).astype(float) for n in saying)
    fmt = CODEC_FORMATS[codec][0]
    payloads = sounds.encode(np.clip(mixed, -32768, 32767).astype(np.int16), fmt)
    levels = sounds.levels(sounds.decode(payloads, fmt), talkers)
    assert {n for n in levels if sounds.is_heard(levels[n], talkers)} == set(saying)
    assert [n for n in levels if sounds.is_absent(levels[n], talkers)] == [absent]


def test_silence_is_nobody_and_too_little_sound_tells_nothing() -> None:
    silence = [np.zeros((960, 1), np.int16)] * 50
    assert all(sounds.is_absent(level, 3) for level in sounds.levels(silence, 3).values())
    assert sounds.levels(silence[:10], 3) == {}
    assert sounds.place_s(silence[0]) is None


def test_the_sweep_tells_its_place_beside_tones() -> None:
    mixed = sounds.spoken(0, 3) // 2 + sounds.spoken(1, 3) // 2
    places = [sounds.place_s(mixed[at : at + 960]) for at in range(9600, 86400, 960)]
    for number, place in enumerate(places, 10):
        assert place == pytest.approx((number + 0.5) * AUDIO_FRAME_S, abs=0.002)


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU"])
def test_how_late_sound_is_does_not_count_the_callers_own_codec(codec: str) -> None:
    fmt = CODEC_FORMATS[codec][0]
    payloads = sounds.encode(sounds.spoken(0, 2), fmt)
    sent = [100.0 + AUDIO_FRAME_S * n for n in range(2 * sounds.PERIOD_PACKETS)]
    shift = codec_shift(payloads, fmt)
    blocks = sounds.decode(payloads, fmt)
    at = [sent[n] + 0.05 for n in range(len(payloads) - len(blocks), len(payloads))]
    found = latencies(blocks, at, sent, shift)
    assert len(found) > 0.7 * len(blocks)
    assert found == pytest.approx([0.05] * len(found), abs=0.003)
    assert latencies(blocks, [99.0] * len(blocks), sent, shift) == []


def test_what_seems_to_come_before_it_was_sent_is_a_blurred_place() -> None:
    sweep = sounds.spoken(0, 2)
    sent = [100.0 + AUDIO_FRAME_S * n for n in range(2 * sounds.PERIOD_PACKETS)]
    second_turn = sent[sounds.PERIOD_PACKETS + 50]
    block = sweep[50 * 960 : 51 * 960]
    assert latencies([block], [second_turn - 0.03], sent, 0.0) == []
    assert latencies([block], [second_turn + 0.03], sent, 0.0) == pytest.approx([0.03], abs=0.002)
    (earlier_turn,) = latencies([block], [second_turn - 0.3], sent, 0.0)
    assert earlier_turn == pytest.approx(sounds.PERIOD_S - 0.3, abs=0.002)


def test_values_in_order_of_size_are_picked_by_share() -> None:
    assert quantile([], 0.5) == 0
    assert quantile(list(range(100)), 0.99) == 99
    assert quantile([1, 2, 3], 0.5) == 2


def test_the_outcome_in_words() -> None:
    outcome = Outcome(
        set_up_s=0.5, set_up_cpu_s=0.003, idle=0.0, cpu=0.25, callers_cpu=0.2, waited=0.5,
        memory_bytes=90_000.0, rates=(50.0, 49.5), lost=2, late_s=(0.0001, 0.002),
        latencies_s=(0.03, 0.04), failures=("2 packets to 1 legs were lost",),
    )  # fmt: skip
    text = "\n".join(describe(Task(2, 1, codec="pcmu", uvloop=False), outcome))
    for words in (
        "2 legs, 1 talking, pcmu over plain RTP, 0 % loss, 10 s, on asyncio",
        "0.250 core, that is 2500.0 us for each leg in 20 ms",
        "90 kB for each leg",
        "49.50 to 50.00 a second and leg",
        "40.0 ms (p99)",
        "waited for a core 50 % of the time",
        "FAILED        2 packets",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--legs", "0"], "--legs 0: give 1 to 900"),
        (["--legs", "2", "--talkers", "3"], "--talkers 3: give 1 to 2"),
        (["--loss", "50"], "--loss 50: give 0 to 20"),
        (["--duration", "nan"], "--duration nan: give 2 to 3600"),
        (["--codec", "vp8"], "invalid choice: 'vp8'"),
    ],
)
def test_options_that_make_no_sense(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["load", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_small_load_is_carried(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--legs", "5", "--talkers", "2", "--duration", "2", "--loss", "2"]
    codes = []
    while not codes or (codes[-1] and len(codes) < ATTEMPTS):
        codes.append(main(["load", *options]))
    printed = capsys.readouterr().out
    assert codes[-1] == 0, printed
    assert "5 legs, 2 talking, opus over plain RTP, 2 % loss" in printed


@asynccontextmanager
async def _load(transport: str, loss_percent: float = 0.0) -> AsyncIterator[tuple[Hub, Callers]]:
    """A hub with four legs of whom two talk, in this process."""
    task = Task(4, 2, transport=transport)
    hub, callers = Hub(), Callers()
    await hub.open(task.settings, task.legs)
    try:
        offers = await callers.offer(task.legs, task.settings)
        await callers.accept(await hub.answer(offers))
        await hub.connected()
        await callers.play(task.talkers, loss_percent)
        yield hub, callers
    finally:
        await callers.close()
        await hub.commands["close"]()


async def _find(callers: Callers) -> list[str]:
    came = {"seconds": 2.0, "packets": [100] * 4, "lost": [0] * 4}
    return find_failures(USED, came, await callers.listen(), loses=False)


@pytest.mark.parametrize("transport", ["rtp", "webrtc"])
def test_who_is_muted_is_missed(transport: str) -> None:
    @scenario()
    async def muted() -> None:
        async with _load(transport) as (hub, callers):

            async def wait_for(failures: list[str]) -> None:
                found: list[str] = []
                for _ in range(200):
                    found = await _find(callers)
                    if found == failures:
                        return
                    await callers.measure(0.05)
                raise AssertionError(found)

            await wait_for([])
            conference = hub.conference
            conference.mute(conference.legs[1])
            await wait_for([f"leg {n} does not hear 1 talkers: 1" for n in (0, 2, 3)])

    muted()


@scenario()
async def test_packets_are_lost_on_purpose_and_not_missed() -> None:
    async with _load("rtp", 20.0) as (_, callers):
        await callers.measure(0.2)
        before = callers.dropped
        came = await callers.measure(1.0)
        dropped = callers.dropped - before
    assert 10 < dropped < 80  # a fifth of 200
    assert all(abs(lost) <= EDGE_PACKETS for lost in came["lost"])
