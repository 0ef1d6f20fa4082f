"""Keys in offers and answers of plain RTP: which is taken, what is refused, calls that encrypt."""

from __future__ import annotations

import asyncio
import re

import pytest
from call_ends import Ends, EventLog, loopback, provider
from offers import AUDIO, TELEPHONE, negotiator
from peers import LOCALHOST, PLAIN, eventually, scenario, together
from senses import BLUE, GREEN, RED, YELLOW
from srtp_lab import crypto
from transport_lab import RTCP, End, Stranger, described, rtp

from ipconf import CallSettings, CallState, MediaType
from ipconf.calls.negotiator import Negotiator
from ipconf.errors import ConfigurationError, NegotiationError
from ipconf.events import AuthenticationFailed, CallStateChanged
from ipconf.sdp.keys import AES_32, AES_80, GCM_256, KEY_BYTES, Crypto, read_crypto
from ipconf.transports.line_keys import MAX_CRYPTO_LINES, cryptos_of
from ipconf.transports.srtp import keyed, suites
from ipconf.transports.udp import UdpTransport
from ipconf.tsp_data import Description

PHONE = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 18000 {profile} 111
a=rtpmap:111 opus/48000/2
{lines}"""


def phone(profile: str, *keys: str) -> str:
    """The offer of a telephone that has these a=crypto lines."""
    return PHONE.format(profile=profile, lines="".join(f"a=crypto:{key}\n" for key in keys))


def answered(offer: str, **changes: object) -> tuple[Negotiator, list[Crypto]]:
    """Who has answered an offer, and the keys in the answer."""
    us = negotiator(AUDIO, transport="rtp", **changes)
    answer = asyncio.run(us.answer(offer))
    profile = offer.split("m=audio ")[1].split()[1]
    assert re.search(rf"m=audio [1-9][0-9]* {profile} 111\r\n", answer)
    return us, [read_crypto(value) for values in cryptos_of(answer) for value in values]


# -- answering


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/SAVP", "RTP/SAVPF"])
@pytest.mark.parametrize("suite", KEY_BYTES)
def test_an_offer_with_a_key_is_answered_with_one_of_our_own(profile: str, suite: str) -> None:
    theirs = crypto(suite, tag=5)
    us, keys = answered(phone(profile, theirs.to_value()))
    (key,) = keys
    assert (key.tag, key.suite) == (5, suite) and key.key != theirs.key
    (bearer,) = us.bearers
    assert bearer.lines[0].crypto == theirs and bearer.keys == (key,)


def test_the_first_key_that_we_can_use_is_taken() -> None:
    lines = ("1 F8_128_HMAC_SHA1_80 inline:AAAA", f"{crypto(tag=2).to_value()}|2^31|1:4")
    us, keys = answered(phone("RTP/SAVP", *lines, crypto(AES_32, tag=3).to_value()))
    assert [key.tag for key in keys] == [3]


def test_each_answer_has_a_key_of_its_own() -> None:
    offer = phone("RTP/SAVP", crypto().to_value())
    assert answered(offer)[1] != answered(offer)[1]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ((), "the profile is RTP/SAVP, and no a=crypto tells the key"),
        (("1 F8_128_HMAC_SHA1_80 inline:AAAA",), "and a=crypto:1 F8_128_HMAC_SHA1_80 is an unkn"),
        ((crypto().to_value() + " KDR=1",), "wants KDR, which is not understood here"),
    ],
)
def test_a_secure_offer_without_a_key_that_we_can_use(keys: tuple[str, ...], reason: str) -> None:
    with pytest.raises(NegotiationError) as failure:
        answered(phone("RTP/SAVP", *keys))
    assert reason in str(failure.value)


def test_a_plain_offer_stays_plain_unless_we_want_a_key() -> None:
    odd = "1 F8_128_HMAC_SHA1_80 inline:AAAA"
    for offer in (phone("RTP/AVP"), phone("RTP/AVP", odd)):
        us, keys = answered(offer)
        assert not keys and us.bearers[0].lines[0].crypto is None
        with pytest.raises(NegotiationError, match="this call encrypts, and"):
            answered(offer, srtp="sdes")


def test_what_speaks_dtls_is_refused_as_before() -> None:
    with pytest.raises(NegotiationError, match="this call speaks plain RTP"):
        answered(phone("UDP/TLS/RTP/SAVP", crypto().to_value()))


def test_lines_of_keys_are_bounded() -> None:
    assert len(cryptos_of(phone("RTP/SAVP", *["1 x inline:y"] * 500))[0]) == MAX_CRYPTO_LINES


# -- offering


def _offer() -> tuple[Negotiator, str]:
    us = negotiator(AUDIO, transport="rtp", srtp="sdes")
    return us, asyncio.run(us.offer())


def test_our_offer_has_a_key_for_each_suite() -> None:
    _, offer = _offer()
    assert " RTP/SAVP " in offer
    keys = [read_crypto(value) for value in cryptos_of(offer)[0]]
    assert [key.suite for key in keys] == list(suites())
    assert [key.tag for key in keys] == [1, 2, 3, 4] and len({key.key for key in keys}) == 4


def test_the_answer_says_with_which_key_we_send() -> None:
    us, offer = _offer()
    theirs = crypto(AES_80, tag=3)
    us.accept_answer(_as_answer(offer, theirs.to_value()))
    (bearer,) = us.bearers
    assert bearer.lines[0].crypto == theirs
    assert [key.suite for key in bearer.keys if key.tag == 3] == [AES_80]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ((), "it answers without a key"),
        ((crypto(GCM_256, tag=3).to_value(),), "it answers without a key"),
        ((crypto(AES_80, tag=9).to_value(),), "it answers without a key"),
        ((crypto(AES_80, tag=3).to_value() + "|1:1",), "wants an MKI"),
    ],
)
def test_an_answer_without_a_key_that_was_offered(keys: tuple[str, ...], reason: str) -> None:
    us, offer = _offer()
    with pytest.raises(NegotiationError) as failure:
        us.accept_answer(_as_answer(offer, *keys))
    assert reason in str(failure.value)


def test_an_answer_that_repeats_a_key_of_ours() -> None:
    us, offer = _offer()
    for value in cryptos_of(offer)[0]:
        with pytest.raises(NegotiationError, match="it answers with our own key"):
            us.accept_answer(_as_answer(offer, value))


def test_an_answer_with_a_key_that_nobody_offered() -> None:
    us = negotiator(AUDIO, transport="rtp")
    offer = asyncio.run(us.offer())
    with pytest.raises(NegotiationError, match="it answers with RTP/SAVP, and no key was offered"):
        us.accept_answer(phone("RTP/SAVP", crypto().to_value()))
    assert "crypto" not in offer


def _as_answer(offer: str, *keys: str) -> str:
    text = re.sub(r"a=crypto:.*\r\n", "", offer)
    return text + "".join(f"a=crypto:{key}\r\n" for key in keys)


def test_webrtc_has_no_keys_in_descriptions() -> None:
    with pytest.raises(ConfigurationError, match="srtp: Value error, keys in descriptions are for"):
        CallSettings(srtp="sdes")
    assert CallSettings(transport="rtp", srtp="sdes").srtp == "sdes"


# -- calls


@scenario()
async def test_a_call_of_ours_with_keys() -> None:
    async with loopback(PLAIN.replace(srtp="sdes")) as (tsp, x, y):
        alice, bob = Ends(x, 440.0, (RED, GREEN)), Ends(y, 660.0, (BLUE, YELLOW))
        logs = [EventLog(x), EventLog(y)]
        await tsp.connect(pair=(x, y))
        await together(alice.gets(660.0, (BLUE, YELLOW)), bob.gets(440.0, (RED, GREEN)))
        for call, log in zip((x, y), logs, strict=True):
            for channel in call._media.channels:
                assert channel.transport.encrypts and not channel.transport.shares_key
                assert not channel.transport.counters.unauthenticated
            assert not log.of(AuthenticationFailed)
            assert "inline" not in repr(channel.__dict__) + repr(call.stats())


@scenario()
async def test_each_direction_has_its_key() -> None:
    one, other = UdpTransport(LOCALHOST), UdpTransport(LOCALHOST)
    ours, theirs = crypto(seed=1), crypto(seed=2)
    await one.open()
    await other.open()
    one.secure(ours, theirs)
    other.secure(theirs, ours)
    await one.connect(described(other), offered=True, role="")
    await other.connect(described(one), offered=False, role="")
    near, far = End(one), End(other)
    one.send(rtp(1))
    other.send(RTCP)
    await far.receives(rtp(1))
    await near.receives(RTCP)
    assert one.counters.sent_bytes == other.counters.received_bytes > len(rtp(1))
    await one.close()
    await other.close()


@scenario()
async def test_who_says_another_key_than_theirs_is_told_and_not_heard() -> None:
    async with loopback(PLAIN.replace(srtp="sdes")) as (tsp, x, y):
        log = EventLog(x)
        alice = Ends(x)
        Ends(y, 660.0)
        await tsp.connect(pair=(x, y))
        await alice.hears(660.0)
        transport = y._media.channels[0].transport
        assert isinstance(transport, UdpTransport)
        transport.secure(crypto(seed=3), crypto(seed=4))
        transport.doubted = lambda *about: None
        y._media.channels[0].session.local("0").ssrc = 0x7777
        failed = await log.until(AuthenticationFailed)
        assert failed.ssrc == 0x7777 and failed.stream.media_type is AUDIO
        await eventually(lambda: len(log.of(AuthenticationFailed)) == 1)


@scenario()
async def test_a_telephone_that_keeps_its_key_is_heard_after_a_hold() -> None:
    """Its numbers have begun anew, which no packet says (RFC 4568 section 7.1.4)."""
    key, number = crypto(seed=9), 65_520
    sealing = keyed(key, outbound=True)
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({MediaType.AUDIO})
        log = EventLog(call)
        with Stranger() as far:
            for version, direction in enumerate(("sendrecv", "sendonly", "sendrecv"), start=1):
                text = phone("RTP/SAVP", key.to_value()).replace("18000", str(far.address[1]))
                text = text.replace("o=- 1 1", f"o=- 1 {version}") + f"a={direction}\n"
                call.receive_tsp_data(Description(type="offer", sdp=text))
                connected = (CallStateChanged, lambda e: e.state is CallState.CONNECTED)
                await log.until(*connected)
                transport = call._media.channels[0].transport
                assert isinstance(transport, UdpTransport) and transport.local is not None
                for _ in range(30):
                    sealed = sealing.protect(rtp(number & 0xFFFF))
                    assert sealed is not None
                    far.send(transport.local, sealed)
                    number += 1
                counters = transport.counters
                await eventually(lambda c=counters: c.received + c.unauthenticated == 30)
                assert not counters.unauthenticated
        assert not log.of(AuthenticationFailed)


def test_a_telephone_that_offers_a_key_gets_one_for_its_sound() -> None:
    us = negotiator(transport="rtp")
    asyncio.run(us.answer(TELEPHONE))
    audio, video = us.bearers
    assert len(audio.keys) == 1 and not video.keys
