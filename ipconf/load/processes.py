"""Processes that are measured or put load on others, asked in lines of JSON over their pipes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

MAX_LINE_BYTES = 1 << 24
"""Hundreds of descriptions in one line."""
ANSWER_TIMEOUT_S = 300.0
EXIT_TIMEOUT_S = 10.0

Commands = Mapping[str, Callable[..., Awaitable[Any]]]


class Broken(Exception):
    """What was measured did not do its work, so the numbers mean nothing."""


class Child:
    """A process that runs a module which calls `serve`; `async with` ends it."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._arguments = arguments
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, *self._arguments,
            stdin=PIPE, stdout=PIPE, limit=MAX_LINE_BYTES,
        )  # fmt: skip
        return self

    async def __aexit__(self, *exc: object) -> None:
        process = self._process
        assert process is not None and process.stdin is not None
        process.stdin.close()  # the child ends when its questions do
        try:
            async with asyncio.timeout(EXIT_TIMEOUT_S):
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
            raise Broken(f"{self._module} ended while it was to {command}")
        answer = json.loads(line)
        if "error" in answer:
            raise Broken(f"{self._module} failed to {command}: {answer['error']}")
        return answer["result"]


def serve(make: Callable[[], Commands]) -> None:
    """The main program of a child: obey until the questions end; `--uvloop` chooses the loop."""
    with contextlib.suppress(KeyboardInterrupt):  # the parent got it, too, and says so
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
