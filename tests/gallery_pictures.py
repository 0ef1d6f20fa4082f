"""Pictures that tell whose they are and which one, and who sends them, with a voice."""

from __future__ import annotations

import av
import numpy as np
from senses import AUDIO, CAPTURE, VIDEO

from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ipconf.terminals.base import CaptureTerminal, Samples

WIDTH, HEIGHT = 160, 96
FRAME_RATE = 10
COLOURS = {
    "A": (60, 200), "B": (200, 60), "C": (60, 60), "D": (200, 200),
    "E": (128, 220), "F": (220, 128), "a": (128, 40), "b": (40, 128),
}  # fmt: skip
"""U and V of each party's pictures; small letters are screens."""
NEAR = 30
BITS = 16
CELL = WIDTH // BITS


def draw(name: str, number: int) -> av.VideoFrame:
    """A picture of that party's colour; its number stands in black and white cells on top."""
    planes = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    planes[:HEIGHT] = 128
    for bit in range(BITS):
        planes[: HEIGHT // 2, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 16
    u, v = COLOURS[name]
    chroma = planes[HEIGHT:].reshape(-1)
    chroma[: chroma.size // 2], chroma[chroma.size // 2 :] = u, v
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def read(frame: av.VideoFrame) -> tuple[str, int]:
    """Whose picture it is, "?" for nobody's, and its number."""
    planes = frame.reformat(format="yuv420p").to_ndarray()
    height, width = frame.height, frame.width
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    u, v = (float(np.median(plane[height // 4 :])) for plane in chroma)
    name = min(COLOURS, key=lambda each: abs(COLOURS[each][0] - u) + abs(COLOURS[each][1] - v))
    if abs(COLOURS[name][0] - u) + abs(COLOURS[name][1] - v) > NEAR:
        name = "?"
    cell = width // BITS
    rows = planes[height // 8 : height * 3 // 8]
    cells = rows[:, : cell * BITS].reshape(len(rows), BITS, cell)[:, :, cell // 4 : -cell // 4]
    bits = cells.mean(axis=(0, 2)) > 128
    return name, int(sum(1 << bit for bit in range(BITS) if bits[bit]))


class Camera(CaptureTerminal):
    """Takes pictures of a party."""

    def __init__(self, name: str) -> None:
        super().__init__(f"camera of {name}", VIDEO, CAPTURE)
        self.shows = name
        self.number = 0
        self.off = False
        self.size = 1
        """How many times as wide and high as usual the pictures are."""
        self.restless = False
        """Whether much changes from one to the next, which takes many bits."""
        self._rng = np.random.default_rng(1)
        self._ticks = 0

    def read(self, now: float) -> av.VideoFrame | None:
        self._ticks += 1
        if self.off or self._ticks % (100 // FRAME_RATE):
            return None
        self.number += 1
        frame = draw(self.shows, self.number)
        if self.restless:
            planes = frame.to_ndarray()
            planes[HEIGHT // 2 : HEIGHT] = self._rng.integers(64, 192, (HEIGHT // 2, WIDTH))
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        return frame.reformat(WIDTH * self.size, HEIGHT * self.size)


class Mouth(CaptureTerminal):
    """Talks, in syllables, or is silent."""

    def __init__(self, hz: float = 300.0) -> None:
        super().__init__("mouth", AUDIO, CAPTURE)
        self.talks = False
        self._blocks = 0
        angles = np.arange(AUDIO_FRAME_SAMPLES) * 2 * np.pi * hz / AUDIO_RATE_HZ
        self._sound = np.rint(6000 * np.sin(angles)).astype(np.int16)[:, np.newaxis]

    def read(self, now: float) -> Samples | None:
        self._blocks += 1
        return self._sound if self.talks and self._blocks % 12 < 8 else np.zeros_like(self._sound)
