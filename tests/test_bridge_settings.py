"""`BridgeSettings`: from flags and TOML, what is refused and how that is told, the documents."""

from __future__ import annotations

import argparse
import base64
import configparser
import hmac
import re
import shlex
import time
from collections.abc import Coroutine
from pathlib import Path

import pytest
from sdp_lab import tea

from ipconf.bridge import command
from ipconf.bridge.options import IN_FILE_ALONE, add_options, flag_of, read_settings, shown
from ipconf.bridge.server import Bridge
from ipconf.bridge.settings import BridgeSettings, RoomSettings, room_name
from ipconf.cli import main
from ipconf.errors import ConfigurationError
from ipconf.model import IceServer
from ipconf.sdp import write_description
from ipconf.transports.binding import bind_udp

ROOT = Path(__file__).parents[1]


def parsed(*arguments: str) -> BridgeSettings:
    """The settings that these arguments make."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return read_settings(parser.parse_args(arguments))


def written(folder: Path, text: str) -> str:
    """A file with this text."""
    path = folder / "bridge.toml"
    path.write_text(text)
    return str(path)


def test_without_options_all_is_as_the_model_says() -> None:
    assert parsed() == BridgeSettings()


def test_every_field_has_a_sentence_and_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bridge", "--help"])
    told = capsys.readouterr().out
    for name, field in BridgeSettings.model_fields.items():
        assert field.description and field.description.endswith("."), name
        assert (re.search(rf"{flag_of(name)}\b", told) is None) == (name in IN_FILE_ALONE), name


def test_flags_of_all_kinds() -> None:
    settings = parsed(
        *shlex.split(
            "--host 0.0.0.0 --port 0 --udp-ports 40000-40100 --no-open-rooms --log-format json "
            "--ice-servers stun:a.example:3478,turn:b.example:3478 --empty-room-s 1.5 "
            "--ice-addresses 192.0.2.1,192.0.2.2 --trusted-proxies 10.0.0.0/8,::1 "
            "--origins https://WWW.example.org/ --state-dir /var/lib/x --public-address 192.0.2.9"
        )
    )
    assert (settings.port, settings.udp_ports, settings.open_rooms) == (0, (40000, 40100), False)
    assert [server.url for server in settings.ice_servers] == [
        "stun:a.example:3478",
        "turn:b.example:3478",
    ]
    assert [str(address) for address in settings.ice_addresses or ()] == ["192.0.2.1", "192.0.2.2"]
    assert [str(each) for each in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.origins == ("https://www.example.org",)
    assert (settings.empty_room_s, settings.state_dir) == (1.5, Path("/var/lib/x"))
    calls = settings.call_settings()
    assert [str(each) for each in calls.public_addresses] == ["192.0.2.9"]
    assert (calls.port_range, calls.video_sections, calls.video_layers) == ((40000, 40100), 11, 2)


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'port = 1000\nmax_rooms = 7\n[rooms.Team]\nsubject = "The team"\n')
    settings = parsed("--config", file, "--port", "2000")
    assert (settings.port, settings.max_rooms) == (2000, 7)
    assert settings.room("team") == RoomSettings(subject="The team", open=True, max_guests=100)


def test_servers_with_passwords_stand_in_the_file(tmp_path: Path) -> None:
    text = '[[ice_servers]]\nurl = "turn:t.example:3478"\nusername = "u"\ncredential = "p"\n'
    settings = parsed("--config", written(tmp_path, text))
    server = IceServer(url="turn:t.example:3478", username="u", credential="p")
    assert settings.ice_servers == settings.call_settings().ice_servers == (server,)


def test_servers_with_a_secret_are_told_with_a_password_that_ends(tmp_path: Path) -> None:
    text = '[[ice_servers]]\nurl = "turn:t.example:3478"\nsecret = "s"\n'
    settings = parsed("--config", written(tmp_path, text))
    (server,), (other,) = (settings.call_settings().ice_servers for _ in range(2))
    assert server.url == "turn:t.example:3478" and server.username is not None
    left_s = int(server.username.partition(":")[0]) - time.time()
    assert 11 * 3600 < left_s < 13 * 3600
    signature = hmac.new(b"s", server.username.encode(), "sha1").digest()
    assert server.credential == base64.b64encode(signature).decode()
    assert other.username != server.username, "each guest has a name of their own"
    assert "'s'" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 70000", "port: Input should be less than or equal to 65535"),
        ("porte = 1", "porte: there is no such option; do you mean port?"),
        ('host = ""', "host: "),
        ("port = ", "is no TOML"),
        ("udp_ports = [5000, 4000]", "udp_ports: 5000 to 4000 has no ports"),
        ('udp_ports = "many"', "udp_ports: give two ports"),
        ("udp_ports = [5000]", "udp_ports: give two ports"),
        ('ice_servers = ["http://x"]', "give stun:host:port"),
        ('[[ice_servers]]\nurl = "stun:x:1"\nsecret = "s"', "a secret is for TURN servers"),
        ('[[ice_servers]]\nurl = "turn:x:1"\nsecrets = "s"', "there is no 'secrets'"),
        ('public_url = "conf.example.org"', "public_url: 'conf.example.org' is no address"),
        ('public_url = "https://u:p@conf.example.org"', "is no address of a site"),
        ('public_url = "https://conf.example.org/rooms"', "has a path"),
        ('origins = ["https://a.example/x"]', "has a path"),
        ('tls_key = "key.pem"', "tls_certificate and tls_key go together"),
        ("shared_port = 5000\nudp_ports = [1000, 2000]", "takes the place of udp_ports"),
        ('[rooms."a b"]', "a room's name has 1 to 64 letters"),
        ("[rooms.ws]", "'ws' is a path of the server"),
        ("[rooms.a]\n[rooms.A]", "two rooms have the same name"),
        ("[rooms.a]\nrecord = true", "is to be recorded: give recordings_dir"),
        ("[rooms.a]\ncolour = 1", "rooms.a: "),
        ("video_slots = 15", "video_slots: "),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_key_and_file(
    text: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(server: Coroutine[None, None, None]) -> None:
        server.close()
        pytest.fail("it was started")

    monkeypatch.setattr(command, "_run", start)
    file = written(tmp_path, text)
    assert main(["bridge", "--config", file]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"ipconf bridge: {file}: ") and said in told
    assert told.count("\n") == 1 and "Traceback" not in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--port many", "--port many: give a whole number"),
        ("--empty-room-s long", "--empty-room-s long: give a number"),
        ("--udp-ports 5", "--udp-ports 5: give two ports, as 40000-40100"),
        (
            "--recordings-dir /proc/x --port 0",
            "recordings_dir /proc/x: no file can be made there: ",
        ),
        ("--ice-addresses 192.0.2.1 --port 0", "give an address that this machine has"),
        ("--host 192.0.2.77 --port 0", "host: cannot bind any port on 192.0.2.77"),
        ("--max-rooms 0", "--max-rooms 0: "),
        ("--udp-ports 9-8", "--udp-ports 9-8: 9 to 8 has no ports"),
        ("--config /nowhere/x.toml", "/nowhere/x.toml: cannot be read: No such file"),
        ("--tls-certificate a.pem", "go together"),
        ("--tls-certificate /nowhere/a.pem --tls-key /nowhere/b.pem --port 0", "/nowhere/a.pem"),
        ("--state-dir /proc/none --port 0", "cannot be kept in state_dir"),
    ],
)
def test_what_is_wrong_with_a_flag_is_told_in_a_sentence(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bridge", *shlex.split(arguments)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ipconf bridge: ") and said in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("--prot 8081", "unrecognized arguments: --prot"),
        ("--port 8081 elsewhere", "unrecognized arguments: elsewhere"),
        ("--log-format xml", "argument --log-format: invalid choice: 'xml'"),
        ("invite", "the following arguments are required: ROOM"),
        ("invite lobby --rolle guest", "unrecognized arguments: --rolle guest"),
    ],
)
def test_flags_that_are_not_there_end_with_2(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bridge", *shlex.split(arguments)])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


@pytest.mark.parametrize("option", ["--shared-port {0}", "--udp-ports {0}-{0}"])
@pytest.mark.parametrize("addresses", ["", "--ice-addresses 127.0.0.1 --host 0.0.0.0"])
def test_ports_of_others_are_told_at_the_start(
    option: str,
    addresses: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Bridge, "serve", lambda *_: pytest.fail("it was started"))
    with bind_udp("127.0.0.1", None) as other:
        flags = f"{option} {addresses} --port 0".format(other.getsockname()[1])
        assert main(["bridge", *shlex.split(flags)]) == 1
    told = capsys.readouterr().err
    name = option.split()[0].strip("-").replace("-", "_")
    assert told.startswith(f"ipconf bridge: {name}: cannot bind") and told.count("\n") == 1
    assert "choose others" in told


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("localhost", ["127.0.0.1"]),
        ("0.0.0.0", None),
        ("192.0.2.1", None),
        ("conf.example.org", None),
    ],
)
def test_media_stay_where_pages_are(host: str, addresses: list[str] | None) -> None:
    offered = BridgeSettings(host=host).call_settings().ice_addresses
    assert (None if offered is None else [str(each) for each in offered]) == addresses


def test_addresses_that_are_given_hold() -> None:
    settings = BridgeSettings(ice_addresses="192.0.2.7").call_settings()
    assert [str(each) for each in settings.ice_addresses or ()] == ["192.0.2.7"]


def test_a_room_is_as_it_says_or_as_all_are() -> None:
    rooms = {"Open": RoomSettings(open=True, max_guests=3), "closed": RoomSettings(open=False)}
    settings = BridgeSettings(open_rooms=False, max_guests_per_room=9, rooms=rooms)
    told = {name: settings.room(name) for name in ("open", "closed", "other")}
    assert [room.open for room in told.values()] == [True, False, False]
    assert [room.max_guests for room in told.values()] == [3, 9, 9]


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "ä", "a/b", "..", "ws", "WHIP", "metrics"])
def test_what_cannot_be_a_room(name: str) -> None:
    with pytest.raises(ValueError, match="room"):
        room_name(name)


def test_names_of_rooms_have_no_capitals() -> None:
    assert room_name("Team-1_b") == "team-1_b"


def test_settings_are_made_by_hand_as_well() -> None:
    with pytest.raises(ConfigurationError, match="max_rooms"):
        BridgeSettings(max_rooms=0)


# -- what is delivered with it


def test_the_example_file_is_right_and_names_every_option(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "bridge.toml").read_text()
    settings = parsed("--config", str(ROOT / "deploy" / "bridge.toml"))
    assert settings.rooms
    commented = re.sub(r"^# (?=\S+ = |\[)", "", text, flags=re.MULTILINE)  # all of it switched on
    for name in BridgeSettings.model_fields.keys() | RoomSettings.model_fields.keys():
        assert re.search(rf"^(# )?(\[+)?{name}( = |\.|\])", text, re.MULTILINE), name
    group = tmp_path / "board.sdp"
    group.write_text(write_description(tea()))
    others = re.sub(r"^(tls_self_signed|udp_ports) = .*$", "", commented, flags=re.MULTILINE)
    others = others.replace("/etc/ipconf/board.sdp", str(group))
    everything = parsed("--config", written(tmp_path, others))  # but what these two exclude
    assert everything.rooms["board"].group == tea()
    assert everything.model_fields_set >= BridgeSettings.model_fields.keys() - {
        "tls_self_signed",
        "udp_ports",
    }


def test_the_unit_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "ipconf-bridge.service")
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "ipconf" and arguments[0] == "bridge"
    parser = argparse.ArgumentParser()
    add_options(parser)
    options = parser.parse_args(arguments[1:])
    assert options.config.name == "bridge.toml"
    assert unit["Service"]["Type"] == "notify"
    assert float(unit["Service"]["TimeoutStopSec"]) > 10


def test_the_table_of_options_is_that_of_the_model() -> None:
    rows = {}
    page = (ROOT / "docs" / "bridge.md").read_text()
    for line in page.partition("\n## Options\n")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"`\w+`", cells[0]) and len(cells) == 3:
            rows[cells[0].strip("`")] = cells[1:]
    assert list(rows) == list(BridgeSettings.model_fields)
    for name, field in BridgeSettings.model_fields.items():
        default = "—" if field.default in (None, (), {}) else shown(field.default)
        assert rows[name] == [default, " ".join((field.description or "").split())], name
