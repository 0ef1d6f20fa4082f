"""What all tests over real sockets share: a bounded loop, waiting, settings for this machine.

Tests wait for events, frames and conditions, never for time to pass.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from ipconf import CallSettings

LOCALHOST = "127.0.0.1"
LIMIT_S = 10.0
"""How long a test waits for anything before it fails."""
POLL_S = 0.01

PLAIN = CallSettings(transport="rtp", rtcp_min_interval_s=0.5)
"""Settings for plain RTP, with reports as quick as tests like them."""


def webrtc(**changes: Any) -> CallSettings:
    """Settings for WebRTC within this machine."""
    return CallSettings(ice_addresses=(LOCALHOST,), **changes)


def scenario(
    limit_s: float = 3 * LIMIT_S,
) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Make a test of a coroutine: bounded, and nothing may be left when it ends.

    Nothing is: no task, thread or socket, and no exception that only the loop has seen.
    """

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            threads, sockets = _threads(), open_sockets()
            asyncio.run(_bounded(test(*args, **kwargs), limit_s))
            _let_waiters_end()
            left = _threads() - threads  # one of an earlier test may have ended meanwhile
            assert not left, f"threads are left: {left}"
            assert open_sockets() <= sockets, "sockets are left"

        return run

    return decorate


async def _bounded(test: Coroutine[Any, Any, None], limit_s: float) -> None:
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, trouble: troubles.append(trouble))
    async with asyncio.timeout(limit_s):
        await test
    current = asyncio.current_task()
    await eventually(lambda: asyncio.all_tasks() == {current}, "no task is left", limit_s=1.0)
    assert not troubles, troubles


def _let_waiters_end() -> None:
    """asyncio's threads that waited for processes say so before they end; they do at once."""
    for thread in threading.enumerate():
        if "waitpid-" in thread.name:
            thread.join(LIMIT_S)


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def open_sockets() -> int:
    """How many sockets this process has open, where the system tells."""
    count = 0
    for entry in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count


async def eventually(
    condition: Callable[[], object], what: str = "", *, limit_s: float = LIMIT_S
) -> Any:
    """The first true value of `condition`; AssertionError with `what` if there is none in time."""
    try:
        async with asyncio.timeout(limit_s):
            while not (value := condition()):  # noqa: ASYNC110 - few of them have an event
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s:g} s: {what or condition}") from None
    return value


async def together(*work: Awaitable[object] | None) -> None:
    """Wait for all of these at once; the first failure is raised as it is."""

    async def one(task: Awaitable[object]) -> None:
        await task

    try:
        async with asyncio.TaskGroup() as tasks:
            for task in work:
                if task is not None:
                    tasks.create_task(one(task))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
