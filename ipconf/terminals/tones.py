"""Terminals that need no device: a tone to send, and a place where media ends."""

import math
from typing import ClassVar

import av
import numpy as np

from ..errors import ConfigurationError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from .base import CaptureTerminal, RenderTerminal, Samples
from .convert import FULL_SCALE, check_channels

MIN_LEVEL_DBOV = -127.0
"""Silence on the scale of RFC 6464."""
MAX_SINE_LEVEL_DBOV = -3.01
"""A sine of full amplitude: 0 dBov is the power of a square wave (RFC 6464 section 3)."""


class ToneTerminal(CaptureTerminal):
    """A sine of constant pitch and loudness; every read gives the next 20 ms of it."""

    terminal_class: ClassVar[str] = "tone"

    def __init__(
        self,
        frequency_hz: float = 440.0,
        level_dbov: float = -20.0,
        *,
        channels: int = 1,
        name: str = "tone",
    ) -> None:
        super().__init__(name, MediaType.AUDIO, Direction.CAPTURE)
        if not 0 < frequency_hz < AUDIO_RATE_HZ / 2:
            raise ConfigurationError(f"a tone of {frequency_hz} Hz: give 1 to 23999 Hz")
        if not MIN_LEVEL_DBOV <= level_dbov <= MAX_SINE_LEVEL_DBOV:
            raise ConfigurationError(
                f"a tone of {level_dbov} dBov: give {MIN_LEVEL_DBOV} to {MAX_SINE_LEVEL_DBOV}"
            )
        self.frequency_hz = frequency_hz
        self.level_dbov = level_dbov
        self._channels = check_channels(channels)
        amplitude = math.sqrt(2) * FULL_SCALE * 10 ** (level_dbov / 20)
        step = 2 * math.pi * frequency_hz / AUDIO_RATE_HZ
        angles = step * np.arange(AUDIO_FRAME_SAMPLES)
        # sin(a + phase) is a weighted sum of these two: no sines to compute per tick.
        self._sine = amplitude * np.sin(angles)
        self._cosine = amplitude * np.cos(angles)
        self._advance = step * AUDIO_FRAME_SAMPLES
        self._phase = 0.0

    def read(self, now: float) -> Samples | None:
        """The next 960 samples."""
        if self._closed:
            return None
        wave = self._sine * math.cos(self._phase) + self._cosine * math.sin(self._phase)
        self._phase = math.fmod(self._phase + self._advance, 2 * math.pi)
        samples = np.rint(wave).astype(np.int16)[:, np.newaxis]
        return samples if self._channels == 1 else np.repeat(samples, 2, axis=1)


class NullTerminal(RenderTerminal):
    """Takes media of either kind and only counts it."""

    terminal_class: ClassVar[str] = "null"

    def __init__(self, media_type: MediaType, *, name: str = "null") -> None:
        super().__init__(name, media_type, Direction.RENDER)
        self.blocks = 0
        """Audio blocks or video frames taken so far."""

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Count one block or frame."""
        self.blocks += 1
