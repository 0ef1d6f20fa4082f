"""Decodes a list of files ahead of time, in a thread.

What comes out lies on one time line for the whole list, counted in samples of 48 kHz from the place
where reading began: sound in blocks of 20 ms, pictures with the time from which they are shown.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import av

from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, MediaType
from .base import Samples
from .decoding import MediaDecoder, MediaFile
from .lines import Decoded, Line
from .queues import BlockCutter
from .worker import Worker

READ_AHEAD = {MediaType.AUDIO: 50, MediaType.VIDEO: 10}
"""Blocks of sound (one second) and pictures decoded ahead."""
READ_AHEAD_BYTES = 64 * 1024 * 1024
"""What all these pictures may take; fewer large ones are decoded ahead."""
MAX_FILES_AHEAD = 16
"""Files read ahead, where they are very short or have nothing of what is wanted."""


@dataclass
class PlayList:
    """Files to play one after the other, and whether to begin again at the end."""

    files: Sequence[MediaFile]
    loop: bool = False

    @property
    def duration_s(self) -> float | None:
        """Of all files; None if one does not tell."""
        durations = [file.duration_s for file in self.files]
        return None if None in durations else sum(filter(None, durations))

    def locate(self, position_s: float) -> tuple[int, float]:
        """Which file that is, and where in it; the last one holds whatever lies beyond."""
        for number, file in enumerate(self.files[:-1]):
            if file.duration_s is None or position_s < file.duration_s:
                return number, position_s
            position_s -= file.duration_s
        return len(self.files) - 1, position_s

    def start_of(self, number: int) -> float:
        """Where a file begins in the list, in seconds."""
        return sum(file.duration_s or 0.0 for file in self.files[:number])


class Mark(NamedTuple):
    """From `at` on, the list is played from this position."""

    at: int
    position_s: float


class Problem(NamedTuple):
    """Something could not be read; `medium` if it is only about that."""

    at: int
    error: MediaError
    medium: MediaType | None


class FileReader:
    """Reads `play_list` from `start_s` on until its end, or until it is closed.

    `wanted` tells which media somebody listens to or looks at; others are not decoded. Take from
    the left of the queues and call `wake` when they run low.
    """

    def __init__(
        self,
        play_list: PlayList,
        start_s: float,
        channels: int,
        wanted: Callable[[], frozenset[MediaType]],
        name: str,
    ) -> None:
        self.audio: deque[tuple[int, Samples]] = deque()
        self.video: deque[tuple[int, av.VideoFrame]] = deque()
        self.marks: deque[Mark] = deque()
        self.problems: deque[Problem] = deque()
        self.ended = False
        """Whether everything is in the queues."""
        self.end = 0
        """Where that which was read so far ends."""
        self.broken = 0
        """Packets that could not be decoded and were passed over."""
        self.wanted = wanted
        self._list = play_list
        self.start_s = start_s
        self._channels = channels
        self._picture_bytes = 0
        self._cutter = BlockCutter(AUDIO_FRAME_SAMPLES, channels, AUDIO_FRAME_SAMPLES)
        self._closed = False
        self._waiting = False
        self._wake = threading.Event()
        self._worker = Worker(self._read, name)

    @property
    def is_ahead(self) -> bool:
        """Whether all has been decoded that there is room for, or that there is."""
        return self.ended or self._waiting

    @property
    def is_low(self) -> bool:
        """Whether a queue is half empty."""
        return any(self._fill(medium) < 0.5 for medium in self.wanted())

    def wake(self) -> None:
        """There is room in the queues, or something else is wanted."""
        self._wake.set()

    def close(self) -> None:
        """Read no more."""
        self._closed = True
        self._wake.set()

    @property
    def is_reading(self) -> bool:
        """Whether the thread has not ended."""
        return not self._worker.has_ended

    async def wait(self) -> None:
        """Return when the thread has ended."""
        await self._worker.wait()

    # -- in the thread

    def _read(self) -> None:
        number, offset_s = self._list.locate(self.start_s)
        while True:
            before = self.end
            for index in range(number, len(self._list.files)):
                while len(self.marks) >= MAX_FILES_AHEAD and not self._closed:
                    self._wait()
                if self._closed:
                    return
                self.marks.append(Mark(self.end, self._list.start_of(index) + offset_s))
                self._read_file(self._list.files[index], offset_s)
                offset_s = 0.0
            number = 0
            if not self._list.loop or self.end == before:  # a list of nothing is not repeated
                break
        self.audio.extend(self._cutter.finish())
        self.ended = True

    def _read_file(self, file: MediaFile, offset_s: float) -> None:
        base = self.end
        try:
            with MediaDecoder(file.path, offset_s, self._channels) as decoder:
                try:
                    while self._read_packet(file, decoder, base, offset_s):
                        pass
                finally:
                    self.broken += decoder.broken
        except MediaError as exc:
            self.problems.append(Problem(self.end, exc, None))
        except Exception as exc:  # whatever a broken file makes a decoder raise
            error = MediaError(f"cannot play {file.path}: {exc}")
            self.problems.append(Problem(self.end, error, None))

    def _read_packet(
        self, file: MediaFile, decoder: MediaDecoder, base: int, offset_s: float
    ) -> bool:
        """Decode what is needed most; False when nothing more of this file is."""
        wanted = self.wanted()
        lines = {m: line for m, line in decoder.lines.items() if m in wanted}
        if wanted and not lines:
            rest_s = max(0.0, (file.duration_s or 0.0) - offset_s)
            self.end = max(self.end, base + round(rest_s * AUDIO_RATE_HZ))
            return False
        if lines and all(line.has_ended for line in lines.values()):
            return False
        hungry = [m for m, line in lines.items() if not line.has_ended and self._fill(m) < 1]
        for medium in sorted(hungry, key=self._fill):
            try:
                decoded = decoder.decode(medium, wanted)
            except MediaError as exc:
                if len(lines) == 1 or not lines[medium].has_ended:
                    raise
                self.problems.append(Problem(self.end, exc, medium))
                return True
            if decoded is not None:
                self._queue(medium, decoded, lines[medium], base, offset_s)
                return not self._closed
        self._wait()
        return not self._closed

    def _queue(
        self, medium: MediaType, decoded: Decoded, line: Line, base: int, offset_s: float
    ) -> None:
        for at_s, media in decoded:
            at = base + round((at_s - offset_s) * AUDIO_RATE_HZ)
            if isinstance(media, av.VideoFrame):
                self.video.append((at, media))
                self._picture_bytes = media.width * media.height * 3 // 2  # yuv420p
            else:
                self.audio.extend(self._cutter.cut(at, media))
        self.end = max(self.end, base + round((line.end_s - offset_s) * AUDIO_RATE_HZ))

    def _fill(self, medium: MediaType) -> float:
        if medium is MediaType.AUDIO:
            return len(self.audio) / READ_AHEAD[medium]
        share = max(1 / READ_AHEAD[medium], self._picture_bytes / READ_AHEAD_BYTES)
        return len(self.video) * share

    def _wait(self) -> None:
        self._waiting = True
        self._wake.wait()
        self._wake.clear()
        self._waiting = False
