"""Announcements: sound that is played to a conference, or to some of it, once."""

from __future__ import annotations

import numpy as np

from ..errors import ConfigurationError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from ..terminals.base import CaptureTerminal, Samples


class Utterance(CaptureTerminal):
    """Says some sound once: int16, (n, 1) or (n, 2), at 48 kHz. ConfigurationError for other."""

    terminal_class = "utterance"

    def __init__(self, samples: Samples) -> None:
        super().__init__("utterance", MediaType.AUDIO, Direction.CAPTURE)
        fits = isinstance(samples, np.ndarray) and samples.dtype == np.int16
        if not fits or samples.ndim != 2 or samples.shape[1] not in (1, 2) or not len(samples):
            raise ConfigurationError(
                f"sound to announce is int16 of shape (n, 1) or (n, 2) at {AUDIO_RATE_HZ} Hz; "
                "for other sound use a MediaStreamTerminal or a file"
            )
        missing = -len(samples) % AUDIO_FRAME_SAMPLES
        self._samples = np.concatenate((samples, np.zeros((missing, samples.shape[1]), np.int16)))
        self._place = 0

    @property
    def done(self) -> bool:
        """Whether all is said."""
        return self._place >= len(self._samples)

    def read(self, now: float) -> Samples | None:
        if self.done:
            return None
        begin, self._place = self._place, self._place + AUDIO_FRAME_SAMPLES
        block: Samples = self._samples[begin : self._place]
        return block
