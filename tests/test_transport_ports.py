"""Ports of a loop, read together: every datagram once, in batches, until somebody closes them."""

from __future__ import annotations

import asyncio
import gc
import select
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import pytest
from peers import LIMIT_S, LOCALHOST, eventually, open_sockets, scenario
from transport_lab import Stranger, has_address

from ipconf.transports import ports, watching
from ipconf.transports.binding import bind_udp
from ipconf.transports.ports import Address, Port, open_port
from ipconf.transports.watching import MAX_BATCH, QUICK_WAKES

Run = Callable[[Coroutine[Any, Any, None]], None]


FEW, MANY = 1000, 0
"""As limits of how many ports are few: all are, none is."""
KINDS = [("asyncio", FEW), ("asyncio", MANY), ("asyncio", 50), ("uvloop", FEW), ("uvloop", MANY)]


@pytest.fixture(params=[*KINDS, ("without epoll", FEW), ("a loop that watches no files", FEW)])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a coroutine on each kind of loop, and with each kind of port; no socket may be left."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    kind, few = request.param
    monkeypatch.setattr(ports, "FEW_PORTS", few)
    if kind == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    if kind == "without epoll":
        monkeypatch.delattr(select, "epoll")
    if "no files" in kind:
        factory = _Proactor

    def run(work: Coroutine[Any, Any, None]) -> None:
        before = open_sockets()
        troubles: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=factory) as runner:
            handler = lambda loop, trouble: troubles.append(trouble)  # noqa: E731
            runner.get_loop().set_exception_handler(handler)
            runner.run(asyncio.wait_for(work, 3 * LIMIT_S))
        assert open_sockets() == before and not troubles

    return run


class _Proactor(asyncio.SelectorEventLoop):
    """Watches no files for others, as the loop of Windows."""

    def add_reader(self, *args: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


class _Listener:
    """A port and what has come to it."""

    port: Port

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.origins: list[Address] = []
        self.then: Callable[[], object] = lambda: None
        """Done after each datagram."""

    @classmethod
    async def at(cls, host: str = LOCALHOST) -> _Listener:
        listener = cls()
        sock = bind_udp(host, None)
        listener.address = sock.getsockname()
        listener.port = await open_port(sock, listener._arrived)
        return listener

    address: Any

    def _arrived(self, data: bytes, address: Address) -> None:
        self.came.append(data)
        self.origins.append(address)
        self.then()

    async def hears(self, *datagrams: bytes) -> None:
        """Wait for exactly these."""
        await eventually(
            lambda: len(self.came) >= len(datagrams), f"{len(self.came)} of {len(datagrams)}"
        )
        assert self.came == list(datagrams)


async def _closed(*listeners: _Listener) -> None:
    for listener in listeners:
        listener.port.close()
        await listener.port.gone


# -- on every loop


def test_ports_send_and_receive(run: Run) -> None:
    async def work() -> None:
        for host in (LOCALHOST, "::1") if has_address("::1") else (LOCALHOST,):
            one, other = await _Listener.at(host), await _Listener.at(host)
            for data in (b"a", b"b", bytes(65_000)):
                assert one.port.sendto(data, other.address[:2])
            await other.hears(b"a", b"b", bytes(65_000))
            assert other.origins == [one.address] * 3 and one.came == []
            await _closed(one, other)

    run(work())


def test_many_ports_and_bursts_lose_nothing(run: Run) -> None:
    async def work() -> None:
        listeners = [await _Listener.at() for _ in range(100)]
        with Stranger() as stranger:
            for number in range(5):
                for listener in listeners:
                    stranger.send(listener.address, bytes([number]))
            stranger.send(listeners[0].address, *[b"more"] * 300)
            await listeners[0].hears(*map(bytes, ([0], [1], [2], [3], [4])), *[b"more"] * 300)
            for listener in listeners[1:]:
                await listener.hears(*map(bytes, ([0], [1], [2], [3], [4])))
        await _closed(*listeners)

    run(work())


def test_what_cannot_be_sent_is_told_and_harmless(run: Run) -> None:
    async def work() -> None:
        one, other = await _Listener.at(), await _Listener.at()
        assert not one.port.sendto(b"x", (LOCALHOST, 70_000))
        one.port.sendto(bytes(70_000), other.address)
        assert one.port.sendto(b"still", other.address)
        await other.hears(b"still")
        await _closed(one, other)
        assert not one.port.sendto(b"x", other.address)

    run(work())


def test_a_listener_that_fails_is_reported_and_hears_on(run: Run) -> None:
    async def work() -> None:
        troubles: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, trouble: troubles.append(trouble))
        broken, sound = await _Listener.at(), await _Listener.at()
        broken.then = lambda: 1 // 0
        with Stranger() as stranger:
            for _ in range(3):
                stranger.send(broken.address, b"x")
                stranger.send(sound.address, b"x")
            await sound.hears(b"x", b"x", b"x")
            await broken.hears(b"x", b"x", b"x")
        assert [type(t["exception"]) for t in troubles] == [ZeroDivisionError] * 3
        await _closed(broken, sound)

    run(work())


def test_what_is_closed_hears_nothing_more(run: Run) -> None:
    """Whichever of two is read first closes the other, whose datagrams are there already."""

    async def work() -> None:
        one, other, third = [await _Listener.at() for _ in range(3)]
        one.then, other.then = other.port.close, one.port.close
        with Stranger() as stranger:
            for listener in (one, other):
                stranger.send(listener.address, b"x")
            stranger.send(third.address, b"done")
            await third.hears(b"done")
        assert len(one.came) + len(other.came) == 1
        await _closed(one, other, third)

    run(work())


def test_the_last_port_can_close_itself_and_another_be_opened(run: Run) -> None:
    async def work() -> None:
        for _ in range(3):
            listener = await _Listener.at()
            listener.then = listener.port.close
            with Stranger() as stranger:
                stranger.send(listener.address, b"one", b"two")
                await listener.port.gone
            listener.port.close()
            assert listener.came == [b"one"]

    run(work())


# -- in batches


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports are read together however few there are."""
    monkeypatch.setattr(ports, "FEW_PORTS", MANY)


def _reader() -> ports._Reader:
    return ports._readers[asyncio.get_running_loop()]


def _watch() -> watching.Watch:
    watch = _reader()._watch
    assert watch is not None
    return watch


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("watching", [True, False])
@scenario()
async def test_a_flood_leaves_the_loop_its_turns(watching: bool) -> None:
    flooded = await _Listener.at()
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(flooded.came))
        if turns[-1] < 3 * MAX_BATCH:
            loop.call_soon(turn)  # and so in each turn of the loop

    loop = asyncio.get_running_loop()
    with Stranger() as stranger:
        if not watching:
            await _hurry(flooded, stranger)
        stranger.send(flooded.address, *[b""] * (3 * MAX_BATCH))
        loop.call_soon(turn)
        await eventually(lambda: len(flooded.came) == 3 * MAX_BATCH)
    began = next(number for number, came in enumerate(turns) if came)
    assert len(turns) - began < 10  # one batch right after the other
    steps = [after - before for before, after in zip(turns, turns[1:], strict=False)]
    assert turns[0] <= MAX_BATCH and max(steps) == MAX_BATCH
    await _closed(flooded)


async def _hurry(listener: _Listener, stranger: Stranger) -> None:
    """Let datagrams follow each other until the timer has taken over, and all have come."""
    listener.came.clear()
    sent = 0
    while _watch()._timer is None:
        stranger.send(listener.address, b"x")
        sent += 1
        await asyncio.sleep(0)
    await eventually(lambda: len(listener.came) == sent)
    listener.came.clear()


@pytest.mark.usefixtures("many")
@scenario()
async def test_readiness_wakes_unless_wakes_follow_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, listener = asyncio.get_running_loop(), await _Listener.at()
    with Stranger() as stranger:
        watch = _watch()
        for number in range(3 * QUICK_WAKES):  # as slow as one call
            watch._woken_at -= 1.0
            stranger.send(listener.address, b"x")
            await eventually(lambda n=number: len(listener.came) > n)
            assert watch._timer is None
        monkeypatch.setattr(watching, "PAUSE_S", 0.2)
        await _hurry(listener, stranger)
        await eventually(lambda: watch._timer is None)  # nothing has come in a pause
        stranger.send(listener.address, b"last")
        began = loop.time()
        await listener.hears(b"last")
        assert watch._timer is None and loop.time() - began < LIMIT_S
    await _closed(listener)


@pytest.mark.usefixtures("many")
@scenario()
async def test_while_the_timer_looks_datagrams_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PAUSE_S", 0.2)
    listener = await _Listener.at()
    with Stranger() as stranger:
        await _hurry(listener, stranger)
        stranger.send(listener.address, b"y", b"y")
        for _ in range(3):
            await asyncio.sleep(0)
        assert listener.came == []
        await listener.hears(b"y", b"y")
    await _closed(listener)


@pytest.mark.usefixtures("many")
@scenario()
async def test_the_last_port_can_be_closed_amid_a_flood() -> None:
    listener = await _Listener.at()
    watch = _watch()
    with Stranger() as stranger:
        await _hurry(listener, stranger)
        listener.then = lambda: len(listener.came) < MAX_BATCH or listener.port.close()
        stranger.send(listener.address, *[b"x"] * (2 * MAX_BATCH))
        await listener.port.gone
        await asyncio.sleep(0)
    assert len(listener.came) == MAX_BATCH and watch._timer is None
    fresh = await _Listener.at()
    assert fresh.port.sendto(b"x", fresh.address)
    await fresh.hears(b"x")
    await _closed(fresh)


@pytest.mark.usefixtures("many")
@scenario()
async def test_the_timer_ends_with_the_last_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PAUSE_S", 0.2)
    listener = await _Listener.at()
    reader, watch = _reader(), _watch()
    with Stranger() as stranger:
        await _hurry(listener, stranger)
    timer = watch._timer
    listener.then = listener.port.close
    await _closed(listener)
    assert timer is not None and timer.cancelled() and reader._epoll is None


@scenario()
async def test_ports_that_become_many_or_few_are_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by whoever closes or opens them because of what has arrived."""
    monkeypatch.setattr(ports, "FEW_PORTS", 3)
    listeners = [await _Listener.at() for _ in range(5)]
    assert _reader()._epoll is not None
    with Stranger() as stranger:
        listeners[4].then = lambda: [listener.port.close() for listener in listeners[2:]]
        for listener in (*listeners, listeners[0]):
            stranger.send(listener.address, b"x")
        await listeners[0].hears(b"x", b"x")
        await listeners[1].hears(b"x")
        assert _reader()._epoll is None
        listeners[2:] = [await _Listener.at() for _ in range(3)]
        for listener in listeners:
            listener.came.clear()
            stranger.send(listener.address, b"y")
        for listener in listeners:
            await listener.hears(b"y")
        assert _reader()._epoll is not None
    await _closed(*listeners)


# -- the end of the loop


@pytest.mark.parametrize(("few", "hurried"), [(FEW, False), (MANY, False), (MANY, True)])
def test_a_closed_loop_leaves_nothing_and_its_ports_can_be_closed(
    few: int, hurried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "FEW_PORTS", few)

    async def work() -> None:
        listeners.append(await _Listener.at())
        with Stranger() as stranger:
            if hurried:
                await _hurry(listeners[0], stranger)
        loops.append(weakref.ref(asyncio.get_running_loop()))

    listeners: list[_Listener] = []
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    gc.collect()
    before = open_sockets()
    asyncio.run(work())
    listeners.pop().port.close()
    gc.collect()
    assert loops[0]() is None and open_sockets() == before


@pytest.mark.parametrize("few", [FEW, MANY])
def test_ports_that_nobody_closed_go_with_their_loop(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket complains, as any does that is forgotten; nothing else is left."""
    monkeypatch.setattr(ports, "FEW_PORTS", few)

    async def work() -> None:
        listener = await _Listener.at()
        found.extend((weakref.ref(listener), weakref.ref(_reader())))

    found: list[weakref.ref[Any]] = []
    asyncio.run(work())
    with pytest.warns(ResourceWarning, match="unclosed <socket"):
        gc.collect()
    assert [each() for each in found] == [None, None]


def test_the_interpreters_own_exceptions_end_the_loop() -> None:
    def stop() -> None:
        raise SystemExit(3)

    async def work() -> None:
        listener = await _Listener.at()
        listener.then = stop
        try:
            with Stranger() as stranger:
                stranger.send(listener.address, b"x")
                await asyncio.sleep(LIMIT_S)
        finally:
            await _closed(listener)

    with pytest.raises(SystemExit):
        asyncio.run(work())


@scenario()
async def test_a_socket_that_says_what_became_of_something_sent_is_read_on() -> None:
    """As one that is told of a port which nobody listens at (ICMP)."""
    listener = await _Listener.at()

    def refused(size: int) -> NoReturn:
        listener.port.receive = receive  # type: ignore[attr-defined]
        raise ConnectionRefusedError

    receive = listener.port.receive  # type: ignore[attr-defined]
    listener.port.receive = refused  # type: ignore[attr-defined]
    with Stranger() as stranger:
        stranger.send(listener.address, b"x")
        await listener.hears(b"x")
    await _closed(listener)
