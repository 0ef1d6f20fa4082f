"""The script of the demo: who is on stage, what happens when, and when each hears the other.

    Alice   ────────────────[ mutes Bob ]─────────────────────────────────────────
    Bob     ────renames himself───────────[ off the network ]──────────── leaves
            0                                  timed out     recovered    duration

All times are seconds since both parties were connected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMBER_TIMEOUT_S = 6.0
"""Shorter than RFC 3550's 25 s and more, so that nobody waits long and ICE consent, which runs out
after some 30 s (RFC 7675), outlives the outage."""
OUTAGE_S = MEMBER_TIMEOUT_S + 3.0
"""Silence is noticed when an RTCP interval ends, up to 1.5 s after the timeout."""
MIN_DURATION_S = 18.0
"""Below that the scenes come too close together to be heard and seen."""
DEFAULT_DURATION_S = 30.0
MAX_DURATION_S = 3600.0
MAX_LOSS_PERCENT = 20.0
"""With more, a connection takes longer than 30 s now and then: DTLS doubles its patience each time
that it has to say something again."""
LOSS_SEED = 3550
SETTLE_S = 1.5
"""After a change: until sound and pictures must be there, key frame and jitter buffer included."""
NEW_NAME = "Bob on the train"
FAREWELL = "the train has arrived"


@dataclass(frozen=True, slots=True)
class Role:
    """One of the two parties: its key in logs and file names, and its name in the call."""

    key: str
    name: str

    @property
    def far(self) -> Role:
        """Whom this party talks to."""
        return BOB if self == ALICE else ALICE

    @property
    def clip(self) -> Path:
        """The speech that this party sends."""
        return Path(__file__).parent / "clips" / f"{self.key}.ogg"


ALICE = Role("alice", "Alice")
BOB = Role("bob", "Bob")
ROLES = (ALICE, BOB)


@dataclass(frozen=True, slots=True)
class Scene:
    """At `at_s` a party is given an order (see `party.Party.obey`); the caption tells of it."""

    at_s: float
    role: Role
    order: Mapping[str, Any]
    caption: str


@dataclass(frozen=True, slots=True)
class Span:
    """From one second to another."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Story:
    """What happens in a call of `duration_s` over a network that loses `loss_percent`.

    The loss is Bob's, each way, all the time. The outage has its length; the rest of the time is
    shared out among the scenes.
    """

    duration_s: float = DEFAULT_DURATION_S
    loss_percent: float = 0.0

    @property
    def rename_s(self) -> float:
        """When Bob changes his name."""
        return 0.25 * self._rest_s

    @property
    def mute(self) -> Span:
        """When Alice does not want to hear Bob."""
        return Span(0.35 * self._rest_s, 0.55 * self._rest_s)

    @property
    def outage(self) -> Span:
        """When Bob's network loses everything."""
        return Span(0.65 * self._rest_s, 0.65 * self._rest_s + OUTAGE_S)

    @property
    def _rest_s(self) -> float:
        return self.duration_s - OUTAGE_S

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """What happens, in the order of time."""
        mute, outage = self.mute, self.outage
        rename = {"order": "rename", "name": NEW_NAME}
        leave = {"order": "leave", "reason": FAREWELL}
        return (
            Scene(self.rename_s, BOB, rename, f"Bob changes his name to “{NEW_NAME}”"),
            Scene(mute.start_s, ALICE, _mute(True), "Alice mutes Bob: she sees him talk, unheard"),
            Scene(mute.end_s, ALICE, _mute(False), "Alice listens to Bob again"),
            Scene(outage.start_s, BOB, _lose(100), "Bob falls off the network without a word"),
            Scene(outage.end_s, BOB, _lose(self.loss_percent), "Bob's network is back"),
            Scene(self.duration_s, BOB, leave, f"Bob leaves: “{FAREWELL}”"),
        )

    def heard_by(self, role: Role) -> tuple[Span, ...]:
        """When that party must hear the other one."""
        if role == BOB:
            return self.seen
        before, after = self.seen
        unmuted = Span(self.mute.end_s, self.outage.start_s)
        return Span(before.start_s, self.mute.start_s), unmuted, after

    def silent_for(self, role: Role) -> tuple[Span, ...]:
        """When that party must hear nothing at all."""
        return (self.mute, self.outage) if role == ALICE else (self.outage,)

    @property
    def seen(self) -> tuple[Span, ...]:
        """When each must see the other; a mute is about sound alone."""
        before = Span(SETTLE_S, self.outage.start_s)
        return before, Span(self.outage.end_s + SETTLE_S, self.duration_s)


def _mute(muted: bool) -> Mapping[str, Any]:
    return {"order": "mute", "muted": muted}


def _lose(percent: float) -> Mapping[str, Any]:
    return {"order": "lose", "percent": percent}
