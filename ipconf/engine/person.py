"""The roster's records: a person, their sources, the substreams that carry them.

Only `Roster` and `Presence` write them; applications hold a `Participant`, which reads them. A
person is whoever shares a CNAME (RFC 3550 section 6.5.1), over any number of sources in any number
of sessions. There may be ten thousand, of whom few do anything: what most of them never have is a
shared empty value until they have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..model import SdesType
from .participant import Participant
from .reception import MAX_PRIVATE_ITEMS, NO_ITEMS

if TYPE_CHECKING:
    from ..rtp_streams import Stream
    from ..streams.substreams import SubStream
    from .reception import RemoteSource
    from .speakers import TalkDetector

# One each for everybody: an empty frozenset has 216 bytes, a float 24.
_NEVER = -math.inf
_NO_STREAMS: frozenset[Stream] = frozenset()


class Share:
    """A substream, the source it carries, and whether a terminal renders it."""

    __slots__ = ("mapped", "source", "substream")

    def __init__(self, substream: SubStream, source: RemoteSource) -> None:
        self.substream = substream
        self.source = source
        self.mapped = False


class SourceEntry:
    """What the roster knows of one source; `person` is None until it is decided whose it is."""

    __slots__ = (
        "decide_at",
        "detector",
        "flowing",
        "flows_since",
        "last_media",
        "person",
        "shares",
        "source",
    )

    def __init__(self, source: RemoteSource) -> None:
        self.source = source
        self.person: Person | None = None
        self.shares: tuple[Share, ...] = ()
        self.decide_at = 0.0
        self.detector: TalkDetector | None = None
        self.flowing = False
        self.flows_since = _NEVER
        self.last_media = _NEVER

    @property
    def talking(self) -> bool:
        """Whether its sound is talk now."""
        return self.detector is not None and self.detector.talking

    @property
    def talked_at(self) -> float:
        """When it was last heard to talk: infinity while it does, minus infinity for never."""
        if self.detector is None:
            return -math.inf
        return math.inf if self.detector.talking else self.detector.talked_at


class Person:
    """The roster's record of one person; `cname` is None while nobody has told it."""

    __slots__ = (
        "active",
        "cname",
        "entries",
        "items",
        "joined_at",
        "left_at",
        "mixer_of",
        "muted",
        "participant",
        "private",
        "told_at",
        "unnamed",
    )

    def __init__(
        self,
        cname: str | None,
        first: RemoteSource,
        mixer_of: Callable[[RemoteSource], SourceEntry | None],
    ) -> None:
        self.cname = cname
        self.unnamed = "" if cname else first.identity
        self.mixer_of = mixer_of
        self.entries: tuple[SourceEntry, ...] = ()
        self.items: dict[SdesType, str] = {}
        self.private: Mapping[str, str] = NO_ITEMS
        self.muted = _NO_STREAMS
        self.active = False
        self.joined_at = 0.0
        self.left_at: float | None = None
        self.told_at: tuple[float, ...] = ()  # the latest times, as `News` needs them
        self.participant = Participant(self)

    def learn(self, source: RemoteSource, kinds: Iterable[SdesType]) -> tuple[SdesType, ...]:
        """Take over items of a source (CNAME apart); returns the kinds that were news."""
        return tuple(sorted(kind for kind in set(kinds) if self._learn_one(source, kind)))

    def _learn_one(self, source: RemoteSource, kind: SdesType) -> bool:
        if kind is SdesType.CNAME:
            return False
        if kind is SdesType.PRIV:
            return self._learn_private(source.private)
        text = source.items.get(kind, "")
        if text == self.items.get(kind, ""):
            return False
        if text:
            self.items[kind] = text
        else:
            del self.items[kind]
        return True

    def _learn_private(self, told: Mapping[str, str]) -> bool:
        before = self.private
        if not before and not told:
            return False
        still_told = {prefix for entry in self.entries for prefix in entry.source.private}
        still_told.update(told)
        after = {prefix: text for prefix, text in before.items() if prefix in still_told}
        for prefix, text in told.items():
            if prefix in after or len(after) < MAX_PRIVATE_ITEMS:
                after[prefix] = text
        self.private = after
        return after != before

    def shares(self) -> Iterator[Share]:
        """The substreams this person is on."""
        for entry in self.entries:
            yield from entry.shares

    def mixes(self) -> Iterator[tuple[Stream, SourceEntry]]:
        """The streams in which somebody else mixed this person, each with who mixed it."""
        for entry in self.entries:
            mixer = self.mixer_of(entry.source) if entry.source.contributing else None
            if mixer is not None:
                for share in mixer.shares:
                    yield share.substream.stream, mixer
