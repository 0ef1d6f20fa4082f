"""When a channel plans its timer anew: for news, not for each packet of media."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sessions import rtp, sdes, session

from ipconf.calls.channel import Channel
from ipconf.engine.rtcp_wire import ReceiverReport, compose_compound
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.participants import Roster


class Plan:
    """An event loop at a standstill that counts timers."""

    def __init__(self) -> None:
        self.made = 0

    def time(self) -> float:
        return 0.0

    def call_at(self, when: float, action: object) -> SimpleNamespace:
        self.made += 1
        return SimpleNamespace(cancel=lambda: None)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    plan = Plan()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: plan)
    yield plan


def test_media_of_somebody_known_leaves_the_timer_alone(plan: Plan) -> None:
    came: list[RtpPacket] = []
    stream = SimpleNamespace(packet_arrived=lambda packet, now: came.append(packet))
    transport = cast(Any, SimpleNamespace(send=lambda datagram: None))
    roster = Roster(lambda *args, **fields: None)
    one, asked = session(), count()
    deadline = one.next_deadline
    one.next_deadline = lambda: (next(asked), deadline())[1]  # type: ignore[method-assign]
    Channel(transport, one, roster, {"a": cast(Any, stream)}, {})
    before = next(asked)
    transport.sink(rtp(7, 1), 1.0)
    transport.sink(rtp(7, 2), 1.02)
    assert len(came) == 2 and next(asked) > before + 1  # a newcomer
    before = next(asked)
    for number in range(3, 50):
        transport.sink(rtp(7, number), number * 0.02)
    assert len(came) == 49 and next(asked) == before + 1
    for turn in range(2):  # the second time there is no news in it
        before = next(asked)
        transport.sink(compose_compound([ReceiverReport(7), sdes(7, (1, "ann"))]), 1.5 + turn)
        assert next(asked) > before + 1


def test_a_timer_is_planned_anew_only_for_another_deadline(plan: Plan) -> None:
    one, deadlines = session(), iter((5.0, 5.0, 4.0, math.inf, 6.0))
    one.next_deadline = lambda: next(deadlines)  # type: ignore[method-assign]
    roster = Roster(lambda *args, **fields: None)
    transport = cast(Any, SimpleNamespace(send=lambda datagram: None))
    Channel(transport, one, roster, {}, {})
    report = compose_compound([ReceiverReport(7), sdes(7, (1, "ann"))])
    made = [plan.made]
    for turn in range(4):
        transport.sink(report, float(turn))
        made.append(plan.made)
    assert made == [1, 1, 2, 2, 3]
