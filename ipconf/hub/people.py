"""The people of a conference, over all its legs, and what the legs are told of them."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..engine.reception import RemoteSource
from ..model import MediaType, SdesType
from ..participants import Participant

if TYPE_CHECKING:
    from .legs import Leg


class Role(enum.Enum):
    """What somebody may do in a conference."""

    LISTENER = "listener"
    """Hear and see; who is asked to speak becomes a speaker."""
    SPEAKER = "speaker"
    """Be heard and seen as well: everybody, unless said otherwise."""
    MODERATOR = "moderator"
    """Speak, and have a say about the others."""


class Attendee:
    """A person in a conference; the object stays the same for the whole stay.

    On most legs there is one; behind a mixer or in a multicast group there are many.
    """

    def __init__(self, leg: Leg, number: int, csrc: int, at: float) -> None:
        self.identity = f"person {number}"
        """Unique in the conference, for logs and for messages."""
        self.leg = leg
        """Through which they come."""
        self.csrc = csrc
        """Names them to every other leg, in RTP and RTCP; unique in the conference."""
        self.picture_csrcs: tuple[int, ...] = ()
        """Name their cameras and screens likewise."""
        self.camera = False
        """Whether their camera is on."""
        self.screen = False
        """Whether they show a screen."""
        self.joined_at = at
        self.left_at: float | None = None
        self.items: Mapping[SdesType, str] = {}
        """What the other legs are told of them (RFC 3550 section 6.5)."""
        self.private: Mapping[str, str] = {}
        self.hand_raised_at: float | None = None
        self.talking = False

    def __repr__(self) -> str:
        return f"<Attendee {self.identity!r} {self.name!r}>"

    @property
    def name(self) -> str:
        """For display: NAME if announced, else the CNAME."""
        return self.items.get(SdesType.NAME) or self.cname

    @property
    def cname(self) -> str:
        """What makes their sources one person."""
        return self.items.get(SdesType.CNAME, "")

    @property
    def present(self) -> bool:
        """Whether they are in the conference now."""
        return self.left_at is None


def items_of(participant: Participant, name: str) -> dict[SdesType, str]:
    """What is told of a person; `name` goes before the one they announce.

    Who has no CNAME is told under a name that is as good, because without one nobody is a person.
    """
    items = {SdesType.CNAME: participant.identity, **participant.items}
    if name:
        items[SdesType.NAME] = name
    return items


def choose_csrc(sources: tuple[RemoteSource, ...], is_taken: Callable[[int], bool]) -> int:
    """The SSRC under which a person is named: their own for sound, or a random one if it is taken.

    RFC 3550 section 7.3 lets a mixer keep the identifiers; two legs may have the same ones. None is
    chosen that somebody else has somewhere: they would find their own SSRC in use.
    """
    own = sorted(sources, key=lambda s: (s.medium is not MediaType.AUDIO, s.contributing))
    for source in own:
        if not is_taken(source.ssrc):
            return source.ssrc
    while is_taken(csrc := secrets.randbits(32)) or not csrc:
        pass
    return csrc
