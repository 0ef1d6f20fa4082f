"""Calls whose set-up or end goes wrong: crossing offers, stale answers, bad offers, cancelling."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import aioice.ice
import aioice.stun
import numpy as np
import pytest
from call_ends import Ends, EventLog, provider
from peers import LIMIT_S, scenario
from senses import AUDIO, CAPTURE
from transport_lab import Stranger

from ipconf import Call, CallState, Cause, GoneReason, LoopbackTsp, NetworkImpairment
from ipconf.events import (
    CallStateChanged,
    NewParticipant,
    ParticipantLeft,
    ParticipantTimedOut,
    StreamFailed,
    TerminalFailed,
    TspData,
)
from ipconf.terminals.base import CaptureTerminal
from ipconf.transports.reading import read_description
from ipconf.tsp_data import Connect, Description, Disconnect


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Call, Ends, Ends]]:
    """Alice's call with Bob, and the ends of both, each with a tone and an ear."""
    async with provider() as one, provider("Bob") as other, LoopbackTsp(one, other) as tsp:
        x, y = tsp.pair({AUDIO})
        ends = Ends(x, 440), Ends(y, 880)
        await tsp.connect(pair=(x, y))
        yield x, *ends


@scenario()
async def test_closing_goes_on_when_who_waits_for_it_is_cancelled() -> None:
    async with connected() as (call, alice, bob):
        closing = asyncio.create_task(call.close())
        await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        await call.close()
        assert call.state is CallState.DISCONNECTED
        assert all(not stream.terminals for stream in call.streams)


@scenario()
async def test_both_ends_may_call_at_once() -> None:
    async with provider() as one, provider("Bob") as other, LoopbackTsp(one, other) as tsp:
        x, y = tsp.pair({AUDIO})
        alice, bob = Ends(x, 440), Ends(y, 880)
        x.receive_tsp_data(Connect())
        y.receive_tsp_data(Connect())
        await x.wait_connected()
        await y.wait_connected()
        await bob.hears(440)
        await alice.hears(880)


@scenario()
async def test_an_answer_that_nobody_waits_for_is_ignored() -> None:
    async with connected() as (call, alice, bob):
        before = call.ignored_answers
        call.receive_tsp_data(Description(type="answer", sdp="v=0\r\n", answers="1"))
        await bob.hears(440)
        assert call.ignored_answers == before + 1
        assert call.state is CallState.CONNECTED


@scenario()
async def test_a_bad_offer_leaves_the_call_as_it_is() -> None:
    async with connected() as (call, alice, bob):
        call.receive_tsp_data(Description(type="offer", sdp="v=0\r\nm=audio what\r\n"))
        await bob.hears(440)
        await alice.hears(880)
        assert call.state is CallState.CONNECTED


@scenario()
async def test_a_connect_in_the_middle_of_a_disconnect_wins() -> None:
    async with provider() as one, provider("Bob") as other, LoopbackTsp(one, other) as tsp:
        pair = await tsp.connect({AUDIO})
        for turns in range(1, 9):
            leaving = asyncio.create_task(pair[0].disconnect())
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(LIMIT_S):
                await tsp.connect(pair=pair)
            await leaving
            assert pair[0].state is CallState.CONNECTED


@scenario()
async def test_what_the_far_end_ended_is_told_as_its_doing() -> None:
    async with connected() as (call, alice, bob):
        await alice.hears(880)
        log = EventLog(call)
        call.receive_tsp_data(Disconnect(reason="lunch"))
        left = await log.until(ParticipantLeft)
        assert (left.reason, left.text) == (GoneReason.BYE, "lunch")


class WrongShape(CaptureTerminal):
    def __init__(self) -> None:
        super().__init__("wrong shape", AUDIO, CAPTURE)

    def read(self, now: float) -> np.ndarray:
        return np.zeros(960, np.int16)


@scenario()
async def test_a_block_of_the_wrong_shape_fails_its_terminal_alone() -> None:
    async with connected() as (call, alice, bob):
        log = EventLog(call)
        bad = WrongShape()
        call.stream(AUDIO, CAPTURE).select_terminal(bad)
        failed = await log.until(TerminalFailed)
        assert (failed.terminal, failed.cause) == (bad, Cause.BAD_DEVICE)
        assert "read() gives int16" in str(failed.error)
        await bob.hears(440)
        assert not log.of(StreamFailed)


@scenario()
async def test_a_far_end_that_no_longer_consents_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """ICE consent (RFC 7675) ends with the network; no RTCP timeout is waited for."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.01)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.01)
    async with provider() as one, provider("Bob") as other:
        async with LoopbackTsp(one, other) as tsp:
            call, far = tsp.pair({AUDIO})
            log = EventLog(call)
            Ends(call, 440), Ends(far, 880)
            await tsp.connect(pair=(call, far))
            await log.until(NewParticipant)
        # Without signalling from here on: the far end, which loses us too, could tell of it first.
        call.query(NetworkImpairment).set_loss(100)
        left = await log.until(ParticipantTimedOut)
        assert left.participant is not None and left.participant.name == "Bob"
        ended = await log.until(CallStateChanged)
        assert (ended.state, ended.cause) == (CallState.DISCONNECTED, Cause.MEDIA_TIMEOUT)
        assert call.participants == ()


def junk(rng: random.Random) -> list[bytes]:
    """What a stranger may send: nothing, noise of every first byte, beginnings of RTP and RTCP."""
    noise = [bytes([first]) + rng.randbytes(rng.randrange(200)) for first in range(256)]
    rtp = b"\x80\x6f" + rng.randbytes(10)
    broken_extension = b"\x90\x6f" + rng.randbytes(10) + b"\xbe\xde\xff\xff" + rng.randbytes(8)
    rtcp = b"\x81\xc8\x00\x06" + rng.randbytes(24)
    return [b"", *noise, rtp, broken_extension, rtcp, rtcp[:5], rng.randbytes(1600)]


@scenario()
async def test_junk_from_strangers_is_counted_and_disturbs_nobody() -> None:
    async with provider() as one, provider("Bob") as other, LoopbackTsp(one, other) as tsp:
        x, y = tsp.pair({AUDIO})
        alice, bob, log = Ends(x, 440), Ends(y, 880), EventLog(x)
        with closing(one.events(TspData)) as messages, Stranger() as stranger:
            await tsp.connect(pair=(x, y))
            while not isinstance(offer := (await anext(messages)).data, Description):
                pass
            (candidate,) = read_description(offer.sdp).media[0].ice_candidates
            log.forget()
            stranger.send((candidate.ip, candidate.port), *junk(random.Random(7)))
        await alice.hears(880)
        await bob.hears(440)
        counted = x.stats().transports[0]
        assert counted.empty == 1
        assert counted.unauthenticated >= 64  # first bytes 128 to 191
        assert counted.unknown >= 100
        assert counted.refused >= 40
        assert x.state is CallState.CONNECTED
        assert not log.of(CallStateChanged, StreamFailed, ParticipantLeft, ParticipantTimedOut)
