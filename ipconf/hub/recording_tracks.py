"""Records a conference as it came: a track for each person's sound and pictures, all in one file.

Nothing is decoded or encoded. Tracks are true to the conference's time; where somebody is away, is
a gap. Beside the file is its index, `<path>.json`: whose tracks they are, and where there is
something on them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import MediaError, NotSupportedError
from ..events import FileState, RecordingIncomplete
from ..model import Direction, MediaType
from ..terminals.base import Terminal
from ..terminals.file_formats import format_of
from ..terminals.matroska import MAX_TRACKS
from ..terminals.payload_growing import (
    GROWING_FILES,
    GrowingRecording,
    GrowingWriter,
    Moment,
    Page,
)
from ..terminals.payload_muxing import Numbered
from ..terminals.payloads import Payload, PayloadTerminal
from ..terminals.recorder import Recording
from .recording import ConferenceRecording
from .recording_hooks import post
from .recording_index import IndexedTrack, RecordingIndex
from .recording_sources import Sender, Senders, is_recorded

if TYPE_CHECKING:
    from ..conference import Conference

AHEAD = 8192
"""Payloads waiting to be written: some 20 s of ten people with cameras."""
BATCH = 128
"""So many are written at a time, or what there is every 0.2 s."""
PATIENCE_S = 2.5
"""So long it is waited to know whose source it is; then it is the leg's."""
INDEX_S = 1.0
"""The index is written so often at most."""
MAX_MISSING = 100
"""So often it is told that somebody has no place in the file."""
PICTURE_S = 0.04
"""What a picture counts for in the index."""


class SenderTrack(PayloadTerminal):
    """Takes what one source sends; its track is known when it is known who that is."""

    terminal_class: ClassVar[str] = "conference recording track"

    def __init__(self, recording: TrackRecording, sender: Sender) -> None:
        super().__init__("conference recording", sender.medium, Direction.RENDER)
        self.sender = sender
        self._recording = recording
        self._format = ""
        self._track: IndexedTrack | None = None
        self._refused = False
        self._held: list[tuple[Payload, float]] = []
        self._number = 0
        self._follows = False
        self._dropped = 0

    @property
    def needs_key_frame(self) -> bool:
        """Whether it has just begun, or missed pictures."""
        recording = self._recording
        if self.media_type is not MediaType.VIDEO or recording.state is not FileState.ACTIVE:
            return False
        return not self._refused and not (self._follows and recording.dropped == self._dropped)

    def write_payload(self, payload: Payload, at: float) -> None:
        """Record a payload; ignored unless the recording is active."""
        position_s = self._recording.position(at) if math.isfinite(at) else None
        if position_s is None:
            self._follows = False
            return
        if self.media_type is MediaType.VIDEO:
            if payload.key_frame:
                self._follows, self._dropped = True, self._recording.dropped
            elif self.needs_key_frame:
                return
        name = payload.format.name.lower()
        if name != self._format:
            self.release()
            self._format = name
        if self._track is not None:
            self._put(self._track, payload, position_s)
        elif not self._refused:
            self._held.append((payload, position_s))
            self._settle(position_s - self._held[0][1] >= PATIENCE_S)

    def describe(self) -> None:
        """Whose track it is may be said anew at any time."""
        person = self._recording.conference.attendee_of(self.sender.leg, self.sender.source)
        if person is not None and self._track is not None:
            self._track.name = person.name

    def release(self) -> None:
        """Nothing more comes in this format, or at all: somebody else may have the track."""
        self._settle(True)
        if self._track is not None:
            self._track.holder = None
            self._track = None
        self._refused = False

    def _settle(self, at_once: bool) -> None:
        """Begin the track when it is known whose it is."""
        if not self._held:
            return
        self._track = self._recording.track_for(self, self._format, at_once)
        if self._track is None and not at_once:
            return
        self._refused = self._track is None
        held, self._held = self._held, []
        if self._track is not None:
            for payload, position_s in held:
                self._put(self._track, payload, position_s)

    def _put(self, track: IndexedTrack, payload: Payload, position_s: float) -> None:
        self._number += 1
        media = Numbered(payload, self._number, self.media_type)
        self._recording.put(track, media, position_s)


class TrackRecording(ConferenceRecording):
    """Records everybody on tracks of their own into an mkv, or a webm for Opus and VP8 alone.

    ConfigurationError for other endings.
    """

    def __init__(self, conference: Conference, path: str | Path) -> None:
        super().__init__(conference, path)
        self._kind = format_of(self.path, GROWING_FILES)
        media = (MediaType.AUDIO, MediaType.VIDEO)
        self._senders = Senders(
            conference, media, self._make, self._gone, wants=lambda sender: is_recorded(sender.leg)
        )
        self._recording: GrowingRecording | None = None
        self._index: RecordingIndex
        self._missing: dict[str, None] = {}
        self._written_at = -math.inf
        self._changed = True

    @property
    def index_path(self) -> Path:
        """The index beside the file, in JSON."""
        return self.path.with_name(self.path.name + ".json")

    @property
    def dropped(self) -> int:
        return self._recording.dropped if self._recording else 0

    @property
    def is_writing(self) -> bool:
        return self._recording is not None and self._recording.is_writing

    async def wait_complete(self) -> None:
        if self._recording is not None and self._recording.finished:
            await self._recording.wait()

    # -- for its tracks

    def track_for(self, tap: SenderTrack, codec: str, at_once: bool) -> IndexedTrack | None:
        """A track for what somebody sends in a format; None: not yet, or, `at_once`, never."""
        leg, substream, source = tap.sender
        person = self.conference.attendee_of(leg, source)
        if person is None and not at_once:
            return None
        name = person.name if person else leg.display_name
        cname = person.cname if person else leg.identity
        if codec not in self._kind.formats(tap.media_type):
            self._lacks(name, NotSupportedError(f"{self.path.name} cannot hold {codec}"))
            return None
        content = tap.sender.content
        track = self._index.claim(tap, name, cname, tap.media_type, codec, content)
        if track is None:
            self._lacks(name, NotSupportedError(f"{self.path.name} has all {MAX_TRACKS} tracks"))
        elif person is not None:
            track.people[person.identity] = None
        return track

    def put(self, track: IndexedTrack, media: Numbered, position_s: float) -> None:
        """Record a payload on a track."""
        assert self._recording is not None
        length_s = media.payload.duration_s or PICTURE_S
        track.extend(position_s, position_s + length_s)
        self._changed = True
        self._recording.put(track.plan, None, media, position_s)

    # -- inside

    def _make(self, sender: Sender) -> Terminal:
        return SenderTrack(self, sender)

    def _gone(self, sender: Sender, terminal: Terminal) -> None:
        assert isinstance(terminal, SenderTrack)
        terminal.release()
        terminal.close()

    def _open(self) -> None:
        writer = GrowingWriter(self.path)
        self._recording = GrowingRecording(writer, AHEAD, self._write_failed, BATCH)
        started_at = datetime.now(UTC)
        self._index = RecordingIndex(
            self.conference.subject, self.path.name, started_at, MAX_TRACKS
        )

    def _work(self) -> None:
        assert self._recording is not None
        self._senders.look()
        now = self.conference.now()
        if self._changed and now - self._written_at >= INDEX_S:
            self._write_index(complete=False)
        self._recording.put(None, None, Moment(), self.position_s)
        self._recording.flush()

    def _finish(self) -> None:
        assert self._recording is not None
        self._senders.end()
        self._write_index(complete=True)
        self._recording.finish()

    def _write_index(self, *, complete: bool) -> None:
        assert self._recording is not None
        self._changed, self._written_at = False, self.conference.now()
        for _, track in self._senders.terminals:
            assert isinstance(track, SenderTrack)
            track.describe()
        pauses = [{k: round(v, 3) for k, v in p._asdict().items()} for p in self.pauses]
        values = self._index.to_json(
            self.position_s, pauses, list(self._missing), complete=complete
        )
        self._recording.put(None, None, Page(values, complete), 0.0)

    def _lacks(self, name: str, error: Exception) -> None:
        """Somebody cannot be recorded: told once."""
        text = f"{name}: {error}"
        if text not in self._missing and len(self._missing) < MAX_MISSING:
            self._missing[text] = None
            post(self.conference, RecordingIncomplete, recording=self, name=name, error=error)

    def _write_failed(self, recording: Recording) -> None:
        assert isinstance(recording.error, MediaError)
        self._fail(recording.error)
