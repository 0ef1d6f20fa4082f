"""The conference: the hub where calls meet (TAPI: call hub; RFC 4353: focus and mixer).

Every leg hears all others, never itself, and is told who they are: its far end finds them in its
own `ParticipantControl`, as CSRCs of the mix and by their SDES items (RFC 3550 section 7).

    Conference ─┬─ Controls:     gains, mute, rooms, roles: what applications set for people
                ├─ Membership:   legs come and go: calls, and terminals of this machine
                ├─ Attendance:   the people on all legs, and what each leg is told of them
                ├─ AudioBridge:  who talks, who hears whom (`Hearing`), one encode for each mix
                └─ VideoBridge:  who is seen in which slot of whom; pictures are only forwarded
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .engine.lip_sync import Pace
from .errors import ClosedError
from .event_hub import EventHub, EventStream
from .events import (
    AttendeeSilent,
    AttendeeTalking,
    ConferenceEnded,
    ConferenceEvent,
    DominantSpeakerChanged,
    FileState,
    MessageReceived,
)
from .hub.call_legs import CallLeg
from .hub.legs import Leg
from .hub.membership import Membership
from .hub.people import Attendee
from .hub.recording import ConferenceRecording
from .hub.recording_kinds import RecordingKind, record
from .hub.state import ConferenceState, Versions
from .hub.stats import ConferenceStats
from .hub.video import seen_by
from .hub.voices import Voice
from .model import ConferenceSettings

if TYPE_CHECKING:
    from .msp import MediaServiceProvider

E = TypeVar("E", bound=ConferenceEvent)

LOOK_TICKS = 100
"""Whether who was not believed to be there is there now is looked at once a second."""
MAX_SENDER_CHARACTERS = 200
"""Of the names of those who may have written a message."""


class Conference(Membership):
    """A meeting of legs; made by `msp.create_conference`, ended by `end` or `async with`."""

    def __init__(
        self,
        provider: MediaServiceProvider,
        subject: str,
        settings: ConferenceSettings,
        number: int,
    ) -> None:
        super().__init__(provider, settings)
        self.identity = f"conference {number}"
        self.subject = subject
        self._events = EventHub()
        self._versions = Versions()
        self._pace = Pace()
        self._dominant: Attendee | None = None
        self._talkers: set[Attendee] = set()
        self._recordings: list[ConferenceRecording] = []

    def __repr__(self) -> str:
        return f"<Conference {self.subject or self.identity!r}, {len(self._legs)} legs>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.end()

    @property
    def dominant(self) -> Attendee | None:
        """Who has the floor; in silence who had it last."""
        return self._dominant

    def levels(self) -> dict[Attendee, int]:
        """How loud those are who talk now, 0 (loudest) .. 127, in -dBov (RFC 6464)."""
        levels: dict[Attendee, int] = {}
        for voice in self.bridge.talking:
            for person in voice.people:
                if person.present:
                    levels[person] = min(voice.level, levels.get(person, voice.level))
        return levels

    def events(self, *kinds: type[E]) -> EventStream[E]:
        """The events of these classes from now on; all of this conference's when none is named."""
        return self._events.subscribe(kinds or (ConferenceEvent,))  # type: ignore[arg-type]

    def state(self, since: int | None = None) -> ConferenceState:
        """What the conference looks like now; with `since`, what changed after that version.

        Of a version too old to be known, or yet to come, everything.
        """
        versions, people = self._versions, self.attendees
        partial = since is not None and versions.knows(since)
        after = since if since is not None and partial else 0
        shown = versions.changed(after, people) if partial else people
        return ConferenceState(
            version=versions.version,
            since=after if partial else None,
            subject=self.subject,
            locked=self._locked,
            ended=self._ended,
            dominant=None if self._dominant is None else self._dominant.identity,
            legs=len(self._legs),
            recording=any(each.state is FileState.ACTIVE for each in self._recordings),
            people=tuple(self._person_state(person) for person in shown),
            views={
                leg.identity: tuple(None if p is None else p.identity for p in seen_by(view))
                for leg, view in self.video.views.items()
            },
            gone=versions.gone(after) if partial else (),
        )

    def stats(self) -> ConferenceStats:
        """What the conference and its legs have counted."""
        slots = [slot for view in self.video.views.values() for slot in view.slots]
        return ConferenceStats(
            people=len(self.attendees),
            mixes=self.bridge.mixes,
            encoders=len(self.bridge.encoders),
            encoder_failures=self.bridge.encoders.failures,
            skipped_ticks=self._provider.ticker.skipped,
            feeds=sum(feed.live for feed in self.video.feeds),
            slots=len(slots),
            filled_slots=sum(slot.seen is not None for slot in slots),
            switches=sum(slot.slot.switches for slot in slots),
            forwarded=sum(slot.forwarded for slot in slots),
            legs=tuple(leg.stats() for leg in self._legs.values()),
        )

    async def end(self, reason: str = "") -> None:
        """End it for all: every call is disconnected with that reason. Harmless when repeated."""
        if self._ended:
            return
        self._ended = True
        for recording in self.recordings:
            recording.stop()
        legs = self.legs
        for leg in legs:
            self._drop(leg, reason)
        calls = [leg.call for leg in legs if isinstance(leg, CallLeg)]
        # At once: the BYE to a large group may wait for its turn.
        await asyncio.gather(*(call.disconnect(reason) for call in calls))
        for recording in self._recordings:
            await recording.wait_complete()
        self._post(ConferenceEnded, reason=reason)
        self._events.close()
        self._provider.forget_conference(self)

    # -- words

    def send_message(self, text: str, sender: Leg | None = None, to: Leg | None = None) -> None:
        """Write something to all other legs, or to one; `MessageReceived` tells it here, too."""
        self._check(sender, to)
        name = sender.display_name if sender is not None else self.subject
        for leg in self.legs if to is None else (to,):
            if leg is not sender and isinstance(leg, CallLeg) and not leg.call.closed:
                leg.call.send_text(text, name[:MAX_SENDER_CHARACTERS])
        self._post(MessageReceived, text=text, sender=sender, to=to)

    # -- recording

    def record(
        self, path: str | Path, kind: RecordingKind = RecordingKind.MOSAIC, **options: Any
    ) -> ConferenceRecording:
        """Begin to record into a file: `stop` and `wait_complete` end it, as does `end` here.

        Composed pictures may have a `size`, (width, height) in pixels, both even, and `fps`, how
        many there are in a second at most, up to 30. Raises ConfigurationError for an unknown
        ending or options, MediaError when the file cannot be written, ClosedError after the end.
        """
        if self._ended:
            raise ClosedError(f"{self.identity} is over; there is nothing to record")
        recording = record(self, path, kind, **options)
        writing = [each for each in self._recordings if each.is_writing]
        self._recordings = [*writing, recording]
        return recording

    @property
    def recordings(self) -> tuple[ConferenceRecording, ...]:
        """Those that go on, or are paused."""
        return tuple(each for each in self._recordings if each.state is not FileState.IDLE)

    def post(self, kind: type[ConferenceEvent], **fields: Any) -> None:
        """Tell something about this conference, as its parts do."""
        self._post(kind, **fields)

    # -- inside

    def _tick(self, now: float, number: int) -> None:
        self.bridge.tick(now, self._pace.tick(now), number)
        self.video.tick(now, number)
        self._tell_who_talks({p for voice in self.bridge.talking for p in voice.people})
        self._end_announcements()
        if number % LOOK_TICKS == 0:
            self._look_again()
        if self._speakers.decide(now):
            voice = self._speakers.dominant
            self._set_dominant(voice.attendee if isinstance(voice, Voice) else None)

    def _tell_who_talks(self, talking: set[Attendee]) -> None:
        for person in (*talking, *(self._talkers - talking)):
            if person.present and person.talking is not (person in talking):
                person.talking = not person.talking
                self.video.talks(person, person.talking, self.now())
                kind = AttendeeTalking if person.talking else AttendeeSilent
                self._post(kind, attendee=person)
        self._talkers = talking

    def _said(self, leg: CallLeg, text: str) -> None:
        self.send_message(text, leg)

    def _person_gone(self, person: Attendee) -> None:
        if person is self._dominant:
            self._set_dominant(None)

    def _set_dominant(self, person: Attendee | None) -> None:
        if person is not self._dominant:
            self._dominant = person
            self._post(DominantSpeakerChanged, attendee=person)

    def _post(self, kind: type[ConferenceEvent], **fields: Any) -> None:
        event = kind(at=self.now(), conference=self, **fields)
        self._versions.change(*(p for p in fields.values() if isinstance(p, Attendee)))
        self._events.post(event)
        self._provider.post(event)
