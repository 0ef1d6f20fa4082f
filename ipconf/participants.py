"""The people of a call: the others (`Participant`), ourselves, and the roster that knows them all.

Sessions report sources, streams report substreams and levels; the roster turns both into people
and the 13 events about them. Sans-IO: time is an argument, and the roster posts instead of calling
anybody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from .engine.activity import Activity
from .engine.participant import Participant, ParticipantStats
from .engine.person import Share, SourceEntry
from .engine.presence import Post, Presence
from .errors import NoItemError, NotSupportedError
from .events import (
    LocalSilent,
    LocalTalking,
    NewSubStream,
    SubStreamMapped,
    SubStreamRemoved,
    SubStreamUnmapped,
)
from .model import IDENTITY_FIELDS, GoneReason, Identity, SdesType

if TYPE_CHECKING:
    from .engine.reception import RemoteSource
    from .rtp_streams import Stream
    from .substreams import SubStream

__all__ = ["LocalParticipant", "Participant", "ParticipantStats", "Post", "Roster"]

MAX_PEOPLE = 512
"""People present in one call; sources of more are ignored."""
SOURCES_PER_PERSON = 4
"""The table of sources holds so many times the people: sound, picture, screen, one to spare."""


class LocalParticipant:
    """Ourselves, as the others see us (MSPI: ITLocalParticipant).

    `changed` is called after every real change, to have the new items announced.
    """

    def __init__(
        self, identity: Identity, changed: Callable[[LocalParticipant], None] | None = None
    ) -> None:
        self._identity = identity
        self._changed = changed

    def __repr__(self) -> str:
        return f"<LocalParticipant {self.identity!r} {self.name!r}>"

    @property
    def identity(self) -> str:
        """Our CNAME."""
        return self._identity.cname

    @property
    def name(self) -> str:
        """Our display name; the CNAME where none is set."""
        return self._identity.name or self._identity.cname

    @property
    def items(self) -> dict[SdesType, str]:
        """What we announce, by type, without PRIV."""
        return self._identity.items()

    @property
    def private(self) -> Mapping[str, str]:
        """The PRIV items we announce, text by prefix."""
        return MappingProxyType(self._identity.private)

    def info(self, kind: SdesType) -> str:
        """One item that we announce; `NoItemError` where none is set."""
        text = self.items.get(kind)
        if text is None:
            hint = "; PRIV items are in `private`" if kind is SdesType.PRIV else ""
            raise NoItemError(f"we announce no {kind.name}{hint}")
        return text

    def set(self, kind: SdesType, text: str) -> None:
        """Announce another text, at most 255 bytes of UTF-8 (`ConfigurationError`); "" for none.

        `NotSupportedError` for the CNAME, which is what makes our sources one person, and for
        PRIV, which `set_private` sets.
        """
        if kind is SdesType.CNAME:
            raise NotSupportedError("a CNAME holds for a provider's life: set it in its settings")
        if kind is SdesType.PRIV:
            raise NotSupportedError("a PRIV item needs a prefix: use set_private()")
        self._replace(self._identity.replace(**{IDENTITY_FIELDS[kind]: text}))

    def set_private(self, prefix: str, text: str | None) -> None:
        """Announce a PRIV item (RFC 3550 section 6.5.8), or with None no longer."""
        items = {**self._identity.private, prefix: text}
        kept = {prefix: text for prefix, text in items.items() if text is not None}
        self._replace(self._identity.replace(private=kept))

    def _replace(self, identity: Identity) -> None:
        if identity == self._identity:
            return
        self._identity = identity
        if self._changed is not None:
            self._changed(self)


class Roster:
    """The people of one call, over all its sessions; what happens to them goes to `post`.

    `mixer_of` tells which source lists a contributing source as its CSRC. Sources, streams and
    substreams are told apart as objects, because two sessions may use one SSRC. Calls about
    unknown sources and substreams are no-ops.
    """

    def __init__(
        self,
        post: Post,
        *,
        mixer_of: Callable[[RemoteSource], RemoteSource | None] = lambda source: None,
        max_people: int = MAX_PEOPLE,
    ) -> None:
        self._post = post
        self._mixer_of = mixer_of
        self._max_entries = max_people * SOURCES_PER_PERSON
        self._too_many = 0
        self._entries: dict[RemoteSource, SourceEntry] = {}
        self._shares: dict[SubStream, Share] = {}
        self._presence = Presence(post, self._mixer_entry, max_people)
        self._activity = Activity(self._presence.refresh, self._local_changed)

    @property
    def participants(self) -> tuple[Participant, ...]:
        """Everyone present, in the order of their coming."""
        return tuple(person.participant for person in self._presence.present)

    @property
    def refused(self) -> int:
        """How many sources and substreams were one too many."""
        return self._too_many + self._presence.refused

    def find(self, cname: str) -> Participant | None:
        """The person present under that CNAME."""
        person = self._presence.by_cname.get(cname)
        return person.participant if person else None

    def participant_of(self, source: RemoteSource | None) -> Participant | None:
        """Whose source that is; None while that is undecided, and once the source is gone."""
        entry = self._entries.get(source) if source is not None else None
        return entry.person.participant if entry and entry.person else None

    def may_return(self, participant: Participant) -> bool:
        """Whether a person is present, or timed out so recently that they may be recovered."""
        gone = self._presence.timed_out.get(participant.cname or "")
        return participant.present or (gone is not None and gone.participant is participant)

    def talked_at(self, source: RemoteSource) -> float:
        """When whoever has that source was last heard to talk, on any source of theirs.

        Infinity while they talk, minus infinity if they never did.
        """
        entry = self._entries.get(source)
        if entry is None:
            return -math.inf
        theirs = entry.person.entries if entry.person else (entry,)
        return max(other.talked_at for other in theirs)

    def is_enabled(self, source: RemoteSource, stream: Stream) -> bool:
        """Whether to render that source on that stream: the quick question of the media path."""
        entry = self._entries.get(source)
        return entry is None or entry.person is None or stream not in entry.person.muted

    def source_heard(self, source: RemoteSource, now: float) -> None:
        """A session found a source; one that is known already changes nothing."""
        if source in self._entries:
            return
        if len(self._entries) >= self._max_entries:
            self._too_many += 1
            return
        entry = SourceEntry(source)
        entry.shares.extend(s for s in self._shares.values() if s.source is source)
        self._entries[source] = entry
        if not self._presence.add(entry, now):
            del self._entries[source]

    def source_described(
        self, source: RemoteSource, changed: Iterable[SdesType], now: float
    ) -> None:
        """Items of a source have changed; an empty CNAME counts as none."""
        entry = self._entries.get(source)
        if entry is not None:
            self._presence.describe(entry, changed, now)

    def source_gone(self, source: RemoteSource, reason: GoneReason, text: str, now: float) -> None:
        """A source is no more; a person whose last one it was is gone with it."""
        entry = self._entries.pop(source, None)
        if entry is None:
            return
        self._activity.forget(entry)
        for share in entry.shares:
            del self._shares[share.substream]
        self._presence.remove(entry, reason, text, now)

    def source_level(self, source: RemoteSource, level: int, now: float) -> None:
        """How loud a source is, 0 (loudest) .. 127 dB below full scale (RFC 6464, RFC 6465)."""
        entry = self._entries.get(source)
        if entry is not None:
            self._activity.level(entry, level, now)

    def source_media(self, source: RemoteSource, now: float) -> None:
        """Media of a video source arrived: what makes people active who send no sound."""
        entry = self._entries.get(source)
        if entry is not None:
            self._activity.media(entry, now)

    def local_level(self, level: int, now: float) -> None:
        """How loud our own capture is, before any mute; makes LocalTalking and LocalSilent."""
        self._activity.local_level(level, now)

    def substream_added(self, substream: SubStream, now: float) -> None:
        """A substream carries `substream.source` now; call it again when that changes."""
        source, known = substream.source, self._shares.get(substream)
        if known is not None and known.source is not source:
            self.substream_removed(substream, now)
            known = None
        if known is not None or source is None:
            return
        if len(self._shares) >= self._max_entries:
            self._too_many += 1
            return
        share = self._shares[substream] = Share(substream, source)
        entry = self._entries.get(source)
        if entry is not None:
            entry.shares.append(share)
            self._presence.post_share(NewSubStream, share, entry.person, now)

    def substream_removed(self, substream: SubStream, now: float) -> None:
        """A substream is no more, or carries nobody any longer."""
        self.substream_unmapped(substream, now)
        share = self._shares.pop(substream, None)
        entry = self._entries.get(share.source) if share else None
        if share is not None and entry is not None:
            entry.shares.remove(share)
            self._presence.post_share(SubStreamRemoved, share, entry.person, now)

    def substream_mapped(self, substream: SubStream, now: float) -> None:
        """A terminal renders what the substream carries."""
        self._map(substream, True, now)

    def substream_unmapped(self, substream: SubStream, now: float) -> None:
        """No terminal renders it any longer."""
        self._map(substream, False, now)

    def stream_removed(self, stream: Stream) -> None:
        """A stream of the call is no more: the mutes on it are forgotten."""
        for person in (*self._presence.present, *self._presence.timed_out.values()):
            person.muted.discard(stream)

    def next_deadline(self) -> float:
        """When `handle_timer` is due, in seconds of the caller's clock; infinity for never."""
        return min(self._presence.next_deadline(), self._activity.next_check)

    def handle_timer(self, now: float) -> None:
        """Announce who stayed without a CNAME, notice who fell silent, forget the long gone."""
        self._presence.handle_timer(now)
        self._activity.check(now)

    def _map(self, substream: SubStream, mapped: bool, now: float) -> None:
        share = self._shares.get(substream)
        if share is None or share.mapped is mapped:
            return
        share.mapped = mapped
        entry = self._entries.get(share.source)
        kind = SubStreamMapped if mapped else SubStreamUnmapped
        self._presence.post_share(kind, share, entry.person if entry else None, now)

    def _mixer_entry(self, source: RemoteSource) -> SourceEntry | None:
        mixer = self._mixer_of(source)
        return self._entries.get(mixer) if mixer is not None else None

    def _local_changed(self, talking: bool, now: float) -> None:
        self._post(LocalTalking if talking else LocalSilent, now, None)
