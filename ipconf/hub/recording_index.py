"""The index of a recording with a track for each person: who is where in it, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..model import MediaType
from ..terminals.payload_growing import GrowingTrack

VERSION = 1
JOINED_S = 2.0
"""Payloads with no larger gaps are one segment: pauses in speech that is not sent, slow slides."""
MAX_SEGMENTS = 500
"""Of a track; then gaps must be larger."""


@dataclass(eq=False, slots=True)
class IndexedTrack:
    """A track of the file: one medium of one person, in one format."""

    plan: GrowingTrack
    name: str
    cname: str
    medium: MediaType
    codec: str
    content: str
    people: dict[str, None] = field(default_factory=dict)
    """Their identities in the conference: more than one if they left and came again."""
    holder: object = None
    """Who records on it now."""
    segments: list[list[float]] = field(default_factory=list)
    _joined_s: float = JOINED_S

    def extend(self, from_s: float, to_s: float) -> None:
        """There are media at that position."""
        segments = self.segments
        if segments and from_s - segments[-1][1] <= self._joined_s:
            segments[-1][1] = max(segments[-1][1], to_s)
            return
        segments.append([from_s, to_s])
        while len(segments) > MAX_SEGMENTS:
            self._joined_s *= 2
            whole, self.segments = self.segments, []
            for begin, end in whole:
                self.extend(begin, end)
            segments = self.segments

    def to_json(self) -> dict[str, Any]:
        """Plain values, but for the number, which the file's thread knows."""
        return {
            "number": self.plan,
            "people": list(self.people),
            "name": self.name,
            "cname": self.cname,
            "medium": self.medium.value,
            "codec": self.codec,
            "content": self.content or None,
            "segments": [[round(begin, 3), round(end, 3)] for begin, end in self.segments],
        }


class RecordingIndex:
    """All tracks, and who has which; a person who returns goes on on theirs."""

    def __init__(self, subject: str, file: str, started_at: datetime, max_tracks: int) -> None:
        self.tracks: list[IndexedTrack] = []
        self._head = {"subject": subject, "file": file, "started_at": started_at.isoformat()}
        self._max_tracks = max_tracks

    def claim(
        self, holder: object, name: str, cname: str, medium: MediaType, codec: str, content: str
    ) -> IndexedTrack | None:
        """A track that nobody else records on now, theirs if there is one; None: no more room."""
        wanted = (cname, medium, codec, content)
        for track in self.tracks:
            same = (track.cname, track.medium, track.codec, track.content) == wanted
            if same and track.holder is None:
                track.holder = holder
                return track
        if len(self.tracks) >= self._max_tracks:
            return None
        title = f"{name} ({content})" if content == "slides" else name
        plan = GrowingTrack(medium, title)
        track = IndexedTrack(plan, name, cname, medium, codec, content, holder=holder)
        self.tracks.append(track)
        return track

    def to_json(
        self, length_s: float, pauses: list[dict[str, float]], missing: list[str], *, complete: bool
    ) -> dict[str, Any]:
        """As of a track; positions and lengths are in seconds."""
        return {
            "version": VERSION,
            **self._head,
            "length_s": round(length_s, 3),
            "complete": complete,
            "pauses": pauses,
            "missing": missing,
            "tracks": [track.to_json() for track in self.tracks],
        }
