"""What an Opus encoder is to do, from the far end's format parameters (RFC 7587) and our wishes."""

from __future__ import annotations

import enum
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from ..engine.session_config import PayloadFormat
from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .base import AudioEncoder, AudioWishes, Samples
from .packet_time import fitting_ptime_ms

PTIMES_MS = (10, 20, 40, 60, 80, 100, 120)
"""Packets that whole frames make up, from 10 ms on (RFC 6716 section 3.2.5)."""
MIN_BITRATE_BPS = 6_000
MAX_BITRATE_BPS = 510_000
"""The range of the format (RFC 7587 section 3.1.1)."""
BANDWIDTHS_HZ = (4_000, 6_000, 8_000, 12_000, 20_000)
"""Narrowband to fullband (RFC 6716 section 2)."""
COMPLEXITY = 5
"""Of 0..10; the upper half costs 40 % more time and is hardly heard in speech."""
DTX_COMPLEXITY = 7
"""The least where pauses are sent: below it libopus does not look at what is no speech, and takes
steady tones for silence."""
NEAR_SILENCE = 16
"""Samples within this, about -70 dBov, are a pause where pauses are sent; louder ones are if
libopus finds them so, 25 dB below the speech before them."""
_FRAMES = (120, 240, 480, 960, 1920, 2880)
"""Samples of the frames that packets are made of: 2.5 to 60 ms."""
EXPECTED_LOSS_PERCENT = 10
"""The least at which the encoder spends bits on in-band redundancy at 32 kbit/s, too."""


@dataclass(frozen=True, slots=True)
class OpusSettings:
    """How an encoder is set up besides its channels and bit rate."""

    frame_samples: int = AUDIO_FRAME_SAMPLES
    """Samples of 48 kHz per packet."""
    fec: bool = True
    """Put a coarse copy of each packet into the next one (useinbandfec)."""
    dtx: bool = False
    """Send next to nothing in silence (usedtx)."""
    constant: bool = False
    """The same number of bytes in each packet (cbr)."""
    max_bitrate_bps: int = MAX_BITRATE_BPS
    """What the bit rate is held below (maxaveragebitrate)."""
    bandwidth_hz: int = BANDWIDTHS_HZ[-1]
    """More than this the far end does not play (maxplaybackrate); one of `BANDWIDTHS_HZ`."""


DEFAULT_SETTINGS = OpusSettings()
"""Speech in packets of 20 ms that can be repaired."""


class OpusApplication(enum.Enum):
    """What an encoder is made for, by FFmpeg's names; it keeps that for life.

    All of them code speech as speech (SILK with CELT above it) but the last.
    """

    VOIP = "voip"
    """Takes away what is below a voice: best right behind a microphone."""
    AUDIO = "audio"
    """True to what it gets: best for sound that was coded before."""
    LOW_DELAY = "lowdelay"
    """CELT only: 4 ms less delay, half the time, more bits for the same speech, no redundancy."""


@dataclass(frozen=True, slots=True)
class OpusEffort:
    """How hard an encoder tries; all but the application may change at any time."""

    bitrate_bps: int
    """Target, held below what the far end allows."""
    application: OpusApplication = OpusApplication.VOIP
    complexity: int = COMPLEXITY
    """0..10: time for quality."""
    loss_percent: int = EXPECTED_LOSS_PERCENT
    """The loss to provide for where redundancy was agreed on. It costs bits, in CELT also quality,
    as frames then do not build on each other; 0 is best for a network that loses nothing."""


class OpusEncoder(AudioEncoder):
    """An encoder of Opus, whatever library does the work."""

    @property
    @abstractmethod
    def effort(self) -> OpusEffort:
        """How hard it tries; MediaError for another application, or what Opus does not have."""

    @effort.setter
    @abstractmethod
    def effort(self, value: OpusEffort) -> None: ...

    @abstractmethod
    def prime(self, samples: Samples) -> None:
        """Take in sound that comes before the first packet, as if it had been encoded.

        For a listener who comes from another encoder with the same sound, whose decoder goes on
        from what it had: without it there is a click. Two blocks of 20 ms, one after the other,
        are enough. It is worse than nothing for a decoder that begins, or begins anew as it does
        where `LOW_DELAY` follows another application. (n, channels) samples, 2.5 to 60 ms.
        """

    def check_effort(self, value: OpusEffort) -> None:
        """A MediaError if the effort is for another application."""
        if value.application is not self.effort.application:
            raise MediaError(
                f"this Opus encoder was made for {self.effort.application.value} and stays so: "
                f"make another one for {value.application.value}"
            )

    def check_primer(self, samples: Samples) -> None:
        """A MediaError unless the samples are of the encoder's channels and a frame of Opus."""
        shape = (len(samples), self.channels)
        if samples.shape != shape or samples.dtype != np.int16 or len(samples) not in _FRAMES:
            raise MediaError(
                f"give (n, {self.channels}) samples of int16 to prime an encoder, "
                f"n one of {_FRAMES}, not {samples.shape} of {samples.dtype}"
            )


def opus_channels(payload_format: PayloadFormat, wishes: AudioWishes) -> int:
    """Two where the far end prefers stereo and we have nothing against it, else one."""
    return 2 if wishes.stereo and payload_format.parameters.get("stereo") == "1" else 1


def opus_settings(payload_format: PayloadFormat, wishes: AudioWishes) -> OpusSettings:
    """What the far end's parameters and our wishes come to; nonsense in them counts as absent.

    Redundancy takes both sides; for pauses it is enough that the far end asks, or that we wish
    them and it does not forbid them.
    """
    said = payload_format.parameters
    limit_bps = _number(said.get("maxaveragebitrate"), MAX_BITRATE_BPS)
    playback_hz = _number(said.get("maxplaybackrate"), AUDIO_RATE_HZ)
    ptime_ms = fitting_ptime_ms(payload_format, wishes.ptime_ms, PTIMES_MS)
    return OpusSettings(
        frame_samples=ptime_ms * AUDIO_RATE_HZ // 1000,
        fec=wishes.fec and said.get("useinbandfec") == "1",
        dtx=said.get("usedtx") == "1" or (wishes.dtx and said.get("usedtx") != "0"),
        constant=said.get("cbr") == "1",
        max_bitrate_bps=min(max(limit_bps, MIN_BITRATE_BPS), MAX_BITRATE_BPS),
        bandwidth_hz=next((hz for hz in BANDWIDTHS_HZ if 2 * hz >= playback_hz), BANDWIDTHS_HZ[-1]),
    )


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else default
