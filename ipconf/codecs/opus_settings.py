"""What an Opus encoder is to do, from the far end's format parameters (RFC 7587) and our wishes."""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.session_config import PayloadFormat
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .base import AudioWishes
from .packet_time import fitting_ptime_ms

PTIMES_MS = (10, 20, 40, 60, 80, 100, 120)
"""Packets that whole frames make up, from 10 ms on (RFC 6716 section 3.2.5)."""
MIN_BITRATE_BPS = 6_000
MAX_BITRATE_BPS = 510_000
"""The range of the format (RFC 7587 section 3.1.1)."""
BANDWIDTHS_HZ = (4_000, 6_000, 8_000, 12_000, 20_000)
"""Narrowband to fullband (RFC 6716 section 2)."""


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
