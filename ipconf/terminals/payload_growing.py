"""Writes payloads of people who come and go into one file: tracks begin when somebody does.

A second of the file is a second of whoever records; nothing is moved. Where nobody is, is a gap:
only shorter ones are filled as in other files. Beside the file an index can be kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import MediaError
from ..model import MediaType
from .file_formats import PAYLOAD_FILES
from .file_writer import Piece, Track
from .matroska import MAX_TRACKS
from .payload_containers import MatroskaContainer
from .payload_muxing import Numbered, PayloadWriter
from .payload_tracks import SoundTrack
from .recorder import Recording

GROWING_FILES = {end: kind for end, kind in PAYLOAD_FILES.items() if kind.video}
"""What can have tracks that come later, by the ending of the name."""
FILLED_S = 1.0
"""Sound that is missing for longer is not filled: nobody was there, or all was silence."""
HOLD_S = 1.1
"""Payloads may be so late: what is older is written."""


@dataclass(eq=False, slots=True)
class GrowingTrack:
    """A track that comes with its first payload; compared by identity."""

    medium: MediaType
    title: str
    number: int = 0
    """In the file, from 1; 0 while it has none. The writer's thread says so."""


class Page(NamedTuple):
    """An index as it is at a moment, to be written beside the file.

    A `GrowingTrack` in it stands for its number.
    """

    values: dict[str, Any]
    last: bool
    """Whether it is to be written when the file is complete."""


class Moment(NamedTuple):
    """Nothing but that time passes."""


class GrowingWriter(PayloadWriter):
    """A file whose tracks are added as they come; positions are given instead of times."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, room=MAX_TRACKS)
        self.began = True
        self._refused: set[Hashable] = set()
        self._last_page: Page | None = None

    @property
    def index_path(self) -> Path:
        """Where the index is."""
        return self.path.with_name(self.path.name + ".json")

    def write(
        self,
        media: Numbered | Page | Moment,
        at: float,
        track: Hashable = None,
        source: object = None,
    ) -> None:
        """Add a payload at that position to a `GrowingTrack`, or write an index.

        Raises OSError when that is not possible.
        """
        match media:
            case Page(last=True):
                self._last_page = media
            case Page():
                self._write_index(media)
            case Moment():
                assert isinstance(self._container, MatroskaContainer)
                self._container.advance(at - HOLD_S)
            case Numbered():
                super().write(media, at, track, source)

    def close(self) -> None:
        """As of every writer; then the last index is written."""
        super().close()
        if self._last_page is not None:
            self._write_index(self._last_page)

    def _has_room(self, key: Hashable, medium: MediaType) -> bool:
        return key not in self._refused

    def _place(self, piece: Piece[Numbered]) -> None:
        track = self._tracks.get(piece.track) or self._added(piece)
        if track is None or not self._put(track, piece, piece.at):
            self.ignored += 1

    def _added(self, piece: Piece[Numbered]) -> Track | None:
        plan = piece.track
        assert isinstance(plan, GrowingTrack)
        title = plan.title.encode("utf-8", "replace").decode()
        try:
            track = self._make_track(plan.medium, title, piece.media)
        except MediaError:  # parameter sets that are too large; the others are recorded
            self._refused.add(plan)
            return None
        if isinstance(track, SoundTrack):
            track.longest_s = FILLED_S
            track.begin(piece.at)
        self._tracks[plan] = track
        plan.number = len(self._tracks)
        return track

    def _write_index(self, page: Page) -> None:
        """As a whole or not at all: whoever reads it finds the old one or the new one."""
        text = json.dumps(page.values, ensure_ascii=False, default=_number_of)
        draft = self.index_path.with_name(self.index_path.name + ".tmp")
        draft.write_text(text, encoding="utf-8", errors="replace")
        os.replace(draft, self.index_path)


def _number_of(track: GrowingTrack) -> int | None:
    return track.number or None


class GrowingRecording(Recording):
    """Its thread is woken as often as somebody says, whatever has been gathered."""

    def flush(self) -> None:
        """Let the thread have what was put."""
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []
