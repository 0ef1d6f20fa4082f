"""ICE and DTLS-SRTP over real sockets: set-up, media, strangers, and every way to end."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import aioice.ice
import aioice.stun
import pytest
from aioice import stun
from aiortc.sdp import MediaDescription
from peers import LOCALHOST, eventually, scenario, webrtc
from transport_lab import (
    CERTIFICATE,
    RTCP,
    End,
    Roamer,
    Stranger,
    Wire,
    address_of,
    candidate,
    connected,
    described,
    free_ports,
    has_address,
    join,
    opened,
    rtp,
)

from ipconf.errors import (
    ConfigurationError,
    ConnectTimeoutError,
    InvalidStateError,
    NegotiationError,
    TransportError,
)
from ipconf.model import GoneReason, IceServer
from ipconf.transports import ice
from ipconf.transports import webrtc as webrtc_module
from ipconf.transports.base import Loss, TransportState
from ipconf.transports.webrtc import (
    MAX_EARLY_DATAGRAMS,
    MAX_RESOLVING_NAMES,
    Certificates,
    WebRtcTransport,
)

FATAL_ALERT = bytes.fromhex("15fefd00000000000000000002") + b"\x02\x28"
"""A DTLS record that breaks off a handshake; before the keys are there, anybody can write it."""


HOSTS = [LOCALHOST, "::1"] if has_address("::1") else [LOCALHOST]


# -- set-up


@pytest.mark.parametrize("roles", [("client", "server"), ("server", "client")])
@scenario()
async def test_rtp_and_rtcp_go_both_ways(roles: tuple[str, str]) -> None:
    async with connected(roles=roles) as (one, other):
        for sender, receiver in ((one, other), (other, one)):
            sender.transport.send(rtp(1))
            sender.transport.send(RTCP)
            sender.transport.send(rtp(2))
            await receiver.receives(rtp(1), RTCP, rtp(2))
        assert one.transport.state is other.transport.state is TransportState.CONNECTED


@scenario()
async def test_counters_tell_datagrams_and_bytes_as_they_are_on_the_wire() -> None:
    async with connected() as (one, other):
        one.transport.send(rtp(1))
        one.transport.send(RTCP)
        await other.receives(rtp(1), RTCP)
        sent, received = one.transport.counters, other.transport.counters
        assert (sent.sent, sent.received, sent.unsent) == (2, 0, 0)
        assert (received.sent, received.received) == (0, 2)
        assert sent.sent_bytes == received.received_bytes > len(rtp(1) + RTCP)


@scenario()
async def test_datagrams_have_no_origin_since_keys_tell_who_sent_them() -> None:
    async with connected() as (one, other):
        one.transport.send(rtp())
        await other.receives(rtp())
        assert other.origins == [None]


@pytest.mark.parametrize("host", HOSTS)
@scenario()
async def test_only_the_addresses_that_were_asked_for_are_used(host: str) -> None:
    async with connected(webrtc().replace(ice_addresses=(host,))) as (one, other):
        assert [c.ip for c in described(one.transport).ice_candidates] == [host]
        one.transport.send(rtp())
        await other.receives(rtp())


@scenario()
async def test_several_addresses_are_all_offered() -> None:
    transport = await opened(webrtc().replace(ice_addresses=HOSTS))
    assert [c.ip for c in described(transport).ice_candidates] == HOSTS
    await transport.close()


@scenario()
async def test_a_public_address_is_offered_besides_the_local_ones_of_its_version() -> None:
    settings = webrtc().replace(ice_addresses=HOSTS, public_addresses="198.51.100.7")
    transport = await opened(settings)
    hosts, public = described(transport).ice_candidates[:2], described(transport).ice_candidates[2:]
    assert [c.ip for c in hosts] == HOSTS
    ((mapped,), local) = public, hosts[HOSTS.index(LOCALHOST)]
    assert (mapped.type, mapped.ip, mapped.port) == ("srflx", "198.51.100.7", local.port)
    assert (mapped.relatedAddress, mapped.relatedPort) == (LOCALHOST, local.port)
    assert mapped.priority < local.priority and mapped.foundation != local.foundation
    await transport.close()


@scenario()
async def test_without_a_choice_every_address_but_loopback_is_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["192.0.2.1", LOCALHOST]  # the first is nobody's, and is passed over

    monkeypatch.setattr(aioice.ice, "get_host_addresses", addresses)
    transport = await opened(webrtc().replace(ice_addresses=None))
    assert [c.ip for c in described(transport).ice_candidates] == [LOCALHOST]
    await transport.close()


@scenario()
async def test_ports_come_from_the_range_until_it_is_used_up() -> None:
    first = free_ports(2)
    settings = webrtc(port_range=(first, first + 1))
    one, other = await opened(settings), await opened(settings)
    assert {address_of(one)[1], address_of(other)[1]} == {first, first + 1}
    late = WebRtcTransport(settings, CERTIFICATE)
    with pytest.raises(TransportError, match="widen port_range"):
        await late.open()
    await join(one, other)
    for transport in (one, other, late):
        await transport.close()


@pytest.mark.parametrize("changes", [{"ice_addresses": ("192.0.2.1",)}, {"ice_addresses": ()}])
@scenario()
async def test_no_address_to_offer_is_an_error(changes: dict[str, tuple[str, ...]]) -> None:
    transport = WebRtcTransport(webrtc().replace(**changes), CERTIFICATE)
    with pytest.raises(TransportError):
        await transport.open()
    await transport.close()


@scenario()
async def test_a_server_that_is_no_url_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="stun:host:port"):
        WebRtcTransport(webrtc(ice_servers=(IceServer(url="example.com"),)), CERTIFICATE)


@scenario()
async def test_a_stun_server_tells_how_we_look_from_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            asked = stun.parse_message(data)
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.7", 4000)
            self.transport.sendto(bytes(answer), addr)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(ice, "SERVER_REFLEXIVE_TIMEOUT_S", 0.05)
    found = []
    for server in (Server, asyncio.DatagramProtocol):  # the second never answers
        transport, _ = await loop.create_datagram_endpoint(server, local_addr=(LOCALHOST, 0))
        port = transport.get_extra_info("sockname")[1]
        end = await opened(webrtc(ice_servers=(IceServer(url=f"stun:{LOCALHOST}:{port}"),)))
        found.append([(c.type, c.ip) for c in described(end).ice_candidates])
        await end.close()
        transport.close()
    assert found == [[("host", LOCALHOST), ("srflx", "203.0.113.7")], [("host", LOCALHOST)]]


@scenario()
async def test_candidates_that_cannot_be_used_do_no_harm() -> None:
    one, other = await opened(), await opened(offering=False)
    remote = described(other)
    (good,) = remote.ice_candidates
    remote.ice_candidates = [
        candidate(70_000),  # asyncio would close our socket over this port
        candidate(0),
        candidate(-1),
        candidate(9, protocol="tcp", tcpType="active"),
        candidate(good.port, component=2),
        candidate(9, ip="not.an.address"),
        candidate(9, type="mystery"),
        good,
        good,
    ]
    await join(one, other, one_sees=remote)
    end, far = End(one), End(other)
    far.transport.send(rtp())
    await end.receives(rtp())
    assert one.counters.refused == 0
    await one.close()
    await other.close()


@scenario()
async def test_names_are_resolved_but_not_any_number_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Names:
        async def resolve(self, name: str) -> str | None:
            asked.append(name)
            return LOCALHOST if name == "far.local" else None

    async def names(subscriber: object) -> Names:
        return Names()

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", names)
    one, other = await opened(), await opened(offering=False)
    remote = described(other)
    (good,) = remote.ice_candidates
    remote.ice_candidates = [
        candidate(9, ip="tcp.local", protocol="tcp"),
        replace(good, ip="far.local"),
        *[candidate(9, ip=f"n{number}.local") for number in range(500)],
    ]
    await join(one, other, one_sees=remote)
    assert "far.local" in asked and "tcp.local" not in asked
    assert len(asked) < 100
    await one.close()
    await other.close()


@scenario()
async def test_names_that_cannot_be_asked_for_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_network(subscriber: object) -> None:
        raise OSError("no multicast here")

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", no_network)
    one, other = await opened(), await opened(offering=False)
    remote = described(other)
    remote.ice_candidates.insert(0, candidate(9, ip="far.local"))
    await join(one, other, one_sees=remote)
    await one.close()
    await other.close()


@scenario()
async def test_a_flood_of_candidates_is_not_followed() -> None:
    one, other = await opened(webrtc(connect_timeout_s=0.3)), await opened()
    remote = described(other)
    remote.ice_candidates[:0] = [candidate(9, ip=f"127.0.1.{n}") for n in range(200)]
    with pytest.raises(ConnectTimeoutError):
        await one.connect(remote, offered=True, role="client")
    await one.close()
    await other.close()


@pytest.mark.parametrize("last_comes_first", [False, True])
@scenario()
async def test_candidates_may_come_one_by_one(last_comes_first: bool) -> None:
    """The "last" of trickling never shuts out the addresses of the description itself."""
    one, other = await opened(), await opened(offering=False)
    remote, trickled = described(other), described(other).ice_candidates
    remote.ice_candidates_complete = False
    if last_comes_first:
        await one.add_remote_candidate(None)
    else:
        remote.ice_candidates = []
    joining = asyncio.create_task(join(one, other, one_sees=remote))
    if not last_comes_first:
        await asyncio.sleep(0)
        await one.add_remote_candidate(trickled[0])
        await one.add_remote_candidate(None)
    await joining
    await one.close()
    await other.close()


@scenario()
async def test_names_that_nobody_answers_for_hold_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Silence:
        async def resolve(self, name: str) -> str | None:
            asked.append(name)
            return await asyncio.get_running_loop().create_future()

    async def silence(subscriber: object) -> Silence:
        return Silence()

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", silence)
    one, other = await opened(), await opened(offering=False)
    remote, trickled = described(other), described(other).ice_candidates
    remote.ice_candidates, remote.ice_candidates_complete = [], False
    joining = asyncio.create_task(join(one, other, one_sees=remote))
    for number in range(5 * MAX_RESOLVING_NAMES):
        await one.add_remote_candidate(candidate(9, ip=f"n{number}.local"))
    await one.add_remote_candidate(trickled[0])
    await one.add_remote_candidate(None)
    await joining
    assert asked == [f"n{number}.local" for number in range(MAX_RESOLVING_NAMES)]
    await one.close()  # and nobody is left waiting for a name
    await other.close()
    await one.add_remote_candidate(candidate(9, ip="late.local"))
    assert "late.local" not in asked


@pytest.mark.parametrize("while_connecting", [False, True])
@scenario()
async def test_a_name_may_be_answered_after_the_last_candidate(
    monkeypatch: pytest.MonkeyPatch, while_connecting: bool
) -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    asked: list[str] = []

    class Slow:
        async def resolve(self, name: str) -> str | None:
            asked.append(name)
            return await answer

    async def slow(subscriber: object) -> Slow:
        return Slow()

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", slow)
    one, other = await opened(), await opened(offering=False)
    remote, (only,) = described(other), described(other).ice_candidates
    remote.ice_candidates, remote.ice_candidates_complete = [], False
    joining = asyncio.create_task(join(one, other, one_sees=remote))
    if while_connecting:
        await eventually(lambda: one.state is TransportState.CONNECTING)
    await one.add_remote_candidate(replace(only, ip="far.local"))
    await one.add_remote_candidate(None)
    answer.set_result(LOCALHOST)
    await joining
    assert asked == ["far.local"]  # a way may be found without it, by the far end's own checks
    await one.close()
    await other.close()


@scenario()
async def test_a_transport_connects_once() -> None:
    async with connected() as (one, other):
        with pytest.raises(InvalidStateError):
            await one.transport.connect(described(other.transport), offered=True, role="client")


def test_it_runs_on_uvloop_as_well() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def both_ways() -> None:
        async with connected() as (one, other), asyncio.timeout(10):
            one.transport.send(rtp(1))
            await other.receives(rtp(1))
            other.transport.send(rtp(2))
            await one.receives(rtp(2))
            with Stranger() as stranger:
                stranger.send(address_of(one.transport), b"", b"\x80junk", FATAL_ALERT)
            other.transport.send(rtp(3))
            await one.receives(rtp(3))
            assert one.transport.counters.refused == one.transport.counters.unauthenticated == 1
            await other.transport.close()
            assert await one.ended is GoneReason.BYE

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(both_ways())


@scenario()
async def test_checks_may_come_before_the_answer_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The offerer knows its part in ICE from the start, and answers them without a conflict."""
    tie_breakers = iter((1, 2))  # in a conflict, the first would say so
    monkeypatch.setattr(aioice.ice.secrets, "randbits", lambda bits: next(tie_breakers))
    async with _wired() as (one, other, from_one, _, (one_sees, other_sees)):
        answering = asyncio.create_task(other.connect(other_sees, offered=False, role="server"))
        await eventually(lambda: from_one.passed)
        answer = stun.parse_message(from_one.passed[0])
        assert answer.message_class is stun.Class.RESPONSE
        await one.connect(one_sees, offered=True, role="client")
        await answering


@scenario()
async def test_media_that_overtakes_the_handshake_is_kept() -> None:
    async with _wired() as (one, other, _, from_other, (one_sees, other_sees)):
        stock, loop = from_other.pass_on, asyncio.get_running_loop()

        def dtls_is_late(data: bytes) -> None:
            if 19 < data[0] < 64:
                loop.call_later(0.1, stock, data)
            else:
                stock(data)

        async def answer_and_speak() -> None:
            await other.connect(other_sees, offered=False, role="server")
            for number in range(100):
                other.send(rtp(number))
            other.send(RTCP)

        from_other.pass_on = dtls_is_late  # type: ignore[method-assign]
        end = End(one)
        await asyncio.gather(one.connect(one_sees, offered=True, role="client"), answer_and_speak())
        latest = [rtp(number) for number in range(100 - MAX_EARLY_DATAGRAMS + 1, 100)]
        await end.receives(*latest, RTCP)
        assert one.counters.unauthenticated == 0


# -- failures of connecting


@scenario()
async def test_nobody_answers() -> None:
    transport, other = await opened(webrtc(connect_timeout_s=0.1)), await opened()
    with pytest.raises(ConnectTimeoutError, match="connect_timeout_s"):
        await transport.connect(described(other), offered=True, role="client")
    await transport.close()
    await other.close()


@scenario()
async def test_the_far_end_has_no_address_for_us() -> None:
    transport, other = await opened(), await opened()
    remote = described(other)
    remote.ice_candidates = []
    with pytest.raises(TransportError, match="ICE found no way"):
        await transport.connect(remote, offered=True, role="client")
    await transport.close()
    await other.close()


@scenario()
async def test_a_description_without_keys_is_refused() -> None:
    transport, other = await opened(), await opened()
    for spoil in ("ice", "dtls"):
        remote = described(other)
        setattr(remote, spoil, None)
        late = await opened()
        with pytest.raises(NegotiationError):
            await late.connect(remote, offered=True, role="client")
        await late.close()
    await transport.close()
    await other.close()


@pytest.mark.parametrize("role", ["client", "server"])
@scenario()
async def test_a_certificate_that_was_not_announced_is_refused(role: str) -> None:
    one, other = await opened(), await opened(offering=False)
    far_role = "client" if role == "server" else "server"
    remote = described(other, far_role)
    assert remote.dtls is not None
    for fingerprint in remote.dtls.fingerprints:
        fingerprint.value = "00" + fingerprint.value[2:]
    joining = asyncio.create_task(other.connect(described(one, role), offered=False, role=far_role))
    with pytest.raises(TransportError, match="fingerprint"):
        await one.connect(remote, offered=True, role=role)
    one.send(rtp())
    assert (one.counters.sent, one.counters.unsent) == (0, 1)
    await one.close()
    await other.close()
    with suppress(TransportError):
        await joining


@scenario()
async def test_connecting_can_be_cancelled() -> None:
    transport, other = await opened(), await opened()
    with Stranger() as silent:
        remote = described(other)
        remote.ice_candidates = [candidate(silent.address[1])]
        connecting = asyncio.create_task(transport.connect(remote, offered=True, role="client"))
        assert (await silent.receive())[0] < 4  # it is checking
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    await transport.close()
    await other.close()


@scenario()
async def test_closing_ends_connecting() -> None:
    transport, other = await opened(), await opened()
    with Stranger() as silent:
        remote = described(other)
        remote.ice_candidates = [candidate(silent.address[1])]
        connecting = asyncio.create_task(transport.connect(remote, offered=True, role="client"))
        await silent.receive()
        await transport.close()
        with pytest.raises(TransportError):
            await connecting
    await other.close()


@scenario()
async def test_a_handshake_can_be_cancelled() -> None:
    async with _wired() as (one, other, from_one, _, (one_sees, other_sees)):
        stock, seen = from_one.pass_on, asyncio.Event()

        def no_dtls(data: bytes) -> None:
            if data[0] < 4:
                stock(data)
            else:
                seen.set()

        from_one.pass_on = no_dtls  # type: ignore[method-assign]
        joining = asyncio.create_task(join(one, other, one_sees=one_sees, other_sees=other_sees))
        await seen.wait()
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining


# -- strangers


@scenario()
async def test_junk_from_a_stranger_is_counted_and_harmless() -> None:
    async with connected() as (one, other):
        with Stranger() as stranger:
            for junk in (
                (b"", b""),
                (b"\x05", b"\x10zrtp", b"\x40channel", b"\xc8\x00\x00\x00"),
                (b"\x80", b"\x80\x6f", rtp(), b"\x80\xc8", RTCP, b"\x90" + bytes(11)),
                (rtp(payload=bytes(1400)), rtp(payload=bytes(9000))),
                (b"\x00", b"\x00\x01junk", b"\x01" * 20, FATAL_ALERT, b"\x16\xfe\xfd" + bytes(60)),
            ):
                stranger.send(address_of(one.transport), *junk)
        other.transport.send(rtp(1))
        await one.receives(rtp(1))
        counters = one.transport.counters
        assert (counters.empty, counters.unknown) == (2, 4)
        assert (counters.unauthenticated, counters.refused) == (8, 5)
        assert counters.received == 1
        one.transport.send(rtp(2))
        await other.receives(rtp(2))


@scenario()
async def test_no_random_bytes_break_the_unprotecting() -> None:
    rng = random.Random(7)
    async with connected() as (one, other):
        for count in range(500):
            size = rng.choice((1, 7, 11, 12, 30, 300, 1499, 1600))
            with Stranger() as stranger:
                junk = bytes([rng.randrange(128, 192)]) + rng.randbytes(size)
                stranger.send(address_of(one.transport), junk)
            if count % 50 == 49:  # before the socket's buffer is full
                other.transport.send(rtp(count))
                await one.receives(rtp(count))
        assert one.transport.counters.unauthenticated == 500


@scenario()
async def test_forged_damaged_and_repeated_packets_are_counted() -> None:
    async with _wired() as (one, other, from_one, _, (one_sees, other_sees)):
        await join(one, other, one_sees=one_sees, other_sees=other_sees)
        end = End(other)
        one.send(rtp(1))
        one.send(RTCP)
        await end.receives(rtp(1), RTCP)
        packet, report = from_one.passed[-2:]
        with Stranger() as stranger:
            damaged = packet[:-1] + bytes([packet[-1] ^ 1])
            stranger.send(address_of(other), packet, report, damaged, packet[:20])
        from_one.pass_on(packet)  # and from where it came the first time
        one.send(rtp(2))
        await end.receives(rtp(2))
        assert other.counters.unauthenticated == 5
        assert other.counters.received == 3


@scenario()
async def test_strangers_cannot_spoil_what_has_not_begun() -> None:
    """Junk waits for nobody: neither a queue that grows nor an alert that ends the handshake."""
    one, other = await opened(), await opened(offering=False)
    with Stranger() as stranger:
        for transport in (one, other):
            for _ in range(100):
                stranger.send(address_of(transport), FATAL_ALERT, b"\x00junk", b"\x80junk", b"")
        await join(one, other)
    assert one.counters.refused == other.counters.refused == 200
    assert one.counters.unauthenticated == one.counters.empty == 100
    await one.close()
    await other.close()


@scenario()
async def test_a_check_that_lacks_its_priority_is_refused() -> None:
    """Whoever has the credentials can send one, and aioice does not expect it."""
    async with connected() as (one, other):
        near, far = one.transport, other.transport
        roamer = await Roamer.of(near, far)
        roamer.check(address_of(far))
        await roamer.answers.get()
        assert far.counters.refused == 1
        near.send(rtp())
        await other.receives(rtp())
        roamer.close()


@scenario()
async def test_such_a_check_before_connecting_only_fails_the_connection() -> None:
    one, other = await opened(), await opened(offering=False)
    roamer = await Roamer.of(one, other)
    roamer.check(address_of(other))
    await roamer.answers.get()
    with pytest.raises(TransportError, match="impossible"):
        await other.connect(described(one), offered=False, role="server")
    roamer.close()
    await one.close()
    await other.close()


# -- the path


@scenario()
async def test_what_is_sent_follows_a_late_nomination() -> None:
    async with connected() as (one, other):
        near, far = one.transport, other.transport
        far.send(rtp(1))
        await one.receives(rtp(1))
        roamer = await Roamer.of(near, far)
        roamer.nominate(address_of(far))
        await roamer.checked.wait()  # now the answer that makes it final is under way
        for number in (2, 3):
            near.send(rtp(number))
            await other.receives(rtp(number))
        far.send(rtp(4))
        assert 127 < (await roamer.received.get())[0] < 192
        assert one.arrived.empty()
        roamer.close()


@scenario()
async def test_loss_is_the_same_for_the_same_seed() -> None:
    counted = []
    for _ in range(2):
        async with connected() as (one, other):
            one.transport.impair(Loss(30, seed=4))
            for number in range(100):
                one.transport.send(rtp(number))
            one.transport.impair(None)
            one.transport.send(rtp(999))
            there = await other.receives_up_to(rtp(999))
            assert one.transport.counters.sent == 101
            lost = one.transport.counters.dropped_on_purpose
            assert len(there) == 100 - lost and 15 < lost < 45
            counted.append(there)
    assert counted[0] == counted[1]


@scenario()
async def test_loss_hits_what_arrives_as_well() -> None:
    async with connected() as (one, other):
        one.transport.impair(Loss(30, seed=5))
        for number in range(100):
            other.transport.send(rtp(number))
        same = Loss(30, seed=5)
        kept = [rtp(number) for number in range(100) if not same.drop()]
        await one.receives(*kept)
        assert one.transport.counters.received == len(kept)


@scenario()
async def test_what_cannot_be_sent_is_counted() -> None:
    one, other = await opened(), await opened(offering=False)
    one.send(rtp())
    await join(one, other)
    for datagram in (b"", b"\x80", rtp(payload=bytes(1489)), bytes(70_000)):
        one.send(datagram)
    assert (one.counters.sent, one.counters.unsent) == (0, 5)
    await other.close()
    await one.close()
    one.send(rtp())
    assert (one.counters.sent, one.counters.unsent) == (0, 6)


# -- the end


@scenario()
async def test_the_far_end_says_goodbye() -> None:
    async with connected() as (one, other):
        await other.transport.close()
        assert await one.ended is GoneReason.BYE
        assert one.transport.state is TransportState.CLOSED
        one.transport.send(rtp())
        assert one.transport.counters.unsent == 1
        assert not other.ended.done()  # who closes is not told


@scenario()
async def test_the_far_end_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.01)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.01)
    async with connected() as (one, other):
        other.transport.impair(Loss(100))
        assert await one.ended is GoneReason.TIMEOUT
        assert await other.ended is GoneReason.TIMEOUT
        one.transport.send(rtp())
        assert one.transport.counters.unsent == 1


@scenario()
async def test_what_is_abandoned_says_no_goodbye() -> None:
    async with connected() as (one, other):
        await one.transport.abandon()
        await one.transport.close()
        with Stranger() as stranger:
            stranger.send(address_of(other.transport), b"")
        await eventually(lambda: other.transport.counters.empty)  # all that came has been read
        assert other.transport.state is TransportState.CONNECTED and not other.ended.done()


@scenario()
async def test_closing_twice_is_harmless() -> None:
    async with connected() as (one, other):
        await asyncio.gather(one.transport.close(), one.transport.close())
        await one.transport.close()
        assert one.transport.state is TransportState.CLOSED
        assert not one.ended.done()
        assert await other.ended is GoneReason.BYE


@scenario()
async def test_closing_goes_on_when_nobody_waits_for_it() -> None:
    async with connected() as (one, _):
        closing = asyncio.create_task(one.transport.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    # `scenario` looks for what is left


@scenario()
async def test_closing_what_was_never_opened() -> None:
    await WebRtcTransport(webrtc(), CERTIFICATE).close()


@scenario()
async def test_what_arrives_after_closing_is_ignored() -> None:
    async with connected() as (one, other):
        closing = asyncio.create_task(one.transport.close())
        for number in range(10):
            other.transport.send(rtp(number))
        await closing
        assert one.arrived.empty()


# -- certificates


def test_a_certificate_is_shared_until_it_gets_old(monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = Certificates()
    first = certificates.current()
    assert certificates.current() is first
    spare = datetime.timedelta(days=31)
    monkeypatch.setattr(webrtc_module, "CERTIFICATE_SPARE_LIFE", spare)
    assert certificates.current() is not first


# -- helpers


@asynccontextmanager
async def _wired() -> AsyncIterator[
    tuple[WebRtcTransport, WebRtcTransport, Wire, Wire, tuple[MediaDescription, MediaDescription]]
]:
    """Two ends that are not connected yet, what passes from each, and what each sees of the other.

    All that they send each other will pass through the wires.
    """
    one, other = await opened(), await opened(offering=False)
    from_one, from_other = await Wire.between(one, other)
    one_sees = from_one.stand_in(described(other, "server"))
    other_sees = from_other.stand_in(described(one, "client"))
    try:
        yield one, other, from_one, from_other, (one_sees, other_sees)
    finally:
        await one.close()
        await other.close()
        from_one.close()
        from_other.close()
