"""Processes that are measured or put load on others, asked in lines of JSON over their pipes."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from .report import Broken

MAX_LINE_BYTES = 1 << 22
ANSWER_TIMEOUT_S = 300.0

Commands = Mapping[str, Callable[..., Awaitable[Any]]]


class Child:
    """A process of this package's module `name`; `async with` ends it."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._name = name
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", f"{__package__}.{self._name}", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        process = self._process
        assert process is not None and process.stdin is not None
        process.stdin.close()  # the child ends when its questions do
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def ask(self, command: str, **arguments: Any) -> Any:
        """What the command returns; Broken if it failed over there."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([command, arguments]).encode() + b"\n")
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            line = await process.stdout.readline()
        if not line:
            raise Broken(f"{self._name} ended while it was to {command}")
        answer = json.loads(line)
        if "error" in answer:
            raise Broken(f"{self._name} failed to {command}: {answer['error']}")
        return answer["result"]


async def connect(caller: Child, answerer: Child, count: int = 1) -> None:
    """Connect that many legs of both, one after the other, and wait until media can flow."""
    for _ in range(count):
        offer = await caller.ask("offer")
        answer = await answerer.ask("answer", sdp=offer)
        await caller.ask("accept", sdp=answer)
    await answerer.ask("connected", count=count)


def serve(make: Callable[[], Commands]) -> None:
    """The main program of a child: obey until the questions end; `--uvloop` chooses the loop."""
    if "--uvloop" in sys.argv:
        import uvloop

        uvloop.run(_serve(make))
    else:
        asyncio.run(_serve(make))


async def _serve(make: Callable[[], Commands]) -> None:
    questions = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(questions), sys.stdin
    )
    commands = make()
    while line := await questions.readline():
        name, arguments = json.loads(line)
        try:
            answer = {"result": await commands[name](**arguments)}
        except Exception as exc:
            answer = {"error": "".join(traceback.format_exception(exc))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    if "close" in commands:
        await commands["close"]()
