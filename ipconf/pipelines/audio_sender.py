"""From captured sound of any block size to payloads of 20 ms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codecs.registry import create_audio_encoder
from ..engine.session_config import PayloadFormat
from ..engine.speakers import level_of
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ..terminals.convert import with_channels

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


class AudioSender:
    """Blocks, encodes and timestamps the sound of one capture stream.

    `timestamp` is the RTP timestamp of the first sample, best a random one (RFC 3550 section 5.1).
    """

    def __init__(self, payload_format: PayloadFormat, bitrate_bps: int, timestamp: int = 0) -> None:
        self._encoder = create_audio_encoder(payload_format, bitrate_bps)
        self._ticks_per_block = AUDIO_FRAME_SAMPLES * payload_format.clock_rate // AUDIO_RATE_HZ
        self._timestamp = timestamp & _TIMESTAMP_MASK
        self._waiting = np.empty((0, self._encoder.channels), np.int16)
        self._marker = True

    @property
    def bitrate_bps(self) -> int:
        """Target bit rate; may be set at any time."""
        return self._encoder.bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None:
        self._encoder.bitrate_bps = value

    def push(self, samples: NDArray[np.int16]) -> list[EncodedAudio]:
        """Take (n, channels) samples of 48 kHz; the packets that became full. MediaError if the
        encoder fails.
        """
        samples = with_channels(samples, self._encoder.channels)
        if len(self._waiting):
            samples = np.concatenate((self._waiting, samples))
        whole = len(samples) - len(samples) % AUDIO_FRAME_SAMPLES
        self._waiting = samples[whole:]
        packets = []
        for start in range(0, whole, AUDIO_FRAME_SAMPLES):
            packet = self._encode(samples[start : start + AUDIO_FRAME_SAMPLES])
            if packet is not None:
                packets.append(packet)
        return packets

    def skip(self, samples: int) -> None:
        """Let time pass without sound: the capture paused for that many samples of 48 kHz."""
        self._waiting = self._waiting[:0]
        ticks = samples * self._ticks_per_block // AUDIO_FRAME_SAMPLES
        self._timestamp = (self._timestamp + ticks) & _TIMESTAMP_MASK
        self._marker = True

    def _encode(self, block: NDArray[np.int16]) -> EncodedAudio | None:
        timestamp = self._timestamp
        self._timestamp = (timestamp + self._ticks_per_block) & _TIMESTAMP_MASK
        payload = self._encoder.encode(block)
        if payload is None:
            self._marker = True
            return None
        marker, self._marker = self._marker, False
        return EncodedAudio(payload, timestamp, marker, level_of(block))
