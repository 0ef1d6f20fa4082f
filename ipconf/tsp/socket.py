"""A TSP over TCP: two processes call each other, one JSON message a line, one connection a call.

There is no authentication here: listen on an address that only your own machines reach.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from ..call import Call
from ..errors import InvalidStateError, IpconfError, TransportError
from ..model import CallState, MediaType
from ..msp import CALL_MEDIA, MediaServiceProvider
from ..tsp_data import (
    MAX_MESSAGE_CHARACTERS,
    Connect,
    Disconnect,
    TspMessage,
    parse_tsp_message,
)
from .base import TelephonyServiceProvider


class SocketTsp(TelephonyServiceProvider):
    """Dials and answers calls of one provider over TCP.

    `on_call` is told of each call that comes in, before it is answered, so that terminals can be
    selected; without it nobody is answered.
    """

    def __init__(
        self, provider: MediaServiceProvider, on_call: Callable[[Call], None] | None = None
    ) -> None:
        super().__init__(provider)
        self._provider = provider
        self._on_call = on_call
        self._writers: dict[Call, asyncio.StreamWriter] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        for reader in tuple(self._readers):
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await super().__aexit__(*exc)

    async def listen(self, host: str, port: int = 0) -> int:
        """Take calls on that address; returns the port. TransportError if it is taken."""
        try:
            self._server = await asyncio.start_server(
                self._incoming, host, port, limit=MAX_MESSAGE_CHARACTERS
            )
        except OSError as exc:
            raise TransportError(f"cannot listen at {host}:{port} ({exc})") from exc
        return int(self._server.sockets[0].getsockname()[1])

    async def dial(self, host: str, port: int, media: Iterable[MediaType] = CALL_MEDIA) -> Call:
        """Begin a call to who listens there; select terminals, then `await call.wait_connected()`.

        Raises TransportError when nobody listens.
        """
        try:
            reader, writer = await asyncio.open_connection(host, port, limit=MAX_MESSAGE_CHARACTERS)
        except OSError as exc:
            raise TransportError(f"nobody answers at {host}:{port} ({exc})") from exc
        call = self._provider.create_call(media)
        self._follow(call, reader, writer)
        call.receive_tsp_data(Connect())
        return call

    def _incoming(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function: asyncio before 3.12 logs an error for a coroutine that is cancelled.
        if self._on_call is None:
            writer.close()
            return
        call = self._provider.create_call()
        self._on_call(call)
        self._follow(call, reader, writer)

    def _follow(
        self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers[call] = writer
        task = asyncio.create_task(self._read(call, reader, writer))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read(
        self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while line := await reader.readline():
                message = parse_tsp_message(line)
                call.receive_tsp_data(message)
                if isinstance(message, Disconnect):
                    break
        except (IpconfError, OSError, ValueError):
            pass  # nonsense, a lost connection or a closed call: the signalling is over
        finally:
            self._writers.pop(call, None)
            writer.close()
            if call.state in (CallState.IDLE, CallState.CONNECTING):
                with suppress(InvalidStateError):  # closed, or its inbox is full of nonsense
                    call.receive_tsp_data(Disconnect(reason="the far end hung up"))

    async def send(self, call: Call, message: TspMessage) -> None:
        writer = self._writers.get(call)
        if writer is None or writer.is_closing():
            return
        writer.write(message.model_dump_json().encode() + b"\n")
        try:
            await writer.drain()
        except OSError:
            writer.close()
        if isinstance(message, Disconnect):
            writer.close()  # that was the last word
