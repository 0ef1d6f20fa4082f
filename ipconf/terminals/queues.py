"""The queues between an application that writes media and the stream that sends it."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .base import FrameClock, Samples
from .convert import AudioConverter, PictureConverter, check_rate, to_array

TARGET_QUEUE_S = 0.2
"""`write` waits until less than this is queued: enough for a late application, little delay."""
MAX_QUEUE_S = 1.0
"""What `write_nowait` may pile up, and what a reader may leave unread, before the oldest goes."""
MAX_QUEUED_FRAMES = 8
"""Unread or unsent pictures, each up to several megabytes, before the oldest goes."""
SLICES_PER_S = 50
"""Long arrays are converted and queued in pieces of 20 ms."""


class AudioQueue:
    """Audio on its way from the application to the stream.

    `rate_hz` is the rate of the arrays that come in; 48 kHz with `channels` go out.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._rate_hz = check_rate(rate_hz)
        self._converter = AudioConverter(AUDIO_RATE_HZ, channels)
        self._blocks: deque[Samples] = deque()
        self._queued = 0
        self._starved = False

    @property
    def has_room(self) -> bool:
        """Whether less than the target is queued."""
        return self._queued < TARGET_QUEUE_S * AUDIO_RATE_HZ

    def pieces(self, media: NDArray[Any] | av.AudioFrame) -> Iterator[Any]:
        """The media converted, in pieces to push one after the other; raises UsageError."""
        array, rate_hz = to_array(media, self._rate_hz)
        step = rate_hz // SLICES_PER_S
        for start in range(0, len(array), step):
            # Copied: the application may fill its array anew while this waits in the queue.
            yield self._converter.convert(array[start : start + step].copy(), rate_hz)

    def push(self, block: Samples) -> int:
        """Queue a block; how many old ones had to go."""
        if len(block):
            self._blocks.append(block)
            self._queued += len(block)
        dropped = 0
        while self._queued > MAX_QUEUE_S * AUDIO_RATE_HZ and len(self._blocks) > 1:
            self._queued -= len(self._blocks.popleft())
            dropped += 1
        return dropped

    def pop(self, now: float) -> Samples | None:
        """The next 20 ms. A shorter rest waits one tick for more, then silence completes it."""
        if self._queued < AUDIO_FRAME_SAMPLES and not (self._starved and self._queued):
            self._starved = self._queued > 0
            return None
        self._starved = False
        frame = np.zeros((AUDIO_FRAME_SAMPLES, self._converter.channels), np.int16)
        filled = 0
        while filled < AUDIO_FRAME_SAMPLES and self._blocks:
            part = self._blocks[0][: AUDIO_FRAME_SAMPLES - filled]
            frame[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) == len(self._blocks[0]):
                self._blocks.popleft()
            else:
                self._blocks[0] = self._blocks[0][len(part) :]
        self._queued -= filled
        return frame


class PictureQueue:
    """Pictures on their way to the stream, at most `fps` a second."""

    def __init__(self, fps: float) -> None:
        self._clock = FrameClock(fps)
        self._converter = PictureConverter()
        self._frames: deque[av.VideoFrame] = deque()
        self._target = min(MAX_QUEUED_FRAMES, max(1, int(TARGET_QUEUE_S * fps)))

    @property
    def has_room(self) -> bool:
        """Whether less than the target is queued."""
        return len(self._frames) < self._target

    def pieces(self, media: NDArray[np.uint8] | av.VideoFrame) -> Iterator[Any]:
        """The frame to push; raises UsageError."""
        yield self._converter.to_frame(media)

    def push(self, frame: av.VideoFrame) -> int:
        """Queue a frame; how many old ones had to go."""
        self._frames.append(frame)
        if len(self._frames) <= MAX_QUEUED_FRAMES:
            return 0
        self._frames.popleft()
        return 1

    def pop(self, now: float) -> av.VideoFrame | None:
        """The next frame once it is due."""
        return self._frames.popleft() if self._frames and self._clock.is_due(now) else None
