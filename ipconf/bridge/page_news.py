"""What all pages of a room are told: who is there, who is seen where, who talks, how it goes.

A message is serialized once for all; only `you`, in a roster, is another one for each.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..events import ConferenceEvent, MessageReceived, RecordingFailed

if TYPE_CHECKING:
    from ..hub.legs import Leg
    from ..hub.state import ConferenceState, PersonState
    from .guests import Guest
    from .qualities import Quality
    from .room import Room

ROSTER_S = 0.1
"""From one roster to the next at least."""
LEVELS_S = 0.2
QUALITY_EVERY = 10
"""Times LEVELS_S: every 2 s. Each time a tenth of the calls is measured: all at once would take as
long as several ticks of the media."""
LOOK_EVERY = 5
"""The same for looking whether guests are still there: every second."""
KEPT_MESSAGES = 50
"""Of what was said to all, for those who come later."""


def message(kind: str, **fields: object) -> str:
    """One message to a page."""
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))


class RoomNews:
    """Tells the pages of one room; `close` ends it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._conference = room.conference
        self._said: deque[str] = deque(maxlen=KEPT_MESSAGES)
        self._version: int | None = None
        self._general: tuple[object, ...] = ()
        self._told_at = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            self._loop.create_task(self._follow()),
            self._loop.create_task(self._measure()),
        ]

    async def close(self) -> None:
        """Tell nothing any more."""
        if self._due is not None:
            self._due.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- one page

    def greet(self, guest: Guest) -> None:
        """Tell everything to a page that has just come, once the others know of it."""
        if guest.page is None or not guest.known:
            return
        for text in self._said:
            guest.page.tell(text)
        self._tell_roster([guest], self._conference.state())
        guest.told_slots = None
        self._tell_slots(guest)

    # -- all pages

    def look_again(self) -> None:
        """Something has changed: tell it now, or 0.1 s after what was told last."""
        if self._due is None:
            due = max(self._told_at + ROSTER_S, self._loop.time())
            self._due = self._loop.call_at(due, self._tell)

    @property
    def _listening(self) -> list[Guest]:
        return [guest for guest in self._room.guests if guest.page is not None and guest.known]

    def _tell(self) -> None:
        self._due = None
        self._told_at = self._loop.time()
        listening = self._listening
        state = self._conference.state(self._version)
        self._version = state.version
        general = (state.dominant, state.locked, state.recording)
        if state.people or state.gone or general != self._general:
            self._general = general
            self._tell_roster(listening, state)
        for guest in listening:
            self._tell_slots(guest)

    def _tell_roster(self, guests: list[Guest], state: ConferenceState) -> None:
        now = self._conference.now()
        text = message(
            "roster",
            version=state.version,
            since=state.since,
            people=[self._person(person, now) for person in state.people],
            gone=state.gone,
            dominant=state.dominant,
            locked=state.locked,
            recording=state.recording,
        )
        for guest in guests:
            person = guest.attendee
            you = json.dumps(None if person is None else person.identity)
            assert guest.page is not None
            guest.page.tell(f'{text[:-1]},"you":{you}}}')

    def _person(self, person: PersonState, now: float) -> dict[str, Any]:
        guest = self._room.guest_on(person.leg)
        raised_at = person.hand_raised_at
        return {
            "id": person.identity,
            "name": person.name,
            "role": person.role.value,
            "kind": "other" if guest is None else guest.kind,
            "muted": person.muted,
            "mic": guest is None or guest.microphone,
            "deaf": person.deaf,
            "camera": person.camera and (guest is None or guest.camera),
            "screen": person.screen,
            "talking": person.talking,
            "hand": None if raised_at is None else round(now - raised_at, 1),
            "room": person.room,
            "joined": round(now - person.joined_at, 1),
        }

    def _tell_slots(self, guest: Guest) -> None:
        if guest.page is None or not guest.leg.active:
            return
        slots = [
            {
                "mid": slot.mid,
                "person": None if slot.attendee is None else slot.attendee.identity,
                "content": slot.content,
            }
            for slot in self._conference.slots(guest.leg)
        ]
        if slots != guest.told_slots:
            guest.told_slots = slots
            guest.page.tell(message("slots", slots=slots))

    # -- what happens

    async def _follow(self) -> None:
        with closing(self._conference.events(ConferenceEvent)) as events:
            async for event in events:
                if isinstance(event, MessageReceived):
                    self._tell_said(event)
                    continue
                if isinstance(event, RecordingFailed):
                    self._room.recording_failed(event.recording, event.error)
                    self._tell_recording_failed()
                self.look_again()
        self._room.begin_to_end("The meeting is over.", "ended")

    def _tell_said(self, event: MessageReceived) -> None:
        text = message(
            "said",
            **{"from": _identity(event.sender)},
            name=event.sender.display_name if event.sender is not None else self._room.subject,
            text=event.text,
            to=_identity(event.to),
            at=round(time.time(), 3),
        )
        if event.to is None:
            self._said.append(text)
        for guest in self._listening:
            if event.to is None or guest.leg in (event.to, event.sender):
                assert guest.page is not None
                guest.page.tell(text)

    def _tell_recording_failed(self) -> None:
        words = "The recording has failed; what is in the file plays. Begin a new one if you can."
        text = message("error", code="recording-failed", text=words)
        for guest in self._listening:
            if guest.moderates:
                assert guest.page is not None
                guest.page.tell(text)

    async def _measure(self) -> None:
        """Tell what is told again and again."""
        number = 0
        while True:
            await asyncio.sleep(LEVELS_S)
            number += 1
            listening = self._listening
            levels = {p.identity: level for p, level in self._conference.levels().items()}
            if levels:
                _tell_all(listening, message("levels", levels=levels))
            now = self._conference.now()
            if number % LOOK_EVERY == 0:
                for guest in self._room.guests:
                    guest.look(now)
            if all(guest.page is None for guest in self._room.guests):
                continue
            for guest in self._room.guests[number % QUALITY_EVERY :: QUALITY_EVERY]:
                guest.quality.measure(guest.call.stats(), now)
            if number % QUALITY_EVERY == 0:
                _tell_all(listening, message("quality", people=self._qualities()))

    def _qualities(self) -> dict[str, Quality]:
        return {
            person.identity: guest.quality.latest
            for guest in self._room.guests
            if (person := guest.attendee) is not None and guest.quality.latest
        }


def _tell_all(guests: list[Guest], text: str) -> None:
    for guest in guests:
        if guest.page is not None:
            guest.page.tell(text)


def _identity(leg: Leg | None) -> str | None:
    people = leg.attendees if leg is not None else ()
    return people[0].identity if people else None
