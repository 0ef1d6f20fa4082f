"""A room: a conference with a name, its guests, and what moderators do to it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import IpconfError
from ..events import AttendeeChanged, CallStateChanged, Event, MessageReceived
from ..hub.people import Attendee, Role
from ..model import CallSettings, CallState, ConferenceSettings
from .guests import Departure, Guest, Kind
from .log import tell
from .page_news import RoomNews
from .refusals import Refused

if TYPE_CHECKING:
    from ..call import Call
    from ..hub.legs import Leg
    from ..hub.recording import ConferenceRecording
    from ..msp import MediaServiceProvider
    from ..sdp import ConferenceDescription
    from .settings import BridgeSettings, RoomSettings

SPARE_LEGS = 16
"""For recordings and announcements, which are legs as well."""
SENDER_BPS = 2_000_000
"""What a guest's pictures may take, in all sizes. The page sends less; but Firefox sends 720 lines
only where it is allowed 1.2 times the least for them, 1.2 Mbit/s, besides the smaller ones."""


class Room:
    """One room; made and kept by `Rooms`."""

    def __init__(
        self,
        name: str,
        settings: RoomSettings,
        bridge: BridgeSettings,
        msp: MediaServiceProvider,
    ) -> None:
        self.name = name
        self.subject = settings.subject or name
        self.max_guests = settings.max_guests or bridge.max_guests_per_room
        self.bridge_settings = bridge
        limits = ConferenceSettings(
            max_legs=self.max_guests + SPARE_LEGS, video_sender_bps=SENDER_BPS
        )
        self.conference = msp.create_conference(self.subject, limits)
        self.on_guest_gone: Callable[[Guest], object] = lambda guest: None
        self.on_ending: Callable[[], object] = lambda: None
        """Called when it begins to end: nobody comes in any more."""
        self.on_end: Callable[[], object] = lambda: None
        self._guests: dict[str, Guest] = {}  # by the identity of their legs
        self._to_record = settings.record
        self._recording: ConferenceRecording | None = None
        self._empty: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._group: Call | None = None
        self.news = RoomNews(self)
        if settings.group is not None:
            self._add_group(msp, settings.group, settings.group_interface)

    def __repr__(self) -> str:
        return f"<Room {self.name!r}, {len(self._guests)} guests>"

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Who is in it, in the order of their coming."""
        return tuple(self._guests.values())

    def guest_on(self, leg: str) -> Guest | None:
        """The guest whose leg has that identity; None for what takes part without being one."""
        return self._guests.get(leg)

    def person(self, identity: str) -> Attendee:
        """Who has that identity; Refused (no-person) if nobody is here who has."""
        for person in self.conference.attendees:
            if person.identity == identity:
                return person
        raise Refused(404, "no-person", "They are not in the room any more.")

    # -- coming and going

    def check(self, role: Role) -> None:
        """Refused (room-full, locked) where nobody of that role can come in."""
        if len(self._guests) >= self.max_guests:
            raise Refused(503, "room-full", "The room is full.")
        if self.conference.locked and role is not Role.MODERATOR:
            raise Refused(403, "locked", "The room is locked: ask who is in it to unlock it.")

    def admit(self, guest: Guest) -> None:
        """A guest is there."""
        self._guests[guest.leg.identity] = guest
        tell("guest joined", room=self.name, kind=guest.kind)
        if self._to_record:
            self._to_record = False
            with suppress(Refused):  # the log has it
                self.record(True)

    def forget(self, guest: Guest) -> None:
        """A guest leaves."""
        if self._guests.pop(guest.leg.identity, None) is guest:
            assert guest.departure is not None
            _tell_left(self.name, guest.kind, guest.departure)
            self.on_guest_gone(guest)
            self.spawn(_wait(guest))
            self.look_whether_empty()

    def look_whether_empty(self) -> None:
        """End it some time after the last guest has left."""
        if self._empty is not None:
            self._empty.cancel()
            self._empty = None
        if not self._guests and self._ending is None:
            loop = asyncio.get_running_loop()
            self._empty = loop.call_later(self.bridge_settings.empty_room_s, self._end_if_empty)

    def _end_if_empty(self) -> None:
        if not self._guests:
            self.begin_to_end("nobody is here", "ended")

    async def end(self, reason: str, code: str = "ended", *, again: bool = False) -> None:
        """End it for all guests, who are told why; recordings are closed."""
        await asyncio.shield(self.begin_to_end(reason, code, again=again))

    def begin_to_end(self, reason: str, code: str, *, again: bool = False) -> asyncio.Task[None]:
        """As `end`, without waiting."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(reason, code, again))
            self.on_ending()
        return self._ending

    async def _end(self, reason: str, code: str, again: bool) -> None:
        if self._empty is not None:
            self._empty.cancel()
        try:
            leaving = [guest.begin_to_leave(reason, code, again=again) for guest in self.guests]
            await asyncio.gather(*leaving, return_exceptions=True)
            await self.conference.end(reason)
            if self._group is not None:
                await self._group.close()
        finally:
            self._tell_recorded()
            await self.news.close()
            while self._tasks:
                await asyncio.wait(self._tasks)
            self.on_end()
            tell("room ended", room=self.name)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run that in a task for which the end of the room waits."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- members of a group

    def _add_group(
        self, msp: MediaServiceProvider, description: ConferenceDescription, where: str | None
    ) -> None:
        """Let the members of a multicast group take part; where they cannot, the log says why."""
        try:
            self._group = msp.create_call(
                settings=CallSettings(multicast_interface=where), description=description
            )
            self.conference.add(self._group)
        except IpconfError as exc:
            tell("group not joined", logging.WARNING, room=self.name, reason=str(exc))
        else:
            self.spawn(self._join(self._group))

    async def _join(self, group: Call) -> None:
        try:
            await group.join()
        except IpconfError as exc:
            if self._ending is None:
                tell("group not joined", logging.WARNING, room=self.name, reason=str(exc))
        else:
            tell("group joined", room=self.name)
            group.watch(self._group_event)

    def _group_event(self, event: Event) -> None:
        ended = isinstance(event, CallStateChanged) and event.state is CallState.DISCONNECTED
        if ended and self._ending is None:
            reason = "" if self._group is None or self._group.error is None else self._group.error
            tell("group left", logging.WARNING, room=self.name, reason=str(reason))

    # -- what is done in it

    def told(self, guest: Guest, what: str, value: object) -> None:
        """A guest has said something of themselves that is shown to all."""
        if guest.attendee is not None:
            self.conference.post(
                AttendeeChanged, attendee=guest.attendee, changed=(what,), values={what: value}
            )

    def say(self, guest: Guest, text: str, to: Leg | None) -> None:
        """Write something to all, or to one.

        Guests are told by their pages: their calls are not sent the same words once more.
        """
        self.conference.post(MessageReceived, text=text, sender=guest.leg, to=to)

    def record(self, on: bool) -> None:
        """Begin to record into a new file, or end that; Refused (no-recording) where it cannot be.

        The mix of all, and a mosaic of their pictures.
        """
        if not on:
            if self._recording is not None:
                self._recording.stop()
            self._tell_recorded()
            return
        directory = self.bridge_settings.recordings_dir
        if directory is None:
            raise Refused(403, "no-recording", "This server does not record.")
        if self._recording is not None and self._recording in self.conference.recordings:
            return
        started = time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime())
        path = directory / f"{self.name}_{started}.mkv"
        number = 1
        while path.exists():
            number += 1
            path = path.with_stem(f"{self.name}_{started}_{number}")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._recording = self.conference.record(path)
        except (IpconfError, OSError) as exc:
            tell("recording failed", logging.WARNING, room=self.name, reason=str(exc))
            text = "The recording cannot be written: tell who runs the server."
            raise Refused(500, "no-recording", text) from exc
        tell("recording began", room=self.name, file=path.name)

    def recording_failed(self, recording: ConferenceRecording, error: Exception) -> None:
        """A recording cannot be written any more."""
        if recording is self._recording:
            self._recording = None
        told = {"room": self.name, "file": recording.path.name, "reason": str(error)}
        tell("recording failed", logging.WARNING, **told)

    def _tell_recorded(self) -> None:
        """Log how our recording ended, if there was one."""
        recording, self._recording = self._recording, None
        if recording is not None and recording.error is not None:
            self.recording_failed(recording, recording.error)
        elif recording is not None:
            tell("recording ended", room=self.name, file=recording.path.name)


def _tell_left(room: str, kind: Kind, departure: Departure) -> None:
    """Log how a guest left; with the words only where no guest can have written them."""
    told = {"room": room, "kind": kind, "code": departure.code}
    if departure.code in ("timeout", "refused"):
        told["reason"] = departure.text
    tell("guest left", **told)


async def _wait(guest: Guest) -> None:
    await guest.leave()
