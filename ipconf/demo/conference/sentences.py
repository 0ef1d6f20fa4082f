"""The events of a conference as sentences, for whoever watches the demo."""

from __future__ import annotations

from rich.text import Text

from ..log import Entry
from ..sentences import CLASS_WIDTH, Phrase, display_name, phrase
from .log import SideLog
from .scenes import NAMES, Cue, Phase
from .script import HUB_KEY, HUB_NAME

STYLES = (
    "bold bright_blue", "bold bright_magenta", "bold bright_green", "bold bright_yellow",
    "bold bright_red", "bold bright_cyan", "bold blue", "bold magenta", "bold green",
    "bold yellow", "bold red", "bold cyan",
)  # fmt: skip
"""Each person's name in its colour."""
STYLE_OF = {**dict(zip(NAMES, STYLES, strict=True)), HUB_NAME: "bold white"}

PHRASES = {
    "LegAdded": Phrase("a call comes in", "dim"),
    "LegRemoved": Phrase("a call is gone", "dim"),
    "AttendeeJoined": Phrase("{name} is in the conference", "bold green"),
    "AttendeeTalking": Phrase("{name} talks", "cyan"),
    "AttendeeSilent": Phrase("{name} is silent", "dim"),
    "RecordingStarted": Phrase("a recording has begun", "bold red"),
    "RecordingStopped": Phrase("the recording has ended", "dim"),
    "RecordingFailed": Phrase("the recording failed: {error}", "bold red"),
    "PicturesRefused": Phrase("{name} cannot be shown somebody: {reason}", "bold red"),
    "ConferenceEnded": Phrase("the conference is over: “{reason}”", "bold"),
}
ABOUT_ALL = {"ParticipantTimedOut", "ParticipantRecovered", "ParticipantLeft"}
"""What people tell of everybody is shown where it is about the hub."""


def is_worth_a_line(side: SideLog, event: Entry) -> bool:
    """Whether to print an event: all of the hub's, of the others what happens to themselves."""
    if side.name == HUB_NAME or event["event"] == "CallStateChanged":
        return True
    return event["event"] in ABOUT_ALL and event.get("about") == HUB_KEY


def conference_phrase(event: Entry) -> Phrase:
    """What an event says, without the side that tells it."""
    kind = event["event"]
    name = display_name(event.get("name", ""), event.get("person", ""))
    if kind in PHRASES:
        return Phrase(PHRASES[kind].text.format_map({**event, "name": name}), PHRASES[kind].style)
    if kind == "AttendeeLeft":
        if event["reason"] == "timeout":
            return Phrase(f"{name} vanished without a word", "bold red")
        last_words = f": “{event['text']}”" if event["text"] else ""
        return Phrase(f"{name} left ({event['reason']}){last_words}", "bold yellow")
    if kind == "AttendeeChanged":
        if "muted" in event["changed"]:
            return Phrase(f"{name} {'is muted' if event['muted'] else 'may speak'}", "bold yellow")
        if "camera" in event["changed"]:
            state = "on" if event["values"]["camera"] else "off"
            return Phrase(f"{name}'s camera is {state}", "yellow")
        return Phrase(f"{name} changed: {', '.join(event['changed'])}", "yellow")
    if kind == "SlotChanged":
        seen = event.get("seen", "nobody")
        return Phrase(f"{name} is shown {seen} in slot {event['slot'] + 1}", "dim")
    if kind == "DominantSpeakerChanged":
        who = name if event.get("person") else "nobody"
        return Phrase(f"{who} has the floor", "bold cyan")
    return phrase(event)


def event_line(side: SideLog, event: Entry) -> Text:
    """One line, aligned: when, who tells it, the class of the event, what it means."""
    text, style = conference_phrase(event)
    return Text.assemble(
        (f"{event['at']:6.2f} ", "dim"),
        (f"{side.name:<6}", STYLE_OF[side.name]),
        (f"{event['event']:<{CLASS_WIDTH}} ", "dim"),
        (text, style),
        no_wrap=True,
        overflow="ellipsis",
    )


def cue_line(cue: Cue) -> Text:
    """One line, aligned like those of the events."""
    return _caption_line(cue.at_s, cue.caption, "bold magenta")


def phase_line(phase: Phase) -> Text:
    """One line, aligned like those of the events."""
    return _caption_line(phase.span.start_s, phase.title, "bold blue")


def _caption_line(at_s: float, caption: str, style: str) -> Text:
    return Text.assemble(
        (f"{at_s:6.2f} ", "dim"), (f"▸ {caption}", style), no_wrap=True, overflow="ellipsis"
    )
