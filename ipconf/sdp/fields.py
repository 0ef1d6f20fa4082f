"""What single lines of a description say: origin, connection, bandwidth, key, attribute.

Each is frozen and validated when it is made (`ConfigurationError`), so that whatever exists can be
written and read again.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..settings import Settings

MAX_TEXT_CHARACTERS = 4096
"""Of one value; far more than anybody writes."""
MAX_ADDRESSES = 64
"""Consecutive groups of one c= line; layered encodings have a handful."""
MAX_NUMBER = (1 << 64) - 1
"""Session ids and versions: what others compute with has 64 bits."""
KBIT_MODIFIERS = frozenset({"CT", "AS"})
"""Bandwidth in kbit/s (RFC 8866 section 5.8)."""
BIT_MODIFIERS = frozenset({"TIAS", "RS", "RR"})
"""Bandwidth in bit/s (RFC 3890, RFC 3556)."""

_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+", re.ASCII)
"""RFC 8866 section 9: what names of attributes, media and modifiers are made of."""
_LINE_END = re.compile("[\r\n\0]")
_HOST_NAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.\-]{0,252}[0-9A-Za-z])?\.?", re.ASCII)


def _is_line(value: str) -> str:
    if _LINE_END.search(value):
        raise ValueError("has a line end or a zero in it, which would end the line")
    return value


def check_token(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"{value[:80]!r} is no single word of ASCII letters, digits and signs")
    return value


def _is_word(value: str) -> str:
    if any(sign.isspace() for sign in value):
        raise ValueError("has a blank in it, which would end the word")
    return value


Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS), AfterValidator(_is_line)]
"""Anything that fits one line."""
FilledText = Annotated[Text, Field(min_length=1)]
Token = Annotated[str, Field(max_length=256), AfterValidator(check_token)]
Word = Annotated[
    str, Field(min_length=1, max_length=256), AfterValidator(_is_line), AfterValidator(_is_word)
]
"""Anything without blanks."""
Number = Annotated[int, Field(ge=0, le=MAX_NUMBER)]


class _Place(Settings):
    """A network, the kind of an address in it, and the address."""

    network: Token = "IN"
    """The Internet, unless somebody defines another one."""
    address_type: Token = "IP4"
    """"IP4" or "IP6"; of what the address is or resolves to."""
    address: Word
    """An IP address or a host name."""

    @model_validator(mode="after")
    def _address_fits(self) -> Self:
        if "/" in self.address:
            raise ValueError("an address has no slash: ttl and count are fields of their own")
        if self.network == "IN" and self.address_type in ("IP4", "IP6"):
            address = self.ip
            if address is None:
                if not _HOST_NAME.fullmatch(self.address) or _looks_numeric(self.address):
                    raise ValueError(f"{self.address[:80]!r} is neither an address nor a host name")
            elif f"IP{address.version}" != self.address_type:
                raise ValueError(f"{self.address} is no {self.address_type} address")
        return self

    @property
    def ip(self) -> IPv4Address | IPv6Address | None:
        """The address as such; None for a host name."""
        try:
            return ip_address(self.address)
        except ValueError:
            return None


def _looks_numeric(name: str) -> bool:
    """Whether it must be an IPv4 address, a spoilt one: no top-level domain is all digits."""
    return name.rstrip(".").rpartition(".")[2].isdigit()


class Origin(_Place):
    """Who made the description, and which edition of it this is (o=, RFC 8866 section 5.2)."""

    username: Word = "-"
    """The login there; "-" if there is none."""
    session_id: Number
    """Unique in the world, with the other fields but the version; usually the time when it was
    made, in NTP's count."""
    session_version: Number
    """Higher after each change."""

    @property
    def identity(self) -> tuple[str, int, str, str, str]:
        """What stays the same in all editions of one description."""
        return (self.username, self.session_id, self.network, self.address_type, self.address)


class Connection(_Place):
    """Where media go to (c=, RFC 8866 section 5.7)."""

    ttl: int | None = Field(default=None, ge=0, le=255)
    """Routers that IPv4 multicast may pass; None where nothing is said, as with IPv6."""
    count: int = Field(default=1, ge=1, le=MAX_ADDRESSES)
    """Consecutive groups from `address` on, one for each layer of a layered encoding."""

    @model_validator(mode="after")
    def _range_fits(self) -> Self:
        address = self.ip
        if self.ttl is not None and not isinstance(address, IPv4Address):
            raise ValueError("only IPv4 addresses have a time to live")
        if self.count > 1:
            if address is None or not address.is_multicast:
                raise ValueError("only multicast groups can be several")
            if address.version == 4 and self.ttl is None:
                raise ValueError("several IPv4 groups need a time to live before their number")
            last = int(address) + self.count - 1
            if last >= 1 << address.max_prefixlen or not type(address)(last).is_multicast:
                raise ValueError(f"{self.count} groups from {address} on are more than there are")
        return self

    @property
    def is_multicast(self) -> bool:
        """Whether it is a group, or several."""
        address = self.ip
        return address is not None and address.is_multicast

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """All addresses of the range; none for a host name."""
        address = self.ip
        return () if address is None else tuple(address + number for number in range(self.count))


class Bandwidth(Settings):
    """A proposed limit (b=, RFC 8866 section 5.8)."""

    modifier: Token
    """"CT" of everything and everybody, "AS" of one sender's application, "TIAS", or another."""
    value: Number
    """In the unit of the modifier: `bps` knows it."""

    @property
    def bps(self) -> int | None:
        """In bit/s; None where the modifier does not tell the unit."""
        if self.modifier in KBIT_MODIFIERS or self.modifier.startswith("X-"):
            return self.value * 1000
        return self.value if self.modifier in BIT_MODIFIERS else None


class Key(Settings):
    """A key, or where to get one (k=): read and reported, though nobody shall write it any more
    (RFC 8866 section 5.12)."""

    method: Literal["prompt", "clear", "base64", "uri"]
    """Ask a person, the key itself as text or as base64, or an address to get it from."""
    value: Text | None = Field(default=None, repr=False)
    """None with "prompt"; not shown where the object is printed."""

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if (self.value is None) != (self.method == "prompt"):
            raise ValueError('"prompt" has no value, all other methods have one')
        return self


class Attribute(Settings):
    """An a= line: a property, or a name with a value (RFC 8866 section 5.13)."""

    name: Token
    value: Text | None = None
    """None for a property; "" after a colon that nothing follows."""

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        """All but the key of an a=crypto, which is not shown where the object is printed."""
        is_key = self.name.lower() == "crypto" and self.value is not None
        return [("name", self.name), ("value", "..." if is_key else self.value)]


class FurtherLine(Settings):
    """A line of a type that RFC 8866 does not know, kept as it is."""

    type: str = Field(pattern=r"^[A-Za-z]$")
    """Its letter."""
    value: Text

    @model_validator(mode="after")
    def _is_unknown(self) -> Self:
        if self.type in "vosiuepcbtrzkam":
            raise ValueError(f"{self.type}= lines have fields of their own")
        return self
