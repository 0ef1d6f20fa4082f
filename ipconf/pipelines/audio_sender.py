"""From captured sound of any block size to payloads, each of the packet time that was agreed on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codecs.base import DEFAULT_WISHES, AudioWishes
from ..codecs.comfort_noise import describe_noise
from ..codecs.g711 import G711Encoder
from ..codecs.opus_settings import OpusEffort, OpusEncoder
from ..codecs.registry import create_audio_encoder
from ..engine.session_config import PayloadFormat
from ..engine.speakers import level_of
from ..model import AUDIO_RATE_HZ
from ..terminals.convert import with_channels

SILENT_LEVEL = 50
"""-50 dBov and less is between the words."""
SILENT_AFTER_S = 0.2
"""So long after the last louder sound speech goes on: its ends are quiet."""
NOISE_PERIOD_S = 0.4
"""Noise is described so often, as Opus does it in its pauses."""

_TIMESTAMP_MASK = (1 << 32) - 1


class EncodedAudio(NamedTuple):
    """One packet to send."""

    payload: bytes
    timestamp: int
    """32-bit RTP timestamp."""
    marker: bool
    """First packet after silence (RFC 3551 section 4.1)."""
    level: int
    """Of the sound in it, 0 (loudest) .. 127 (RFC 6464)."""
    payload_type: int
    begins: int
    """Samples of 48 kHz from the beginning of the block pushed last; negative: it was before."""


class AudioSender:
    """Blocks, encodes and timestamps the sound of one capture stream.

    `payload_format` has the far end's parameters, which go before our `wishes`. `timestamp` is the
    RTP timestamp of the first sample, best a random one (RFC 3550 section 5.1). With `noise`, the
    far end's format for comfort noise, silence is not encoded but described. An `effort` for Opus
    goes before `bitrate_bps`.
    """

    def __init__(
        self,
        payload_format: PayloadFormat,
        bitrate_bps: int,
        timestamp: int = 0,
        *,
        wishes: AudioWishes = DEFAULT_WISHES,
        noise: PayloadFormat | None = None,
        effort: OpusEffort | None = None,
    ) -> None:
        self._encoder = create_audio_encoder(payload_format, bitrate_bps, wishes, effort)
        self._frame_samples = self._encoder.frame_samples
        self._step = 1  # samples of 48 kHz for each of ours
        self._frame_ticks = self._frame_samples * payload_format.clock_rate // AUDIO_RATE_HZ
        self._payload_type = payload_format.payload_type
        self._noise_type = None if noise is None else noise.payload_type
        self._timestamp = timestamp & _TIMESTAMP_MASK
        self._waiting = np.empty((0, self._encoder.channels), np.int16)
        self._marker = True
        self._quiet = self._described = 0  # samples since speech, and since noise was described

    @property
    def bitrate_bps(self) -> int:
        """Target bit rate; may be set at any time, within what the far end allows."""
        return self._encoder.bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None:
        self._encoder.bitrate_bps = value

    @property
    def packet_s(self) -> float:
        """How much sound goes into one packet."""
        return self._frame_samples * self._step / AUDIO_RATE_HZ

    @property
    def rate_hz(self) -> int:
        """Of the sound that is pushed, 48 kHz unless it is set; sound that waits is converted.

        What codecs are slower than may be had slower: a MediaError for any other rate.
        """
        return self._encoder.rate_hz

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        before, encoder = self._encoder.rate_hz, self._encoder
        encoder.rate_hz = value
        self._frame_samples = encoder.frame_samples
        self._step = AUDIO_RATE_HZ // value
        if value != before and len(self._waiting):
            self._waiting = _interpolated(self._waiting, value / before)

    @property
    def next_timestamp(self) -> int:
        """RTP timestamp of the sound that is pushed next."""
        waiting = len(self._waiting) * self._frame_ticks // self._frame_samples
        return (self._timestamp + waiting) & _TIMESTAMP_MASK

    @property
    def codes(self) -> NDArray[np.uint8] | None:
        """The code for each sample (taken as unsigned), where a packet is nothing but those."""
        encoder = self._encoder
        if not isinstance(encoder, G711Encoder) or self._noise_type is not None:
            return None
        return None if len(self._waiting) else encoder.codes

    def coded(self, block: NDArray[np.int16], payload: bytes, level: int) -> EncodedAudio:
        """The packet of the next block, which was encoded elsewhere, by `codes`."""
        assert isinstance(self._encoder, G711Encoder)
        self._encoder.latest = block
        timestamp, marker = self._timestamp, self._marker
        self._timestamp = (timestamp + self._frame_ticks) & _TIMESTAMP_MASK
        self._marker = False
        return EncodedAudio(payload, timestamp, marker, level, self._payload_type, 0)

    def push(self, samples: NDArray[np.int16], level: int | None = None) -> list[EncodedAudio]:
        """Take (n, channels) samples of `rate_hz`; the packets that became full. MediaError if the
        encoder fails.

        `level` is that of the samples, for who knows it already.
        """
        size = self._frame_samples
        if samples.shape[1] != self._encoder.channels:
            samples, level = with_channels(samples, self._encoder.channels), None
        before = len(self._waiting)
        if not before and len(samples) == size:
            packet = self._encode(samples, 0, level)
            return [] if packet is None else [packet]
        if before:
            samples = np.concatenate((self._waiting, samples))
        whole = len(samples) - len(samples) % size
        self._waiting = samples[whole:]
        packets = []
        for start in range(0, whole, size):
            begins = (start - before) * self._step
            packet = self._encode(samples[start : start + size], begins)
            if packet is not None:
                packets.append(packet)
        return packets

    @property
    def effort(self) -> OpusEffort | None:
        """How hard an encoder for Opus tries; None for formats that have no choice."""
        return self._encoder.effort if isinstance(self._encoder, OpusEncoder) else None

    @effort.setter
    def effort(self, value: OpusEffort | None) -> None:
        if value is not None and isinstance(self._encoder, OpusEncoder):
            self._encoder.effort = value

    def prime(self, blocks: Iterable[NDArray[np.int16]]) -> None:
        """Begin as if these blocks of 20 ms had been sent before: `AudioEncoder.prime`."""
        for block in blocks:
            self._encoder.prime(with_channels(block, self._encoder.channels))

    def skip(self, samples: int) -> None:
        """Let time pass without sound: the capture paused for that many samples of 48 kHz.

        What waits for the rest of its packet is lost with it.
        """
        samples += len(self._waiting) * self._step
        self._waiting = self._waiting[:0]
        ticks = samples * self._frame_ticks // (self._frame_samples * self._step)
        self._timestamp = (self._timestamp + ticks) & _TIMESTAMP_MASK
        self._marker = True

    def reach(self, timestamp: int) -> bool:
        """Go on at that RTP timestamp, unless the next one is that or later: whether it was not.

        What waits for the rest of its packet is lost with it.
        """
        if not 0 < (timestamp - self.next_timestamp) & _TIMESTAMP_MASK < 1 << 31:
            return False
        self._waiting = self._waiting[:0]
        self._timestamp = timestamp & _TIMESTAMP_MASK
        self._marker = True
        return True

    def _encode(
        self, block: NDArray[np.int16], begins: int, level: int | None = None
    ) -> EncodedAudio | None:
        timestamp = self._timestamp
        self._timestamp = (timestamp + self._frame_ticks) & _TIMESTAMP_MASK
        if level is None:
            level = level_of(block)
        if self._noise_type is not None and self._is_silence(level):
            self._marker = True
            return self._describe(block, timestamp, level, begins)
        payload = self._encoder.encode(block)
        if payload is None:
            self._marker = True
            return None
        marker, self._marker = self._marker, False
        return EncodedAudio(payload, timestamp, marker, level, self._payload_type, begins)

    def _is_silence(self, level: int) -> bool:
        if level < SILENT_LEVEL:
            self._quiet = self._described = 0
            return False
        self._quiet += self._frame_samples * self._step
        return self._quiet > SILENT_AFTER_S * AUDIO_RATE_HZ

    def _describe(
        self, block: NDArray[np.int16], timestamp: int, level: int, begins: int
    ) -> EncodedAudio | None:
        """Noise like that of the block, if it is time to tell the far end of it."""
        assert self._noise_type is not None
        frame = self._frame_samples * self._step
        due = self._described % int(NOISE_PERIOD_S * AUDIO_RATE_HZ) < frame
        self._described += frame
        if not due:
            return None
        return EncodedAudio(
            describe_noise(block, self.rate_hz), timestamp, False, level, self._noise_type, begins
        )


def _interpolated(samples: NDArray[np.int16], ratio: float) -> NDArray[np.int16]:
    """As many times so many samples, in straight lines: good enough for some milliseconds."""
    at = np.arange(round(len(samples) * ratio)) / ratio
    places = np.arange(len(samples))
    lines = [np.interp(at, places, channel) for channel in samples.T]
    return np.stack(lines, axis=1).astype(np.int16)
