"""The vocabulary that all layers share: media, directions, identities, settings.

Settings are pydantic models, validated where a person writes them; everything that moves per
packet uses plain ints, bytes and slotted objects (see `ipconf.engine`).
"""

import enum
import secrets
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, NewType, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyAddress, ValidationError

from .errors import ConfigurationError

Ssrc = NewType("Ssrc", int)
"""A synchronisation source identifier, 32 bits, unique in an RTP session (RFC 3550 section 3)."""

AUDIO_RATE_HZ = 48_000
"""The rate of all audio inside the package; terminals and codecs convert at the edge."""
AUDIO_FRAME_SAMPLES = 960
"""Samples per channel in one tick of audio: 20 ms at `AUDIO_RATE_HZ`."""
AUDIO_FRAME_S = AUDIO_FRAME_SAMPLES / AUDIO_RATE_HZ
"""Length of one tick of audio in seconds."""
VIDEO_CLOCK_HZ = 90_000
"""RTP clock of every video payload (RFC 3551 section 5)."""


class MediaType(enum.Enum):
    """What a stream or terminal carries (MSPI: TAPIMEDIATYPE_*)."""

    AUDIO = "audio"
    VIDEO = "video"
    MULTITRACK = "multitrack"
    """A terminal with several tracks, each of a medium of its own; never that of a stream."""


class Direction(enum.Enum):
    """Which way media goes, seen from this machine (MSPI: TERMINAL_DIRECTION)."""

    CAPTURE = "capture"
    """Media originates here and is sent."""
    RENDER = "render"
    """Media arrives and is played or shown here."""
    BIDIRECTIONAL = "bidirectional"
    """A terminal that does both."""


class Cause(enum.Enum):
    """Why a stream or terminal changed (MSPI: MSP_CALL_EVENT_CAUSE)."""

    UNKNOWN = "unknown"
    BAD_DEVICE = "bad device"
    CONNECT_FAIL = "connect fail"
    LOCAL_REQUEST = "local request"
    REMOTE_REQUEST = "remote request"
    MEDIA_TIMEOUT = "media timeout"
    MEDIA_RECOVERED = "media recovered"


class CallState(enum.Enum):
    """Where a call is in its life (TAPI: CALL_STATE, as far as media needs it)."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class SdesType(enum.IntEnum):
    """SDES items (RFC 3550 section 6.5; MSPI: PARTICIPANT_TYPED_INFO is this minus one)."""

    CNAME = 1
    NAME = 2
    EMAIL = 3
    PHONE = 4
    LOC = 5
    TOOL = 6
    NOTE = 7
    PRIV = 8


class GoneReason(enum.Enum):
    """Why a source is no longer there."""

    BYE = "bye"
    """It said goodbye (RFC 3550 section 6.6), or its transport was closed by the far end."""
    TIMEOUT = "timeout"
    """Nothing was heard of it for the timeout interval, or consent to send expired."""
    CLOSED = "closed"
    """This side closed the call."""
    MERGED = "merged"
    """A person's only source turned out to be somebody else's, who is listed; no source has it."""


MAX_SDES_BYTES = 255
"""An SDES item's length field has eight bits (RFC 3550 section 6.5)."""


SDES_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
"""For `str.translate`: control characters, which have no place in an SDES item."""


def _fits_sdes(value: str) -> str:
    if value != value.translate(SDES_CONTROLS):
        raise ValueError("has control characters, as line ends and escapes are; leave them out")
    size = len(value.encode())
    if size > MAX_SDES_BYTES:
        raise ValueError(f"is {size} bytes in UTF-8; an SDES item holds {MAX_SDES_BYTES}")
    return value


def _private_fits(value: dict[str, str]) -> dict[str, str]:
    for prefix, text in value.items():
        _fits_sdes(prefix + text + "#")  # the prefix's own length takes one byte
    return value


def _is_printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("is compared, not read: give letters, digits and signs that can be seen")
    return value


SdesText = Annotated[str, AfterValidator(_fits_sdes)]


class Settings(BaseModel):
    """Base of all settings: frozen, unknown names refused, errors as `ConfigurationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as exc:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or type(self).__name__}: {e['msg']}"
                for e in exc.errors()
            )
            raise ConfigurationError(f"{type(self).__name__}: {problems}") from None

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, validated anew."""
        return type(self)(**{**dict(self), **changes})


def _new_cname() -> str:
    # RFC 7022 section 4.2: at least 96 random bits, new for each provider, base64 without secrets.
    return secrets.token_urlsafe(12)


class Identity(Settings):
    """Who we are in a conference; each field is an SDES item.

    At most 255 bytes of UTF-8 each, and no control characters.
    """

    cname: Annotated[SdesText, AfterValidator(_is_printable)] = Field(
        default_factory=_new_cname, min_length=1
    )
    name: SdesText = ""
    email: SdesText = ""
    phone: SdesText = ""
    location: SdesText = ""
    tool: SdesText = "ipconf"
    note: SdesText = ""
    private: Annotated[dict[str, str], AfterValidator(_private_fits)] = {}
    """PRIV items: value by prefix (RFC 3550 section 6.5.8)."""

    def items(self) -> dict[SdesType, str]:
        """The items that have a value, by type; PRIV items stand apart in `private`."""
        return {
            kind: text for kind, field in IDENTITY_FIELDS.items() if (text := getattr(self, field))
        }


IDENTITY_FIELDS: dict[SdesType, str] = {
    SdesType.CNAME: "cname",
    SdesType.NAME: "name",
    SdesType.EMAIL: "email",
    SdesType.PHONE: "phone",
    SdesType.LOC: "location",
    SdesType.TOOL: "tool",
    SdesType.NOTE: "note",
}
"""Which field of `Identity` holds which SDES item; PRIV has a prefix and stands apart."""


class IceServer(Settings):
    """A STUN or TURN server. None is contacted unless it stands in the settings."""

    url: str
    """"stun:host:port", "turn:host:port?transport=udp" or "turns:host:port" (RFC 7064, 7065)."""
    username: str | None = None
    credential: str | None = None


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


class CallSettings(Settings):
    """How a call connects and keeps track of people. Times are seconds, rates are bit/s."""

    transport: Literal["webrtc", "rtp"] = "webrtc"
    """ICE with DTLS-SRTP, or plain RTP over UDP to the addresses in the descriptions."""
    rtp_address: IPvAnyAddress = Field(default=IPv4Address("127.0.0.1"), validate_default=True)
    """Local address of plain RTP."""
    rtcp_mux: bool = False
    """Plain RTP: offer RTP and RTCP on one port (RFC 5761)."""
    ice_servers: tuple[IceServer, ...] = ()
    ice_addresses: tuple[IPvAnyAddress, ...] | None = None
    """Local addresses to offer, loopback included; None means every address but loopback."""
    port_range: tuple[PortNumber, PortNumber] | None = None
    """UDP ports to use, both ends included; None means any."""
    dtls_role: Literal["auto", "client", "server"] = "auto"
    """"auto" offers both and answers as server unless the offer is itself a server's."""
    bundle: bool = True
    """Offer one transport for all media (RFC 8843)."""
    connect_timeout_s: float = Field(default=30.0, gt=0)
    member_timeout_s: float | None = Field(default=None, gt=0)
    """Silence after which a person is gone; None means five RTCP intervals (RFC 3550 6.3.5)."""
    rtcp_min_interval_s: float | None = Field(default=None, gt=0)
    """Shortest average RTCP interval; None means 1 s with WebRTC (AVPF allows any, RFC 4585
    section 3.4) and 5 s with plain RTP (RFC 3550 section 6.2)."""
    session_bandwidth_bps: int = Field(default=1_000_000, gt=0)
    """Bandwidth of the session, of which RTCP takes 5 % (RFC 3550 section 6.2)."""
    audio_bitrate_bps: int = Field(default=32_000, ge=6_000, le=510_000)
    """Of Opus, the only audio codec here that has a choice."""
    video_bitrate_bps: int = Field(default=500_000, ge=50_000, le=10_000_000)
    audio_codecs: Annotated[tuple[str, ...], _known_codecs(AUDIO_CODECS)] = AUDIO_CODECS[:-1]
    """Offered and accepted, best first. L16 takes 768 kbit/s and is used only where it is named."""
    video_codecs: Annotated[tuple[str, ...], _known_codecs(VIDEO_CODECS)] = VIDEO_CODECS
    """Offered and accepted, best first."""
    max_decoded_sources: int = Field(default=32, ge=1, le=512)
    """People of one arriving stream who are decoded at the same time; of more, those who talk."""
    ptime_ms: int = Field(default=DEFAULT_PTIME_MS, ge=10, le=180, multiple_of=10)
    """Sound per packet where the far end has no wish (a=ptime) or limit (a=maxptime) of its own;
    Opus holds up to 120 ms, L16 what fits one datagram."""
    opus_stereo: bool = False
    """Ask for two channels of Opus, and send them to whoever asks for them."""
    opus_fec: bool = True
    """Ask for a coarse copy of each Opus packet in the next, and send it to whoever asks for it."""
    opus_dtx: bool = False
    """Let Opus pause in silence, and ask the far end to do so."""
    silence_suppression: bool = False
    """Send comfort noise (RFC 3389) in place of silence, with codecs that cannot pause."""
    loss_percent: float = Field(default=0.0, ge=0, le=100)
    """Datagrams dropped on purpose in this end's transport, both ways, for tests and demos."""
    loss_seed: int = 0
