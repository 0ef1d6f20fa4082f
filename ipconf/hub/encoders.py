"""Encoders of the mixes: each distinct mix is encoded once, however many legs hear it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ..codecs.opus_settings import OpusEffort
from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ..pipelines.audio_sender import AudioSender, EncodedAudio
from ..pipelines.effort import BITRATE_BPS, EffortPolicy
from ..terminals.base import Samples
from .call_legs import CallLeg

KEPT_TURNS = 50
"""An encoder that nobody used for a second is given up."""
RETRY_TURNS = 50
"""One that could not be made, or failed, is tried again after a second."""


class MixEncoder:
    """Encodes one mix, tick by tick, for legs of one encoding."""

    def __init__(self, legs: Sequence[CallLeg], mixes: int, spare: float, samples: int) -> None:
        way = legs[0].outlet.outlet
        assert way is not None  # it hears
        self._policy = EffortPolicy()
        self._legs = legs
        self._channels = 2 if way.settings.opus_stereo else 1
        self._effort = self._choose(mixes, spare)
        self._sender = AudioSender(
            way.format,
            way.settings.audio_bitrate_bps,
            samples * way.format.clock_rate // AUDIO_RATE_HZ,
            wishes=legs[0].outlet.wishes,
            effort=self._effort,
        )
        self.used = -1
        """The turn in which it was used last."""

    @property
    def shareable(self) -> bool:
        """Whether its packets end with the tick: then legs may come and go at any time."""
        return AUDIO_FRAME_SAMPLES % round(self._sender.packet_s * AUDIO_RATE_HZ) == 0

    def encode(self, legs: Sequence[CallLeg], block: Samples, turn: int) -> list[EncodedAudio]:
        """The packets that are complete with these 20 ms; MediaError if the encoder fails."""
        if self.shareable and turn - self.used > 1:
            # New, or last used some time ago: it goes on from what the listeners' decoders have.
            self._sender.prime(legs[0].outlet.heard)
        self.used, self._legs = turn, legs
        return self._sender.push(block)

    def adapt(self, mixes: int, spare: float) -> None:
        """Try as hard as the processor, and the networks of those who listen, let it."""
        effort = self._choose(mixes, spare)
        if effort != self._effort:  # what the encoder made of it may differ: the far end has limits
            self._effort = self._sender.effort = effort

    def _choose(self, mixes: int, spare: float) -> OpusEffort:
        loss = max(leg.outlet.loss for leg in self._legs)
        limit_bps = BITRATE_BPS * self._channels
        return self._policy.choose(mixes, limit_bps, loss, spare, self._channels)


class EncoderPool:
    """The encoders in use, by what they encode and how."""

    def __init__(self) -> None:
        self._encoders: dict[Hashable, MixEncoder] = {}
        self._failed: dict[Hashable, int] = {}
        self._mixes = 1
        self._spare = 1.0
        self._turn = 0
        self.failures = 0
        """Times an encoder could not be made, or failed."""

    def __len__(self) -> int:
        return len(self._encoders)

    def begin_turn(self) -> None:
        """All mixes of one tick are encoded from here on, once each."""
        self._turn += 1

    def encode(
        self, key: Hashable, legs: Sequence[CallLeg], block: Samples, samples: int
    ) -> list[EncodedAudio]:
        """Encode 20 ms for these legs with the encoder of that key; nothing if it fails.

        They begin at `samples` of 48 kHz on the bridge's clock.
        """
        if self._turn < self._failed.get(key, 0):
            return []
        try:
            encoder = self._encoders.get(key)
            if encoder is None:
                encoder = MixEncoder(legs, self._mixes, self._spare, samples)
                self._encoders[key] = encoder
                for leg in legs:
                    leg.outlet.apart = not encoder.shareable
            return encoder.encode(legs, block, self._turn)
        except MediaError:
            self.failures += 1
            self._encoders.pop(key, None)
            self._failed[key] = self._turn + RETRY_TURNS
            return []

    def adapt(self, mixes: int, spare: float) -> None:
        """Look after all encoders; to be called about once a second.

        `mixes` is how many distinct ones there are, `spare` the share of a core that is left. What
        was not used for some time is given up.
        """
        self._mixes, self._spare = mixes, spare
        for key, encoder in tuple(self._encoders.items()):
            if self._turn - encoder.used > KEPT_TURNS:
                del self._encoders[key]
            else:
                encoder.adapt(mixes, spare)
        self._failed = {key: until for key, until in self._failed.items() if until > self._turn}
