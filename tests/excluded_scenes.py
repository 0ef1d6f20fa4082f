"""Groups in a namespace of their own that somebody may not send to; run as a program."""

from __future__ import annotations

import asyncio
import json
import sys
from ipaddress import ip_address

from multicast_lab import OURS, OURS_IPV6, place
from multicast_scenes import _exchange


async def excluded() -> object:
    """Groups from which this host is excluded, and somebody else."""
    seen = {}
    for group, source in (
        ("239.77.77.1", OURS),
        ("239.77.77.2", "10.77.0.9"),
        ("ff15::77", OURS_IPV6),
        ("ff15::78", "fd77::9"),
    ):
        where = place(
            group=ip_address(group), interface="here", ttl=1, excluded=(ip_address(source),)
        )
        seen[f"{group} {source}"] = (await _exchange(where))["selective"]
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run({"excluded": excluded}[sys.argv[1]]())))
