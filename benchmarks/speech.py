"""Recorded speech, and how much of it is left: PESQ of ITU-T P.862.2 (wideband, 4.64 at best).

The clips are those of Debian's alsa-utils, spoken by a person; without them it is the demo's, which
a synthesizer spoke and Opus has coded before. Scores of the two must not be compared.
"""

from __future__ import annotations

import wave
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ipconf.engine.session_config import PayloadFormat
from ipconf.load import sounds
from ipconf.load.processes import Broken
from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]

RECORDED = Path("/usr/share/sounds/alsa")
RECORDINGS = (
    "Front_Center", "Front_Left", "Front_Right", "Rear_Center", "Rear_Left", "Side_Right",
)  # fmt: skip
DEMO = Path(__file__).parent.parent / "ipconf" / "demo" / "clips" / "alice.ogg"
PESQ_RATE_HZ = 16_000
ABSENT = "not measured: pip install 'ipconf[bench]', which needs a C compiler"
PEAK = 0.5
"""Of full scale: as loud as people talk, with room for what codecs add."""
PAUSE_S = 0.3
"""Longer silence between clips is cut, so that nobody takes it for a pause."""
QUIET = 200
LEAD_S = 2.5
"""Speech comes before what is judged, until voice detection, encoders and buffers have settled."""
TAIL_S = 0.8
"""And silence after it, until all of it has come through."""
MOVED_S = 0.003
"""If one part came so much later than another, the machine was too busy for packets to be on time:
what is heard then is the jitter, not the codec."""
_PIECES = 8
_FILTER_TAPS = 121
_STEP = AUDIO_RATE_HZ // PESQ_RATE_HZ


def can_judge() -> bool:
    """Whether the package `pesq` is there."""
    return find_spec("pesq") is not None


def source() -> str:
    """Which clips are used."""
    recorded = all((RECORDED / f"{name}.wav").exists() for name in RECORDINGS)
    return "recorded speech (alsa-utils)" if recorded else "synthesized speech (demo)"


@cache
def original() -> Samples:
    """What is said and judged, some seconds of 48 kHz, (n, 1)."""
    if source().startswith("recorded"):
        clips = [_read_wav(RECORDED / f"{name}.wav") for name in RECORDINGS]
    else:
        clips = [_read_clip(DEMO)]
    joined = np.concatenate([_without_pauses(clip) for clip in clips])
    joined = joined[: len(joined) // AUDIO_FRAME_SAMPLES * AUDIO_FRAME_SAMPLES]
    scaled = joined * (PEAK * 32768 / np.abs(joined).max())
    samples: Samples = np.rint(scaled).astype(np.int16)[:, np.newaxis]
    return samples


@cache
def spoken() -> Samples:
    """All that is said: a lead, what is judged, and silence; whole frames of 20 ms, (n, 1)."""
    lead, tail = (round(s * AUDIO_RATE_HZ / 960) * 960 for s in (LEAD_S, TAIL_S))
    said = original()
    return np.concatenate([said[-lead:], said, np.zeros((tail, 1), np.int16)])


def _read_wav(path: Path) -> Floats:
    with wave.open(str(path)) as file:
        assert file.getparams()[:3] == (1, 2, AUDIO_RATE_HZ), f"{path} is not mono at 48 kHz"
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)


def _read_clip(path: Path) -> Floats:
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono", AUDIO_RATE_HZ)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(float)


def _without_pauses(clip: Floats) -> Floats:
    """The clip with no silence, at its ends or inside, longer than `PAUSE_S`."""
    loud = np.abs(clip) > QUIET
    span = round(PAUSE_S / 2 * AUDIO_RATE_HZ)
    edges = np.concatenate([[0], np.cumsum(loud)])
    at = np.arange(len(clip))
    near = edges[np.minimum(at + span, len(clip))] - edges[np.maximum(at - span, 0)]
    kept: Floats = clip[near > 0]
    return kept


def score(heard: Samples) -> float:
    """PESQ-WB of what was heard, with the original somewhere in it, (n, 1) samples of 48 kHz.

    Broken if it is not there, or did not come evenly; ImportError without the package `pesq`.
    """
    from pesq import pesq

    reference, degraded = _narrowed(original()), _narrowed(heard)
    if len(degraded) < len(reference):
        raise Broken(f"only {len(degraded) / PESQ_RATE_HZ:.1f} s of the speech came")
    start = _offset(reference, degraded)
    part = degraded[start : start + len(reference)]
    reference = reference[: len(part)]
    moved_s = _moved_s(reference, part)
    if moved_s > MOVED_S:
        raise Broken(f"the speech has gaps or was stretched, by up to {1e3 * moved_s:.0f} ms")
    return float(pesq(PESQ_RATE_HZ, reference, part, "wb"))


def decode(payloads: list[bytes], payload_format: PayloadFormat) -> Samples:
    """The sound of payloads that came one after the other, (n, 1)."""
    return np.concatenate([np.empty((0, 1), np.int16), *sounds.decode(payloads, payload_format)])


def _narrowed(sound: Samples) -> Samples:
    """The sound at 16 kHz, (n,), by a low-pass of linear phase, whose delay is taken out."""
    at = np.arange(_FILTER_TAPS) - _FILTER_TAPS // 2
    taps = np.sinc(at / _STEP * 0.95) * np.hamming(_FILTER_TAPS)
    filtered = np.convolve(sound[:, 0], taps / taps.sum(), "same")[::_STEP]
    return np.clip(np.rint(filtered), -32768, 32767).astype(np.int16)


def _moved_s(reference: Samples, part: Samples) -> float:
    """By how much pieces of a sound are nearer to each other, or further apart, than they were."""
    # Of their differences: without the low tones, which look alike a period apart.
    edges = [np.array_split(np.diff(sound.astype(float)), _PIECES) for sound in (reference, part)]
    late = []
    for said, heard in zip(*edges, strict=True):
        size = 1 << (2 * len(said)).bit_length()
        spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
        shift = int(np.fft.irfft(spectrum, size).argmax())
        late.append(shift if shift < size // 2 else shift - size)
    return (max(late) - min(late)) / PESQ_RATE_HZ


def _offset(reference: Samples, degraded: Samples) -> int:
    """Where in a longer sound the reference begins, by their correlation."""
    size = 1 << (len(reference) + len(degraded)).bit_length()
    spectrum = np.fft.rfft(degraded, size) * np.conj(np.fft.rfft(reference, size))
    last = max(1, len(degraded) - len(reference) + 1)
    return int(np.fft.irfft(spectrum, size)[:last].argmax())
