"""`ConferenceDescription`: all that somebody needs to know to join a conference."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from ..errors import ConfigurationError
from .fields import Connection, FilledText, Origin
from .keys import AES_80
from .media import Described, Media
from .times import Timing, ntp_of

MAX_MEDIA = 64
MAX_CONTACTS = 64
"""E-mail addresses, or telephone numbers."""
MAX_TIMES = 64
MAX_GROUPS = 256
"""Addresses of all media together."""
DEFAULT_DURATION_S = 1800.0
"""A conference takes half an hour unless somebody knows better (as with Rendezvous)."""
DEFAULT_TTL = 1
"""No router: whoever wants more says so."""
NAMELESS = "-"
"""The name of a conference that has none (RFC 8866 section 5.3)."""


class ConferenceDescription(Described):
    """What SDP says of a conference (MSPI: ITConferenceBlob, ITSdp); frozen.

    `replace` and the methods that edit return a copy whose `origin.session_version` is higher by
    one, unless nothing is changed or the origin itself is given.
    """

    origin: Origin
    name: FilledText = NAMELESS
    """What people call the conference (s=)."""
    information: FilledText | None = None
    """What it is about (i=)."""
    uri: FilledText | None = None
    """Where there is more about it (u=)."""
    emails: tuple[FilledText, ...] = Field(default=(), max_length=MAX_CONTACTS)
    phones: tuple[FilledText, ...] = Field(default=(), max_length=MAX_CONTACTS)
    connection: Connection | None = None
    """Where media go that have no connection of their own."""
    times: tuple[Timing, ...] = Field(default=(Timing(),), min_length=1, max_length=MAX_TIMES)
    """When it takes place."""
    media: tuple[Media, ...] = Field(default=(), max_length=MAX_MEDIA)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.connection is not None and self.connection.count > 1:
            raise ValueError("several groups can stand below an m= line only")
        if self.connection is None:
            for number, media in enumerate(self.media, start=1):
                if media.port and not media.connections:
                    raise ValueError(f"neither the session nor medium {number} has a c= line")
        if sum(c.count for media in self.media for c in media.connections) > MAX_GROUPS:
            raise ValueError(f"all media together have more than {MAX_GROUPS} addresses")
        return self

    @classmethod
    def new(
        cls,
        name: str,
        *,
        now: float,
        host: str,
        group: str,
        username: str = "-",
        ttl: int = DEFAULT_TTL,
        media: tuple[Media, ...] | None = None,
        duration_s: float | None = DEFAULT_DURATION_S,
    ) -> Self:
        """A description with defaults, of a conference that begins now, as of `time.time()`.

        `host` is an address or the name of this machine, `group` where media go. Without `media`
        there are sound and pictures. A `duration_s` of None is a conference that is always there.
        """
        stamp = ntp_of(now)
        is_ipv4_group = _type_of(group) == "IP4" and _place(group).is_multicast
        return cls(
            origin=Origin(
                username=username,
                session_id=stamp,
                session_version=stamp,
                address=host,
                address_type=_type_of(host),
            ),
            name=name,
            connection=_place(group, ttl=ttl if is_ipv4_group else None),
            times=(Timing() if duration_s is None else Timing.between(now, now + duration_s),),
            media=(Media.audio(), Media.video()) if media is None else media,
        )

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, validated anew, and its version higher by one."""
        edited = super().replace(**changes)
        if "origin" in changes or edited == self:
            return edited
        version = self.origin.session_version + 1
        return super().replace(**changes, origin=self.origin.replace(session_version=version))

    def add_media(self, media: Media, index: int | None = None) -> Self:
        """With one medium more, at that place from 0 on, or at the end."""
        place = len(self.media) if index is None else index
        if not 0 <= place <= len(self.media):
            raise ConfigurationError(f"there is no place {place}: give 0 to {len(self.media)}")
        return self.replace(media=(*self.media[:place], media, *self.media[place:]))

    def edit_media(self, index: int, **changes: Any) -> Self:
        """With some values of a medium changed, counted from 0 on."""
        self._check(index)
        edited = self.media[index].replace(**changes)
        return self.replace(media=(*self.media[:index], edited, *self.media[index + 1 :]))

    def remove_media(self, index: int) -> Self:
        """Without the medium at that place, counted from 0 on."""
        self._check(index)
        return self.replace(media=(*self.media[:index], *self.media[index + 1 :]))

    def with_key(self, suite: str = AES_80) -> Self:
        """With a new random key for each medium of RTP, as `Media.with_key` makes it.

        ConfigurationError if there is no such medium, and for a suite that nobody here knows.
        """
        if not any(media.is_rtp for media in self.media):
            raise ConfigurationError("there is no medium of RTP here that could have a key")
        others = tuple(a for a in self.attributes if a.name != "crypto")
        encrypted = tuple(media.with_key(suite) if media.is_rtp else media for media in self.media)
        return self.replace(key=None, attributes=others, media=encrypted)

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self.media):
            raise ConfigurationError(
                f"there is no medium {index}: this description has {len(self.media)}, from 0 on"
            )

    def connections_of(self, media: Media) -> tuple[Connection, ...]:
        """Where that medium goes: as it says itself, or else as the session says."""
        if media.connections:
            return media.connections
        return (self.connection,) if self.connection is not None else ()

    def direction_of(self, media: Media) -> str:
        """Who sends, as the medium or else the session says; "sendrecv" if neither does."""
        return media.direction or self.direction or "sendrecv"

    @property
    def groups(self) -> tuple[str, ...]:
        """The multicast addresses of all media, each once, in their order."""
        used = (c for media in self.media if media.port for c in self.connections_of(media))
        listed = [*used, *((self.connection,) if self.connection is not None else ())]
        return tuple(dict.fromkeys(str(a) for c in listed if c.is_multicast for a in c.addresses))

    @property
    def is_encrypted(self) -> bool:
        """Whether it has a key: k=, or a=crypto (RFC 4568)."""
        return any(part.key is not None or part.has("crypto") for part in (self, *self.media))

    @property
    def ends_at(self) -> float | None:
        """When the last of its times is over, in seconds since 1970; None if it has no end."""
        ends = [timing.ends_at for timing in self.times]
        return None if None in ends else max(end for end in ends if end is not None)

    def is_active(self, unix_s: float) -> bool:
        """Whether it takes place at that instant, as of `time.time()`."""
        return any(timing.is_active(unix_s) for timing in self.times)


def _type_of(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


def _place(address: str, ttl: int | None = None) -> Connection:
    return Connection(address=address, address_type=_type_of(address), ttl=ttl)
