"""When announcements are sent: RFC 2974 section 3.1, on virtual time."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from random import Random

import pytest
from sdp_lab import tea

from ipconf.directory import SapAnnouncer, SapSettings
from ipconf.directory.sap_announcer import Outgoing
from ipconf.directory.sap_wire import parse_packet
from ipconf.errors import ConfigurationError, NoItemError
from ipconf.sdp import ConferenceDescription, Connection, parse_description

LOCAL = ip_address("239.255.255.255")


def numbered(number: int) -> ConferenceDescription:
    """One of many conferences."""
    origin = tea().origin.replace(session_id=number + 1)
    return tea().replace(origin=origin, name=f"Conference {number:05}")


def run(announcer: SapAnnouncer, until: float) -> list[tuple[float, Outgoing]]:
    """What is sent when, until then."""
    sent = []
    while (due := announcer.next_deadline()) is not None and due <= until:
        sent += [(due, out) for out in announcer.handle_timer(due)]
    return sent


def test_the_first_goes_out_at_once_and_is_repeated() -> None:
    announcer = SapAnnouncer("192.0.2.1", SapSettings(), Random(1))
    first = announcer.announce(tea(), 50.0, ttl=15)
    assert [(out.group, out.ttl) for out in first] == [(LOCAL, 15)]
    packet = parse_packet(first[0].datagram)
    assert (str(packet.source), parse_description(packet.payload)) == ("192.0.2.1", tea())
    sent = run(announcer, 50 + 300_000.0)
    assert {out for _, out in sent} == set(first)
    times = [50.0, *(when for when, _ in sent)]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert all(200 <= gap <= 400 for gap in gaps)
    assert 290 < sum(gaps) / len(gaps) < 310
    assert min(gaps) < 210
    assert max(gaps) > 390
    assert announcer.is_ours(first[0].datagram)
    assert not announcer.is_ours(first[0].datagram + b" ")


def test_all_together_keep_to_the_bandwidth() -> None:
    """100 conferences of ours take a thirtieth of 4000 bit/s, where others have 2900."""
    announcer = SapAnnouncer("192.0.2.1", SapSettings(), Random(2), heard=lambda group: 2900)
    size = 0
    for number in range(100):
        out = announcer.announce(numbered(number), 0.0, ttl=1)
        size = len(out[0].datagram)
    interval = 8 * 3000 * size / 4000
    assert interval > 1000
    sent = run(announcer, 20 * interval)
    assert min(when for when, _ in sent) >= interval * 2 / 3 * 0.98
    bits = sum(8 * len(out.datagram) for _, out in sent)
    assert bits / (20 * interval) == pytest.approx(4000 / 30, rel=0.05)


def test_an_interval_is_computed_anew_with_what_was_heard_meanwhile() -> None:
    heard = 0
    announcer = SapAnnouncer("192.0.2.1", SapSettings(), Random(3), heard=lambda group: heard)
    size = len(announcer.announce(tea(), 0.0, ttl=1)[0].datagram)
    due = announcer.next_deadline()
    assert due is not None
    heard = 10_000
    assert announcer.handle_timer(due) == []
    later = announcer.next_deadline()
    assert later == pytest.approx(due / 300 * 8 * 10_001 * size / 4000)
    heard = 0
    assert later is not None
    assert len(announcer.handle_timer(later)) == 1


def test_groups_have_their_own_bandwidth() -> None:
    counts = Counter({LOCAL: 10_000})
    announcer = SapAnnouncer("192.0.2.1", SapSettings(), Random(4), heard=counts.__getitem__)
    group = Connection(address="224.2.130.1", ttl=127)
    (out,) = announcer.announce(tea(connection=group), 0.0, ttl=127)
    assert str(out.group) == "224.2.127.254"
    assert len(run(announcer, 400.0)) == 1


def test_a_new_edition_and_the_end() -> None:
    announcer = SapAnnouncer("192.0.2.1", SapSettings(min_interval_s=10), Random(5))
    (old,) = announcer.announce(tea(), 0.0, ttl=1)
    edited = tea().replace(name="Coffee")
    (new,) = announcer.announce(edited, 1.0, ttl=1)
    hashes = [parse_packet(out.datagram).message_hash for out in (old, new)]
    assert hashes[0] != hashes[1]
    assert {out for _, out in run(announcer, 100.0)} == {new}
    assert announcer.descriptions == (edited,)
    (gone,) = announcer.withdraw(edited.origin.identity)
    packet = parse_packet(gone.datagram)
    assert (packet.is_deletion, packet.message_hash) == (True, hashes[1])
    origin = edited.origin
    expected = f"o=- {origin.session_id} {origin.session_version} IN IP4 192.0.2.1\r\n"
    assert packet.payload == expected.encode()
    assert announcer.next_deadline() is None
    with pytest.raises(NoItemError):
        announcer.withdraw(edited.origin.identity)


def test_another_group_is_told_that_a_conference_has_moved() -> None:
    announcer = SapAnnouncer("192.0.2.1", SapSettings(), Random(6))
    announcer.announce(tea(), 0.0, ttl=1)
    moved = tea(connection=Connection(address="224.2.130.1", ttl=1))
    deletion, announcement = announcer.announce(moved, 1.0, ttl=1)
    assert (deletion.group, parse_packet(deletion.datagram).is_deletion) == (LOCAL, True)
    assert str(announcement.group) == "224.2.127.254"
    assert len(announcer.withdraw_all()) == 1


def test_what_is_over_is_no_longer_announced() -> None:
    announcer = SapAnnouncer("192.0.2.1", SapSettings(), Random(7))
    announcer.announce(tea(), 0.0, ttl=1, until=1000.0)
    sent = run(announcer, 10_000.0)
    assert 2 <= len(sent) <= 4
    assert sent[-1][0] < 1000
    assert announcer.descriptions == ()


def test_texts_may_be_compressed() -> None:
    announcer = SapAnnouncer("192.0.2.1", SapSettings(compress=True), Random(9))
    (out,) = announcer.announce(tea(information="x" * 2000), 0.0, ttl=1)
    assert len(out.datagram) < 400
    assert parse_description(parse_packet(out.datagram).payload) == tea(information="x" * 2000)


def test_what_cannot_be_announced() -> None:
    announcer = SapAnnouncer("192.0.2.1", SapSettings(max_entry_bytes=400), Random(8))
    with pytest.raises(ConfigurationError, match="400 can be announced"):
        announcer.announce(tea(information="x" * 300), 0.0, ttl=1)
    six = Connection(address="ff15::1", address_type="IP6")
    with pytest.raises(ConfigurationError, match=r"cannot be sent to from 192\.0\.2\.1"):
        announcer.announce(tea(connection=six), 0.0, ttl=1)
    assert announcer.next_deadline() is None
