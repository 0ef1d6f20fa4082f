"""What a page may ask for, and what becomes of it; offers are `page_session`'s."""

from __future__ import annotations

from ..errors import ConfigurationError, InvalidStreamError, NoItemError, NotSupportedError
from ..hub.controls import Who
from ..hub.people import Attendee
from .guests import Guest
from .page_protocol import (
    Camera,
    End,
    GiveRole,
    Hand,
    Heights,
    Lock,
    Lower,
    Microphone,
    Moderation,
    Mute,
    Pin,
    Record,
    Remove,
    Request,
    Say,
    Slots,
    Spotlight,
    Trickled,
    Unpin,
    Volume,
)
from .refusals import Refused

EARLY = Trickled | Camera | Microphone | Slots | Heights
"""What may be asked for before anybody knows of the guest: nobody else notices it."""
NOT_CONNECTED = "Wait until you are connected."
NOT_ALONE = "They come with others over one line: that cannot be done to them alone."


def carry_out(request: Request, guest: Guest) -> None:
    """Do what a guest asks for; Refused (not-allowed, no-person, ...) says why not.

    Nothing is waited for: of what takes time, everybody is told when it has happened.
    """
    try:
        if isinstance(request, Moderation):
            if not guest.moderates:
                raise Refused(403, "not-allowed", "Only moderators may do that.")
            _check_known(request, guest)
            _moderate(request, guest)
        else:
            _check_known(request, guest)
            _act(request, guest)
    except NoItemError:  # whoever it is about has just left, or we have
        raise Refused(404, "no-person", "They are not in the room any more.") from None
    except NotSupportedError:  # they are in a group, or come with others on one call
        raise Refused(409, "not-alone", NOT_ALONE) from None
    except (ConfigurationError, InvalidStreamError) as exc:
        raise Refused(400, "bad-request", str(exc)) from None


def _check_known(request: Request, guest: Guest) -> None:
    """Refused (not-connected) where the others could notice somebody whom they do not see."""
    if not guest.known and not isinstance(request, EARLY):
        raise Refused(409, "not-connected", NOT_CONNECTED)


def _act(request: Request, guest: Guest) -> None:
    """For oneself."""
    room, conference = guest.room, guest.room.conference
    match request:
        case Trickled(candidate=candidate, mid=mid):
            if not guest.add_candidate(candidate, mid):
                raise Refused(429, "too-fast", "Too many candidates wait.")
        case Hand(raised=raised):
            conference.raise_hand(_self(guest), raised)
        case Say(text=text, to=to):
            room.say(guest, text, None if to is None else room.person(to).leg)
        case Camera(on=on):
            guest.camera = on
            room.told(guest, "camera", on)
        case Microphone(on=on):
            guest.microphone = on
            room.told(guest, "microphone", on)
        case Volume(person=person, gain=gain):
            conference.set_gain(gain, _heard(room.person(person)), guest.leg)
        case Pin(person=person, slot=slot):
            conference.pin(room.person(person), guest.leg, slot)
        case Unpin(person=person):
            conference.unpin(room.person(person), guest.leg)
        case Slots(count=count):
            conference.set_slots(guest.leg, count)
        case Heights(heights=heights):
            there = range(len(conference.slots(guest.leg)))  # none before they are connected
            for slot, height in zip(there, heights, strict=False):
                conference.set_slot_height(guest.leg, slot, height)


def _moderate(request: Moderation, guest: Guest) -> None:
    """For all, or about others."""
    room, conference = guest.room, guest.room.conference
    match request:
        case Mute(person=person, muted=muted):
            conference.mute(_heard(room.person(person)), muted)
        case Remove(person=person, reason=reason):
            _remove(room.person(person), reason, guest)
        case Lock(locked=locked):
            conference.lock(locked)
        case Record(on=on):
            room.record(on)
        case GiveRole(person=person):
            conference.set_role(room.person(person), request.given)
        case Lower(person=person):
            conference.raise_hand(room.person(person), False)
        case Spotlight(person=person, on=on):
            (conference.pin if on else conference.unpin)(room.person(person))
        case End(reason=reason):
            room.begin_to_end(reason or f"{guest.name} has ended the meeting", "ended")


def _remove(person: Attendee, reason: str, guest: Guest) -> None:
    room = guest.room
    other = room.guest_on(person.leg.identity)
    text = reason or f"{guest.name} has removed you"
    if other is not None:
        other.begin_to_leave(text, "removed")
    elif person.leg.is_shared:
        raise Refused(409, "not-alone", NOT_ALONE)
    else:
        room.spawn(room.conference.remove(person.leg, text))


def _heard(person: Attendee) -> Who:
    """What is set for somebody's sound: their leg, which outlives a change of their name, unless
    there are others on it.
    """
    return person if person.leg.is_shared else person.leg


def _self(guest: Guest) -> Attendee:
    if guest.attendee is None:
        raise Refused(409, "not-connected", NOT_CONNECTED)
    return guest.attendee
