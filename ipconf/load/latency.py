"""How late sound is that went through the hub, by the sweep that the first talker says."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ..engine.session_config import PayloadFormat
from ..model import AUDIO_FRAME_S
from .sounds import PERIOD_PACKETS, Samples, decode, place_s

BLUR_S = 0.1
"""So far off is the place of a block at most in which sound was cut or concealed."""


def codec_shift(payloads: Sequence[bytes], payload_format: PayloadFormat) -> float:
    """How late the sweep is, in seconds, when it was encoded and decoded and nothing else."""
    blocks = decode(payloads, payload_format)
    first = len(payloads) - len(blocks)
    late = [
        (first + number + 0.5) * AUDIO_FRAME_S - place
        for number, block in enumerate(blocks)
        if (place := place_s(block)) is not None
    ]
    return median(late) if late else 0.0


def latencies(
    blocks: Sequence[Samples], arrived: Sequence[float], sent: Sequence[float], shift: float
) -> list[float]:
    """Seconds from the sending of sound until it came back, for each block that tells it.

    `sent` is when each packet of the sweep left, over and over from its beginning, `arrived` when
    each block came, and `shift` as of `codec_shift`.
    """
    found = []
    for block, at in zip(blocks, arrived, strict=True):
        place = place_s(block)
        if place is not None:  # the middle of packet n is at n + 1/2 packets of the sweep
            since = _since_sent((place + shift) / AUDIO_FRAME_S - 0.5, sent, at)
            found.extend([] if since is None else [since])
    return found


def _since_sent(number: float, sent: Sequence[float], at: float) -> float | None:
    """How long before `at` the packet of that number was sent, in whatever turn of the sweep."""
    whole = int(number // 1)
    latest = len(sent) - 2
    latest -= (latest - whole) % PERIOD_PACKETS
    for turn in range(latest, -1, -PERIOD_PACKETS):
        left = sent[turn] + (number - whole) * (sent[turn + 1] - sent[turn])
        if left <= at:
            return at - left
        if left <= at + BLUR_S:
            return None  # it is not that of the turn before either
    return None
