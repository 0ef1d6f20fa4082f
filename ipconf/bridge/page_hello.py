"""A page's hello: who comes in or goes on by it, and the welcome that answers it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..hub.people import Role
from .invitations import NAME_OF_ROLE
from .page_news import message
from .page_protocol import VERSION, Hello
from .relays import with_passwords

if TYPE_CHECKING:
    from .guests import Guest
    from .server import Bridge

INVITATION_S = 7 * 86_400.0
"""So long those hold that moderators can hand on."""


async def let_in(bridge: Bridge, hello: Hello, address: str) -> tuple[Guest, bool]:
    """The guest whose page says this, and whether it is one who was there before.

    Raises Refused as `Rooms.enter` and `Limits.admit` do.
    """
    there = _resumed(bridge, hello)
    return (there, True) if there is not None else (await _enter(bridge, hello, address), False)


def _resumed(bridge: Bridge, hello: Hello) -> Guest | None:
    """The guest who is to go on, if the key is a page's in that room."""
    guest = bridge.rooms.guest(hello.resume) if hello.resume else None
    fits = guest and guest.kind == "page" and guest.room.name == hello.room.lower()
    return guest if fits else None


async def _enter(bridge: Bridge, hello: Hello, address: str) -> Guest:
    admission = bridge.limits.admit(address)
    try:
        guest = await bridge.rooms.enter(hello.room, hello.token, hello.name, "page")
    except BaseException:
        admission.release()
        raise
    guest.on_gone(lambda reason: admission.release())
    bridge.metrics.joined("page")
    return guest


def welcome(bridge: Bridge, guest: Guest, *, resumed: bool) -> str:
    """The message that lets a page begin."""
    settings = bridge.settings
    servers = [
        {"urls": server.url, "username": server.username, "credential": server.credential}
        for server in with_passwords(settings.ice_servers)
    ]
    return message(
        "welcome",
        version=VERSION,
        room=guest.room.name,
        subject=guest.room.subject,
        key=guest.key,
        role=NAME_OF_ROLE[guest.role],
        resumed=resumed,
        ice_servers=[{k: v for k, v in s.items() if v is not None} for s in servers],
        slots=settings.video_slots,
        can_record=settings.recordings_dir is not None,
        name=guest.name,
        invitation=_invitation(bridge, guest),
    )


def _invitation(bridge: Bridge, guest: Guest) -> str | None:
    """For a moderator to hand on, where guests need one."""
    room = guest.room.name
    if not guest.moderates or bridge.settings.room(room).open:
        return None
    return bridge.invitations.invite(room, Role.SPEAKER, time.time() + INVITATION_S)
