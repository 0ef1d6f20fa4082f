"""Encoders of the mixes: each distinct mix is encoded once, however many legs hear it."""

from __future__ import annotations

from collections.abc import Hashable

from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ..pipelines.audio_sender import AudioSender, EncodedAudio
from ..terminals.base import Samples
from .legs import LegOutlet

KEPT_TICKS = 50
"""An encoder that nobody used for a second is given up."""
RETRY_TICKS = 50
"""One that could not be made, or failed, is tried again after a second."""


class MixEncoder:
    """Encodes one mix, tick by tick, for legs of one encoding."""

    def __init__(self, outlet: LegOutlet, timestamp_samples: int) -> None:
        assert outlet.outlet is not None  # the leg hears
        fmt = outlet.outlet.format
        self._sender = AudioSender(
            fmt,
            outlet.outlet.settings.audio_bitrate_bps,
            timestamp_samples * fmt.clock_rate // AUDIO_RATE_HZ,
            wishes=outlet.wishes,
        )
        self.used = 0
        """The number of the tick in which it was used last."""

    @property
    def shareable(self) -> bool:
        """Whether its packets end with the tick: then legs may come and go at any time."""
        return AUDIO_FRAME_SAMPLES % round(self._sender.packet_s * AUDIO_RATE_HZ) == 0

    def encode(self, block: Samples) -> list[EncodedAudio]:
        """The packets that are complete with these 20 ms; MediaError if the encoder fails."""
        return self._sender.push(block)

    def prime(self, block: Samples | None) -> None:
        """Let a new encoder begin as if it had encoded what was heard before."""
        if block is not None:
            self._sender.prime(block)


class EncoderPool:
    """The encoders in use, by what they encode and how."""

    def __init__(self) -> None:
        self._encoders: dict[Hashable, MixEncoder] = {}
        self._failed: dict[Hashable, int] = {}
        self.failures = 0
        """Times an encoder could not be made, or failed."""

    def __len__(self) -> int:
        return len(self._encoders)

    def encode(
        self, key: Hashable, outlet: LegOutlet, block: Samples, number: int, samples: int
    ) -> list[EncodedAudio]:
        """Encode 20 ms with the encoder of that key; nothing if it fails.

        `outlet` is one of those that will send it, `number` that of the tick, which begins
        `samples` of 48 kHz after the bridge did.
        """
        if number < self._failed.get(key, number):
            return []
        try:
            encoder = self._encoders.get(key)
            if encoder is None:
                encoder = self._encoders[key] = MixEncoder(outlet, samples)
                encoder.prime(outlet.heard)
                outlet.apart = not encoder.shareable
            encoder.used = number
            return encoder.encode(block)
        except MediaError:
            self.failures += 1
            self._encoders.pop(key, None)
            self._failed[key] = number + RETRY_TICKS
            return []

    def forget_unused(self, number: int) -> None:
        """Give up what was not used for some time; call it about once a second."""
        for key, encoder in tuple(self._encoders.items()):
            if number - encoder.used > KEPT_TICKS:
                del self._encoders[key]
        self._failed = {key: until for key, until in self._failed.items() if until > number}
