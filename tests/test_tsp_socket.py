"""Signalling over TCP with far ends that are slow, silent, hasty or wrong, on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from call_ends import Ends, provider
from peers import LOCALHOST, eventually, open_sockets, scenario, together, webrtc

from ipconf import Call, CallSettings, CallState, LoopbackTsp, MediaServiceProvider, SocketTsp
from ipconf.calls.signalling import MAX_WAITING_MESSAGES
from ipconf.errors import (
    CallDeclinedError,
    ClosedError,
    ConfigurationError,
    InvalidMediaTypeError,
    InvalidStateError,
    IpconfError,
    TransportError,
)
from ipconf.events import TspData
from ipconf.tsp import connection as connection_module
from ipconf.tsp.connection import MAX_UNSENT_BYTES, Connection
from ipconf.tsp.ringing import OnCall
from ipconf.tsp_data import (
    MAX_MESSAGE_CHARACTERS,
    Candidate,
    Connect,
    Description,
    Disconnect,
    TspMessage,
    parse_tsp_message,
)

OFFER = Description(type="offer", sdp="v=0\r\n")
"""An offer of nothing: it makes a call, which comes to nothing."""
BIG = Candidate(candidate="x" * 100_000)
MORE_THAN_ANY_SOCKET_TAKES = 400
"""Big messages: 40 MB; the system keeps up to 10 MB of a connection that nobody reads."""


class FarEnd:
    """The other end of a signalling connection, which says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, port: int) -> FarEnd:
        """Somebody who dials."""
        limit = 2 * MAX_MESSAGE_CHARACTERS
        return cls(*await asyncio.open_connection(LOCALHOST, port, limit=limit))

    def says(self, message: TspMessage | bytes) -> None:
        line = message if isinstance(message, bytes) else message.model_dump_json().encode() + b"\n"
        self.writer.write(line)

    async def hears(self) -> TspMessage:
        return parse_tsp_message(await self.reader.readline())

    async def is_dismissed(self) -> str:
        """The reason, after which the connection ends."""
        message = await self.hears()
        assert isinstance(message, Disconnect)
        assert await self.reader.read() == b""
        self.writer.close()
        return message.reason

    async def sees_the_end(self) -> None:
        await self.reader.read()
        self.writer.close()


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[int, asyncio.Queue[FarEnd]]]:
    """A port where far ends answer, and who they are."""
    ends: asyncio.Queue[FarEnd] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda reader, writer: ends.put_nowait(FarEnd(reader, writer)),
        LOCALHOST,
        limit=2 * MAX_MESSAGE_CHARACTERS,
    )
    yield server.sockets[0].getsockname()[1], ends
    server.close()


@asynccontextmanager
async def listening(
    on_call: OnCall, **limits: Any
) -> AsyncIterator[tuple[MediaServiceProvider, int]]:
    """A provider that takes calls at a port."""
    async with provider() as msp, SocketTsp(msp, on_call, **limits) as tsp:
        yield msp, await tsp.listen(LOCALHOST)


def troubles() -> list[dict[str, Any]]:
    """What the loop's exception handler is told from now on."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    return told


# -- far ends that do not read


@scenario()
async def test_a_far_end_that_does_not_read_holds_up_nobody_else() -> None:
    told = troubles()
    async with provider() as msp, SocketTsp(msp) as tsp, answering() as (port, ends):
        with socket.create_server((LOCALHOST, 0)) as deaf:
            unheard = await tsp.dial(LOCALHOST, deaf.getsockname()[1])
            heard = await tsp.dial(LOCALHOST, port)
            far = await ends.get()
            assert isinstance(await far.hears(), Description)
            for number in range(MORE_THAN_ANY_SOCKET_TAKES):
                msp.post(TspData(at=0.0, call=unheard, data=BIG))
                msp.post(TspData(at=0.0, call=heard, data=Candidate(candidate=str(number))))
            for number in range(MORE_THAN_ANY_SOCKET_TAKES):
                assert await far.hears() == Candidate(candidate=str(number))
            with pytest.raises(TransportError, match="does not read its signalling"):
                await unheard.wait_connected()
            assert heard.state is CallState.CONNECTING
        await heard.close()
        await far.sees_the_end()
    (trouble,) = told  # once, not for each message
    assert isinstance(trouble["exception"], TransportError)
    assert unheard.identity in trouble["message"]


@scenario()
async def test_the_last_word_is_not_waited_for_longer_than_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_module, "FLUSH_LIMIT_S", 0.0)
    near, far = socket.socketpair()
    with far:
        reader, writer = await asyncio.open_connection(sock=near)
        connection = Connection(reader, writer)
        while not writer.transport.get_write_buffer_size():
            connection.send(BIG)
        assert writer.transport.get_write_buffer_size() < MAX_UNSENT_BYTES
        connection.send(Disconnect(reason="lunch"))
        connection.send(BIG)  # nothing follows, and it is no error
        assert await connection.receive() is None
        assert near.fileno() == -1
        connection.abort()


@scenario()
async def test_the_last_word_arrives_when_the_far_end_reads_late() -> None:
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    connection = Connection(reader, writer)
    sent = 0
    while not writer.transport.get_write_buffer_size():
        connection.send(BIG)
        sent += 1
    connection.send(Disconnect(reason="lunch"))
    end = FarEnd(*await asyncio.open_connection(sock=far, limit=2 * MAX_MESSAGE_CHARACTERS))
    for _ in range(sent):
        assert await end.hears() == BIG
    assert await end.is_dismissed() == "lunch"


# -- calls that come in


@scenario()
async def test_a_call_that_the_application_cannot_take_leaves_nothing() -> None:
    told = troubles()
    calls: asyncio.Queue[Call] = asyncio.Queue()

    def on_call(call: Call) -> None:
        calls.put_nowait(call)
        if calls.qsize() == 1:
            raise RuntimeError("no camera")

    async with listening(on_call) as (msp, port):
        first, second = await FarEnd.of(port), await FarEnd.of(port)
        first.says(OFFER)
        assert "could not be taken" in await first.is_dismissed()
        await eventually(lambda: not msp.calls, "its call is closed")
        second.says(OFFER)  # the next is taken, and fails for what it offers
        assert "media lines" in await second.is_dismissed()
        refused, taken = await calls.get(), await calls.get()
        assert msp.calls == (taken,)
        with pytest.raises(ClosedError):
            refused.receive_tsp_data(Connect())
    (trouble,) = told
    assert str(trouble["exception"]) == "no camera" and LOCALHOST in trouble["message"]


@scenario()
async def test_a_provider_that_makes_no_more_calls_leaves_no_connection() -> None:
    told = troubles()
    async with listening(lambda call: None) as (msp, port):
        await msp.close()
        sockets = open_sockets()
        far = await FarEnd.of(port)
        far.says(OFFER)
        assert "could not be taken" in await far.is_dismissed()
        await eventually(lambda: open_sockets() == sockets, "no connection is kept")
    assert [type(trouble["exception"]) for trouble in told] == [ClosedError]


@scenario()
async def test_more_calls_than_wanted_are_refused_until_one_ends() -> None:
    calls: asyncio.Queue[Call] = asyncio.Queue()
    async with listening(calls.put_nowait, max_calls=2) as (msp, port):
        idle, hasty = await FarEnd.of(port), await FarEnd.of(port)
        assert "busy with 2 calls" in await (await FarEnd.of(port)).is_dismissed()
        hasty.says(Disconnect())
        await hasty.is_dismissed()
        later = await FarEnd.of(port)
        later.says(OFFER)
        assert (await calls.get()) in msp.calls
        await later.is_dismissed()
        idle.writer.close()


@scenario()
async def test_who_says_nothing_is_not_waited_for() -> None:
    calls: list[Call] = []
    async with listening(calls.append, first_message_limit_s=0.01) as (msp, port):
        silent = await FarEnd.of(port)
        assert "no offer within 0.01 s" in await silent.is_dismissed()
        assert not calls and not msp.calls


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "not a signalling message"),
        (b"\xff\x00\n", "not a signalling message"),
        (b"x" * (MAX_MESSAGE_CHARACTERS + 1), "is too long"),
        (Connect(), "must be an offer"),
        (Description(type="answer", sdp=""), "must be an offer"),
        (Disconnect(reason="wrong number"), "must be an offer"),
    ],
    ids=["http", "bytes", "long", "connect", "answer", "disconnect"],
)
@scenario()
async def test_what_is_no_offer_makes_no_call(first: TspMessage | bytes, reason: str) -> None:
    calls: list[Call] = []
    async with listening(calls.append) as (msp, port):
        far = await FarEnd.of(port)
        far.says(first)
        told = await far.is_dismissed()
        assert reason in told
        assert len(told) < 120 and "pydantic" not in told and "GET" not in told
        assert not calls and not msp.calls


@scenario()
async def test_who_hangs_up_before_the_offer_makes_no_call() -> None:
    calls: list[Call] = []
    async with listening(calls.append) as (msp, port):
        far = await FarEnd.of(port)
        far.writer.write_eof()
        await far.sees_the_end()
        assert not calls and not msp.calls


@scenario()
async def test_without_on_call_the_caller_is_told() -> None:
    async with provider() as msp, SocketTsp(msp) as tsp:
        far = await FarEnd.of(await tsp.listen(LOCALHOST))
        assert await far.is_dismissed() == "nobody takes calls here"


# -- calls that ring


@asynccontextmanager
async def phones(
    on_call: OnCall, settings: CallSettings | None = None
) -> AsyncIterator[tuple[MediaServiceProvider, Call]]:
    """A provider that is called, and the call of somebody who dials it."""
    async with (
        provider("Bob", settings) as bob,
        provider("Alice") as alice,
        SocketTsp(bob, on_call) as his,
        SocketTsp(alice) as hers,
    ):
        yield bob, await hers.dial(LOCALHOST, await his.listen(LOCALHOST))


@scenario()
async def test_a_call_rings_until_it_is_answered() -> None:
    rings, picked_up = asyncio.Event(), asyncio.Event()

    async def ring(call: Call) -> None:
        rings.set()
        await picked_up.wait()

    async with phones(ring) as (bob, hers):
        await rings.wait()
        (his,) = bob.calls
        assert (his.state, hers.state) == (CallState.IDLE, CallState.CONNECTING)
        picked_up.set()
        await hers.wait_connected()
        await his.wait_connected()


@pytest.mark.parametrize("rings", [False, True])
@scenario()
async def test_who_is_declined_is_told_why(rings: bool) -> None:
    def decline(call: Call) -> None:
        raise CallDeclinedError("busy")

    async def decline_later(call: Call) -> None:
        await asyncio.sleep(0)
        decline(call)

    async with phones(decline_later if rings else decline) as (bob, hers):
        with pytest.raises(TransportError, match="was not connected: busy"):
            await hers.wait_connected()
        await eventually(lambda: not bob.calls, "its call is closed")


@pytest.mark.parametrize("last_words", [Disconnect(), b"hello?\n", b""])
@scenario()
async def test_it_rings_no_more_when_the_caller_has_hung_up(last_words: TspMessage | bytes) -> None:
    rings, missed = asyncio.Event(), asyncio.Event()

    async def ring(call: Call) -> None:
        rings.set()
        try:
            await asyncio.Event().wait()
        finally:
            missed.set()

    async with listening(ring) as (msp, port):
        far = await FarEnd.of(port)
        far.says(OFFER)
        await rings.wait()
        far.says(last_words)
        if not last_words:
            far.writer.write_eof()
        await far.sees_the_end()
        await missed.wait()
        await eventually(lambda: not msp.calls, "its call is closed")


@scenario()
async def test_it_does_not_ring_for_ever() -> None:
    async def ring(call: Call) -> None:
        await asyncio.Event().wait()

    async with phones(ring, webrtc(connect_timeout_s=0.05)) as (bob, hers):
        with pytest.raises(TransportError, match=r"nobody answered within 0\.05 s"):
            await hers.wait_connected()


@scenario()
async def test_what_the_caller_says_meanwhile_is_heard_after_the_offer() -> None:
    rings, picked_up = asyncio.Event(), asyncio.Event()
    taken: list[TspMessage] = []

    async def ring(call: Call) -> None:
        call.receive_tsp_data = taken.append  # type: ignore[method-assign]
        rings.set()
        await picked_up.wait()

    async with listening(ring) as (_, port):
        far = await FarEnd.of(port)
        far.says(OFFER)
        await rings.wait()
        said = [Candidate(candidate=str(number)) for number in range(3)]
        for message in said:
            far.says(message)
        picked_up.set()
        await eventually(lambda: taken == [OFFER, *said], "all of it, in order")
        far.says(Disconnect())
        await far.sees_the_end()


@scenario()
async def test_who_says_too_much_before_the_answer_is_dismissed() -> None:
    async def ring(call: Call) -> None:
        await asyncio.Event().wait()

    async with listening(ring) as (msp, port):
        far = await FarEnd.of(port)
        for message in (OFFER, *[Candidate(candidate="")] * (MAX_WAITING_MESSAGES + 1)):
            far.says(message)
        assert "too many messages" in await far.is_dismissed()
        await eventually(lambda: not msp.calls, "its call is closed")


@scenario()
async def test_leaving_while_it_rings_leaves_nothing() -> None:
    rings, missed = asyncio.Event(), asyncio.Event()

    async def ring(call: Call) -> None:
        rings.set()
        try:
            await asyncio.Event().wait()
        finally:
            missed.set()

    async with provider() as msp:
        async with SocketTsp(msp, ring) as tsp:
            far = await FarEnd.of(await tsp.listen(LOCALHOST))
            far.says(OFFER)
            await rings.wait()
        assert missed.is_set() and not msp.calls
        await far.sees_the_end()


# -- calls that go out


@scenario()
async def test_a_call_that_cannot_be_made_leaves_no_connection() -> None:
    async with provider() as msp, SocketTsp(msp) as tsp, answering() as (port, ends):
        with pytest.raises(InvalidMediaTypeError):
            await tsp.dial(LOCALHOST, port, ())
        await (await ends.get()).sees_the_end()
        await msp.close()
        with pytest.raises(ClosedError):
            await tsp.dial(LOCALHOST, port)
        await (await ends.get()).sees_the_end()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"hello?\n", "not a signalling message"),
        (b"x" * (MAX_MESSAGE_CHARACTERS + 1), "is too long"),
        (Disconnect(reason="not now"), "not now"),
        (b"", "the far end hung up"),
    ],
    ids=["nonsense", "long", "busy", "hung up"],
)
@scenario()
async def test_a_call_tells_why_it_was_not_connected(reply: TspMessage | bytes, error: str) -> None:
    async with provider() as msp, SocketTsp(msp) as tsp, answering() as (port, ends):
        call = await tsp.dial(LOCALHOST, port)
        far = await ends.get()
        assert isinstance(await far.hears(), Description)
        far.says(reply)
        if not reply:
            far.writer.write_eof()
        with pytest.raises(TransportError, match=f"was not connected: .*{error}"):
            await call.wait_connected()
        await far.sees_the_end()


@scenario()
async def test_leaving_ends_what_was_not_connected() -> None:
    async with provider() as msp, answering() as (port, ends):
        async with SocketTsp(msp) as tsp:
            call = await tsp.dial(LOCALHOST, port)
            far = await ends.get()
            await far.hears()
        with pytest.raises(TransportError, match="the signalling was shut down"):
            await call.wait_connected()
        await far.sees_the_end()


# -- signalling that is lost


@pytest.mark.parametrize("breaks", ["reset", "end", "left"])
@scenario()
async def test_a_connected_call_outlives_its_signalling(breaks: str) -> None:
    calls: asyncio.Queue[Call] = asyncio.Queue()
    async with provider("Bob") as bob, provider("Alice") as alice, SocketTsp(alice) as hers:
        async with SocketTsp(bob, calls.put_nowait) as his:
            x = await hers.dial(LOCALHOST, await his.listen(LOCALHOST))
            alices = Ends(x, 440)
            y = await calls.get()
            bobs = Ends(y, 880)
            await x.wait_connected()
            await y.wait_connected()
            connection = hers._connections[x]
            if breaks == "reset":
                connection.abort()
            elif breaks == "end":
                connection._writer.write_eof()
            if breaks != "left":
                await eventually(lambda: not (hers._connections or his._connections), "it is lost")
        await eventually(lambda: not hers._connections, "it is lost")
        await together(alices.hears(880), bobs.hears(440))
        assert (x.state, y.state) == (CallState.CONNECTED, CallState.CONNECTED)
        assert (x.error, y.error) == (None, None)
        await x.disconnect("bye")  # the media say so
        await eventually(lambda: y.state is CallState.DISCONNECTED, "he is told")


# -- misuse


@pytest.mark.parametrize("thing", [None, MediaServiceProvider, "msp"])
def test_a_tsp_needs_a_provider(thing: Any) -> None:
    for make in (lambda: SocketTsp(thing), lambda: LoopbackTsp(thing, thing)):
        with pytest.raises(ConfigurationError, match="is no provider: give the MediaService"):
            make()


def test_on_call_is_a_function() -> None:
    with pytest.raises(ConfigurationError, match="give a function that is called with each call"):
        SocketTsp(MediaServiceProvider(), "ring")  # type: ignore[arg-type]


@pytest.mark.parametrize("host, port", [("x" * 64, 5060), (LOCALHOST, 70_000)])
@scenario()
async def test_an_address_that_is_none(host: str, port: int) -> None:
    async with provider() as msp, SocketTsp(msp) as tsp:
        with pytest.raises(TransportError, match="nobody answers at"):
            await tsp.dial(host, port)
        with pytest.raises(TransportError, match="cannot listen at"):
            await tsp.listen(host, port)
        assert not msp.calls


@scenario()
async def test_a_port_that_is_taken_and_a_second_one() -> None:
    async with provider() as msp, SocketTsp(msp) as one, SocketTsp(msp) as other:
        port = await one.listen(LOCALHOST)
        with pytest.raises(TransportError, match="cannot listen at"):
            await other.listen(LOCALHOST, port)
        with pytest.raises(InvalidStateError, match="listens already"):
            await one.listen(LOCALHOST)


@scenario()
async def test_outside_async_with_nothing_is_signalled() -> None:
    async with provider() as msp:
        tsp = SocketTsp(msp)
        mistakes = (lambda: tsp.listen(LOCALHOST), lambda: tsp.dial(LOCALHOST, 5060))
        for mistake in mistakes:
            with pytest.raises(ClosedError, match="inside .async with."):
                await mistake()
        async with tsp:
            port = await tsp.listen(LOCALHOST)
        with pytest.raises(OSError):
            await FarEnd.of(port)
        for mistake in mistakes:
            with pytest.raises(ClosedError) as caught:
                await mistake()
            assert isinstance(caught.value, IpconfError)
