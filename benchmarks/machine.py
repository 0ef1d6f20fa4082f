"""How fast the machine is just now, and how loaded: what the numbers of a run are to be seen with.

Hosts differ more in what the kernel takes than in arithmetic, so there are two figures.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ipconf.codecs.registry import CODEC_FORMATS
from ipconf.load import sounds

SOCKETS = 200
"""As many as legs have; one alone would stay in the processor's caches."""
PAIRS = 4000
DATAGRAM = bytes(160)
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at a time."""

    load_average: float
    encode_us: float
    """CPU microseconds to encode 20 ms of a tone by Opus."""
    datagram_us: float
    """CPU microseconds for a datagram through the loopback: a sendto and a recvfrom."""

    @classmethod
    def now(cls) -> Self:
        """Measured now; takes a fifth of a second."""
        return cls(os.getloadavg()[0], encode_us(), datagram_us())


def encode_us() -> float:
    """CPU microseconds to encode 20 ms of a tone by Opus."""
    tone = sounds.spoken(1, 1)
    cpu = time.process_time()
    payloads = sounds.encode(tone, CODEC_FORMATS["opus"][0])
    return (time.process_time() - cpu) * 1e6 / (2 * len(payloads))  # it encodes all twice


def datagram_us(pairs: int = PAIRS) -> float:
    """CPU microseconds for one sendto and one recvfrom, on many sockets in turn."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(SOCKETS):
            each = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            each.bind(("127.0.0.1", 0))
            sockets.append((each.sendto, each.recvfrom, each.getsockname()))
        cpu = time.process_time()
        for number in range(pairs):
            send, receive, address = sockets[number % SOCKETS]
            send(DATAGRAM, address)
            receive(2048)
        return (time.process_time() - cpu) * 1e6 / pairs


def described(machines: Sequence[Machine]) -> str:
    """Those times, in words, for a note."""
    loads = ", ".join(f"{m.load_average:.1f}" for m in machines)
    encodes = ", ".join(f"{m.encode_us:.0f}" for m in machines)
    datagrams = ", ".join(f"{m.datagram_us:.1f}" for m in machines)
    return f"load {loads}; an encode {encodes} us; a datagram {datagrams} us"


def cpu_model() -> str:
    """What the processor calls itself."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
