"""`ipconf join`: who comes, goes and talks, with and without loopback; what cannot be joined."""

from __future__ import annotations

import signal
from argparse import ArgumentParser, Namespace
from pathlib import Path

import av
import pytest
from join_lab import main, visits
from multicast_lab import can_be_alone, conference, in_namespace, sound_and_pictures
from peers import scenario
from transport_lab import free_ports

from ipconf.gateway.command import add_gateway
from ipconf.join.command import add_join
from ipconf.join.options import group_settings
from ipconf.join.run import FAREWELL
from ipconf.sdp import write_description
from ipconf.sdp.times import Timing

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
        assert await bob.end(signal.SIGINT) == (0, "")
        await alice.says(f"Bob has left: {FAREWELL}")
        carol = await join(description, *LO, "--name", "Carol", "--for", "4", "--send", "tone")
        await alice.says("Carol is here")
        assert await carol.end() == (0, "")
        await alice.says(f"Carol has left: {FAREWELL}")
        assert await alice.end(signal.SIGTERM) == (0, "")
    with av.open(str(recording)) as file:
        assert file.duration is not None and file.duration > 1_000_000


@scenario(60.0)
async def test_a_disk_that_is_full_is_told_and_the_visit_goes_on(tmp_path: Path) -> None:
    description, full = tmp_path / "tea.sdp", tmp_path / "heard.wav"
    description.write_text(write_description(conference()))
    full.symlink_to("/dev/full")
    async with visits() as join:
        alice = await join(description, *LO, "--name", "Alice", "--record", str(full))
        bob = await join(description, *LO, "--name", "Bob", "--send", "tone")
        await alice.until(lambda: any("No space left" in line for line in alice.lines))
        told = [line for line in alice.lines if line.startswith("Nothing is recorded any more")]
        assert len(told) == 1 and str(full) in told[0]
        await alice.lists("Bob")
        assert await bob.end(signal.SIGTERM) == (0, "")
        await alice.says(f"Bob has left: {FAREWELL}")
        assert await alice.end(signal.SIGINT) == (1, "")


@scenario(60.0)
async def test_no_file_is_left_where_nothing_was_heard(tmp_path: Path) -> None:
    description, recording = tmp_path / "tea.sdp", tmp_path / "heard.wav"
    description.write_text(write_description(conference()))
    async with visits() as join:
        alice = await join(description, *LO, "--record", str(recording), "--for", "0.5")
        assert await alice.end() == (0, "")
    assert alice.lines[-1] == f"Nothing was heard, so there is no {recording}."
    assert not recording.exists()


@scenario(60.0)
async def test_what_is_not_used_and_that_it_is_over_is_told(tmp_path: Path) -> None:
    description = tmp_path / "tea.sdp"
    tea = sound_and_pictures().replace(times=(Timing.between(1e9, 1e9 + 60),))
    description.write_text(write_description(tea.edit_media(1, formats=("31",))))
    async with visits() as join:
        alice = await join(description, *LO, "--for", "0.3")
        assert await alice.end() == (0, "")
    assert alice.lines[0].startswith("In Tea, audio at 239.255.")
    assert alice.lines[1] == "No video: no codec in common; the description has H261"
    assert alice.lines[2].startswith("The description says that it ended at 2001-09-09")
    assert len(alice.lines) == 3


@scenario(60.0)
async def test_towards_one_address_its_own_is_told(tmp_path: Path) -> None:
    description, port = tmp_path / "tea.sdp", free_ports(2)
    description.write_text(
        f"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=Tea\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=audio {port + 10} RTP/AVP 0\n"
    )
    async with visits() as join:
        ports = ("--udp-ports", f"{port}-{port + 1}")
        alice = await join(description, *LO, *ports, "--for", "0.3")
        assert await alice.end() == (0, "")
    even = port + port % 2
    sends = f"sends to 127.0.0.1:{port + 10}, listens on 127.0.0.1:{even}"
    assert alice.lines[:2] == ["In Tea, audio at one place.", f"audio {sends}"]


def test_people_hear_one_another_unless_they_say_otherwise() -> None:
    parser = ArgumentParser()
    commands = parser.add_subparsers()
    add_join(commands)
    add_gateway(commands)
    for program in ("join", "gateway"):
        assert parser.parse_args([program, "tea.sdp"]).loopback == "selective"


@pytest.mark.parametrize(
    ("text", "options", "code", "said"),
    [
        (None, (), 2, "No such file"),
        ("hello\n", (), 2, "tea.sdp: line 1, 'hello': a description begins with v=0"),
        ("tea", ("--name", "x" * 300), 2, "an SDES item holds 255"),
        ("tea", ("--name", "a\nb"), 2, "--name: has control characters"),
        ("tea", ("--ttl", "300"), 2, "--ttl 300: give at most 255"),
        ("tea", ("--interface", ""), 2, "--interface : give a name or an address"),
        ("tea", ("--interface", "nowhere0"), 2, "there is no interface 'nowhere0'"),
        ("tea", ("--interface", "192.0.2.77"), 2, "this machine has no such address"),
        (
            "tea",
            ("--interface", "::1"),
            2,
            "::1 is an address of IPv6, and the group is one of IPv4",
        ),
        ("tea", ("--udp-ports", "4000"), 2, "--udp-ports 4000: give two ports"),
        ("tea", ("--record", "x.doc"), 2, "--record x.doc: end the name in"),
        (
            "tea",
            (*LO, "--record", "/nowhere/x.wav"),
            1,
            "cannot write /nowhere/x.wav: No such file",
        ),
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
