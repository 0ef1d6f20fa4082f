"""Multicast groups on this machine: on `lo`, and in a network namespace of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

from peers import LOCALHOST
from transport_lab import End, free_ports

from ipconf import CallSettings
from ipconf.model import LoopbackMode
from ipconf.sdp import ConferenceDescription, Media
from ipconf.transports.group_sockets import GroupPlace
from ipconf.transports.multicast import MulticastTransport

HERE = CallSettings(multicast_interface=LOCALHOST, multicast_ttl=0, rtcp_min_interval_s=0.5)
"""Settings for groups within this machine, with reports as quick as tests like them."""
OURS, OURS_IPV6 = "10.77.0.1", "fd77::1"
NETWORK = (
    "link set lo up",
    "link add here type veth peer name there",
    f"addr add {OURS}/24 dev here",
    f"addr add {OURS_IPV6}/64 dev here nodad",
    "link set here up",
    "link set there up",
    "route add 224.0.0.0/4 dev here",
)
"""Arguments of `ip`: one network, of which we are the only host."""
ALONE = ("unshare", "--map-root-user", "--net")
LIMIT_S = 60.0
CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children")
"""Processes that we have started and that run."""

_numbers: Iterator[int] = count(secrets.randbelow(200))


def fresh_group() -> str:
    """A group that no other test uses."""
    return f"239.255.{secrets.randbelow(200)}.{1 + next(_numbers) % 250}"


def place(**changes: Any) -> GroupPlace:
    """A group on `lo`, with two ports that are free."""
    port = free_ports(2)
    fields = {
        "group": ip_address(fresh_group()),
        "port": port,
        "rtcp_port": port + 1,
        "interface": LOCALHOST,
        "ttl": 0,
    }
    return GroupPlace(**{**fields, **changes})


@asynccontextmanager
async def members(
    where: GroupPlace, *modes: LoopbackMode
) -> AsyncIterator[list[End[MulticastTransport]]]:
    """A transport for each mode, all in one group; they are closed when the test is over."""
    transports = [MulticastTransport(where, mode) for mode in modes]
    try:
        for transport in transports:
            await transport.open()
        yield [End(transport) for transport in transports]
    finally:
        for transport in transports:
            await transport.close()


def conference(*media: Media, group: str | None = None, **changes: Any) -> ConferenceDescription:
    """A conference with sound, or these media, in a group that no other test uses."""
    return ConferenceDescription.new(
        "Tea",
        now=time.time(),
        host=LOCALHOST,
        group=group or fresh_group(),
        media=media or (Media.audio(free_ports(2)),),
    ).replace(**changes)


def sound_and_pictures() -> ConferenceDescription:
    """A conference with both."""
    port = free_ports(4)
    return conference(Media.audio(port), Media.video(port + 2))


def can_be_alone() -> bool:
    """Whether this machine lets us make a namespace with a network in it."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    probe = [*ALONE, "ip", "link", "add", "here", "type", "veth", "peer", "name", "there"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def in_namespace(scenes: Path, scene: str) -> Any:
    """What a scene saw: `scenes` is run as a program with its name, and prints it as JSON."""
    setup = " && ".join(f"ip {line}" for line in NETWORK)
    command = [*ALONE, "sh", "-c", f'{setup} && exec "$0" "$@"', sys.executable, str(scenes), scene]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # whatever it has started, if it was late
    assert process.returncode == 0, err
    return json.loads(out)
