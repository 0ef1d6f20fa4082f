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
  another host, after as long in which nothing came from its host. The host that the description
  names may also in the first `TRIAL_S`, since somebody else may have been quicker, and by a report
  alone. Later it has to wait like others: whoever forges its address cannot end a call.
* While reports come from the described host no other takes over: it may be muted, or only listen.
* RTCP goes to where RTCP of that host comes from, until some came to the port after that of RTP.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from ..engine.rtp_wire import HEADER_SIZE, is_rtcp

MIN_RUN = 3
"""Packets in sequence that make somebody the far end."""
QUIET_S = 8.0
"""Longer than between two reports of RTCP, which also say that somebody is there (7.5 s / 1.2)."""
TRIAL_S = 5.0
"""Longer than until the first report of who only listens (RFC 3550 section 6.2: 3.1 s)."""
MAX_CANDIDATES = 16
"""Sources from which not enough came yet; of more, those that have got farthest."""
MAX_CANDIDATES_OF_HOST = 4
"""Of them, so that nobody crowds out others with SSRCs that they make up."""

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
        "_described_heard",
        "_host_heard",
        "_moved",
        "_mux",
        "_payload_types",
        "_rtcp_heard",
        "_rtcp_source",
        "_since",
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
        self.heard = -math.inf
        """When any came from there, ..."""
        self._host_heard = -math.inf  # ... or from another port of its host
        self._since = -math.inf  # that its host is the far end
        self._described_heard = -math.inf  # RTCP
        self._rtcp_heard = -math.inf
        self._rtcp_source: Address | None = None
        self._candidates: dict[tuple[Address, bytes], tuple[int, int]] = {}

    def admits(self, data: bytes, address: Address, now: float) -> bool:
        """Whether a datagram from there, not encrypted any more, is the far end's."""
        if address == self.source:
            self.heard = now
            return True
        if is_rtcp(data):
            return self._admits_rtcp(address, now)
        if self._may_take_over(address[0], now) and self._is_run(data, address):
            self._take(address, now)
        if self.source is not None:
            if address[0] != self.source[0]:
                return False
            self._host_heard = now
        return True

    def _admits_rtcp(self, address: Address, now: float) -> bool:
        rtp, rtcp = self._described
        described = address[0] in (rtp[0], rtcp[0])
        if described:
            self._described_heard = now
            if self.source is not None and self.source[0] not in (rtp[0], address[0]):
                if not self._may_be_replaced(now):
                    return False
                self._let_go()
        if self.source is not None:
            if address[0] != self.source[0] and not described:
                return False
            self._host_heard = now
        if address != self._rtcp_source:
            if self.source is not None and now - self._rtcp_heard < QUIET_S:
                return True
            self._rtcp_source = address
            if self.source is not None and self.source[0] != rtp[0] and not self._mux:
                self._moved(self.source, address)
        self._rtcp_heard = now
        return True

    def _may_take_over(self, host: Any, now: float) -> bool:
        if self.source is not None and host == self.source[0]:
            return now - self.heard >= QUIET_S
        if host == self._described[0][0]:
            return self.source is None or self._may_be_replaced(now)
        if now - self._described_heard < QUIET_S:
            return False
        return self.source is None or self._is_quiet(now)

    def _may_be_replaced(self, now: float) -> bool:
        """Whether whoever is at the described address may have the call of the one who has it."""
        return now - self._since < TRIAL_S or self._is_quiet(now)

    def _is_quiet(self, now: float) -> bool:
        return now - max(self.heard, self._host_heard) >= QUIET_S

    def _is_run(self, data: bytes, address: Address) -> bool:
        known = self._payload_types
        if len(data) < HEADER_SIZE or (known and data[1] & 0x7F not in known):
            return False
        candidates, key = self._candidates, (address, data[8:12])
        number = data[2] << 8 | data[3]
        last, run = candidates.pop(key, (number - 1, 0))
        run = run + 1 if number == last + 1 & 0xFFFF else 1
        self._make_room(address[0])
        candidates[key] = number, run
        return run >= MIN_RUN

    def _make_room(self, host: Any) -> None:
        """For one more candidate: of those in the way, the one whose run is the shortest goes."""
        candidates = self._candidates
        crowd = [key for key in candidates if key[0][0] == host]
        if len(crowd) < MAX_CANDIDATES_OF_HOST:
            crowd = list(candidates)
            if len(crowd) < MAX_CANDIDATES:
                return
        del candidates[min(crowd, key=lambda key: candidates[key][1])]

    def _take(self, address: Address, now: float) -> None:
        host, port = address[:2]
        if self.source is None or self.source[0] != host:
            self._since = now
        self.source, self.heard = address, now
        self._candidates.clear()
        reports = self._rtcp_source
        if reports is None or reports[0] != host:
            self._rtcp_source, self._rtcp_heard = None, -math.inf
            reports = (host, min(port + 1, 65_535))
        if host == self._described[0][0]:
            self._moved(*self._described)
        else:
            self._moved(address, address if self._mux else reports)

    def _let_go(self) -> None:
        """It was somebody else: nobody is known again, as in the beginning."""
        self.source, self._rtcp_source = None, None
        self._candidates.clear()
        self._moved(*self._described)
