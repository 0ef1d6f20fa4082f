"""Packets that wait: all are delivered, in order, as of when they came, before anything else."""

from __future__ import annotations

import pytest
from sessions import EXTENSIONS, rtp

from ipconf.engine.rtp_wire import compose_extension
from ipconf.engine.skimming import Timed
from ipconf.transports.backlog import MAX_WAIT_S, MAX_WAITING, Backlog

SSRC = 0x1210  # of which the first run is as long as all others
MARK = bytes.fromhex("00001210 bede0001 10")
WHENCE = ("192.0.2.1", 4000)
QUIET, SOFT = 90, 60


class Skimmer:
    quiet_level = SOFT

    def __init__(self) -> None:
        self.awake = False

    def skim(self, run: object, levels: object) -> None:
        raise AssertionError("that is for whom it is delivered to")


class Lab:
    def __init__(self) -> None:
        self.skimmer = Skimmer()
        self.came: list[tuple[bytes, float, object]] = []
        self.backlog = Backlog(MARK, self.skimmer, self.take)

    def take(self, run: list[Timed], address: object) -> None:
        self.came += [(datagram, at, address) for datagram, at in run]

    def arrive(self, datagram: bytes, now: float, whence: tuple[str, int] = WHENCE) -> bool:
        return self.backlog.keep(datagram, whence, now)


def packet(sequence: int, level: int = QUIET, ssrc: int = SSRC) -> bytes:
    return rtp(ssrc, sequence, extension=compose_extension(EXTENSIONS, level=level))


def test_a_dozen_are_delivered_at_once_as_of_when_they_came() -> None:
    lab = Lab()
    for number in range(2 * MAX_WAITING):
        assert lab.arrive(packet(number), number * 0.02)
        assert len(lab.came) == (number + 1) // MAX_WAITING * MAX_WAITING
    expected = [(packet(number), number * 0.02, WHENCE) for number in range(2 * MAX_WAITING)]
    assert lab.came == expected


@pytest.mark.parametrize(
    "other",
    [packet(5, SOFT), packet(5, 20), packet(5, ssrc=77), rtp(SSRC, 5), b"\x81\xc9", b""],
    ids=["soft", "loud", "stranger", "no-level", "rtcp", "nothing"],
)
def test_anything_else_lets_them_go_first(other: bytes) -> None:
    lab = Lab()
    for number in range(3):
        lab.arrive(packet(number), 0.0)
    assert not lab.arrive(other, 1.0)
    assert [datagram for datagram, _, _ in lab.came] == [packet(number) for number in range(3)]


def test_who_is_awake_waits_for_nothing() -> None:
    lab = Lab()
    assert lab.arrive(packet(1), 0.0)
    lab.skimmer.awake = True
    assert not lab.arrive(packet(2), 0.02)
    assert [datagram for datagram, _, _ in lab.came] == [packet(1)]


def test_each_run_comes_from_one_address() -> None:
    lab, elsewhere = Lab(), ("192.0.2.1", 4001)
    assert lab.arrive(packet(1), 0.0)
    assert not lab.arrive(packet(2), 0.0, elsewhere)
    assert lab.came == [(packet(1), 0.0, WHENCE)]
    assert lab.arrive(packet(3), 0.0, elsewhere)
    lab.backlog.release()
    assert lab.came[1:] == [(packet(3), 0.0, elsewhere)]


def test_nobody_waits_for_long() -> None:
    lab = Lab()
    assert lab.arrive(packet(1), 0.0)
    assert lab.arrive(packet(2), MAX_WAIT_S)
    assert not lab.arrive(packet(3), MAX_WAIT_S + 0.02)
    assert [datagram for datagram, _, _ in lab.came] == [packet(1), packet(2)]


def test_what_delivery_brings_about_may_ask_for_delivery() -> None:
    lab = Lab()

    def take(run: list[Timed], address: object) -> None:
        lab.backlog.release()
        lab.take(run, address)

    lab.backlog.deliver = take
    for number in range(MAX_WAITING):
        lab.arrive(packet(number), 0.0)
    assert [datagram for datagram, _, _ in lab.came] == [packet(n) for n in range(MAX_WAITING)]


def test_those_who_begin_together_are_not_delivered_together() -> None:
    firsts = set()
    for ssrc in range(SSRC, SSRC + MAX_WAITING):
        lab, number = Lab(), 0
        lab.backlog = Backlog(ssrc.to_bytes(4, "big") + MARK[4:], lab.skimmer, lab.take)
        while not lab.came:
            lab.arrive(packet(number, ssrc=ssrc), 0.0)
            number += 1
        firsts.add(number)
    assert firsts == set(range(1, MAX_WAITING + 1))
