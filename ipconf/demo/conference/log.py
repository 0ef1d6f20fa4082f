"""What happened in a conference, as its processes told it: all that the verdict judges by."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..log import Entry
from ..story import LOSS_SEED
from .scenes import Person
from .script import HUB_NAME, MEMBER_TIMEOUT_S, Script
from .watching import Stretch

MOSAIC_NAME = "all-heard-and-saw.webm"


@dataclass(slots=True)
class SideLog:
    """One side: a person's, or the hub's. Times (`at`) are seconds since everybody was there."""

    name: str
    events: list[Entry] = field(default_factory=list)
    finished: bool = False
    """Whether it told that it was through."""


@dataclass(slots=True)
class PersonLog(SideLog):
    """A person's side."""

    person: Person = field(default=Person(0))
    recording: Path = Path()
    """What this person heard."""
    recording_began_s: float = 0.0
    stretches: list[Stretch] = field(default_factory=list)
    """What this person saw."""
    sees: dict[int, str] = field(default_factory=dict)
    """Who is in each of their slots now, by key, where somebody is."""


@dataclass(slots=True)
class ConferenceLog:
    """All sides."""

    script: Script
    hub: SideLog
    people: dict[str, PersonLog]
    """By key."""
    legs: list[Entry] = field(default_factory=list)
    """The last that the hub counted before the end, one for each person: see `hub`."""
    numbers: dict[str, Entry] = field(default_factory=dict)
    """The same by key, with those who have left as they were."""
    complaints: list[str] = field(default_factory=list)
    """What the processes wrote to their standard errors."""
    failure: str = ""
    """Why the script was not played to its end."""
    mosaic: Path | None = None
    """Where the hub records everybody in one picture; None without video."""

    @classmethod
    def empty(cls, script: Script, folder: Path) -> ConferenceLog:
        """The log of a run that is about to begin and that records into `folder`."""
        people = {
            p.key: PersonLog(p.name, person=p, recording=folder / f"{p.key}-heard.wav")
            for p in script.people
        }
        mosaic = folder / MOSAIC_NAME if script.slots else None
        return cls(script, SideLog(HUB_NAME), people, mosaic=mosaic)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        script = self.script
        return {
            "parties": len(script.people),
            "duration_s": script.duration_s,
            "loss_percent": script.loss_percent,
            "video": bool(script.slots),
            "mosaic": None if self.mosaic is None else str(self.mosaic),
            "loss_seed": LOSS_SEED,
            "member_timeout_s": MEMBER_TIMEOUT_S,
            "failure": self.failure,
            "complaints": self.complaints,
            "scenes": [{"at": c.at_s, "caption": c.caption, **c.order} for c in script.cues],
            "legs": self.numbers,
            "hub": {"events": self.hub.events, "finished": self.hub.finished},
            "people": {
                key: {
                    "recording": str(side.recording),
                    "recording_began_s": side.recording_began_s,
                    "events": side.events,
                    "stretches": [stretch.to_json() for stretch in side.stretches],
                    "finished": side.finished,
                }
                for key, side in self.people.items()
            },
        }

    @classmethod
    def from_json(cls, text: str) -> ConferenceLog:
        """The log from the text of a file that `--json` wrote."""
        values = json.loads(text)
        parties, duration_s, loss_percent, video, mosaic = (
            values[key] for key in ("parties", "duration_s", "loss_percent", "video", "mosaic")
        )
        script = Script(parties, duration_s, loss_percent, video=video)
        people = {}
        for person in script.people:
            saved = values["people"][person.key]
            recording = Path(saved.pop("recording"))
            stretches = [Stretch(**each) for each in saved.pop("stretches")]
            people[person.key] = PersonLog(
                person.name, person=person, recording=recording, stretches=stretches, **saved
            )
        hub = SideLog(HUB_NAME, **values["hub"])
        legs, complaints, failure = values["legs"], values["complaints"], values["failure"]
        path = Path(mosaic) if mosaic else None
        return cls(script, hub, people, list(legs.values()), legs, complaints, failure, path)
