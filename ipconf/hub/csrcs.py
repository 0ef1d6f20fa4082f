"""The numbers by which the people of a conference, and their pictures, are named to all legs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..engine.forwarding import ForwardedPeople
from ..engine.reception import RemoteSource
from ..participants import Participant
from .call_legs import CallLeg
from .legs import Leg
from .people import Attendee, choose_csrc


class Numbering:
    """Gives CSRCs that nobody else has; what the other legs are told of people is in `told`."""

    def __init__(
        self, legs: Mapping[str, Leg], renamed: Callable[[Attendee, int, int], None]
    ) -> None:
        """`renamed(person, before, after)` is called where pictures get another CSRC."""
        self.told = ForwardedPeople()
        self._people: dict[Attendee, Participant | None] = {}
        self._legs = legs
        self._renamed = renamed

    def vacate(self, ssrc: int, leg: Leg, now: float) -> None:
        """Somebody on that leg has this SSRC: who has it on another leg gets a new CSRC for it.

        Else the far end would find its own SSRC used by somebody else (RFC 3550 section 8.2).
        """
        for person in self._people if self.told.tells(ssrc, leg) else ():
            if ssrc != person.csrc and ssrc not in person.picture_csrcs:
                continue
            csrc = self._choose(person.leg, None, ())
            self.told.put(csrc, person.items, person.private, person.leg, now)
            self.told.remove(ssrc, now)
            if ssrc == person.csrc:
                person.csrc = csrc
            else:
                theirs = (csrc if c == ssrc else c for c in person.picture_csrcs)
                person.picture_csrcs = tuple(theirs)
                self._renamed(person, ssrc, csrc)
            break

    def show(self, person: Attendee, source: RemoteSource, now: float) -> int:
        """Pictures of somebody are there: the CSRC that names them, the sender's own if free."""
        csrc = self._choose(person.leg, self._people.get(person), (source,))
        person.picture_csrcs = (*person.picture_csrcs, csrc)
        self.told.put(csrc, person.items, person.private, person.leg, now)
        return csrc

    def hide(self, person: Attendee, csrc: int, now: float) -> None:
        """They are not any more."""
        if csrc in person.picture_csrcs:
            person.picture_csrcs = tuple(c for c in person.picture_csrcs if c != csrc)
            self.told.remove(csrc, now)

    def _choose(
        self, leg: Leg, participant: Participant | None, sources: tuple[RemoteSource, ...]
    ) -> int:
        """A CSRC for somebody on that leg: one that is nobody else's on any leg."""
        others = [each for each in self._legs.values() if isinstance(each, CallLeg)]
        cname = None if participant is None else participant.cname

        def is_taken(ssrc: int) -> bool:
            return ssrc in self.told or any(
                other is not leg and other.is_somebody_elses(ssrc, cname) for other in others
            )

        return choose_csrc(sources, is_taken)
