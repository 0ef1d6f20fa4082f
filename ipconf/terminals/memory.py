"""The terminal that is your own code: write and read media as numpy arrays or av frames.

microphone = MediaStreamTerminal(MediaType.AUDIO, Direction.CAPTURE, rate_hz=16_000)
await microphone.write(array)                  # goes out; waits while 200 ms are queued
speaker = MediaStreamTerminal(MediaType.AUDIO, Direction.RENDER, rate_hz=16_000)
async for samples in speaker: ...              # what arrives, int16 (n, channels)

Reading ends with the call. While a call is disconnected it waits: that may be connected again.
"""

import asyncio
from collections import deque
from typing import Any, ClassVar, Literal, Self, overload

import av

from ..errors import ClosedError, ConfigurationError, InvalidDirectionError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from .base import (
    MAX_LAG_S,
    CaptureTerminal,
    RenderTerminal,
    Samples,
    Terminal,
    TerminalHost,
)
from .convert import AudioConverter, PictureConverter
from .queues import (
    MAX_QUEUE_S,
    MAX_QUEUED_FRAMES,
    AudioFormat,
    AudioQueue,
    BlockCutter,
    PictureQueue,
)


class MediaStreamTerminal(Terminal):
    """A terminal whose other end is the application (MSPI: media streaming terminal).

    With `Direction.CAPTURE` you get a `MediaStreamCapture` to write into, with
    `Direction.RENDER` a `MediaStreamRender` to read from.
    """

    terminal_class: ClassVar[str] = "media stream"

    @overload
    def __new__(
        cls,
        media_type: MediaType,
        direction: Literal[Direction.CAPTURE],
        *,
        name: str = ...,
        rate_hz: int = ...,
        channels: int = ...,
        block_samples: int | None = ...,
        fps: float = ...,
    ) -> "MediaStreamCapture": ...
    @overload
    def __new__(
        cls,
        media_type: MediaType,
        direction: Literal[Direction.RENDER],
        *,
        name: str = ...,
        rate_hz: int = ...,
        channels: int = ...,
        block_samples: int | None = ...,
        arrays: bool = ...,
    ) -> "MediaStreamRender": ...
    def __new__(cls, media_type: MediaType, direction: Direction, **options: Any) -> Any:
        if cls is not MediaStreamTerminal:
            return super().__new__(cls)
        if direction is Direction.CAPTURE:
            return super().__new__(MediaStreamCapture)
        if direction is Direction.RENDER:
            return super().__new__(MediaStreamRender)
        raise InvalidDirectionError(
            f"a media stream terminal for {direction}: give Direction.CAPTURE or Direction.RENDER"
        )

    _format: AudioFormat

    @property
    def format(self) -> AudioFormat | None:
        """What the application writes or reads, for good; None for pictures."""
        return self._format if self.media_type is MediaType.AUDIO else None

    def _check_format(self, rate_hz: int, channels: int, block_samples: int | None) -> AudioFormat:
        if block_samples is not None and self.media_type is not MediaType.AUDIO:
            raise ConfigurationError("pictures have no block_samples; leave it out")
        return AudioFormat(rate_hz, channels, block_samples).check()


class MediaStreamCapture(MediaStreamTerminal, CaptureTerminal):
    """The application writes, the stream sends.

    `rate_hz` is the rate of the arrays written (av frames know their own), `channels` is what the
    stream gets, `fps` the most pictures sent per second. With `block_samples` the format is fixed:
    all audio written must have that many samples, that rate and those channels. One task writes at
    a time.
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
        self._room = asyncio.Event()
        self._queue: AudioQueue | PictureQueue
        if media_type is MediaType.AUDIO:
            self._queue = AudioQueue(self._format)
        else:
            self._queue = PictureQueue(fps)

    async def write(self, media: Any) -> None:
        """Send `media`; waits while 200 ms or more are queued, so it paces the caller.

        Audio: int16 or float32 (full scale 1.0), shape (n,) or (n, channels), at most 60 s, or
        av.AudioFrame. Video: RGB uint8 (height, width, 3) or av.VideoFrame, which must not be
        changed afterwards. Raises UsageError for anything else, ClosedError when closed.
        """
        self._check_open()
        for piece in self._queue.pieces(media):
            while not self._queue.has_room:
                self._room.clear()
                await self._room.wait()
                self._check_open()
            self._queue.push(piece)

    def write_nowait(self, media: Any) -> None:
        """Like `write`, at once: of more than 1 s (8 pictures) the oldest is dropped."""
        self._check_open()
        for piece in self._queue.pieces(media):
            self.dropped += self._queue.push(piece)

    def read(self, now: float) -> Samples | av.VideoFrame | None:
        """What the application wrote: the next 20 ms, or the next picture when it is due."""
        if self._closed:
            return None
        media = self._queue.pop(now)
        if self._queue.has_room:
            self._room.set()
        return media

    def close(self) -> None:
        """No more sending; a `write` that waits raises ClosedError."""
        super().close()
        self._room.set()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.identity} is closed; create a new terminal")


class MediaStreamRender(MediaStreamTerminal, RenderTerminal):
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
        self._arrived = asyncio.Event()
        self._taken_off = False

    def attach(self, host: TerminalHost) -> None:
        """As for every terminal; what arrives can be read from now on."""
        super().attach(host)
        self._taken_off = False

    def detach(self, host: TerminalHost) -> None:
        """As for every terminal; who waits for media is told that none will come."""
        if host in self._hosts:
            self._taken_off = True
            self._arrived.set()
        super().detach(host)

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
        self._arrived.set()

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
            self._arrived.clear()
            await self._arrived.wait()
        return media

    def __aiter__(self) -> Self:
        """All that arrives until the terminal is closed or taken off its stream."""
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.read()
        except ClosedError:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Nothing more arrives; what is queued can still be read."""
        super().close()
        self._arrived.set()
