"""What a bridge is told: `BridgeSettings`, read from TOML and from the command line (`options`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyAddress, model_validator

from ..errors import DescriptionError
from ..model import CallSettings, IceServer, Settings
from ..sdp import ConferenceDescription, parse_description
from .relays import TurnServer, with_passwords

RESERVED = frozenset({"healthz", "metrics", "static", "whep", "whip", "ws"})
"""First steps of paths that are no rooms."""
ROOM_NAME = re.compile(r"[a-z0-9_-]{1,64}")
ICE_URL = re.compile(r"(stun|stuns|turn|turns):[^\s/@]+")
PORTS = re.compile(r"(\d+)-(\d+)")
MAX_VIDEO_SLOTS = 14
"""A call has 16 sections of video, and two are for the guest's own camera and screen."""


def room_name(text: str) -> str:
    """A room's name as it is in links; ValueError, with a sentence, for what cannot be one."""
    name = text.lower()
    if not ROOM_NAME.fullmatch(name):
        raise ValueError("a room's name has 1 to 64 letters a to z, digits, - and _")
    if name in RESERVED:
        raise ValueError(f"{name!r} is a path of the server, and cannot be a room")
    return name


def _list(value: object) -> object:
    """A single value where several can stand; text is taken apart at its commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _ports(value: object) -> object:
    if isinstance(value, str) and (match := PORTS.fullmatch(value.strip())):
        return (int(match[1]), int(match[2]))
    if value is not None and not (isinstance(value, list | tuple) and len(value) == 2):
        raise ValueError("give two ports, as 40000-40100")
    return value


def _ascends(ports: tuple[int, int] | None) -> tuple[int, int] | None:
    if ports is not None and ports[0] > ports[1]:
        raise ValueError(f"{ports[0]} to {ports[1]} has no ports: give the lower number first")
    return ports


def _server(value: object) -> object:
    if isinstance(value, Mapping):
        return TurnServer(**value) if "secret" in value else IceServer(**value)
    return IceServer(url=value) if isinstance(value, str) else value


def _is_ice(server: IceServer | TurnServer) -> IceServer | TurnServer:
    if not ICE_URL.fullmatch(server.url):
        raise ValueError(f"{server.url!r}: give stun:host:port, turn:host:port or turns:host:port")
    if isinstance(server, TurnServer) and not server.url.startswith("turn"):
        raise ValueError(f"{server.url!r}: a secret is for TURN servers, and this is none")
    return server


def _is_url(url: str | None) -> str | None:
    """An address of a site: scheme, host and perhaps port, without a path."""
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"{url!r} is no address of a site: give https://host or http://host:port")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a path: rooms are right under the host, so leave it out")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _origin(url: str) -> str:
    _is_url(url)
    return url.rstrip("/").lower()


def _named(rooms: Mapping[str, RoomSettings]) -> dict[str, RoomSettings]:
    named = {room_name(name): settings for name, settings in rooms.items()}
    if len(named) < len(rooms):
        raise ValueError("two rooms have the same name: capitals do not count")
    return named


def _described(value: object) -> object:
    """The description in a file; ValueError, with its name and the line that is wrong."""
    if not isinstance(value, str | Path):
        return value
    try:
        return parse_description(Path(value).read_bytes())
    except OSError as exc:
        raise ValueError(f"{value} cannot be read: {exc.strerror}") from None
    except DescriptionError as exc:
        raise ValueError(f"{value}: {exc}") from None


Port = Annotated[int, Field(ge=1, le=65535)]


class RoomSettings(Settings):
    """What is different about one room, `[rooms.NAME]` in the file."""

    subject: str = Field(default="", max_length=200)
    """Shown to guests in place of the name."""
    open: bool | None = None
    """Whether guests may come in without an invitation; not given: as `open_rooms` says."""
    max_guests: int | None = Field(default=None, ge=1, le=10_000)
    """Guests at the same time; not given: as `max_guests_per_room` says."""
    record: bool = False
    """Whether the room is recorded from its first guest on; needs `recordings_dir`."""
    group: Annotated[ConferenceDescription | None, BeforeValidator(_described)] = None
    """File with the description (SDP) of a conference over multicast or plain RTP, whose members
    are in the room as well while it is there."""
    group_interface: str | None = Field(default=None, min_length=1, max_length=64)
    """Where that is: an interface, as eth0, or an address there; not given: what the routes say."""


class BridgeSettings(Settings):
    """All options of `ipconf bridge`; flags and the keys of the file have the same names."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Local address to listen on; 0.0.0.0 is every one of IPv4, and lets other machines in."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port to listen on; 0 is any free one."""
    any_port: bool = False
    """Take any free port where that one is in use."""
    public_url: Annotated[str | None, AfterValidator(_is_url)] = None
    """How guests reach the server, as https://conf.example.org; made of host and port if not given,
    which is wrong behind a reverse proxy."""
    tls_certificate: Path | None = None
    """File with the certificate and its chain, PEM; with it the server speaks HTTPS."""
    tls_key: Path | None = None
    """File with the certificate's private key, PEM."""
    tls_self_signed: bool = False
    """Make a certificate, for a network of one's own: browsers warn of it once, and then allow
    camera and microphone, which they refuse to pages over plain HTTP from other machines."""
    state_dir: Path | None = None
    """Directory for what outlives a start: the secret of invitations and the certificate that was
    made. Without one, invitations end with the server."""
    open_rooms: bool = True
    """Whether whoever knows a room's name may come in, and a room that is not there is made; else
    an invitation is needed."""
    ice_addresses: Annotated[tuple[IPvAnyAddress, ...] | None, BeforeValidator(_list)] = None
    """Local addresses for media; not given: every one but loopback, or only loopback where host is
    that."""
    udp_ports: Annotated[
        tuple[Port, Port] | None, BeforeValidator(_ports), AfterValidator(_ascends)
    ] = None
    """UDP ports for media, as "40000-40100", one for each guest at least; not given: any."""
    shared_port: int | None = Field(default=None, ge=1, le=65535)
    """One UDP port for the media of all guests, in place of `udp_ports`."""
    public_address: IPvAnyAddress | None = None
    """Address by which guests reach this machine where its own are translated (NAT 1:1), as in most
    clouds."""
    ice_servers: Annotated[
        tuple[
            Annotated[IceServer | TurnServer, BeforeValidator(_server), AfterValidator(_is_ice)],
            ...,
        ],
        BeforeValidator(_list),
    ] = ()
    """STUN and TURN servers, as turn:host:port, which guests are told as well; user name and
    password have a place in the file: `[[ice_servers]]` with url, username and credential."""
    max_rooms: int = Field(default=100, ge=1, le=10_000)
    """Rooms at the same time."""
    max_guests_per_room: int = Field(default=100, ge=1, le=10_000)
    """Guests in one room at the same time."""
    max_sessions_per_address: int = Field(default=50, ge=1, le=100_000)
    """Guests from one address (IPv6: one /64) at the same time."""
    joins_per_minute_per_address: int = Field(default=120, ge=1, le=100_000)
    """How often guests from one address may come in; so many at once, and then as many a minute."""
    max_request_bytes: int = Field(default=200_000, ge=10_000, le=10_000_000)
    """Size of a request's body."""
    origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_list)
    ] = ()
    """Further sites, as https://www.example.org, whose pages may connect; the server's own always
    may."""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_list)] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For is believed."""
    video_slots: int = Field(default=9, ge=1, le=MAX_VIDEO_SLOTS)
    """How many others a guest sees at the same time."""
    video_layers: int = Field(default=2, ge=1, le=4)
    """Sizes of a camera's picture that a guest may send at the same time (simulcast)."""
    recordings_dir: Path | None = None
    """Directory for recordings; without one nothing can be recorded."""
    empty_room_s: float = Field(default=30.0, ge=0, le=86_400)
    """Seconds after which a room that everybody left is ended."""
    resume_s: float = Field(default=30.0, ge=0, le=600)
    """Seconds for which a guest whose connection was lost keeps the seat."""
    metrics: bool = True
    """Whether GET /metrics answers (Prometheus): to this machine itself, and to whoever has
    `metrics_token`."""
    metrics_token: str | None = Field(default=None, min_length=16)
    """Bearer token with which other machines may read /metrics."""
    log_format: Literal["text", "json"] = "text"
    """Lines for people, or an object of JSON for each."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    rooms: Annotated[dict[str, RoomSettings], AfterValidator(_named)] = {}
    """Rooms with options of their own; in the file alone, as `[rooms.NAME]`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: give both")
        if self.tls_self_signed and self.tls_certificate is not None:
            raise ValueError("tls_self_signed makes a certificate: leave out tls_certificate")
        if self.shared_port is not None and self.udp_ports is not None:
            raise ValueError("shared_port takes the place of udp_ports: give one of them")
        if self.recordings_dir is None:
            for name, room in self.rooms.items():
                if room.record:
                    raise ValueError(f"room {name!r} is to be recorded: give recordings_dir")
        return self

    @property
    def tls(self) -> bool:
        """Whether the server itself speaks HTTPS."""
        return self.tls_self_signed or self.tls_certificate is not None

    def room(self, name: str) -> RoomSettings:
        """What holds for the room of that name; `open` and `max_guests` are never None."""
        room = self.rooms.get(name) or RoomSettings()
        return room.replace(
            open=self.open_rooms if room.open is None else room.open,
            max_guests=room.max_guests or self.max_guests_per_room,
        )

    def call_settings(self) -> CallSettings:
        """How the calls of guests connect, from now on: passwords for TURN do not hold for ever."""
        return CallSettings(
            ice_addresses=self.ice_addresses or self._loopback(),
            ice_servers=with_passwords(self.ice_servers),
            port_range=self.udp_ports,
            shared_port=self.shared_port,
            video_sections=self.video_slots + 2,
            video_layers=self.video_layers,
            public_addresses=() if self.public_address is None else (self.public_address,),
        )

    def _loopback(self) -> tuple[str, ...] | None:
        """Loopback where the server listens there alone: then its media are for nobody else."""
        if self.host == "localhost":
            return ("127.0.0.1",)
        try:
            return (self.host,) if ip_address(self.host).is_loopback else None
        except ValueError:  # a name
            return None
