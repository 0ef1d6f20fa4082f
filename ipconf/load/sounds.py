"""What the legs say, and what can be told of it in what comes back.

The first talker says a sweep: its pitch tells from when a piece of it is, through whatever codecs
and buffers it came. Each other talker says a tone of its own. All is encoded beforehand, as pieces
that can be sent over and over.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..codecs.registry import create_audio_decoder, create_audio_encoder
from ..engine.session_config import PayloadFormat
from ..model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]

BITRATE_BPS = 32_000
"""What a call sends by default."""
PERIOD_S = 2.0
"""Then all sounds begin anew."""
PERIOD_PACKETS = round(PERIOD_S / AUDIO_FRAME_S)
MAX_TALKERS = 150
"""So many tones, 10 Hz apart, have a place below the sweep."""
ROUND_TALKERS = 10
"""More, and everybody talks lower, so that their sum does not have to be limited."""

_FIRST_HZ, _LAST_HZ, _MAX_STEP_HZ = 400, 1900, 130
_SWEEP_HZ = 2200.0, 3200.0
_SWEEP_EDGE_S = 0.15
"""So near its end, where it begins anew, its pitch says nothing."""
_SETTLING_PACKETS = 10
"""A decoder needs some 200 ms to find its way into a stream."""
_PURITY = 0.8
"""Share of the energy around a pitch in the sweep's band, for it to be clear."""
_FFT_SAMPLES = 8192
_PEAK_BINS = 12
_HEARD_DB = 10.0
"""So much softer than said a tone is heard still."""
_ABSENT_DB = 15.0
"""So much softer, and it is not there: what else Opus makes of many tones is 21 dB below them."""


def talk_level(talkers: int) -> int:
    """How loud each of so many talks, as in RFC 6464."""
    return 20 if talkers <= ROUND_TALKERS else 30


QUIET_LEVEL = 70
"""Of those who do not talk: the noise of a room."""


def tone_hz(talker: int, talkers: int) -> int:
    """The pitch of a talker's tone, of so many who talk; of talker 0 nobody asks."""
    return _FIRST_HZ + min(_MAX_STEP_HZ, (_LAST_HZ - _FIRST_HZ) // talkers) * talker


def spoken(talker: int, talkers: int) -> Samples:
    """What a talker says in `PERIOD_S`, of so many who talk, (n, 1)."""
    time_s = np.arange(int(PERIOD_S * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    low, high = _SWEEP_HZ
    turns = time_s * (low + (high - low) / PERIOD_S / 2 * time_s)
    if talker:  # in such phases that peaks do not add up (M. R. Schroeder, 1970)
        turns = time_s * tone_hz(talker, talkers) + talker**2 / (2 * talkers)
    wave = 32768 * 10 ** (-talk_level(talkers) / 20) * np.sqrt(2) * np.sin(2 * np.pi * turns)
    samples: Samples = np.rint(wave).astype(np.int16)[:, np.newaxis]
    return samples


def quiet() -> Samples:
    """The noise of a room for `PERIOD_S`, (n, 1)."""
    shape = (int(PERIOD_S * AUDIO_RATE_HZ), 1)
    rms = 32768 * 10 ** (-QUIET_LEVEL / 20)
    return np.rint(np.random.default_rng(1).normal(0, rms, shape)).astype(np.int16)


def encode(sound: Samples, payload_format: PayloadFormat) -> list[bytes]:
    """The sound as payloads of 20 ms that can be sent over and over."""
    encoder = create_audio_encoder(payload_format, BITRATE_BPS)
    payloads: list[bytes] = []
    for _ in range(2):  # the second time the encoder has settled
        payloads = [
            encoder.encode(sound[start : start + AUDIO_FRAME_SAMPLES]) or b""
            for start in range(0, len(sound), AUDIO_FRAME_SAMPLES)
        ]
    return payloads


def decode(payloads: Iterable[bytes], payload_format: PayloadFormat) -> list[Samples]:
    """The sound of each payload, (n, 1); the first ones are left out."""
    decoder = create_audio_decoder(payload_format)
    blocks = [decoder.decode(payload)[:, :1] for payload in payloads]
    return blocks[_SETTLING_PACKETS:]


def levels(blocks: list[Samples], talkers: int) -> dict[int, float]:
    """How loud each talker is in a second or two of sound, in dBov; nothing of less sound."""
    sound = np.concatenate([np.empty((0, 1)), *blocks])[:, 0]
    if len(sound) < AUDIO_RATE_HZ // 2:
        return {}
    window = np.hanning(len(sound))
    power = 2 * np.abs(np.fft.rfft(sound * window) / window.sum()) ** 2
    bin_hz = AUDIO_RATE_HZ / len(sound)
    band = power[int(_SWEEP_HZ[0] / bin_hz) : int(_SWEEP_HZ[1] / bin_hz) + 1]
    found = {0: float(band.sum()) / 1.5}  # of noise and sweeps a Hann window shows 1.5 times
    for talker in range(1, talkers):
        at = round(tone_hz(talker, talkers) / bin_hz)
        found[talker] = float(power[at - 2 : at + 3].max())
    return {t: float(10 * np.log10(p / 32768**2 + 1e-13)) for t, p in found.items()}


def is_heard(dbov: float, talkers: int) -> bool:
    """Whether somebody of that loudness is there, of so many who talk."""
    return dbov > -talk_level(talkers) - _HEARD_DB


def is_absent(dbov: float, talkers: int) -> bool:
    """Whether somebody of that loudness is not there."""
    return dbov < -talk_level(talkers) - _ABSENT_DB


def place_s(block: Samples) -> float | None:
    """Where in the sweep the middle of 20 ms is; None if that is not clear."""
    wave = block[:AUDIO_FRAME_SAMPLES, 0] * np.hanning(len(block[:AUDIO_FRAME_SAMPLES]))
    power: Floats = np.abs(np.fft.rfft(wave, _FFT_SAMPLES)) ** 2
    bin_hz = AUDIO_RATE_HZ / _FFT_SAMPLES
    low, high = (int(hz / bin_hz) for hz in _SWEEP_HZ)
    peak = low + int(power[low : high + 1].argmax())
    near = float(power[peak - _PEAK_BINS : peak + _PEAK_BINS + 1].sum())
    if near < _PURITY * float(power[low - _PEAK_BINS : high + _PEAK_BINS].sum()) or not near:
        return None
    before, at, after = np.log(power[peak - 1 : peak + 2] + 1e-9)
    pitch = (peak + float((before - after) / (2 * (before - 2 * at + after)))) * bin_hz
    place = (pitch - _SWEEP_HZ[0]) / (_SWEEP_HZ[1] - _SWEEP_HZ[0]) * PERIOD_S
    return place if _SWEEP_EDGE_S < place < PERIOD_S - _SWEEP_EDGE_S else None
