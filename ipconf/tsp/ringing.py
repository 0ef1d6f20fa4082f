"""A call that has come in and is not answered yet: the application decides, the caller waits."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..call import Call
from ..calls.signalling import MAX_WAITING_MESSAGES
from ..errors import CallDeclinedError, IpconfError
from ..tsp_data import Disconnect, TspMessage
from .connection import Connection

OnCall = Callable[[Call], Coroutine[Any, Any, None] | None]
"""A function or coroutine function that selects terminals, or raises CallDeclinedError."""


async def ask(on_call: OnCall, call: Call, connection: Connection) -> list[TspMessage] | None:
    """Ask the application; returns what the caller said meanwhile, None if they hung up.

    Raises what `on_call` raises, and CallDeclinedError when it takes longer than the call may take
    to connect. It is cancelled then, and when the caller hangs up.
    """
    decision = on_call(call)
    if not asyncio.iscoroutine(decision):
        return []
    heard: list[TspMessage] = []
    ringing = asyncio.create_task(decision)
    caller = asyncio.create_task(_listen(connection, heard))
    limit_s = call.settings.connect_timeout_s
    try:
        await asyncio.wait({ringing, caller}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if ringing.done():
            ringing.result()  # or what it raised
        if caller.done():
            return None
        if ringing.done():
            return heard
        raise CallDeclinedError(f"nobody answered within {limit_s:g} s")
    finally:
        ringing.cancel()
        caller.cancel()
        await asyncio.wait({ringing, caller})


async def _listen(connection: Connection, heard: list[TspMessage]) -> None:
    """Keep what the caller says, until they hang up or talk nonsense."""
    try:
        while (message := await connection.receive()) is not None:
            if isinstance(message, Disconnect):
                return
            if len(heard) >= MAX_WAITING_MESSAGES:
                connection.send(Disconnect(reason="too many messages before the answer"))
                return
            heard.append(message)
    except IpconfError as exc:
        connection.send(Disconnect(reason=str(exc)))
