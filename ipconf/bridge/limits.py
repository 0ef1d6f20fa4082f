"""How much one address may ask of the bridge: rates, and guests at the same time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Self

from .refusals import Refused

REQUESTS_PER_S = 200.0
"""What one address may send; a page with all its parts takes about twenty, and a whole office,
which may have one address, opens it at the same time."""
REQUESTS_AT_ONCE = 2000.0
MAX_BUCKETS = 10_000
"""Addresses that are remembered; of more, those that would be let in anyway are forgotten."""


class Buckets:
    """Token buckets, one for each address: `burst` at once, and then `per_s` each second."""

    def __init__(self, per_s: float, burst: float, now: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}  # tokens, and when they were counted

    def take(self, address: str, number: float = 1.0) -> float:
        """Take tokens, one for the most part; returns 0.0, or in how many seconds they are there.

        Where they are not, none is taken; more than the burst are never there.
        """
        now = self._now()
        tokens, since = self._left.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_s)
        wait = 0.0 if tokens >= number else (number - tokens) / self._per_s
        self._left[address] = (tokens - number if wait == 0.0 else tokens, now)
        if len(self._left) > MAX_BUCKETS:
            self._forget(now)
        return wait

    def _forget(self, now: float) -> None:
        """Drop those that are full again, and in any case the quarter that came least lately."""
        refill_s = self._burst / self._per_s
        full = [address for address, (_, since) in self._left.items() if now - since >= refill_s]
        oldest = list(self._left)[: MAX_BUCKETS // 4]
        for address in {*full, *oldest}:
            del self._left[address]


class Admission:
    """A guest who was let in; counts for the address until released."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def release(self) -> None:
        """The guest has left; harmless when repeated."""
        release, self._release = self._release, None
        if release is not None:
            release()


class Limits:
    """What is let in; addresses are the text that sockets tell."""

    def __init__(
        self,
        max_sessions: int,
        joins_per_minute: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_sessions = max_sessions
        self._requests = Buckets(REQUESTS_PER_S, REQUESTS_AT_ONCE, now)
        self._joins = Buckets(joins_per_minute / 60, joins_per_minute, now)
        self._sessions: Counter[str] = Counter()
        self.stopping = False
        """While True nobody is admitted."""

    @property
    def sessions(self) -> int:
        """Guests who were let in and have not left."""
        return self._sessions.total()

    def admit(self, address: str) -> Admission:
        """Let a new guest in, who counts from now on; leave the result, or release it, at the end.

        Raises Refused: 503 when the server is stopping, 429 when this address has too many guests,
        or they come too fast.
        """
        if self.stopping:
            raise Refused(503, "stopping", "The server is stopping: try again in a minute.")
        group = group_of(address)
        if self._sessions[group] >= self._max_sessions:
            raise Refused(429, "too-many-sessions", "Too many guests come from this address.")
        if self._joins.take(group) > 0.0:
            raise Refused(429, "too-fast", "Too many guests came at once: wait some seconds.")
        self._sessions[group] += 1
        return Admission(lambda: self._release(group))

    def request(self, address: str) -> None:
        """Count a request; raises Refused (429) where they come too fast."""
        if self._requests.take(group_of(address)) > 0.0:
            raise Refused(429, "too-fast", "Too many requests: wait some seconds.")

    def _release(self, group: str) -> None:
        self._sessions[group] -= 1
        if self._sessions[group] <= 0:
            del self._sessions[group]


def group_of(address: str) -> str:
    """Whom an address stands for: itself, of IPv6 its /64, which is what one subscriber has."""
    try:
        ip = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(ip, IPv6Address):
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip_network((int(ip), 64), strict=False))
