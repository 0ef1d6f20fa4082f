"""The roster's records: a person, their sources, the substreams that carry them.

Only `Roster` and `Presence` write them; applications hold a `Participant`, which reads them. A
person is whoever shares a CNAME (RFC 3550 section 6.5.1), over any number of sources in any number
of sessions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..model import SdesType
from .news import NEWS_PER_SECOND
from .participant import Participant
from .reception import MAX_PRIVATE_ITEMS

if TYPE_CHECKING:
    from ..rtp_streams import Stream
    from ..streams.substreams import SubStream
    from .reception import RemoteSource
    from .speakers import TalkDetector


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
        self.shares: list[Share] = []
        self.decide_at = 0.0
        self.detector: TalkDetector | None = None
        self.flowing = False
        self.flows_since = -math.inf
        self.last_media = -math.inf

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
        self.unnamed = first.identity
        self.mixer_of = mixer_of
        self.entries: list[SourceEntry] = []
        self.items: dict[SdesType, str] = {}
        self.private: dict[str, str] = {}
        self.muted: set[Stream] = set()
        self.active = False
        self.joined_at = 0.0
        self.left_at: float | None = None
        self.told_at: deque[float] = deque(maxlen=NEWS_PER_SECOND)
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
        before = dict(self.private)
        of_others: dict[str, str] = {}
        for entry in self.entries:
            of_others.update(entry.source.private)
        for prefix in before.keys() - of_others.keys() - told.keys():
            del self.private[prefix]  # taken back by who told it
        for prefix, text in told.items():
            if prefix in self.private or len(self.private) < MAX_PRIVATE_ITEMS:
                self.private[prefix] = text
        return self.private != before

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
