"""The stream receives, the application reads: half of a media stream terminal."""

import asyncio
from collections import deque
from typing import Any, Self

import av

from ..errors import ClosedError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from .base import MAX_LAG_S, RenderTerminal, Samples
from .convert import AudioConverter, PictureConverter
from .media_stream import MediaStreamTerminal
from .queues import MAX_QUEUE_S, MAX_QUEUED_FRAMES, BlockCutter


class MediaStreamRender(MediaStreamTerminal, RenderTerminal, half=Direction.RENDER):
    """The stream receives, the application reads.

    Audio comes as int16 of shape (n, channels) at `rate_hz`, usually 20 ms at a time, or exactly
    `block_samples`; the last block before a silence is then filled up with zeros. Video comes as
    `av.VideoFrame`, or with `arrays` as RGB uint8 (height, width, 3).

    Reading waits for media until the terminal is closed or taken off its stream: by
    `unselect_terminal`, or because the call is closed or the person of a substream has left. What
    was queued can still be read. Selected anew, also elsewhere, it can be read again; a reader that
    waits does not notice a move in one go (`ParticipantSubStreamControl.switch_terminal`).
    """

    def __init__(
        self,
        media_type: MediaType,
        direction: Direction = Direction.RENDER,
        *,
        name: str = "media stream",
        rate_hz: int = AUDIO_RATE_HZ,
        channels: int = 1,
        block_samples: int | None = None,
        arrays: bool = False,
    ) -> None:
        super().__init__(name, media_type, direction)
        self._format = self._check_format(rate_hz, channels, block_samples)
        self.dropped = 0
        """Blocks of audio or frames that nobody read in time."""
        self.last_at: float | None = None
        """When the media read last is due, in seconds of the provider's clock."""
        self._audio = AudioConverter(rate_hz, channels)
        self._cutter = block_samples and BlockCutter(
            block_samples, channels, int(MAX_LAG_S * rate_hz)
        )
        self._blocks: deque[tuple[int, Samples]] = deque()
        self._pictures = PictureConverter() if arrays else None
        self._limit = MAX_QUEUED_FRAMES
        if media_type is MediaType.AUDIO:
            self._limit = int(MAX_QUEUE_S * AUDIO_RATE_HZ / AUDIO_FRAME_SAMPLES)
        self._queue: deque[tuple[Samples | av.VideoFrame, float]] = deque()
        self._changed = asyncio.Event()

    @property
    def _ended(self) -> bool:
        return self._closed or self._taken_off

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Queue what the stream received; the oldest goes when 1 s (8 pictures) is unread."""
        if self._closed:
            return
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append((media, at))
        self._changed.set()

    def read_nowait(self) -> Any:
        """What arrived next, or None."""
        while self._queue and not self._blocks:
            media, self.last_at = self._queue.popleft()
            if isinstance(media, av.VideoFrame):
                return self._pictures.to_rgb(media) if self._pictures else media
            samples = self._audio.convert(media, AUDIO_RATE_HZ)
            if self._cutter:
                at = round(self.last_at * self._audio.rate_hz)
                self._blocks.extend(self._cutter.cut(at, samples))
            elif len(samples):
                return samples
        if self._ended and self._cutter and not self._blocks:
            self._blocks.extend(self._cutter.finish())
        if not self._blocks:
            return None
        at, block = self._blocks.popleft()
        self.last_at = at / self._audio.rate_hz
        return block

    async def read(self) -> Any:
        """What arrived next, waiting for it; ClosedError after the end, when all is read."""
        while (media := self.read_nowait()) is None:
            if self._ended:
                state = "closed" if self._closed else "on no stream any more"
                raise ClosedError(f"{self.identity} is {state} and everything has been read")
            self._changed.clear()
            await self._changed.wait()
        return media

    def __aiter__(self) -> Self:
        """All that arrives until the terminal is closed or taken off its stream."""
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.read()
        except ClosedError:
            raise StopAsyncIteration from None
