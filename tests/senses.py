"""Known sounds and pictures, and how to recognise them at the far end."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from peers import LIMIT_S, together

from ipconf import Direction, MediaType
from ipconf.model import AUDIO_RATE_HZ
from ipconf.terminals.base import CaptureTerminal, FrameClock, RenderTerminal, Samples

AUDIO, VIDEO = MediaType.AUDIO, MediaType.VIDEO
CAPTURE, RENDER = Direction.CAPTURE, Direction.RENDER
SETTLE_SAMPLES = AUDIO_RATE_HZ // 10
"""Sound at the beginning that is not measured: buffers fill and decoders tune in."""
TONE_SAMPLES = AUDIO_RATE_HZ * 3 // 10
"""How long a tone must last."""

WIDTH, HEIGHT = 160, 96
Colour = tuple[int, int, int]
"""Y, U and V."""
RED: Colour = (81, 90, 240)
GREEN: Colour = (145, 54, 34)
BLUE: Colour = (41, 240, 110)
YELLOW: Colour = (210, 16, 146)
Picture = tuple[Colour, Colour]
"""The colours of the left and the right half."""
ALICE: Picture = (RED, GREEN)
BOB: Picture = (BLUE, YELLOW)
"""What the two show."""


def dominant_frequency(samples: Samples) -> float:
    """The strongest frequency of the first channel in Hz, to 1 Hz."""
    return float(_spectrum(samples).argmax())


def _spectrum(samples: Samples) -> NDArray[np.float64]:
    """How strong each frequency is, one value per Hz."""
    return np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples)), AUDIO_RATE_HZ))


def level_dbov(samples: Samples) -> float:
    """Mean power in dB below a square wave of full scale."""
    power = np.sum(np.square(samples.astype(np.float64))) / max(samples.size, 1) / 32768**2
    return float(10 * np.log10(max(power, 1e-13)))


def is_tone(samples: Samples, hz: float, dbov: float) -> bool:
    """Whether nothing in the samples is louder than that tone, and all is about as loud."""
    spectrum, around = _spectrum(samples), round(hz)
    tone = spectrum[around - 3 : around + 4].max()
    return bool(tone > spectrum.max() / 2 and abs(level_dbov(samples) - dbov) < 1.5)


def picture_of(frame: av.VideoFrame) -> Picture:
    """The mean colours of the two halves of a frame."""
    planes = frame.reformat(format="yuv444p").to_ndarray()
    middle = frame.width // 2
    left, right = planes[:, :, : middle - 8], planes[:, :, middle + 8 :]
    return _mean(left), _mean(right)


def _mean(planes: NDArray[np.uint8]) -> Colour:
    y, u, v = (round(float(value)) for value in planes.mean(axis=(1, 2)))
    return y, u, v


def is_picture(frame: av.VideoFrame, picture: Picture) -> bool:
    """Whether a frame shows that picture, but for what a codec at low rates does to it."""
    return bool(np.abs(np.subtract(picture_of(frame), picture)).max() < 12)


def paint(picture: Picture) -> av.VideoFrame:
    """A frame with that content."""
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, left, right in zip(frame.planes, *picture, strict=True):
        row = bytes([left]) * (plane.width // 2) + bytes([right]) * (plane.width // 2)
        plane.update(row.ljust(plane.line_size, b"\0") * plane.height)
    return frame


class PictureTerminal(CaptureTerminal):
    """A camera in front of which nothing moves."""

    def __init__(self, picture: Picture, fps: float = 25.0) -> None:
        super().__init__("picture", VIDEO, CAPTURE)
        self.picture = picture
        self._clock = FrameClock(fps)

    def read(self, now: float) -> av.VideoFrame | None:
        return paint(self.picture) if self._clock.is_due(now) else None


class Witness:
    """Keeps what somebody hears and sees, and checks it."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Samples] = asyncio.Queue()
        self.seen: asyncio.Queue[av.VideoFrame] = asyncio.Queue()

    async def gets(self, hz: float | None = None, picture: Picture | None = None) -> None:
        """Check what comes from now on, sound and pictures at the same time."""
        await together(
            self.hears(hz) if hz is not None else None,
            self.sees(picture) if picture is not None else None,
        )

    async def hears(self, hz: float, dbov: float = -20.0) -> None:
        """Return when 0.3 s of that tone have come, without a gap, from now on.

        On a machine that is busy with other things there are gaps, which says nothing.
        """
        _drain(self.heard)
        sound, rest = np.empty((0, 1), np.int16), SETTLE_SAMPLES
        try:
            async with asyncio.timeout(LIMIT_S):
                while len(sound) < TONE_SAMPLES or not is_tone(sound, hz, dbov):
                    block = await self.heard.get()
                    if rest > 0:
                        rest -= len(block)
                    else:
                        sound = np.concatenate((sound, block[:, :1]))[-TONE_SAMPLES:]
        except TimeoutError:
            heard = f"{dominant_frequency(sound):.0f} Hz at {level_dbov(sound):.1f} dBov"
            what = heard if len(sound) else "silence"
            raise AssertionError(f"{what} instead of {hz} Hz at {dbov} dBov") from None

    async def sees(self, picture: Picture, count: int = 5) -> None:
        """Return when so many pictures of that content have come from now on."""
        _drain(self.seen)
        last: object = None
        try:
            async with asyncio.timeout(LIMIT_S):
                while count:
                    frame = await self.seen.get()
                    last = picture_of(frame)
                    count -= is_picture(frame, picture)
        except TimeoutError:
            raise AssertionError(f"{last} is to be seen instead of {picture}") from None


def _drain(queue: asyncio.Queue[Any]) -> None:
    while not queue.empty():
        queue.get_nowait()


class Sink(RenderTerminal):
    """A terminal that puts everything into a queue."""

    def __init__(self, medium: MediaType, queue: asyncio.Queue[Any]) -> None:
        super().__init__("sink", medium, RENDER)
        self._queue = queue

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        self._queue.put_nowait(media)
