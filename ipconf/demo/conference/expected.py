"""Which events the script must bring about, at the hub and at each person, as chains."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..expected import Chain, Step
from ..log import Entry
from .expected_pictures import picture_chains
from .scenes import PAUSE_S, Person
from .script import (
    GOODBYE,
    HUB_KEY,
    HUB_NAME,
    LEAD_S,
    MEMBER_TIMEOUT_S,
    REASON,
    Script,
)

TELL_S = 1.5
"""After something happened: until everybody has been told. RTCP comes once a second or so."""
FAREWELL_S = 1.0
"""How long before the end of the script the conference may be over: the last pause."""


def hub_chains(script: Script) -> tuple[Chain, ...]:
    """All that the hub's log must hold."""
    return (
        *(Chain(f"{p.name} at the hub", _stay(script, p), _stay_words(p)) for p in script.people),
        *(Chain(f"{p.name}'s mute", _mutes(script, p), _mute_words(p)) for p in script.people),
        Chain("legs", _legs(script), _leg_words),
        Chain("the conference", (Step(f"ended: {GOODBYE}", _end_s(script)),), _end_words),
        *(picture_chains(script) if script.slots else ()),
    )


def person_chains(script: Script, person: Person) -> tuple[Chain, ...]:
    """All that this person's log must hold."""
    others = ((p.key, p.name) for p in script.people if p != person)
    return (
        Chain("the call", _call(script, person), _call_words),
        *(
            Chain(name, _acquaintance(script, person, key), _people_words(script, key))
            for key, name in (*others, (HUB_KEY, HUB_NAME))
        ),
        Chain("failures", (), _failure_words),
    )


def _end_s(script: Script) -> float:
    return script.duration_s - FAREWELL_S


def _gone(script: Script, person: Person) -> Step:
    """When and why somebody leaves for good, as the hub tells it."""
    if person == script.removed:
        at_s = script.removed_s
        return Step(f"left (closed: {REASON})", at_s, at_s + TELL_S)
    return Step(f"left (closed: {GOODBYE})", _end_s(script))


def _stay(script: Script, person: Person) -> tuple[Step, ...]:
    away = script.away
    absence = (
        Step("left (timeout)", away.start_s + MEMBER_TIMEOUT_S, away.end_s),
        Step("joined", away.end_s, away.end_s + script.return_s),
    )
    return (
        Step("joined", before_s=LEAD_S),
        *(absence if person == script.vanishing else ()),
        _gone(script, person),
    )


def _stay_words(person: Person) -> Callable[[Entry], Iterator[str]]:
    def words(event: Entry) -> Iterator[str]:
        if event.get("person") != person.key:
            return
        if event["event"] == "AttendeeJoined":
            yield "joined"
        elif event["event"] == "AttendeeLeft":
            yield _left(event)

    return words


def _left(event: Entry) -> str:
    text = f": {event['text']}" if event["text"] else ""
    return f"left ({event['reason']}{text})"


def _mutes(script: Script, person: Person) -> tuple[Step, ...]:
    if person != script.muted:
        return ()
    begin_s, end_s = script.mute.start_s, script.mute.end_s
    return (
        Step("muted", begin_s, begin_s + PAUSE_S),
        Step("unmuted", end_s, end_s + PAUSE_S),
    )


def _mute_words(person: Person) -> Callable[[Entry], Iterator[str]]:
    def words(event: Entry) -> Iterator[str]:
        changed = event["changed"] if event["event"] == "AttendeeChanged" else ()
        if "muted" in changed and event["person"] == person.key:
            yield "muted" if event["muted"] else "unmuted"

    return words


def _legs(script: Script) -> tuple[Step, ...]:
    count = len(script.people)
    return (
        *(Step("added", before_s=LEAD_S) for _ in range(count)),
        Step("removed", script.removed_s, script.removed_s + TELL_S),
        *(Step("removed", _end_s(script)) for _ in range(count - 1)),
    )


def _leg_words(event: Entry) -> Iterator[str]:
    if event["event"] in ("LegAdded", "LegRemoved", "LegFailed"):
        yield event["event"].removeprefix("Leg").lower()


def _end_words(event: Entry) -> Iterator[str]:
    if event["event"] == "ConferenceEnded":
        yield f"ended: {event['reason']}"


def _call(script: Script, person: Person) -> tuple[Step, ...]:
    removed, away = person == script.removed, script.away
    again = (
        Step("connecting", away.end_s, away.end_s + script.return_s),
        Step("connected", away.end_s, away.end_s + script.return_s),
    )
    ends_s = script.removed_s if removed else _end_s(script)
    return (
        Step("connecting"),
        Step("connected", before_s=LEAD_S),
        *(again if person == script.vanishing else ()),
        Step("disconnected (remote request)", ends_s),
    )


def _call_words(event: Entry) -> Iterator[str]:
    if event["event"] == "CallStateChanged":
        ended = event["state"] == "disconnected"
        cause = event["cause"].replace("_", " ")
        yield f"disconnected ({cause})" if ended else event["state"]


def _acquaintance(script: Script, person: Person, other: str) -> tuple[Step, ...]:
    """What a person knows of another, or of the hub itself."""
    away, vanishing = script.away, script.vanishing
    gone_s, back_s = away.start_s + MEMBER_TIMEOUT_S, away.end_s
    absence: tuple[Step, ...] = ()
    if person == vanishing:
        absence = (
            Step(_gone_word(script, "timed out"), gone_s, back_s),
            Step("is back", back_s, back_s + script.return_s),
        )
    elif other == vanishing.key:
        absence = (
            Step(_gone_word(script, "left (bye)"), gone_s, back_s + TELL_S),
            Step("came", back_s, back_s + script.return_s),
        )
    removed = script.removed in (person, *(p for p in script.people if p.key == other))
    at_s = script.removed_s if removed else _end_s(script)
    text = REASON if removed else GOODBYE
    return (
        Step("came", before_s=LEAD_S + script.return_s),
        *absence,
        Step(_gone_word(script, f"left (bye: {text})"), at_s),
    )


def _gone_word(script: Script, word: str) -> str:
    """Each way to be gone is a word; where datagrams get lost, a BYE does, and all are the same."""
    return "gone" if script.loss_percent else word


def _people_words(script: Script, key: str) -> Callable[[Entry], Iterator[str]]:
    def words(event: Entry) -> Iterator[str]:
        if event.get("about") != key:
            return
        match event["event"]:
            case "NewParticipant":
                yield "came"
            case "ParticipantTimedOut":
                yield _gone_word(script, "timed out")
            case "ParticipantRecovered":
                yield "is back"
            case "ParticipantLeft":
                yield _gone_word(script, _left(event))

    return words


def _failure_words(event: Entry) -> Iterator[str]:
    if event["event"] in ("StreamFailed", "TerminalFailed", "StreamNotUsed"):
        yield f"{event['event']} of {event['stream']}: {event['error']}"
    elif event["event"] == "FileTerminalEvent" and event["error"]:
        yield f"{event['terminal']}: {event['error']}"
