"""Budgets of pictures: who is sent what when there is not room for all."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipconf.engine.video_rates import (
    MAX_RECOVERY_S,
    MIN_ESTIMATE_BPS,
    REMB_LIFE_S,
    ROOMY,
    RateMeter,
    RateSettings,
    SlotBudget,
    Viewer,
    ViewerEstimate,
    sender_limits,
)

K = 1000.0
SETTINGS = RateSettings()
STEP_S = 0.2


# -- the meter


def test_a_meter_follows_the_rate() -> None:
    meter = RateMeter()
    measured = {}
    for packet in range(400):
        now = packet / 100
        meter.add(1250 if packet < 200 else 250, now)
        measured[packet] = meter.bps(now)
    assert measured[199] == pytest.approx(1_000 * K, rel=0.05)
    assert measured[350] == pytest.approx(200 * K, rel=0.05)
    assert measured[399] == pytest.approx(200 * K, rel=0.05)


def test_a_meter_of_nothing_is_at_zero() -> None:
    meter = RateMeter()
    assert meter.bps(0.0) == 0.0
    meter.add(1000, 1.0)
    assert meter.bps(1.2) > 0
    assert meter.bps(3.0) == 0.0


# -- what a viewer takes


def test_who_says_nothing_is_not_limited() -> None:
    estimate = ViewerEstimate()
    assert estimate.bps(0.0) == math.inf
    estimate.note_loss(0.05, 500 * K, 1.0)
    assert estimate.bps(1.0) == math.inf


def test_what_a_viewer_says_counts_until_it_is_old() -> None:
    estimate = ViewerEstimate()
    estimate.note_remb(300 * K, 1.0)
    assert estimate.bps(1.0 + REMB_LIFE_S / 2) == 300 * K
    assert estimate.bps(1.0 + REMB_LIFE_S) == math.inf
    estimate.note_remb(0, 10.0)
    assert estimate.bps(10.0) == MIN_ESTIMATE_BPS


def test_losses_begin_with_what_is_sent() -> None:
    estimate = ViewerEstimate()
    estimate.note_loss(0.2, 500 * K, 1.0)
    assert estimate.bps(1.0) == pytest.approx(450 * K)
    estimate.note_loss(0.2, 440 * K, 1.1)  # of the same burst
    assert estimate.bps(1.1) == pytest.approx(450 * K)
    estimate.note_loss(0.5, 400 * K, 2.0)
    assert estimate.bps(2.0) == pytest.approx(300 * K)
    estimate.note_loss(0.05, 400 * K, 3.0)
    assert estimate.bps(3.0) == pytest.approx(300 * K)


def test_without_losses_there_is_more_room_every_second() -> None:
    estimate = ViewerEstimate()
    estimate.note_loss(0.2, 100 * K, 0.0)
    for second in range(1, 11):
        estimate.note_loss(0.0, 90 * K, float(second))
    assert estimate.bps(10.0) == pytest.approx(90 * K * 1.08**10)


def test_losses_count_against_a_viewers_word_until_they_are_over() -> None:
    estimate = ViewerEstimate()
    estimate.note_remb(500 * K, 0.0)
    estimate.note_loss(0.4, 500 * K, 0.1)
    assert estimate.bps(0.1) == pytest.approx(400 * K)
    for second in range(1, 5):
        estimate.note_remb(500 * K, float(second))
        estimate.note_loss(0.0, 400 * K, float(second))
    assert estimate.bps(4.0) == 500 * K
    estimate.note_remb(2000 * K, 5.0)
    assert estimate.bps(5.0) == 2000 * K


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e9), st.floats(0, 10)), max_size=50))
def test_no_report_makes_an_estimate_impossible(reports: list[tuple[float, float, float]]) -> None:
    estimate, now = ViewerEstimate(), 0.0
    for fraction, sent, step in reports:
        now += step
        estimate.note_loss(fraction, sent, now)
        assert estimate.bps(now) >= MIN_ESTIMATE_BPS


# -- which pictures one viewer is sent


class Run:
    """A viewer's pictures over time."""

    def __init__(self, settings: RateSettings = SETTINGS) -> None:
        self.budget = SlotBudget(settings)
        self.now = 0.0
        self.decisions: list[tuple[float, tuple[int | None, ...]]] = []

    def at(self, offers: list[list[float]], available: float, seconds: float) -> None:
        """Decide for so long."""
        for _ in range(round(seconds / STEP_S)):
            self.decisions.append((self.now, self.budget.decide(offers, available, self.now)))
            self.now += STEP_S

    @property
    def latest(self) -> tuple[int | None, ...]:
        return self.decisions[-1][1]

    @property
    def changes(self) -> list[float]:
        return [at for (_, old), (at, new) in pairwise(self.decisions) if old != new]


def plain(count: int, rate: float = 300 * K) -> list[list[float]]:
    return [[rate] for _ in range(count)]


def test_who_has_room_is_sent_everything() -> None:
    run = Run()
    run.at(plain(3), math.inf, 1)
    run.at(plain(9), 2700 * K, 5)
    assert run.latest == (0,) * 9
    run.at([], 0, 2)
    assert run.latest == ()


def test_pictures_are_taken_away_from_the_end_after_a_second() -> None:
    run = Run()
    run.at(plain(4), 1300 * K, 5)
    run.at(plain(4), 700 * K, 0.8)
    assert run.latest == (0, 0, 0, 0)
    run.at(plain(4), 700 * K, 0.6)
    assert run.latest == (0, 0, None, None)
    run.at(plain(4), 100 * K, 2)
    assert run.latest == (None, None, None, None)


def test_a_short_overuse_does_no_harm() -> None:
    run = Run()
    for _ in range(20):
        run.at(plain(2), 500 * K, 0.8)
        run.at(plain(2), 700 * K, 0.2)
    assert run.changes == []


def test_pictures_come_back_when_there_has_been_room_for_long() -> None:
    run = Run()
    run.at(plain(3), 400 * K, 3)
    assert run.latest == (0, None, None)
    run.at(plain(3), 770 * K, 20)  # enough for two, but not by so much
    assert run.latest == (0, None, None)
    run.at(plain(3), 790 * K, 2.8)
    assert run.latest == (0, None, None)
    run.at(plain(3), 790 * K, 0.6)
    assert run.latest == (0, 0, None)
    run.at(plain(3), 5000 * K, 4)
    assert run.latest == (0, 0, 0)


def test_as_many_come_back_as_there_was_room_for_all_the_time() -> None:
    run = Run()
    run.at(plain(5), 10 * K, 3)
    run.at(plain(5), 5000 * K, 1)
    run.at(plain(5), 800 * K, 1)
    run.at(plain(5), 5000 * K, 1.4)
    assert run.latest == (0, 0, None, None, None)


def test_an_estimate_that_flaps_does_not_flap_pictures() -> None:
    run = Run()
    for turn in range(300):
        run.at(
            plain(4), (400 if turn % 2 else 1600) * K, STEP_S * random.Random(turn).randrange(1, 6)
        )
    assert len(run.changes) <= 2
    run = Run()
    for turn in range(100):  # every time long enough to be believed
        run.at(plain(2), (400 if turn % 2 else 1600) * K, 4)
    ups = run.changes[1::2]
    assert len(run.changes) <= 4, "the longer it goes on, the longer it is waited"
    assert len(ups) <= 2


def test_patience_comes_back() -> None:
    run = Run()
    for _ in range(5):
        run.at(plain(2), 400 * K, 2)
        run.at(plain(2), 1600 * K, MAX_RECOVERY_S + 1)
    run.at(plain(2), 1600 * K, 60)
    run.at(plain(2), 400 * K, 2)
    run.at(plain(2), 1600 * K, 4)
    assert run.latest == (0, 0)


def test_what_matters_most_is_what_is_kept() -> None:
    run = Run()
    run.at([[900 * K], [200 * K], [200 * K]], 1000 * K, 2)
    assert run.latest == (0, None, None)


def test_lower_layers_before_fewer_pictures() -> None:
    run = Run()
    layers = [100 * K, 300 * K, 1000 * K]
    run.at([layers] * 3, 5000 * K, 2)
    assert run.latest == (2, 2, 2)
    run.at([layers] * 3, 2000 * K, 2)
    assert run.latest == (2, 1, 1)
    run.at([layers] * 3, 600 * K, 2)
    assert run.latest == (1, 0, 0)
    run.at([layers] * 3, 250 * K, 2)
    assert run.latest == (0, 0, None)
    run.at([layers, [50 * K]], 1000 * K / 1.3, 10)
    assert run.latest == (1, 0)


class Link:
    """A receiver whose estimate follows what it gets, as draft-ietf-rmcat-gcc-02 has it."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.estimate = 100 * K

    def told(self, sent: float) -> float:
        """The estimate after a further second in which so much was sent."""
        got = min(sent, self.capacity)
        if sent > self.capacity:
            self.estimate = 0.85 * got
        elif self.estimate < 1.5 * got + 10 * K:
            self.estimate = min(1.08 * self.estimate + K, 1.5 * got + 10 * K)
        return self.estimate


def follow(link: Link, layers: list[float], seconds: int) -> list[int | None]:
    """What a viewer behind that link is sent of one picture, each second."""
    budget, sound, shown = SlotBudget(SETTINGS), 40 * K, len(layers) - 1
    history: list[int | None] = []
    layer: int | None = shown
    for second in range(seconds):
        sent = sound + (layers[layer] if layer is not None else 0.0)
        estimate = link.told(sent)
        for half in (0.0, 0.5):
            (layer,) = budget.decide(
                [layers], estimate, second + half, roomy=estimate >= ROOMY * sent
            )
        history.append(layer)
    return history


def test_a_viewer_whose_estimate_follows_what_it_is_sent_climbs_to_the_highest_layer() -> None:
    history = follow(Link(5e6), [150 * K, 1300 * K], 60)
    assert history[-30:] == [1] * 30
    assert sum(old != new for old, new in pairwise(history)) <= 2


def test_a_viewer_with_room_for_less_is_tried_now_and_then_only() -> None:
    history = follow(Link(400 * K), [150 * K, 1300 * K], 600)
    assert history[-1] == 0 and history.count(1) < 60 and None not in history
    assert history.count(1) > 3, "it might have had more room by now"


@given(
    st.lists(st.lists(st.floats(0, 1e7), min_size=1, max_size=3).map(sorted), max_size=6),
    st.lists(st.floats(0, 3e7), min_size=1, max_size=30),
)
def test_decisions_make_sense(offers: list[list[float]], available: list[float]) -> None:
    budget = SlotBudget(SETTINGS)
    for turn, room in enumerate(available):
        layers = budget.decide(offers, room, turn / 2)
        assert len(layers) == len(offers)
        for layer, rates in zip(layers, offers, strict=True):
            assert layer is None or 0 <= layer < len(rates)
    least = min(available)
    for turn in range(10):
        layers = budget.decide(offers, least, len(available) + turn / 2)
    cost = sum(r[i] for r, i in zip(offers, layers, strict=True) if i is not None)
    assert cost <= least * (1 + 1e-9) + 1e-3


# -- what senders are told


def limits(viewers: list[Viewer], **settings: float) -> dict[object, float]:
    return sender_limits(viewers, (), RateSettings(**settings))


def test_senders_are_told_the_most_they_may() -> None:
    assert limits([Viewer(math.inf, ("a", "b"))]) == {"a": 2500 * K, "b": 2500 * K}
    assert limits([Viewer(math.inf, ())]) == {}


def test_the_room_is_shared_and_what_one_leaves_is_for_the_others() -> None:
    assert limits([Viewer(math.inf, ("a", "b"))], room_bps=3e6) == {"a": 1.5e6, "b": 1.5e6}
    told = limits([Viewer(math.inf, ("a", "b")), Viewer(650 * K, ("a",))], room_bps=2e6)
    assert told["a"] == pytest.approx(450 * K)
    assert told["b"] == pytest.approx(1550 * K)


def test_the_worst_viewer_of_a_sender_without_layers_counts() -> None:
    told = limits([Viewer(5e6, ("a", "b")), Viewer(1300 * K, ("b", "c"))])
    assert told["a"] == pytest.approx(5e6 * 0.9 / 1.3 / 2)
    assert told["b"] == told["c"] == pytest.approx(450 * K)


def test_one_bad_viewer_cannot_ruin_it_for_others() -> None:
    good = Viewer(5e6, ("a", "b"))
    for capacity in (0.0, 10 * K, 100 * K, 216 * K):
        assert limits([good, Viewer(capacity, ("a", "b"))]) == limits([good])
    bad = limits([good, Viewer(300 * K, ("a", "b"))])  # sees one of them
    assert bad["a"] == pytest.approx(300 * K * 0.9 / 1.3)
    assert bad["b"] == limits([good])["b"]
    assert limits([Viewer(0.0, ("a",))]) == {"a": 150 * K}


def test_who_sends_layers_sends_all_unless_the_lowest_is_enough_for_everybody() -> None:
    viewers = [Viewer(2600 * K, ("a", "b")), Viewer(650 * K, ("a", "b"))]
    told = sender_limits(viewers, {"a"}, SETTINGS)
    assert told == pytest.approx({"a": SETTINGS.sender_max_bps, "b": 225 * K})
    small = [viewer._replace(small={"a", "b"}) for viewer in viewers]
    told = sender_limits([viewers[0], small[1]], {"a"}, SETTINGS)
    assert told["a"] == SETTINGS.sender_max_bps
    told = sender_limits(small, {"a"}, SETTINGS)
    assert told == pytest.approx({"a": SETTINGS.sender_floor_bps, "b": 225 * K})
    paused = Viewer(10 * K, ("a", "b"))  # takes none of them, and wants nothing for now
    assert sender_limits([paused, small[0]], {"a"}, SETTINGS)["a"] == SETTINGS.sender_floor_bps


@given(
    st.lists(
        st.builds(
            Viewer,
            st.floats(0, 1e8) | st.just(math.inf),
            st.lists(st.sampled_from("abcdef"), unique=True, max_size=6).map(tuple),
        ),
        max_size=8,
    ),
    st.floats(1e4, 1e8) | st.just(math.inf),
)
def test_what_is_told_fits(viewers: list[Viewer], room: float) -> None:
    told = sender_limits(viewers, {"a"}, RateSettings(room_bps=room))
    assert set(told) == {source for viewer in viewers for source in viewer.sources}
    assert sum(told.values()) <= room * (1 + 1e-9)
    for limit in told.values():
        assert min(SETTINGS.sender_floor_bps, room / len(told)) * (1 - 1e-9) <= limit
        assert limit <= SETTINGS.sender_max_bps


# -- all together


class Room:
    """Senders that do as they are told after half a second, and viewers behind links."""

    def __init__(self, capacities: list[float], senders: str, remb: bool = True) -> None:
        self.capacities = capacities
        self.senders = senders
        self.remb = remb
        self.rates = dict.fromkeys(senders, 1000 * K)
        self.estimates = [ViewerEstimate() for _ in capacities]
        self.budgets = [SlotBudget(SETTINGS) for _ in capacities]
        self.shown: list[tuple[int | None, ...]] = [()] * len(capacities)
        self.now = 0.0
        self.changes = [0] * len(capacities)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self._step()

    def _step(self) -> None:
        viewers = []
        offers = [[self.rates[s]] for s in self.senders]
        for i, capacity in enumerate(self.capacities):
            sent = sum(o[0] for o, s in zip(offers, self.shown[i], strict=False) if s is not None)
            if self.remb:
                self.estimates[i].note_remb(capacity, self.now)
            elif sent:
                self.estimates[i].note_loss(max(0.0, 1 - capacity / sent), sent, self.now)
            available = self.estimates[i].bps(self.now)
            shown = self.budgets[i].decide(offers, available, self.now)
            self.changes[i] += shown != self.shown[i]
            self.shown[i] = shown
            viewers.append(Viewer(available, tuple(self.senders)))
        told = sender_limits(viewers, (), SETTINGS)
        for sender, rate in self.rates.items():
            wish = told[sender]
            self.rates[sender] += (wish - rate) * (0.4 if wish < rate else 0.1)


def count(shown: tuple[int | None, ...]) -> int:
    return sum(layer is not None for layer in shown)


def test_a_slow_viewer_among_fast_ones() -> None:
    room = Room([20e6, 20e6, 400 * K], "abcd")
    room.run(60)
    assert [count(s) for s in room.shown] == [4, 4, 1]
    assert room.rates["a"] == pytest.approx(400 * K * 0.9 / 1.3, rel=0.02)
    assert min(room.rates[s] for s in "bcd") > 2000 * K
    assert max(room.changes) <= 4


def test_a_viewer_recovers() -> None:
    room = Room([4e6, 20e6], "abcd")
    room.run(20)
    assert [count(s) for s in room.shown] == [4, 4]
    room.capacities[0] = 300 * K
    room.run(20)
    assert count(room.shown[0]) == 1
    assert count(room.shown[1]) == 4
    room.capacities[0] = 4e6
    room.run(30)
    assert [count(s) for s in room.shown] == [4, 4]
    assert room.rates["a"] == pytest.approx(4e6 * 0.9 / 1.3 / 4, rel=0.02)


def test_senders_slow_down_before_pictures_are_taken_away() -> None:
    room = Room([4e6], "ab")
    room.run(20)
    room.capacities[0] = 1e6
    room.run(20)
    assert room.changes[0] == 1  # the first one
    assert count(room.shown[0]) == 2


def test_a_viewer_that_only_reports_losses_comes_to_rest() -> None:
    room = Room([20e6, 600 * K], "abc", remb=False)
    room.run(60)
    assert count(room.shown[0]) == 3
    before = room.changes[1]
    room.run(120)
    assert room.changes[1] - before <= 12
    sent = sum(room.rates[s] for s, i in zip("abc", room.shown[1], strict=True) if i is not None)
    assert sent <= 1.5 * 600 * K
