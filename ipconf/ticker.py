"""One clock for all media of a provider: a callback every 10 ms, on an absolute schedule.

One timer serves every stream of every call, so forty streams cost one wake-up and no task. Without
clients it does not run at all, and without video only every 20 ms: a wake-up of an idle process
costs about as much as decoding 20 ms of sound. For the same reason the first stream that is heard
leads: ticks fall right behind its packets, which saves a wake-up each, and some waiting.
"""

import asyncio
from collections.abc import Callable
from math import gcd

TICK_S = 0.010
"""Video is looked at every tick."""
AUDIO_TICKS = 2
"""Audio is looked at every second one (20 ms)."""
MAX_CATCH_UP_TICKS = 10
"""After a stall of the loop up to 100 ms are made good tick by tick; the rest is lost time."""
LEAD_WITHIN_S = 2.0
"""Only so soon after its start may the ticker jump into step: media is just beginning, too."""
STEP_S = 0.001
"""A tick in step is due so long after the leader's packets usually come ..."""
EARLY_S = 0.002
"""... and comes forward by up to this much, as soon as the packet is there."""
DRIFT_S = 10e-6
"""In each tick the schedule may follow the leader's clock by this (500 ppm)."""
READ_FIRST_S = 0.001
"""Ticks that are overdue come one a turn, and so much later that the loop reads its sockets first:
what is past already, loops may do before that.
"""

FAULTS = (Exception, asyncio.CancelledError)
"""What others' code may raise in a callback: no task runs there, so none of ours is cancelled."""

TickClient = Callable[[float, int], None]
"""Called with the loop's time in seconds and the number of the tick."""


class Ticker:
    """Calls each client every so many ticks; one that raises is reported to the loop and kept."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._clients: dict[int, dict[TickClient, None]] = {}  # by how often they are called
        self._step = 1
        self._handle: asyncio.Handle | None = None
        self._due = 0.0
        self._number = 0
        self._began = 0.0
        self._leader: object | None = None
        self._ticking = False
        self.skipped = 0
        """Ticks that were never run because the loop stood still for longer than 100 ms."""

    def add(self, client: TickClient, every: int = 1) -> None:
        """Call `client` from now on in the ticks whose number `every` divides."""
        self._clients.setdefault(every, {})[client] = None
        self._step = gcd(*self._clients)
        if self._handle is None:
            self._began = self._loop.time()
            self._due = self._began + TICK_S
            self._handle = self._loop.call_at(self._due, self._run)

    def remove(self, client: TickClient) -> None:
        """Never call `client` again; harmless if it is not a client."""
        for every, clients in tuple(self._clients.items()):
            clients.pop(client, None)
            if not clients:
                del self._clients[every]
        self._step = gcd(*self._clients) or 1
        if not self._clients and self._handle is not None:
            self._handle.cancel()
            self._handle = self._leader = None

    def packet_came(self, stream: object, now: float) -> None:
        """Tell that `stream` has a packet of sound: if it leads, the next tick may be now.

        Call it when all is done with the packet, as clients are called from here.
        """
        if self._handle is None or self._ticking:
            return
        if stream is self._leader:
            ahead = self._due - now
            if 0.0 < ahead < EARLY_S and self._number % AUDIO_TICKS == 0:
                self._due += min(max(STEP_S - ahead, -DRIFT_S), DRIFT_S)
                self._handle.cancel()
                self._run()
        elif self._leader is None and now - self._began < LEAD_WITHIN_S:
            self._leader = stream
            self._number += self._number % AUDIO_TICKS
            self._due = now + STEP_S
            self._handle.cancel()
            self._handle = self._loop.call_at(self._due, self._run)

    def _run(self) -> None:
        now = self._loop.time()
        behind = int((now - self._due) / TICK_S)
        if behind > MAX_CATCH_UP_TICKS:
            self.skipped += behind - MAX_CATCH_UP_TICKS
            self._number += behind - MAX_CATCH_UP_TICKS
            self._due += (behind - MAX_CATCH_UP_TICKS) * TICK_S
        self._ticking = True
        try:
            self._tick(now)
        finally:  # what passes through here ends the program, or this one tick, but no media
            self._ticking = False
            self._go_on()

    def _go_on(self) -> None:
        """Come back for the next tick that anybody wants."""
        ticks = self._step - self._number % self._step
        self._number += ticks
        self._due += ticks * TICK_S
        # The handle stands while ticking, so that a client that removes the last one wins.
        at = max(self._due, self._loop.time() + READ_FIRST_S)
        self._handle = self._loop.call_at(at, self._run) if self._clients else None

    def _tick(self, now: float) -> None:
        number = self._number
        due = [
            c for every, clients in self._clients.items() if number % every == 0 for c in clients
        ]
        for client in due:
            try:
                client(now, number)
            except FAULTS as exc:
                self._loop.call_exception_handler(
                    {"message": f"media tick of {client!r} failed", "exception": exc}
                )
