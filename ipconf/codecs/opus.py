"""Opus (RFC 6716, RFC 7587), by libopus where it can be loaded, else by PyAV.

PyAV's own encoder costs a filter graph with threads per encoder, and its decoder cannot conceal:
it is the fallback.
"""

from __future__ import annotations

import ctypes
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .base import AudioDecoder, AudioEncoder, Samples
from .libopus import COMPLEXITY, EXPECTED_LOSS_PERCENT, LibOpusDecoder, LibOpusEncoder, load
from .opus_packet import packet_samples
from .opus_settings import DEFAULT_SETTINGS, OpusSettings

_LAYOUTS = {1: "mono", 2: "stereo"}
_TIME_BASE = Fraction(1, AUDIO_RATE_HZ)


def create_opus_encoder(
    channels: int,
    bitrate_bps: int,
    library: ctypes.CDLL | None = None,
    settings: OpusSettings = DEFAULT_SETTINGS,
) -> AudioEncoder:
    """An Opus encoder; `library` instead of the libopus that `load()` finds."""
    library = library or load()
    if library is None:
        return PyAvOpusEncoder(channels, bitrate_bps, settings)
    return LibOpusEncoder(library, channels, bitrate_bps, settings)


def create_opus_decoder(channels: int, library: ctypes.CDLL | None = None) -> AudioDecoder:
    """An Opus decoder; `library` instead of the libopus that `load()` finds."""
    library = library or load()
    return PyAvOpusDecoder(channels) if library is None else LibOpusDecoder(library, channels)


def _create_context(mode: Literal["r", "w"], channels: int) -> AudioCodecContext:
    try:
        context = av.CodecContext.create("libopus", mode)
    except ValueError as exc:
        raise MediaError("this PyAV has no Opus: install one of its wheels, or libopus") from exc
    context.format = "s16"
    context.layout = _LAYOUTS[channels]
    context.sample_rate = AUDIO_RATE_HZ
    return context


class PyAvOpusEncoder(AudioEncoder):
    """Encodes with FFmpeg's wrapper of libopus, which never pauses."""

    def __init__(
        self, channels: int, bitrate_bps: int, settings: OpusSettings = DEFAULT_SETTINGS
    ) -> None:
        self.channels = channels
        self.frame_samples = settings.frame_samples
        self._settings = settings
        self.bitrate_bps = bitrate_bps

    @property
    def bitrate_bps(self) -> int:
        """Target bit rate; FFmpeg cannot change it, so that setting it starts a new encoder."""
        return self._bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None:
        settings = self._settings
        self._bitrate_bps = min(value, settings.max_bitrate_bps)
        context = _create_context("w", self.channels)
        context.time_base = _TIME_BASE
        context.bit_rate = self._bitrate_bps
        context.options = {
            "application": "voip",
            "compression_level": str(COMPLEXITY),
            "frame_duration": f"{1000 * settings.frame_samples / AUDIO_RATE_HZ:g}",
            "fec": str(int(settings.fec)),
            "packet_loss": str(EXPECTED_LOSS_PERCENT if settings.fec else 0),
            "vbr": "off" if settings.constant else "on",
            "cutoff": str(settings.bandwidth_hz),
        }
        self._context = context
        self._pts = 0

    def encode(self, samples: Samples) -> bytes | None:
        """One payload for (frame_samples, channels) samples; None while the encoder fills up."""
        self.check(samples)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1),
            format="s16",
            layout=_LAYOUTS[self.channels],
        )
        frame.sample_rate = AUDIO_RATE_HZ
        frame.time_base = _TIME_BASE
        frame.pts = self._pts
        self._pts += self.frame_samples
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as exc:
            raise MediaError(f"FFmpeg failed to encode Opus: {exc}") from exc
        return bytes(packets[0]) if packets else None


class PyAvOpusDecoder(AudioDecoder):
    """Decodes with FFmpeg's wrapper of libopus, which cannot conceal: losses fade out."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._context = _create_context("r", channels)
        self._last = np.zeros((AUDIO_FRAME_SAMPLES, channels), np.int16)

    def decode(self, payload: bytes) -> Samples:
        """The sound of one payload, (n, channels); MediaError if it is no Opus."""
        if not packet_samples(payload):
            raise MediaError(f"a payload of {len(payload)} bytes is no Opus packet")
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.FFmpegError as exc:
            raise MediaError(f"FFmpeg failed to decode Opus: {exc}") from exc
        if not frames:
            raise MediaError("FFmpeg made no sound of an Opus packet")
        samples = np.ascontiguousarray(frames[0].to_ndarray(), np.int16)
        samples = samples.reshape(-1, self.channels)
        self._last = samples
        return samples

    def conceal(self, samples: int) -> Samples:
        """The last sound backwards, fading out: without a click at either end."""
        echo = np.resize(self._last[::-1], (samples, self.channels))
        fade = np.linspace(1, 0, samples, dtype=np.float32)[:, np.newaxis]
        self._last = np.zeros((AUDIO_FRAME_SAMPLES, self.channels), np.int16)
        return (echo * fade).astype(np.int16)
