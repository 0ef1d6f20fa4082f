"""The people of a call: the others (`Participant`), ourselves, and the roster that knows them all.

Sessions report sources, streams report substreams and levels; the roster turns both into people
and the 13 events about them. Sans-IO: time is an argument, and the roster posts instead of calling
anybody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .engine.activity import Activity
from .engine.local_participant import LocalParticipant
from .engine.participant import Participant, ParticipantStats
from .engine.person import Share, SourceEntry
from .engine.presence import CNAME_GRACE_S, Post, Presence
from .events import (
    LocalSilent,
    LocalTalking,
    NewSubStream,
    SubStreamMapped,
    SubStreamRemoved,
    SubStreamUnmapped,
)
from .model import GoneReason, SdesType

if TYPE_CHECKING:
    from .engine.reception import RemoteSource
    from .rtp_streams import Stream
    from .streams.substreams import SubStream

__all__ = ["LocalParticipant", "Participant", "ParticipantStats", "Post", "Roster"]

MAX_PEOPLE = 512
"""People present in one call; sources of more are ignored."""
GROUP_CNAME_GRACE_S = 3.5
"""In a multicast group the first report, and the name, may come 3.1 s after the first sound (RFC
3550 section 6.2: half of 5 s, times 1.5, by 1.22)."""
SOURCES_PER_PERSON = 4
"""The table of sources holds so many times the people: sound, picture, screen, one to spare."""


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
        cname_grace_s: float = CNAME_GRACE_S,
    ) -> None:
        """A source without CNAME waits `cname_grace_s` for one, and is a person then."""
        self._post = post
        self._mixer_of = mixer_of
        self._max_entries = max_people * SOURCES_PER_PERSON
        self._too_many = 0
        self._entries: dict[RemoteSource, SourceEntry] = {}
        self._shares: dict[SubStream, Share] = {}
        self._presence = Presence(post, self._mixer_entry, max_people, cname_grace_s)
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
        entry.shares = tuple(s for s in self._shares.values() if s.source is source)
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

    def substream_added(
        self, substream: SubStream, now: float, whose: RemoteSource | None = None
    ) -> None:
        """A substream carries `substream.source` now; call it again when that changes.

        It is `whose` if that is another one: that of whom a mixer shows there.
        """
        source, known = whose or substream.source, self._shares.get(substream)
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
            entry.shares = (*entry.shares, share)
            self._presence.post_share(NewSubStream, share, entry.person, now)

    def substream_moved(self, substream: SubStream, now: float) -> None:
        """A substream carries another layer of the same picture: no event, if it is the same
        person's.
        """
        share, source = self._shares.get(substream), substream.source
        if share is None or source is None:
            return
        before, after = self._entries.get(share.source), self._entries.get(source)
        if before is None or after is None or before.person is not after.person:
            self.substream_removed(substream, now)
            self.substream_added(substream, now)
            return
        before.shares = _without(before.shares, share)
        after.shares = (*after.shares, share)
        share.source = source

    def substream_removed(self, substream: SubStream, now: float) -> None:
        """A substream is no more, or carries nobody any longer."""
        self.substream_unmapped(substream, now)
        share = self._shares.pop(substream, None)
        entry = self._entries.get(share.source) if share else None
        if share is not None and entry is not None:
            entry.shares = _without(entry.shares, share)
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
            person.muted -= {stream}

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


def _without(shares: tuple[Share, ...], share: Share) -> tuple[Share, ...]:
    return tuple(other for other in shares if other is not share)
