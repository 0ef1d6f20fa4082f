"""Where the far end of a plain call really is: symmetric RTP that cannot be hijacked. Sans-IO.

A telephone behind a router that translates addresses describes one that nobody can send to. So what
it sends tells where it is (RFC 4961), by these rules:

* Who sends three packets in sequence, of one SSRC and a payload type that was agreed on, is the far
  end. With SRTP only what verifies gets here. Until then everybody is heard, and we send to where
  the description says.
* From then on nothing is taken from other hosts. Another address of the same host is heard (mixers,
  and programs that send from elsewhere than they listen), but not sent to.
* We send to where it sends from, if that is another host than described. On the described host the
  description tells the ports.
* Another address takes its place, in the same way, after `QUIET_S` in which nothing came from it;
  the host that the description names always, since the signalling vouches for that.
* RTCP goes to where RTCP of that host comes from, until some came to the port after that of RTP.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..engine.rtp_wire import HEADER_SIZE, is_rtcp

MIN_RUN = 3
"""Packets in sequence that make somebody the far end."""
QUIET_S = 8.0
"""Longer than between two reports of RTCP, which also say that somebody is there (7.5 s / 1.2)."""
MAX_CANDIDATES = 8
"""Sources from which not enough came yet; of more, the latest."""

Address = tuple[Any, ...]
Moved = Callable[[Address, Address], None]
"""Takes where RTP and RTCP are to be sent from now on."""


class Latch:
    """Whose packets are taken, and where ours go; `moved` is told when that changes."""

    __slots__ = (
        "heard",
        "source",
        "_candidates",
        "_described",
        "_moved",
        "_mux",
        "_payload_types",
        "_rtcp_heard",
        "_rtcp_source",
    )

    def __init__(
        self, rtp: Address, rtcp: Address, payload_types: Collection[int], moved: Moved
    ) -> None:
        """`rtp` and `rtcp` are the described addresses; without `payload_types` any will do."""
        self.source: Address | None = None
        """Where media come from; None before any."""
        self._described = rtp, rtcp
        self._mux = rtp == rtcp
        self._payload_types = payload_types
        self._moved = moved
        self.heard = 0.0
        """When any came from there."""
        self._rtcp_heard = 0.0
        self._rtcp_source: Address | None = None
        self._candidates: dict[tuple[Address, bytes], tuple[int, int]] = {}

    def admits(self, data: bytes, address: Address, now: float) -> bool:
        """Whether a datagram from there, not encrypted any more, is the far end's."""
        if address == self.source:
            self.heard = now
            return True
        if is_rtcp(data):
            return self._admits_rtcp(address, now)
        if self._may_take_over(address, now) and self._is_run(data, address):
            self._take(address, now)
        return self.source is None or self.source[0] == address[0]

    def _admits_rtcp(self, address: Address, now: float) -> bool:
        if self.source is None:
            self._rtcp_source, self._rtcp_heard = address, now
            return True
        if address[0] != self.source[0]:
            return False
        if address != self._rtcp_source:
            if self._rtcp_source is not None and now - self._rtcp_heard < QUIET_S:
                return True
            self._rtcp_source = address
            if address[0] != self._described[0][0] and not self._mux:
                self._moved(self.source, address)
        self._rtcp_heard = now
        return True

    def _may_take_over(self, address: Address, now: float) -> bool:
        if self.source is None:
            return True
        if address[0] == self.source[0]:
            return now - self.heard >= QUIET_S
        vouched = address[0] == self._described[0][0]
        return vouched or now - max(self.heard, self._rtcp_heard) >= QUIET_S

    def _is_run(self, data: bytes, address: Address) -> bool:
        known = self._payload_types
        if len(data) < HEADER_SIZE or (known and data[1] & 0x7F not in known):
            return False
        candidates, key = self._candidates, (address, data[8:12])
        number = data[2] << 8 | data[3]
        last, run = candidates.pop(key, (number - 1, 0))
        run = run + 1 if number == last + 1 & 0xFFFF else 1
        if len(candidates) >= MAX_CANDIDATES:
            del candidates[next(iter(candidates))]
        candidates[key] = number, run
        return run >= MIN_RUN

    def _take(self, address: Address, now: float) -> None:
        self.source, self.heard = address, now
        self._candidates.clear()
        host, port = address[:2]
        reports = self._rtcp_source
        if reports is None or reports[0] != host:
            self._rtcp_source, self._rtcp_heard = None, 0.0
            reports = (host, min(port + 1, 65_535))
        if host == self._described[0][0]:
            self._moved(*self._described)
        else:
            self._moved(address, address if self._mux else reports)
