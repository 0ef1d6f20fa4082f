"""Who is seen in a recording of a conference, and what is to be seen of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import av

from ..engine.places import Places, rank_of_talk
from ..model import Direction, MediaType
from ..pipelines.mosaic import Tile
from ..terminals.base import RenderTerminal, Samples, Terminal
from ..transports.content import SLIDES
from .people import Attendee
from .recording_sources import Sender, Senders, is_recorded

if TYPE_CHECKING:
    from ..conference import Conference

FRESH_S = 1.5
"""A picture is shown for so long; then the camera is off."""
FRESH_SLIDES_S = 10.0
"""Slides may be sent rarely."""
MAX_SLIDES = 4
"""People whose slides are seen."""
MAX_SOURCES = 2
"""Sources of one person that are decoded: one that has fallen silent, and the one after it."""
SWITCH_S = 1.0
"""Who gets the floor has so long to send a key frame before they are shown without a picture."""

Cameras = dict[Attendee, av.VideoFrame]
"""The latest pictures of people."""


class PictureTap(RenderTerminal):
    """Keeps the latest picture of one source."""

    terminal_class: ClassVar[str] = "conference recording picture"
    records: ClassVar[bool] = True

    def __init__(self, fresh_s: float) -> None:
        super().__init__("conference recording", MediaType.VIDEO, Direction.RENDER)
        self._fresh_s = fresh_s
        self._picture: av.VideoFrame | None = None
        self._at = -math.inf

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        if isinstance(media, av.VideoFrame):
            self._picture, self._at = media, at

    def picture(self, now: float) -> av.VideoFrame | None:
        """The latest picture, unless it is old."""
        if now - self._at > self._fresh_s:
            self._picture = None
        return self._picture


class Stage:
    """The people who are seen, at most `places`; of more those who talk, or talked last.

    Only those who are seen are decoded. Who is in a side room is not seen, as they are not heard;
    nor are listeners.
    """

    def __init__(self, conference: Conference, places: int) -> None:
        self._conference = conference
        self._places: Places[int, Attendee] = Places()
        self._count = places
        self._talked: dict[Attendee, float] = {}
        self._people: tuple[Attendee, ...] = ()
        self._wanted: dict[tuple[Attendee, str], int] = {}
        """How many sources of whom are decoded."""
        self._senders = Senders(
            conference, (MediaType.VIDEO,), self._make, self._gone, wants=self._wants
        )

    def look(self, now: float) -> None:
        """Find out anew who is seen, and decode them."""
        self._choose(now)
        self._wanted.clear()
        self._senders.look()

    def end(self) -> None:
        """Decode nobody any more."""
        self._senders.end()

    def tiles(self, now: float) -> tuple[Tile, ...]:
        """What is seen now: slides first, then people in the order of their coming."""
        slides: dict[Attendee, Tile] = {}
        cameras: Cameras = {}
        for sender, tap in self._senders.terminals:
            assert isinstance(tap, PictureTap)
            picture, person = tap.picture(now), self._person_of(sender)
            if picture is None or person is None:
                continue
            if sender.content == SLIDES:
                tile = Tile((person, SLIDES), f"{person.name}: slides", picture, whole=True)
                slides.setdefault(person, tile)
            else:
                cameras.setdefault(person, picture)
        people = [
            Tile(person, person.name, cameras.get(person), person.talking)
            for person in self._seen(cameras, now)
        ]
        return (*slides.values(), *people)

    def _choose(self, now: float) -> None:
        here = self._here()
        for person in here:
            if person.talking:
                self._talked[person] = now
        self._talked = {p: at for p, at in self._talked.items() if p.present}
        ranks = {
            p: rank_of_talk(math.inf if p.talking else self._talked.get(p, -math.inf)) for p in here
        }
        self._places.settle(range(self._count), ranks, now)
        seen = set(self._places.held.values())
        self._people = tuple(p for p in here if p in seen)

    def _seen(self, cameras: Cameras, now: float) -> tuple[Attendee, ...]:
        """Who of those on the stage is seen now."""
        return tuple(person for person in self._people if person.present)

    def _here(self) -> list[Attendee]:
        conference = self._conference
        people = conference.attendees
        return [p for p in people if is_recorded(p.leg) and not conference.room_of(p)]

    def _wants(self, sender: Sender) -> bool:
        person, content, wanted = self._person_of(sender), sender.content, self._wanted
        if person is None or not is_recorded(sender.leg):
            return False
        if content != SLIDES and person not in self._people:
            return False
        shows = sum(kind == SLIDES for _, kind in wanted)
        if content == SLIDES and (person, SLIDES) not in wanted and shows >= MAX_SLIDES:
            return False
        wanted[person, content] = wanted.get((person, content), 0) + 1
        return wanted[person, content] <= MAX_SOURCES

    def _person_of(self, sender: Sender) -> Attendee | None:
        """Whose pictures they are; of a mixer's whoever it shows."""
        whose = sender.substream.whose
        return None if whose is None else self._conference.attendee_of(sender.leg, whose)

    def _make(self, sender: Sender) -> Terminal:
        return PictureTap(FRESH_SLIDES_S if sender.content == SLIDES else FRESH_S)

    def _gone(self, sender: Sender, terminal: Terminal) -> None:
        terminal.close()


class Floor(Stage):
    """Who has the floor; and who had it, until there is a picture of who has it now."""

    def __init__(self, conference: Conference) -> None:
        super().__init__(conference, 1)
        self._has: Attendee | None = None
        self._since = -math.inf
        self._shown: Attendee | None = None

    def _choose(self, now: float) -> None:
        here = self._here()
        candidates = (self._conference.dominant, self._has, *here)
        has = next((p for p in candidates if p in here), None)
        if has is not self._has:
            self._has, self._since = has, now
        self._people = tuple(p for p in here if p is has or p is self._shown)

    def _seen(self, cameras: Cameras, now: float) -> tuple[Attendee, ...]:
        has = self._has
        if has in cameras or self._shown not in self._people or now - self._since > SWITCH_S:
            self._shown = has
        return () if self._shown is None else (self._shown,)
