"""One medium of a conference: the m-line and what stands below it (RFC 8866 section 5.14)."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from ..engine.session_config import PayloadFormat
from ..errors import ConfigurationError, NoItemError
from ..settings import Settings
from .fields import (
    Attribute,
    Bandwidth,
    Connection,
    FilledText,
    FurtherLine,
    Key,
    Token,
    Word,
    check_token,
)
from .formats import payload_formats
from .keys import AES_80, new_crypto

MAX_LINES = 1024
"""Attributes of one section, and other lines that can be any number."""
MAX_CONNECTIONS = 32
"""Of one medium; one for each layer of a layered encoding."""
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
DEFAULT_AUDIO_PORT, DEFAULT_VIDEO_PORT = 5004, 5006
"""RTP's registered port (RFC 3551 section 8), and the next pair."""
AUDIO_ATTRIBUTES = (
    ("rtpmap", "111 opus/48000/2"),
    ("rtpmap", "110 telephone-event/48000"),
    ("fmtp", "110 0-16"),
    ("rtpmap", "101 telephone-event/8000"),
    ("fmtp", "101 0-16"),
)
"""Digits go with each codec, by its clock (RFC 4733)."""
SECURE_PROTOCOLS = {"RTP/AVP": "RTP/SAVP", "RTP/AVPF": "RTP/SAVPF"}
"""Of RTP without keys the same with them (RFC 3711 section 12, RFC 5124)."""

Port = Annotated[int, Field(ge=0, le=65535)]


class Described(Settings):
    """What the session and each medium have in common."""

    bandwidths: tuple[Bandwidth, ...] = Field(default=(), max_length=MAX_LINES)
    key: Key | None = None
    attributes: tuple[Attribute, ...] = Field(default=(), max_length=MAX_LINES)
    """In their order, those included of which nothing is known here."""
    further: tuple[FurtherLine, ...] = Field(default=(), max_length=MAX_LINES)
    """Lines of unknown types, in their order; written last."""

    def has(self, name: str) -> bool:
        """Whether there is such an attribute, with a value or as a property."""
        return any(attribute.name == name for attribute in self.attributes)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of all attributes of that name, in their order; "" for properties."""
        return tuple(a.value or "" for a in self.attributes if a.name == name)

    def value(self, name: str) -> str:
        """The value of the first attribute of that name; NoItemError if there is none."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value or ""
        raise NoItemError(f"nothing says a={name[:80]} here; `has` tells whether something does")

    def with_attribute(self, name: str, value: str | None = None) -> Self:
        """A copy with one more attribute, after those that are there."""
        return self.replace(attributes=(*self.attributes, Attribute(name=name, value=value)))

    def without_attribute(self, name: str) -> Self:
        """A copy without the attributes of that name; NoItemError if there is none."""
        self.value(name)
        return self.replace(attributes=tuple(a for a in self.attributes if a.name != name))

    @property
    def bandwidth_bps(self) -> int | None:
        """The first limit whose unit is known, in bit/s; what RTCP may take is not meant."""
        limits = (b.bps for b in self.bandwidths if b.modifier not in ("RS", "RR"))
        return next((bps for bps in limits if bps is not None), None)

    @property
    def direction(self) -> str | None:
        """One of `DIRECTIONS`; None where nothing is said."""
        return next((a.name for a in self.attributes if a.name in DIRECTIONS), None)


class Media(Described):
    """One medium (MSPI: ITMedia, ITConnection)."""

    medium: Token
    """"audio", "video", "text", "application", "message" or another word."""
    port: Port
    """Where RTP goes; 0 means that the medium is not used."""
    port_count: int = Field(default=1, ge=1, le=65535)
    """How many; of RTP each has a port for RTCP after it."""
    protocol: Word = "RTP/AVP"
    """Words with slashes between them."""
    formats: tuple[Token, ...] = Field(min_length=1, max_length=256)
    """Of RTP the payload types; the first is the default, any may be used."""
    title: FilledText | None = None
    """For people (i=)."""
    connections: tuple[Connection, ...] = Field(default=(), max_length=MAX_CONNECTIONS)
    """None means that of the session."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for part in self.protocol.split("/"):
            check_token(part)
        step = 2 if self.is_rtp else 1
        if self.port and self.port + (self.port_count - 1) * step > 65535:
            raise ValueError(f"{self.port_count} ports from {self.port} on go beyond 65535")
        if len(self.connections) > 1 and not all(c.is_multicast for c in self.connections):
            raise ValueError("only multicast groups can be several")
        return self

    @classmethod
    def audio(cls, port: int = DEFAULT_AUDIO_PORT) -> Media:
        """Sound as everybody here and most others can play it: Opus, or else G.711; and digits."""
        return cls(
            medium="audio",
            port=port,
            formats=("111", "0", "110", "101"),
            attributes=tuple(Attribute(name=n, value=v) for n, v in AUDIO_ATTRIBUTES),
        )

    @classmethod
    def video(cls, port: int = DEFAULT_VIDEO_PORT) -> Media:
        """Pictures: VP8."""
        return cls(medium="video", port=port, formats=("96",)).with_attribute(
            "rtpmap", "96 VP8/90000"
        )

    def with_key(self, suite: str = AES_80) -> Self:
        """A copy that is encrypted with a new random key (RFC 4568), in place of any it had.

        Whoever has the description can hear all of it and speak as anyone. ConfigurationError for
        a suite that nobody here knows, and where the protocol is not RTP.
        """
        protocol = SECURE_PROTOCOLS.get(self.protocol, self.protocol)
        if protocol not in SECURE_PROTOCOLS.values():
            raise ConfigurationError(
                f"{self.protocol} takes no key; {', '.join(SECURE_PROTOCOLS)} do"
            )
        others = tuple(a for a in self.attributes if a.name != "crypto")
        crypto = Attribute(name="crypto", value=new_crypto(suite).to_value())
        return self.replace(protocol=protocol, key=None, attributes=(*others, crypto))

    @property
    def is_rtp(self) -> bool:
        """Whether its formats are RTP payload types."""
        return "RTP" in self.protocol.split("/")

    @property
    def payload_formats(self) -> tuple[PayloadFormat, ...]:
        """The formats, best first; those are left out that neither a=rtpmap nor RFC 3551 know."""
        return payload_formats(self.formats, self.attributes) if self.is_rtp else ()

    @property
    def rtcp_port(self) -> int:
        """Where RTCP goes: as a=rtcp says (RFC 3605), with RTP (RFC 5761), or one port above;
        0 where there is none."""
        if self.has("rtcp-mux"):
            return self.port
        number = re.match("[0-9]{1,5}(?= |$)", next(iter(self.values("rtcp")), ""))
        if number and 0 < int(number[0]) <= 65535:
            return int(number[0])
        return self.port + 1 if 0 < self.port < 65535 else 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Who alone may send to the group (a=source-filter: incl, RFC 4570); () is anybody."""
        found = []
        for value in self.values("source-filter"):
            mode, _, rest = value.strip().partition(" ")
            if mode.lower() == "incl":
                found += rest.split()[3:]
        return tuple(found)
