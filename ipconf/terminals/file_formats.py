"""The kinds of files that can be recorded, and how each is written."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from ..errors import ConfigurationError
from ..model import MediaType, name_of
from .convert import MAX_PICTURE_SIDE

MANY = 32
"""Tracks of one medium in a file that can have several."""


class Kind(Protocol):
    """What all kinds of files have in common."""

    @property
    def container(self) -> str:
        """FFmpeg's name of it."""

    @property
    def options(self) -> dict[str, str]:
        """What FFmpeg is told for it."""

    def limit(self, media_type: MediaType) -> int:
        """How many tracks of that medium a file can have."""


class Format(NamedTuple):
    """How a kind of file is written."""

    container: str
    audio: str
    max_audio: int
    video: str | None
    options: dict[str, str]
    video_options: dict[str, str]
    title: str = "title"
    """What the name of a track is called in the metadata."""

    def limit(self, media_type: MediaType) -> int:
        """How many tracks of that medium a file can have."""
        return self.max_audio if media_type is MediaType.AUDIO else MANY if self.video else 0


# What is ready goes to the disk at once: clusters, fragments and pages of a quarter of a second,
# which costs 2 kbit/s at most. A crash before the first of them leaves nothing that can be played.
# A hybrid mp4 is a row of fragments until it is closed, and then a common mp4 with its index.
_PACKETS = {"flush_packets": "1"}
_CLUSTERS = _PACKETS | {"cluster_time_limit": "250"}
_PAGES = _PACKETS | {"page_duration": "250000"}
_FRAGMENTS = _PACKETS | {
    "movflags": "frag_keyframe+delay_moov+default_base_moof+hybrid_fragmented",
    "frag_duration": "250000",
}
_REALTIME_VP8 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
_REALTIME_H264 = {"preset": "veryfast", "tune": "zerolatency"}

FORMATS = {
    ".mkv": Format("matroska", "libopus", MANY, "libvpx", _CLUSTERS, _REALTIME_VP8),
    ".webm": Format("webm", "libopus", MANY, "libvpx", _CLUSTERS, _REALTIME_VP8),
    ".mp4": Format("mp4", "aac", MANY, "libx264", _FRAGMENTS, _REALTIME_H264, "handler_name"),
    ".wav": Format("wav", "pcm_s16le", 1, None, _PACKETS, {}),
    ".mp3": Format("mp3", "libmp3lame", 1, None, _PACKETS, {}),
    ".ogg": Format("ogg", "libopus", 1, None, _PAGES, {}),
}
"""What goes into a file, by the ending of its name."""


class PayloadFile(NamedTuple):
    """A kind of file for media as they came, and which formats of RTP it holds, in lower case."""

    container: str
    audio: tuple[str, ...]
    video: tuple[str, ...]
    max_audio: int
    options: dict[str, str]

    def limit(self, media_type: MediaType) -> int:
        """How many tracks of that medium a file can have."""
        return self.max_audio if media_type is MediaType.AUDIO else MANY if self.video else 0

    def formats(self, media_type: MediaType) -> tuple[str, ...]:
        """The formats of that medium."""
        return self.audio if media_type is MediaType.AUDIO else self.video


_G711 = ("pcmu", "pcma")

PAYLOAD_FILES = {
    ".mkv": PayloadFile("matroska", ("opus", *_G711), ("vp8", "h264"), MANY, {}),
    ".webm": PayloadFile("webm", ("opus",), ("vp8",), MANY, {}),
    ".ogg": PayloadFile("ogg", ("opus",), (), 1, _PAGES),
    ".wav": PayloadFile("wav", _G711, (), 1, _PACKETS),
}
"""What goes into a file undecoded, by the ending of its name."""

K = TypeVar("K", bound=Kind)


def path_of(path: str | Path) -> Path:
    """That path as an object; ConfigurationError for what can be none on this machine."""
    try:
        found = Path(path)
        usable = b"\0" not in os.fsencode(found)
    except (TypeError, UnicodeEncodeError):
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{name_of(path)} cannot be the path of a file: give text without NUL, or a Path"
        )
    return found


def format_of(path: Path, kinds: Mapping[str, K]) -> K:
    """How to write that file; ConfigurationError if the ending of its name is unknown."""
    found = kinds.get(path.suffix.lower())
    if found is None:
        raise ConfigurationError(f"{path.name}: end the name in {', '.join(kinds)}")
    return found


def check_size(size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size itself if a video can have it, or a ConfigurationError."""
    if size is None or (len(size) == 2 and all(map(_is_side, size))):
        return size
    raise ConfigurationError(
        f"a video of {size}: give width and height, each side 2 to {MAX_PICTURE_SIDE} pixels"
    )


def _is_side(side: object) -> bool:
    return isinstance(side, int) and 2 <= side <= MAX_PICTURE_SIDE
