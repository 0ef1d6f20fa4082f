"""What several transports see of one another on a network: run in a namespace of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from join_lab import visits
from multicast_lab import NETWORK, OURS, OURS_IPV6, conference, members, place
from transport_lab import RTCP, rtp

from ipconf.model import LoopbackMode
from ipconf.sdp import write_description
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


def _ip(*lines: str) -> None:
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


async def interface_gone() -> object:
    """Of who sends and who only listens, when their network is taken away and made anew: how they
    end. A gateway is among them.
    """
    with TemporaryDirectory() as folder:
        tea = Path(folder, "tea.sdp")
        tea.write_text(write_description(conference()))  # noqa: ASYNC240
        async with visits() as join:
            options = (tea, "--interface", "here", "--loopback", "selective", "--name")
            listener = await join(*options, "Ann")
            sender = await join(*options, "Bob", "--send", "tone")
            gateway = await join(*options, "Hub", "--listen", "127.0.0.1:0", program="gateway")
            await listener.lists("Bob", "Hub")
            _ip("link del here")
            await asyncio.sleep(1.0)
            _ip(*NETWORK[1:])
            return [await end.end() for end in (listener, sender, gateway)]


async def interface_down() -> object:
    """Whether a group is still heard when its network was away for a moment."""
    async with members(place(interface="here", ttl=1), *MODES[1:]) as (one, other):
        _ip("link set here down")
        one.transport.send(rtp(1))
        await asyncio.sleep(1.0)
        _ip("link set here up", "route add 224.0.0.0/4 dev here")
        one.transport.send(rtp(2))
        await asyncio.sleep(0.2)
        ended = one.ended.done() or one.transport.error is not None
        return [ended, one.transport.counters.unsent, other.arrived.qsize()]


SCENES: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
    scene.__name__: scene for scene in (loopback_modes, one_source, interface_gone, interface_down)
}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(SCENES[sys.argv[1]]())))
