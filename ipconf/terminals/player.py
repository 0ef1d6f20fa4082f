"""Plays what a reader has decoded, true to time: sound leads, pictures follow it.

The time line is that of the reader, in samples of 48 kHz. It stands still while nobody reads, and
while what is due has not been decoded yet; so nothing is lost by a pause or a slow disk.
"""

import math

import av
import numpy as np

from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, MediaType
from .base import MAX_LAG_S, Samples
from .reader import FileReader, Mark, Problem

MAX_DRIFT = AUDIO_RATE_HZ // 25
"""Sound that is 40 ms off the clock sets the clock; less is the jitter of whoever reads."""
MAX_STALE = AUDIO_RATE_HZ // 2
"""What a medium that nobody reads has in the queue is dropped half a second after its time."""


class Player:
    """Reads of either medium, each as often as its stream does."""

    def __init__(self, reader: FileReader, channels: int) -> None:
        self.reader = reader
        self._silence = np.zeros((AUDIO_FRAME_SAMPLES, channels), np.int16)
        self._zero: float | None = None
        """The provider's clock at the beginning of the time line."""
        self._polled = {MediaType.AUDIO: -math.inf, MediaType.VIDEO: -math.inf}
        self._last_poll = 0.0
        self._next_block = 0
        self._mark = Mark(0, reader.start_s)
        self._time = 0

    @property
    def position_s(self) -> float:
        """The position in the play list that was reached."""
        return self._mark.position_s + max(0, self._time - self._mark.at) / AUDIO_RATE_HZ

    @property
    def has_ended(self) -> bool:
        """Whether all has been played."""
        heard = self._last_poll - self._polled[MediaType.AUDIO] <= MAX_LAG_S
        unheard = heard and bool(self.reader.audio)
        return self.reader.ended and self._time >= self.reader.end and not unheard

    def take_problem(self) -> Problem | None:
        """What could not be read, once the place is reached; at the end of everything None."""
        problems = self.reader.problems
        if problems and problems[0].at <= self._time and not self.has_ended:
            return problems.popleft()
        return None

    def read(self, medium: MediaType, now: float) -> Samples | av.VideoFrame | None:
        """The next block of sound, or the picture that is due now."""
        if self.reader.is_low or self._zero is None:
            self.reader.wake()
        if not self._advance(medium, now):
            return None
        self._drop_stale()
        media = self._picture() if medium is MediaType.VIDEO else self._block(now)
        self._polled[medium] = now
        return media

    def _advance(self, medium: MediaType, now: float) -> bool:
        """Move the clock; False while it has not begun."""
        reader = self.reader
        if self._zero is None:
            if not reader.is_ahead and not all(map(self._queue, reader.wanted())):
                return False
            self._zero = self._last_poll = now
        elapsed_s, self._last_poll = now - self._last_poll, now
        listeners = [m for m, at in self._polled.items() if now - at <= MAX_LAG_S] or [medium]
        if elapsed_s > MAX_LAG_S or not (reader.ended or any(map(self._queue, listeners))):
            self._zero += elapsed_s
        if medium is MediaType.AUDIO and now - self._polled[medium] > MAX_LAG_S:
            self._next_block = max(self._next_block, self._ticks(now))
        self._time = max(self._time, self._ticks(now))
        while reader.marks and reader.marks[0].at <= self._time:
            self._mark = reader.marks.popleft()
        return True

    def _ticks(self, now: float) -> int:
        assert self._zero is not None
        return round((now - self._zero) * AUDIO_RATE_HZ)

    def _queue(self, medium: MediaType) -> object:
        return self.reader.audio if medium is MediaType.AUDIO else self.reader.video

    def _drop_stale(self) -> None:
        latest = self._time - MAX_STALE
        audio, video = self.reader.audio, self.reader.video
        while audio and audio[0][0] < latest:
            audio.popleft()
        while len(video) > 1 and video[1][0] < latest:
            video.popleft()  # but for the one to be seen now, should somebody look

    def _picture(self) -> av.VideoFrame | None:
        video = self.reader.video
        frame: av.VideoFrame | None = None
        while video and video[0][0] <= self._time:
            _, frame = video.popleft()
        return frame

    def _block(self, now: float) -> Samples | None:
        audio = self.reader.audio
        while audio and audio[0][0] < self._next_block - MAX_DRIFT:
            audio.popleft()  # it was due before somebody listened
        if not audio:
            if self.reader.ended:
                self._time = max(self._time, self._next_block)
            self._next_block = max(self._next_block, self._ticks(now))
            return None
        at, block = audio[0]
        if at - self._next_block >= AUDIO_FRAME_SAMPLES:
            at, block = self._next_block, self._silence
        else:
            audio.popleft()
        assert self._zero is not None
        if abs(self._ticks(now) - at) > MAX_DRIFT:
            self._zero = now - at / AUDIO_RATE_HZ
        self._next_block = at + AUDIO_FRAME_SAMPLES
        return block
