"""The clock of a provider's media: absolute schedule, catching up, and falling into step."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count, pairwise
from typing import Any, cast

import pytest

from ipconf.ticker import AUDIO_TICKS, MAX_CATCH_UP_TICKS, READ_FIRST_S, TICK_S, Ticker


class VirtualLoop:
    """What a ticker needs of an event loop, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reported: list[dict[str, Any]] = []
        self._timers: list[tuple[float, int, asyncio.Handle]] = []
        self._order = count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., None], *args: object) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, cast(asyncio.AbstractEventLoop, self))
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def call_soon(self, callback: Callable[..., None], *args: object) -> asyncio.Handle:
        return self.call_at(self.now, callback, *args)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.reported.append(context)

    def get_debug(self) -> bool:
        return False

    def run_until(self, end: float) -> None:
        """Let time pass, with everything that falls due meanwhile."""
        while self._timers and self._timers[0][0] <= end:
            when, _, handle = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if not handle.cancelled():
                handle._run()
        self.now = max(self.now, end)


class Lab:
    """A ticker on a virtual loop, and when its client was called."""

    def __init__(self, every: int = AUDIO_TICKS) -> None:
        self.loop = VirtualLoop()
        self.ticker = Ticker(cast(asyncio.AbstractEventLoop, self.loop))
        self.ticks: list[float] = []
        self.ticker.add(self.client, every)

    def client(self, now: float, number: int) -> None:
        self.ticks.append(now)

    def packets(self, begin: float, period: float, number: int, stream: object) -> list[float]:
        """Let packets of a stream come, and return how long after each the next tick came."""
        waits = []
        for index in range(number):
            at = begin + index * period
            self.loop.run_until(at)
            ticks = len(self.ticks)
            self.ticker.packet_came(stream, at)
            self.loop.run_until(at + period * 0.99)
            waits.append(self.ticks[ticks] - at if len(self.ticks) > ticks else period)
        return waits


def test_ticks_come_on_an_absolute_schedule() -> None:
    lab = Lab()
    lab.loop.run_until(100.5)
    steps = [b - a for a, b in zip(lab.ticks, lab.ticks[1:], strict=False)]
    assert len(lab.ticks) == pytest.approx(0.5 / TICK_S / AUDIO_TICKS, abs=1)
    assert steps == pytest.approx([TICK_S * AUDIO_TICKS] * len(steps))


def test_a_stall_is_made_good_up_to_a_limit() -> None:
    lab = Lab(every=1)
    lab.loop.run_until(100.1)
    before = len(lab.ticks)
    lab.loop.now += 1.0  # nothing ran for a second
    lab.loop.run_until(lab.loop.now + (MAX_CATCH_UP_TICKS + 1) * READ_FIRST_S)
    assert len(lab.ticks) - before == pytest.approx(MAX_CATCH_UP_TICKS, abs=2)
    assert lab.ticker.skipped == pytest.approx(1.0 / TICK_S - MAX_CATCH_UP_TICKS, abs=1)


def test_sockets_are_read_between_ticks_that_are_overdue() -> None:
    lab = Lab(every=1)
    lab.loop.run_until(100.1)
    del lab.ticks[:]
    lab.loop.now += 0.05
    lab.loop.run_until(lab.loop.now + 6 * READ_FIRST_S)
    steps = [b - a for a, b in pairwise(lab.ticks)]
    assert len(steps) >= 4 and steps == pytest.approx([READ_FIRST_S] * len(steps))


def test_a_client_that_raises_is_reported_and_kept() -> None:
    lab = Lab()

    def broken(now: float, number: int) -> None:
        raise ValueError("broken")

    lab.ticker.add(broken, AUDIO_TICKS)
    lab.loop.run_until(100.1)
    assert len(lab.loop.reported) == len(lab.ticks) > 3
    assert str(lab.loop.reported[0]["exception"]) == "broken"


def test_a_client_may_let_a_cancellation_out() -> None:
    """It can only be that of a task of its own; everybody else is called as ever."""
    lab = Lab()
    last: list[float] = []

    def broken(now: float, number: int) -> None:
        raise asyncio.CancelledError

    lab.ticker.add(broken, AUDIO_TICKS)
    lab.ticker.add(lambda now, number: last.append(now), AUDIO_TICKS)
    lab.loop.run_until(100.1)
    assert len(lab.loop.reported) == len(lab.ticks) == len(last) > 3
    assert isinstance(lab.loop.reported[0]["exception"], asyncio.CancelledError)


def test_nothing_that_is_raised_ends_the_ticks() -> None:
    """Whoever catches it and goes on has a clock that goes on, and falls into step."""
    lab = Lab()
    faults: list[BaseException] = [KeyboardInterrupt()]

    def interrupted(now: float, number: int) -> None:
        if faults:
            raise faults.pop()

    lab.ticker.add(interrupted, AUDIO_TICKS)
    with pytest.raises(KeyboardInterrupt):
        lab.loop.run_until(100.1)
    waits = lab.packets(100.1573, 0.020, 20, "leader")
    assert max(waits[1:]) == pytest.approx(0.0, abs=1e-9)


def test_nothing_runs_without_clients() -> None:
    lab = Lab()
    lab.loop.run_until(100.1)
    lab.ticker.remove(lab.client)
    ticks = len(lab.ticks)
    lab.loop.run_until(101.0)
    assert len(lab.ticks) == ticks


def test_the_first_stream_sets_the_phase() -> None:
    lab = Lab()
    waits = lab.packets(100.0573, 0.020, 100, "leader")
    assert max(waits[1:]) == pytest.approx(0.0, abs=1e-9)  # at once, without another wake-up
    assert len(lab.ticks) == pytest.approx(100 + 2, abs=2)  # neither more nor fewer ticks


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_the_phase_follows_the_leaders_clock(drift: float) -> None:
    lab = Lab()
    waits = lab.packets(100.05, 0.020 * (1 + drift), 3000, "leader")  # 12 ms in a minute
    assert max(waits[1:]) == pytest.approx(0.0, abs=1e-9)


def test_others_do_not_move_the_ticks() -> None:
    lab = Lab()
    lab.packets(100.05, 0.020, 10, "leader")
    leader = lab.ticks[-1]
    lab.packets(100.2577, 0.020, 20, "another")
    assert (lab.ticks[-1] - leader) / 0.020 == pytest.approx(
        round((lab.ticks[-1] - leader) / 0.020), abs=0.1
    )


def test_a_stream_that_comes_late_does_not_lead() -> None:
    lab = Lab()
    lab.loop.run_until(103.0)
    waits = lab.packets(103.0077, 0.020, 20, "late")
    assert min(waits) > 0.001


def test_jitter_moves_ticks_by_no_more_than_two_milliseconds() -> None:
    lab = Lab()
    lab.packets(100.05, 0.020, 10, "leader")
    begin = len(lab.ticks)
    for index in range(200):
        at = 100.26 + index * 0.020 + (index * 7 % 19) * 1e-3  # up to 18 ms late
        lab.loop.run_until(at)
        lab.ticker.packet_came("leader", at)
    steps = [b - a for a, b in zip(lab.ticks[begin:], lab.ticks[begin + 1 :], strict=False)]
    assert max(abs(step - 0.020) for step in steps) < 0.003
