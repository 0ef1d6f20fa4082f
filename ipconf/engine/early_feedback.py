"""When feedback may go before the next regular report (RFC 4585 section 3.5).

With one peer it goes at once, as far as the RTCP bandwidth allows. In a group it waits a random
time, is dropped when somebody else says the same, and is followed by a longer pause.
"""

from __future__ import annotations

import math
import random

from .rtcp_feedback import Feedback
from .rtcp_timing import LOWER_LAYER_OCTETS, RtcpTimer
from .rtcp_wire import FullIntra, Nack, PictureLoss

DITHER_SHARE = 0.5
"""Longest wait in a group, as a share of the regular interval (RFC 4585 section 3.4, "l")."""
BANDWIDTH_SHARE = 0.5
"""Share of the RTCP bandwidth that feedback to one peer may take."""
BURST_OCTETS = 1500
"""Feedback to one peer that may go at once after a pause."""
MAX_WAITING = 16
"""Feedback packets that wait; more push out the oldest."""
KEY_FRAME_SPACING_S = 0.5
"""A key frame is asked for no more often, per source."""
MAX_NACK_SEQUENCES = 64
"""Sequence numbers in one request; more are not worth repeating."""


class EarlyFeedback:
    """Feedback on its way to the next RTCP datagram."""

    def __init__(self, timer: RtcpTimer, rng: random.Random, now: float) -> None:
        self.due = math.inf
        """When to send what waits; infinity leaves it to the regular report."""
        self._timer = timer
        self._rng = rng
        self._waiting: list[Feedback] = []
        self._describe = False
        self._early_allowed = True
        self._tokens: float = BURST_OCTETS
        self._tokens_at = now

    def add(self, packet: Feedback, now: float, *, one_peer: bool) -> None:
        """Queue a feedback packet and plan when it goes."""
        if packet in self._waiting:
            return
        self._waiting.append(packet)
        del self._waiting[:-MAX_WAITING]
        self._plan(now, one_peer)

    def add_description(self, now: float, *, one_peer: bool) -> None:
        """Our items changed: plan to say so."""
        self._describe = True
        self._plan(now, one_peer)

    def _plan(self, now: float, one_peer: bool) -> None:
        if self.due < math.inf:
            return
        timer = self._timer
        if one_peer:
            rate = timer.rtcp_octets_per_s * BANDWIDTH_SHARE
            self._tokens = min(self._tokens + (now - self._tokens_at) * rate, BURST_OCTETS)
            self._tokens_at = now
            self.due = now if self._tokens > 0 else now - self._tokens / rate
        elif self._early_allowed:
            dither_s = DITHER_SHARE * timer.deterministic_interval_s()
            if now + dither_s < timer.tn:
                self.due = now + self._rng.random() * dither_s

    def take(self) -> tuple[list[Feedback], bool]:
        """What waits, and whether our items should be said; nothing waits after that."""
        taken, describe = self._waiting, self._describe
        self._waiting, self._describe, self.due = [], False, math.inf
        return taken, describe

    def sent_early(self, octets: int, *, one_peer: bool) -> None:
        """An early datagram went out. In a group the next regular report comes later for it."""
        self._timer.received(octets + LOWER_LAYER_OCTETS)
        self._tokens -= octets + LOWER_LAYER_OCTETS
        if not one_peer:
            self._early_allowed = False
            self._timer.tn += self._timer.tn - self._timer.tp  # RFC 4585: tn = tp + 2 * T_rr

    def sent_regular(self) -> None:
        """A regular report went out: early ones are allowed again."""
        self._early_allowed = True

    def heard(self, packet: Nack | PictureLoss | FullIntra) -> None:
        """Somebody else sent this feedback: what it says need not be said again (3.5.2)."""
        self._waiting = [mine for mine in self._waiting if not _covers(packet, mine)]
        if not self._waiting and not self._describe:
            self.due = math.inf


def _covers(theirs: Feedback, mine: Feedback) -> bool:
    if isinstance(mine, PictureLoss):
        return isinstance(theirs, PictureLoss) and theirs.media == mine.media
    if isinstance(mine, Nack):
        return (
            isinstance(theirs, Nack)
            and theirs.media == mine.media
            and set(mine.sequences) <= set(theirs.sequences)
        )
    return False
