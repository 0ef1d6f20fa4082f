"""Whether the run was as it should be: every event, and what really stands in the recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median

from ..errors import MediaError
from .expected import chains, talk_faults
from .log import DemoLog, PartyLog
from .recordings import Look, Sound, likeness, looks
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
MAX_HELD_FPS = 3.0
"""Without new pictures a recording repeats the last one twice a second."""
LENGTH_TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One question about one party and its answer; `found` is the reason in a few words."""

    party: str
    question: str
    passed: bool
    found: str

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def judge(log: DemoLog) -> list[Check]:
    """All checks of a run. The recordings are read, which takes seconds."""
    return [check for party in log.parties.values() for check in _judge_party(log, party)]


def _judge_party(log: DemoLog, party: PartyLog) -> Iterator[Check]:
    key, far = party.role.key, party.role.far.name
    faults = [log.failure] if log.failure else []
    if party.finished is None:
        faults.append(f"{party.role.name}'s process did not end by itself")
    yield Check(key, "Played to the end", not faults, "; ".join(faults) or "yes")
    complaints = "; ".join(party.complaints)
    yield Check(key, "Nothing went wrong inside", not complaints, complaints or "no complaints")
    expected = chains(log.story, party.role)
    faults = [fault for chain in expected for fault in chain.faults(party.events)]
    steps = sum(len(chain.steps) for chain in expected)
    yield Check(key, "Every event came, in order", not faults, "; ".join(faults) or f"{steps} did")
    faults = talk_faults(log.story, party.events)
    talks = sum(e["event"] == "ParticipantActive" for e in party.events)
    yield Check(
        key, "Talk was noticed", not faults, "; ".join(faults) or f"{far} began {talks} times"
    )
    yield from _judge_recording(log, party)


def _judge_recording(log: DemoLog, party: PartyLog) -> Iterator[Check]:
    questions: dict[str, Callable[[], tuple[bool, str]]] = {}
    try:
        recording = _Recording(log, party)
    except MediaError as exc:
        yield Check(party.role.key, "Recording", False, str(exc))
        return
    questions = {
        "Recording": recording.is_whole,
        "Heard the other's voice": recording.heard,
        "Silence when there must be": recording.was_silent,
        "Saw the other's picture": recording.saw,
        "Picture moved, and stood still": recording.moved,
    }
    for question, answer in questions.items():
        passed, found = answer()
        yield Check(party.role.key, question, passed, found)


class _Recording:
    """What a party heard and saw, on the time of its file."""

    def __init__(self, log: DemoLog, party: PartyLog) -> None:
        self._log = log
        self._party = party
        self._story = log.story
        self._sound = Sound(party.recording)
        looked = looks(party.recording, (party.role.far, party.role))
        self._far = [far for far, _ in looked]
        self._own = [own for _, own in looked]
        began = _file_began(party, party.recording.name)
        if began is None:
            raise MediaError(f"no event says when {party.recording.name} began")
        self._began_s = began

    def is_whole(self) -> tuple[bool, str]:
        """Sound and picture last as long as the call."""
        expected_s = self._story.duration_s - self._began_s
        lengths = (self._sound.length_s, self._far[-1].at_s if self._far else 0.0)
        passed = all(abs(length - expected_s) <= LENGTH_TOLERANCE_S for length in lengths)
        return passed, f"sound {lengths[0]:.1f} s, picture {lengths[1]:.1f} s"

    def heard(self) -> tuple[bool, str]:
        """The far clip, where it must be heard, and not the own one."""
        spans = [self._in_file(span) for span in self._story.heard_by(self._party.role)]
        far, delay_s = self._likeness(self._party.role.far, spans)
        own, _ = self._likeness(self._party.role, spans)
        passed = far >= SAME_VOICE and far - own >= OTHER_VOICE
        return passed, f"likeness {far:.2f} (own voice {own:.2f}), {delay_s * 1000:.0f} ms late"

    def was_silent(self) -> tuple[bool, str]:
        """While muted and in the outage, once what was under way has been played."""
        spans = [
            self._in_file(Span(span.start_s + SETTLE_S / 2, span.end_s))
            for span in self._story.silent_for(self._party.role)
        ]
        loudest = max(float(curve.max(initial=0.0)) for curve in self._sound.within(spans))
        return loudest <= MAX_SILENCE_RMS, f"{len(spans)} gaps, loudest {loudest:.0f} of 32767"

    def saw(self) -> tuple[bool, str]:
        """Every picture has the name and the colour of the far party, none those of the own."""
        far = sum(_shows(look) for look in self._far)
        own = sum(_shows(look) for look in self._own)
        name = median(look.name for look in self._far) if self._far else 0.0
        passed = 0 < len(self._far) == far and not own
        return passed, f"{far} of {len(self._far)} pictures, likeness {name:.2f}"

    def moved(self) -> tuple[bool, str]:
        """New pictures came when they could, and none in the outage."""
        lively = [self._rate(span) for span in self._story.seen]
        outage = self._story.outage
        held = self._rate(Span(outage.start_s + SETTLE_S / 2, outage.end_s))
        passed = min(lively) >= MIN_FPS and held <= MAX_HELD_FPS
        rates = ", ".join(f"{rate:.0f}" for rate in lively)
        return passed, f"{rates} fps, held in the outage"

    def _in_file(self, span: Span) -> Span:
        return Span(span.start_s - self._began_s, span.end_s - self._began_s)

    def _likeness(self, role: Role, spans: list[Span]) -> tuple[float, float]:
        began = _file_began(self._log.parties[role.key], role.clip.name)
        if began is None:
            return 0.0, 0.0
        return likeness(self._sound, spans, Sound(role.clip), began - self._began_s)

    def _rate(self, span: Span) -> float:
        within = self._in_file(span)
        count = sum(within.start_s <= look.at_s < within.end_s for look in self._far)
        return count / (span.end_s - span.start_s)


def _shows(look: Look) -> bool:
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
