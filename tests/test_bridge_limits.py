"""How much one address may ask for: rates with a clock of our own, guests at the same time."""

from __future__ import annotations

import pytest

from ipconf.bridge.limits import MAX_BUCKETS, REQUESTS_AT_ONCE, Buckets, Limits, group_of
from ipconf.bridge.refusals import Refused

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    """A time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def code_of(limits: Limits, address: str = HERE) -> str:
    """How `admit` answers: "" where it lets in, for good."""
    try:
        limits.admit(address)
    except Refused as exc:
        return f"{exc.status} {exc.code}"
    return ""


def test_guests_at_the_same_time_are_counted_for_each_address() -> None:
    limits = Limits(2, 1000, Clock())
    first = limits.admit(HERE)
    assert [code_of(limits), code_of(limits)] == ["", "429 too-many-sessions"]
    assert code_of(limits, THERE) == ""
    first.release()
    first.release()
    assert [code_of(limits), code_of(limits)] == ["", "429 too-many-sessions"]


def test_an_admission_ends_with_its_block() -> None:
    limits = Limits(1, 1000, Clock())
    with pytest.raises(RuntimeError), limits.admit(HERE):
        assert limits.sessions == 1
        raise RuntimeError
    assert limits.sessions == 0


def test_joins_come_at_once_and_then_so_many_a_minute() -> None:
    clock = Clock()
    limits = Limits(1000, 6, clock)
    assert [code_of(limits) for _ in range(7)] == [*[""] * 6, "429 too-fast"]
    clock.now += 9.9
    assert code_of(limits) == "429 too-fast"
    clock.now += 0.2
    assert [code_of(limits), code_of(limits)] == ["", "429 too-fast"]


def test_who_is_refused_for_too_many_does_not_pay_for_it() -> None:
    limits = Limits(1, 2, Clock())
    admission = limits.admit(HERE)
    assert {code_of(limits) for _ in range(10)} == {"429 too-many-sessions"}
    admission.release()
    assert code_of(limits) == ""


def test_requests_have_a_rate_as_well() -> None:
    limits = Limits(1, 1, Clock())
    for _ in range(int(REQUESTS_AT_ONCE)):
        limits.request(HERE)
    with pytest.raises(Refused, match="Too many requests"):
        limits.request(HERE)
    limits.request(THERE)


def test_several_tokens_are_taken_together_or_not_at_all() -> None:
    clock = Clock()
    buckets = Buckets(10.0, 100.0, clock)
    assert [buckets.take(HERE, 60.0), buckets.take(HERE, 60.0)] == [0.0, 2.0]
    assert buckets.take(HERE, 40.0) == 0.0
    clock.now += 1000.0
    assert buckets.take(HERE, 101.0) > 0.0
    assert buckets.take(HERE, 100.0) == 0.0


def test_nobody_is_let_in_while_stopping() -> None:
    limits = Limits(9, 9, Clock())
    limits.stopping = True
    assert code_of(limits) == "503 stopping"


def test_a_flood_of_addresses_is_forgotten_but_who_floods_is_not() -> None:
    clock = Clock()
    buckets = Buckets(0.001, 1.0, clock)
    for number in range(3 * MAX_BUCKETS):
        assert buckets.take(f"other {number}") == 0.0
        buckets.take(HERE)
        clock.now += 1e-6
    assert buckets.take(HERE) > 0.0
    assert len(buckets._left) <= MAX_BUCKETS


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix socket", ""),
    ],
)
def test_who_stands_for_one_subscriber(address: str, group: str) -> None:
    assert group_of(address) == group
