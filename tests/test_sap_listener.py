"""What others announce, and what spam can do, on virtual time."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from sdp_lab import NOW, tea

from ipconf.directory import AddressAllocator, News, SapAnnouncer, SapListener, SapSettings
from ipconf.directory.sap_wire import SapPacket, write_packet
from ipconf.sdp import ConferenceDescription, Connection, Timing, write_description

GROUP = ip_address("239.255.255.255")
ANN, EVE = "192.0.2.1", "192.0.2.66"
FOREVER = tea(times=(Timing(),))
HOUR = 3600.0


def listener(**changes: object) -> SapListener:
    """One whose clock begins with 0 at `NOW`."""
    return SapListener(SapSettings(**changes), unix_offset_s=NOW)


def packet(description: ConferenceDescription, source: str = ANN) -> bytes:
    """Its announcement."""
    announcer = SapAnnouncer(source, SapSettings(), Random(0))
    return announcer.announce(description, 0.0, ttl=1)[0].datagram


def deletion(description: ConferenceDescription, source: str = ANN) -> bytes:
    """What withdraws it."""
    announcer = SapAnnouncer(source, SapSettings(), Random(0))
    announcer.announce(description, 0.0, ttl=1)
    return announcer.withdraw_all()[0].datagram


def numbered(number: int, size: int = 0) -> ConferenceDescription:
    """One of many, for good, with so much to say."""
    origin = tea().origin.replace(session_id=number + 1)
    return FOREVER.replace(origin=origin, information="x" * size or None)


def take(heard: SapListener, data: bytes, sender: str, now: float) -> list[tuple[News, str]]:
    """What is new then."""
    news = heard.receive(data, sender, GROUP, now)
    return [(n.what, n.conference.description.name) for n in news]


def tick(heard: SapListener, now: float) -> list[News]:
    """What is forgotten then."""
    return [n.what for n in heard.handle_timer(now)]


def test_a_conference_is_heard_changed_and_withdrawn() -> None:
    heard = listener()
    assert take(heard, packet(FOREVER), ANN, 1.0) == [(News.HEARD, "Tea")]
    assert take(heard, packet(FOREVER), ANN, 2.0) == []
    coffee = FOREVER.replace(name="Coffee")
    assert take(heard, packet(coffee), ANN, 3.0) == [(News.CHANGED, "Coffee")]
    assert take(heard, packet(FOREVER), ANN, 4.0) == []
    (known,) = heard.conferences
    assert (known.first_heard, known.last_heard, known.times_heard) == (1.0, 3.0, 3)
    assert take(heard, deletion(coffee), ANN, 5.0) == [(News.DELETED, "Coffee")]
    assert take(heard, deletion(coffee), ANN, 6.0) == []
    counts = heard.counts
    assert (counts.packets, counts.repeated, counts.stale, counts.unknown) == (6, 1, 1, 1)
    assert (heard.conferences, heard.count_in(GROUP)) == ((), 0)


def test_addresses_that_are_announced_are_not_handed_out() -> None:
    heard = listener()
    allocator = AddressAllocator(Random(1), heard.used_groups)
    (taken,) = AddressAllocator(Random(1)).request(starts_at=NOW).addresses
    group = Connection(address=str(taken), ttl=1)
    take(heard, packet(FOREVER.replace(connection=group)), ANN, 1.0)
    assert heard.used_groups() == {str(taken)}
    assert allocator.request(starts_at=NOW).addresses != (taken,)


def test_only_its_announcer_can_change_or_withdraw_it() -> None:
    heard = listener()
    take(heard, packet(FOREVER), ANN, 1.0)
    spoilt = FOREVER.replace(name="Spoilt")
    assert take(heard, packet(spoilt), EVE, 2.0) == []
    assert take(heard, packet(spoilt, EVE), EVE, 3.0) == []
    assert take(heard, deletion(FOREVER), EVE, 4.0) == []
    assert take(heard, deletion(FOREVER, EVE), EVE, 5.0) == []
    assert take(heard, deletion(FOREVER, EVE), ANN, 6.0) == []
    assert heard.counts.foreign == 5
    assert [h.description.name for h in heard.conferences] == ["Tea"]


def test_a_deletion_may_hold_the_whole_description_or_nothing() -> None:
    for payload in (write_description(FOREVER).encode(), b""):
        heard = listener()
        take(heard, packet(FOREVER), ANN, 1.0)
        (known,) = heard.conferences
        whole = SapPacket(ip_address(ANN), known.message_hash, payload, is_deletion=True)
        assert take(heard, write_packet(replace(whole, message_hash=1)), ANN, 2.0) == (
            [(News.DELETED, "Tea")] if payload else []
        )
        assert take(heard, write_packet(whole), ANN, 3.0) == (
            [] if payload else [(News.DELETED, "Tea")]
        )


def test_conferences_without_numbers_of_their_own_are_told_apart() -> None:
    """FFmpeg numbers all its sessions 0: their hashes differ."""
    zero = FOREVER.origin.replace(session_id=0, session_version=0)
    one, two = (FOREVER.replace(origin=zero, name=name) for name in ("One", "Two"))
    heard = listener()
    assert take(heard, packet(one), ANN, 1.0) == [(News.HEARD, "One")]
    assert take(heard, packet(two), ANN, 2.0) == [(News.HEARD, "Two")]
    assert take(heard, deletion(one), ANN, 3.0) == [(News.DELETED, "One")]
    assert [h.description.name for h in heard.conferences] == ["Two"]


def test_what_is_no_longer_heard_is_forgotten_after_an_hour() -> None:
    heard = listener()
    take(heard, packet(FOREVER), ANN, 0.0)
    take(heard, packet(FOREVER), ANN, 1000.0)
    assert tick(heard, HOUR + 999) == []
    due = heard.next_deadline()
    assert due == HOUR + 1000
    assert tick(heard, due) == [News.EXPIRED]
    assert heard.next_deadline() is None


def test_or_after_ten_intervals_where_that_is_longer() -> None:
    heard = listener(
        bandwidth_bps=1000, max_parsed_per_s=1e6, max_packets_per_s=1e6, max_entries_per_sender=500
    )
    for number in range(500):
        take(heard, packet(numbered(number)), ANN, 0.0)
    size = heard.conferences[0].size
    ten_intervals = 10 * 8 * 500 * size / 1000
    assert ten_intervals > HOUR
    assert tick(heard, ten_intervals - 10) == []
    now = heard.next_deadline()
    assert now is not None
    assert now > HOUR
    while heard.conferences:
        tick(heard, now)
        now += 60
    assert now < ten_intervals + 300


def test_what_is_over_is_forgotten_and_not_taken_up() -> None:
    half_an_hour = tea()
    heard = listener()
    take(heard, packet(half_an_hour), ANN, 0.0)
    assert heard.next_deadline() == 1800.0
    assert tick(heard, 1800.0) == [News.ENDED]
    assert take(heard, packet(half_an_hour), ANN, 1801.0) == []
    assert heard.counts.stale == 1


def test_what_is_not_understood_is_counted() -> None:
    heard = listener()
    good = packet(FOREVER)
    for data in (b"", b"x" * 100, good[:40], good.replace(b"v=0", b"v=7")):
        assert take(heard, data, ANN, 1.0) == []
    source = ip_address(ANN)
    other = SapPacket(source, 1, b"<xml/>", payload_type="application/xml")
    assert take(heard, write_packet(other), ANN, 1.0) == []
    spoilt = SapPacket(source, 1, b"o=spoilt", is_deletion=True)
    assert take(heard, write_packet(spoilt), ANN, 1.0) == []
    assert heard.counts.unreadable == 6
    secret = SapPacket(source, 1, b"secret", is_encrypted=True)
    assert take(heard, write_packet(secret), ANN, 1.0) == []
    assert heard.counts.encrypted == 1


def test_a_zero_at_the_end_is_no_harm() -> None:
    assert take(listener(), packet(FOREVER) + b"\0", ANN, 1.0) == [(News.HEARD, "Tea")]


def test_a_flood_is_bounded_in_rate() -> None:
    heard = listener(max_packets_per_s=50, max_parsed_per_s=10)
    for number in range(1000):
        take(heard, packet(numbered(number)), f"10.0.{number // 250}.{number % 250}", number / 1e3)
    assert len(heard.conferences) <= 20
    assert heard.counts.flooded >= 980
    take(heard, packet(FOREVER), ANN, 5.0)
    assert heard.conferences[-1].sender == ANN


def test_one_sender_fills_a_tenth_of_the_room() -> None:
    heard = listener(max_entries=100, max_entries_per_sender=10, max_parsed_per_s=1e6)
    for number in range(50):
        take(heard, packet(numbered(number)), EVE, float(number))
    assert (len(heard.conferences), heard.counts.refused) == (10, 40)
    assert take(heard, packet(numbered(77)), ANN, 60.0) == [(News.HEARD, "Tea")]


def test_what_was_heard_once_makes_room_and_what_is_repeated_stays() -> None:
    heard = listener(max_entries=5, max_parsed_per_s=1e6)
    mine = packet(numbered(1000))
    take(heard, mine, ANN, 0.0)
    take(heard, mine, ANN, 1.0)
    for number in range(50):
        take(heard, packet(numbered(number)), f"10.0.0.{number}", 2.0 + number)
    assert len(heard.conferences) == 5
    assert heard.conferences[0].sender == ANN
    for conference in heard.conferences:
        data = packet(conference.description)
        take(heard, data, conference.sender, 100.0)
    assert take(heard, packet(numbered(2000)), "10.0.1.1", 101.0) == []
    assert heard.counts.refused == 1


def test_the_room_is_bounded_in_bytes() -> None:
    heard = listener(max_bytes=10_000, max_parsed_per_s=1e6, max_entry_bytes=2000)
    for number in range(30):
        take(heard, packet(numbered(number, 1000)), f"10.0.0.{number}", float(number))
    assert sum(h.size for h in heard.conferences) <= 10_000
    assert len(heard.conferences) >= 5
    last = heard.conferences[-1]
    grown = last.description.replace(information="x" * 1600)
    assert take(heard, packet(grown), last.sender, 40.0) in ([], [(News.CHANGED, "Tea")])
    assert sum(h.size for h in heard.conferences) <= 10_000
    long = write_packet(SapPacket(ip_address(ANN), 1, write_description(grown).encode() * 2))
    assert take(heard, long, ANN, 50.0) == []
    short = write_packet(
        SapPacket(ip_address(ANN), 1, write_description(grown).encode() * 2), compress=True
    )
    assert take(heard, short, ANN, 51.0) == []
    assert heard.counts.unreadable == 2


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 255))
def test_nothing_from_the_network_raises(body: bytes, flags: int) -> None:
    heard = listener()
    data = bytes((flags, 0, 1, 1, 192, 0, 2, 1)) + body
    assert heard.receive(data, ANN, GROUP, 0.0) == []
    assert heard.counts.packets == 1
