"""Writes payloads into a media file as they came, true to time; blocks, so use a thread."""

from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

from ..errors import MediaError
from ..model import MediaType
from .file_formats import PAYLOAD_FILES, format_of
from .file_writer import FileWriter, Piece, Track
from .payload_containers import begins, open_container
from .payload_tracks import PictureTrack, SoundTrack
from .payloads import Payload

DEFAULT_FORMATS = {MediaType.AUDIO: "opus", MediaType.VIDEO: "vp8"}
"""What tracks are for on which nothing has come by the time the file must begin."""


class Numbered(NamedTuple):
    """A payload and which one of its track it is: a missing picture is noticed."""

    payload: Payload
    number: int
    medium: MediaType


class PayloadWriter(FileWriter[Numbered]):
    """A media file of payloads in the making; ConfigurationError for an unknown ending."""

    grace_s = 5.0  # a key frame may have to be asked for more than once
    max_waiting = 1024

    def __init__(self, path: str | Path, room: int = 0) -> None:
        """`room` is for so many tracks in all, if some come when the file has begun."""
        path = Path(path)
        kind = format_of(path, PAYLOAD_FILES)
        super().__init__(path, kind)
        self._container = open_container(self._file, kind, room)
        self._formats: dict[Track, str] = {}
        self._next: dict[Hashable, int | None] = {}

    def write(
        self, media: Numbered, at: float, track: Hashable = None, source: object = None
    ) -> None:
        """As of every writer; a picture goes only behind the one before it, or is a key frame."""
        if media.medium is MediaType.VIDEO and not self._follows(media, track):
            self.ignored += 1
        else:
            super().write(media, at, track, source)

    def _follows(self, media: Numbered, track: Hashable) -> bool:
        payload, number, _ = media
        usable = begins(payload) if payload.key_frame else number == self._next.get(track)
        self._next[track] = number + 1 if usable else None
        return usable

    def _close_container(self) -> None:
        self._container.close()

    def _medium_of(self, media: Numbered) -> MediaType:
        return media.medium

    def _is_usable(self, media: Numbered) -> bool:
        return bool(media.payload.data)

    def _make_track(self, medium: MediaType, title: str, first: Numbered | None) -> Track:
        payload = first.payload if first else None
        name = payload.format.name.lower() if payload else DEFAULT_FORMATS[medium]
        track: Track
        if medium is MediaType.AUDIO:
            track = self._container.add_sound(name, title)
        else:
            track = self._container.add_pictures(name, title, payload)
        self._formats[track] = name
        return track

    def _put(self, track: Track, piece: Piece[Numbered], at_s: float) -> bool:
        payload = piece.media.payload
        name = self._formats[track]
        if payload.format.name.lower() != name:
            raise MediaError(f"a track for {name} cannot go on with {payload.format.name}")
        if isinstance(track, PictureTrack):
            return track.put(payload, at_s)
        assert isinstance(track, SoundTrack)
        return track.put(payload, at_s)
