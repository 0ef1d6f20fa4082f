"""Loops: what a conference sends on a leg, and another mixer brings back (RFC 3550 section 8.2).

Two mixers that join the same two groups hear of everybody twice: from the person, and as a
contributor to the other mixer. Without a guard sound would go from one to the other forever, and so
would people who have left.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..events import LoopFound

if TYPE_CHECKING:
    from .call_legs import CallLeg

HOLD_S = 10.0
"""So long nothing of a mixer is taken that has brought something back."""
MAX_NAMED = 1024
"""Contributors of one mixer that are remembered as such."""
HOLD_DOWN_S = 30.0
"""So long somebody who has left is not believed to be there on the word of a mixer elsewhere: it
may not know yet. Two ends time somebody out some seconds apart (RFC 3550 section 6.3.5)."""


class LoopGuard:
    """Finds, on one leg, packets of mixers in which there is what is known from elsewhere.

    Such are the SSRCs of ours, people whom we tell of there ourselves, and who is heard there
    directly. What else is in those packets cannot be told apart, and is lost.
    """

    def __init__(self, leg: CallLeg) -> None:
        self.dropped = 0
        """Packets that were not taken."""
        self._leg = leg
        self._held: dict[RemoteSource, tuple[float, Hashable]] = {}  # until when, and from where
        self._named_first: dict[RemoteSource, set[int]] = {}
        self._told: set[RemoteSource] = set()

    def brings_back(self, packet: RtpPacket, now: float) -> bool:
        """Whether a packet is not to be taken, because it, or one shortly before, is a loop."""
        source = packet.source
        assert source is not None  # packets of nobody get no further than the session
        if self._is_loop(packet, source):
            self._held[source] = (now + HOLD_S, source.rtp_origin)
            if source not in self._told:
                self._tell(source)
        elif not self._is_held(packet, source, now):
            self._release(source)
            return False
        self.dropped += 1
        return True

    def forget(self, source: RemoteSource) -> None:
        """It is no more."""
        self._release(source)
        self._named_first.pop(source, None)

    def _is_held(self, packet: RtpPacket, source: RemoteSource, now: float) -> bool:
        """Whether it is the one who has brought something back shortly before.

        Who is no mixer, and elsewhere, is somebody else under the same SSRC, and pays for nothing.
        """
        until, origin = self._held.get(source, (-math.inf, None))
        return now < until and (bool(packet.csrcs) or source.rtp_origin == origin)

    def _release(self, source: RemoteSource) -> None:
        self._held.pop(source, None)
        self._told.discard(source)

    def _tell(self, source: RemoteSource) -> None:
        conference = self._leg.conference
        mixer = conference.attendee_of(self._leg, source)
        if mixer is not None:  # else it will be known soon
            self._told.add(source)
            conference.post(LoopFound, leg=self._leg, mixer=mixer)

    def _is_loop(self, packet: RtpPacket, mixer: RemoteSource) -> bool:
        leg, csrcs = self._leg, packet.csrcs
        if not csrcs:
            return False
        told = leg.conference.told
        if any(told.tells(csrc, leg) for csrc in csrcs):
            return True
        known = {source.ssrc for source in leg.senders if source is not mixer}
        known -= self._first_named_by(mixer, csrcs)
        return not known.isdisjoint(csrcs) or not leg.own_ssrcs.isdisjoint(csrcs)

    def _first_named_by(self, mixer: RemoteSource, csrcs: Iterable[int]) -> set[int]:
        """Whom the mixer named before they were heard themselves, these included.

        Whoever sends under their number later is no reason to hear nothing of the mixer any more:
        what comes round was heard before it is brought back.
        """
        named = self._named_first.setdefault(mixer, set())
        for csrc in csrcs:
            if csrc not in named and len(named) < MAX_NAMED and not self._leg.knows(csrc):
                named.add(csrc)
        return named
