"""The provider: its threads, what it takes from signalling, and what the package exports."""

from __future__ import annotations

import ast
import asyncio
import re
import threading
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from call_ends import Ends, loopback, provider
from peers import eventually, scenario, webrtc
from senses import AUDIO, RENDER, VIDEO
from terminal_lab import file_audio

import ipconf
from ipconf import (
    CallState,
    FileRecorder,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    MediaStreamTerminal,
    MediaType,
    workers,
)
from ipconf import errors as e
from ipconf.events import FileState, NewStream, TspData
from ipconf.tsp_data import Candidate, Connect, Description, Disconnect
from ipconf.workers import MAX_WORKERS, Workers

ROOT = Path(ipconf.__file__).parents[1]


# -- threads


class Job:
    """Work that is busy until the test lets it go."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.began.set()
        assert self.may_end.wait(10)
        return "done"


async def pool_with_work() -> tuple[Workers, list[Job], list[object]]:
    """A pool with all its threads busy and one more job that waits for one."""
    pool, results = Workers(asyncio.get_running_loop()), list[object]()
    jobs = [Job() for _ in range(MAX_WORKERS + 1)]
    for job in jobs:
        pool.submit(job, results.append)
    await eventually(lambda: all(job.began.is_set() for job in jobs[:-1]), "they are busy")
    return pool, jobs, results


@scenario()
async def test_work_comes_back_to_the_loop() -> None:
    loop, places = asyncio.get_running_loop(), list[object]()
    done: asyncio.Queue[object] = asyncio.Queue()
    pool = Workers(loop)

    def work() -> int:
        places.append(threading.current_thread())
        return 7

    def bring(result: object) -> None:
        places.append(threading.current_thread())
        done.put_nowait(result)

    pool.submit(work, bring)
    assert await done.get() == 7
    assert places[0] is not places[1] is threading.main_thread()
    pool.submit(lambda: 1 // 0, bring)
    assert isinstance(await done.get(), ZeroDivisionError)
    await pool.close()
    pool.submit(work, bring)
    assert done.empty()


@scenario()
async def test_closing_waits_for_what_runs_and_the_loop_goes_on() -> None:
    pool, jobs, results = await pool_with_work()
    closing = asyncio.create_task(pool.close())
    for _ in range(5):
        await asyncio.sleep(0)  # the loop turns, the job still runs
    assert not closing.done()
    for job in jobs:
        job.may_end.set()
    await closing
    assert not jobs[-1].began.is_set()  # what only waited was dropped
    assert results == []
    assert not [t for t in threading.enumerate() if t.name.startswith("ipconf")]


@scenario()
async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CLOSE_LIMIT_S", 0.0)
    troubles: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, t: troubles.append(t["message"]))
    pool, jobs, _ = await pool_with_work()
    await pool.close()
    assert len(troubles) == 1 and "its thread is left" in troubles[0]
    threads = [t for t in threading.enumerate() if t.name.startswith("ipconf")]
    assert len(threads) == MAX_WORKERS
    for job in jobs:
        job.may_end.set()
    await eventually(lambda: not any(t.is_alive() for t in threads), "they end by themselves")


@scenario()
async def test_a_provider_that_closes_does_not_stop_the_loop() -> None:
    job = Job()
    async with provider() as msp:
        msp.submit(job, lambda result: None)
        await eventually(job.began.is_set)
        asyncio.get_running_loop().call_soon(job.may_end.set)  # it would never come to that


# -- signalling


@scenario()
async def test_an_offer_is_answered() -> None:
    async with provider() as msp, provider() as other:
        offers, answers = msp.events(TspData), other.events(TspData)
        call = msp.create_call({AUDIO})
        msp.receive_tsp_data(call, Connect())
        offer = (await anext(offers)).data
        assert isinstance(offer, Description) and offer.type == "offer"
        theirs = other.create_call({AUDIO})
        other.receive_tsp_data(theirs, offer)
        told = await anext(answers)
        assert told.call is theirs
        assert isinstance(told.data, Description) and told.data.type == "answer"
        msp.receive_tsp_data(call, told.data)
        await asyncio.gather(call.wait_connected(), theirs.wait_connected())
        # The same call again: whoever is connected can be told more.
        msp.receive_tsp_data(call, Disconnect(reason="enough"))
        await eventually(lambda: call.state is CallState.DISCONNECTED)


@scenario()
async def test_data_for_a_call_that_is_not_here() -> None:
    async with provider() as msp, provider() as other:
        foreign, closed = other.create_call(), msp.create_call()
        await closed.close()
        for call in (foreign, closed):
            with pytest.raises(e.InvalidStreamError, match="not an open call of this provider"):
                msp.receive_tsp_data(call, Connect())
        assert foreign.state is CallState.IDLE


@scenario()
async def test_more_data_than_a_call_keeps() -> None:
    async with provider() as msp:
        call = msp.create_call()
        with pytest.raises(e.InvalidStateError, match="messages waiting"):
            for _ in range(10_000):
                msp.receive_tsp_data(call, Candidate(candidate=""))


@scenario()
async def test_a_provider_is_entered_once_and_closed_as_often_as_one_likes() -> None:
    msp = MediaServiceProvider(Identity(name="Alice"))
    async with msp:
        events = msp.events()
        call = msp.create_call()
        assert msp.calls == (call,)
        await msp.close()
        await msp.close()
        assert msp.calls == ()
        assert [type(event) async for event in events] == [NewStream] * len(call.streams)
        with pytest.raises(e.ClosedError, match="not open"):
            msp.create_call()
    with pytest.raises(e.ClosedError, match="make a new one"):
        await msp.__aenter__()


# -- signalling within a process


@scenario()
async def test_only_calls_that_were_joined_can_be_connected() -> None:
    async with loopback() as (tsp, x, y), provider() as stranger:
        one, other = tsp.providers
        pairs = [
            (stranger.create_call(), stranger.create_call()),
            (one.create_call(), other.create_call()),
            (x, tsp.pair()[1]),
        ]
        for pair in pairs:
            with pytest.raises(e.InvalidStreamError, match=r"connect what pair\(\) returns"):
                await tsp.connect(pair=pair)
        Ends(x, 440)
        await tsp.connect(pair=(y, x))  # either may be the caller
        assert x.state is y.state is CallState.CONNECTED


@scenario()
async def test_nothing_is_connected_outside_async_with() -> None:
    async with provider() as one, provider() as other:
        tsp = LoopbackTsp(one, other)
        with pytest.raises(e.ClosedError, match="inside .async with."):
            await tsp.connect()
        async with tsp:
            await tsp.connect({VIDEO})
        with pytest.raises(e.ClosedError, match="inside .async with."):
            await tsp.connect()


@scenario(limit_s=5.0)
async def test_connecting_closed_calls_fails_at_once() -> None:
    async with loopback() as (tsp, x, y):
        await y.close()
        with pytest.raises(e.ClosedError, match="is closed; make another"):
            await tsp.connect(pair=(x, y))
        assert x.state is CallState.IDLE
        used = await tsp.connect({AUDIO})
        await used[1].close()
        for pair in (used, used[::-1]):
            with pytest.raises(e.ClosedError, match="is closed; make another"):
                await tsp.connect(pair=pair)


@scenario(limit_s=5.0)
async def test_a_callee_that_is_closed_meanwhile_is_not_waited_for() -> None:
    async with loopback() as (tsp, x, y):
        connecting = asyncio.create_task(tsp.connect(pair=(x, y)))
        await eventually(lambda: x.state is CallState.CONNECTING)
        await y.close()
        with pytest.raises(e.TransportError, match="not connected"):
            await connecting


@pytest.mark.parametrize("tsp_first", [False, True], ids=["providers first", "TSP first"])
@scenario()
async def test_a_tsp_may_be_entered_before_or_after_its_providers(tsp_first: bool) -> None:
    one, other = (MediaServiceProvider(settings=webrtc()) for _ in range(2))
    tsp = LoopbackTsp(one, other)
    things = (tsp, one, other) if tsp_first else (one, other, tsp)
    async with AsyncExitStack() as stack:
        for thing in things:
            await stack.enter_async_context(thing)
        pair = await tsp.connect({AUDIO})
        assert {call.state for call in pair} == {CallState.CONNECTED}
    assert {call.state for call in pair} == {CallState.DISCONNECTED}


# -- the end


@scenario()
async def test_readers_wait_while_a_call_is_disconnected_and_end_with_it() -> None:
    async with loopback() as (tsp, x, y):
        Ends(x, 440)
        ear = MediaStreamTerminal(AUDIO, RENDER)
        y.stream(AUDIO, RENDER).select_terminal(ear)
        await tsp.connect(pair=(x, y))
        await ear.read()
        await x.disconnect()
        await eventually(lambda: y.state is CallState.DISCONNECTED)
        while ear.read_nowait() is not None:
            pass
        waiting = asyncio.create_task(ear.read())
        await tsp.connect(pair=(x, y))
        await waiting
        await y.close()
        async for _ in ear:
            pass
        with pytest.raises(e.ClosedError, match="on no stream any more"):
            await ear.read()


@scenario()
async def test_leaving_completes_the_recordings_that_the_provider_made(tmp_path: Path) -> None:
    path = tmp_path / "theirs.wav"
    async with FileRecorder(tmp_path / "ours.wav") as ours:
        async with loopback() as (tsp, x, y):
            Ends(x, 440)
            made = tsp.providers[1].terminals.create(
                "file recording", MediaType.MULTITRACK, RENDER, path=path
            )
            assert isinstance(made, FileRecorder)
            for recorder in (made, ours):
                y.stream(AUDIO, RENDER).select_terminal(recorder.audio)
            made.start()
            await tsp.connect(pair=(x, y))
            await eventually(lambda: path.exists() and path.stat().st_size > 10_000)
        assert made.closed and made.error is None and len(file_audio(path))
        assert ours.state is FileState.ACTIVE  # it can go on in another provider's call
    assert len(file_audio(ours.path))


# -- what is exported


def test_everything_public_is_exported_in_order() -> None:
    tree = ast.parse((ROOT / "ipconf" / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert ipconf.__all__ == sorted(imported | {"__version__"})
    assert all(hasattr(ipconf, name) for name in ipconf.__all__)


def _imports_of(path: Path) -> set[str]:
    """What a document or program imports from the package itself."""
    text = path.read_text(encoding="utf-8")
    groups: list[str] = re.findall(r"from ipconf import (\([^)]*\)|[^\n]*)", text)
    names = {name for group in groups for name in re.findall(r"\w+", group)}
    return names | set(re.findall(r"(?<![\w.])ipconf\.([A-Z]\w+)", text))


@pytest.mark.parametrize("folder", [".", "docs", "examples"])
def test_what_documents_and_examples_import_is_exported(folder: str) -> None:
    pages = [p for p in sorted((ROOT / folder).glob("*")) if p.suffix in (".md", ".py")]
    assert pages
    for page in pages:
        modules = {p.stem for p in (ROOT / "ipconf").iterdir()}
        assert _imports_of(page) <= {*ipconf.__all__, *modules}, page.name


@scenario()
async def test_each_stream_of_a_new_call_is_told() -> None:
    async with provider("Alice") as msp:
        with closing(msp.events(NewStream)) as news:
            call = msp.create_call({AUDIO, VIDEO})
            told = [await anext(news) for _ in call.streams]
        assert call.state is CallState.IDLE
        assert [event.stream for event in told] == list(call.streams)
        assert {event.call for event in told} == {call}
