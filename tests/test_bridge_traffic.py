"""What all calls have sent and received, and how late the loop is."""

from __future__ import annotations

import asyncio
import gc
import time

from ipconf.bridge.lateness import BOUNDS_S, EVERY_S, Lateness
from ipconf.bridge.traffic import Traffic
from ipconf.transports.udp import UdpTransport


def test_what_a_transport_has_counted_stays_when_it_is_gone() -> None:
    traffic = Traffic()
    first, second = UdpTransport("127.0.0.1", None), UdpTransport("127.0.0.1", None)
    traffic.watch(first)
    traffic.watch(second)
    first.counters.sent, first.counters.received_bytes = 3, 700
    second.counters.sent, second.counters.flooded = 4, 1
    assert (traffic.total().sent, traffic.total().received_bytes) == (7, 700)
    first.counters.sent += 1
    del first
    gc.collect()
    second.counters.sent += 1
    told = traffic.total()
    assert (told.sent, told.received_bytes, told.flooded) == (9, 700, 1)
    assert len(traffic._live) == 1


def test_a_loop_that_stands_still_is_late() -> None:
    async def whole() -> list[tuple[str, float]]:
        lateness = Lateness()
        await asyncio.sleep(EVERY_S / 2)
        time.sleep(EVERY_S / 2 + 0.3)  # noqa: ASYNC251
        await asyncio.sleep(0.01)
        lateness.close()
        assert lateness.total_s >= 0.25
        return lateness.buckets()

    told = dict(asyncio.run(whole()))
    assert list(told) == [*map(str, BOUNDS_S), "+Inf"]
    assert (told["0.1"], told["1.0"], told["+Inf"]) == (0.0, 1.0, 1.0)
