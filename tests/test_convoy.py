"""Convoys: packets that many sources send in step are those that each would have sent by itself."""

from __future__ import annotations

from sessions import AUDIO, EXTENSIONS, OPUS, rtp, session

from ipconf.engine.convoy import RECENT_PACKETS, Convoy
from ipconf.engine.local_source import LocalSource
from ipconf.engine.outputs import LocalSsrcChanged, Transmit
from ipconf.engine.rtcp_wire import SenderReport, parse_compound
from ipconf.engine.rtp_wire import RtpPacket, parse_rtp
from ipconf.engine.session import RtpSession

LEVEL = 30


def begun(seed: int) -> RtpSession:
    """A session whose source has named its section often enough to share its packets."""
    one = session(sections=(AUDIO,), seed=seed)
    while one.local("a").sharing is None:
        one.send("a", OPUS, 0, b"", 0.0, level=LEVEL)
    return one


def tail(source: LocalSource, payload: bytes):
    return source.tail(payload, LEVEL, (7,), (20,))


def counters(source: LocalSource) -> dict[str, object]:
    source.settle()
    names = ("sequence", "packets", "octets", "last_sent", "_last_timestamp")
    return {name: getattr(source, name) for name in names}


def test_a_packet_of_each_is_the_one_it_would_have_sent() -> None:
    alone, other, more = (begun(seed) for seed in (1, 1, 2))
    sent: dict[RtpSession, list[bytes]] = {other: [], more: []}
    convoy = Convoy()
    for one, begin in ((other, 5000), (more, 2**32 - 500)):
        convoy.join(one.local("a"), OPUS, begin, sent[one].append)
    for number in range(RECENT_PACKETS + 50):
        payload, now = bytes([number % 256] * (number % 7 + 1)), 1 + number * 0.02
        marker = number % 100 == 0
        convoy.send(tail(other.local("a"), payload), number * 960, now, marker)
        stamp = 5000 + number * 960 & 0xFFFFFFFF
        expected = alone.send(
            "a", OPUS, stamp, payload, now,
            marker=marker, level=LEVEL, csrcs=(7,), csrc_levels=(20,),
        )  # fmt: skip
        assert sent[other][-1] == expected
        theirs = parse_rtp(sent[more][-1], EXTENSIONS)
        assert theirs.timestamp == (2**32 - 500 + number * 960) & 0xFFFFFFFF
        assert theirs.ssrc == more.local("a").ssrc and theirs.payload == payload
    assert counters(other.local("a")) == counters(alone.local("a"))
    assert other.stats.rtp_sent == alone.stats.rtp_sent
    numbers = [parse_rtp(datagram, EXTENSIONS).sequence for datagram in sent[more]]
    assert all((b - a) & 0xFFFF == 1 for a, b in zip(numbers, numbers[1:], strict=False))


def test_reports_count_what_was_sent_in_step() -> None:
    one = begun(1)
    source, convoy = one.local("a"), Convoy()
    before = source.packets
    convoy.join(source, OPUS, 0, lambda datagram: None)
    for number in range(10):
        convoy.send(tail(source, b"abc"), number * 960, 4.8 + number * 0.02, False)
    (report,) = (
        packet
        for output in one.handle_timer(one.next_deadline())
        if isinstance(output, Transmit)
        for packet in parse_compound(output.datagram)[0]
        if isinstance(packet, SenderReport)
    )
    assert report.packet_count == before + 10 and report.octet_count == 30


def test_who_leaves_goes_on_where_the_convoy_was() -> None:
    one = begun(1)
    source, convoy, sent = one.local("a"), Convoy(), list[bytes]()
    convoy.join(source, OPUS, 0, sent.append)
    convoy.send(tail(source, b"x"), 960, 1.0, False)
    convoy.leave(source)
    convoy.leave(source)
    convoy.send(tail(source, b"x"), 1920, 1.02, False)
    assert len(sent) == 1 and source.convoy is None
    after = parse_rtp(one.send("a", OPUS, 1920, b"x", 1.02), EXTENSIONS)
    assert after.sequence == (parse_rtp(sent[0], EXTENSIONS).sequence + 1) & 0xFFFF


def test_another_convoy_takes_over() -> None:
    one = begun(1)
    source, sent = one.local("a"), list[bytes]()
    first, second = Convoy(), Convoy()
    for number, convoy in enumerate((first, second, first)):
        convoy.join(source, OPUS, 0, sent.append)
        for either in (first, second):
            either.send(tail(source, b"x"), number * 960, number * 0.02, False)
    packets = [parse_rtp(datagram, EXTENSIONS) for datagram in sent]
    assert [p.sequence - packets[0].sequence & 0xFFFF for p in packets] == [0, 1, 2]
    assert [p.timestamp for p in packets] == [0, 960, 1920]


def test_goodbye_is_the_end_of_it() -> None:
    one = begun(1)
    source, convoy, sent = one.local("a"), Convoy(), list[bytes]()
    convoy.join(source, OPUS, 0, sent.append)
    one.leave("", 1.0)
    convoy.send(tail(source, b"x"), 960, 1.0, False)
    assert not sent and source not in convoy


def test_own_packets_that_come_back_are_known_and_a_stranger_changes_the_ssrc() -> None:
    one = begun(1)
    source, convoy, sent = one.local("a"), Convoy(), list[bytes]()
    convoy.join(source, OPUS, 0, sent.append)
    for number in range(3):
        convoy.send(tail(source, b"x"), number * 960, 1.0, False)
    for datagram in sent:
        assert not one.receive(datagram, 1.1, "echo")
    assert one.stats.own_ssrc == 3 and source in convoy
    stranger = rtp(source.ssrc, 40_000, 123)
    outputs = one.receive(stranger, 1.2, "stranger")
    assert any(isinstance(output, LocalSsrcChanged) for output in outputs)
    assert not any(isinstance(output, RtpPacket) for output in outputs)
    assert source not in convoy  # its numbers are others now: it has to come anew
