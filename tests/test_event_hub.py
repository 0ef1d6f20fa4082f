"""Event streams: one reader each, bounded, and every way to end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from peers import scenario

from ipconf.errors import InvalidStateError
from ipconf.event_hub import MAX_UNREAD_EVENTS, EventHub
from ipconf.events import Event


@dataclass(frozen=True)
class Numbered(Event):
    number: int


@dataclass(frozen=True)
class Other(Event):
    pass


def numbered(number: int) -> Numbered:
    return Numbered(at=0.0, number=number)


async def began(task: asyncio.Task[object]) -> asyncio.Task[object]:
    """The task, once it waits."""
    await asyncio.sleep(0)
    assert not task.done()
    return task


@scenario()
async def test_a_second_reader_is_told_and_the_first_goes_on() -> None:
    hub = EventHub()
    stream = hub.subscribe((Numbered,))
    first = await began(asyncio.create_task(anext(stream)))
    with pytest.raises(InvalidStateError, match="give each reader its own stream"):
        await anext(stream)
    with pytest.raises(InvalidStateError):
        await stream.wait_for(Numbered)
    hub.post(numbered(1))
    assert await first == numbered(1)
    hub.post(numbered(2))
    assert await anext(stream) == numbered(2)


@scenario()
async def test_two_streams_have_two_readers() -> None:
    hub = EventHub()
    readers = [asyncio.create_task(anext(hub.subscribe((Numbered,)))) for _ in range(2)]
    for reader in readers:
        await began(reader)
    hub.post(numbered(1))
    assert await asyncio.gather(*readers) == [numbered(1)] * 2


@scenario()
async def test_who_is_cancelled_makes_room_at_once_and_loses_nothing() -> None:
    hub = EventHub()
    stream = hub.subscribe((Numbered,))
    first = await began(asyncio.create_task(anext(stream)))
    second = asyncio.create_task(anext(stream))
    first.cancel()  # the second begins before the first has noticed
    await asyncio.wait([first])
    await began(second)
    hub.post(numbered(1))
    assert await second == numbered(1)
    third = await began(asyncio.create_task(anext(stream)))
    hub.post(numbered(2))
    third.cancel()  # it was to have the event, and does not
    await asyncio.wait([third])
    assert third.cancelled() and await anext(stream) == numbered(2)


@scenario()
async def test_what_is_not_read_is_bounded_and_counted() -> None:
    hub = EventHub()
    slow, quick = hub.subscribe((Numbered,)), hub.subscribe((Event,))
    for number in range(MAX_UNREAD_EVENTS + 5):
        hub.post(numbered(number))
        hub.post(Other(at=0.0))
        assert await anext(quick) == numbered(number)
        assert await anext(quick) == Other(at=0.0)
    hub.close()
    read = [event.number async for event in slow]
    assert read == list(range(5, MAX_UNREAD_EVENTS + 5))
    assert (slow.dropped, quick.dropped) == (5, 0)


@pytest.mark.parametrize("by", ["stream", "hub"])
@scenario()
async def test_closing_ends_the_wait(by: str) -> None:
    hub = EventHub()
    stream = hub.subscribe((Numbered,))

    async def read() -> list[Numbered]:
        return [event async for event in stream]

    reader = await began(asyncio.create_task(read()))
    hub.post(numbered(1))
    stream.close() if by == "stream" else hub.close()
    hub.post(numbered(2))
    assert await reader == [numbered(1)]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@scenario()
async def test_waiting_for_what_never_came() -> None:
    hub = EventHub()
    stream = hub.subscribe((Event,))
    waiting = await began(asyncio.create_task(stream.wait_for(Other)))
    hub.post(numbered(1))
    hub.close()
    with pytest.raises(LookupError, match="no Other before the events ended"):
        await waiting
    assert [event async for event in hub.subscribe((Event,))] == []  # nor will it ever
