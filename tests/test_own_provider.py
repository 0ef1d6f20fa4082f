"""A provider of one's own: its transports carry its calls, its interfaces are found by `query`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from call_ends import Ends, EventLog
from memory_calls import MemoryProvider, Plug, memory_calls
from peers import PLAIN, eventually, scenario, webrtc
from senses import ALICE, AUDIO, BOB, VIDEO

from ipconf import (
    Call,
    CallSettings,
    CallState,
    DigitControl,
    LoopbackTsp,
    MediaServiceProvider,
    NetworkImpairment,
    ParticipantControl,
    ParticipantSubStreamControl,
)
from ipconf import errors as e
from ipconf.events import CallStateChanged, TspData
from ipconf.transports.base import SignalledTransport, TransportState
from ipconf.transports.udp import UdpTransport
from ipconf.transports.webrtc import WebRtcTransport
from ipconf.tsp_data import Connect, Description


class Meter:
    """An interface that counts how often somebody looks."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.looks = 0

    @property
    def people(self) -> int:
        self.looks += 1
        return len(self.call.participants)


class Metered(MediaServiceProvider):
    """Gives each call a meter, and keeps its transports."""

    def __init__(self, settings: CallSettings | None = None) -> None:
        super().__init__(settings=settings or webrtc())
        self.asked: list[Call] = []
        self.made: list[SignalledTransport] = []

    def make_transport(self, settings: CallSettings) -> SignalledTransport:
        self.made.append(super().make_transport(settings))
        return self.made[-1]

    def private_interfaces(self, call: Call) -> Iterable[object]:
        self.asked.append(call)
        yield Meter(call)


# -- interfaces


@scenario()
async def test_each_call_has_the_interfaces_of_its_provider() -> None:
    async with Metered() as msp, MediaServiceProvider() as plain:
        one, other, without = msp.create_call({AUDIO}), msp.create_call(), plain.create_call()
        assert msp.asked == [one, other]
        meter = one.query(Meter)
        assert one.query(Meter) is meter and meter.call is one
        assert other.query(Meter) is not meter
        assert (meter.people, meter.people, meter.looks) == (0, 0, 2)
        # Beside those that every call has.
        built_in = {
            ParticipantControl,
            ParticipantSubStreamControl,
            NetworkImpairment,
            DigitControl,
        }
        assert set(without.interfaces) == built_in
        assert set(one.interfaces) == built_in | {Meter}
        with pytest.raises(e.InterfaceNotFoundError, match="Call has no Meter; it has: .*Control"):
            without.query(Meter)
        with pytest.raises(e.InterfaceNotFoundError, match="it has: .*Meter, "):
            one.query(Call)


# -- transports


@scenario()
async def test_media_take_the_way_of_the_provider() -> None:
    async with memory_calls() as (tsp, x, y):
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await asyncio.gather(alice.gets(880, BOB), bob.gets(440, ALICE))
        for call in (x, y):
            sound, pictures = call.stats().transports  # one each, as plain RTP does not bundle
            assert min(sound.sent, sound.received, pictures.sent, pictures.received) > 0
        (person,) = x.participants
        await eventually(lambda: person.name == "Bob", "his name")
        log = EventLog(y)
        await x.disconnect("enough")
        over = await log.until(CallStateChanged)
        assert over.state is CallState.DISCONNECTED


@scenario()
async def test_a_provider_is_asked_for_each_transport_with_the_settings_of_the_call() -> None:
    async with Metered() as msp:
        for settings, kind, count in (
            (None, WebRtcTransport, 1),
            (webrtc(bundle=False), WebRtcTransport, 2),
            (PLAIN, UdpTransport, 2),
        ):
            msp.made.clear()
            told = msp.events(TspData)
            call = msp.create_call((AUDIO, VIDEO), settings)
            assert msp.made == []
            call.receive_tsp_data(Connect())
            assert isinstance((await anext(told)).data, Description)
            assert [type(transport) for transport in msp.made] == [kind] * count
            told.close()
            await call.close()
            assert {transport.state for transport in msp.made} == {TransportState.CLOSED}


class Deaf(Plug):
    """Finds nobody."""

    async def connect(self, *args: object, **kwargs: object) -> None:
        raise e.TransportError("nobody is at the other end of this cable")


class Broken(MediaServiceProvider):
    """Has run out of cables."""

    def make_transport(self, settings: CallSettings) -> SignalledTransport:
        raise OSError("no cable left")


@scenario()
async def test_a_transport_that_cannot_connect_fails_its_call() -> None:
    class Unlucky(MemoryProvider):
        def make_transport(self, settings: CallSettings) -> Deaf:
            return Deaf(board, free)

    board, free = dict[int, Plug](), iter((2, 4))
    async with (
        MemoryProvider("Alice", board, free) as alice,
        Unlucky("Bob", board, free) as bob,
        LoopbackTsp(alice, bob) as tsp,
    ):
        x, y = tsp.pair({AUDIO})
        with pytest.raises(e.TransportError):
            await tsp.connect(pair=(x, y))
        await eventually(lambda: y.state is CallState.DISCONNECTED, "both know")
        assert "nobody is at the other end" in str(y.error)
        closed = {TransportState.CLOSED}
        await eventually(lambda: {plug.state for plug in board.values()} == closed, "all closed")


@scenario()
async def test_a_transport_that_cannot_be_made_fails_its_call() -> None:
    troubles: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, t: troubles.append(t["message"]))
    async with Broken(settings=PLAIN) as msp:
        call = msp.create_call({AUDIO})
        call.receive_tsp_data(Connect())
        with pytest.raises(e.TransportError, match="no cable left"):
            await call.wait_connected()
    assert troubles == ["call 1 could not be set up"]
