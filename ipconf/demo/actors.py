"""A process of the demo: it takes orders as JSON lines, and tells what happens in the same way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable, Mapping
from typing import Any

EXIT_TIMEOUT_S = 10.0
"""For a process to complete its files."""
MAX_LINE_BYTES = 1 << 20
MAX_COMPLAINTS = 50
"""The latest lines of a process's standard error are kept."""


class Actor:
    """One process; what it writes to its standard error goes into `complaints`."""

    def __init__(self, complaints: list[str]) -> None:
        self._complaints = complaints
        self._process: Process | None = None

    async def start(self, *arguments: str) -> None:
        """Start a Python interpreter with these arguments."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments,
            stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=MAX_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for us; the actors complete their files
        )  # fmt: skip

    def order(self, order: Mapping[str, Any]) -> None:
        """Write an order; one that has ended does not read it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def listen(self, told: Callable[[dict[str, Any]], None]) -> None:
        """Hand over all that it tells, until it has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told(json.loads(line))

    async def keep_complaints(self) -> None:
        """Keep the latest that it complains of, until it has ended."""
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self._complaints.append(line.decode(errors="replace").rstrip())
            del self._complaints[:-MAX_COMPLAINTS]

    def dismiss(self) -> None:
        """The end of its input makes it leave."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()

    async def wait(self) -> None:
        """Return when it has ended."""
        if self._process is not None:
            await self._process.wait()

    async def kill(self) -> None:
        """End it, if it still runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def end_all(actors: Iterable[Actor]) -> bool:
    """Let them leave, and make those who do not; whether all did by themselves."""
    actors = tuple(actors)
    for actor in actors:
        actor.dismiss()
    try:
        async with asyncio.timeout(EXIT_TIMEOUT_S):
            for actor in actors:
                await actor.wait()
    except TimeoutError:
        for actor in actors:
            await actor.kill()
        return False
    return True


async def perform_while(
    listeners: Iterable[asyncio.Task[None]], performance: asyncio.Task[None]
) -> bool:
    """Wait for a performance, but not longer than all listen; whether it came to its end."""
    try:
        await asyncio.wait([performance, *listeners], return_when=asyncio.FIRST_COMPLETED)
        if not performance.done():
            return False
        performance.result()
        return True
    finally:
        performance.cancel()
        await asyncio.gather(performance, return_exceptions=True)
