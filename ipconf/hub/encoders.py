"""Encoders of the mixes: each distinct mix is encoded once, however many legs hear it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codecs.opus_settings import OpusEffort, opus_channels, opus_settings
from ..codecs.waveform import BLOCKS_PER_S
from ..engine.speakers import levels_of
from ..errors import MediaError
from ..model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ..pipelines.audio_sender import AudioSender, EncodedAudio
from ..pipelines.effort import EffortPolicy
from ..terminals.base import Samples
from ..terminals.convert import with_channels
from .call_legs import CallLeg

KEPT_TURNS = 50
"""An encoder that nobody used for a second is given up."""
RETRY_TURNS = 50
"""One that could not be made, or failed, is tried again after a second."""
TABLE_CODECS = frozenset({"pcmu", "pcma"})
"""Those in which each sample is a code of its own."""


class Job(NamedTuple):
    """20 ms of a mix, to be encoded in one way."""

    key: Hashable
    """Of the encoder: which mix, and how it is encoded."""
    legs: Sequence[CallLeg]
    """Who is sent it, one at least."""
    block: Samples
    """(n, channels); those of one tick are of one rate, which n tells."""


class Codes:
    """The mixes of one tick in formats that are a table of codes: all of them at once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._made: dict[int, list[bytes]] = {}  # by the table's identity

    def of(self, place: int, table: NDArray[np.uint8]) -> bytes:
        """The payload for the job of that place."""
        made = self._made.get(id(table))
        if made is None:
            blocks = np.stack([with_channels(job.block, 1)[:, 0] for job in self._jobs])
            coded, size = table.take(blocks.view(np.uint16)).tobytes(), blocks.shape[1]
            made = [coded[at : at + size] for at in range(0, len(coded), size)]
            self._made[id(table)] = made
        return made[place]


class MixEncoder:
    """Encodes one mix, tick by tick, for legs of one encoding."""

    def __init__(self, legs: Sequence[CallLeg], mixes: int, spare: float, samples: int) -> None:
        way = legs[0].outlet.outlet
        assert way is not None  # it hears
        self._policy = EffortPolicy()
        self._legs = legs
        self._channels = opus_channels(way.format, legs[0].outlet.wishes)
        self._limit_bps = opus_settings(way.format, legs[0].outlet.wishes).max_bitrate_bps
        self._effort = self._choose(mixes, spare)
        self._sender = AudioSender(
            way.format,
            way.settings.audio_bitrate_bps,
            samples * way.format.clock_rate // AUDIO_RATE_HZ,
            wishes=legs[0].outlet.wishes,
            effort=self._effort,
        )
        self._rate_hz = AUDIO_RATE_HZ
        self.packet_s = self._sender.packet_s
        packet_samples = round(self.packet_s * AUDIO_RATE_HZ)
        by_codes = way.format.name.lower() in TABLE_CODECS
        self._by_codes = by_codes and packet_samples == AUDIO_FRAME_SAMPLES
        self._table: NDArray[np.uint8] | None = None
        self.shareable = AUDIO_FRAME_SAMPLES % packet_samples == 0
        """Whether its packets end with the tick: then legs may come and go at any time."""
        self.used = -1
        """The turn in which it was used last."""
        self._begins = samples  # its next block on the bridge's clock, in samples of 48 kHz

    def encode(
        self, job: Job, level: int, turn: int, place: int, codes: Codes, begins: int
    ) -> list[EncodedAudio]:
        """The packets that are complete with the 20 ms that begin at `begins` samples of 48 kHz.

        MediaError if the encoder fails.
        """
        rate_hz = len(job.block) * BLOCKS_PER_S
        if rate_hz != self._rate_hz:
            self._rate_hz = self._sender.rate_hz = rate_hz
            self._table = None
        if begins > self._begins:  # others had their own meanwhile, or nobody was served
            self._sender.skip(begins - self._begins)
        self._begins = begins + AUDIO_FRAME_SAMPLES
        if turn - self.used > 1 and self.shareable:
            # New, or last used some time ago: it goes on from what the listeners' decoders have.
            self._sender.prime(job.legs[0].outlet.heard)
            self._table = None
        self.used, self._legs = turn, job.legs
        if self._table is not None:
            return [self._sender.coded(job.block, codes.of(place, self._table), level)]
        packets = self._sender.push(job.block, level)
        if self._by_codes:
            self._table = self._sender.codes
        return packets

    def adapt(self, mixes: int, spare: float) -> None:
        """Try as hard as the processor, and the networks of those who listen, let it."""
        effort = self._choose(mixes, spare)
        if effort != self._effort:  # what the encoder made of it may differ: the far end has limits
            self._effort = self._sender.effort = effort

    def _choose(self, mixes: int, spare: float) -> OpusEffort:
        loss = max(leg.outlet.loss for leg in self._legs)
        return self._policy.choose(mixes, self._limit_bps, loss, spare, self._channels)


class EncoderPool:
    """The encoders in use, by what they encode and how."""

    def __init__(self) -> None:
        self._encoders: dict[Hashable, MixEncoder] = {}
        self._failed: dict[Hashable, int] = {}
        self._mixes = 1
        self._spare = 1.0
        self._turn = 0
        self.longest_s = AUDIO_FRAME_S
        """The longest packets that any of them has made."""
        self.failures = 0
        """Times an encoder could not be made, or failed."""

    def __len__(self) -> int:
        return len(self._encoders)

    def begin_turn(self) -> None:
        """All mixes of one tick are encoded from here on, once each."""
        self._turn += 1

    def encode_all(self, jobs: Sequence[Job], samples: int) -> list[list[EncodedAudio]]:
        """Encode 20 ms of each mix with its encoder; no packets of one that fails.

        They begin at `samples` of 48 kHz on the bridge's clock.
        """
        levels = levels_of([job.block for job in jobs]) if jobs else []
        codes = Codes(jobs)
        turn, encoders = self._turn, self._encoders
        packets: list[list[EncodedAudio]] = []
        for place, (job, level) in enumerate(zip(jobs, levels, strict=True)):
            if self._failed and turn < self._failed.get(job.key, 0):
                packets.append([])
                continue
            try:
                encoder = encoders.get(job.key) or self._make(job, samples)
                packets.append(encoder.encode(job, level, turn, place, codes, samples))
            except MediaError:
                self.failures += 1
                encoders.pop(job.key, None)
                self._failed[job.key] = turn + RETRY_TURNS
                packets.append([])
        return packets

    def _make(self, job: Job, samples: int) -> MixEncoder:
        encoder = MixEncoder(job.legs, self._mixes, self._spare, samples)
        self._encoders[job.key] = encoder
        self.longest_s = max(self.longest_s, encoder.packet_s)
        for leg in job.legs:
            leg.outlet.apart = not encoder.shareable
        return encoder

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
