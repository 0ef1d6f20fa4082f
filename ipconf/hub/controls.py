"""What can be set for those in a conference: who hears whom, roles, hands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from ..engine.hearing import Hearing
from ..errors import NoItemError, NotSupportedError
from ..events import AttendeeChanged, ConferenceEvent
from .legs import Leg
from .people import Attendee, Role
from .state import PersonState

Who = Leg | Attendee


class Controls(ABC):
    """The part of a conference that controls people; of each change AttendeeChanged tells.

    Whatever is set for a leg holds for all on it. So what can be set for legs alone (deafen, hold,
    move, set_role, to be whispered to) is not done for one of several people on a leg, behind a
    mixer or in a group, but only for that leg: NotSupportedError. The same where somebody's sound
    is to be changed, and comes in the mix of somebody else. NoItemError for who is not in the
    conference.
    """

    identity: str

    def __init__(self) -> None:
        self._hearing = Hearing()
        self._legs: dict[str, Leg] = {}

    @abstractmethod
    def now(self) -> float:
        """The provider's clock in seconds."""

    @abstractmethod
    def _post(self, kind: type[ConferenceEvent], **fields: Any) -> None:
        """Build an event of this class and deliver it."""

    # -- who hears whom

    def set_gain(self, gain: float, speaker: Who, listener: Leg | None = None) -> None:
        """How loud somebody is, 0 to 4 (12 dB more), for one listener or for everybody else.

        ConfigurationError for other values.
        """
        self._check(speaker, listener)
        if gain != 1:
            self._check_apart(speaker)
        self._hearing.set_gain(gain, speaker, listener)

    def gain(self, speaker: Who, listener: Leg | None = None) -> float:
        """What `set_gain` has set; 1 where it has not."""
        return self._hearing.gain(speaker, listener)

    def mute(self, who: Who, muted: bool = True) -> None:
        """Let nobody hear them, or again; nothing is decoded of who is muted."""
        if muted:
            self._check_apart(who)
        self._switch(self._hearing.mute, who, muted, "muted")

    def deafen(self, who: Who, deaf: bool = True) -> None:
        """Let their leg hear nobody, or again."""
        self._switch(self._hearing.deafen, self._whole_leg(who), deaf, "deaf")

    def hold(self, who: Who, held: bool = True) -> None:
        """Let their leg hear nobody and nobody hear it, or again."""
        self._switch(self._hearing.hold, self._whole_leg(who), held, "held")

    def whisper(self, speaker: Who, listeners: Iterable[Who] | None) -> None:
        """Let only these legs hear somebody, to coach them, say; None: everybody again."""
        self._check(speaker)
        if listeners is not None:
            self._check_apart(speaker)
        legs = None if listeners is None else [self._whole_leg(who) for who in listeners]
        self._hearing.whisper(speaker, legs)
        self._changed(speaker, "whisper", legs is not None)

    def move(self, who: Who, room: str = "") -> None:
        """Put their leg into a side room, where only those in it hear each other; "": back."""
        leg = self._whole_leg(who)
        if self._hearing.room(leg) != room:
            self._hearing.move(leg, room)
            self._changed(leg, "room", room)

    def broadcast(self, speaker: Who, everywhere: bool = True) -> None:
        """Let somebody be heard in all rooms, as an announcer is."""
        self._switch(self._hearing.broadcast, speaker, everywhere, "broadcast")

    def is_muted(self, who: Who) -> bool:
        """Whether they, or their leg, are muted by `mute` or as listeners."""
        leg = self._leg(who)
        return leg.role is Role.LISTENER or any(map(self._hearing.is_muted, (leg, who)))

    def room_of(self, who: Who) -> str:
        """Where their leg is; "" is the main room."""
        return self._hearing.room(self._leg(who))

    def _person_state(self, person: Attendee) -> PersonState:
        leg = person.leg
        return PersonState(
            identity=person.identity,
            name=person.name,
            cname=person.cname,
            leg=leg.identity,
            role=leg.role,
            csrc=person.csrc,
            joined_at=person.joined_at,
            talking=person.talking,
            muted=self.is_muted(person),
            deaf=self._hearing.is_deaf(leg),
            held=self._hearing.is_held(leg),
            camera=person.camera,
            screen=person.screen,
            room=self._hearing.room(leg),
            hand_raised_at=person.hand_raised_at,
        )

    # -- roles and hands

    def set_role(self, who: Who, role: Role) -> None:
        """Make a leg a listener, speaker or moderator; listeners are neither heard nor seen."""
        leg = self._whole_leg(who)
        if leg.role is not role:
            leg.role = role
            self._hearing.silence(leg, role is Role.LISTENER)
            self._changed(leg, "role", role)

    def raise_hand(self, attendee: Attendee, raised: bool = True) -> None:
        """Somebody wants to speak, or no longer."""
        self._check(attendee)
        if raised is (attendee.hand_raised_at is None):
            attendee.hand_raised_at = self.now() if raised else None
            self._changed(attendee, "hand", raised)

    # -- inside

    @abstractmethod
    def _mixer_of(self, person: Attendee) -> str | None:
        """What the one is called who mixes the sound of somebody; None: nobody does."""

    def _leg(self, who: Who) -> Leg:
        leg = who.leg if isinstance(who, Attendee) else who
        if not isinstance(leg, Leg) or self._legs.get(leg.identity) is not leg:
            raise NoItemError(f"{who!r} is not in {self.identity} now")
        return leg

    def _whole_leg(self, who: Who) -> Leg:
        """Their leg; NotSupportedError for a person who is one of several there."""
        leg = self._leg(who)
        if isinstance(who, Attendee) and leg.is_shared:
            raise NotSupportedError(
                f"{who.name} is one of several people on {leg.identity}, and that would be done to "
                "all of them: give the leg if it is to be"
            )
        return leg

    def _check_apart(self, who: Who) -> None:
        """NotSupportedError for somebody whose sound cannot be told from that of others."""
        self._check(who)
        if isinstance(who, Attendee) and (mixer := self._mixer_of(who)) is not None:
            raise NotSupportedError(f"{who.name} arrives in the mix of {mixer}: mute them there")

    def _check(self, *people: Who | None) -> None:
        for who in people:
            if who is not None:
                self._leg(who)

    def _switch(self, work: Callable[[Who, bool], None], who: Who, on: bool, what: str) -> None:
        self._check(who)
        work(who, on)
        self._changed(who, what, on)

    def _changed(self, who: Who, what: str, value: object) -> None:
        for person in who.attendees if isinstance(who, Leg) else (who,):
            self._post(AttendeeChanged, attendee=person, changed=(what,), values={what: value})
