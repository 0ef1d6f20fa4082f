"""What several transports see of one another on a network: run in a namespace of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any

from multicast_lab import OURS, OURS_IPV6, members, place
from transport_lab import RTCP, rtp

from ipconf.model import LoopbackMode
from ipconf.transports.group_sockets import GroupPlace

MODES = tuple(LoopbackMode)


async def _exchange(where: GroupPlace) -> dict[str, list[str]]:
    """Whom each mode hears, when each has sent a packet on both ports."""
    heard = {}
    async with members(where, *MODES) as ends:
        for end in ends:
            end.transport.send(rtp())
            end.transport.send(RTCP)
        await asyncio.sleep(0.2)
        own = {end.transport.own: end.transport.loopback.value for end in ends}
        for end in ends:
            origins = sorted(own[origin] for origin in end.origins)
            heard[end.transport.loopback.value] = origins
    return heard


async def loopback_modes() -> object:
    """With IPv4 and IPv6, by the address and by the name of the interface."""
    seen = {}
    for group, interface in (
        ("239.255.77.1", OURS),
        ("239.255.77.2", "here"),
        ("ff15::77", "here"),
        ("ff12::77", "here"),
        ("ff15::78", OURS_IPV6),
    ):
        where = place(group=ip_address(group), interface=interface, ttl=1)
        seen[f"{group} {interface}"] = await _exchange(where)
    return seen


async def one_source() -> object:
    """Source-specific groups whose source is this host, and somebody else."""
    seen = {}
    for group, source in (
        ("232.1.77.1", OURS),
        ("232.1.77.2", "10.77.0.9"),
        ("ff35::77", OURS_IPV6),
        ("ff35::78", "fd77::9"),
    ):
        where = place(
            group=ip_address(group), interface="here", ttl=1, sources=(ip_address(source),)
        )
        seen[f"{group} {source}"] = (await _exchange(where))["selective"]
    return seen


SCENES: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
    scene.__name__: scene for scene in (loopback_modes, one_source)
}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(SCENES[sys.argv[1]]())))
