"""The vocabulary that all layers share: media, directions, identities; settings (`settings`).

Identities and settings are pydantic models, validated where a person writes them; everything that
moves per packet uses plain ints, bytes and slotted objects (see `ipconf.engine`).
"""

import enum
import secrets
from typing import Annotated, NewType

from pydantic import AfterValidator, Field

from .errors import ConfigurationError
from .settings import AUDIO_CODECS as AUDIO_CODECS
from .settings import DEFAULT_PTIME_MS as DEFAULT_PTIME_MS
from .settings import VIDEO_CODECS as VIDEO_CODECS
from .settings import CallSettings as CallSettings
from .settings import ConferenceSettings as ConferenceSettings
from .settings import IceServer as IceServer
from .settings import Settings as Settings

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


def name_of(thing: object) -> str:
    """What a message calls that which an application has given: its identity, if it has one."""
    return str(getattr(thing, "identity", None) or repr(thing))


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


class LoopbackMode(enum.Enum):
    """What comes back to this machine of what a call sends to a multicast group (MSPI:
    MULTICAST_LOOPBACK_MODE)."""

    NONE = "none"
    """Nothing: neither this call nor others on this machine hear it."""
    FULL = "full"
    """Everything: one hears oneself, as a participant."""
    SELECTIVE = "selective"
    """What others on this machine send and hear, but never what one sends oneself."""


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


def check_sdes_type(kind: SdesType) -> None:
    """ConfigurationError for what is no `SdesType`, such as a name of one."""
    if not isinstance(kind, SdesType):
        raise ConfigurationError(f"{kind!r} is no kind of item: give one as SdesType.EMAIL")


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


def _new_cname() -> str:
    # RFC 7022 section 4.2: at least 96 random bits, new for each provider, base64 without secrets.
    return secrets.token_urlsafe(12)


class Identity(Settings):
    """Who we are in a conference; each field is an SDES item.

    At most 255 bytes of UTF-8 each, and no control characters; "" is not announced.
    """

    cname: Annotated[SdesText, AfterValidator(_is_printable)] = Field(
        default_factory=_new_cname, min_length=1
    )
    """What makes all our sources one person (RFC 7022); random unless given."""
    name: SdesText = ""
    """For display; without one, the CNAME is shown."""
    email: SdesText = ""
    """As in mail, "ann@example.com"."""
    phone: SdesText = ""
    """With country code, "+49 30 1234"."""
    location: SdesText = ""
    """Where we are, as exactly as we like others to know."""
    tool: SdesText = "ipconf"
    """The application, perhaps with its version."""
    note: SdesText = ""
    """What we are up to, "on the phone"."""
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
