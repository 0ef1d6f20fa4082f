"""When to send RTCP: the interval, reconsideration and BYE back-off of RFC 3550 section 6.3.

One `RtcpTimer` serves one RTP session. It knows numbers only: its owner tells it how many members
and senders there are, and asks it at `tn` whether to send.
"""

from __future__ import annotations

import random

RTCP_BANDWIDTH_FRACTION = 0.05
"""RTCP's share of the session bandwidth (RFC 3550 section 6.2)."""
SENDER_SHARE = 0.25
"""Senders' share of the RTCP bandwidth while they are at most that share of the members (6.3.1)."""
MIN_INTERVAL_S = 5.0
"""Shortest average interval of RFC 3550 section 6.2, and the one that timeouts assume."""
COMPENSATION = 2.718281828459045 - 1.5
"""Timer reconsideration converges below the intended bandwidth by this factor (6.3.1)."""
BYE_BACKOFF_MEMBERS = 50
"""From so many members on, a BYE waits for its turn (6.3.7)."""
MEMBER_TIMEOUT_INTERVALS = 5
"""M of RFC 3550 section 6.3.5."""
SENDER_TIMEOUT_INTERVALS = 2
"""RFC 3550 section 6.3.5: no RTP for that many intervals and it is no longer a sender."""
LOWER_LAYER_OCTETS = 28
"""IPv4 and UDP headers, which count as RTCP bandwidth (section 6.2)."""
_SIZE_WEIGHT = 1 / 16
_INITIAL_PACKET_OCTETS = 128 + LOWER_LAYER_OCTETS


class RtcpTimer:
    """The state variables of RFC 3550 section 6.3 and what happens to them.

    `bandwidth_bps` is the session's, of which RTCP takes 5 %. `members` counts everybody, this
    end's SSRCs included. Sizes are octets of one SSRC's RTCP with IP and UDP headers; where one
    datagram reports for several SSRCs, each has its share (RFC 8108 section 5.3).
    """

    __slots__ = (
        "avg_rtcp_size",
        "initial",
        "members",
        "min_interval_s",
        "pmembers",
        "relaxed",
        "represented",
        "rtcp_octets_per_s",
        "senders",
        "tn",
        "tp",
        "we_sent",
        "_at_once",
        "_rng",
    )

    def __init__(
        self,
        bandwidth_bps: float,
        rng: random.Random,
        now: float,
        *,
        min_interval_s: float = MIN_INTERVAL_S,
        members: int = 1,
        at_once: bool = False,
    ) -> None:
        self.rtcp_octets_per_s = bandwidth_bps * RTCP_BANDWIDTH_FRACTION / 8
        self.min_interval_s = min_interval_s
        self.members = self.pmembers = members
        self.represented = 0
        """Members besides, for whom this end speaks as a mixer.

        What it says for them takes a share of its own (section 7.3) and does not make its own
        reports rarer, but those of the others.
        """
        self.relaxed = False
        """Whether reports keep to `MIN_INTERVAL_S`, as nothing needs them more often."""
        self.senders = 0
        self.we_sent = False
        self.initial = True
        self.avg_rtcp_size: float = _INITIAL_PACKET_OCTETS
        self._rng = rng
        self.tp = now
        """When this end last sent RTCP, in seconds of the session clock."""
        self._at_once = at_once
        self.tn = now if at_once else now + self.draw_interval_s()
        """When to ask `expired` next."""

    def deterministic_interval_s(self) -> float:
        """Td of section 6.3.1, in seconds, without randomisation."""
        shortest = self.min_interval_s
        if self.relaxed:
            shortest = max(shortest, MIN_INTERVAL_S)
        if self.initial:
            shortest /= 2
        return self._interval_s(self.members, self.we_sent, shortest)

    def draw_interval_s(self) -> float:
        """T of section 6.3.1: Td spread evenly over 0.5 to 1.5, then compensated."""
        spread = self._rng.random() + 0.5
        return self.deterministic_interval_s() * spread / COMPENSATION

    def member_timeout_s(self) -> float:
        """Silence after which a member is gone (section 6.3.5), in seconds.

        Td is a receiver's, and with the fixed minimum of 5 s even where reports are sent more
        often (section 6.2): others may keep to 5 s.
        """
        shortest = max(MIN_INTERVAL_S, self.min_interval_s)
        everybody = self.members + self.represented
        return MEMBER_TIMEOUT_INTERVALS * self._interval_s(everybody, False, shortest)

    def sender_timeout_s(self) -> float:
        """Silence on RTP after which a member is no longer a sender (section 6.3.5), in seconds."""
        return SENDER_TIMEOUT_INTERVALS * max(self.tn - self.tp, self.min_interval_s)

    def _interval_s(self, members: int, we_sent: bool, shortest_s: float) -> float:
        octets_per_s = self.rtcp_octets_per_s
        sharing = members
        if self.senders <= members * SENDER_SHARE:
            if we_sent:
                octets_per_s *= SENDER_SHARE
                sharing = self.senders
            else:
                octets_per_s *= 1 - SENDER_SHARE
                sharing -= self.senders
        return max(self.avg_rtcp_size * sharing / octets_per_s, shortest_s)

    def received(self, octets: float) -> None:
        """Somebody's RTCP arrived: `octets` with lower layers, per reporting SSRC (6.3.3)."""
        self.avg_rtcp_size += (octets - self.avg_rtcp_size) * _SIZE_WEIGHT

    def members_left(self, members: int, now: float) -> None:
        """Reverse reconsideration (section 6.3.4): the group shrank to `members`."""
        self.members = members
        if members >= self.pmembers:
            return
        ratio = members / self.pmembers
        self.tn = now + ratio * (self.tn - now)
        self.tp = now - ratio * (now - self.tp)
        self.pmembers = members

    def expired(self, now: float) -> bool:
        """At `tn`: whether to send now (section 6.3.6). If not, `tn` has been moved on.

        After sending, call `sent`.
        """
        self.pmembers = self.members
        if self._at_once:
            self._at_once = False
            return True
        self.tn = self.tp + self.draw_interval_s()
        return self.tn <= now

    def sent(self, octets: float, now: float) -> None:
        """A regular report went out: `octets` with lower layers, per SSRC of ours."""
        self.received(octets)
        self.tp = now
        self.initial = False
        self.tn = now + self.draw_interval_s()
        self.pmembers = self.members

    def begin_bye(self, octets: float, now: float) -> None:
        """Start over for a BYE that waits for its turn (section 6.3.7).

        From here on `bye_heard` and `expired` count BYEs only; when `expired` says so, send it.
        """
        self.tp = now
        self.members = self.pmembers = 1
        self.senders = 0
        self.we_sent = False
        self.initial = True
        self.avg_rtcp_size = octets
        self.tn = now + self.draw_interval_s()

    def bye_heard(self, octets: float) -> None:
        """Another member's BYE arrived while ours waits (section 6.3.7)."""
        self.members += 1
        self.received(octets)


class Allowance:
    """Octets that may be sent: `rate` a second, and up to `burst` that were left over."""

    __slots__ = ("rate", "_at", "_burst", "_left")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self._burst = self._left = burst
        self._at = now

    def left(self, now: float) -> float:
        """What may be sent now; below zero when it was too much."""
        self._left = min(self._left + (now - self._at) * self.rate, self._burst)
        self._at = now
        return self._left

    def spend(self, octets: float, now: float) -> float:
        """So much is sent; returns the seconds until there is something left again."""
        self._left = self.left(now) - octets
        return max(-self._left / self.rate, 0.0)
