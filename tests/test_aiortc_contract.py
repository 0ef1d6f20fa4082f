"""What `ipconf.transports` takes for granted about aiortc, aioice, pylibsrtp and asyncio.

One fact a test, private names included, each with why it matters: when a new version of one of
them breaks a call, this file says which assumption went first.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import inspect
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import aioice.ice
import aioice.stun
import pylibsrtp
import pytest
from aioice import Candidate, stun
from aioice.ice import CandidatePair, Connection, StunProtocol, server_reflexive_candidate
from aioice.turn import TurnClientUdpProtocol
from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import SessionDescription
from peers import LIMIT_S, LOCALHOST, eventually, scenario
from transport_lab import CERTIFICATE, RTCP, Stranger, candidate, rtp

from ipconf.engine.rtp_wire import AUDIO_LEVEL_URI, HeaderExtensions, compose_rtp
from ipconf.transports.srtp import MAX_TRAILER_BYTES, Srtp


class _Protocol(asyncio.DatagramProtocol):
    """Like `StunProtocol`, it has room for attributes."""


class _Stock:
    """aiortc's ORTC objects as they come."""

    def __init__(self) -> None:
        self.gatherer = RTCIceGatherer(iceServers=[])
        self.ice = RTCIceTransport(self.gatherer)
        self.dtls = RTCDtlsTransport(self.ice, [CERTIFICATE])
        self.connection: Connection = self.gatherer._connection
        self.dtls_states: list[str] = []
        self.dtls.on("statechange", lambda: self.dtls_states.append(self.dtls.state))

    @property
    def address(self) -> tuple[str, int]:
        first = self.gatherer.getLocalCandidates()[0]
        return first.ip, first.port

    async def connect(self, far: _Stock) -> None:
        for one in far.gatherer.getLocalCandidates():
            await self.ice.addRemoteCandidate(one)
        await self.ice.addRemoteCandidate(None)
        await self.ice.start(far.gatherer.getLocalParameters())
        await self.dtls.start(far.dtls.getLocalParameters())

    async def close(self) -> None:
        await self.dtls.stop()
        await self.ice.stop()


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice never offers the loopback address, and tests use no other."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [LOCALHOST])


@asynccontextmanager
async def _stock_pair(
    prepare: Callable[[_Stock, _Stock], None] = lambda one, other: None,
) -> AsyncIterator[tuple[_Stock, _Stock]]:
    """A controlling and a controlled end, connected."""
    one, other = _Stock(), _Stock()
    await one.gatherer.gather()
    await other.gatherer.gather()
    one.connection.ice_controlling = True
    prepare(one, other)
    await asyncio.gather(one.connect(other), other.connect(one))
    assert one.dtls.state == other.dtls.state == "connected"
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


# -- aioice: our sockets and addresses


@scenario()
async def test_the_gatherers_connection_is_the_one_that_connects() -> None:
    """We prepare `gatherer._connection`; the transport must use the very same object."""
    gatherer = RTCIceGatherer(iceServers=[])
    assert isinstance(gatherer._connection, Connection)
    assert RTCIceTransport(gatherer)._connection is gatherer._connection


@scenario()
async def test_gathering_asks_the_instance_by_these_keywords() -> None:
    """Our stand-in for `get_component_candidates` decides about addresses and ports."""
    asked: list[dict[str, Any]] = []

    async def candidates(**arguments: Any) -> list[Candidate]:
        asked.append(arguments)
        return [Candidate.from_sdp("1 1 udp 1 203.0.113.7 4000 typ host")]

    gatherer = RTCIceGatherer(iceServers=[])
    gatherer._connection.get_component_candidates = candidates
    await gatherer.gather()
    assert asked == [{"component": 1, "addresses": [LOCALHOST]}]
    assert [c.ip for c in gatherer.getLocalCandidates()] == ["203.0.113.7"]


@scenario()
async def test_gathering_without_addresses_opens_no_socket() -> None:
    """We call the stock method with `(component, [])` for what it does about TURN only."""
    connection = Connection(ice_controlling=False, stun_server=("203.0.113.7", 3478))
    assert await connection.get_component_candidates(1, []) == []
    assert connection._protocols == []


@scenario()
async def test_protocols_that_we_add_are_checked_and_closed() -> None:
    """A `StunProtocol` of ours in `_protocols`, with its `local_candidate`, is like their own."""
    loop = asyncio.get_running_loop()
    connection = Connection(ice_controlling=False)
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: StunProtocol(connection), local_addr=(LOCALHOST, 0)
    )
    port = transport.get_extra_info("sockname")[1]
    protocol.local_candidate = Candidate.from_sdp(f"1 1 udp 1 {LOCALHOST} {port} typ host")
    connection._protocols.append(protocol)
    await connection.add_remote_candidate(Candidate.from_sdp(f"2 1 udp 1 {LOCALHOST} 9 typ host"))
    assert [pair.protocol for pair in connection._check_list] == [protocol]
    assert protocol.transport is transport
    await connection.close()
    assert transport.is_closing()


def test_a_protocol_only_sends_over_its_socket_and_closes_it() -> None:
    """Our ports stand in for asyncio's transports, and can do no more than that."""
    used = re.findall(r"self\.transport\.(\w+)", inspect.getsource(StunProtocol))
    assert set(used) == {"sendto", "close"}


@scenario()
async def test_closing_a_protocol_waits_for_connection_lost() -> None:
    """Our ports say so when they are gone."""
    protocol = StunProtocol(Connection(ice_controlling=False))
    protocol.connection_made(SimpleNamespace(close=lambda: None))  # type: ignore[arg-type]
    closing = asyncio.create_task(protocol.close())
    await asyncio.sleep(0)
    assert not closing.done()
    protocol.connection_lost(None)
    await closing


@scenario()
async def test_a_pair_keeps_the_address_that_it_was_nominated_with() -> None:
    """We ask for `remote_addr` once, also where the candidate is described better later."""
    connection = Connection(ice_controlling=False)
    protocol = StunProtocol(connection)
    protocol.local_candidate = Candidate.from_sdp(f"1 1 udp 1 {LOCALHOST} 1 typ host")
    connection._early_checks_done, connection._check_list_done = True, True
    connection.remote_password = ""
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes={"PRIORITY": 1})
    protocol.connection_made(SimpleNamespace(sendto=lambda data, addr: None))  # type: ignore[arg-type]
    connection.check_incoming(check, (LOCALHOST, 9), protocol)
    (pair,) = connection._check_list
    await connection.add_remote_candidate(Candidate.from_sdp(f"2 1 udp 2 {LOCALHOST} 9 typ host"))
    assert pair.remote_candidate.type == "host" and pair.remote_addr == (LOCALHOST, 9)
    await connection.close()


@pytest.mark.parametrize("loop_factory", ["asyncio", "uvloop"])
def test_every_datagram_looks_its_handler_up_on_the_instance(loop_factory: str) -> None:
    """Media leaves aioice's way because `protocol.datagram_received` can be replaced."""

    async def replace() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            _Protocol, local_addr=(LOCALHOST, 0)
        )
        seen: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

        def note(handler: str, data: bytes, addr: Any) -> None:
            seen.put_nowait((handler, data))

        try:
            with Stranger() as stranger:
                for handler in ("first", "second"):
                    protocol.datagram_received = partial(note, handler)  # type: ignore[method-assign]
                    stranger.send(transport.get_extra_info("sockname"), b"", b"x")
                    async with asyncio.timeout(LIMIT_S):
                        assert await seen.get() == (handler, b"")
                        assert await seen.get() == (handler, b"x")
        finally:
            transport.close()

    factory = asyncio.new_event_loop
    if loop_factory == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(replace())


@scenario()
async def test_relayed_datagrams_look_their_handler_up_as_well() -> None:
    """What comes through TURN must take our way too."""
    turn = TurnClientUdpProtocol(("203.0.113.7", 1), "", "", 600, 500)
    turn.receiver = protocol = _Protocol()
    turn.channel_to_peer[0x4000] = ("203.0.113.8", 2)
    seen: list[tuple[bytes, Any]] = []
    protocol.datagram_received = lambda data, addr: seen.append((data, addr))  # type: ignore[method-assign]
    turn.datagram_received(b"\x40\x00\x00\x02hi", ("203.0.113.7", 1))
    assert seen == [(b"hi", ("203.0.113.8", 2))]


def test_the_stun_client_takes_a_protocol_and_a_server() -> None:
    """We run it ourselves, over our sockets."""
    assert list(inspect.signature(server_reflexive_candidate).parameters) == [
        "protocol",
        "stun_server",
    ]


@scenario()
async def test_an_impossible_port_closes_an_asyncio_socket() -> None:
    """Why candidates with such ports are left out, and plain RTP refuses them."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: None)
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(LOCALHOST, 0)
    )
    transport.sendto(b"x", (LOCALHOST, 70_000))
    assert transport.is_closing()
    await asyncio.sleep(0)
    loop.set_exception_handler(handler)


@scenario()
async def test_the_user_name_fragment_can_be_set() -> None:
    """A longer one, by which calls on a shared port are told apart; checks are taken with it."""
    gatherer = RTCIceGatherer(iceServers=[])
    gatherer._connection._local_username = name = "0123456789abcdef"
    assert gatherer.getLocalParameters().usernameFragment == name
    assert gatherer._connection._valid_username(f"{name}:far")


@pytest.mark.parametrize("honest", [True, False])
@scenario()
async def test_only_an_authentic_check_is_answered_with_success(honest: bool) -> None:
    """A shared port takes that answer, on its way out, for a sign that the far end is genuine."""
    connection = Connection(ice_controlling=False)
    protocol = StunProtocol(connection)
    sent: list[bytes] = []
    sender = SimpleNamespace(sendto=lambda data, addr: sent.append(data))
    protocol.connection_made(sender)  # type: ignore[arg-type]
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    check.attributes["USERNAME"] = f"{connection.local_username}:far"
    check.attributes["PRIORITY"] = 1
    check.add_message_integrity(connection.local_password.encode() if honest else b"guessed")
    assert bytes(check)[:2] == b"\x00\x01" and bytes(check)[8:20] == check.transaction_id
    protocol.datagram_received(bytes(check), (LOCALHOST, 9))
    assert [data[:2] for data in sent] == [b"\x01\x01" if honest else b"\x01\x11"]


# -- aioice: the path


@scenario()
async def test_the_nominated_pair_is_set_by_item_and_cleared_at_the_end() -> None:
    """`_nominated` is ours: `[component] = pair` moves where we send to, `clear()` ends it."""
    happened: list[str] = []

    class Nominated(dict[int, CandidatePair]):
        def __setitem__(self, component: int, pair: CandidatePair) -> None:
            assert component == 1 and pair.remote_addr and pair.protocol.transport
            happened.append("set")
            super().__setitem__(component, pair)

        def clear(self) -> None:
            happened.append("cleared")
            super().clear()

    def prepare(one: _Stock, other: _Stock) -> None:
        one.connection._nominated = Nominated()

    async with _stock_pair(prepare) as (one, _):
        assert type(one.connection._nominated) is Nominated
        assert set(happened) == {"set"}
    assert happened[-1] == "cleared"


@scenario()
async def test_the_nominated_pair_is_the_one_that_is_sent_over() -> None:
    """The stock way consults the same table as ours does."""
    async with _stock_pair() as (one, _):
        pair = one.connection._nominated[1]
        with Stranger() as stranger:
            elsewhere = Candidate.from_sdp(f"1 1 udp 1 {LOCALHOST} {stranger.address[1]} typ host")
            one.connection._nominated[1] = CandidatePair(pair.protocol, elsewhere)
            await one.connection.send(b"hello")
            assert await stranger.receive() == b"hello"
            one.connection._nominated[1] = pair


@scenario()
async def test_the_pair_in_use_is_in_the_check_list() -> None:
    """DTLS is taken from addresses of `_check_list` only."""
    async with _stock_pair() as (one, other):
        for end, far in ((one, other), (other, one)):
            assert end.connection._nominated[1] in end.connection._check_list
            assert far.address in [pair.remote_addr for pair in end.connection._check_list]


@scenario()
async def test_what_is_not_stun_goes_to_the_instances_data_received() -> None:
    """We replace `connection.data_received`, so that junk never gets into the queue."""
    connection = Connection(ice_controlling=False)
    protocol = StunProtocol(connection)
    protocol.local_candidate = Candidate.from_sdp("1 1 udp 1 127.0.0.1 1 typ host")
    taken: list[tuple[bytes, int]] = []
    connection.data_received = lambda data, component: taken.append((data, component))  # type: ignore[method-assign]
    protocol.datagram_received(b"\x00junk", (LOCALHOST, 1))
    assert taken == [(b"\x00junk", 1)] and connection._queue.empty()


@scenario()
async def test_what_is_put_into_the_queue_is_received() -> None:
    """DTLS is put into `_queue` by us, as `(data, component)`."""
    connection = Connection(ice_controlling=False)
    far = Candidate.from_sdp(f"1 1 udp 1 {LOCALHOST} 9 typ host")
    connection._nominated[1] = CandidatePair(StunProtocol(connection), far)
    connection._queue.put_nowait((b"data", 1))
    assert await connection.recv() == b"data"


@scenario()
async def test_a_check_without_priority_raises() -> None:
    """Why what aioice makes of a datagram is run in a `try`."""
    async with _stock_pair() as (one, _):
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        (protocol,) = one.connection._protocols
        with pytest.raises(KeyError):
            one.connection.check_incoming(check, (LOCALHOST, 9), protocol)


@scenario()
async def test_after_the_last_candidate_no_other_is_taken() -> None:
    """Why a "last" that is trickled before `connect` waits for the description's own addresses."""
    stock = _Stock()
    await stock.ice.addRemoteCandidate(None)
    await stock.ice.addRemoteCandidate(candidate(9))
    assert stock.ice.getRemoteCandidates() == []
    await stock.close()


@scenario()
async def test_a_failure_of_ice_is_a_state_and_no_exception() -> None:
    """`connect` looks at the state after `start`."""
    one, other = _Stock(), _Stock()
    await one.gatherer.gather()
    await one.ice.addRemoteCandidate(None)
    await one.ice.start(other.gatherer.getLocalParameters())
    assert one.ice.state == "failed"
    await one.close()
    await other.close()


# -- aiortc: DTLS and SRTP


@pytest.mark.parametrize("server", [0, 1])
@scenario()
async def test_the_dtls_role_can_be_set(server: int) -> None:
    """`_set_role` before `start`; left alone, the role would follow from ICE's, not from SDP's."""

    def prepare(*ends: _Stock) -> None:
        ends[server].dtls._set_role("server")
        ends[1 - server].dtls._set_role("client")

    async with _stock_pair(prepare) as ends:
        assert [end.dtls._role == "server" for end in ends] == [server == 0, server == 1]


@scenario()
async def test_the_keys_are_there_when_the_state_becomes_connected() -> None:
    """We take `_rx_srtp` and `_tx_srtp` in the "statechange" handler, before any await."""
    seen: list[Any] = []

    def prepare(one: _Stock, other: _Stock) -> None:
        dtls = one.dtls
        dtls.on("statechange", lambda: seen.append((dtls.state, dtls._rx_srtp, dtls._tx_srtp)))

    async with _stock_pair(prepare) as (one, _):
        state, rx, tx = seen[-1]
        assert state == "connected"
        assert rx is one.dtls._rx_srtp and isinstance(rx, pylibsrtp.Session)
        assert tx is one.dtls._tx_srtp and isinstance(tx, pylibsrtp.Session)
    assert seen[0] == ("connecting", None, None)


@scenario()
async def test_goodbye_closes_dtls_and_leaves_ice_alone() -> None:
    """`connection._closing` tells a far end that left from one that vanished."""
    async with _stock_pair() as (one, other):
        await other.close()
        await eventually(lambda: one.dtls.state == "closed")
        assert one.ice.state == "completed" and not one.connection._closing


@scenario()
async def test_consent_that_expires_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other half of it; both constants are read when used, so tests can shorten the wait."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.01)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.01)
    async with _stock_pair() as (one, other):
        other.connection._protocols[0].datagram_received = lambda data, addr: None  # type: ignore[method-assign]
        await eventually(lambda: one.dtls.state == "closed")
        assert one.ice.state == "failed" and one.connection._closing


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_empty_datagram_from_anybody_closes_a_stock_transport() -> None:
    """Why datagrams are looked at before aiortc sees them: it reads `data[0]`."""

    async def attack() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with _stock_pair() as (one, _):
            with Stranger() as stranger:
                stranger.send(one.address, b"")
            await eventually(lambda: one.dtls.state != "connected")
            return one.dtls.state

    assert asyncio.run(attack()) == "closed"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_audio_level_of_two_bytes_closes_a_stock_transport() -> None:
    """Why RTP is parsed by our own engine: theirs raises what its caller does not expect."""

    async def attack() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with _stock_pair() as (one, other):
            parameters = SimpleNamespace(
                headerExtensions=[SimpleNamespace(id=1, uri=AUDIO_LEVEL_URI)], codecs=[]
            )
            one.dtls._rtp_header_extensions_map.configure(parameters)
            extension = bytes.fromhex("bede0001") + bytes((0x11, 5, 5, 0))
            await other.dtls._send_rtp(compose_rtp(111, 1, 1, 1, b"", extension=extension))
            await eventually(lambda: one.dtls.state != "connected")
            return one.dtls.state

    assert HeaderExtensions({AUDIO_LEVEL_URI: 1})
    assert asyncio.run(attack()) == "closed"


def test_certificates_tell_when_they_expire() -> None:
    """A shared certificate is replaced in time; theirs last 30 days."""
    left = RTCCertificate.generateCertificate().expires - datetime.datetime.now(tz=datetime.UTC)
    assert datetime.timedelta(days=29) < left <= datetime.timedelta(days=30)


# -- pylibsrtp


def _sessions() -> tuple[pylibsrtp.Session, pylibsrtp.Session]:
    policy, session = pylibsrtp.Policy, pylibsrtp.Session
    key, kinds = bytes(range(30)), (policy.SSRC_ANY_OUTBOUND, policy.SSRC_ANY_INBOUND)
    out, into = (session(policy(key=key, ssrc_type=kind)) for kind in kinds)
    return out, into


def test_one_srtp_session_serves_every_ssrc() -> None:
    """A bundle's sources come and go without a word to SRTP."""
    out, into = map(Srtp, _sessions())
    for ssrc in range(50):
        assert into.unprotect(out.protect(rtp(ssrc, ssrc=ssrc)) or b"") == rtp(ssrc, ssrc=ssrc)
    assert into.unprotect(out.protect(RTCP) or b"") == RTCP


def test_our_way_to_libsrtp_is_pylibsrtps() -> None:
    """`Srtp` uses the session's state, on a buffer of its own: its own methods do the same."""
    (out, into), (same_out, same_into) = _sessions(), _sessions()
    for packet in (rtp(1), rtp(2, bytes(1200))):
        protected = Srtp(out).protect(packet)
        assert protected == same_out.protect(packet) != packet
        assert Srtp(into).unprotect(protected) == same_into.unprotect(protected) == packet
    protected = Srtp(out).protect(RTCP)
    assert protected == same_out.protect_rtcp(RTCP)
    assert Srtp(into).unprotect(protected) == same_into.unprotect_rtcp(protected) == RTCP


def test_the_session_lives_as_long_as_our_way_to_it() -> None:
    out, into = map(Srtp, _sessions())
    gc.collect()
    assert into.unprotect(out.protect(rtp(1)) or b"") == rtp(1)


def test_forged_repeated_and_short_packets_are_none() -> None:
    """Whatever arrives may be given to it."""
    out, into = map(Srtp, _sessions())
    packet = out.protect(rtp(1))
    assert packet is not None and into.unprotect(packet) == rtp(1)
    for bad in (packet, packet[:-1] + b"\0", rtp(2), b"\x80\x6f", b"\x80" * 11, b"\x80", b""):
        assert into.unprotect(bad) is None
    assert into.unprotect(b"\x80\xc8" + bytes(6)) is None  # RTCP
    for bad in (b"", b"\x80", b"\x80\x6f", b"\x80\xc8"):
        assert out.protect(bad) is None


def test_srtp_takes_at_most_1500_bytes() -> None:
    """Longer is counted as not authenticated, or not sent; a trailer needs room, too."""
    out, into = map(Srtp, _sessions())
    trailer = max(pylibsrtp.SRTP_MAX_TRAILER_LEN, pylibsrtp.SRTP_MAX_SRTCP_TRAILER_LEN)
    assert trailer <= MAX_TRAILER_BYTES
    longest, room = rtp(1, bytes(1500 - len(rtp(1, b"")))), 1500 + MAX_TRAILER_BYTES
    for size in (room, room + 1, 65_507):
        assert into.unprotect(bytes(size)) is None
    assert out.protect(longest + b"\0") is None
    protected = out.protect(longest)
    assert protected is not None and len(protected) > 1500
    assert into.unprotect(protected) == longest


# -- aiortc: descriptions

OFFER = """v=0
o=- 1 1 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.9
t=0 0
a=sendonly
m=audio 5004 RTP/AVP 0 111
a=rtpmap:111 opus/48000/2
a=rtcp-fb:* nack
a=bundle-only
a=rtcp-rsize
"""


def test_the_grammar_forgets_what_a_session_says_for_all_its_lines() -> None:
    """`reading` hands the session's address and direction down to the lines."""
    description = SessionDescription.parse(OFFER)
    assert description.host == "192.0.2.9"
    assert description.media[0].host is None and description.media[0].direction is None


def test_the_grammar_drops_formats_without_a_map() -> None:
    """A static payload type is no codec to it: such a far end must spell it out."""
    assert [c.payloadType for c in SessionDescription.parse(OFFER).media[0].rtp.codecs] == [111]


def test_the_grammar_spreads_feedback_for_all_formats() -> None:
    """`a=rtcp-fb:*` needs no care of ours."""
    (codec,) = SessionDescription.parse(OFFER).media[0].rtp.codecs
    assert [(f.type, f.parameter) for f in codec.rtcpFeedback] == [("nack", None)]


def test_the_grammar_knows_nothing_of_bundle_only_and_reduced_size() -> None:
    """`description` writes both by itself; port 0 within a bundle is all there is to read."""
    line = SessionDescription.parse(OFFER).media[0]
    assert "only" not in str(vars(line)) and "rsize" not in str(vars(line))


def test_without_setup_there_is_no_dtls() -> None:
    """A fingerprint alone leaves `dtls` None: the line is refused."""
    assert SessionDescription.parse(OFFER + "a=fingerprint:sha-256 00\n").media[0].dtls is None


def test_one_attribute_that_it_does_not_like_spoils_the_whole_text() -> None:
    """Why each line is parsed by itself."""
    with pytest.raises(ValueError, match="unpack"):
        SessionDescription.parse(OFFER + "a=extmap:1 urn:x with-attributes\n")


# -- aiortc: a whole peer


@asynccontextmanager
async def _peer(*kinds: str) -> AsyncIterator[tuple[RTCPeerConnection, str]]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        for kind in kinds:
            peer.addTransceiver(kind)
        await peer.setLocalDescription(await peer.createOffer())
        yield peer, peer.localDescription.sdp
    finally:
        await peer.close()


@scenario()
async def test_a_peer_names_a_bundle_in_its_answer_that_was_not_offered() -> None:
    """Why the bundles of an answer count only when ours was an offer of one."""
    async with _peer("audio", "video") as (_, offer):
        plain = "".join(s for s in offer.splitlines(True) if not s.startswith("a=group"))
        other = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        await other.setRemoteDescription(RTCSessionDescription(plain, "offer"))
        answer = await other.createAnswer()
        assert "a=group:BUNDLE 0 1" in answer.sdp
        await other.close()


@scenario()
async def test_a_peer_fails_an_answer_that_refuses_a_line() -> None:
    """Why a line of a medium that a call does not have stays in the bundle, inactive."""
    async with _peer("audio", "video") as (peer, offer), _answering(offer) as answer:
        head, audio, video = answer.partition("m=audio")[0], *answer.split("m=")[1:]
        assert head and audio
        port = video.split()[1]
        refused = f"m={video.splitlines()[0].replace(port, '0', 1)}\r\na=inactive\r\na=mid:1\r\n"
        with pytest.raises(ValueError, match="ICE"):
            await peer.setRemoteDescription(
                RTCSessionDescription(f"{head}m={audio}{refused}", "answer")
            )


@asynccontextmanager
async def _answering(offer: str) -> AsyncIterator[str]:
    other = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        await other.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        yield (await other.createAnswer()).sdp
    finally:
        await other.close()


def test_candidates_are_plain_values() -> None:
    """Candidates are made from text and compared; nothing else of aiortc's is needed for them."""
    assert candidate(9) == RTCIceCandidate(1, "1", LOCALHOST, 9, (1 << 31) - 1, "udp", "host")
