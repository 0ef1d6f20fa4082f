"""Who gets one of a few places, and who loses it to whom."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ipconf.engine.places import MIN_STAY_S, Claim, Places, Rank, rank_of_talk

SILENT, TALKING, CHOSEN = Rank(Claim.SILENT), Rank(Claim.TALKING), Rank(Claim.CHOSEN)


def settled(places: Places[int, str], count: int, now: float, **ranks: Rank) -> list[str | None]:
    places.settle(range(count), ranks, now)
    return [places.held.get(place) for place in range(count)]


def test_free_places_go_to_the_best_and_then_to_the_first() -> None:
    assert settled(Places(), 2, 0.0, a=SILENT, b=TALKING, c=SILENT) == ["b", "a"]


def test_nobody_loses_a_place_to_an_equal() -> None:
    places: Places[int, str] = Places()
    assert settled(places, 1, 0.0, a=TALKING) == ["a"]
    assert settled(places, 1, 100.0, a=TALKING, b=TALKING) == ["a"]
    assert settled(places, 1, 200.0, a=SILENT, b=SILENT) == ["a"]


def test_a_talker_waits_until_the_holder_has_stayed_long_enough() -> None:
    places: Places[int, str] = Places()
    settled(places, 1, 0.0, a=SILENT)
    assert settled(places, 1, MIN_STAY_S - 0.1, a=SILENT, b=TALKING) == ["a"]
    assert settled(places, 1, MIN_STAY_S, a=SILENT, b=TALKING) == ["b"]
    assert settled(places, 1, MIN_STAY_S + 0.1, a=TALKING, b=SILENT) == ["b"]


def test_who_is_chosen_does_not_wait() -> None:
    places: Places[int, str] = Places()
    settled(places, 1, 0.0, a=TALKING)
    assert settled(places, 1, 0.1, a=TALKING, b=CHOSEN) == ["b"]


def test_of_the_silent_those_who_talked_last_stay() -> None:
    places: Places[int, str] = Places()
    ranks = {"a": rank_of_talk(3.0), "b": rank_of_talk(5.0)}
    assert settled(places, 2, 10.0, **ranks) == ["b", "a"]
    assert settled(places, 2, 20.0, **ranks, c=TALKING) == ["b", "c"]


def test_who_sends_nothing_makes_place_even_for_the_silent() -> None:
    places: Places[int, str] = Places()
    settled(places, 1, 0.0, a=TALKING)
    gone_quiet = rank_of_talk(math.inf, sends=False)
    assert settled(places, 1, 5.0, a=gone_quiet, b=SILENT) == ["b"]


def test_equals_take_turns_where_a_place_becomes_free() -> None:
    places: Places[int, str] = Places()
    unknown = Rank(Claim.UNKNOWN)
    on = []
    for turn in range(4):
        ranks = dict.fromkeys("abc", unknown)
        for name in places.held.values():
            ranks[name] = SILENT  # decoded: they turn out to be silent
        on += settled(places, 1, turn * MIN_STAY_S, **ranks)
    assert on == ["a", "b", "c", "a"]


def test_who_must_be_somewhere_is_there_and_nowhere_else() -> None:
    places: Places[int, str] = Places()
    settled(places, 2, 0.0, a=SILENT, b=SILENT)
    places.settle(range(2), {"a": CHOSEN, "b": SILENT}, 0.1, {1: "a"})
    assert places.held == {1: "a", 0: "b"}
    places.settle(range(2), {"a": CHOSEN, "b": SILENT, "c": CHOSEN}, 0.2, {1: "a"})
    assert places.held == {1: "a", 0: "c"}


RANKS = st.builds(Rank, st.sampled_from(Claim), st.sampled_from([-math.inf, 1.0, 2.0]))
STEPS = st.lists(
    st.tuples(
        st.integers(0, 4), st.dictionaries(st.sampled_from("abcdefg"), RANKS), st.floats(0, 3)
    ),
    max_size=12,
)


@given(STEPS)
def test_places_are_used_up_once_each_and_changes_have_a_reason(
    steps: list[tuple[int, dict[str, Rank], float]],
) -> None:
    places: Places[int, str] = Places()
    now, since = 0.0, dict[int, float]()
    for count, ranks, wait_s in steps:
        now += wait_s
        before = dict(places.held)
        places.settle(range(count), ranks, now)
        held = places.held
        assert len(held) == min(count, len(ranks)) == len(set(held.values()))
        for place, holder in held.items():
            old = before.get(place)
            if old == holder:
                continue
            if old is not None and old in ranks:
                rested = now - since[place] >= MIN_STAY_S
                assert ranks[holder] > ranks[old] and (rested or ranks[holder].claim is CHOSEN[0])
            since[place] = now
        settled_once = dict(held)
        places.settle(range(count), ranks, now)
        assert places.held == settled_once
