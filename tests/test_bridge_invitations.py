"""Invitations: what a token is good for, what is wrong with others, and where the secret is."""

from __future__ import annotations

import base64
import json
import stat
import time
from pathlib import Path

import pytest

from ipconf.bridge.invitations import Invitations, load_secret, write_private
from ipconf.bridge.refusals import Refused
from ipconf.cli import main
from ipconf.errors import ConfigurationError
from ipconf.hub.people import Role

SECRET = bytes(range(32))
NOW = 1_000_000.0


def refusal(invitations: Invitations, token: str, room: str = "lobby") -> Refused:
    """Why this token is refused."""
    with pytest.raises(Refused) as caught:
        invitations.read(token, room, NOW)
    return caught.value


@pytest.mark.parametrize("role", list(Role))
def test_a_token_gives_its_role_in_its_room(role: Role) -> None:
    invitations = Invitations(SECRET)
    token = invitations.invite("lobby", role, NOW + 1)
    assert Invitations(SECRET).read(token, "lobby", NOW) is role
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_without_an_end_it_holds_for_ever() -> None:
    invitations = Invitations(SECRET)
    assert invitations.read(invitations.invite("a", Role.SPEAKER), "a", 1e12) is Role.SPEAKER


def test_all_that_is_wrong_is_refused_in_the_same_words() -> None:
    invitations = Invitations(SECRET)
    good = invitations.invite("lobby", Role.SPEAKER)
    text, _, signature = good.partition(".")
    forged = base64.urlsafe_b64encode(
        json.dumps({"room": "lobby", "role": "moderator"}).encode()
    ).decode()
    wrong = {
        "",
        ".",
        "x",
        "ä.ö",
        "\ud800.x",
        text,
        f"{text}.",
        f"{text}.{signature[:-1]}",
        f"{text}.{signature}x",
        f"{forged}.{signature}",
        f"{text}x.{signature}",
        "." * 5000,
        good + "=" * 5000,
        Invitations(bytes(32)).invite("lobby", Role.MODERATOR),
        invitations.invite("elsewhere", Role.MODERATOR),
    }
    told = {(r.status, r.code, r.text) for r in (refusal(invitations, token) for token in wrong)}
    assert len(told) == 1
    assert next(iter(told))[:2] == (403, "bad-token")


def test_who_has_an_expired_one_is_told() -> None:
    invitations = Invitations(SECRET)
    expired = refusal(invitations, invitations.invite("lobby", Role.SPEAKER, NOW))
    assert expired.code == "bad-token" and "expired" in expired.text
    elsewhere = refusal(invitations, invitations.invite("other", Role.SPEAKER, NOW))
    assert "expired" not in elsewhere.text


def test_a_short_secret_is_none() -> None:
    with pytest.raises(ConfigurationError, match="can be guessed"):
        Invitations(b"short")


# -- the secret


def test_without_a_directory_each_start_has_a_secret_of_its_own() -> None:
    assert load_secret(None) != load_secret(None)


def test_the_secret_is_kept_where_only_we_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    secret = load_secret(folder)
    assert load_secret(folder) == secret and len(secret) == 32
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["secret"]


def test_who_was_first_has_made_the_secret(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"first")
    write_private(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    write_private(tmp_path / "file", b"third", replace=True)
    assert (tmp_path / "file").read_bytes() == b"third"


def test_what_is_no_secret_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="is no secret of a bridge"):
        load_secret(tmp_path)


# -- the command


def test_the_link_that_is_printed_lets_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_secret(tmp_path)  # as the server does
    arguments = ["--role", "moderator", "--state-dir", str(tmp_path), "--hours", "1"]
    url = ["--public-url", "https://conf.example.org/"]
    assert main(["bridge", "invite", "Team", *arguments, *url]) == 0
    page, _, token = capsys.readouterr().out.strip().partition("#")
    assert page == "https://conf.example.org/team"
    invitations = Invitations(load_secret(tmp_path))
    assert invitations.read(token, "team", time.time()) is Role.MODERATOR
    with pytest.raises(Refused, match="expired"):
        invitations.read(token, "team", time.time() + 3601)


def test_links_lead_to_where_the_file_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_secret(tmp_path)
    file = tmp_path / "bridge.toml"
    file.write_text(f'state_dir = "{tmp_path}"\nport = 9000\ntls_self_signed = true\n')
    assert main(["bridge", "invite", "team", "--config", str(file)]) == 0
    assert capsys.readouterr().out.startswith("https://127.0.0.1:9000/team#")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["team"], "--state-dir is missing"),
        (["a b", "--state-dir", "."], "a room's name has"),
        (["ws", "--state-dir", "."], "is a path of the server"),
        (["team", "--state-dir", ".", "--hours", "0"], "--hours 0: give"),
        (["team", "--state-dir", ".", "--hours", "nan"], "--hours nan: give"),
        (["team", "--state-dir", ".", "--port", "0"], "leads nowhere"),
        (["team", "--state-dir", "."], "start the server with that state_dir first"),
        (["team", "--state-dir", "nowhere"], "state_dir nowhere has no secret"),
    ],
)
def test_what_is_wrong_is_told(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["bridge", "invite", *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err and told.out == "" and told.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
