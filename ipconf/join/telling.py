"""What happens in a conference, in lines to print."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ..call import Call
from ..events import (
    AuthenticationEvent,
    CallEvent,
    DigitBegan,
    Event,
    NewParticipant,
    ParticipantActive,
    ParticipantEvent,
    ParticipantInactive,
    ParticipantInfoChanged,
    ParticipantLeft,
    ParticipantRecovered,
    ParticipantTimedOut,
    StreamNotUsed,
)
from ..model import SDES_CONTROLS, Direction, GoneReason, MediaType
from ..participants import Participant
from ..sdp import ConferenceDescription

MEDIA_NEWS = (AuthenticationEvent, DigitBegan)


class Unused:
    """Which of the streams of a call a description has no use for, and why."""

    def __init__(self, call: Call) -> None:
        self._why: dict[tuple[MediaType, Direction], str] = {}
        call.watch(self._take)

    def _take(self, event: Event) -> None:
        if isinstance(event, StreamNotUsed):
            stream = event.stream
            self._why.setdefault((stream.media_type, stream.direction), str(event.error))

    @property
    def media(self) -> Collection[MediaType]:
        """What is neither sent nor heard."""
        sent = {medium for medium, way in self._why if way is Direction.CAPTURE}
        return {m for m, way in self._why if way is Direction.RENDER and m in sent}

    def lines(self) -> list[str]:
        """What is not used, and why."""
        lines = []
        for (medium, way), why in self._why.items():
            if medium in self.media:
                if way is Direction.RENDER:
                    lines.append(f"No {medium.value}: {why}")
            else:
                verb = "sent" if way is Direction.CAPTURE else "heard or seen"
                lines.append(f"No {medium.value} is {verb}: {why}")
        return lines


def told_of_place(call: Call, description: ConferenceDescription, unused: Unused) -> str:
    """In which conference we are, where, and with which media."""
    where = ", ".join(description.groups) or "one place"
    used = [medium.value for medium in call.media_types if medium not in unused.media]
    return f"In {description.name}, {' and '.join(used)} at {where}"


def told_at_first(
    call: Call, description: ConferenceDescription, unused: Unused, now: float
) -> list[str]:
    """What else is to be known of a call that has joined at `now`, of `time.time()`."""
    ports = _ports(call, description, unused)
    return [*ports, *unused.lines(), *_end(description, now)]


def _ports(call: Call, description: ConferenceDescription, unused: Unused) -> list[str]:
    """Where what goes to single addresses goes, and where the answer is to come; [] with groups."""
    local = call.local_addresses
    used = {medium.value for medium in call.media_types if medium not in unused.media}
    media = [media for media in description.media if media.port and media.medium in used]
    if not local or len(local) != len(media):
        return [f"It listens on {_joined(where)}." for where in local]
    lines = []
    for line, where in zip(media, local, strict=True):
        to = (description.connections_of(line)[0].address, line.port)
        lines.append(f"{line.medium} sends to {_joined(to)}, listens on {_joined(where)}")
    return lines


def _joined(where: tuple[str, int]) -> str:
    host, port = where
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _end(description: ConferenceDescription, now: float) -> list[str]:
    """That the times of the description are over, if they are."""
    ends = description.ends_at
    if ends is None or ends > now:
        return []
    try:
        when = f"{datetime.fromtimestamp(ends):%Y-%m-%d %H:%M}"
    except (OSError, OverflowError, ValueError):  # not with this clock
        when = "a time long past"
    return [f"The description says that it ended at {when}."]


def told_of_media(event: CallEvent) -> str:
    """What came with the media of a call, one of `MEDIA_NEWS`, in words."""
    if isinstance(event, AuthenticationEvent):
        return f"ssrc {event.ssrc:08x}, {event.stream.media_type.value}: {event.text}"
    assert isinstance(event, DigitBegan)
    name = "somebody" if event.participant is None else event.participant.name
    return f"{name} presses {event.digit}"


def told_of_people(
    event: ParticipantEvent, person: Participant, names: dict[Participant, str]
) -> str | None:
    """What an event says in words; None for what nobody wants to know."""
    before = names.get(person, person.name)
    name = names[person] = person.name
    match event:
        case NewParticipant():
            return f"{name} is here"
        case ParticipantRecovered():
            return f"{name} is here again"
        case ParticipantInfoChanged() if name != before:
            return f"{before} is called {name}"
        case ParticipantActive():
            return f"{name} talks"
        case ParticipantInactive():
            return f"{name} is silent"
        case ParticipantTimedOut():
            return f"{name} has vanished"
        case ParticipantLeft(reason=GoneReason.BYE):
            del names[person]
            text = event.text.translate(SDES_CONTROLS)
            return f"{name} has left" + (f": {text}" if text else "")
        case ParticipantLeft():
            del names[person]
            return f"{name} is not here any more"
    return None
