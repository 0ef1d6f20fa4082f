"""Opens media files and decodes them, packet by packet; blocks, so use a thread.

Sound and pictures come out as the package has them inside, each with its time in seconds from the
beginning of the file. Packets that are broken are passed over, odd time stamps put right.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO, Self

import av
from av.container import InputContainer
from av.stream import Disposition

from ..errors import ConfigurationError, MediaError, UsageError
from ..model import MediaType
from .convert import MAX_PICTURE_SIDE
from .file_formats import path_of
from .lines import MAX_RATE_HZ, MIN_RATE_HZ, AudioLine, Decoded, Line, VideoLine

READABLE = "wav,mp3,ogg,mov,matroska"
"""FFmpeg's names of the formats that are opened. Others are not even tried: some of them are lists
of further files and addresses, which whoever wrote a file could make us open."""
MAX_PENDING_BYTES = 16 * 1024 * 1024
"""Packets of one medium read over in search of one of the other, where they lie far apart."""
PREROLL_S = 0.1
"""Decoded before the place to begin at: codecs need some packets to get into step."""
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # where the system has none, opening does not wait


@dataclass(frozen=True, slots=True)
class MediaFile:
    """What a file has."""

    path: Path
    duration_s: float | None
    """None if only reading it all would tell, as with what a crash leaves behind."""
    media_types: frozenset[MediaType]


def probe(path: Path) -> MediaFile:
    """Look into a file. Raises MediaError if it cannot be opened, or holds nothing to play."""
    with MediaDecoder(path) as decoder:
        if not decoder.lines:
            raise MediaError(f"{path} holds neither sound nor pictures to play")
        return MediaFile(path, decoder.duration_s, frozenset(decoder.lines))


def probe_all(paths: Iterable[str | Path]) -> tuple[MediaFile, ...]:
    """Look into the files of a play list; ConfigurationError for what is none."""
    if isinstance(paths, str | Path) or not isinstance(paths, Iterable):
        raise ConfigurationError(f"{paths!r} is no play list: give a list of paths")
    files = tuple(probe(path_of(path)) for path in paths)
    if not files:
        raise ConfigurationError("an empty play list: give at least one file")
    return files


class MediaDecoder:
    """A file that is being decoded from `start_s` on; audio has `channels`.

    Raises MediaError if it cannot be opened.
    """

    def __init__(self, path: Path, start_s: float = 0.0, channels: int = 1) -> None:
        self.path = path
        self.broken = 0
        """Packets that could not be decoded."""
        self._file, self._container = _open(path)
        self.lines: dict[MediaType, Line] = {}
        """The first stream of each medium that can be decoded."""
        try:
            self._packets = self._begin(start_s, channels)
        except Exception as exc:  # whatever a broken file makes a library raise
            self.close()
            if isinstance(exc, MediaError):
                raise
            raise MediaError(f"cannot open {path}: {exc}; it is damaged") from exc
        self._pending: dict[MediaType, deque[av.Packet[Any]]] = {m: deque() for m in self.lines}
        self._pending_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def duration_s(self) -> float | None:
        """How long the file says that it is."""
        duration = self._container.duration
        return None if duration is None or duration < 0 else duration / av.time_base

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._file.close()

    def decode(self, medium: MediaType, wanted: frozenset[MediaType]) -> Decoded | None:
        """What the next packet of that medium holds; None if it lies too far on to look for it now.

        A line that `has_ended` gives no more. Packets of media that are not `wanted` are dropped on
        the way; such a medium is taken up again at its next key frame. Raises MediaError when the
        file is broken, or if only the line is, which has then ended.
        """
        line = self.lines[medium]
        while not self._pending[medium]:
            if self._pending_bytes > MAX_PENDING_BYTES:
                return None
            if not self._read_packet(wanted):
                return line.finish()
        packet = self._pending[medium].popleft()
        self._pending_bytes -= packet.size
        try:
            return line.decode(packet)
        except Exception as exc:  # whatever a broken file makes a decoder raise
            self.broken += 1
            if not isinstance(exc, UsageError) and line.passes_over():
                return []
            line.has_ended = True
            raise MediaError(f"cannot decode the {medium.value} of {self.path}: {exc}") from exc

    def _read_packet(self, wanted: frozenset[MediaType]) -> bool:
        """Put the next packet where it belongs; False at the end of the file."""
        try:
            packet = next(self._packets, None)
        except Exception as exc:
            raise MediaError(f"cannot read {self.path}: {exc}") from exc
        if packet is None:
            return False
        for medium, line in self.lines.items():
            if packet.stream.index != line.stream.index:
                continue
            if medium not in wanted:
                line.interrupt()
                self._drop(medium)
            elif line.takes(packet):
                self._pending[medium].append(packet)
                self._pending_bytes += packet.size
        return True

    def _drop(self, medium: MediaType) -> None:
        self._pending_bytes -= sum(packet.size for packet in self._pending[medium])
        self._pending[medium].clear()

    def _begin(self, start_s: float, channels: int) -> Iterator[av.Packet[Any]]:
        """Find out what there is and go to the place to begin at; gives the packets from there."""
        begin_s = (self._container.start_time or 0) / av.time_base
        self._find_lines(begin_s, start_s, channels)
        if start_s > PREROLL_S:
            self._seek(begin_s + start_s - PREROLL_S)
        return self._container.demux([line.stream for line in self.lines.values()])

    def _find_lines(self, begin_s: float, start_s: float, channels: int) -> None:
        for sound in self._container.streams.audio:
            if not _has_decoder(sound):
                continue
            if not MIN_RATE_HZ <= sound.rate <= MAX_RATE_HZ:
                raise MediaError(
                    f"{self.path} has sound of {sound.rate} Hz: make a copy with "
                    f"{MIN_RATE_HZ} to {MAX_RATE_HZ} Hz and play that"
                )
            self.lines[MediaType.AUDIO] = AudioLine(sound, begin_s, start_s, channels)
            break
        for film in self._container.streams.video:
            if film.disposition & Disposition.attached_pic or not _has_decoder(film):
                continue  # the cover of an album is no moving picture
            if min(film.width, film.height) < 1 or max(film.width, film.height) > MAX_PICTURE_SIDE:
                raise MediaError(
                    f"{self.path} has pictures of {film.width}x{film.height}: make a copy with "
                    f"1 to {MAX_PICTURE_SIDE} pixels on each side and play that"
                )
            self.lines[MediaType.VIDEO] = VideoLine(film, begin_s, start_s)
            break

    def _seek(self, at_s: float) -> None:
        """Go to a key frame before that time; where that fails, all up to there is decoded."""
        try:
            self._container.seek(int(at_s * av.time_base))
        except (av.FFmpegError, OSError):
            self._container.seek(0)


def _has_decoder(stream: av.stream.Stream) -> bool:
    """Whether the stream is of a kind that can be decoded, as far as the file says."""
    context: object = stream.codec_context
    return context is not None


def _open(path: Path) -> tuple[BinaryIO, InputContainer]:
    file = _open_regular(path)
    try:
        return file, av.open(file, "r", options={"format_whitelist": READABLE})
    except Exception as exc:  # whatever a broken file makes a library raise
        file.close()
        raise MediaError(
            f"cannot open {path}: {exc}; it must be a wav, mp3, ogg, mp4, mkv or webm file"
        ) from exc


def _open_regular(path: Path) -> BinaryIO:
    """Open a file at once: a pipe would keep us waiting for somebody to write into it."""
    try:
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | _NO_WAIT))
    except OSError as exc:
        raise MediaError(f"cannot open {path}: {exc.strerror or exc}") from exc
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise MediaError(f"cannot open {path}: it is a pipe or a device; play a copy in a file")
    return BufferedReader(file)
