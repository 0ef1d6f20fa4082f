"""Plays the meeting: a bridge with one room, some people in it who talk, and whoever joins."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ...bridge.room import Room
from ...bridge.server import Bridge
from ...bridge.settings import BridgeSettings
from ...conference import Conference
from ...event_hub import EventStream
from ...events import (
    AttendeeJoined,
    AttendeeLeft,
    ConferenceEnded,
    ConferenceEvent,
    MessageReceived,
    RecordingStarted,
    RecordingStopped,
)
from ...hub.people import Role
from ..conference.scenes import PAUSE_S, Person
from ..conference.script import MAX_PARTIES
from ..party import HOST, printable
from .talker import Talker

ROOM = "demo"
PORT = 8080
"""Where it is free; else any."""
LINE_S = 3.2
"""Each talks for so long, before it is the next one's turn."""


async def play(
    console: Console, parties: int, duration_s: float | None, folder: Path, *, browse: bool
) -> int:
    """Hold the meeting until Ctrl-C, or for so many seconds; returns the exit code.

    `browse` opens the page as well, where this machine has a screen. ValueError for a number of
    parties, or a duration, that is none; TransportError where nothing can listen here.
    """
    if not 1 <= parties <= MAX_PARTIES:
        raise ValueError(f"{parties} parties: a meeting has 1 to {MAX_PARTIES}, and you")
    if duration_s is not None and duration_s <= 0:
        raise ValueError(f"{duration_s:g} seconds: give more than 0, or leave it out")
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge(_settings(folder)))
        people = [Person(number) for number in range(parties)]
        talkers, room = await _seat(bridge, people, stack)
        link = bridge.link(ROOM, Role.MODERATOR)
        names = ", ".join(person.name for person in people)
        verb = "is" if parties == 1 else "are"
        console.print(f"{names} {verb} in the meeting. Join from a browser on this machine:")
        console.print(f"\n    [bold cyan]{escape(link)}[/]\n", soft_wrap=True)
        console.print("Ctrl-C ends it." if duration_s is None else f"It lasts {duration_s:g} s.")
        if browse and _has_screen():
            webbrowser.open(link)
        tasks = [
            asyncio.create_task(_talk_in_turns(talkers)),
            asyncio.create_task(_tell(console, room.conference)),
        ]
        for task in tasks:
            stack.callback(task.cancel)
        stack.callback(bridge.stopping.set)
        try:
            async with asyncio.timeout(duration_s):
                await bridge.serve()
        except TimeoutError:
            console.print("That was all.")
        else:
            console.print("The meeting is over.")
    return 0


def _settings(folder: Path) -> BridgeSettings:
    """A bridge for this machine alone, at the usual port if it is free."""
    return BridgeSettings(host=HOST, port=PORT, any_port=True, recordings_dir=folder)


async def _seat(
    bridge: Bridge, people: Sequence[Person], stack: AsyncExitStack
) -> tuple[list[Talker], Room]:
    """Bring everybody in."""
    talkers = []
    for person in people:
        guest = await bridge.rooms.enter(ROOM, None, person.name, "whip")
        talkers.append(await stack.enter_async_context(Talker(person, guest)))
    return talkers, bridge.rooms.rooms[ROOM]


def _has_screen() -> bool:
    """Whether a browser would be seen: else one for terminals might open here."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in screens)


async def _talk_in_turns(talkers: Sequence[Talker]) -> None:
    for talker in cycle(talkers):
        talker.talk(LINE_S)
        await asyncio.sleep(LINE_S + PAUSE_S)


async def _tell(console: Console, conference: Conference) -> None:
    """Say what happens, a line each."""
    events: EventStream[ConferenceEvent] = conference.events()
    async for event in events:
        line = _line(event)
        if line:
            console.print(line)


def _line(event: ConferenceEvent) -> str:
    match event:
        case AttendeeJoined(attendee=person):
            return f"{_shown(person.name)} has joined."
        case AttendeeLeft(attendee=person):
            return f"{_shown(person.name)} has left."
        case MessageReceived(text=text, sender=sender):
            who = "The meeting" if sender is None else _shown(sender.display_name)
            return f"{who}: {_shown(text)}"
        case RecordingStarted(recording=recording):
            return f"It is recorded into {_shown(str(recording.path))}."
        case RecordingStopped():
            return "The recording has ended."
        case ConferenceEnded():
            return "The meeting was ended for all."
    return ""


def _shown(text: str) -> str:
    return escape(printable(text))
