"""Datagrams in batches, by one system call or one by one: each arrives as it was sent."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest
from peers import LOCALHOST
from transport_lab import Stranger, has_address

from ipconf.transports import mmsg
from ipconf.transports.binding import bind_udp
from ipconf.transports.mmsg import (
    BATCH,
    FEW,
    SLOT_BYTES,
    Mmsg,
    OneByOne,
    address_of,
    message_socket,
    name_of,
)

HOSTS = [LOCALHOST, "::1"] if has_address("::1") else [LOCALHOST]


@pytest.fixture(params=["mmsg", "one by one"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one by one":
        monkeypatch.setattr(mmsg, "_system_calls", lambda: None)
    elif mmsg._system_calls() is None:
        pytest.skip("this system has no such calls")


@pytest.fixture(params=HOSTS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    with bind_udp(request.param, None) as one, bind_udp(request.param, None) as other:
        yield one, other


@pytest.fixture(params=[0, FEW], autouse=True)
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a few are sent together, or as they are."""
    monkeypatch.setattr(mmsg, "FEW", request.param)


def test_this_system_has_the_calls_that_linux_has() -> None:
    with bind_udp(LOCALHOST, None) as sock:
        assert isinstance(message_socket(sock), Mmsg if mmsg._system_calls() else OneByOne)


def test_batches_of_every_size_arrive(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = map(message_socket, pair)
    for count in (1, 2, 3, FEW, FEW + 1, BATCH):
        sent = [bytes([n]) * (n * 16 % (SLOT_BYTES - 1)) for n in range(count)]
        assert one.send(sent, [pair[1].getsockname()] * count) == []
        came = other.receive()
        assert [data for _, data in came] == sent and other.receive() == []
        assert {address_of(key) for key, _ in came} == {pair[0].getsockname()[:2]}


def test_more_than_a_batch_is_received_in_several(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = map(message_socket, pair)
    for number in range(3):
        one.send([b"%d" % number] * BATCH, [pair[1].getsockname()] * BATCH)
    came = [data for _ in range(3) for _, data in other.receive()]
    assert came == [b"0"] * BATCH + [b"1"] * BATCH + [b"2"] * BATCH and other.receive() == []


def test_each_goes_to_its_own_far_end(pair: tuple[socket.socket, socket.socket]) -> None:
    sender = message_socket(pair[0])
    host = pair[0].getsockname()[0]
    far = [bind_udp(host, None) for _ in range(5)]
    sender.send([b"%d" % n for n in range(10)], [far[n % 5].getsockname() for n in range(10)])
    for number, sock in enumerate(far):
        came = message_socket(sock).receive()
        assert [data for _, data in came] == [b"%d" % number, b"%d" % (number + 5)]
        assert {address_of(key) for key, _ in came} == {pair[0].getsockname()[:2]}
        sock.close()


def test_one_that_cannot_be_sent_does_not_hold_up_the_others(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = map(message_socket, pair)
    good = pair[1].getsockname()
    nowhere = (good[0], 70_000), (good[0], 0)
    words = [bytes(70_000), b"b", b"c", b"d", b"e", bytes(70_000)]
    assert one.send(words, [good, good, *nowhere, good, good]) == [0, 2, 3, 5]
    assert [data for _, data in other.receive()] == [b"b", b"e"]


def test_too_long_ones_are_left_out(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = map(message_socket, pair)
    sizes = (SLOT_BYTES - 1, SLOT_BYTES, SLOT_BYTES + 1, 9000, 1)
    one.send([bytes(size) for size in sizes], [pair[1].getsockname()] * len(sizes))
    assert [len(data) for _, data in other.receive()] == [SLOT_BYTES - 1, 1]
    one.send([bytes(SLOT_BYTES)], [pair[1].getsockname()])
    assert other.receive() == []


def test_empty_ones_arrive() -> None:
    with bind_udp(LOCALHOST, None) as sock, Stranger() as stranger:
        stranger.send(sock.getsockname(), b"", b"x", b"")
        assert [data for _, data in message_socket(sock).receive()] == [b"", b"x", b""]


def test_a_closed_socket_sends_and_receives_nothing() -> None:
    sock = bind_udp(LOCALHOST, None)
    messages, address = message_socket(sock), sock.getsockname()
    sock.close()
    assert messages.receive() == []
    assert messages.send([b"x", b"y"], [address] * 2) == [0, 1]


def test_without_room_the_rest_is_lost() -> None:
    """Waiting for room would make others late; there are megabytes of it."""
    if mmsg._system_calls() is None:
        return  # one by one, nobody is told in the middle
    with bind_udp(LOCALHOST, None) as sock, Stranger() as far:
        messages = message_socket(sock)
        assert isinstance(messages, Mmsg)
        stock, answers = messages._sendmmsg, [2, -1]

        def send(number: int, at: int, count: int, flags: int) -> int:
            done = answers.pop(0)
            mmsg.ctypes.set_errno(errno.EAGAIN)
            return int(stock(number, at, done, flags)) if done > 0 else done

        messages._sendmmsg = send
        words = [b"%d" % number for number in range(20)]
        assert messages.send(words, [far.address] * 20) == list(range(2, 20))
        assert [far.socket.recv(9), far.socket.recv(9)] == words[:2]


def test_names_that_are_remembered_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmsg, "MAX_NAMES", 50)
    with bind_udp(LOCALHOST, None) as sock:
        messages = message_socket(sock)
        for first in range(1000, 1500, 20):
            messages.send([b"x"] * 20, [(LOCALHOST, first + n) for n in range(20)])
        assert len(getattr(messages, "_names", "")) <= 50


@pytest.mark.parametrize("address", [(LOCALHOST, 5004), ("::1", 1), ("fe80::1", 9, 0, 3)])
def test_names_tell_addresses(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    name = name_of(family, address)
    assert name is not None and address_of(name) == address_of(mmsg.key_of(name)) == address[:2]


@pytest.mark.parametrize(
    "address", [("::1", 5), ("host.example", 5), ("", 5), (LOCALHOST, 70_000), (LOCALHOST, -1)]
)
def test_what_is_no_address_has_no_name(address: tuple[str, int]) -> None:
    assert name_of(socket.AF_INET, address) is None
