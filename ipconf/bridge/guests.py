"""Guests: the clients of a room, each with one call, whatever they speak."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ..errors import (
    ClosedError,
    ConfigurationError,
    InvalidStateError,
    NegotiationError,
    NoItemError,
    TransportError,
)
from ..events import CallStateChanged, Event, NewParticipant
from ..hub.people import Role
from ..model import CallState
from .log import tell
from .qualities import QualityMeter

if TYPE_CHECKING:
    from ..hub.call_legs import CallLeg
    from ..hub.people import Attendee
    from ..tsp.web import WebTsp
    from .room import Room

Kind = Literal["page", "whip", "whep"]
"""What a guest speaks."""

KEY_BYTES = 24
"""Of randomness in a key: nobody guesses it."""
CONNECT_S = 45.0
"""Who is let in and not heard of (RTP or RTCP) for so long is gone: nobody is in a room unseen."""
VANISHED_S = 10.0
"""Whose call goes on, but who was known and is not heard of any more (RTCP), is gone after that."""


class Departure(NamedTuple):
    """How a guest left."""

    code: str
    """For programs: "left", "removed", "ended", "stopping", "timeout", "refused"."""
    text: str
    """For people; "" where there is nothing to say."""
    again: bool
    """Whether it makes sense to come back at once."""


class Page(Protocol):
    """What a guest's page is told by."""

    def tell(self, text: str) -> None:
        """Send this message, without waiting."""

    def bye(self, departure: Departure) -> None:
        """Say that it is over, and why."""


class Guest:
    """One client in a room; made by `Rooms.enter`, gone after `leave`."""

    def __init__(self, room: Room, leg: CallLeg, tsp: WebTsp, name: str, kind: Kind) -> None:
        self.room = room
        self.leg = leg
        self.call = leg.call
        self.name = name
        """Unique in the room."""
        self.kind = kind
        self.key = secrets.token_urlsafe(KEY_BYTES)
        """Finds the guest again: only they know it."""
        self.page: Page | None = None
        """Who is told what happens in the room; None while no socket is there."""
        self.microphone = True
        """Whether they say that their microphone is on."""
        self.camera = True
        """Whether they say that their camera is on, if they have one."""
        self.departure: Departure | None = None
        """How they left, once they have."""
        self.told_slots: object = None
        """What their page was told of its slots."""
        self.quality = QualityMeter()
        """Of their connection."""
        self._tsp = tsp
        self._when_gone: list[Callable[[str], None]] = []
        self._leaving: asyncio.Task[None] | None = None
        self._seat_kept: asyncio.TimerHandle | None = None
        self._known = False
        self._missed_at: float | None = None
        self._connected = False
        self.call.watch(self._call_event)
        tsp.on_end(self.call, self._call_ended)

    def __repr__(self) -> str:
        return f"<Guest {self.name!r} in {self.room.name!r}>"

    @property
    def role(self) -> Role:
        """What they may do."""
        return self.leg.role

    @property
    def moderates(self) -> bool:
        """Whether they are a moderator."""
        return self.role is Role.MODERATOR

    @property
    def known(self) -> bool:
        """Whether something was heard of them (RTP or RTCP), so that the others know of them."""
        return self._known

    @property
    def attendee(self) -> Attendee | None:
        """The person in the conference; None until the far end is heard of."""
        return next(iter(self.leg.attendees), None)

    async def answer(self, offer: str) -> str:
        """The answer to an offer; a later offer replaces the transports of the one before.

        Raises NegotiationError with the reason where it cannot be answered, after which a guest who
        was not connected is gone; ClosedError for one who is gone already.
        """
        if self.departure is not None:
            raise ClosedError(f"{self.name} has left")
        try:
            return await self._tsp.answer(self.call, offer)
        except NegotiationError as exc:
            if isinstance(exc.__cause__, TransportError):  # this machine's fault, not the offer's
                told = {"room": self.room.name, "kind": self.kind, "reason": str(exc.__cause__)}
                tell("offer not answered", logging.WARNING, **told)
            raise

    def add_candidate(self, candidate: str, mid: str | None = None) -> bool:
        """Hand on a trickled candidate; "" was the last. False where it cannot be taken."""
        try:
            self._tsp.add_candidate(self.call, candidate, mid)
        except (InvalidStateError, ConfigurationError):  # gone, too many wait, or no text
            return False
        return True

    def on_gone(self, told: Callable[[str], None]) -> None:
        """Call `told` with the reason, in words, once the guest leaves; at once if they have."""
        if self.departure is not None:
            told(self.departure.text)
        else:
            self._when_gone.append(told)

    def attach(self, page: Page) -> Page | None:
        """A socket is there, and is told the news from now on; returns the one before it."""
        before, self.page = self.page, page
        self._keep_seat(None)
        return before

    def detach(self, page: Page) -> None:
        """A socket is lost: unless there is another in time, its guest leaves."""
        if self.page is page:
            self.page = None
            self._keep_seat(self.room.bridge_settings.resume_s)

    def _keep_seat(self, for_s: float | None) -> None:
        if self._seat_kept is not None:
            self._seat_kept.cancel()
            self._seat_kept = None
        if for_s is not None and self.departure is None:
            loop = asyncio.get_running_loop()
            self._seat_kept = loop.call_later(for_s, self._seat_given_up)

    def _seat_given_up(self) -> None:
        self.begin_to_leave("the page did not come back", "timeout", again=True)

    async def leave(self, reason: str = "", code: str = "left", *, again: bool = False) -> None:
        """End the call, and leave the room; `departure` says how. Harmless when repeated.

        It runs to its end even if the waiting for it is cancelled; everybody who calls it waits.
        """
        await asyncio.shield(self.begin_to_leave(reason, code, again=again))

    def begin_to_leave(self, reason: str, code: str, *, again: bool = False) -> asyncio.Task[None]:
        """As `leave`, without waiting."""
        if self._leaving is None:
            self.departure = Departure(code, reason, again)
            self._leaving = asyncio.get_running_loop().create_task(self._end(reason))
            self._keep_seat(None)
            self.room.forget(self)
            if self.page is not None:
                self.page.bye(self.departure)
            told, self._when_gone = self._when_gone, []
            for each in told:
                each(reason)
        return self._leaving

    async def _end(self, reason: str) -> None:
        try:
            with suppress(NoItemError):  # the leg went with its call
                await self.room.conference.remove(self.leg, reason)
        finally:
            await self.call.close()

    def _call_ended(self, reason: str) -> None:
        if self._leaving is None:
            code = "timeout" if self._connected else "refused"
            self.begin_to_leave(reason, code, again=self._connected)

    def _call_event(self, event: Event) -> None:
        if isinstance(event, CallStateChanged) and event.state is CallState.CONNECTED:
            self._connected = True
            self.room.news.look_again()
        elif isinstance(event, NewParticipant) and not self.known:
            self._known = True
            self.room.news.greet(self)

    def look(self, now: float) -> None:
        """Leave if nothing is heard of the far end, or no longer; called once a second or so."""
        if self.leg.attendees or (self.known and self.call.state is not CallState.CONNECTED):
            self._missed_at = None
        elif self._missed_at is None:
            self._missed_at = now
        elif not self.known and now - self._missed_at > CONNECT_S:
            self.begin_to_leave(f"you were not connected within {CONNECT_S:.0f} s", "timeout")
        elif self.known and now - self._missed_at > VANISHED_S:
            self.begin_to_leave("nothing was heard of you any more", "timeout", again=True)
