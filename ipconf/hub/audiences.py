"""Who is sent the same: legs that need no look of their own from tick to tick.

Hundreds may listen to a few. Of those who hear the same, in the same encoding, one leads and the
others follow: the bridge groups, mixes and encodes for who leads or goes alone, and followers are
sent what their lead is. Whoever comes to differ goes alone, and follows again when alike.
"""

from __future__ import annotations

from collections.abc import Container, Hashable

from ..engine.hearing import Hearing
from .call_legs import CallLeg
from .legs import Leg


class Audiences:
    """The legs of one conference, by who leads and who follows."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._version = hearing.version
        self._apart: dict[Leg, None] = {}
        self._leads: dict[Hashable, CallLeg] = {}

    def add(self, leg: Leg) -> None:
        """A leg has come; it goes alone at first."""
        self._apart[leg] = None

    def remove(self, leg: Leg) -> None:
        """A leg is no more."""
        self.part(leg)
        self._apart.pop(leg, None)

    def listeners(self) -> list[Leg]:
        """Who hears something, followers left out; all go alone once who hears whom has changed."""
        if self._version != self._hearing.version:
            self._version = self._hearing.version
            for lead in tuple(self._leads.values()):
                for follower in tuple(lead.outlet.followers):
                    self.part(follower)
                self.part(lead)
        return [leg for leg in self._apart if leg.hears]

    def gather(self, speaking: Container[Leg]) -> None:
        """Let those who have become alike follow one of them; after each tick.

        Who is speaking hears what nobody else does.
        """
        for leg in [leg for leg in self._apart if leg not in speaking]:
            if not isinstance(leg, CallLeg) or leg.outlet.leads is not None:
                continue
            kind = self._kind(leg)
            if kind is None:
                continue
            lead = self._leads.get(kind)
            if lead is None:
                self._lead(leg, kind)
            elif leg.outlet.is_like(lead.outlet) and leg.row == lead.row:
                lead.outlet.follow(leg)
                leg.outlet.lead = lead
                del self._apart[leg]

    def part(self, leg: Leg) -> None:
        """Let a leg go alone: it, or what it hears, is about to differ."""
        if not isinstance(leg, CallLeg):
            return
        outlet = leg.outlet
        if outlet.lead is not None:
            lead, outlet.lead = outlet.lead, None
            lead.outlet.unfollow(leg)
            _inherit(leg, lead)
            self._apart[leg] = None
        elif outlet.leads is not None:
            kind, outlet.leads = outlet.leads, None
            del self._leads[kind]
            followers, outlet.followers = outlet.followers, {}
            if followers:
                self._succeed(leg, kind, tuple(followers))

    def _succeed(self, lead: CallLeg, kind: Hashable, followers: tuple[CallLeg, ...]) -> None:
        heir, *others = followers
        heir.outlet.lead = None
        heir.outlet.part()  # what the old lead is sent is no longer for them
        _inherit(heir, lead)
        self._apart[heir] = None
        self._lead(heir, kind)
        for other in others:
            other.outlet.lead = heir
            heir.outlet.follow(other)

    def _lead(self, leg: CallLeg, kind: Hashable) -> None:
        self._leads[kind] = leg
        leg.outlet.leads = kind

    def _kind(self, leg: CallLeg) -> Hashable | None:
        """Legs of one kind may follow each other; None for one that has to go alone."""
        if not self._hearing.is_plain(leg):
            return None
        kind = leg.outlet.kind
        return None if kind is None or leg.row is None else (self._hearing.place(leg), kind)


def _inherit(leg: CallLeg, lead: CallLeg) -> None:
    """A leg goes on by itself from where its lead is."""
    if leg.row is not None:  # else it is to fade in
        leg.row = lead.row
    leg.outlet.inherit(lead.outlet)
