"""`ipconf join` and `ipconf gateway` as people run them: in processes of their own, on `lo` and in
one network namespace."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from multicast_lab import conference

from ipconf.gateway.command import add_gateway
from ipconf.join.command import add_join
from ipconf.sdp import write_description

LIMIT_S = 20.0


class Joined:
    """A process of one of them, and the lines that it has printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def run(cls, description: Path | str, *options: str, program: str = "join") -> Joined:
        """Start one."""
        command = [sys.executable, "-W", "error", __file__, program, str(description), *options]
        return cls(await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE))

    async def begins(self) -> None:
        """Wait until it is in the group, or has ended."""
        await self.until(lambda: self.lines or self._reading.done())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until that is so."""
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 - what others print is no event
                await asyncio.sleep(0.02)

    async def says(self, line: str) -> None:
        """Wait until it has printed that."""
        await self.until(lambda: line in self.lines or self._reading.done())
        assert line in self.lines, self.lines

    async def end(self, number: int | None = None) -> tuple[int, str]:
        """Send it a signal, if one is given: its exit code, and what it complained about."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(LIMIT_S):
            assert self.process.stderr is not None
            said = await self.process.stderr.read()
            await self._reading
            return await self.process.wait(), said.decode()

    async def kill(self) -> None:
        """End it, if it still runs."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self._reading

    @property
    def people(self) -> set[str]:
        """Who has come, under their latest names, of a gateway after their side."""
        names = set[str]()
        for line in self.lines:
            if line.endswith(" is here"):
                names.add(line.removesuffix(" is here"))
            elif " is called " in line:
                before, after = line.split(" is called ")
                side, colon, _ = before.rpartition(": ")
                names = (names - {before}) | {side + colon + after}
        return names

    async def lists(self, *people: str) -> None:
        """Wait until it has told that all of these have come."""
        await self.until(lambda: set(people) <= self.people or self._reading.done())
        assert set(people) <= self.people, self.lines


@asynccontextmanager
async def visits() -> AsyncIterator[Callable[..., Coroutine[Any, Any, Joined]]]:
    """`Joined.run`, whose processes are ended at the end, whatever happens until then."""
    running: list[Joined] = []

    async def join(*arguments: Path | str, program: str = "join") -> Joined:
        started = await Joined.run(*arguments, program=program)  # type: ignore[arg-type]
        running.append(started)
        await started.begins()
        return started

    try:
        yield join
    finally:
        for joined in running:
            await joined.kill()


async def _three(mode: str, most: int) -> dict[str, list[str]]:
    """Whom each of three in one group sees, once that are so many, and a little later."""
    with TemporaryDirectory() as folder:
        description = str(Path(folder, "tea.sdp"))
        Path(description).write_text(write_description(conference()))  # noqa: ASYNC240
        options = ("--interface", "here", "--send", "tone", "--loopback", mode)
        names = ("Alice", "Bob", "Carol")
        async with visits() as join:
            three = [await join(description, "--name", name, *options) for name in names]
            named = [visit for visit in three if most]
            await three[0].until(
                lambda: all(len(v.people & set(names)) == len(v.people) == most for v in named)
            )
            await asyncio.sleep(4.0)  # in which any first report would have come
            people = {n: sorted(visit.people) for n, visit in zip(names, three, strict=True)}
            ends = [await visit.end(15) for visit in three]
            assert ends == [(0, "")] * 3, ends
            return people


async def modes() -> object:
    """For each mode of loopback."""
    most = {"none": 0, "selective": 2, "full": 3}
    found = await asyncio.gather(*(_three(mode, count) for mode, count in most.items()))
    return dict(zip(most, found, strict=True))


SCENES: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {"modes": modes}


def main(arguments: list[str]) -> int:
    """What the command line does with these commands, or a scene."""
    if arguments[0] in SCENES:
        print(json.dumps(asyncio.run(SCENES[arguments[0]]())))
        return 0
    parser = argparse.ArgumentParser(prog="ipconf")
    commands = parser.add_subparsers(required=True)
    add_join(commands)
    add_gateway(commands)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
