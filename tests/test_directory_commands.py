"""`ipconf announce` and `ipconf listen`, within this machine."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from peers import LIMIT_S, LOCALHOST
from sdp_lab import SEMINAR

from ipconf.directory.commands import add_announce, add_listen
from ipconf.directory.heard import HeardConference
from ipconf.directory.saved import SavedDescriptions
from ipconf.sdp import ConferenceDescription, parse_description, write_description

PROGRAM = """
import argparse, sys
from ipconf.directory.commands import add_announce, add_listen
parser = argparse.ArgumentParser(prog="ipconf")
commands = parser.add_subparsers(required=True)
add_announce(commands)
add_listen(commands)
options = parser.parse_args()
sys.exit(options.run(options))
"""


@contextmanager
def command(*arguments: str, stdin: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """The program with both commands, in a process of its own, which has an end."""
    with open(stdin or os.devnull, "rb") as read:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=read, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    watchdog = threading.Timer(3 * LIMIT_S, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        watchdog.cancel()
        watchdog.join()


def run(*arguments: str) -> int:
    """The exit code of one of them, in this process."""
    parser = argparse.ArgumentParser(prog="ipconf")
    commands = parser.add_subparsers(required=True)
    add_announce(commands)
    add_listen(commands)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


def test_what_one_announces_the_other_lists(tmp_path: Path) -> None:
    name = f"Tea of {time.time()}"
    tea = ConferenceDescription.new(
        name, now=time.time(), host=LOCALHOST, group="239.255.7.7", ttl=0
    )
    file = tmp_path / "tea.sdp"
    file.write_text(write_description(tea))
    with command("listen", "--interface", LOCALHOST) as listener:
        assert listener.stdout is not None
        begun = listener.stdout.readline()
        assert f"listening on {LOCALHOST} to 224.2.127.254, 239.255.255.255" in begun
        what = f"“{name}” at 239.255.7.7 (audio 5004, video 5006)"
        lines = (line for line in listener.stdout if name in line)
        with command("announce", str(file), "--interface", LOCALHOST, "--ttl", "0") as announcer:
            assert announcer.stdout is not None
            said = announcer.stdout.readline()
            assert f"announcing {what}, on 239.255.255.255 from {LOCALHOST}" in said
            assert f"heard    {what}, by {LOCALHOST}" in next(lines)
            announcer.terminate()
            assert announcer.wait(LIMIT_S) == 0
        assert f"deleted  {what}, by {LOCALHOST}" in next(lines)
        listener.terminate()
        assert listener.wait(LIMIT_S) == 0


def test_what_is_heard_can_be_joined_from_a_file(tmp_path: Path) -> None:
    """Also what is announced for the link alone, and from the input, on an interface by its name;
    Ctrl-C ends both in good order."""
    name = f"../Tea of {time.time()}"
    tea = ConferenceDescription.new(
        name, now=time.time(), host=LOCALHOST, group="224.0.0.77", ttl=0
    )
    file, folder = tmp_path / "tea.sdp", tmp_path / "found"
    file.write_text(write_description(tea))
    with command("listen", "--interface", "lo", "--save", str(folder)) as listener:
        assert listener.stdout is not None
        assert "224.0.0.255" in listener.stdout.readline()
        lines = iter(listener.stdout)
        announce = ("announce", "-", "--interface", "lo", "--ttl", "0")
        with command(*announce, stdin=file) as announcer:
            assert any(name in line for line in lines)
            saved = Path(next(line for line in lines if " saved as " in line).split()[-1])
            assert saved.parent == folder and saved.name.startswith("Tea-of-")
            assert parse_description(saved.read_bytes()) == tea
            announcer.send_signal(signal.SIGINT)
            assert announcer.wait(LIMIT_S) == 0
        assert any("deleted" in line and name in line for line in lines)
        listener.send_signal(signal.SIGINT)
        assert "conferences are announced" in listener.stdout.read()
        assert listener.wait(LIMIT_S) == 0
    assert not saved.exists()


def test_names_of_files_are_safe_whatever_conferences_are_called(tmp_path: Path) -> None:
    saved = SavedDescriptions(tmp_path / "found")
    paths = set()
    for number, name in enumerate(("/etc/passwd", "..", "Tée & co\u202e", "A" * 900, "Tea", "Tea")):
        tea = ConferenceDescription.new(
            name, now=1e9 + number, host=LOCALHOST, group="239.255.7.7", ttl=0
        )
        heard = HeardConference(
            tea, LOCALHOST, ip_address(LOCALHOST), 7, ip_address("239.255.255.255"), 100, 0.0, 0.0
        )
        path = saved.put(heard)
        paths.add(path)
        assert path.parent == saved.directory and path.suffix == ".sdp" and len(path.name) < 90
        assert path.name.isascii() and parse_description(path.read_bytes()) == tea
        heard.description = tea.replace(name="Coffee")
        assert saved.put(heard) != path and not path.exists(), "it has another name now"
        saved.put(dataclasses.replace(heard, description=tea))
    assert len(paths) == 6 and paths == set(saved.directory.iterdir())


def test_listening_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("listen", "--interface", LOCALHOST, "--for", "0.05") == 0
    assert "conferences are announced" in capsys.readouterr().out


def test_announcing_until_it_is_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.time()
    soon = ConferenceDescription.new(
        "Tea", now=begun, host=LOCALHOST, group="239.255.7.8", ttl=0, duration_s=2
    )
    file = tmp_path / "tea.sdp"
    file.write_text(write_description(soon))
    assert run("announce", str(file), "--interface", LOCALHOST, "--ttl", "0") == 0
    assert time.time() - begun < LIMIT_S
    assert run("announce", str(file), "--interface", LOCALHOST, "--ttl", "0") == 2
    assert "'Tea' is over" in capsys.readouterr().err


def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.sdp", tmp_path / "bad.sdp"
    good.write_text(SEMINAR)
    bad.write_text("v=0\no=x\n")
    for arguments, message in (
        (("announce", str(tmp_path / "none"), "--interface", LOCALHOST), "No such file"),
        (("announce", str(bad), "--interface", LOCALHOST), "line 2, 'o=x': there are 1 words"),
        (("announce", str(good), "--interface", LOCALHOST), "'SDP Seminar' is over"),
        (("announce", str(good), "--interface", "lo"), "'SDP Seminar' is over"),
        (("announce", str(good), "--interface", "nowhere0"), "no interface 'nowhere0'"),
        (("announce", str(good), "--interface", "::1"), "is an address of IPv6, and the group is"),
        (("announce", str(good), "--interface", "192.0.2.77"), "has no such address"),
        (("listen", "--interface", "192.0.2.77"), "--interface 192.0.2.77: this machine has no"),
        (("listen", "--interface", LOCALHOST, "--save", str(good)), "no file can be made there"),
    ):
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err
    for arguments, message in (
        (("announce", str(good), "--interface", LOCALHOST, "--ttl", "256"), "give 0 to 255"),
        (("announce", str(good), "--interface", LOCALHOST, "--interval", "0"), "give 1 or more"),
        (("listen", "--for", "-1"), "--for -1: give a number of seconds above 0"),
        (("announce", str(good)), "--interface"),
    ):
        with pytest.raises(SystemExit):
            run(*arguments)
        assert message in capsys.readouterr().err
