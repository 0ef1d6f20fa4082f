"""The demo that is joined from a browser: who is there, who talks, and how it ends."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from peers import eventually, scenario
from rich.console import Console

pytest.importorskip("aiohttp")

from bridge_lab import PageClient  # noqa: E402

from ipconf.demo.meeting import run  # noqa: E402

NAMES = {"Alice", "Bob", "Carol"}


@scenario()
async def test_people_talk_in_turns_and_whoever_joins_hears_and_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LINE_S", 0.8)
    console = Console(file=io.StringIO(), width=200)
    meeting = asyncio.create_task(run.play(console, 3, 9.0, tmp_path, browse=False))
    out = cast(io.StringIO, console.file)
    await eventually(lambda: "Ctrl-C" in out.getvalue() or "It lasts" in out.getvalue())
    link = re.search(r"(http://127\.0\.0\.1:\d+)/demo#(\S+)", out.getvalue())
    assert link is not None
    bridge = cast(Any, SimpleNamespace(url=link[1]))
    async with PageClient(bridge, "Me", "demo", token=link[2]) as me:
        assert me.welcome["role"] == "moderator" and me.welcome["can_record"]
        await me.call(slots=3)
        await eventually(lambda: {p["name"] for p in me.people.values()} >= NAMES)
        await eventually(lambda: all(me.slot_of(name) for name in NAMES), "all are seen")
        heard: set[str] = set()

        def all_have_talked() -> bool:
            heard.update(p["name"] for p in me.people.values() if p["talking"])
            return heard >= NAMES

        await eventually(all_have_talked, "each has had a turn")
        await me.ask("say", text="[b]hello[/b]\x1b[2J")
        await eventually(lambda: "Me: [b]hello[/b]" in out.getvalue())
        assert "\x1b" not in out.getvalue()
        assert await meeting == 0
        await eventually(lambda: "bye" in me.latest)
    assert "Me has joined." in out.getvalue() and out.getvalue().endswith("That was all.\n")


def test_it_takes_another_port_where_the_usual_one_is_taken(tmp_path: Path) -> None:
    with socket.socket() as usual:
        usual.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            usual.bind(("127.0.0.1", run.PORT))
            usual.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        command = [sys.executable, "-m", "ipconf", "demo", "--meeting", "--parties", "1"]
        command += ["--duration", "0.5", "--headless", "--record", str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Alice are in" not in ran.stdout and f":{run.PORT}/" not in ran.stdout
    assert re.search(r"http://127\.0\.0\.1:\d+/demo#", ran.stdout)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--parties", "13"], "1 to 12"), (["--duration", "-1"], "more than 0")],
)
def test_wrong_numbers_are_told(arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "ipconf", "demo", "--meeting", "--headless", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2 and sentence in ran.stderr and "Traceback" not in ran.stderr
