"""Who comes to a gateway, goes and talks, on which side, in lines to print."""

from __future__ import annotations

from collections.abc import Callable

from ..events import (
    AttendeeChanged,
    AttendeeEvent,
    AttendeeJoined,
    AttendeeLeft,
    AttendeePressed,
    AttendeeSilent,
    AttendeeTalking,
    ConferenceEvent,
    LoopFound,
    RecordingFailed,
)
from ..hub.legs import Leg
from ..hub.people import Attendee
from ..model import SDES_CONTROLS, GoneReason


class Teller:
    """Says what happens in a conference of which one leg is a group."""

    def __init__(self, group: Leg, say: Callable[[str], None]) -> None:
        self._group = group
        self._say = say
        self._names: dict[Attendee, str] = {}

    def tell_of_group(self, line: str) -> None:
        """Say something that is so in the group."""
        self._say(f"group: {line}")

    def tell(self, event: ConferenceEvent) -> None:
        """Say it, if anybody wants to know it."""
        match event:
            case RecordingFailed(error=error):
                self._say(f"Nothing is recorded any more: {error}")
            case LoopFound(mixer=mixer):
                self._say(
                    f"{mixer.name} brings back what is sent to the group, and is not heard for "
                    "that. Do two gateways join the same groups? End one of them."
                )
            case AttendeePressed(attendee=person) if person.leg is self._group:
                pass  # told of the media of the group, those of unknown sources as well
            case AttendeeEvent(attendee=person):
                before = self._names.get(person)
                self._names[person] = person.name
                line = _told(event, before or person.name)
                if isinstance(event, AttendeeLeft):
                    del self._names[person]
                if line:
                    side = "group" if person.leg is self._group else "guest"
                    self._say(f"{side}: {line}")


def _told(event: AttendeeEvent, before: str) -> str | None:
    """What an event says in words; None for what nobody wants to know."""
    name = event.attendee.name
    match event:
        case AttendeeJoined():
            return f"{name} is here"
        case AttendeeChanged() if name != before:
            return f"{before} is called {name}"
        case AttendeePressed(digit=digit):
            return f"{name} presses {digit}"
        case AttendeeTalking():
            return f"{name} talks"
        case AttendeeSilent():
            return f"{name} is silent"
        case AttendeeLeft(reason=GoneReason.TIMEOUT):
            return f"{name} has vanished"
        case AttendeeLeft(text=text):
            said = text.translate(SDES_CONTROLS)
            return f"{name} has left" + (f": {said}" if said else "")
    return None
