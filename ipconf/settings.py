"""How a call connects, encodes and keeps track of people: `CallSettings`, and what it is made of.

Settings are pydantic models, validated where a person writes them and frozen from then on. The text
below each field is its description: `help(CallSettings)` lists all of them.
"""

import difflib
import inspect
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from .errors import ConfigurationError


class Settings(BaseModel):
    """Base of all settings: frozen, unknown names refused, errors as `ConfigurationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def __init__(self, *unnamed: Any, **values: Any) -> None:
        if unnamed:
            field = next(iter(type(self).model_fields))
            raise ConfigurationError(
                f"{type(self).__name__} takes each value by its name, as {field}=..., "
                f"not {unnamed[0]!r} alone"
            )
        try:
            super().__init__(**values)
        except ValidationError as exc:
            known = tuple(type(self).model_fields)
            problems = "; ".join(_in_words(error, known) for error in exc.errors())
            raise ConfigurationError(f"{type(self).__name__}: {problems}") from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        described = [(name, field.description) for name, field in cls.model_fields.items()]
        fields = [f"{name}: {text}" for name, text in described if text]
        cls.__doc__ = "\n\n".join([inspect.cleandoc(cls.__doc__ or ""), *fields])

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        kind = type(self).__name__
        raise ConfigurationError(f"{kind} cannot be changed: use replace({name}=...) for a copy")

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, validated anew."""
        return type(self)(**{**dict(self), **changes})


def _in_words(error: ErrorDetails, known: tuple[str, ...]) -> str:
    """What is wrong with one value, or which of the `known` names is meant by one that is not."""
    where = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}" if where else error["msg"]
    close = difflib.get_close_matches(where, known, 1)
    return f"there is no {where!r}: " + (
        f"do you mean {close[0]!r}" if close else f"choose from {', '.join(known)}"
    )


class IceServer(Settings):
    """A STUN or TURN server. None is contacted unless it stands in the settings."""

    url: str
    """"stun:host:port", "turn:host:port?transport=udp" or "turns:host:port" (RFC 7064, 7065)."""
    username: str | None = None
    """For TURN; None where the server asks for none."""
    credential: str | None = None
    """The password for TURN; None where the server asks for none."""


PortNumber = Annotated[int, Field(ge=1, le=65535)]

AUDIO_CODECS = ("opus", "G722", "PCMU", "PCMA", "L16")
"""Every audio codec there is, by its name in descriptions."""
VIDEO_CODECS = ("VP8", "H264")
"""Every video codec there is."""
DEFAULT_PTIME_MS = 20
"""Sound per packet where nobody says anything (RFC 3551 section 4.2)."""


def _known_codecs(known: tuple[str, ...]) -> AfterValidator:
    """Accepts some of these names in any order and case, each once, and spells them as here."""
    spelled = {name.lower(): name for name in known}

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name.lower() not in spelled:
                raise ValueError(f"there is no codec {name!r}; choose from {', '.join(known)}")
        chosen = tuple(spelled[name.lower()] for name in names)
        if len(set(chosen)) < max(1, len(chosen)):
            raise ValueError(f"name at least one of {', '.join(known)}, and each only once")
        return chosen

    return AfterValidator(check)


def _one_is_enough(value: object) -> object:
    return (value,) if isinstance(value, str | IPv4Address | IPv6Address | IceServer) else value


OneOrMore = BeforeValidator(_one_is_enough)
"""Accepts a single value where several can stand."""

if TYPE_CHECKING:  # what may be given
    Address = str | IPv4Address | IPv6Address
    Addresses = Sequence[Address]
    Servers = Sequence[IceServer]
    Names = Sequence[str]
else:  # what it becomes
    Address = IPvAnyAddress
    Addresses = tuple[IPvAnyAddress, ...]
    Servers = tuple[IceServer, ...]
    Names = tuple[str, ...]


def _ascends(ports: tuple[int, int] | None) -> tuple[int, int] | None:
    if ports is not None and ports[0] > ports[1]:
        raise ValueError(f"{ports[0]} to {ports[1]} has no ports: give the lower number first")
    return ports


def _one_of_each_version(addresses: Addresses) -> Addresses:
    if len({ip_address(str(address)).version for address in addresses}) < len(addresses):
        raise ValueError("give one public address of IPv4, one of IPv6, or one of each")
    return addresses


def _needs_mux(number: int | None, others: ValidationInfo) -> int | None:
    plain, mux = others.data.get("transport") == "rtp", others.data.get("rtcp_mux")
    if number is not None and plain and not mux:
        raise ValueError("a shared port takes both RTP and RTCP: set rtcp_mux=True as well")
    return number


def _keys_fit(srtp: str, others: ValidationInfo) -> str:
    if srtp == "sdes" and others.data.get("transport") == "webrtc":
        raise ValueError('keys in descriptions are for transport="rtp": WebRTC agrees on its own')
    return srtp


class CallSettings(Settings):
    """How a call connects and keeps track of people. Times are seconds, rates are bit/s."""

    transport: Literal["webrtc", "rtp"] = "webrtc"
    """ICE with DTLS-SRTP, or plain RTP over UDP to the addresses in the descriptions."""
    rtp_address: Address = Field(default=IPv4Address("127.0.0.1"), validate_default=True)
    """Local address of plain RTP."""
    rtcp_mux: bool = False
    """Plain RTP: offer RTP and RTCP on one port (RFC 5761)."""
    srtp: Annotated[Literal["none", "sdes"], AfterValidator(_keys_fit)] = "none"
    """Plain RTP: "sdes" offers keys for SRTP in the description (RFC 4568), and refuses whoever has
    none; so whoever carries descriptions must keep them secret. With "none" an offer that has keys
    is answered with one all the same, and a conference is encrypted if its description has one."""
    symmetric_rtp: bool = True
    """Plain RTP to one far end: send to where its media come from, if that is another machine than
    it described, as of a telephone behind a router that translates addresses; and take no media
    from elsewhere, once some came. A shared port cannot do so."""
    ice_servers: Annotated[Servers, OneOrMore] = ()
    """STUN and TURN servers to use; without any, only addresses of this machine are offered."""
    ice_addresses: Annotated[Addresses | None, OneOrMore] = None
    """Local addresses to offer, loopback included; None means every address but loopback."""
    public_addresses: Annotated[Addresses, OneOrMore, AfterValidator(_one_of_each_version)] = ()
    """Where the far end finds this machine, if a router in between has given it another address and
    hands on the same ports: at most one of IPv4 and one of IPv6. ICE offers it besides the local
    ones, as a STUN server would find it (RFC 8445 section 5.1.1.2); plain RTP names it alone."""
    port_range: Annotated[tuple[PortNumber, PortNumber] | None, AfterValidator(_ascends)] = None
    """UDP ports to use, 1 to 65535, both ends included; None means any."""
    shared_port: Annotated[int | None, AfterValidator(_needs_mux)] = Field(
        default=None, ge=0, le=65535
    )
    """One UDP port for all calls of a provider that have this number here, on each local address;
    0 means any free one, but for all the same, None that each has its own. It takes the place of
    `port_range`, is one to open in a firewall, and with many calls takes less work. Calls are told
    apart by the address of their far end: two at the same one, as of a far end that shares a port
    itself, are refused. Plain RTP needs `rtcp_mux` at both ends, and no address translation between
    them. For hundreds of calls let Linux grant the socket 4 MB of buffer (net.core.rmem_max)."""
    dtls_role: Literal["auto", "client", "server"] = "auto"
    """"auto" offers both and answers as server unless the offer is itself a server's."""
    bundle: bool = True
    """Offer one transport for all media (RFC 8843)."""
    connect_timeout_s: float = Field(default=30.0, gt=0)
    """How long ICE and DTLS may take, in seconds from when both descriptions are there."""
    member_timeout_s: float | None = Field(default=None, gt=0)
    """Silence after which a person is gone; None means five RTCP intervals (RFC 3550 6.3.5)."""
    rtcp_min_interval_s: float | None = Field(default=None, gt=0)
    """Shortest average RTCP interval; None means 1 s with WebRTC (AVPF allows any, RFC 4585
    section 3.4) and 5 s with plain RTP (RFC 3550 section 6.2)."""
    session_bandwidth_bps: int = Field(default=1_000_000, gt=0)
    """Bandwidth of the session, of which RTCP takes 5 % (RFC 3550 section 6.2)."""
    audio_bitrate_bps: int = Field(default=32_000, ge=6_000, le=510_000)
    """Of Opus, the only audio codec here that has a choice; 6 000 to 510 000."""
    video_bitrate_bps: int = Field(default=500_000, ge=50_000, le=10_000_000)
    """At most, 50 000 to 10 000 000; a far end that gets less through makes it lower."""
    audio_codecs: Annotated[Names, _known_codecs(AUDIO_CODECS), OneOrMore] = AUDIO_CODECS[:-1]
    """Offered and accepted, best first. L16 takes 768 kbit/s and is used only where it is named."""
    video_codecs: Annotated[Names, _known_codecs(VIDEO_CODECS), OneOrMore] = VIDEO_CODECS
    """Offered and accepted, best first."""
    video_sections: int = Field(default=1, ge=1, le=16)
    """Video that may arrive and be sent at the same time, 1 to 16: so many m-lines are offered, and
    at most so many taken of an offer. Each costs an SSRC; a conference shows one person on each."""
    video_layers: int = Field(default=1, ge=1, le=4)
    """Sizes of one picture that may arrive at the same time (simulcast, RFC 8853), 1 to 4: at most
    so many are taken of a far end's offer. Without a conference the best of them is shown."""
    max_people: int = Field(default=512, ge=2, le=20_000)
    """People that a call keeps track of, and sources in each of its RTP sessions, 2 to 20 000; more
    are ignored. Who takes part in a large multicast group sets it higher."""
    max_decoded_sources: int = Field(default=32, ge=1, le=512)
    """People of one arriving stream who are decoded at the same time, 1 to 512; of more, those who
    talk."""
    ptime_ms: int = Field(default=DEFAULT_PTIME_MS, ge=10, le=180, multiple_of=10)
    """Sound per packet, 10 to 180 ms by tens, where the far end has no wish (a=ptime) or limit
    (a=maxptime) of its own; Opus holds up to 120 ms, L16 what fits one datagram."""
    opus_stereo: bool = False
    """Ask for two channels of Opus, and send them to whoever asks for them."""
    opus_fec: bool = True
    """Ask for a coarse copy of each Opus packet in the next, and send it to whoever asks for it."""
    opus_dtx: bool = False
    """Let Opus pause in silence, and ask the far end to do so."""
    silence_suppression: bool = False
    """Send comfort noise (RFC 3389) in place of silence, with codecs that cannot pause."""
    max_packets_per_s: int = Field(default=5000, ge=100, le=1_000_000)
    """Datagrams that one transport takes; what a flood brings beyond that is dropped, counted, and
    costs next to nothing. 10 Mbit/s of video are about 1 100."""
    multicast_interface: str | None = Field(default=None, min_length=1, max_length=64)
    """Where a call that joins a conference by its description sends to its multicast groups, and
    listens: an interface by its name, as "eth0", or by an address that it has; None leaves it to
    the routes of the system."""
    multicast_ttl: int | None = Field(default=None, ge=0, le=255)
    """Routers that what is sent to a group may pass, plus one; 0 stays on this machine. None means
    what the description says, or 1."""
    dscp: int | None = Field(default=None, ge=0, le=63)
    """The mark of what is sent to a group, by which routers know what is urgent (RFC 2474); None
    means 46 (EF) for sound and 34 (AF41) for pictures, as RFC 4594 advises."""
    loss_percent: float = Field(default=0.0, ge=0, le=100)
    """Datagrams dropped on purpose in this end's transport, both ways, for tests and demos."""
    loss_seed: int = 0
    """Which of them are dropped: the same seed drops the same ones."""

    def public_address_of(self, local: str) -> str | None:
        """The one of `public_addresses` under which the far end finds this local address."""
        version = ip_address(local).version
        known = map(str, self.public_addresses)
        return next((public for public in known if ip_address(public).version == version), None)


class ConferenceSettings(Settings):
    """How many a conference takes, and how it sounds."""

    max_legs: int = Field(default=400, ge=1, le=10_000)
    """Calls and local legs at the same time; more are refused."""
    max_people_per_leg: int = Field(default=64, ge=1, le=512)
    """Of a mixer's or a multicast group's people more are not listed, nor told to the others."""
    video_sender_bps: int = Field(default=1_500_000, ge=50_000, le=50_000_000)
    """Bit/s that anybody is asked to send of pictures at most; less where viewers take less."""
    video_room_bps: int = Field(default=100_000_000, ge=100_000)
    """The same for all together."""
    max_talkers: int = Field(default=64, ge=1, le=512)
    """People mixed at the same time; of more, those who have the floor."""
