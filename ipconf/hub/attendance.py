"""Who is in a conference: people found on the legs, and told to all other legs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import count

from ..engine.reception import RemoteSource
from ..events import AttendeeChanged, AttendeeJoined, AttendeeLeft, AttendeeSilent
from ..model import GoneReason, SdesType
from ..participants import Participant
from .call_legs import CallLeg
from .csrcs import Numbering
from .legs import Leg
from .local_legs import LocalLeg
from .loops import HOLD_DOWN_S
from .people import Attendee, items_of

MAX_REMEMBERED = 256
"""People who timed out, and are the same ones to the conference when they return."""


class Attendance(Numbering):
    """Keeps the list of people; what the other legs are told of them is in `told`."""

    def __init__(
        self,
        post: Callable[..., None],
        renamed: Callable[[Attendee, int, int], None],
        legs: Mapping[str, Leg],
        cname: str,
        max_on_leg: int,
    ) -> None:
        """`renamed` is as for `Numbering`."""
        super().__init__(legs, renamed)
        self._post = post
        self._held_back: set[CallLeg] = set()  # where somebody is not believed in for now
        self._cname = cname
        self._max_on_leg = max_on_leg
        self._numbers = count(1)
        self._by_participant: dict[Participant, Attendee] = {}
        self._may_return: dict[Participant, Attendee] = {}
        self._by_cname: dict[str, dict[Attendee, None]] = {}
        self._gone: dict[str, tuple[Leg, float]] = {}  # who left which leg when, by CNAME

    @property
    def people(self) -> tuple[Attendee, ...]:
        """Everybody present, in the order of their coming."""
        return tuple(self._people)

    def __len__(self) -> int:
        return len(self._people)

    def of(self, leg: Leg, source: RemoteSource | None) -> Attendee | None:
        """Whose source that is, once it is known."""
        if not isinstance(leg, CallLeg):
            return None
        return self.person(leg.call.roster.participant_of(source))

    def person(self, participant: Participant | None) -> Attendee | None:
        """Who that is here; None for nobody."""
        return self._by_participant.get(participant) if participant is not None else None

    def mixer_of(self, person: Attendee) -> str | None:
        """What the one is called who mixes the sound of somebody; None: nobody does."""
        participant = self._people.get(person)
        if participant is None or not _is_spoken_for(participant):
            return None
        mixers = (self.of(person.leg, source.mixer) for source in participant.sources)
        return next((mixer.name for mixer in mixers if mixer is not None), "somebody else")

    def refresh(
        self, leg: CallLeg, now: float, reason: GoneReason, text: str = ""
    ) -> list[Attendee]:
        """Look again who is on a leg; `reason` is why, if somebody is there no more.

        Returns who was on another leg, through a mixer, and turned out to be on this one.
        """
        there = dict.fromkeys(leg.call.participants if leg.active else ())
        moved: list[Attendee] = []
        self._held_back.discard(leg)
        for person in leg.attendees:
            participant = self._people.get(person)
            if participant is not None and participant not in there:
                self._leave(person, now, reason, text)
        for participant in there:
            if participant in self._by_participant:
                self._describe(self._by_participant[participant], participant, now)
            elif self._is_back(leg, participant, now):
                self._held_back.add(leg)
            elif len(leg.attendees) < self._max_on_leg:
                if not _is_spoken_for(participant):
                    moved += self._take_over(leg, participant, now)
                self._join(leg, participant, now)
        leg.contributors.clear()
        for person in leg.attendees:
            self._note_contributions(leg, person)
        for source, voice in leg.voices.items():
            if isinstance(source, RemoteSource):
                voice.attendee = self.of(leg, source)
        return moved

    def look_at(self, leg: CallLeg, participant: Participant, now: float) -> bool:
        """Something of somebody has changed, and of nobody else; False if they are not listed."""
        person = self._by_participant.get(participant)
        if person is None:
            return False
        self._describe(person, participant, now)
        self._note_contributions(leg, person)
        for source in participant.sources:
            if source in leg.voices:
                leg.voices[source].attendee = person
        return True

    def held_back(self) -> tuple[CallLeg, ...]:
        """Legs to look at again from time to time: of somebody there nothing else may ever tell."""
        return tuple(leg for leg in self._held_back if leg.active)

    def _note_contributions(self, leg: CallLeg, person: Attendee) -> None:
        participant = self._people.get(person)
        for source in () if participant is None else participant.sources:
            if source.contributing:
                leg.contributors[source.ssrc] = person

    def _is_back(self, leg: CallLeg, participant: Participant, now: float) -> bool:
        """Whether a mixer tells us of ourselves, or of somebody who is, or was, on another leg.

        It may have been told of them by us (`loops`).
        """
        if not _is_spoken_for(participant):
            return False
        cname = participant.identity
        gone_from, gone_at = self._gone.get(cname, (leg, -math.inf))
        return (
            cname == self._cname
            or any(person.leg is not leg for person in self._by_cname.get(cname, ()))
            or (gone_from is not leg and now < gone_at + HOLD_DOWN_S)
        )

    def _take_over(self, leg: CallLeg, participant: Participant, now: float) -> list[Attendee]:
        """Somebody is there: who a mixer on another leg has spoken for is the same one."""
        moved = []
        for person in tuple(self._by_cname.get(participant.identity, ())):
            known = self._people[person]
            if person.leg is not leg and known is not None and _is_spoken_for(known):
                self._leave(person, now, GoneReason.MERGED, "")
                moved.append(person)
        return moved

    def add_local(self, leg: LocalLeg, now: float) -> None:
        """A local leg is a person."""
        person = self._new(leg, None, (), now)
        name = leg.name or leg.identity
        person.items = {SdesType.CNAME: f"{leg.identity}@{self._cname}", SdesType.NAME: name}
        self._arrive(person, None, now)

    def remove_local(self, leg: LocalLeg, now: float, text: str) -> None:
        """A local leg is gone, and its person with it."""
        for person in leg.attendees:
            self._leave(person, now, GoneReason.CLOSED, text)

    def forget_absent(self, leg: Leg) -> list[Attendee]:
        """The leg goes: who timed out there will not return as the same person."""
        gone = {p: person for p, person in self._may_return.items() if person.leg is leg}
        for participant in gone:
            del self._may_return[participant]
        return list(gone.values())

    def _join(self, leg: CallLeg, participant: Participant, now: float) -> None:
        for source in participant.sources:
            self.vacate(source.ssrc, leg, now)
        person = self._may_return.pop(participant, None)
        if person is None and leg.one_person:
            person = self._returning(leg)
        if person is None or person.leg is not leg or person.csrc in self.told:
            person = self._new(leg, participant, participant.sources, now)
        person.joined_at, person.left_at = now, None
        person.items = items_of(participant, leg.name)
        person.private = dict(participant.private)
        self._by_participant[participant] = person
        self._arrive(person, participant, now)

    def _returning(self, leg: CallLeg) -> Attendee | None:
        """Who timed out on a leg of one person, if that was the latest to be there."""
        for participant, person in reversed(self._may_return.items()):
            if person.leg is leg and not leg.attendees:
                del self._may_return[participant]
                return person
        return None

    def _new(
        self,
        leg: Leg,
        participant: Participant | None,
        sources: tuple[RemoteSource, ...],
        now: float,
    ) -> Attendee:
        csrc = self._choose(leg, participant, sources)
        return Attendee(leg, next(self._numbers), csrc, now)

    def _arrive(self, person: Attendee, participant: Participant | None, now: float) -> None:
        self._people[person] = participant
        self._by_cname.setdefault(person.cname, {})[person] = None
        person.leg.attendees = (*person.leg.attendees, person)
        self.told.put(person.csrc, person.items, person.private, person.leg, now)
        self._post(AttendeeJoined, attendee=person)

    def _describe(self, person: Attendee, participant: Participant, now: float) -> None:
        items, private = items_of(participant, person.leg.name), dict(participant.private)
        if items == person.items and private == person.private:
            return
        changed = [k for k in SdesType if items.get(k) != person.items.get(k)]
        if private != person.private:
            changed.append(SdesType.PRIV)
        before, person.items, person.private = person.cname, items, private
        if person.cname != before:
            self._forget_cname(before, person)
            self._by_cname.setdefault(person.cname, {})[person] = None
        for csrc in (person.csrc, *person.picture_csrcs):
            self.told.put(csrc, items, private, person.leg, now)
        values = {k.name.lower(): items.get(k, "") for k in changed}
        self._post(AttendeeChanged, attendee=person, changed=tuple(values), values=values)

    def _leave(self, person: Attendee, now: float, reason: GoneReason, text: str) -> None:
        participant = self._people.pop(person)
        self._forget_cname(person.cname, person)
        self._gone[person.cname] = (person.leg, now)
        while len(self._gone) > MAX_REMEMBERED:
            del self._gone[next(iter(self._gone))]
        person.leg.known_as = person.leg.display_name
        if participant is not None:
            self._by_participant.pop(participant, None)
        person.leg.attendees = tuple(p for p in person.leg.attendees if p is not person)
        if person.talking:
            person.talking = False
            self._post(AttendeeSilent, attendee=person)
        person.left_at = now
        for csrc in (person.csrc, *person.picture_csrcs):
            self.told.remove(csrc, now, text)
        person.picture_csrcs = ()
        if participant is not None and reason is GoneReason.TIMEOUT:
            self._may_return[participant] = person
            while len(self._may_return) > MAX_REMEMBERED:
                del self._may_return[next(iter(self._may_return))]
        self._post(AttendeeLeft, attendee=person, reason=reason, text=text)

    def _forget_cname(self, cname: str, person: Attendee) -> None:
        people = self._by_cname[cname]
        del people[person]
        if not people:
            del self._by_cname[cname]


def _is_spoken_for(participant: Participant) -> bool:
    """Whether somebody is known from mixers alone."""
    return bool(participant.sources) and all(s.contributing for s in participant.sources)
