"""The queues between an application that writes media and the stream that sends it."""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError, UsageError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .base import FrameClock, Samples
from .convert import AudioConverter, PictureConverter, check_channels, check_rate, to_array

TARGET_QUEUE_S = 0.2
"""`write` waits until less than this is queued: enough for a late application, little delay."""
MAX_QUEUE_S = 1.0
"""What `write_nowait` may pile up, and what a reader may leave unread, before the oldest goes."""
MAX_QUEUED_FRAMES = 8
"""Unread or unsent pictures, each up to several megabytes, before the oldest goes."""
SLICES_PER_S = 50
"""Long arrays are converted and queued in pieces of 20 ms."""


class AudioFormat(NamedTuple):
    """The audio of an application (MSPI: ITAMMediaFormat, ITAllocatorProperties)."""

    rate_hz: int
    channels: int
    block_samples: int | None
    """Samples in each array; None if arrays are of any length."""

    def check(self) -> Self:
        """The format itself, or a ConfigurationError."""
        check_channels(self.channels)
        longest = int(MAX_QUEUE_S * check_rate(self.rate_hz))
        block = self.block_samples
        if block is not None and not (isinstance(block, int) and 0 < block <= longest):
            raise ConfigurationError(
                f"blocks of {block!r} samples: give a whole number, 1 to {longest}, or None"
            )
        return self

    def check_block(self, array: NDArray[Any], rate_hz: int) -> None:
        """A UsageError unless the array is a block of this format, where blocks are fixed."""
        if self.block_samples is None:
            return
        given = (rate_hz, 1 if array.ndim == 1 else array.shape[1], len(array))
        if given != (self.rate_hz, self.channels, self.block_samples):
            raise UsageError(
                f"{given[2]} samples of {given[1]} channels at {given[0]} Hz: this terminal was "
                f"made for exactly {self.block_samples} of {self.channels} at {self.rate_hz} Hz; "
                "give such blocks, or make it without block_samples"
            )


class BlockCutter:
    """Cuts audio into blocks of one size; a gap longer than `max_gap` samples interrupts it.

    The block before a gap, and the last one, are completed with silence. Times are in samples.
    """

    def __init__(self, block_samples: int, channels: int, max_gap: int) -> None:
        self._block_samples = block_samples
        self._max_gap = max_gap
        self._rest: Samples = np.empty((0, channels), np.int16)
        self._at = 0

    def cut(self, at: int, samples: Samples) -> list[tuple[int, Samples]]:
        """The blocks that are complete with these samples, which begin at `at`."""
        blocks: list[tuple[int, Samples]] = []
        if at > self._at + len(self._rest) + self._max_gap:
            blocks += self.finish()
            self._at = at
        samples = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        size = self._block_samples
        for start in range(0, len(samples) - size + 1, size):
            blocks.append((self._at, samples[start : start + size]))
            self._at += size
        self._rest = samples[len(samples) - len(samples) % size :]
        return blocks

    def finish(self) -> list[tuple[int, Samples]]:
        """What is left."""
        if not len(self._rest):
            return []
        block = np.zeros((self._block_samples, self._rest.shape[1]), np.int16)
        block[: len(self._rest)] = self._rest
        self._rest = self._rest[:0]
        return [(self._at, block)]


class AudioQueue:
    """Audio on its way from the application to the stream.

    `format` is that of the arrays that come in; 48 kHz with as many channels go out.
    """

    def __init__(self, format: AudioFormat) -> None:
        self._format = format.check()
        self._converter = AudioConverter(AUDIO_RATE_HZ, format.channels)
        self._blocks: deque[Samples] = deque()
        self._queued = 0
        self._starved = False

    @property
    def has_room(self) -> bool:
        """Whether less than the target is queued."""
        return self._queued < TARGET_QUEUE_S * AUDIO_RATE_HZ

    def pieces(self, media: NDArray[Any] | av.AudioFrame) -> Iterator[Any]:
        """The media converted, in pieces to push one after the other; raises UsageError."""
        array, rate_hz = to_array(media, self._format.rate_hz)
        self._format.check_block(array, rate_hz)
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
