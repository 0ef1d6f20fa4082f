"""Several people's sound in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..model import AUDIO_FRAME_SAMPLES


def mix(blocks: Sequence[NDArray[np.int16]]) -> NDArray[np.int16]:
    """The sum of blocks of 20 ms, mono ones spread to stereo where others are; never wraps."""
    channels = max(block.shape[1] for block in blocks)
    total = np.zeros((AUDIO_FRAME_SAMPLES, channels), np.int32)
    for block in blocks:
        total[: len(block)] += block
    return np.clip(total, -32768, 32767).astype(np.int16)
