"""Conferences whose description has a key: all encrypt with it, and who cannot is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from call_ends import Ends, EventLog, provider
from multicast_lab import HERE, conference, place, sound_and_pictures
from peers import LOCALHOST, eventually, scenario, together
from senses import ALICE, AUDIO, BOB, RENDER
from sessions import sdes
from srtp_lab import crypto, encrypted
from transport_lab import RTCP, End, free_ports, rtp

from ipconf import Call, ConferenceDescription, Identity, LoopbackMode, MulticastControl
from ipconf.engine.convoy import RECENT_PACKETS
from ipconf.engine.rtcp_wire import ReceiverReport, compose_compound
from ipconf.events import AuthenticationFailed, AuthenticationRecovered
from ipconf.join.run import Visit, take_part
from ipconf.sdp import Connection
from ipconf.sdp.keys import KEY_BYTES
from ipconf.transports.doubts import FAILED
from ipconf.transports.group_sockets import GroupPlace
from ipconf.transports.multicast import MulticastTransport


@asynccontextmanager
async def joined(
    *who: tuple[str, ConferenceDescription], **changes: object
) -> AsyncIterator[list[Call]]:
    """A call of each of these people, who have all joined; each has a provider of their own."""
    async with AsyncExitStack() as stack:
        settings = HERE.replace(**changes)
        calls = []
        for name, description in who:
            msp = await stack.enter_async_context(provider(name, settings))
            calls.append(msp.create_call(description=description))
        await together(*(call.join() for call in calls))
        yield calls


def taps(where: GroupPlace, *, key: bool = True) -> MulticastTransport:
    transport = MulticastTransport(where, LoopbackMode.SELECTIVE)
    if key:
        transport.secure(crypto(), crypto(), shared=True)
    return transport


@pytest.mark.parametrize("suite", KEY_BYTES)
@scenario()
async def test_all_hear_and_know_one_another(suite: str) -> None:
    tea = encrypted(conference(), crypto(suite))
    async with joined(("Alice", tea), ("Bob", tea)) as (x, y):
        alice, bob = Ends(x, 440), Ends(y, 880)
        await together(alice.hears(880), bob.hears(440))
        await eventually(lambda: {p.name for p in y.participants} == {"Alice"})
        assert all(not c.transport.counters.unauthenticated for c in x._media.channels)


@scenario()
async def test_pictures_too_and_with_the_profile_of_old() -> None:
    tea = encrypted(sound_and_pictures(), protocol="RTP/AVP")
    async with joined(("Alice", tea), ("Bob", tea)) as (x, y):
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))


@scenario()
async def test_nothing_is_to_be_read_on_the_wire() -> None:
    where = place()
    one, tap = taps(where), End(taps(where, key=False))
    await one.open()
    await tap.transport.open()
    one.send(rtp(1, b"nobody shall know"))
    one.send(RTCP)
    for plain in (b"nobody shall know", RTCP[8:]):
        assert plain not in await tap.arrived.get()
    await one.close()
    await tap.transport.close()


@scenario()
async def test_oneself_is_heard_with_full_loopback() -> None:
    tea = encrypted(conference())
    async with joined(("Alice", tea)) as (call,):
        call.query(MulticastControl).loopback_mode = LoopbackMode.FULL
        alice = Ends(call, 440)
        await alice.hears(440)
        stats = call._media.channels[0].session.stats
        assert not stats.collisions and not stats.own_ssrc


@pytest.mark.parametrize("theirs", ["another key", "no key"])
@scenario()
async def test_who_has_another_key_is_told_to_us_and_not_heard(theirs: str) -> None:
    plain = conference()
    other = encrypted(plain, crypto(seed=9)) if theirs == "another key" else plain
    async with joined(("Alice", encrypted(plain)), ("Bob", other)) as (x, y):
        log, alice = EventLog(x), Ends(x, 440)
        Ends(y, 880)
        event = await log.until(AuthenticationFailed)
        assert event.text == FAILED and event.stream is x.stream(AUDIO, RENDER)
        assert event.ssrc in {c.session.local("0").ssrc for c in y._media.channels}
        assert event.to_json()["text"] == FAILED
        await eventually(lambda: x._media.channels[0].transport.counters.unauthenticated > 50)
        assert len(log.of(AuthenticationFailed)) == 1 and not x.participants
        assert not alice.heard.qsize()


@scenario()
async def test_who_has_the_key_after_all_is_told_as_well() -> None:
    where = place()
    tea = encrypted(conference(group=str(where.group)).edit_media(0, port=where.port))
    async with joined(("Alice", tea)) as (call,):
        log, far = EventLog(call), taps(where)
        good = far._protection
        far.secure(crypto(seed=7), crypto(seed=7), shared=True)
        await far.open()
        for number in range(10):
            far.send(rtp(number))
        failed = await log.until(AuthenticationFailed)
        far._protection = good
        far.send(rtp(11))
        again = await log.until(AuthenticationRecovered)
        assert failed.ssrc == again.ssrc == 0x1234
        await far.close()


@pytest.mark.parametrize("seen_in", ["RTP", "RTCP"])
@scenario()
async def test_an_ssrc_that_somebody_else_has_is_left_without_a_word(seen_in: str) -> None:
    """A goodbye under it would be encrypted like a packet of theirs."""
    where = place()
    tea = encrypted(conference(group=str(where.group)).edit_media(0, port=where.port))
    async with joined(("Alice", tea)) as (call,):
        far = End(taps(where))
        await far.transport.open()
        Ends(call, 440)
        (channel,) = call._media.channels
        ours = channel.session.local("0").ssrc
        await far.arrived.get()
        own_numbers = channel.session.local("0").sequence
        assert own_numbers < 0x8000 + RECENT_PACKETS
        if seen_in == "RTP":  # with a number that we are far from
            far.transport.send_rtp(rtp(own_numbers + 0x4000, ssrc=ours))
        else:
            report = compose_compound([ReceiverReport(ours), sdes(ours, (1, "somebody@else"))])
            far.transport.send(report)
        await eventually(lambda: channel.session.stats.collisions == 1)
        new = channel.session.local("0").ssrc
        assert new != ours and channel.session.local("0").sequence < 0x8000 + RECENT_PACKETS
        senders = []
        while senders[-20:] != [new] * 20:
            packet = await far.arrived.get()
            assert b"collision" not in packet, "that is the goodbye"
            senders.append(int.from_bytes(packet[4:8] if packet[1] > 191 else packet[8:12], "big"))
        assert senders == sorted(senders, key=lambda ssrc: ssrc == new), "never again as the other"
        await far.transport.close()


@scenario()
async def test_the_command_says_what_does_not_verify() -> None:
    tea, said = conference(), list[str]()
    mine = encrypted(tea, crypto(seed=1))
    visit = Visit(mine, Identity(name="Alice"), HERE)
    joining = asyncio.create_task(take_part(visit, said.append))
    async with joined(("Bob", encrypted(tea, crypto(seed=2)))) as (call,):
        Ends(call, 880)
        await eventually(lambda: any(line.endswith(f", audio: {FAILED}") for line in said))
        joining.cancel()
        await asyncio.wait([joining])
    assert all("inline" not in line for line in said)


@scenario()
async def test_one_far_end_has_the_same_key() -> None:
    first = free_ports(4)
    here = Connection(address=LOCALHOST)
    near, far = (
        encrypted(conference(connection=here).edit_media(0, port=port, formats=("0",)))
        for port in (first + 2, first)
    )
    async with AsyncExitStack() as stack:
        ends = []
        for name, description, port in (("Alice", near, first), ("Bob", far, first + 2)):
            settings = HERE.replace(port_range=(port, port + 1))
            msp = await stack.enter_async_context(provider(name, settings))
            call = msp.create_call(description=description)
            ends.append(Ends(call, 440 if name == "Alice" else 880))
            await call.join()
            assert call._media.channels[0].transport.shares_key
        await together(ends[0].hears(880), ends[1].hears(440))


class Kept:
    """What takes datagrams that have waited."""

    def __init__(self) -> None:
        self.run: list[tuple[bytes, float]] = []

    def take(self, run: list[tuple[bytes, float]], origin: object) -> None:
        self.run += run


@scenario()
async def test_what_has_waited_is_decrypted_then() -> None:
    """The way of the backlog, which leaves datagrams as they came."""
    near, far = taps(place()), taps(place())
    assert near._protection is not None and far._protection is not None
    sealed = [far._protection.protect(rtp(number)) or b"" for number in range(3)]
    run = [(data, float(number)) for number, data in enumerate([*sealed, b"\x80" * 40])]
    kept = Kept()
    near._waited(kept, run, (LOCALHOST, 5004))  # type: ignore[arg-type]
    assert kept.run == [(rtp(number), float(number)) for number in range(3)]
    assert (near.counters.received, near.counters.unauthenticated) == (3, 1)
