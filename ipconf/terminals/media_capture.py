"""The application writes, the stream sends: half of a media stream terminal."""

import asyncio
from typing import Any

import av

from ..errors import ClosedError
from ..model import AUDIO_RATE_HZ, Direction, MediaType
from .base import CaptureTerminal, Samples
from .media_stream import MediaStreamTerminal
from .queues import AudioQueue, PictureQueue


class MediaStreamCapture(MediaStreamTerminal, CaptureTerminal, half=Direction.CAPTURE):
    """The application writes, the stream sends.

    `rate_hz` is the rate of the arrays written (av frames know their own), `channels` is what the
    stream gets, `fps` the most pictures sent per second. With `block_samples` the format is fixed:
    all audio written must have that many samples, that rate and those channels. One task writes at
    a time.

    `write` works until the terminal is closed or taken off its stream, by `unselect_terminal` or
    because the call is closed; also before it is selected, and again when it is selected anew. A
    writer that waits does not notice a move in one go.
    """

    def __init__(
        self,
        media_type: MediaType,
        direction: Direction = Direction.CAPTURE,
        *,
        name: str = "media stream",
        rate_hz: int = AUDIO_RATE_HZ,
        channels: int = 1,
        block_samples: int | None = None,
        fps: float = 30.0,
    ) -> None:
        super().__init__(name, media_type, direction)
        self._format = self._check_format(rate_hz, channels, block_samples)
        self.dropped = 0
        """Blocks of audio or frames that `write_nowait` had to throw away."""
        self._changed = asyncio.Event()
        self._queue: AudioQueue | PictureQueue
        if media_type is MediaType.AUDIO:
            self._queue = AudioQueue(self._format)
        else:
            self._queue = PictureQueue(fps)

    async def write(self, media: Any) -> None:
        """Send `media`; waits while 200 ms or more are queued, so it paces the caller.

        Audio: int16 or float32 (full scale 1.0), shape (n,) or (n, channels), at most 60 s, or
        av.AudioFrame. Video: RGB uint8 (height, width, 3) or av.VideoFrame, which must not be
        changed afterwards. Raises UsageError for anything else, and ClosedError when the terminal
        is closed or taken off its stream, also while it waits; what was not queued by then is lost.
        """
        self._check_sends()
        for piece in self._queue.pieces(media):
            while not self._queue.has_room:
                self._changed.clear()
                await self._changed.wait()
                self._check_sends()
            self._queue.push(piece)

    def write_nowait(self, media: Any) -> None:
        """Like `write`, at once: of more than 1 s (8 pictures) the oldest is dropped.

        While no stream has the terminal it queues as well; ClosedError only when it is closed.
        """
        self._check_open()
        for piece in self._queue.pieces(media):
            self.dropped += self._queue.push(piece)

    def read(self, now: float) -> Samples | av.VideoFrame | None:
        """What the application wrote: the next 20 ms, or the next picture when it is due."""
        if self._closed:
            return None
        media = self._queue.pop(now)
        if self._queue.has_room:
            self._changed.set()
        return media

    def _check_sends(self) -> None:
        self._check_open()
        if self._taken_off:
            raise ClosedError(
                f"{self.identity} is on no stream any more; select it again, or write no more"
            )
