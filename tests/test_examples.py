"""Every example runs as it stands, without a warning, and says what it should."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
LIMIT_S = 60.0

SAYS = {
    "conference.py": [
        "Ann hears Bob and Cho",
        "Bob hears Ann and Cho",
        "Cho hears Ann and Bob",
        "Ann is muted: Bob hears Cho",
        "A robot joins: Bob hears Cho and Robot",
        "It has left: Bob hears Cho",
    ],
    "custom_terminal.py": ["metronome: beat 1", "metronome: beat 2", "metronome: beat 3"],
    "gateway.py": [
        "In the group Ann is told of Gate and Gus",
        "Over WebRTC Gus is told of Ann and Gate",
        "Each hears the other: Ann and Gus",
    ],
    "phone.py": [
        "The telephone is answered with the formats 0 101",
        "Who talks: desk@example.org",
        "In the group Ann is told of Gate desk@example.org",
    ],
    "softphone.py": [
        "Alice: call 1 was not connected: Bob is busy",
        "Bob: it rings",
        "Alice: Bob is there",
        "Alice: Alice.wav is complete: True",
        "Bob: Bob.wav is complete: True",
    ],
    "third_party_provider.py": [
        "Bob's loudness meter: -20 dBov",
        "Alice's audio capture: StreamActive",
        "Alice's audio capture: StreamInactive",
        "Alice's audio capture: StreamActive",
    ],
}
"""The lines that an example prints."""

PUBLIC = {"ipconf", "ipconf.errors", "ipconf.events", "ipconf.private_ifaces", "ipconf.tsp_data"}
"""What a program may build on, besides terminals and the base of transports."""


def _modules_of(path: Path) -> set[str]:
    """The modules of ours that a program imports."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    imported = {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    return {name for name in imported if name.partition(".")[0] == "ipconf"}


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example_is_built_on_what_is_public(name: str) -> None:
    program = EXAMPLES / name
    beyond = _modules_of(program) - PUBLIC
    assert all(m == "ipconf.transports.base" or m.startswith("ipconf.terminals") for m in beyond)
    borrowed = re.findall(r"(?<!self)\._(?!_)\w+", program.read_text(encoding="utf-8"))
    assert not borrowed, "private names of others"


def test_it_is_known_what_each_example_says() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example(name: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == SAYS[name]
