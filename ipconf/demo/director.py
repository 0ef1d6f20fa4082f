"""Puts two parties on stage, each in a process of its own, and gives them their orders."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Protocol

from .actors import EXIT_TIMEOUT_S, Actor, end_all, perform_while
from .log import DemoLog, Entry, PartyLog
from .story import ALICE, BOB, MEMBER_TIMEOUT_S, ROLES, Role, Scene

CONNECT_TIMEOUT_S = 40.0
"""Two interpreters start, and a call may take its 30 s to connect."""
FAREWELL_TIMEOUT_S = MEMBER_TIMEOUT_S + 2.0
"""A BYE that got lost on the way is followed by a timeout."""


class Audience(Protocol):
    """Who watches."""

    def connected(self) -> None:
        """The story begins now."""

    def scene_began(self, scene: Scene) -> None:
        """An order was given."""

    def event_came(self, role: Role, event: Entry) -> None:
        """A party tells of an event."""


class Director:
    """Plays a story once and writes it down in `log`."""

    def __init__(self, log: DemoLog, audience: Audience) -> None:
        self.log = log
        self._audience = audience
        self._actors = {key: Actor(party.complaints) for key, party in log.parties.items()}
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._connected_at: dict[str, float] = {}
        self._began = asyncio.Event()
        self._began_at = 0.0
        self._played = False
        self._held: list[tuple[PartyLog, Entry]] = []
        self._over = {role.key: asyncio.Event() for role in ROLES}

    async def play(self) -> None:
        """Play it to the end, or until a party's process ends; leaves no process behind."""
        tasks: list[asyncio.Task[None]] = []
        try:
            for role in ROLES:
                await self._start(role)
            for key, party in self.log.parties.items():
                told = partial(self._told, party)
                tasks.append(asyncio.create_task(self._actors[key].listen(told)))
                tasks.append(asyncio.create_task(self._actors[key].keep_complaints()))
            if not await perform_while(tasks, asyncio.create_task(self._perform())):
                self.log.failure = "a party's process ended before the story did"
        finally:
            if not await end_all(self._actors.values()):
                late = f"a party was not gone in {EXIT_TIMEOUT_S:g} s"
                self.log.failure = self.log.failure or late
            await asyncio.gather(*tasks)
            if not self._began.is_set():
                self._begin(self._held[0][1]["at"] if self._held else 0.0)

    async def _start(self, role: Role) -> None:
        party = self.log.parties[role.key]
        loss_percent = self.log.story.loss_percent if role == BOB else 0.0
        await self._actors[role.key].start(
            "-m", f"{__package__}.party", role.key, str(party.recording), "--loss",
            str(loss_percent),
        )  # fmt: skip

    # -- the story

    async def _perform(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._actors[ALICE.key].order({"order": "dial", "port": await self._port})
                await self._began.wait()
        except TimeoutError:
            self.log.failure = f"the parties were not connected within {CONNECT_TIMEOUT_S:g} s"
        if self.log.failure:
            return
        now = asyncio.get_running_loop().time
        for scene in self.log.story.scenes:
            await asyncio.sleep(self._began_at + scene.at_s - now())
            self._audience.scene_began(scene)
            self._actors[scene.role.key].order(scene.order)
        self._played = True
        with contextlib.suppress(TimeoutError):  # the verdict will miss what did not come
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                for over in self._over.values():
                    await over.wait()

    # -- what the parties tell

    def _told(self, party: PartyLog, message: Entry) -> None:
        match message.pop("kind"):
            case "listening":
                self._port.set_result(message["port"])
            case "connected":
                self._connected_at[party.role.key] = message["at"]
                if len(self._connected_at) == len(ROLES):
                    self._begin(max(self._connected_at.values()))
            case "event":
                self._held.append((party, message))
                if message["event"] == "CallStateChanged" and message["state"] == "disconnected":
                    self._call_ended(party, message)
                if self._began.is_set():
                    self._release()
            case "statistics" if not self._played:  # a call that ends counts nobody any more
                party.statistics = message
            case "finished":
                party.finished = message

    def _call_ended(self, party: PartyLog, event: Entry) -> None:
        self._over[party.role.key].set()
        if not self._began.is_set():
            reason = event["error"] or "the call ended"
            self.log.failure = f"{party.role.name} could not connect: {reason}"
            self._begin(event["at"])

    def _begin(self, at: float) -> None:
        """The time of the story is known from now on, and with it that of what came before."""
        self._began_at = at
        self._began.set()
        self._audience.connected()
        self._release()

    def _release(self) -> None:
        for party, event in self._held:
            # The loop's clock is the machine's monotonic one, the same in every process.
            event["at"] = round(event["at"] - self._began_at, 4)
            party.events.append(event)
            self._audience.event_came(party.role, event)
        self._held.clear()
