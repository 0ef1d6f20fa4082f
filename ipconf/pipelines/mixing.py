"""Several people's sound in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mix(blocks: Sequence[NDArray[np.int16]]) -> NDArray[np.int16]:
    """The sum of blocks of one length, mono ones spread where others are stereo; never wraps."""
    channels = max(block.shape[1] for block in blocks)
    alike = [b if b.shape[1] == channels else b.repeat(channels, axis=1) for b in blocks]
    rows = np.concatenate(alike).reshape(len(blocks), -1)
    total = np.add.reduce(rows, axis=0, dtype=np.int32)
    mixed: NDArray[np.int16] = np.clip(total, -32768, 32767).astype(np.int16)
    return mixed.reshape(-1, channels)
