"""What the tests of the waveform codecs share: sound through an encoder and a decoder."""

from __future__ import annotations

import numpy as np
import pytest
from audio_lab import RATE, level_db, pitch_hz
from numpy.typing import NDArray

from ipconf.codecs.base import AudioDecoder, AudioEncoder


def encode(encoder: AudioEncoder, sound: NDArray) -> list[bytes]:
    """The payloads of as much of the sound as makes whole packets."""
    size = encoder.frame_samples
    blocks = [sound[i : i + size] for i in range(0, len(sound) - size + 1, size)]
    return [payload for block in blocks if (payload := encoder.encode(block)) is not None]


def decode(decoder: AudioDecoder, payloads: list[bytes]) -> NDArray:
    """The sound of all payloads."""
    return np.concatenate([decoder.decode(payload) for payload in payloads])


def assert_same_tone(heard: NDArray, sound: NDArray, hz: float, within_db: float = 0.5) -> None:
    """Frequency, and loudness of each channel."""
    heard = heard[RATE // 4 :]
    for channel in range(heard.shape[1]):
        part = heard[:, channel : channel + 1]
        assert pitch_hz(part) == pytest.approx(hz, abs=1)
        assert level_db(part) == pytest.approx(level_db(sound[:, :1]), abs=within_db)


def delay_s(heard: NDArray, sound: NDArray) -> float:
    """How much later the sound is heard, by where the two are most alike."""
    size = min(len(heard), len(sound))
    one = sound[: size // 2, 0].astype(np.float64)
    other = heard[:size, 0].astype(np.float64)
    return float(np.argmax(np.correlate(other, one, "valid"))) / RATE


def longest_step(sound: NDArray) -> int:
    """Between two samples that follow each other."""
    return int(np.abs(np.diff(sound[:, 0].astype(np.int32))).max())


def losing_some(decoder: AudioDecoder, payloads: list[bytes], every: int = 10) -> NDArray:
    """The sound where every tenth payload is lost and concealed."""
    parts = [decoder.decode(payloads[0])]
    samples = len(parts[0])
    for index, payload in enumerate(payloads[1:], 1):
        lost = index % every == every // 2
        parts.append(decoder.conceal(samples) if lost else decoder.decode(payload))
    return np.concatenate(parts)


def gain_db(converted: NDArray, original: NDArray) -> float:
    """Of what comes after the beginning."""
    return level_db(converted[len(converted) // 4 :]) - level_db(original)


def noise(seconds: float, seed: int = 1, loudness: float = 3000.0) -> NDArray:
    """White noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, loudness, (round(seconds * RATE), 1)).clip(-32768, 32767).astype(np.int16)
