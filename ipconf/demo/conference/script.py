"""The script of the conference: who is there, what happens when, and who hears whom by right.

    each talks in turn │ some at once │ Bob is muted │ Carol vanishes │ Carol is back │ the last one
    is removed │ the end

Bob's screen has room for one: whoever talks, or Alice, whom he pins now and then. Alice's camera is
off for a while.

All times are seconds since everybody was there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..story import Span
from .scenes import NAMES, PAUSE_S, Cue, Person, Phase, Writer

MIN_PARTIES, MAX_PARTIES = 3, len(NAMES)
HUB_NAME = "Hub"
HUB_KEY = "hub"
MAX_SLOTS = 3
"""Pictures that each can see at the same time; so many are sent and decoded for everybody."""
FPS = 10.0
"""Enough to be seen moving."""
ALL_FPS = 60.0
"""Of all cameras together at most, each encoded once and decoded four times: it leaves room on two
cores."""
MAX_AT_ONCE = 4
"""So many voices are told apart in a mix with certainty (see `listening`)."""
MEMBER_TIMEOUT_S = 4.0
"""Shorter than RFC 3550's 25 s and more, so that nobody waits long."""
MIN_OUTAGE_S = MEMBER_TIMEOUT_S + 2.5
"""Silence is noticed when an RTCP interval ends, up to 1.5 s after the timeout."""
RETURN_S, RETURN_WITH_LOSS_S = 2.5, 6.5
"""For a new transport: ICE, DTLS, and that everybody is told. DTLS says again after a second what
was lost, and then after two."""
LEAD_S = 1.0
"""Before the first word."""
DEFAULT_LINE_S = 2.2
MIN_LINE_S = 1.5
"""Two or three words; with less, nobody gets the floor."""
MAX_LINE_S = 10.0
REASON = "Please find your headset first"
GOODBYE = "That was all, thank you"


class Script:
    """What happens among so many parties; `duration_s` is shared out among their lines.

    ValueError for a number of parties, or a duration, out of bounds; it says which are right.
    """

    def __init__(
        self,
        parties: int,
        duration_s: float | None = None,
        loss_percent: float = 0.0,
        *,
        video: bool = True,
    ) -> None:
        if not MIN_PARTIES <= parties <= MAX_PARTIES:
            raise ValueError(f"{parties} parties: a conference has {MIN_PARTIES} to {MAX_PARTIES}")
        self.loss_percent = loss_percent
        self.slots = min(MAX_SLOTS, parties - 1) if video else 0
        """Pictures for everybody; 0 without video."""
        self.fps = min(FPS, ALL_FPS / parties)
        """Of each camera."""
        self.return_s = RETURN_WITH_LOSS_S if loss_percent else RETURN_S
        self.people = tuple(Person(number) for number in range(parties))
        self.phases: tuple[Phase, ...] = ()
        self.cues: tuple[Cue, ...] = ()
        self.duration_s = 0.0
        self.away = Span(0.0, 0.0)
        """When Carol is off the network."""
        self._line_s = DEFAULT_LINE_S if duration_s is None else self._line_for(duration_s)
        self._write()
        if duration_s is not None:
            self.duration_s = duration_s  # but for what rounding makes of it

    @property
    def muted(self) -> Person:
        """Whom the hub mutes for a while."""
        return self.people[1]

    @property
    def small_screen(self) -> Person:
        """Who sees one person at a time."""
        return self.people[1]

    @property
    def dark(self) -> Person:
        """Who switches their camera off for a while."""
        return self.people[0]

    @property
    def vanishing(self) -> Person:
        """Who falls off the network and comes back."""
        return self.people[2]

    @property
    def removed(self) -> Person:
        """Who has to go before the others."""
        return self.people[-1]

    @cached_property
    def removed_s(self) -> float:
        """When that is."""
        return next(cue.at_s for cue in self.cues if cue.order["order"] == "remove")

    @cached_property
    def mute(self) -> Span:
        """From the order to mute to the order to unmute."""
        begin, end = (cue.at_s for cue in self.cues if cue.order["order"] == "mute")
        return Span(begin, end)

    def lines_of(self, person: Person) -> list[Span]:
        """When that person talks."""
        return [phase.span for phase in self.phases if person in phase.talkers]

    @property
    def limits_s(self) -> tuple[int, int]:
        """The shortest and the longest duration, in whole seconds."""
        return math.ceil(self._length(MIN_LINE_S)), math.floor(self._length(MAX_LINE_S))

    # -- how it is written

    def _line_for(self, duration_s: float) -> float:
        shortest, longest = self.limits_s
        if not shortest <= duration_s <= longest:
            raise ValueError(
                f"{duration_s:g} seconds: everything that happens with {len(self.people)} parties "
                f"takes {shortest} s or more; give {shortest} to {longest}"
            )
        low, high = MIN_LINE_S, MAX_LINE_S
        while high - low > 1e-6:  # the length grows with the line, but not evenly
            middle = (low + high) / 2
            low, high = (middle, high) if self._length(middle) <= duration_s else (low, middle)
        return low

    def _length(self, line_s: float) -> float:
        slot_s = line_s + PAUSE_S
        return (
            LEAD_S + (len(self.people) + 4) * slot_s + max(MIN_OUTAGE_S, 2 * slot_s) + self.return_s
        )

    def _write(self) -> None:
        writer = Writer(LEAD_S, self._line_s)
        first, muted, vanishing, removed = self.people[0], self.muted, self.vanishing, self.removed
        small = self.small_screen
        if self.slots:
            writer.cue({"order": "record"}, "The hub records a mosaic", first, at_s=0.0)
            writer.pin(small, first)
        for person in self.people:
            writer.phase(f"{person.name} talks", [person])
            if self.slots and person == first:
                writer.pin(small, None)
        if self.slots:
            writer.pin(small, first)
        together = self.people[:MAX_AT_ONCE]
        everybody = "Everybody talks" if len(together) == len(self.people) else "Four talk"
        writer.phase(f"{everybody} at once", together)

        writer.cue(_mute(muted, True), f"The hub mutes {muted.name}", muted)
        writer.phase(f"{muted.name} is muted", [muted, vanishing], unheard=[muted])
        writer.cue(_mute(muted, False), f"{muted.name} may speak again", muted)

        gone = f"{vanishing.name} falls off the network without a word"
        began_s = writer.cue({"order": "vanish"}, gone, vanishing, to_hub=False)
        if self.slots:
            writer.pin(small, None)
        writer.phase(f"{vanishing.name} is off", [first, vanishing], off=[vanishing])
        if self.slots:
            writer.camera(self.dark, on=False)
        writer.phase(f"{muted.name} speaks again", [muted, vanishing], off=[vanishing])
        if self.slots:
            writer.camera(self.dark, on=True)
            writer.pin(small, first)
        writer.now_s = max(writer.now_s, began_s + MIN_OUTAGE_S + PAUSE_S / 3)
        back = f"{vanishing.name} comes back by a new connection"
        ended_s = writer.cue({"order": "return"}, back, vanishing, to_hub=False)
        self.away = Span(began_s, ended_s)
        writer.now_s += self.return_s
        writer.phase(f"{vanishing.name} is back", [vanishing, first])

        caption = f"{removed.name} is removed: “{REASON}”"
        writer.cue(_order("remove", removed, reason=REASON), caption, removed)
        writer.phase(f"{removed.name} is removed", [removed, first], off=[removed])
        writer.cue({"order": "end", "reason": GOODBYE}, f"The end: “{GOODBYE}”", first)
        self.phases, self.cues = tuple(writer.phases), tuple(writer.cues)
        self.duration_s = writer.now_s


def _mute(person: Person, muted: bool) -> Mapping[str, Any]:
    return _order("mute", person, muted=muted)


def _order(order: str, person: Person, **fields: Any) -> Mapping[str, Any]:
    return {"order": order, "person": person.key, **fields}
