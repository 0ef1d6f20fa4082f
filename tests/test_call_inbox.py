"""The inbox of a call: what waits there has a limit, and hanging up gets past it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from call_ends import EventLog, provider
from peers import eventually, scenario
from senses import AUDIO

from ipconf import Call, CallState, Cause
from ipconf.calls.signalling import MAX_WAITING_MESSAGES
from ipconf.errors import ConfigurationError, InvalidStateError, TransportError
from ipconf.events import CallStateChanged
from ipconf.tsp_data import Candidate, Connect, Disconnect


def fill(call: Call) -> None:
    """Leave room for no further message; the call comes to none of them before somebody awaits."""
    call.receive_tsp_data(Connect())
    for _ in range(MAX_WAITING_MESSAGES - 1):
        call.receive_tsp_data(Candidate(candidate=""))


@scenario()
async def test_hanging_up_gets_past_a_full_inbox() -> None:
    async with provider() as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        fill(call)
        for message in (Candidate(candidate=""), Connect()):
            with pytest.raises(InvalidStateError, match="wait until it has come to them, or disc"):
                call.receive_tsp_data(message)
        call.receive_tsp_data(Disconnect(reason="never mind"))
        changed = await log.until(CallStateChanged, lambda e: e.state is CallState.DISCONNECTED)
        assert changed.cause is Cause.REMOTE_REQUEST
        assert isinstance(changed.error, TransportError) and "never mind" in str(changed.error)
        # It was the only one that was looked at, and the call can be used again.
        call.receive_tsp_data(Connect())
        await eventually(lambda: call.state is CallState.CONNECTING, "it is offered again")


@scenario()
async def test_a_flood_of_hanging_up_piles_up_nothing() -> None:
    async with provider() as msp:
        call = msp.create_call({AUDIO})
        fill(call)
        for _ in range(3 * MAX_WAITING_MESSAGES):
            call.receive_tsp_data(Disconnect())
        assert len(call._signalling._inbox) <= MAX_WAITING_MESSAGES
        await eventually(lambda: call.state is CallState.DISCONNECTED, "it ends")
        await asyncio.wait_for(call.close(), 5)


@pytest.mark.parametrize("message", [None, "offer", {"kind": "connect"}, Connect])
@scenario()
async def test_what_is_no_message_is_refused(message: Any) -> None:
    async with provider() as msp:
        call = msp.create_call({AUDIO})
        for receive in (call.receive_tsp_data, lambda m: msp.receive_tsp_data(call, m)):
            with pytest.raises(ConfigurationError, match="one of those in ipconf.tsp_data"):
                receive(message)
        assert call.state is CallState.IDLE
