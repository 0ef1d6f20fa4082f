"""When a channel plans its timer anew: for news, not for each packet of media."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
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
    Channel(transport, session(), roster, {"a": cast(Any, stream)}, {})
    planned = plan.made
    transport.sink(rtp(7, 1), 1.0)
    transport.sink(rtp(7, 2), 1.02)
    assert len(came) == 2 and plan.made > planned  # a newcomer
    planned = plan.made
    for number in range(3, 50):
        transport.sink(rtp(7, number), number * 0.02)
    assert len(came) == 49 and plan.made == planned
    for turn in range(2):  # the second time there is no news in it
        planned = plan.made
        transport.sink(compose_compound([ReceiverReport(7), sdes(7, (1, "ann"))]), 1.5 + turn)
        assert plan.made > planned
