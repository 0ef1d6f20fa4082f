"""Events as sentences, for whoever watches the demo."""

from __future__ import annotations

from typing import NamedTuple

from rich.text import Text

from .log import Entry
from .story import Role, Scene

CLASS_WIDTH = 22
"""The longest class name of an event that the demo brings about."""


class Phrase(NamedTuple):
    """What an event means, and the colour to tell it in."""

    text: str
    style: str = ""


PERSON_PHRASES = {
    "NewParticipant": Phrase("{name} joined", "bold green"),
    "ParticipantTimedOut": Phrase("{name} vanished without a word", "bold red"),
    "ParticipantRecovered": Phrase("{name} is back", "bold green"),
    "ParticipantActive": Phrase("{name} talks", "cyan"),
    "ParticipantInactive": Phrase("{name} is silent", "dim"),
    "LocalTalking": Phrase("talks", "cyan"),
    "LocalSilent": Phrase("is silent", "dim"),
    "NewSubStream": Phrase("{medium} of {name} comes in", "dim"),
    "SubStreamMapped": Phrase("{medium} of {name} is rendered", "dim"),
    "SubStreamUnmapped": Phrase("{medium} of {name} is rendered no more", "dim"),
    "SubStreamRemoved": Phrase("{medium} of {name} is gone", "dim"),
    "NewStream": Phrase("{stream} is there", "dim"),
    "StreamActive": Phrase("{stream} flows ({cause})", "dim"),
    "StreamInactive": Phrase("{stream} has stopped ({cause})", "dim"),
    "CallStateChanged": Phrase("the call is {state}", "bold"),
    "FileTerminalEvent": Phrase("{file} is {state}", "dim"),
}


def phrase(event: Entry) -> Phrase:
    """What an event says, without the party that tells it."""
    kind = event["event"]
    if kind == "ParticipantInfoChanged":
        if "name" in event["changed"]:
            return Phrase(f"their name is “{event['name']}”", "bold yellow")
        return Phrase(f"{event['name']} changed {', '.join(event['changed'])}")
    if kind == "ParticipantLeft":
        last_words = f": “{event['text']}”" if event["text"] else ""
        return Phrase(f"{event['name']} left ({event['reason']}){last_words}", "bold yellow")
    if kind not in PERSON_PHRASES:
        return Phrase(str(event.get("error") or ""), "bold red")
    text, style = PERSON_PHRASES[kind]
    values = {key: str(value) for key, value in event.items()}
    values["name"] = display_name(values.get("name", ""), values.get("participant", ""))
    values["cause"] = values.get("cause", "").replace("_", " ")
    values["medium"] = values.get("substream", "").partition(" ")[0]
    values["file"] = values.get("terminal", "").rpartition(" ")[0]
    return Phrase(text.format_map(values), style)


def display_name(name: str, identity: str) -> str:
    """A name to show: who has only a CNAME yet is someone, for the half second until the NAME."""
    return "someone" if name == identity else name


def event_line(role: Role, event: Entry) -> Text:
    """One line, aligned: when, who tells it, the class of the event, what it means."""
    text, style = phrase(event)
    return Text.assemble(
        (f"{event['at']:6.2f} ", "dim"),
        (f"{role.name:<6}", ROLE_STYLES[role.key]),
        (f"{event['event']:<{CLASS_WIDTH}} ", "dim"),
        (text, style),
        no_wrap=True,
        overflow="ellipsis",
    )


def scene_line(scene: Scene) -> Text:
    """One line, aligned like those of the events."""
    return Text.assemble(
        (f"{scene.at_s:6.2f} ", "dim"),
        (f"▸ {scene.caption}", "bold magenta"),
        no_wrap=True,
        overflow="ellipsis",
    )


ROLE_STYLES = {"alice": "bold bright_blue", "bob": "bold bright_magenta"}
"""Each party's name in its colour."""
