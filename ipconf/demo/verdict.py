"""Whether the run was as it should be: every event, and what really stands in the recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import MediaError
from .expected import chains, talk_faults
from .log import DemoLog, PartyLog
from .recordings import Likeness, Look, Sound, likeness, looks
from .story import SETTLE_S, Role, Span

SAME_VOICE = 0.8
"""Loudness curves of one speech, sent and recorded, correlate with more than 0.95, with 0.9 where a
tenth of the packets was lost; those of the two clips with less than 0.6 however they are shifted.
"""
OTHER_VOICE = 0.25
"""The own clip must correlate by so much less than the far one."""
MAX_SILENCE_RMS = 33.0
"""-60 dBov: less than the clips' pauses and speech, more than a codec makes of nothing."""
SAME_NAME = 0.8
"""The name area of the same test picture correlates with more than 0.95, of the other with 0.3."""
SAME_COLOUR = 20.0
"""The parties' backgrounds are 70 apart, codecs shift a colour by a few."""
MIN_FPS = 10.0
"""30 pictures a second are sent; a loss costs those up to the next key frame."""
MAX_HELD_FPS = 0.5
"""Without new pictures a recording repeats the last one, which is no movement."""
MIN_CHANGE = 0.5
"""From one picture to the next clock and bar change the light of their part by 1.8 of 255 or more
on average; a picture that is repeated changes by less than 0.1."""
MAX_DELAY_S = 0.5
"""A conversation gets difficult from about 0.4 s (ITU-T G.114); here it is 0.1 s."""
LENGTH_TOLERANCE_S = 1.0
WANTED = {
    "Recording complete": f"as long as the call, give or take {LENGTH_TOLERANCE_S:g} s",
    "Heard the other": f"at least {SAME_VOICE}, and {OTHER_VOICE} more than the own clip",
    "Heard in time": f"at most {MAX_DELAY_S * 1000:.0f} ms",
    "Silence in between": "at most -60 dBov",
    "Saw the other": "all of them",
    "Pictures moved": f"at least {MIN_FPS:g}, then {MAX_HELD_FPS} at most, then {MIN_FPS:g} fps",
}
"""What each recording must show."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question about one party, and its answer."""

    party: str
    question: str
    found: str
    """What was there, in a few words."""
    faults: tuple[str, ...] = ()
    """What is wrong with it, a sentence each."""

    @property
    def passed(self) -> bool:
        """Whether nothing is."""
        return not self.faults


def judge(log: DemoLog) -> list[Check]:
    """All checks of a run. The recordings are read, which takes seconds."""
    return [
        check
        for party in log.parties.values()
        for check in (*check_events(log, party), *check_recording(log, party))
    ]


def check_events(log: DemoLog, party: PartyLog) -> list[Check]:
    """Whether the run went as it should for this party, by what it told."""

    key, far = party.role.key, party.role.far.name
    ends = [log.failure] if log.failure else []
    if party.finished is None:
        ends.append(f"{party.role.name}'s process did not end by itself")
    expected = chains(log.story, party.role)
    events = [fault for chain in expected for fault in chain.faults(party.events)]
    talk = talk_faults(log.story, party.events)
    steps = sum(len(chain.steps) for chain in expected)
    talks = sum(event["event"] == "ParticipantActive" for event in party.events)
    return [
        Check(key, "Played to the end", "yes", tuple(ends)),
        Check(key, "No inner errors", "none", tuple(party.complaints)),
        Check(key, "All events in order", f"{steps} came", tuple(events)),
        Check(key, "Talk noticed", f"{far} talked {talks} times", tuple(talk)),
    ]


def check_recording(log: DemoLog, party: PartyLog) -> list[Check]:
    """Whether this party's file holds the other's voice and picture, and when."""
    try:
        recording = _Recording(log, party)
    except MediaError as exc:
        return [Check(party.role.key, "Recording complete", "", (str(exc),))]
    answers = {
        "Recording complete": recording.is_whole(),
        "Heard the other": recording.heard(),
        "Heard in time": recording.in_time(),
        "Silence in between": recording.was_silent(),
        "Saw the other": recording.saw(),
        "Pictures moved": recording.moved(),
    }
    return [
        Check(party.role.key, question, found, () if passed else (_fault(question, found),))
        for question, (passed, found) in answers.items()
    ]


def _fault(question: str, found: str) -> str:
    return f"{found}; wanted {WANTED[question]} (a machine that is busy otherwise loses media)"


class _Recording:
    """What a party heard and saw, on the time of its file."""

    def __init__(self, log: DemoLog, party: PartyLog) -> None:
        self._log = log
        self._party = party
        self._story = log.story
        self._sound = Sound(party.recording)
        self._looks = looks(party.recording, party.role.far, party.role)
        began = _file_began(party, party.recording.name)
        if began is None:
            raise MediaError(f"no event says when {party.recording.name} began")
        self._began_s = began

    def is_whole(self) -> tuple[bool, str]:
        """Sound and picture last as long as the call."""
        expected_s = self._story.duration_s - self._began_s
        lengths = (self._sound.length_s, self._looks[-1].at_s if self._looks else 0.0)
        passed = all(abs(length - expected_s) <= LENGTH_TOLERANCE_S for length in lengths)
        return passed, f"sound {lengths[0]:.1f}, video {lengths[1]:.1f} s"

    def heard(self) -> tuple[bool, str]:
        """The far clip, where it must be heard, and not the own one."""
        far, _ = self._likeness(self._party.role.far)
        own, _ = self._likeness(self._party.role)
        passed = far >= SAME_VOICE and far - own >= OTHER_VOICE
        return passed, f"likeness {far:.2f} (own {own:.2f})"

    def in_time(self) -> tuple[bool, str]:
        """From the far party's file into ours."""
        _, delay_s = self._likeness(self._party.role.far)
        return delay_s <= MAX_DELAY_S, f"{delay_s * 1000:.0f} ms mouth to ear"

    def was_silent(self) -> tuple[bool, str]:
        """While muted and in the outage, once what was under way has been played."""
        spans = [
            self._in_file(Span(span.start_s + SETTLE_S / 2, span.end_s))
            for span in self._story.silent_for(self._party.role)
        ]
        loudest = max(float(curve.max(initial=0.0)) for curve in self._sound.within(spans))
        return loudest <= MAX_SILENCE_RMS, f"{len(spans)} × silence"

    def saw(self) -> tuple[bool, str]:
        """Whenever it must, the far party's name on its colour, and never the own ones."""
        due = [look for span in self._story.seen for look in self._within(span)]
        far = sum(_shows(look.far) for look in due)
        own = sum(_shows(look.own) for look in self._looks)
        return 0 < len(due) == far and not own, f"{far} of {len(due)} pictures"

    def moved(self) -> tuple[bool, str]:
        """Clock and bar moved when they could, and not in the outage."""
        lively = [self._rate(span) for span in self._story.seen]
        outage = self._story.outage
        held = self._rate(Span(outage.start_s + SETTLE_S / 2, outage.end_s))
        passed = min(lively) >= MIN_FPS and held <= MAX_HELD_FPS
        return passed, f"{lively[0]:.0f}, then {held:.0f}, then {lively[1]:.0f} fps"

    def _in_file(self, span: Span) -> Span:
        return Span(span.start_s - self._began_s, span.end_s - self._began_s)

    def _likeness(self, role: Role) -> tuple[float, float]:
        began = _file_began(self._log.parties[role.key], role.clip.name)
        if began is None:
            return 0.0, math.inf
        spans = [self._in_file(span) for span in self._story.heard_by(self._party.role)]
        return likeness(self._sound, spans, Sound(role.clip), began - self._began_s)

    def _rate(self, span: Span) -> float:
        count = sum(look.change >= MIN_CHANGE for look in self._within(span))
        return count / (span.end_s - span.start_s)

    def _within(self, span: Span) -> list[Look]:
        within = self._in_file(span)
        return [look for look in self._looks if within.start_s <= look.at_s < within.end_s]


def _shows(look: Likeness) -> bool:
    return look.name >= SAME_NAME and look.colour <= SAME_COLOUR


def _file_began(party: PartyLog, name: str) -> float | None:
    """When a file was first read or written, in seconds of the story."""
    times = (
        event["at"]
        for event in party.events
        if event["event"] == "FileTerminalEvent"
        and event["state"] == "active"
        and event["terminal"].startswith(f"{name} ")
    )
    return min(times, default=None)
