"""Watches what somebody is sent: who is seen in each slot, from when to when, picture by picture.

What counts is in the pictures themselves, decoded. That the hub names the person whom they show is
noted besides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import av

from ...call import Call
from ...model import Direction, MediaType
from ...streams.substreams import SubStream
from ...terminals.base import RenderTerminal, Samples
from .cameras import COUNTER_BITS, Glance, recognise
from .scenes import NAMES

GAP_S = 0.6
"""So long without a picture, and nobody is seen any more."""
NOBODY = ""
"""Who is seen in a picture that cannot be read."""
HALF = 1 << COUNTER_BITS - 1
"""Of all numbers of pictures: what is further ahead is behind."""


@dataclass(slots=True)
class Stretch:
    """Somebody was seen in a slot without a pause, times by the clock that `at` is of."""

    slot: int
    who: str
    """A person's key, or `NOBODY`."""
    start_s: float
    end_s: float
    pictures: int = 0
    missing: int = 0
    """Pictures that were left out."""
    stale: int = 0
    """Pictures that were older than the one before, or the same."""
    named: int = 0
    """Pictures that came under the name of whom they show ..."""
    misnamed: int = 0
    """... and under somebody else's. The rest came under none: a name may come after a picture."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Watch:
    """Makes stretches of the pictures in one slot; `told(who, ended)` hears of each change.

    `who` is a key, `NOBODY` for pictures that cannot be read, None where none come; `ended` is the
    stretch that is over.
    """

    def __init__(self, slot: int, told: Callable[[str | None, Stretch | None], None]) -> None:
        self._slot = slot
        self._told = told
        self._stretch: Stretch | None = None
        self._counter = 0

    def see(self, at: float, glance: Glance | None, named: str) -> None:
        """A picture has come; `named` is the key of whom the hub says that it shows."""
        who = NOBODY if glance is None else NAMES[glance.number].lower()
        self.look(at)
        stretch = self._stretch
        if stretch is None or stretch.who != who:
            self._stretch = Stretch(self._slot, who, at, at)
            self._told(who, stretch)
            stretch = self._stretch
        elif glance is not None:
            ahead = (glance.counter - self._counter) % (2 * HALF)
            if 0 < ahead < HALF:
                stretch.missing += ahead - 1
            else:
                stretch.stale += 1
        stretch.end_s = at
        stretch.pictures += 1
        stretch.named += named == who
        stretch.misnamed += named not in (who, NOBODY)
        if glance is not None:
            self._counter = glance.counter

    def look(self, now: float) -> None:
        """Notice that no pictures come any more."""
        if self._stretch is not None and now - self._stretch.end_s > GAP_S:
            self.end()

    def end(self) -> None:
        """Nothing more is seen."""
        if self._stretch is not None:
            ended, self._stretch = self._stretch, None
            self._told(None, ended)


class Eye(RenderTerminal):
    """Looks at what comes on one substream."""

    terminal_class = "eye"

    def __init__(self, substream: SubStream, watch: Watch) -> None:
        super().__init__("eye", MediaType.VIDEO, Direction.RENDER)
        self._substream = substream
        self._watch = watch

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """A picture has come."""
        if isinstance(media, av.VideoFrame):
            person = self._substream.participant
            named = (person.cname or NOBODY) if person is not None else NOBODY
            self._watch.see(at, recognise(media), named)


class Watcher:
    """All slots of somebody's call; `tell(kind, **fields)` is told of each change as a "sight"."""

    def __init__(self, call: Call, slots: int, tell: Callable[..., None]) -> None:
        self._tell = tell
        stream = call.stream(MediaType.VIDEO, Direction.RENDER)
        self._watches = [self._watch(slot) for slot in range(slots)]
        for watch in self._watches:
            substream = stream.create_substream()
            substream.select_terminal(Eye(substream, watch))

    def _watch(self, slot: int) -> Watch:
        def told(who: str | None, ended: Stretch | None) -> None:
            self._tell("sight", slot=slot, who=who, ended=ended and ended.to_json())

        return Watch(slot, told)

    def look(self, now: float) -> None:
        """Notice where no pictures come any more; a few times a second."""
        for watch in self._watches:
            watch.look(now)

    def end(self) -> None:
        """Tell what has not ended yet."""
        for watch in self._watches:
            watch.end()
