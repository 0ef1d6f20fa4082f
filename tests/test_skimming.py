"""Skimming: what is counted of packets that nobody takes apart, and that nothing else changes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from sessions import AUDIO, EXTENSIONS, rtp, session

from ipconf.engine.outputs import Output
from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket, compose_extension
from ipconf.engine.session import RtpSession
from ipconf.engine.skimming import Timed

SSRC = 0x1234
WHENCE = ("192.0.2.1", 4000)
SOFT, LOUD = 70, 30


class Skimmer:
    """Keeps what it is given."""

    quiet_level = 127

    def __init__(self) -> None:
        self.awake = False
        self.got: list[tuple[bytes, int, float]] = []

    def skim(self, run: Sequence[Timed], levels: Sequence[int]) -> None:
        for (datagram, now), level in zip(run, levels, strict=True):
            self.got.append((datagram, level, now))


def packet(sequence: int, level: int | None = SOFT, **values: object) -> bytes:
    extension = b"" if level is None else compose_extension(EXTENSIONS, level=level)
    return rtp(SSRC, sequence, extension=extension, **values)  # type: ignore[arg-type]


def begun(skimmer: Skimmer | None = None) -> RtpSession:
    """A session that has heard of the source, up to sequence number 9."""
    one = session(sections=(AUDIO,))
    for number in range(10):
        one.receive(packet(number), number * 0.02, WHENCE)
    assert SSRC in one.sources
    if skimmer is not None:
        one.skimming.skimmers[SSRC] = skimmer
    return one


def feed(one: RtpSession, datagram: bytes, now: float, origin: object = WHENCE) -> list[Output]:
    """As a channel does."""
    if one.skimming.take([(datagram, now)], origin):  # type: ignore[arg-type]
        return []
    return list(one.receive(datagram, now, origin))  # type: ignore[arg-type]


def counted(source: RemoteSource) -> dict[str, object]:
    """All that the source knows of its packets; of how it remembers them only what that means."""
    source._all_seen()
    names = set(RemoteSource.__slots__) - {"held", "_seen_to"}
    return {name: getattr(source, name) for name in names}


def test_plain_packets_are_counted_and_stay_whole() -> None:
    skimmer = Skimmer()
    one = begun(skimmer)
    before = one.stats.rtp_received
    assert feed(one, packet(10), 0.2) == []
    assert skimmer.got == [(packet(10), SOFT, 0.2)]
    source = one.sources[SSRC]
    assert (source.packets, source.highest & 0xFFFF, source.level) == (11, 10, SOFT)
    assert source.last_rtp == 0.2 and one.stats.rtp_received == before + 1


@pytest.mark.parametrize(
    "datagram",
    [
        packet(11),
        packet(9),
        packet(10, LOUD),
        packet(10, None),
        packet(10, csrcs=(7,)),
        packet(10, payload_type=99),
        packet(10, payload=b""),
        packet(10, marker=True),
        rtp(77, 10, extension=compose_extension(EXTENSIONS, level=SOFT)),
        rtp(SSRC, 10, extension=compose_extension(EXTENSIONS, level=SOFT, mid="a")),
        packet(10)[:18],
        b"",
    ],
    ids=[
        *("gap", "repeated", "loud", "no-level", "csrc", "format"),
        *("empty", "marked", "stranger", "mid", "cut", "nothing"),
    ],
)
def test_what_is_worth_a_look_is_not_skimmed(datagram: bytes) -> None:
    skimmer = Skimmer()
    one = begun(skimmer)
    before = counted(one.sources[SSRC])
    assert not one.skimming.take([(datagram, 0.2)], WHENCE)
    assert not skimmer.got and counted(one.sources[SSRC]) == before


def test_nor_what_comes_from_elsewhere_or_is_wanted_whole() -> None:
    skimmer = Skimmer()
    one = begun(skimmer)
    assert not one.skimming.take([(packet(10), 0.2)], ("192.0.2.2", 4000))
    skimmer.awake = True
    assert not one.skimming.take([(packet(10), 0.2)], WHENCE)
    skimmer.awake = False
    one.leave("", 0.2)
    assert not one.skimming.take([(packet(10), 0.2)], WHENCE)


@pytest.mark.parametrize("seed", range(5))
def test_a_session_knows_the_same_of_a_source_as_without(seed: int) -> None:
    rng = random.Random(seed)
    skimmer = Skimmer()
    skimmed, whole = begun(skimmer), begun()
    arrivals = []
    for number in range(10, 2000):
        if rng.random() < 0.95:
            delay = 0.3 if rng.random() < 0.02 else rng.random() * 0.01
            level = LOUD if rng.random() < 0.1 else SOFT
            arrivals.append((number * 0.02 + delay, packet(number, level)))
        if rng.random() < 0.01:
            arrivals.append((number * 0.02 + 0.05, arrivals[-1][1]))
    for at, datagram in sorted(arrivals):
        feed(skimmed, datagram, at)
        whole.receive(datagram, at, WHENCE)
    assert len(skimmer.got) > 1000
    ours, theirs = counted(skimmed.sources[SSRC]), counted(whole.sources[SSRC])
    assert ours == theirs
    assert skimmed.stats == whole.stats
    assert skimmed.sources[SSRC].report(50.0) == whole.sources[SSRC].report(50.0)


def test_a_skimmed_packet_is_restored_as_it_would_have_come() -> None:
    skimmer = Skimmer()
    one, whole = begun(skimmer), begun()
    feed(one, packet(10), 0.2)
    feed(one, packet(11), 0.22)
    (came,) = whole.receive(packet(10), 0.2, WHENCE)
    assert isinstance(came, RtpPacket)
    again = one.skimming.restore(skimmer.got[0][0], one.sources[SSRC], 0.2)
    for name in RtpPacket.__slots__:
        if name != "source":
            assert getattr(again, name) == getattr(came, name), name
    assert again.source is one.sources[SSRC]


def test_a_run_is_counted_as_one_by_one() -> None:
    skimmer, other = Skimmer(), Skimmer()
    one, many = begun(skimmer), begun(other)
    rng = random.Random(1)
    arrivals = [(packet(n), n * 0.02 + rng.random() * 0.01) for n in range(10, 26)]
    for datagram, now in arrivals:
        feed(one, datagram, now)
    assert many.skimming.take(arrivals, WHENCE) == len(arrivals)
    assert counted(many.sources[SSRC]) == counted(one.sources[SSRC])
    assert other.got == skimmer.got and many.stats == one.stats


@pytest.mark.parametrize(
    "odd",
    [packet(13, LOUD), packet(14), packet(13, payload_type=99), rtp(77, 13), packet(13)[:18]],
    ids=["loud", "gap", "format", "stranger", "cut"],
)
def test_a_run_ends_where_one_is_worth_a_look(odd: bytes) -> None:
    skimmer = Skimmer()
    one = begun(skimmer)
    run = [
        (packet(10), 0.2),
        (packet(11), 0.22),
        (packet(12), 0.24),
        (odd, 0.26),
        (packet(14), 0.3),
    ]
    assert one.skimming.take(run, WHENCE) == 3
    assert [datagram for datagram, _, _ in skimmer.got] == [packet(n) for n in (10, 11, 12)]
    assert one.sources[SSRC].highest & 0xFFFF == 12
