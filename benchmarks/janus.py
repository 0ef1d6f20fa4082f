"""The competitor in C: Janus with an AudioBridge room, which our legs join over plain RTP.

Each leg is a session of its own, as it is for those who use Janus; all are controlled through one
local socket. A leg's offer is turned into a request to join, what Janus says into its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from ipconf.load.processes import Broken

from .gauges import cpu_of_process
from .janus_files import ROOM, find_janus, write_files

STARTS = 10
"""The thread that is to listen ends at once if it is quicker than the one that started it (seen
with 1.1.2): then Janus ends."""
LOG_CHARACTERS = 500
START_TIMEOUT_S = 10.0
END_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 10.0
MESSAGE_BYTES = 1 << 16
POLL_S = 0.05
_ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP {number}\r\nc=IN IP4 127.0.0.1\r\na=sendrecv\r\na=rtcp-mux\r\n"
    "a=rtpmap:{number} opus/48000/2\r\na=fmtp:{number} minptime=10;useinbandfec=1\r\n"
)


class Janus:
    """A process of Janus in a folder of its own; `async with` starts and ends it."""

    ABSENT = "not installed: apt-get install janus"

    def __init__(self) -> None:
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        installed = find_janus()
        if installed is None:
            raise Broken(f"Janus is {self.ABSENT}")
        self._asked = 0
        async with contextlib.AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="janus")))
            command = write_files(installed, folder)
            stack.push_async_callback(self._end)
            for _ in range(STARTS):
                if await self._start(command, folder):
                    self._leaving = stack.pop_all()
                    return self
            log = (folder / "log").read_text(errors="replace")
            raise Broken(f"Janus did not start: {log[-LOG_CHARACTERS:]}")

    async def __aexit__(self, *exc: object) -> None:
        self._socket.close()
        await self._leaving.aclose()

    async def _end(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _start(self, command: Sequence[str], folder: Path) -> bool:
        """Start it, and connect once it listens; whether it does."""
        with (folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=log, stderr=log
            )
        for _ in range(round(START_TIMEOUT_S / POLL_S)):
            if await self._reach(folder):
                return True
            if self._process.returncode is not None:
                return False
            await asyncio.sleep(POLL_S)
        await self._end()
        return False

    async def _reach(self, folder: Path) -> bool:
        """Connect to it; whether it answers."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with contextlib.suppress(OSError, Broken):  # not yet there, or gone already
            self._socket.connect(os.fspath(folder / "api"))
            await self._ask({"janus": "ping"}, "pong")
            return True
        self._socket.close()
        return False

    async def _ask(self, request: dict[str, Any], wanted: str) -> dict[str, Any]:
        """What it answers of that kind; others are only told on the way."""
        self._asked += 1
        transaction = str(self._asked)
        loop = asyncio.get_running_loop()
        said = json.dumps({**request, "transaction": transaction}).encode()
        await loop.sock_sendall(self._socket, said)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                said = await loop.sock_recv(self._socket, MESSAGE_BYTES)
                if not said:
                    raise Broken("Janus has closed its socket")
                told = json.loads(said)
                if told["janus"] == "error" or "error" in _data(told):
                    raise Broken(f"Janus refused {request}: {told}")
                if told.get("transaction") == transaction and told["janus"] == wanted:
                    return dict(told)

    async def answer(self, offers: Sequence[str]) -> list[str]:
        """Let a leg join with each of these offers; the answers to them."""
        return [await self._join(offer) for offer in offers]

    async def _join(self, offer: str) -> str:
        media = re.search(r"^m=audio (\d+) RTP/AVP (\d+)", offer, re.MULTILINE)
        if media is None:
            raise Broken(f"this is no offer of plain RTP: {offer}")
        port, number = map(int, media.groups())
        session = (await self._ask({"janus": "create"}, "success"))["data"]["id"]
        plugin = {"session_id": session, "plugin": "janus.plugin.audiobridge"}
        handle = (await self._ask({"janus": "attach", **plugin}, "success"))["data"]["id"]
        rtp = {"ip": "127.0.0.1", "port": port, "payload_type": number}
        body = {"request": "join", "room": ROOM, "rtp": rtp}
        message = {"session_id": session, "handle_id": handle, "body": body}
        joined = _data(await self._ask({"janus": "message", **message}, "event"))
        return _ANSWER.format(port=joined["rtp"]["port"], number=number)

    async def connected(self) -> None:
        """There is nothing to wait for."""

    async def measure(self, seconds: float) -> dict[str, float]:
        """CPU seconds of all its threads in that time, and seconds that passed."""
        assert self._process is not None
        loop, number = asyncio.get_running_loop(), self._process.pid
        began, cpu = loop.time(), cpu_of_process(number)
        await asyncio.sleep(seconds)
        used = cpu_of_process(number) - cpu
        return {"cpu": used, "seconds": loop.time() - began, "skipped": 0}


def janus_version() -> str:
    """The number of the release, "absent" without it."""
    installed = find_janus()
    if installed is None:
        return "absent"
    said = subprocess.run(
        [installed.program, "--help"], capture_output=True, text=True, check=False
    )
    found = re.search(r"version: \d+ \(([\d.]+)", said.stdout + said.stderr)
    return found[1] if found else "unknown"


def _data(told: dict[str, Any]) -> dict[str, Any]:
    """What the plugin says in a message."""
    return dict(told.get("plugindata", {}).get("data", {}))
