"""The rooms of a bridge: made when somebody comes in, ended some time after the last has left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..hub.people import Role
from .guests import Guest, Kind
from .log import tell
from .names import tidy_name, unique_name
from .refusals import Refused
from .room import Room
from .settings import RoomSettings, room_name

if TYPE_CHECKING:
    from ..msp import MediaServiceProvider
    from ..tsp.web import WebTsp
    from .invitations import Invitations
    from .settings import BridgeSettings


class Rooms:
    """All rooms; `close` ends them."""

    def __init__(
        self,
        msp: MediaServiceProvider,
        tsp: WebTsp,
        settings: BridgeSettings,
        invitations: Invitations,
    ) -> None:
        self._msp = msp
        self._tsp = tsp
        self._settings = settings
        self._invitations = invitations
        self._rooms: dict[str, Room] = {}
        self._retired: set[Room] = set()
        """Those that are just ending."""
        self._guests: dict[str, Guest] = {}
        self._closed = False

    @property
    def rooms(self) -> Mapping[str, Room]:
        """The rooms that are there, by name."""
        return MappingProxyType(self._rooms)

    def guest(self, key: str) -> Guest | None:
        """Who has that key, if they are in a room."""
        return self._guests.get(key)

    async def enter(self, name: str, token: str | None, guest_name: str, kind: Kind) -> Guest:
        """Let somebody in, with a call that waits for their offer; makes the room if need be.

        Raises Refused: bad-name, bad-token (also where an invitation is needed and there is none,
        whether the room exists or not), not-allowed, room-full, locked, too-many-rooms, stopping.
        """
        role = self.check(name, token, kind)
        name = room_name(name)
        room = self._rooms.get(name) or self._make(name, self._settings.room(name))
        try:
            return await self._admit(room, role, guest_name, kind)
        finally:
            room.look_whether_empty()

    def check(self, name: str, token: str | None, kind: Kind) -> Role:
        """As whom `enter` would let somebody in just now; it costs little, and makes nothing.

        Raises Refused as `enter` does, but never too-many-rooms.
        """
        if self._closed:
            raise Refused(503, "stopping", "The server is stopping.")
        name = _named(name)
        role = self._role(name, token, self._settings.room(name), kind)
        room = self._rooms.get(name)
        if room is not None:
            room.check(role)
        return role

    def subject(self, name: str, token: str | None) -> str:
        """What a room is called, to be shown before joining; the same whether it is there or not.

        Raises Refused: bad-name, and bad-token for who may not come in.
        """
        name = _named(name)
        settings = self._settings.room(name)
        self._role(name, token, settings, "page")
        return settings.subject or name

    def _role(self, name: str, token: str | None, settings: RoomSettings, kind: Kind) -> Role:
        if token:
            role = self._invitations.read(token, name, time.time())
        elif settings.open:
            role = Role.SPEAKER
        else:
            text = "This room needs an invitation: open the link that you were given."
            raise Refused(403, "bad-token", text)
        if kind == "whep":
            return Role.LISTENER
        if kind == "whip" and role is Role.LISTENER:
            raise Refused(403, "not-allowed", "This invitation allows to watch, not to publish.")
        return role

    def _make(self, name: str, settings: RoomSettings) -> Room:
        others = self._rooms.keys() - self._settings.rooms.keys()
        if name not in self._settings.rooms and len(others) >= self._settings.max_rooms:
            text = "The server has as many rooms as it takes: try again later."
            raise Refused(503, "too-many-rooms", text)
        room = Room(name, settings, self._settings, self._msp)
        room.on_guest_gone = lambda guest: self._guests.pop(guest.key, None)
        room.on_ending = lambda: self._retire(room)
        room.on_end = lambda: self._retired.discard(room)
        self._rooms[name] = room
        tell("room made", room=name)
        return room

    async def _admit(self, room: Room, role: Role, guest_name: str, kind: Kind) -> Guest:
        name = unique_name(tidy_name(guest_name), (guest.name for guest in room.guests))
        call = self._msp.create_call(settings=self._settings.call_settings())
        try:
            leg = room.conference.add(call, name, role, one_person=True)
        except UsageError:  # an application that has the conference as well has filled it, say
            await call.close()
            raise Refused(503, "room-full", "The room takes nobody just now.") from None
        guest = Guest(room, leg, self._tsp, name, kind)
        room.admit(guest)
        self._guests[guest.key] = guest
        return guest

    def _retire(self, room: Room) -> None:
        """It ends; whoever comes now comes into a new one."""
        del self._rooms[room.name]
        self._retired.add(room)

    async def close(self, reason: str) -> None:
        """End all rooms, telling their guests why; nobody is let in any more."""
        self._closed = True
        rooms = tuple(self._rooms.values())
        await asyncio.gather(*(room.end(reason, "stopping", again=True) for room in rooms))


def _named(name: str) -> str:
    """The name as rooms have it; Refused (bad-name) for what is none."""
    try:
        return room_name(name)
    except ValueError as exc:
        raise Refused(400, "bad-name", f"There is no such room: {exc}.") from None
