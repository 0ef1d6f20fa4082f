"""Two ends in one process, joined without sockets."""

from __future__ import annotations

import asyncio

from peers import scenario
from transport_lab import RTCP, End, rtp

from ipconf.model import GoneReason
from ipconf.transports.base import Loss, TransportState
from ipconf.transports.memory import MemoryTransport


def _pair() -> tuple[End[MemoryTransport], End[MemoryTransport]]:
    one, other = MemoryTransport.pair()
    return End(one), End(other)


@scenario()
async def test_what_one_sends_the_other_receives_in_order() -> None:
    one, other = _pair()
    for sender, receiver in ((one, other), (other, one)):
        sender.transport.send(rtp(1))
        sender.transport.send(RTCP)
        assert receiver.arrived.empty()  # never from inside send()
        await receiver.receives(rtp(1), RTCP)
        sent, received = sender.transport.counters, receiver.transport.counters
        assert sent.sent == received.received == 2
        assert sent.sent_bytes == received.received_bytes == len(rtp(1) + RTCP)
    assert one.transport.state is other.transport.state is TransportState.CONNECTED


@scenario()
async def test_closing_is_a_goodbye_that_comes_after_what_was_sent() -> None:
    one, other = _pair()
    one.transport.send(RTCP)
    await one.transport.close()
    await one.transport.close()
    assert await other.ended is GoneReason.BYE
    await other.receives(RTCP)
    assert other.transport.state is one.transport.state is TransportState.CLOSED
    assert not one.ended.done()
    for end in (one, other):
        end.transport.send(rtp())
        assert end.transport.counters.unsent == 1
    await other.transport.close()


@scenario()
async def test_who_has_closed_hears_and_learns_nothing_more() -> None:
    one, other = _pair()
    one.transport.send(rtp())
    await other.transport.close()
    await one.transport.close()
    for _ in range(3):
        await asyncio.sleep(0)  # what was scheduled by then has run
    assert other.arrived.empty()
    assert not other.ended.done() and not one.ended.done()


@scenario()
async def test_loss_is_seeded_and_heals() -> None:
    one, other = _pair()
    one.transport.impair(Loss(30, seed=3))
    for number in range(100):
        one.transport.send(rtp(number))
    one.transport.impair(None)
    one.transport.send(rtp(999))
    same = Loss(30, seed=3)
    kept = [rtp(number) for number in range(100) if not same.drop()]
    assert await other.receives_up_to(rtp(999)) == kept
    assert one.transport.counters.dropped_on_purpose == 100 - len(kept)
    assert one.transport.counters.sent == 101


@scenario()
async def test_an_impaired_end_loses_what_comes_as_well() -> None:
    one, other = _pair()
    other.transport.impair(Loss(100))
    one.transport.send(rtp(1))
    one.transport.send(rtp(2))
    other.transport.impair(None)
    await other.receives(rtp(1), rtp(2))  # loss is decided when a datagram arrives
    other.transport.impair(Loss(100))
    one.transport.send(rtp(3))
    other.transport.send(rtp(4))
    await one.transport.close()
    assert await other.ended is GoneReason.BYE
    assert one.arrived.empty() and other.arrived.empty()
    assert other.transport.counters.dropped_on_purpose == 2
