"""Sound that can be recognised: a tone for each stream, and a sweep that tells the time.

The pitch of the sweep rises steadily, so the pitch of any 20 ms of it says where in the sweep they
were taken from, whatever codec and buffer they went through.
"""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from ipconf.codecs.registry import FORMATS, create_audio_encoder
from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, MediaType

Samples = NDArray[np.int16]

BITRATE_BPS = 32_000
"""What a call sends by default."""
SWEEP_S = 3.0
SWEEP_FROM_HZ = 400.0
SWEEP_HZ_PER_S = 800.0
BLOCKS_PER_SWEEP = round(SWEEP_S * AUDIO_RATE_HZ / AUDIO_FRAME_SAMPLES)
SWEEP_EDGE_S = 0.1
"""So near the end of the sweep, where it begins anew, pitch says nothing."""
DECODER_SETTLES_FRAMES = 10
TONE_TOLERANCE_HZ = 10
"""Below half the distance of two tones."""
PURITY = 0.85
"""Share of its energy that a block must have around one pitch to count as undisturbed."""

_AMPLITUDE = 6000.0
_FFT_SAMPLES = 8192
_WINDOW = np.hanning(AUDIO_FRAME_SAMPLES)
_PEAK_BINS = 12  # on either side; the width of the window's main lobe and of the sweep in a block


def tone_hz(stream: int) -> int:
    """The pitch of a stream by its number: no two of the first hundred are alike."""
    return 400 + 25 * stream


def tone(frequency_hz: int, seconds: int = 1) -> Samples:
    """A tone that begins anew without a click every second, with a little noise in it."""
    time_s = np.arange(seconds * AUDIO_RATE_HZ) / AUDIO_RATE_HZ
    noise = np.random.default_rng(frequency_hz).normal(0, 60, len(time_s))
    wave = _AMPLITUDE * np.sin(2 * np.pi * frequency_hz * time_s) + noise
    return np.rint(wave).astype(np.int16)[:, np.newaxis]


def sweep() -> Samples:
    """`SWEEP_S` of sound whose pitch rises steadily."""
    time_s = np.arange(int(SWEEP_S * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    phase = 2 * np.pi * (SWEEP_FROM_HZ * time_s + SWEEP_HZ_PER_S / 2 * time_s**2)
    return np.rint(_AMPLITUDE * np.sin(phase)).astype(np.int16)[:, np.newaxis]


def encode(sound: Samples) -> list[bytes]:
    """The sound as Opus payloads of 20 ms that can be sent over and over."""
    encoder = create_audio_encoder(FORMATS[MediaType.AUDIO][0], BITRATE_BPS)
    payloads: list[bytes] = []
    for _ in range(2):  # the second time the encoder has settled
        payloads = [
            encoder.encode(sound[start : start + AUDIO_FRAME_SAMPLES]) or b""
            for start in range(0, len(sound), AUDIO_FRAME_SAMPLES)
        ]
    return payloads


def decode(payloads: Iterable[bytes]) -> Samples:
    """The sound of Opus payloads, mono, by FFmpeg: another decoder than the one measured.

    What comes first is left out: a decoder needs some 200 ms to find its way into a stream.
    """
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.sample_rate = AUDIO_RATE_HZ
    decoder.format = "s16"
    decoder.layout = "mono"
    frames = [f for payload in payloads for f in decoder.decode(av.Packet(payload))]
    blocks = [f.to_ndarray().reshape(-1, 1) for f in frames[DECODER_SETTLES_FRAMES:]]
    return np.concatenate([np.empty((0, 1), np.int16), *blocks])


def pitch_hz(block: Samples) -> float | None:
    """The pitch of a piece of sound, by its first channel; None if there is no clear one."""
    wave = block[:AUDIO_FRAME_SAMPLES, 0].astype(np.float64) * _WINDOW[: len(block)]
    power = np.abs(np.fft.rfft(wave, _FFT_SAMPLES)) ** 2
    peak = int(power.argmax())
    total = float(power.sum())
    near = float(power[max(0, peak - _PEAK_BINS) : peak + _PEAK_BINS + 1].sum())
    if not 0 < peak < len(power) - 1 or near < PURITY * total:
        return None
    before, at, after = np.log(power[peak - 1 : peak + 2])
    return float(peak + (before - after) / (2 * (before - 2 * at + after))) * (
        AUDIO_RATE_HZ / _FFT_SAMPLES
    )


def sweep_time_s(block: Samples) -> float | None:
    """Where in the sweep the middle of a block of 20 ms is; None if it is disturbed."""
    pitch = pitch_hz(block)
    if pitch is None:
        return None
    time_s = (pitch - SWEEP_FROM_HZ) / SWEEP_HZ_PER_S
    return time_s if SWEEP_EDGE_S < time_s < SWEEP_S - SWEEP_EDGE_S else None


def is_tone(sound: Samples, frequency_hz: int) -> bool:
    """Whether there is sound, and at least nine of ten blocks of it are that tone."""
    blocks = [sound[i : i + AUDIO_FRAME_SAMPLES] for i in range(0, len(sound), AUDIO_FRAME_SAMPLES)]
    pitches = [pitch_hz(block) for block in blocks if len(block) == AUDIO_FRAME_SAMPLES]
    right = sum(p is not None and abs(p - frequency_hz) < TONE_TOLERANCE_HZ for p in pitches)
    return bool(pitches) and right >= 0.9 * len(pitches)
