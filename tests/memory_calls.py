"""Calls whose media never leave the process: a provider of its own kind, over memory transports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import count

from aiortc.sdp import MediaDescription
from peers import LOCALHOST, PLAIN

from ipconf import Call, CallSettings, Identity, LoopbackTsp, MediaServiceProvider, MediaType
from ipconf.msp import CALL_MEDIA
from ipconf.transports.base import PlainLine, SignalledTransport, TransportState
from ipconf.transports.memory import MemoryTransport


class Plug(MemoryTransport, SignalledTransport):
    """A memory transport that finds its far end by the port number in the description."""

    def __init__(self, board: dict[int, Plug], free: Iterator[int]) -> None:
        super().__init__()
        self._board = board
        self._free = free
        self.number = 0

    async def open(self, *, offering: bool = True) -> None:
        self.number = next(self._free)
        self._board[self.number] = self

    def describe(self, role: str) -> PlainLine:
        return PlainLine(LOCALHOST, self.number, self.number)

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        self._peer = self._board[remote.port]
        self.state = TransportState.CONNECTED


class MemoryProvider(MediaServiceProvider):
    """Makes calls to providers that are on the same board."""

    def __init__(self, name: str, board: dict[int, Plug], free: Iterator[int]) -> None:
        super().__init__(Identity(name=name), PLAIN)
        self._board = board
        self._free = free

    def make_transport(self, settings: CallSettings) -> Plug:
        return Plug(self._board, self._free)


@asynccontextmanager
async def memory_calls(
    media: Iterable[MediaType] = CALL_MEDIA,
) -> AsyncIterator[tuple[LoopbackTsp, Call, Call]]:
    """Alice's and Bob's providers, and a call of each, not connected yet."""
    board: dict[int, Plug] = {}
    free = count(2, 2)
    alice, bob = (MemoryProvider(name, board, free) for name in ("Alice", "Bob"))
    async with alice, bob, LoopbackTsp(alice, bob) as tsp:
        yield tsp, *tsp.pair(media)
