"""What happened in a run of the demo, as its parties told it: all that the verdict judges by."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .story import LOSS_SEED, MEMBER_TIMEOUT_S, ROLES, Role, Story

Entry = dict[str, Any]
"""An event as `Event.to_json` writes it, with the person's `name` of that moment."""


@dataclass(slots=True)
class PartyLog:
    """One party's side. Times (`at`) are seconds since both parties were connected."""

    role: Role
    recording: Path
    """What this party heard and saw."""
    events: list[Entry] = field(default_factory=list)
    statistics: Entry = field(default_factory=dict)
    """The last before the farewell: `CallStats.to_json`, with `people` and the own `name`."""
    finished: Entry | None = None
    """What the recorder had to leave out; None when the process did not end by itself."""
    complaints: list[str] = field(default_factory=list)
    """What the process wrote to its standard error."""


@dataclass(slots=True)
class DemoLog:
    """Both sides."""

    story: Story
    parties: dict[str, PartyLog]
    failure: str = ""
    """Why the story was not played to its end."""

    @classmethod
    def empty(cls, story: Story, folder: Path) -> DemoLog:
        """The log of a run that is about to begin and that records into `folder`."""
        return cls(story, {r.key: PartyLog(r, folder / recording_name(r)) for r in ROLES})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "duration_s": self.story.duration_s,
            "loss_percent": self.story.loss_percent,
            "loss_seed": LOSS_SEED,
            "member_timeout_s": MEMBER_TIMEOUT_S,
            "failure": self.failure,
            "scenes": [
                {"at": scene.at_s, "party": scene.role.key, **scene.order, "caption": scene.caption}
                for scene in self.story.scenes
            ],
            "parties": {key: _party_json(party) for key, party in self.parties.items()},
        }

    @classmethod
    def from_json(cls, text: str) -> DemoLog:
        """The log from the text of a file that `--json` wrote."""
        values = json.loads(text)
        parties = {}
        for role in ROLES:
            saved = values["parties"][role.key]
            parties[role.key] = PartyLog(role, Path(saved.pop("recording")), **saved)
        story = Story(values["duration_s"], values["loss_percent"])
        return cls(story, parties, values["failure"])


def recording_name(role: Role) -> str:
    """The file with what that party heard and saw."""
    return f"{role.key}-heard-and-saw-{role.far.key}.mp4"


def _party_json(party: PartyLog) -> dict[str, Any]:
    return {
        "recording": str(party.recording),
        "events": party.events,
        "statistics": party.statistics,
        "finished": party.finished,
        "complaints": party.complaints,
    }
