"""`ipconf join`: who comes, goes and talks, with and without loopback; what cannot be joined."""

from __future__ import annotations

import signal
from argparse import Namespace
from pathlib import Path

import av
import pytest
from join_lab import main, visits
from multicast_lab import can_be_alone, conference, in_namespace
from peers import scenario

from ipconf.join.options import group_settings
from ipconf.join.run import FAREWELL
from ipconf.sdp import write_description

LO = ("--interface", "lo")


@pytest.mark.skipif(not can_be_alone(), reason="needs unshare that may make a network namespace")
def test_three_processes_in_one_group() -> None:
    """SELECTIVE sees the two others, FULL also itself, NONE nobody."""
    everybody = ["Alice", "Bob", "Carol"]
    seen = in_namespace(Path(__file__).with_name("join_lab.py"), "modes")
    assert seen["none"] == dict.fromkeys(everybody, [])
    assert seen["selective"] == {me: [n for n in everybody if n != me] for me in everybody}
    assert seen["full"] == dict.fromkeys(everybody, everybody)


@scenario(60.0)
async def test_who_comes_talks_and_goes(tmp_path: Path) -> None:
    description, recording = tmp_path / "tea.sdp", tmp_path / "heard.ogg"
    description.write_text(write_description(conference()))
    async with visits() as join:
        alice = await join(description, *LO, "--name", "Alice", "--record", str(recording))
        assert alice.lines[0].startswith("In Tea, audio at 239.255.")
        bob = await join(description, *LO, "--name", "Bob", "--send", "clip")
        await alice.says("Bob is here")
        await alice.says("Bob talks")
        await bob.says("Alice is here")
        assert await bob.end(signal.SIGINT) == (130, "")
        await alice.says(f"Bob has left: {FAREWELL}")
        carol = await join(description, *LO, "--name", "Carol", "--for", "4", "--send", "tone")
        await alice.says("Carol is here")
        assert await carol.end() == (0, "")
        await alice.says(f"Carol has left: {FAREWELL}")
        assert await alice.end(signal.SIGTERM) == (0, "")
    with av.open(str(recording)) as file:
        assert file.duration is not None and file.duration > 1_000_000


@pytest.mark.parametrize(
    ("text", "options", "code", "said"),
    [
        (None, (), 2, "No such file"),
        ("hello\n", (), 2, "tea.sdp: line 1, 'hello': a description begins with v=0"),
        ("tea", ("--name", "x" * 300), 2, "an SDES item holds 255"),
        ("tea", ("--interface", "nowhere0"), 1, "there is no interface 'nowhere0'"),
        ("tea", ("--record", "x.doc"), 1, ".doc"),
        ("secret", LO, 1, "nothing in the description of 'Tea' can be used: line 1: its protocol"),
        ("board", LO, 1, "has application, and nothing that the call is to have"),
    ],
)
def test_what_cannot_be_joined(
    text: str | None,
    options: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tea = conference()
    texts = {
        "tea": write_description(tea),
        "secret": write_description(tea.edit_media(0, protocol="RTP/SAVP")),
        "board": write_description(tea.edit_media(0, medium="application")),
    }
    path = tmp_path / "tea.sdp"
    if text is not None:
        path.write_text(texts.get(text, text))
    assert main(["join", str(path), *options]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("ipconf join: ") and said in err
    assert len(err.splitlines()) == 1


def test_which_address_is_ours() -> None:
    def ours(interface: str | None) -> tuple[str | None, str]:
        settings = group_settings(Namespace(interface=interface, ttl=0))
        return settings.multicast_interface, str(settings.rtp_address)

    assert ours("127.0.0.2") == ("127.0.0.2", "127.0.0.2")
    assert ours("lo") == ("lo", "127.0.0.1")
    assert ours(None) == (None, "127.0.0.1")


def test_options_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (("--for", "0"), ("--for", "nan"), ("--send", "noise"), ("--loopback", "half")):
        with pytest.raises(SystemExit) as exit_:
            main(["join", "tea.sdp", *options])
        assert exit_.value.code == 2
    assert "give more than 0 seconds" in capsys.readouterr().err
