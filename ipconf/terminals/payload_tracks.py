"""The tracks of a media file that payloads are written to as they came.

Positions are seconds from the start of the file.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from ..codecs.opus_packet import GAP_SAMPLES, lost_packets, silent_packets
from ..model import AUDIO_RATE_HZ
from .payloads import Payload
from .tracks import LAST_FRAME_MS

LOST_SAMPLES = AUDIO_RATE_HZ // 10
"""Of lost sound decoders make up so much; the rest of a gap is silence."""
G711_RATE_HZ = 8_000

_G711_SILENCE = {"pcmu": b"\xff", "pcma": b"\xd5"}

Write = Callable[[bytes, float, float, bool], None]
"""Puts media into the file: the position, how long they are, and whether it is a key frame."""


class SoundTrack(ABC):
    """Sound without gaps: what is missing is filled, because players put packets together.

    Only a gap of more than `longest_s`, if that is set, stays one: nobody was there.
    """

    longest_s = math.inf

    def __init__(self, write: Write) -> None:
        self._write = write
        self._end = 0  # samples of 48 kHz

    @property
    def end_s(self) -> float:
        """The position up to which there is sound."""
        return self._end / AUDIO_RATE_HZ

    def begin(self, at_s: float) -> None:
        """Nothing is missing before that position."""
        self._end = round(at_s * AUDIO_RATE_HZ)

    def put(self, payload: Payload, at_s: float) -> bool:
        """Write the payload at that position; False when most of it is too late."""
        at, samples = round(at_s * AUDIO_RATE_HZ), round(payload.duration_s * AUDIO_RATE_HZ)
        if at + samples // 2 < self._end:
            return False
        self._fill(at)
        self._add(payload.data, samples)
        return True

    def advance(self, to_s: float) -> None:
        """Nothing more will come for before that position."""
        self._fill(round(to_s * AUDIO_RATE_HZ))

    def finish(self, end_s: float) -> None:
        """The file ends there."""
        self._fill(round(end_s * AUDIO_RATE_HZ))

    @abstractmethod
    def _missing(self, samples: int) -> list[tuple[bytes, int]]:
        """Payloads for so much that is missing, and how many samples each of them plays."""

    def _fill(self, up_to: int) -> None:
        if up_to - self._end > self.longest_s * AUDIO_RATE_HZ:
            self._leave(up_to)
        elif up_to - self._end >= GAP_SAMPLES:
            for data, samples in self._missing(up_to - self._end):
                self._add(data, samples)

    def _leave(self, up_to: int) -> None:
        """Go on there."""
        self._end = up_to

    def _add(self, data: bytes, samples: int) -> None:
        self._write(data, self._end / AUDIO_RATE_HZ, samples / AUDIO_RATE_HZ, True)
        self._end += samples


class OpusTrack(SoundTrack):
    """Opus; in a gap decoders first go on as after a loss, then there is silence."""

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._before = b""

    def put(self, payload: Payload, at_s: float) -> bool:
        """As of every track for sound."""
        placed = super().put(payload, at_s)
        if placed:
            self._before = payload.data
        return placed

    def _leave(self, up_to: int) -> None:
        super()._leave(up_to)
        self._before = b""

    def _missing(self, samples: int) -> list[tuple[bytes, int]]:
        lost = lost_packets(self._before, min(samples, LOST_SAMPLES)) if self._before else []
        self._before = b""  # a gap that goes on is a pause
        return lost + silent_packets(samples - sum(count for _, count in lost))


class G711Track(SoundTrack):
    """G.711, whose silence is a byte for each sample."""

    def __init__(self, write: Write, name: str) -> None:
        super().__init__(write)
        self._silence = _G711_SILENCE[name]

    def _missing(self, samples: int) -> list[tuple[bytes, int]]:
        ratio = AUDIO_RATE_HZ // G711_RATE_HZ
        whole, rest = divmod(samples // ratio, G711_RATE_HZ)
        sizes = [G711_RATE_HZ] * whole + [rest] * (rest > 0)
        return [(self._silence * size, size * ratio) for size in sizes]


class PictureTrack:
    """Pictures; a gap is the picture before it. The head of the file says the size of the first
    one: decoders find another one in its key frame.
    """

    def __init__(self, write: Write, convert: Callable[[Payload], bytes]) -> None:
        self._write = write
        self._convert = convert
        self._last_s: float | None = None

    @property
    def end_s(self) -> float:
        """The position up to which there is a picture."""
        return 0.0 if self._last_s is None else self._last_s + LAST_FRAME_MS / 1000

    def put(self, payload: Payload, at_s: float) -> bool:
        """Show the picture from `at_s` on; it is never too late."""
        # No two are at the same time, for players.
        self._last_s = at_s = max(at_s, 0.0 if self._last_s is None else self._last_s + 0.001)
        self._write(self._convert(payload), at_s, LAST_FRAME_MS / 1000, payload.key_frame)
        return True

    def advance(self, to_s: float) -> None:
        """Nothing more will come for before that position: the picture stays."""

    def finish(self, end_s: float) -> None:
        """The file ends there."""
