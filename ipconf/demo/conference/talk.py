"""Whether the right people were told to talk, and to have the floor, at the right times."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from ..log import Entry
from ..story import Span
from .scenes import Person, Phase
from .script import Script

NOTICE_S = 0.4
"""After a line began: until its talker is known, and who talked before is known to be silent."""
FLOOR_S = 0.3
"""After a line: by then its talker has the floor."""
ENDS = {
    "AttendeeSilent", "AttendeeLeft", "ParticipantInactive", "ParticipantTimedOut",
    "ParticipantLeft",
}  # fmt: skip
BEGINS = {"AttendeeTalking", "ParticipantActive"}


def hub_talk_faults(script: Script, events: Iterable[Entry]) -> list[str]:
    """What is wrong with who the hub noticed to talk."""
    talks = _talks(events, "person")
    return [
        fault
        for phase in script.phases
        for fault in _faults(phase, phase.heard, script.people, talks)
    ]


def person_talk_faults(script: Script, person: Person, events: Iterable[Entry]) -> list[str]:
    """What is wrong with who that person was told to talk."""
    talks = _talks(events, "about")
    others = [other for other in script.people if other != person]
    return [
        fault
        for phase in script.phases
        for fault in _faults(phase, phase.heard_by(person), others, talks)
    ]


def floor_faults(script: Script, events: Iterable[Entry]) -> list[str]:
    """Who had the floor at the end of a line and did not talk in it."""
    changes = [(e["at"], e.get("person")) for e in events if e["event"] == "DominantSpeakerChanged"]
    faults = []
    for phase in script.phases:
        at_s = phase.span.end_s + FLOOR_S
        holder = next((who for at, who in reversed(changes) if at <= at_s), None)
        # Who is muted may have it: that nobody hears them does not mean that they do not talk.
        talkers = set(phase.talkers) - phase.deaf
        if holder not in {person.key for person in talkers}:
            names = " or ".join(sorted(person.name for person in talkers))
            faults.append(f"{phase.title}: {holder or 'nobody'} had the floor, not {names}")
    return faults


def _talks(events: Iterable[Entry], whose: str) -> dict[str, list[Span]]:
    """When each talked, by key."""
    talks: dict[str, list[Span]] = {}
    began: dict[str, float] = {}
    for event in events:
        key = event.get(whose)
        if key is None:
            continue
        if event["event"] in BEGINS:
            began.setdefault(key, event["at"])
        elif event["event"] in ENDS and key in began:
            talks.setdefault(key, []).append(Span(began.pop(key), event["at"]))
    for key, at in began.items():
        talks.setdefault(key, []).append(Span(at, math.inf))
    return talks


def _faults(
    phase: Phase,
    expected: Collection[Person],
    people: Iterable[Person],
    talks: dict[str, list[Span]],
) -> Iterable[str]:
    line = Span(phase.span.start_s + NOTICE_S, phase.span.end_s)
    for person in people:
        talked = any(
            talk.start_s < line.end_s and talk.end_s > line.start_s
            for talk in talks.get(person.key, ())
        )
        if talked != (person in expected):
            wrong = "talked, but nobody should hear it" if talked else "was not noticed to talk"
            yield f"{phase.title}, {phase.span.start_s:.1f} s: {person.name} {wrong}"
