"""The processes of this package (`ipconf.load.processes`), and calls between them."""

from __future__ import annotations

from ipconf.load import processes
from ipconf.load.processes import Commands, serve

__all__ = ["Child", "Commands", "connect", "serve"]


class Child(processes.Child):
    """A process of this package's module `name`; `async with` ends it."""

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(f"{__package__}.{name}", *arguments)


async def connect(caller: Child, answerer: Child, count: int = 1) -> None:
    """Connect that many legs of both, one after the other, and wait until media can flow."""
    for _ in range(count):
        offer = await caller.ask("offer")
        answer = await answerer.ask("answer", sdp=offer)
        await caller.ask("accept", sdp=answer)
    await answerer.ask("connected", count=count)
