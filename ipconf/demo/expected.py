"""Which events the story must bring about at each party, and the check that just those came.

Events are read as chains: what happened to one thing, in order, as words. A chain must be exactly
as expected, each step in its time, so that one event too few, too many or too early is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .log import Entry
from .story import ALICE, BOB, FAREWELL, MEMBER_TIMEOUT_S, NEW_NAME, SETTLE_S, Role, Story

EARLY_S = 0.5
"""Orders and packets take their time, clocks are rounded: so much earlier is not too early."""
TALK_ENDS_S = 2.0
"""After an outage began: until the last talk must have ended."""


@dataclass(frozen=True, slots=True)
class Step:
    """One word of a chain, and when it may come; over a bad network it may be another word."""

    word: str
    after_s: float = -math.inf
    before_s: float = math.inf
    or_word: str = ""

    def allows(self, word: str) -> bool:
        """Whether it may be that word."""
        return word == self.word or (bool(self.or_word) and word == self.or_word)

    def misses(self, at: float) -> str:
        """What a time is not, in words; nothing where it is right."""
        if at < self.after_s - EARLY_S:
            return f"not after {self.after_s:.1f} s"
        return f"not before {self.before_s:.1f} s" if at > self.before_s else ""


@dataclass(frozen=True, slots=True)
class Chain:
    """What must happen to one thing; `words` picks its events and puts them in words."""

    title: str
    steps: tuple[Step, ...]
    words: Callable[[Entry], Iterator[str]]

    def faults(self, events: list[Entry]) -> list[str]:
        """In a sentence each, what is not as expected; empty when everything is."""
        came = [(word, event["at"]) for event in events for word in self.words(event)]
        pairs = list(zip(self.steps, came, strict=False))
        if len(came) != len(self.steps) or not all(s.allows(word) for s, (word, _) in pairs):
            wanted = ", ".join(step.word for step in self.steps) or "nothing"
            story = ", ".join(f"{word} ({at:.1f} s)" for word, at in came) or "nothing"
            return [f"{self.title}: expected {wanted}; there was {story}"]
        return [
            f"{self.title}: {word} came at {at:.1f} s, {limits}"
            for step, (word, at) in pairs
            if (limits := step.misses(at))
        ]


def chains(story: Story, role: Role) -> tuple[Chain, ...]:
    """All that this party's log must hold."""
    return (
        Chain("the call", _call_steps(story, role), _call_words),
        Chain(f"{role.far.name}", _person_steps(story, role), _person_words),
        *(Chain(f"{m} render", _arriving_steps(story), _stream_words(m)) for m in _MEDIA),
        *(Chain(f"{m} of {role.far.name}", _share_steps(story), _share_words(m)) for m in _MEDIA),
        *(Chain(f"{m} capture", _sent_steps(story), _stream_words(m, "capture")) for m in _MEDIA),
        Chain("failures", (), _failure_words),
    )


_MEDIA = ("audio", "video")


def _call_steps(story: Story, role: Role) -> tuple[Step, ...]:
    remote, local = "disconnected (remote request)", "disconnected (local request)"
    # The goodbye of DTLS is one datagram; where it is lost, Alice hangs up herself at the end.
    ends = Step(remote, story.duration_s, or_word=local if story.loss_percent else "")
    return (
        Step("connecting"),
        Step("connected", before_s=SETTLE_S),
        ends if role == ALICE else Step(local, story.duration_s),
    )


def _person_steps(story: Story, role: Role) -> tuple[Step, ...]:
    outage = story.outage
    gone = (
        Step("timed out", outage.start_s + MEMBER_TIMEOUT_S, outage.end_s),
        Step("recovered", outage.end_s, story.duration_s),
    )
    came = Step("came", before_s=SETTLE_S)
    if role == BOB:
        return came, Step(f"named {ALICE.name}"), *gone, Step("left (closed)", story.duration_s)
    # A BYE is one datagram as well; where it is lost, the goodbye of DTLS says the same wordlessly.
    bye = f"left (bye: {FAREWELL})"
    return (
        came,
        Step(f"named {BOB.name}", before_s=story.rename_s),
        Step(f"named {NEW_NAME}", story.rename_s, outage.start_s),
        *gone,
        Step(bye, story.duration_s, or_word="left (bye)" if story.loss_percent else ""),
    )


def _arriving_steps(story: Story) -> tuple[Step, ...]:
    outage = story.outage
    return (
        Step("new", before_s=SETTLE_S),
        Step("active", before_s=SETTLE_S),
        Step("inactive (media timeout)", outage.start_s, outage.end_s),
        Step("active", outage.end_s, story.duration_s),
        Step("inactive", story.duration_s),
    )


def _share_steps(story: Story) -> tuple[Step, ...]:
    outage = story.outage
    gone_s = outage.start_s + MEMBER_TIMEOUT_S - SETTLE_S  # the source of one medium may go first
    return (
        *(Step(word, before_s=SETTLE_S) for word in ("new", "mapped")),
        *(Step(word, gone_s, outage.end_s) for word in ("unmapped", "removed")),
        *(Step(word, outage.end_s, story.duration_s) for word in ("new", "mapped")),
        *(Step(word, story.duration_s) for word in ("unmapped", "removed")),
    )


def _sent_steps(story: Story) -> tuple[Step, ...]:
    return (
        Step("new", before_s=SETTLE_S),
        Step("active", before_s=SETTLE_S),
        Step("inactive", story.duration_s),
    )


def _call_words(event: Entry) -> Iterator[str]:
    if event["event"] == "CallStateChanged":
        ended = event["state"] == "disconnected"
        cause = event["cause"].replace("_", " ")
        yield f"disconnected ({cause})" if ended else event["state"]


def _person_words(event: Entry) -> Iterator[str]:
    match event["event"]:
        case "NewParticipant":
            yield "came"
            if event["name"] != event["participant"]:
                yield f"named {event['name']}"
        case "ParticipantInfoChanged" if "name" in event["changed"]:
            yield f"named {event['name']}"
        case "ParticipantTimedOut":
            yield "timed out"
        case "ParticipantRecovered":
            yield "recovered"
        case "ParticipantLeft":
            text = f": {event['text']}" if event["text"] else ""
            yield f"left ({event['reason']}{text})"


def _stream_words(medium: str, direction: str = "render") -> Callable[[Entry], Iterator[str]]:
    def words(event: Entry) -> Iterator[str]:
        if event.get("stream") != f"{medium} {direction}":
            return
        if event["event"] == "NewStream":
            yield "new"
        elif event["event"] == "StreamActive":
            yield "active"
        elif event["event"] == "StreamInactive":
            timeout = event["cause"] == "media_timeout"
            yield "inactive (media timeout)" if timeout else "inactive"

    return words


_SHARE_WORDS = {
    "NewSubStream": "new",
    "SubStreamMapped": "mapped",
    "SubStreamUnmapped": "unmapped",
    "SubStreamRemoved": "removed",
}


def _share_words(medium: str) -> Callable[[Entry], Iterator[str]]:
    def words(event: Entry) -> Iterator[str]:
        word = _SHARE_WORDS.get(event["event"])
        if word is not None and event["substream"].startswith(medium):
            yield word

    return words


def _failure_words(event: Entry) -> Iterator[str]:
    if event["event"] in ("StreamFailed", "TerminalFailed", "StreamNotUsed"):
        yield f"{event['event']} of {event['stream']}: {event['error']}"
    elif event["event"] == "FileTerminalEvent" and event["error"]:
        yield f"{event['terminal']}: {event['error']}"


def talk_faults(story: Story, events: list[Entry]) -> list[str]:
    """What is wrong with who talked when: both clips talk and pause all the time."""
    faults = []
    for began, ended in (
        ("ParticipantActive", "ParticipantInactive"),
        ("LocalTalking", "LocalSilent"),
    ):
        kinds = [event["event"] for event in events if event["event"] in (began, ended)]
        if len(kinds) < 2 or any(
            kind != (ended if index % 2 else began) for index, kind in enumerate(kinds)
        ):
            faults.append(
                f"{began} and {ended} must take turns; there was {', '.join(kinds) or 'neither'}"
            )
    outage = story.outage
    starts = [event["at"] for event in events if event["event"] == "ParticipantActive"]
    if not any(at < outage.start_s for at in starts):
        faults.append("no talk was noticed before the outage")
    if not any(at > outage.end_s for at in starts):
        faults.append("no talk was noticed after the outage")
    if any(outage.start_s + TALK_ENDS_S < at < outage.end_s for at in starts):
        faults.append("talk was noticed in the outage")
    return faults
