"""What is known of a conference that others announce, and what is counted."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from ..sdp import ConferenceDescription, Origin
from .sap_announcer import SessionKey
from .scopes import Group

HeardKey = tuple[SessionKey, int]


def key_of(origin: Origin, message_hash: int) -> HeardKey:
    """What tells conferences apart: the origin, unless its maker numbers none and they all have 0;
    then the hash, which RFC 2974 section 3 counts by."""
    return origin.identity, 0 if origin.session_id else message_hash


class News(enum.Enum):
    """What became of an announced conference."""

    HEARD = "heard"
    """For the first time."""
    CHANGED = "changed"
    """There is a new edition of its description."""
    DELETED = "deleted"
    """Its announcer withdrew it."""
    EXPIRED = "expired"
    """It has not been announced for too long."""
    ENDED = "ended"
    """Its own times are over."""


@dataclass(slots=True)
class HeardConference:
    """A conference that somebody announces. Times are those of the clock of `receive`."""

    description: ConferenceDescription
    sender: str
    """The address that the packets come from."""
    source: IPv4Address | IPv6Address
    """Whose announcement it is, as the packets say."""
    message_hash: int
    group: Group
    """Where it was heard."""
    size: int
    """Bytes of a packet, or of its payload where that is longer because it came compressed."""
    first_heard: float
    last_heard: float
    times_heard: int = 1

    @property
    def key(self) -> HeardKey:
        """What all editions of its description have in common."""
        return key_of(self.description.origin, self.message_hash)


@dataclass(slots=True)
class SapCounts:
    """Packets by what became of them."""

    packets: int = 0
    repeated: int = 0
    """Known, and heard once more."""
    flooded: int = 0
    """Too many a second: not looked at, or not read."""
    unreadable: int = 0
    encrypted: int = 0
    foreign: int = 0
    """About a conference that another address announces."""
    stale: int = 0
    """Of an older edition, or of a conference that is over."""
    unknown: int = 0
    """Deletions of what is not known."""
    refused: int = 0
    """There is no room."""


@dataclass(frozen=True, slots=True)
class SapNews:
    """What happened to a conference."""

    what: News
    conference: HeardConference


@dataclass(slots=True)
class Room:
    """How much is kept."""

    entries: int = 0
    size: int = 0
    by_sender: Counter[str] = field(default_factory=Counter)
    by_group: Counter[Group] = field(default_factory=Counter)

    def account(self, heard: HeardConference, sign: int) -> None:
        self.entries += sign
        self.size += sign * heard.size
        self.by_group[heard.group] += sign
        self.by_sender[heard.sender] += sign
        if not self.by_sender[heard.sender]:
            del self.by_sender[heard.sender]
