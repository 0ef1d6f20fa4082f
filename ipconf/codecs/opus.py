"""Opus (RFC 6716, RFC 7587), by libopus where it can be loaded, else by PyAV.

PyAV's own encoder costs a filter graph with threads per encoder, and its decoder cannot conceal:
it is the fallback.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .base import AudioDecoder, Samples
from .libopus import LibOpusDecoder, LibOpusEncoder, load
from .opus_packet import packet_samples
from .opus_settings import DEFAULT_SETTINGS, OpusEffort, OpusEncoder, OpusSettings

_LAYOUTS = {1: "mono", 2: "stereo"}
_TIME_BASE = Fraction(1, AUDIO_RATE_HZ)


def create_opus_encoder(
    channels: int,
    bitrate_bps: int,
    library: ctypes.CDLL | None = None,
    settings: OpusSettings = DEFAULT_SETTINGS,
    effort: OpusEffort | None = None,
) -> OpusEncoder:
    """An Opus encoder; `library` instead of the libopus that `load()` finds.

    `effort`, with its own bit rate, instead of the usual one.
    """
    library = library or load()
    if library is None:
        return PyAvOpusEncoder(channels, bitrate_bps, settings, effort)
    return LibOpusEncoder(library, channels, bitrate_bps, settings, effort)


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


class PyAvOpusEncoder(OpusEncoder):
    """Encodes with FFmpeg's wrapper of libopus, which never pauses.

    FFmpeg cannot change an encoder: another bit rate or effort starts a new one.
    """

    def __init__(
        self,
        channels: int,
        bitrate_bps: int,
        settings: OpusSettings = DEFAULT_SETTINGS,
        effort: OpusEffort | None = None,
    ) -> None:
        self.channels = channels
        self.frame_samples = settings.frame_samples
        self._settings = settings
        self._start(effort or OpusEffort(bitrate_bps))

    @property
    def bitrate_bps(self) -> int:
        """Target bit rate, at most what the far end allows."""
        return self._effort.bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None:
        self.effort = replace(self._effort, bitrate_bps=value)

    @property
    def effort(self) -> OpusEffort:
        """How hard it tries."""
        return self._effort

    @effort.setter
    def effort(self, value: OpusEffort) -> None:
        self.check_effort(value)
        self._start(value)

    def _start(self, effort: OpusEffort) -> None:
        settings = self._settings
        self._effort = replace(
            effort, bitrate_bps=min(effort.bitrate_bps, settings.max_bitrate_bps)
        )
        context = _create_context("w", self.channels)
        context.time_base = _TIME_BASE
        context.bit_rate = self._effort.bitrate_bps
        context.options = {
            "application": effort.application.value,
            "compression_level": str(effort.complexity),
            "frame_duration": f"{1000 * settings.frame_samples / AUDIO_RATE_HZ:g}",
            "fec": str(int(settings.fec)),
            "packet_loss": str(effort.loss_percent if settings.fec else 0),
            "vbr": "off" if settings.constant else "on",
            "cutoff": str(settings.bandwidth_hz),
        }
        self._context = context
        self._pts = 0

    def prime(self, samples: Samples) -> None:
        """Take in sound before the first packet, after silence where packets are longer."""
        self.check_primer(samples)
        block = np.zeros((self.frame_samples, self.channels), np.int16)
        latest = samples[-self.frame_samples :]
        block[-len(latest) :] = latest
        self.encode(block)

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
