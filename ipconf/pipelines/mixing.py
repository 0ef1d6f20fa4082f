"""Several people's sound in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mix(blocks: Sequence[NDArray[np.int16]]) -> NDArray[np.int16]:
    """The sum of blocks of one length, mono ones spread where others are stereo; never wraps."""
    widths = {block.shape[1] for block in blocks}
    channels = max(widths)
    if len(widths) > 1:
        blocks = [b if b.shape[1] == channels else b.repeat(channels, axis=1) for b in blocks]
    rows = np.concatenate(blocks).reshape(len(blocks), -1)
    total = np.add.reduce(rows, axis=0, dtype=np.int32)
    np.minimum(total, 32767, out=total)
    np.maximum(total, -32768, out=total)
    mixed: NDArray[np.int16] = total.astype(np.int16).reshape(-1, channels)
    return mixed
