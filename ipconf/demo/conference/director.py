"""Puts the hub and the people on stage, and gives them their orders."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..actors import EXIT_TIMEOUT_S, Actor, end_all, perform_while
from ..log import Entry
from .log import ConferenceLog, PersonLog, SideLog
from .scenes import Cue, Person, Phase
from .watching import Stretch

MAX_PROCESSES = 4
"""For the people, beside the hub's; where there are more, they share these."""
CONNECT_TIMEOUT_S = 60.0
"""Interpreters start, and calls may take their 30 s to connect."""
FAREWELL_TIMEOUT_S = 6.0
"""A BYE that got lost on the way is followed by a timeout."""
HUB_PROGRAM = ("-m", f"{__package__}.hub")
"""What the hub's interpreter is to run."""


class Audience(Protocol):
    """Who watches."""

    def connected(self) -> None:
        """Everybody is there: the script begins now."""

    def cue_came(self, cue: Cue) -> None:
        """An order was given."""

    def phase_began(self, phase: Phase) -> None:
        """Others talk now."""

    def event_came(self, side: SideLog, event: Entry) -> None:
        """The hub or a person tells of an event."""


class ConferenceDirector:
    """Plays a script once and writes it down in `log`."""

    def __init__(self, log: ConferenceLog, audience: Audience) -> None:
        self.log = log
        self._audience = audience
        self._hub = Actor(log.complaints)
        processes = min(MAX_PROCESSES, len(log.script.people))
        self._casts = [log.script.people[number::processes] for number in range(processes)]
        self._actors = [Actor(log.complaints) for _ in self._casts]
        self._actor_of = {
            person: actor
            for cast, actor in zip(self._casts, self._actors, strict=True)
            for person in cast
        }
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._connected: set[Person] = set()
        self._joined: set[str] = set()
        self._complete = asyncio.Event()
        self._began_at: float | None = None
        self._ending = False
        self._over: set[Person] = set()
        self._all_over = asyncio.Event()
        self._held: list[tuple[SideLog, Entry]] = []

    async def play(self) -> None:
        """Play it to the end, or until a process ends; leaves no process behind."""
        tasks: list[asyncio.Task[None]] = []
        try:
            mosaic = self.log.mosaic or Path()  # which nobody orders without video
            await self._hub.start(*HUB_PROGRAM, str(mosaic))
            for cast, actor in zip(self._casts, self._actors, strict=True):
                await self._start(cast, actor)
            for actor in (self._hub, *self._actors):
                told = self._told_by_hub if actor is self._hub else self._told_by_people
                tasks.append(asyncio.create_task(actor.listen(told)))
                tasks.append(asyncio.create_task(actor.keep_complaints()))
            if not await perform_while(tasks, asyncio.create_task(self._perform())):
                self._failed("a process ended before the script did")
        finally:
            # The people first: the hub sees them off.
            if not await end_all(self._actors) or not await end_all([self._hub]):
                self._failed(f"a process was not gone in {EXIT_TIMEOUT_S:g} s")
            await asyncio.gather(*tasks)
            if self._began_at is None:
                self._begin(self._held[0][1]["at"] if self._held else 0.0)
            for side in self.log.people.values():
                for stretch in side.stretches:  # until now: of the clock
                    stretch.start_s = round(stretch.start_s - self._story_began_at, 4)
                    stretch.end_s = round(stretch.end_s - self._story_began_at, 4)

    async def _start(self, cast: tuple[Person, ...], actor: Actor) -> None:
        folder, script = self.log.people[cast[0].key].recording.parent, self.log.script
        await actor.start(
            "-m", f"{__package__}.people", str(folder), *(str(p.number) for p in cast),
            "--loss", str(script.loss_percent),
            "--slots", str(script.slots), "--fps", str(script.fps),
        )  # fmt: skip

    def _failed(self, why: str) -> None:
        self.log.failure = self.log.failure or why

    # -- the script

    async def _perform(self) -> None:
        people = self.log.script.people
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                port = await self._port
                for person in people:
                    self._order(person, {"order": "dial", "port": port})
                await self._complete.wait()
        except TimeoutError:
            missing = ", ".join(p.name for p in people if p.key not in self._joined)
            self._failed(f"not in the conference within {CONNECT_TIMEOUT_S:g} s: {missing}")
            return
        now = asyncio.get_running_loop().time
        self._begin(now())
        self._tell_lines()
        steps = sorted(
            [
                *((phase.span.start_s, partial(self._audience.phase_began, phase))
                  for phase in self.log.script.phases),
                *((cue.at_s, partial(self._give, cue)) for cue in self.log.script.cues),
            ],
            key=lambda step: step[0],
        )  # fmt: skip
        for at_s, step in steps:
            await asyncio.sleep(self._story_began_at + at_s - now())
            step()
        self._ending = True
        with contextlib.suppress(TimeoutError):  # the verdict will miss what did not come
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                await self._all_over.wait()

    @property
    def _story_began_at(self) -> float:
        assert self._began_at is not None
        return self._began_at

    def _tell_lines(self) -> None:
        """Everybody gets their lines at once: no pipe is in the way when it is their turn."""
        began_at = self._story_began_at
        for person in self.log.script.people:
            spans = [
                (began_at + span.start_s, began_at + span.end_s)
                for span in self.log.script.lines_of(person)
            ]
            self._order(person, {"order": "talk", "spans": spans})

    def _give(self, cue: Cue) -> None:
        self._audience.cue_came(cue)
        if cue.to_hub:
            self._hub.order(cue.order)
        else:
            self._order(cue.person, cue.order)

    def _order(self, person: Person, order: Mapping[str, Any]) -> None:
        self._actor_of[person].order({"person": person.key, **order})

    # -- what they tell

    def _told_by_hub(self, message: Entry) -> None:
        match message.pop("kind"):
            case "listening":
                self._port.set_result(message["port"])
            case "event":
                if message["event"] == "AttendeeJoined":
                    self._joined.add(message["person"])
                    self._look_round()
                self._hold(self.log.hub, message)
            case "legs" if not self._ending:
                self.log.legs = message["legs"]
                self.log.numbers |= {leg["person"]: leg for leg in message["legs"]}
            case "finished":
                self.log.hub.finished = True

    def _told_by_people(self, message: Entry) -> None:
        side = self.log.people[message.pop("person")]
        match message.pop("kind"):
            case "recording":
                side.recording_began_s = message["at"]  # until the script begins: of the clock
            case "connected":
                self._connected.add(side.person)
                self._look_round()
            case "event":
                self._hold(side, message)
                if message["event"] == "CallStateChanged" and message["state"] == "disconnected":
                    self._left(side)
            case "sight":
                self._saw(side, message)
            case "finished":
                side.finished = True

    def _saw(self, side: PersonLog, message: Entry) -> None:
        slot, who = message["slot"], message["who"]
        if message["ended"] is not None:
            side.stretches.append(Stretch(**message["ended"]))
        if who:
            side.sees[slot] = who
        else:
            side.sees.pop(slot, None)

    def _look_round(self) -> None:
        everybody = len(self.log.script.people)
        if len(self._connected) == everybody == len(self._joined):
            self._complete.set()

    def _left(self, side: PersonLog) -> None:
        self._over.add(side.person)
        if len(self._over) == len(self.log.people):
            self._all_over.set()

    def _begin(self, at: float) -> None:
        """The time of the script is known from now on, and with it that of what came before."""
        self._began_at = at
        for side in self.log.people.values():
            side.recording_began_s -= at
        self._audience.connected()
        self._release()

    def _hold(self, side: SideLog, event: Entry) -> None:
        self._held.append((side, event))
        if self._began_at is not None:
            self._release()

    def _release(self) -> None:
        for side, event in self._held:
            # The loop's clock is the machine's monotonic one, the same in every process.
            event["at"] = round(event["at"] - self._story_began_at, 4)
            side.events.append(event)
            self._audience.event_came(side, event)
        self._held.clear()
