"""Whether a load was carried: every packet came, and everybody heard whom they should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model import AUDIO_FRAME_S

EDGE_PACKETS = 2
"""At the ends of a time a packet or two are on their way."""
CATCH_UP_PACKETS = 5
"""As many ticks are made good where the hub was late, maybe outside of that time."""
NAMED = 5
"""So many of those who are missing are named."""


def find_failures(
    used: Mapping[str, Any],
    came: Mapping[str, Any],
    heard: Sequence[Mapping[str, Any]],
    *,
    loses: bool,
) -> list[str]:
    """What went wrong, in words, by the answers of `Hub.measure`, `Callers.measure` and `listen`.

    `loses` says that packets were lost on purpose.
    """
    found = []
    if used["skipped"]:
        found.append(f"the hub fell behind and left out {used['skipped']} ticks of 10 ms")
    seconds, packets = came["seconds"], came["packets"]
    wanted = seconds / AUDIO_FRAME_S - EDGE_PACKETS - CATCH_UP_PACKETS
    short = sum(number < wanted for number in packets)
    if short:
        found.append(f"{short} legs got too few packets, one {min(packets) / seconds:.1f} a second")
    # Of a packet lost on purpose it is known before that of its number, which the next one tells.
    holes = [lost for lost in came["lost"] if lost > (EDGE_PACKETS if loses else 0)]
    if holes:
        found.append(f"{sum(holes)} packets to {len(holes)} legs were lost")
    for leg in heard:
        if leg["missing"]:
            names = ", ".join(map(str, leg["missing"][:NAMED]))
            found.append(f"leg {leg['leg']} does not hear {len(leg['missing'])} talkers: {names}")
        if leg["echo"]:
            found.append(f"leg {leg['leg']} hears itself")
    if len(packets) > 1 and not any(leg["latencies"] for leg in heard):
        found.append("nobody hears the first talker well enough to tell how late sound is")
    return found
