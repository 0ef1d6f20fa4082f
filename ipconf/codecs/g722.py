"""G.722 at 64 kbit/s, 7 kHz of sound (ITU-T G.722; RFC 3551 section 4.5.2), with FFmpeg's codec.

Each payload byte is two samples of 16 kHz, yet the RTP clock is 8 kHz: a mistake of an early RFC
that everybody keeps.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from ..errors import MediaError
from ..model import AUDIO_RATE_HZ
from .base import Samples
from .waveform import WaveformDecoder, WaveformEncoder

RATE_HZ = 16_000
BITRATE_BPS = 64_000

_TIME_BASE = Fraction(1, RATE_HZ)


class G722Encoder(WaveformEncoder):
    """Encodes mono."""

    def __init__(self, frame_samples: int) -> None:
        super().__init__(RATE_HZ, 1, frame_samples, BITRATE_BPS)
        context = av.CodecContext.create("g722", "w")
        context.format = "s16"
        context.layout = "mono"
        context.sample_rate = RATE_HZ
        context.time_base = _TIME_BASE
        context.options = {"frame_size": str(frame_samples * RATE_HZ // AUDIO_RATE_HZ)}
        self._context = context
        self._pts = 0

    def prime(self, samples: Samples) -> None:
        """As of every encoder; this one adapts to what it encodes, so it does encode them."""
        if len(samples) == self.frame_samples:
            self.encode(samples)
        else:
            super().prime(samples)

    def _code(self, samples: Samples) -> bytes:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.time_base = _TIME_BASE
        frame.pts = self._pts
        self._pts += len(samples)
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as exc:
            raise MediaError(f"FFmpeg failed to encode G.722: {exc}") from exc
        return b"".join([bytes(packet) for packet in packets])


class G722Decoder(WaveformDecoder):
    """Decodes mono; any byte is two samples."""

    def __init__(self) -> None:
        super().__init__(RATE_HZ, 1)
        context = av.CodecContext.create("g722", "r")
        context.format = "s16"
        context.layout = "mono"
        context.sample_rate = RATE_HZ
        self._context = context

    def _decode(self, payload: bytes) -> Samples:
        try:
            frames = self._context.decode(av.Packet(payload)) if payload else []
        except av.FFmpegError as exc:
            raise MediaError(f"FFmpeg failed to decode G.722: {exc}") from exc
        if not frames:
            raise MediaError(f"{len(payload)} bytes of G.722 hold no sound")
        return np.concatenate([frame.to_ndarray().reshape(-1, 1) for frame in frames])
