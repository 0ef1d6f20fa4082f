"""A TSP over TCP: two processes call each other, one JSON message a line, one connection a call.

There is no authentication here: listen on an address that only your own machines reach.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any

from ..call import Call
from ..errors import (
    CallDeclinedError,
    ClosedError,
    ConfigurationError,
    InvalidStateError,
    IpconfError,
    NegotiationError,
    TransportError,
)
from ..model import CallState, MediaType
from ..msp import CALL_MEDIA, MediaServiceProvider
from ..tsp_data import MAX_MESSAGE_CHARACTERS, Connect, Description, Disconnect, TspMessage
from .base import TelephonyServiceProvider
from .connection import Connection
from .ringing import OnCall, ask

UNREACHABLE = (OSError, UnicodeError, OverflowError)
"""What the system says of an address: not there, no host name, no port."""


class SocketTsp(TelephonyServiceProvider):
    """Dials and answers calls of one provider over TCP.

    `on_call` is told of each call that comes in, before it is answered, so that terminals can be
    selected; without it nobody is answered, nor if it raises. CallDeclinedError tells the caller
    why. A coroutine function may let it ring: the call is answered when it returns. It is
    cancelled when the caller hangs up first, and after the `connect_timeout_s` of the call.

    Who connects has `first_message_limit_s` seconds to make an offer. While there are `max_calls`
    connections, dialled and ringing ones included, others are refused.
    """

    def __init__(
        self,
        provider: MediaServiceProvider,
        on_call: OnCall | None = None,
        *,
        max_calls: int = 64,
        first_message_limit_s: float = 10.0,
    ) -> None:
        super().__init__(provider)
        if on_call is not None and not callable(on_call):
            raise ConfigurationError(
                f"{on_call!r} as on_call: give a function that is called with each call"
            )
        self._provider = provider
        self._on_call = on_call
        self._max_calls = max_calls
        self._first_message_limit_s = first_message_limit_s
        self._connections: dict[Call, Connection] = {}
        self._conversations: dict[asyncio.Task[None], Connection] = {}
        self._server: asyncio.Server | None = None

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        if self._server is not None:
            self._server.close()
        conversations = dict(self._conversations)
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        for connection in conversations.values():
            connection.abort()
        self._connections.clear()

    async def listen(self, host: str, port: int = 0) -> int:
        """Take calls on that address, from now until the TSP is left; returns the port.

        Raises TransportError when it cannot be had, InvalidStateError when it listens already, and
        ClosedError outside `async with`.
        """
        self._require_open()
        if self._server is not None:
            raise InvalidStateError("this TSP listens already; make another for another address")
        try:
            self._server = await asyncio.start_server(
                self._incoming, host, port, limit=MAX_MESSAGE_CHARACTERS
            )
        except UNREACHABLE as exc:
            raise TransportError(f"cannot listen at {host}:{port} ({exc})") from exc
        return int(self._server.sockets[0].getsockname()[1])

    async def dial(self, host: str, port: int, media: Iterable[MediaType] = CALL_MEDIA) -> Call:
        """Begin a call to who listens there; select terminals, then `await call.wait_connected()`.

        Raises TransportError when nobody listens, what `create_call` raises, and ClosedError
        outside `async with`. Use `asyncio.timeout` to limit the wait.
        """
        self._require_open()
        try:
            reader, writer = await asyncio.open_connection(host, port, limit=MAX_MESSAGE_CHARACTERS)
        except UNREACHABLE as exc:
            raise TransportError(f"nobody answers at {host}:{port} ({exc})") from exc
        connection = Connection(reader, writer)
        try:
            self._require_open()  # it may have been left meanwhile
            call = self._provider.create_call(media)
        except Exception:
            connection.abort()
            raise
        self._connections[call] = connection
        self._converse(connection, self._follow(call, connection))
        call.receive_tsp_data(Connect())
        return call

    def _incoming(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function: asyncio before 3.12 logs an error for a coroutine that is cancelled.
        connection = Connection(reader, writer)
        if not self.is_open or self._on_call is None:
            connection.send(Disconnect(reason="nobody takes calls here"))
        elif len(self._conversations) >= self._max_calls:
            connection.send(Disconnect(reason=f"busy with {self._max_calls} calls; try later"))
        else:
            self._converse(connection, self._answer(connection, self._on_call))

    def _converse(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._conversations[task] = connection
        task.add_done_callback(self._conversations.pop)

    async def _answer(self, connection: Connection, on_call: OnCall) -> None:
        """Wait for an offer, then make a call of it: idle connections cost no more than that."""
        try:
            async with asyncio.timeout(self._first_message_limit_s):
                offer = await connection.receive()
            if not isinstance(offer, Description) or offer.type != "offer":
                raise NegotiationError("the first message of a call must be an offer")
        except TimeoutError:
            limit_s = self._first_message_limit_s
            connection.send(Disconnect(reason=f"there was no offer within {limit_s:g} s"))
        except IpconfError as exc:
            connection.send(Disconnect(reason=str(exc)))
        else:
            await self._take(connection, offer, on_call)

    async def _take(self, connection: Connection, offer: Description, on_call: OnCall) -> None:
        """Make a call of an offer and answer it, if the application wants to."""
        call, heard = None, None
        try:
            call = self._provider.create_call()
            self._connections[call] = connection
            heard = await ask(on_call, call, connection)
        except CallDeclinedError as exc:
            connection.send(Disconnect(reason=str(exc) or "the call was declined"))
        except Exception as exc:
            connection.send(Disconnect(reason="the call could not be taken at the far end"))
            context = {"message": f"a call from {connection.peer} was lost", "exception": exc}
            asyncio.get_running_loop().call_exception_handler(context)
        finally:
            if call is not None and heard is None:
                del self._connections[call]
                connection.close()
                await call.close()
        if call is not None and heard is not None:
            await self._follow(call, connection, offer, *heard)

    async def _follow(self, call: Call, connection: Connection, *first: TspMessage) -> None:
        """Hand on what comes, until either end hangs up; a call that is not connected ends then."""
        why = "the far end hung up"
        waiting = deque(first)
        try:
            while message := waiting.popleft() if waiting else await connection.receive():
                call.receive_tsp_data(message)
                if isinstance(message, Disconnect):
                    break
        except IpconfError as exc:  # nonsense, a lost connection or a closed call
            why = str(exc)
        except asyncio.CancelledError:
            why = "the signalling was shut down"
            raise
        finally:
            self._connections.pop(call, None)
            connection.abort()
            if call.state in (CallState.IDLE, CallState.CONNECTING):
                with suppress(ClosedError):
                    call.receive_tsp_data(Disconnect(reason=connection.failure or why))

    async def send(self, call: Call, message: TspMessage) -> None:
        """Send a message without waiting; TransportError when the far end has stopped reading."""
        connection = self._connections.get(call)
        if connection is not None:
            connection.send(message)
