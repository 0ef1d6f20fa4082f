"""Which events about pictures the script must bring about at the hub, as chains."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..expected import Chain, Step
from ..log import Entry
from .scenes import Person
from .script import LEAD_S, Script

NOTICE_S = 1.5
"""After a camera was switched: until the hub knows. It waits a second for the next picture."""


def picture_chains(script: Script) -> tuple[Chain, ...]:
    """All about pictures that the hub's log must hold."""
    return (
        *(Chain(f"{p.name}'s camera", _camera(script, p), _camera_words(p)) for p in script.people),
        Chain("the recording", _recording(script), _recording_words),
        Chain("refused pictures", (), _refusal_words),
    )


def _camera(script: Script, person: Person) -> tuple[Step, ...]:
    steps = [Step("on", before_s=LEAD_S)]
    for cue in script.cues:
        if cue.person == person and cue.order["order"] == "camera":
            steps.append(_switched(cue.order["on"], cue.at_s, NOTICE_S))
    if person == script.vanishing:
        away = script.away
        steps.append(_switched(False, away.start_s, NOTICE_S))
        steps.append(_switched(True, away.end_s, script.return_s))
    return tuple(steps)


def _switched(on: bool, at_s: float, within_s: float) -> Step:
    return Step("on" if on else "off", at_s, at_s + within_s)


def _camera_words(person: Person) -> Callable[[Entry], Iterator[str]]:
    def words(event: Entry) -> Iterator[str]:
        changed = event["changed"] if event["event"] == "AttendeeChanged" else ()
        if "camera" in changed and event["person"] == person.key:
            yield "on" if event["values"]["camera"] else "off"

    return words


def _recording(script: Script) -> tuple[Step, ...]:
    return Step("started", before_s=LEAD_S), Step("stopped", script.cues[-1].at_s)


def _recording_words(event: Entry) -> Iterator[str]:
    if event["event"].startswith("Recording"):
        yield event["event"].removeprefix("Recording").lower()


def _refusal_words(event: Entry) -> Iterator[str]:
    if event["event"] == "PicturesRefused":
        yield f"{event['name']} cannot be shown somebody: {event['reason']}"
