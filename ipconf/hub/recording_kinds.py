"""The kinds of recordings of a conference, by name."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .recording import ConferenceRecording
from .recording_mosaic import MixRecording, SpeakerRecording
from .recording_tracks import TrackRecording

if TYPE_CHECKING:
    from ..conference import Conference


class RecordingKind(enum.Enum):
    """What a recording of a conference holds: of listeners nothing."""

    TRACKS = "tracks"
    """Each person's sound and pictures on tracks of their own, as they came."""
    MOSAIC = "mosaic"
    """The mix, and everybody in one picture."""
    SPEAKER = "speaker"
    """The mix, and the picture of who has the floor."""


_CLASSES: dict[RecordingKind, type[ConferenceRecording]] = {
    RecordingKind.TRACKS: TrackRecording,
    RecordingKind.MOSAIC: MixRecording,
    RecordingKind.SPEAKER: SpeakerRecording,
}


def record(
    conference: Conference,
    path: str | Path,
    kind: RecordingKind = RecordingKind.MOSAIC,
    **options: Any,
) -> ConferenceRecording:
    """A recording that has begun; `size` and `fps` are for composed pictures.

    Raises ConfigurationError for an unknown ending or options, and what `start` raises.
    """
    recording = _CLASSES[kind](conference, path, **options)
    recording.start()
    return recording
