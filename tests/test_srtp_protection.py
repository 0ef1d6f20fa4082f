"""Encryption among many: who is opened, forgotten, told of; and a key that all have."""

from __future__ import annotations

import pytest
from sessions import session
from srtp_lab import Member, crypto
from transport_lab import RTCP, rtp

from ipconf.engine.outputs import Output
from ipconf.engine.rtcp_wire import ReceiverReport, compose
from ipconf.sdp.keys import AES_32, AES_80, KEY_BYTES
from ipconf.transports import inbound, protection
from ipconf.transports.doubts import FAILED, MAX_DOUBTED, MAX_TOLD, TOLD_PERIOD_S
from ipconf.transports.inbound import Inbound, LineMemory
from ipconf.transports.protection import FAILURE_SLOT_S, MAX_FAILURES

HERE, ELSEWHERE = ("127.0.0.1", 5004), ("203.0.113.9", 5004)


# -- a key that all have


def test_nothing_is_sent_under_an_ssrc_that_somebody_else_has() -> None:
    """Two packets under one key and number would give away what is in them."""
    us, other = Member(), Member()
    for number in range(100, 110):
        assert us.protection.protect(rtp(number))
    assert us.protection.open(other.seal(rtp(30_000)), 0.0, HERE) == rtp(30_000)
    assert us.protection.protect(rtp(110)) is None and us.protection.protect(RTCP) is None
    assert us.protection.protect(rtp(110, ssrc=0x9999)) is not None


def test_a_repetition_of_what_we_have_sent_silences_nobody() -> None:
    """Anybody can send again what they have heard of us."""
    us = Member()
    sent = [us.protection.protect(rtp(number)) for number in range(65_500, 65_600)]
    for packet in sent[:10]:
        assert packet is not None
        us.protection.open(packet, 0.0, HERE)
    assert us.protection.protect(rtp(65_600)) is not None


def test_with_a_key_of_each_nobody_needs_to_care() -> None:
    us, far = Member(shared=False), Member()
    us.protection.protect(rtp(1))
    assert us.protection.open(far.seal(rtp(30_000)), 0.0, HERE)
    assert us.protection.protect(rtp(2)) is not None


def test_our_own_packets_that_come_back_are_opened_apart() -> None:
    """So that somebody else under our SSRC is understood, too."""
    us, other = Member(), Member()
    us.protection.own = HERE
    for number in range(60_000, 60_005):
        packet = us.protection.protect(rtp(number))
        assert packet is not None and us.protection.open(packet, 0.0, HERE) == rtp(number)
    there = ("127.0.0.2", 5004)
    assert us.protection.open(other.seal(rtp(7)), 0.0, there) == rtp(7)
    assert us.protection.protect(rtp(60_005)) is None and not us.told


@pytest.mark.parametrize("suite", KEY_BYTES)
def test_what_we_have_sent_is_not_opened_again(suite: str) -> None:
    """Somebody without a key keeps what we say, and sends it later: in our name, or a ghost's."""
    us, other = Member(crypto(suite)), Member(crypto(suite))
    said = [us.protection.protect(rtp(number)) or b"" for number in range(3000)]
    reports = [us.protection.protect(RTCP) or b"" for _ in range(3)]
    for left in (False, True):
        for packet in (*said[::50], *reports):
            assert us.protection.open(packet, 0.0, ELSEWHERE) is None
        assert (us.protection.protect(rtp(3000)) is None) is left
        assert us.protection.open(other.seal(rtp(30_000 + left)), 0.0, HERE) is not None
    assert not us.told


def test_reports_of_somebody_else_under_our_ssrc_are_heard() -> None:
    us, other = Member(), Member()
    for _ in range(5):
        assert us.protection.protect(RTCP) is not None
    report = compose(ReceiverReport(0x1234, ()))
    assert us.protection.open(other.seal(report), 0.0, HERE) == report


def test_reports_of_ours_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "MAX_OWN_REPORTS", 3)
    us = Member()
    reports = [us.protection.protect(RTCP) or b"" for _ in range(5)]
    assert len(us.protection._own_reports) == 3
    opened = [us.protection.open(report, 0.0, ELSEWHERE) for report in reports]
    assert [plain is None for plain in opened] == [False] * 2 + [True] * 3


def test_an_eavesdropper_without_a_key_changes_nothing() -> None:
    us, ours = Member(), session(unicast=False)
    ours.local("a").sequence &= 0x7FFF
    wire, now, outputs = list[bytes](), 0.0, list[Output]()
    for number in range(3000):
        now += 0.02
        sent = ours.send("a", 111, number * 960, b"secret", now)
        wire.append(us.protection.protect(sent) or b"")
    for datagram in wire[500:900]:
        now += 0.02
        plain = us.protection.open(datagram, now, ELSEWHERE)
        outputs += ours.receive(plain, now, ELSEWHERE) if plain else []
    assert not outputs and not ours.sources and not ours.stats.collisions


# -- many


def test_of_too_many_the_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the key can make up any number of them, and each takes memory of libsrtp's."""
    monkeypatch.setattr(inbound, "MAX_SOURCES", 8)
    near, far = Member(), Member()
    into = near.protection._into
    for now in range(20):
        for ssrc in (1, 1000 + now):  # one who talks on, and newcomers
            packet = far.seal(rtp(now, ssrc=ssrc))
            assert near.protection.open(packet, float(now), HERE) == rtp(now, ssrc=ssrc)
            report = compose(ReceiverReport(ssrc, ()))
            assert near.protection.open(far.seal(report), float(now), HERE) == report
        assert len(into.sources) <= 8 and (1).to_bytes(4, "big") in into.sources
    again = far.seal(rtp(99, ssrc=1000))
    assert near.protection.open(again, 20.0, HERE) == rtp(99, ssrc=1000)
    assert near.protection.open(again, 20.0, HERE) is None and not near.told


def test_sources_are_spread_over_sessions() -> None:
    into, far = Inbound(crypto()), Member()
    for ssrc in range(1, 1001):
        packet = far.seal(rtp(1, ssrc=ssrc))
        assert into.open(packet, ssrc.to_bytes(4, "big"), False, 0.0) == rtp(1, ssrc=ssrc)
    assert len(into.sources) == 1000 and len(into._sessions) == 256


def test_a_flood_of_junk_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far, opened = Member(), Member(), list[bytes]()
    assert near.protection.open(far.seal(rtp(0)), 0.0, HERE)
    work = Inbound.open

    def counted(into: Inbound, data: bytes, *about: object) -> bytes | None:
        opened.append(data)
        return work(into, data, *about)  # type: ignore[arg-type]

    monkeypatch.setattr(Inbound, "open", counted)
    for ssrc in range(5000):
        assert near.protection.open(rtp(0, ssrc=1 << 20 | ssrc) + b"x" * 10, 1.0, ELSEWHERE) is None
    assert len(opened) == MAX_FAILURES
    assert near.protection.open(far.seal(rtp(1)), 1.0, HERE), "who is known is heard"
    newcomer = far.seal(rtp(1, ssrc=7))
    assert near.protection.open(newcomer, 1.0, HERE) is None
    assert near.protection.open(newcomer, 1.01 + FAILURE_SLOT_S, HERE), "and then all are"


# -- what is told


@pytest.mark.parametrize("junk", [b"\x80\x00", b"\x80" * 11, b"\x80\xc8" + bytes(5)])
def test_what_is_too_short_is_nobodys(junk: bytes) -> None:
    near = Member()
    for _ in range(9):
        assert near.protection.open(junk, 0.0, ELSEWHERE) is None
    assert not near.told


def test_junk_does_not_drown_a_member_with_another_key() -> None:
    near, wrong, made_up = Member(), Member(crypto(seed=7)), 1 << 28
    for second in range(120):
        for turn in range(100):
            made_up += 1
            for _ in range(3 if turn < 4 else 1):
                junk = rtp(0, ssrc=made_up) + b"x" * 10
                near.protection.open(junk, float(second), ELSEWHERE)
        for number in range(2):
            packet = wrong.seal(rtp(2 * second + number, ssrc=42))
            near.protection.open(packet, float(second), HERE)
    assert [told for told in near.told if told[0] == 42] == [(42, False, FAILED)]
    assert len(near.told) <= (MAX_TOLD + 1) * 120 / TOLD_PERIOD_S
    assert len(near.protection._doubts.by_ssrc) <= MAX_DOUBTED


# -- over negotiations


def test_a_line_whose_key_stays_goes_on() -> None:
    memory = LineMemory()
    one = memory.of(0, crypto(tag=1))
    assert memory.of(0, crypto(tag=2)) is one and memory.of(1, crypto()) is not one
    assert memory.of(0, crypto(seed=2)) is not one
    assert memory.of(0, crypto()) is not one, "only the latest is kept"
    assert memory.of(1, crypto(AES_32)) is not memory.of(1, crypto(AES_80))
