"""How hard the encoders of a conference try: the best where its mixes are few, cheap where many.

Each distinct mix is encoded once. This is what one encoder costs and how natural it sounds, by
recorded speech (8 clips) that a leg had coded with VOIP, 5, 64 kbit/s and the conference coded
again; libopus 1.6, mono, frames of 20 ms. PESQ is that of ITU-T P.862.2, wideband, 4.64 at best:

| application, complexity, kbit/s, loss % | PESQ, this hop alone | both hops | µs a frame |
|---|---|---|---|
| VOIP, 5, 32, 10 | 4.20 | 4.07 | 280 |
| VOIP, 5, 64, 10 | 4.49 | 4.31 | 290 |
| VOIP, 5, 64, 0 | 4.53 | 4.29 | 230 |
| AUDIO, 5, 64, 0 | 4.55 | 4.46 | 230 |
| AUDIO, 5, 64, 10 | 4.54 | 4.43 | 290 |
| AUDIO, 0, 64, 0 | 4.47 | 4.40 | 120 |
| AUDIO, 0, 64, 10 | 4.40 | 4.32 | 120 |
| AUDIO, 0, 48, 0 | 4.35 | 4.33 | 110 |
| AUDIO, 0, 48, 10 | 4.24 | 4.15 | 110 |
| AUDIO, 5, 32, 0 | 4.37 | 4.30 | 220 |
| AUDIO, 5, 32, 10 | 4.21 | 4.14 | 250 |
| AUDIO, 0, 32, 0 | 4.09 | 4.06 | 110 |
| AUDIO, 5, 80, 0 | 4.42 | 4.36 | 95 |
| AUDIO, 5, 96, 0 | 4.43 | 4.40 | 100 |
| LOW_DELAY, 5, 64, 0 | 4.31 | 4.25 | 100 |
| LOW_DELAY, 5, 64, 10 | 3.94 | 3.90 | 100 |
| LOW_DELAY, 5, 96, 0 | 4.46 | 4.36 | 110 |

* AUDIO beats VOIP, which filters once more what the leg has filtered already.
* Up to 64 kbit/s, mono, AUDIO codes speech as speech if it is told that it is speech, with more as
  music (CELT): at complexity 5 that takes less time than speech does at complexity 0.
* Redundancy costs CELT, which has none, the most, and the others little above 48 kbit/s.

So the application is AUDIO for all, and no new encoder is needed: complexity and bit rate are what
the number of mixes changes, redundancy is what listeners report. Many mixes are coded as music
where nothing is lost and networks let it through, else as speech of the least complexity. Where
there are too few bits for that to sound well, many are lean only if the processor is busy.
"""

from __future__ import annotations

from ..codecs.opus_settings import OpusApplication, OpusEffort

BITRATE_BPS = 64_000
"""For each channel. Mono above it is coded as music, which sounds no better."""
BEST_COMPLEXITY = 5
MUSIC_BITRATE_BPS = 80_000
"""For each channel, many mixes are coded as music with so many, in less than half the time."""
LEAN_COMPLEXITY = 0
"""Takes half the time for speech."""
LEAN_BITRATE_BPS = 48_000
"""For each channel: with fewer bits the lean complexity is heard."""
REDUNDANCY_BPS = 16_000
"""For each channel: so many more it takes where some are spent on redundancy."""
MANY_MIXES = 10
"""With more than these, encoders are lean."""
FEW_MIXES = 7
"""With so many or fewer they are no longer."""
SCARCE_SHARE = 0.10
"""With less of a core left than this, encoders are lean however few and starved they are."""
AMPLE_SHARE = 0.25
"""So much is to be left when they cease to be."""
EXTRA_SHARE = 0.006
"""Of a core, that the best effort for one mix takes more than the lean one."""
LOSS_STEPS = ((0.02, 10), (0.10, 20), (0.20, 30))
"""From this share of lost packets on, redundancy is dimensioned for so many percent; until the
share is below half of that. 10 is the least that has an effect at 32 kbit/s, too."""


class EffortPolicy:
    """Decides on the effort of one encoder; what it decided before makes it slow to change."""

    def __init__(self) -> None:
        self._many = self._scarce = False
        self._step = 0

    def choose(
        self, mixes: int, limit_bps: int, loss: float, spare: float, channels: int = 1
    ) -> OpusEffort:
        """The effort for the encoder from now on; its application is always the same.

        `mixes` is how many distinct ones are encoded, `limit_bps` what the slowest listener of this
        one takes, `loss` the largest share of packets (0..1) that one of them reports lost, `spare`
        the share of a core that is left while all are encoded as they are now.
        """
        self._many = mixes > (FEW_MIXES if self._many else MANY_MIXES)
        if self._scarce:
            self._scarce = spare - mixes * EXTRA_SHARE < AMPLE_SHARE
        else:
            self._scarce = spare < SCARCE_SHARE
        self._step = self._loss_step(loss)
        music_bps = MUSIC_BITRATE_BPS * channels
        if (self._many or self._scarce) and not self._step and limit_bps >= music_bps:
            return OpusEffort(music_bps, OpusApplication.AUDIO, BEST_COMPLEXITY, 0)
        bitrate_bps = min(limit_bps, BITRATE_BPS * channels)
        enough_bps = LEAN_BITRATE_BPS + (REDUNDANCY_BPS if self._step else 0)
        lean = self._scarce or (self._many and bitrate_bps >= enough_bps * channels)
        return OpusEffort(
            bitrate_bps,
            OpusApplication.AUDIO,
            LEAN_COMPLEXITY if lean else BEST_COMPLEXITY,
            LOSS_STEPS[self._step - 1][1] if self._step else 0,
        )

    def _loss_step(self, loss: float) -> int:
        """How many of the steps the loss is above, 0 for none."""
        step = self._step
        while step < len(LOSS_STEPS) and loss >= LOSS_STEPS[step][0]:
            step += 1
        while step and loss < LOSS_STEPS[step - 1][0] / 2:
            step -= 1
        return step
