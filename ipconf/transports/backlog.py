"""Packets of somebody who is silent wait for one another: work on many costs less than many works.

Nobody hears them, so nobody misses them for a moment; what is counted of them is counted a little
later, as of when they came. A packet costs several times more alone, with cold caches, than as one
of a dozen that go the same way. Whatever else comes from that person, or is to be known of them,
lets those go first that wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.rtp_wire import SHORT_BLOCK_END
from ..engine.skimming import Skimmer, Timed

MAX_WAITING = 25
"""Packets that wait, half a second as a rule ..."""
MAX_WAIT_S = 1.0
"""... and no longer than this, once something else comes."""

Address = tuple[Any, ...]
Take = Callable[[list[Timed], Address | None], None]
"""Takes datagrams, each with its arrival, that all came from one address, or are decrypted."""


class Backlog:
    """What waits of one silent source, told by the octets 8 to 16 of its packets: `mark`.

    In the end it goes to `take`, by way of `deliver`, which its transport sets. What has one of
    `prompt` as its second octet does not wait.
    """

    __slots__ = ("_address", "_mark", "_prompt", "_room", "_skimmer", "_waiting", "deliver", "take")

    def __init__(
        self, mark: bytes, skimmer: Skimmer, take: Take, prompt: frozenset[int] = frozenset()
    ) -> None:
        self.take = take
        self.deliver: Take = take
        self._mark = mark
        self._skimmer = skimmer
        self._prompt = prompt
        self._address: Address = ()
        # Hundreds begin at the same time: they are not to be delivered all in the same moment.
        self._room = 1 + int.from_bytes(mark[:4], "big") % MAX_WAITING
        self._waiting: list[Timed] = []

    def keep(self, data: bytes, address: Address, now: float) -> bool:
        """Whether a datagram waits here. Else it is the caller's, and all before it are delivered.

        It may be forged, or still encrypted: all that is told here is whether it can wait.
        """
        skimmer = self._skimmer
        if (
            skimmer.awake
            or len(data) <= SHORT_BLOCK_END
            or data[8:17] != self._mark
            or data[0] != 0x90
            or data[17] & 0x7F <= skimmer.quiet_level
            or data[1] in self._prompt
        ):
            if self._waiting:
                self.release()
            return False
        waiting = self._waiting
        if waiting and (address != self._address or now - waiting[0][1] > MAX_WAIT_S):
            self.release()
            return False
        self._address = address
        waiting.append((data, now))
        if len(waiting) >= self._room:
            self._room = MAX_WAITING
            self.release()
        return True

    def release(self) -> None:
        """Deliver what waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self.deliver(waiting, self._address)
