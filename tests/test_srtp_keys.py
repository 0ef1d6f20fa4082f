"""Keys that descriptions tell: how they are read, what is encrypted, and what does not verify."""

from __future__ import annotations

import base64

import pytest
from multicast_lab import conference
from srtp_lab import Member, crypto, encrypted
from transport_lab import RTCP, rtp

from ipconf.sdp import Attribute, write_description
from ipconf.sdp.fields import Key
from ipconf.sdp.keys import (
    AES_32,
    AES_80,
    GCM_128,
    GCM_256,
    KEY_BYTES,
    MAX_LIFETIME,
    about,
    first_usable,
    read_crypto,
)
from ipconf.transports.doubts import (
    FAILED,
    MAX_DOUBTED,
    MAX_TOLD,
    TOLD_PERIOD_S,
    VERIFIED_S,
)
from ipconf.transports.protection import USED_UP
from ipconf.transports.srtp import keyed, suites
from ipconf.tsp_data import Description

KEY = base64.b64encode(bytes(range(30))).decode()
HERE = ("127.0.0.1", 5004)


# -- a=crypto


def test_a_line_is_read_and_written_again() -> None:
    found = read_crypto(f"7 {AES_80} inline:{KEY}")
    assert (found.tag, found.suite, found.key) == (7, AES_80, bytes(range(30)))
    assert found.lifetime == MAX_LIFETIME
    assert read_crypto(found.to_value()) == found


@pytest.mark.parametrize("suite", KEY_BYTES)
def test_every_suite_has_its_length(suite: str) -> None:
    key = bytes(KEY_BYTES[suite])
    text = base64.b64encode(key).decode()
    assert read_crypto(f"1 {suite} inline:{text}").key == key
    assert read_crypto(f"1 {suite} inline:{text.rstrip('=')}").key == key
    with pytest.raises(ValueError, match=f"has a key of {len(key) + 1} bytes; it takes {len(key)}"):
        read_crypto(f"1 {suite} inline:{base64.b64encode(key + b'x').decode()}")


@pytest.mark.parametrize(
    ("said", "packets"), [("|2^20", 1 << 20), ("|5000", 5000), ("", MAX_LIFETIME)]
)
def test_how_long_a_key_lives(said: str, packets: int) -> None:
    assert read_crypto(f"1 {AES_80} inline:{KEY}{said}").lifetime == packets
    assert read_crypto(f"1 {AES_80} inline:{KEY}{said} WSH=128 -SOMETHING=1").lifetime == packets


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "a=crypto has no tag, suite and key"),
        (f"{AES_80} inline:{KEY}", "has no tag"),
        (f"1 F8_128_HMAC_SHA1_80 inline:{KEY}", "a=crypto:1 F8_128_HMAC_SHA1_80 is an unknown sui"),
        (f"1 {AES_80} prompt:{KEY}", "of another method than inline"),
        (f"1 {AES_80} inline:{KEY}|2^20|1:4", "wants an MKI"),
        (f"1 {AES_80} inline:{KEY}|1:4", "wants an MKI"),
        (f"1 {AES_80} inline:{KEY}|1:4;inline:{KEY}|2:4", "has several keys, told apart by an MKI"),
        (f"1 {AES_80} inline:{KEY}|2^20|what", "has more behind its key"),
        (f"1 {AES_80} inline:{KEY}|soon", "has more behind its key"),
        (f"1 {AES_80} inline:{KEY}|0", "a key that nothing may be sent with"),
        (f"1 {AES_80} inline:{KEY} KDR=1", "wants KDR, which is not understood here"),
        (f"1 {AES_80} inline:{KEY} UNENCRYPTED_SRTCP", "wants UNENCRYPTED_SRTCP"),
        (f"1 {AES_80} inline:{KEY} UNAUTHENTICATED_SRTP", "wants UNAUTHENTICATED_SRTP"),
        (f"1 {AES_80} inline:{KEY} ?", "wants a session parameter"),
        (f"1 {AES_80} inline:!!!!", "a key that is no base64"),
        (f"1 {AES_80} inline:AAAA", "a key of 3 bytes; it takes 30"),
    ],
)
def test_what_cannot_be_used_and_why(value: str, reason: str) -> None:
    with pytest.raises(ValueError, match="a=crypto") as failure:
        read_crypto(value)
    assert reason in str(failure.value) and KEY not in str(failure.value)
    assert failure.value.__cause__ is None
    assert first_usable([value], suites()) == (None, str(failure.value))


def test_of_several_the_first_that_we_have() -> None:
    lines = [crypto("AEAD_AES_256_GCM").to_value(), crypto(AES_32, tag=2).to_value()]
    first, _ = first_usable(lines, [AES_32])
    assert first is not None and first.tag == 2
    none, reason = first_usable(lines, [AES_80])
    assert none is None and reason.count("is not available here") == 2


def test_keys_are_not_shown() -> None:
    found = read_crypto(f"1 {AES_80} inline:{KEY}")
    assert "key" not in repr(found) and KEY not in f"{found} {found!r}"


def test_nor_are_those_in_descriptions() -> None:
    tea = encrypted(conference(), crypto())
    secret = tea.media[0].value("crypto").split("inline:")[1]
    message = Description(type="offer", sdp=write_description(tea))
    for shown in (repr(tea), str(tea.media[0]), repr(message), str(message)):
        assert secret not in shown and "crypto" in shown
    assert secret in message.model_dump_json() and secret in write_description(tea)
    assert "rtpmap" in repr(message) and repr(Attribute(name="crypto")).endswith("value=None)")


@pytest.mark.parametrize("method", ["clear", "base64", "uri", "prompt"])
def test_what_is_said_of_the_old_kind_of_keys(method: str) -> None:
    key = Key(method=method, value=None if method == "prompt" else "hunter2")  # type: ignore[arg-type]
    assert about(key).startswith(f"k={method} ") and "hunter2" not in about(key)


# -- encryption


def test_all_suites_work_here() -> None:
    assert set(suites()) == {AES_80, AES_32, GCM_128, GCM_256}


@pytest.mark.parametrize("suite", KEY_BYTES)
def test_what_one_seals_another_opens(suite: str) -> None:
    one, other = Member(crypto(suite)), Member(crypto(suite))
    for packet in (rtp(1), rtp(2), RTCP):
        sealed = one.protection.protect(packet)
        assert sealed is not None and packet[12:] not in sealed
        assert other.protection.open(sealed, 0.0, HERE) == packet
        assert other.protection.open(sealed, 0.0, HERE) is None, "it was there before"
    assert not other.told


def test_a_packet_that_is_repeated_stays_the_same() -> None:
    one = Member().protection
    first = one.protect(rtp(1))
    one.protect(rtp(2))
    assert one.protect(rtp(1)) == first


def test_a_key_is_used_for_so_many_packets_as_it_lives() -> None:
    short = read_crypto(f"1 {AES_80} inline:{KEY}|3")
    member = Member(short)
    one = member.protection
    assert [one.protect(rtp(n)) is None for n in range(5)] == [False] * 3 + [True] * 2
    assert member.told == [(0x1234, False, USED_UP)]


# -- what does not verify


def test_another_key_is_told_once() -> None:
    near, far = Member(crypto(seed=1)), Member(crypto(seed=2))
    for number in range(50):
        assert near.protection.open(far.seal(rtp(number)), number / 50, HERE) is None
    assert near.told == [(0x1234, False, FAILED)]
    assert "wrong key or unknown rollover counter" in FAILED


def test_a_single_packet_is_no_news() -> None:
    near, far = Member(crypto(seed=1)), Member(crypto(seed=2))
    for number in range(2):
        near.protection.open(far.seal(rtp(number)), 0.0, HERE)
    assert not near.told


def test_reports_alone_are_enough() -> None:
    near, far = Member(crypto(seed=1)), Member(crypto(seed=2))
    for number in range(3):
        near.protection.open(far.seal(RTCP), 5.0 * number, HERE)
    assert [ssrc for ssrc, _, _ in near.told] == [0x1234]


def test_who_comes_late_does_not_know_how_often_the_numbers_began_anew() -> None:
    talker, early, late = Member(), Member(), Member()
    for number in range(65_400, 65_600):
        packet = talker.protection.protect(rtp(number))
        assert packet is not None
        assert early.protection.open(packet, 0.0, HERE) == rtp(number)
        if number == 65_540:
            report = talker.protection.protect(RTCP)
            assert report is not None and late.protection.open(report, 0.0, HERE) == RTCP
        if number > 65_540:
            assert late.protection.open(packet, 0.0, HERE) is None
    ((ssrc, verifies, text),) = late.told
    assert (ssrc, verifies) == (0x1234, False) and text.startswith(FAILED)
    assert "the key is right" in text
    assert not early.told


def test_that_it_verifies_again_is_told_as_well() -> None:
    near, good, bad = Member(), Member(), Member(crypto(seed=2))
    for number in range(5):
        near.protection.open(bad.seal(rtp(number)), 0.0, HERE)
    for number in range(5):
        near.protection.open(good.seal(rtp(number)), 1.0, HERE)
    assert [verifies for _, verifies, _ in near.told] == [False, True]


def test_junk_does_not_spoil_the_name_of_who_is_heard() -> None:
    near, good, bad = Member(), Member(), Member(crypto(seed=2))
    near.protection.open(good.seal(rtp(0)), 0.0, HERE)
    for number in range(500):
        near.protection.open(bad.seal(rtp(number)), VERIFIED_S * 0.9, HERE)
    assert not near.told
    for number in range(5):
        near.protection.open(bad.seal(rtp(number)), VERIFIED_S * 1.1, HERE)
    assert len(near.told) == 1


def test_a_packet_that_comes_twice_is_no_forgery() -> None:
    near, good = Member(), Member()
    sealed = good.seal(rtp(1))
    near.protection.open(sealed, 0.0, HERE)
    for _ in range(20):
        assert near.protection.open(sealed, 2 * VERIFIED_S, HERE) is None
    assert not near.told


def test_a_flood_of_forgeries_is_told_of_rarely_and_costs_no_memory() -> None:
    near, bad = Member(), Member(crypto(seed=2))
    for ssrc in range(1, 500):
        for number in range(4):
            near.protection.open(bad.seal(rtp(number, ssrc=ssrc)), ssrc / 100, HERE)
    assert len(near.told) == MAX_TOLD
    assert len(near.protection._doubts.by_ssrc) <= MAX_DOUBTED
    assert not near.protection._into.sources
    for number in range(4):
        near.protection.open(bad.seal(rtp(number, ssrc=9999)), 5 + TOLD_PERIOD_S, HERE)
    assert near.told[-1][0] == 9999


def test_a_report_that_seems_not_to_be_encrypted_fails_as_well() -> None:
    """As one whose tag has another length may; libsrtp does not even check it."""
    near, sealed = Member(), Member().seal(RTCP)
    report = sealed[:-14] + bytes([sealed[-14] & 0x7F]) + sealed[-13:]
    for _ in range(3):
        assert near.protection.open(report, 0.0, HERE) is None
    assert [ssrc for ssrc, _, _ in near.told] == [0x1234]


@pytest.mark.parametrize("junk", [b"\x80\x6f", b"\x80" * 11, b"\x80\xc8" + bytes(6), b"\x80" * 40])
def test_whatever_arrives_is_harmless(junk: bytes) -> None:
    near = Member().protection
    for _ in range(9):
        assert near.open(junk, 0.0, HERE) is None


def test_keyed_takes_any_source() -> None:
    out, into = keyed(crypto(), outbound=True), keyed(crypto(), outbound=False)
    for ssrc in range(1, 20):
        assert into.unprotect(out.protect(rtp(1, ssrc=ssrc)) or b"") == rtp(1, ssrc=ssrc)
