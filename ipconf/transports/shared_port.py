"""One UDP port for all calls of a provider: what arrives goes to the call whose far end sent it.

    recvmmsg ──> STUN request    ──> the call that its USERNAME names (RFC 8445 section 7.2.2)
             ├─> STUN response   ──> the call that asked, by the transaction
             └─> anything else   ──> the call that has its source address, else nobody

A call has an address once it is settled: plain RTP by what the far end has signalled, ICE by a
nominated pair, which has been checked both ways. Until then it has those that it has answered an
authentic check of; a settled one it cannot take from another. What calls send in one turn of the
loop leaves in one system call.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from functools import partial
from typing import Protocol

from ..errors import NegotiationError, TransportError
from ..model import CallSettings
from .binding import bind_udp
from .mmsg import BATCH, address_of, key_of, message_socket, name_of
from .ports import Address, Arrived, Port, hand_over
from .watching import MAX_BATCH, Watch

BUFFER_BYTES = 4 << 20
"""Room in the kernel each way, of which the system may grant less: all calls share it."""
MAX_UNSETTLED = 16
"""Addresses of one call that have been checked and not nominated; of more, the latest."""
MAX_ASKED = 4096
"""STUN requests of all calls that wait for a response; of more, the latest."""

_STUN_REQUEST, _STUN_SUCCESS = b"\x00\x01", b"\x01\x01"
_STUN_COOKIE = b"\x21\x12\xa4\x42"
_STUN_HEADER_BYTES = 20
_STUN_USERNAME = 6


class Share(Protocol):
    """Gives a call its part of a shared port on the address `host`; raises TransportError.

    `user` is the call's own ICE user name fragment.
    """

    def __call__(self, host: str, arrived: Arrived, user: str | None = None) -> Port: ...


class SharedPorts:
    """The shared ports of a provider; each is open as long as calls use it."""

    def __init__(self) -> None:
        self.strangers = 0
        """Datagrams that no call's far end has sent."""
        self._sockets: dict[tuple[str, int], _SharedSocket] = {}

    def of(self, settings: CallSettings) -> Share | None:
        """What a call with these settings shares with others, if it does."""
        number = settings.shared_port
        return None if number is None else partial(self._open, number)

    def _open(self, number: int, host: str, arrived: Arrived, user: str | None = None) -> Port:
        shared = self._sockets.get((host, number))
        if shared is None:
            shared = _SharedSocket(self, (host, number))
            self._sockets[host, number] = shared
        return _SharedPort(shared, arrived, user)

    def closed(self, place: tuple[str, int]) -> None:
        """The last call that used it is gone."""
        del self._sockets[place]


def taken(address: Address) -> NegotiationError:
    """What to tell of a far end at an address that another call has."""
    return NegotiationError(
        f"the far end's address {address[0]} port {address[1]} is another call's on the shared "
        "port, where calls are told apart by it; end that call first, or make this one without "
        "shared_port"
    )


class _SharedPort(Port):
    """What one call has of a shared socket."""

    def __init__(self, shared: _SharedSocket, arrived: Arrived, user: str | None) -> None:
        super().__init__(arrived, shared.address)
        self.user = None if user is None else user.encode()
        self.unsettled: list[bytes] = []
        """Keys of addresses that it may have until another settles there; oldest first."""
        self._shared = shared
        shared.add(self)

    def sendto(self, data: bytes, address: Address) -> bool:
        shared = self._shared
        if self.gone.done():
            return False
        if data[:1] < b"\x04":
            shared.note_stun(self, data, address)
        if not shared.queue:
            shared.loop.call_soon(shared.flush)
        shared.queue.append((data, address, self))
        if len(shared.queue) >= BATCH:
            shared.flush()
        return True

    def settle(self, address: Address) -> bool:
        return self._shared.settle(self, address)

    def close(self) -> None:
        if not self.gone.done():
            self._shared.remove(self)
            self.gone.set_result(None)


class _SharedSocket:
    """A socket, the calls on it, and where their far ends are."""

    def __init__(self, owner: SharedPorts, place: tuple[str, int]) -> None:
        self._socket = _bind(*place)
        self.loop = asyncio.get_running_loop()
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self.queue: list[tuple[bytes, Address, _SharedPort]] = []
        """What is to be sent: the datagram, to where, and who sends it."""
        self._owner, self._place = owner, place
        self._messages = message_socket(self._socket)
        self._ports: set[_SharedPort] = set()
        self._users: dict[bytes, _SharedPort] = {}
        self._asked: dict[bytes, _SharedPort] = {}  # by transaction
        self._at: dict[bytes, tuple[_SharedPort, Address]] = {}  # by key
        self._settled: dict[bytes, _SharedPort] = {}  # likewise
        try:
            self._watch = Watch(self.loop, self._socket.fileno(), self._read)
        except NotImplementedError:
            self._socket.close()
            raise TransportError(
                "this event loop cannot watch a shared port; use asyncio's selector event loop, or "
                "leave shared_port out"
            ) from None

    # -- calls

    def add(self, port: _SharedPort) -> None:
        """One more call."""
        self._ports.add(port)
        if port.user is not None:
            self._users[port.user] = port

    def remove(self, port: _SharedPort) -> None:
        """Forget a call and its far end; what it has sent is sent before the socket closes."""
        self._ports.remove(port)
        if port.user is not None and self._users.get(port.user) is port:
            del self._users[port.user]
        self._asked = {k: asker for k, asker in self._asked.items() if asker is not port}
        self._settled = {k: owner for k, owner in self._settled.items() if owner is not port}
        self._at = {k: entry for k, entry in self._at.items() if entry[0] is not port}
        if not self._ports:
            self.flush()
            self._watch.close()
            self._socket.close()
            self._owner.closed(self._place)

    def settle(self, port: _SharedPort, address: Address) -> bool:
        """Give it the address until it is removed: False if that is another's, or none."""
        key = self._key(address)
        if key is None or self._settled.setdefault(key, port) is not port:
            return False
        self._at[key] = (port, address_of(key))
        return True

    def note_stun(self, port: _SharedPort, data: bytes, address: Address) -> None:
        """Look at the STUN that a call sends: what it asks, and whose checks it takes for true."""
        key = self._key(address)
        if data[:2] == _STUN_REQUEST:
            self._asked[data[8:_STUN_HEADER_BYTES]] = port
            if len(self._asked) > MAX_ASKED:
                del self._asked[next(iter(self._asked))]
        elif data[:2] == _STUN_SUCCESS and key is not None and key not in self._at:
            self._at[key] = (port, address_of(key))
            port.unsettled.append(key)
            if len(port.unsettled) > MAX_UNSETTLED:
                oldest = port.unsettled.pop(0)
                if oldest not in self._settled and self._at.get(oldest, (None,))[0] is port:
                    del self._at[oldest]

    def _key(self, address: Address) -> bytes | None:
        name = name_of(self._socket.family, address)
        return None if name is None else key_of(name)

    # -- out

    def flush(self) -> None:
        """Send what waits; what there is no room or no way for is lost, and told its sender."""
        queue, self.queue = self.queue, []
        if queue:
            datagrams, addresses, senders = zip(*queue, strict=True)
            for index in self._messages.send(datagrams, addresses):
                senders[index].unsent(datagrams[index])

    # -- in

    def _read(self) -> int:
        count = 0
        while self._ports and count < MAX_BATCH:
            messages = self._messages.receive()
            count += len(messages)
            now = self.loop.time()
            for key, data in messages:
                entry = self._at.get(key)
                if entry is None or data[:1] < b"\x04":
                    entry = self._recipient(key, data) or entry
                if entry is None:
                    self._owner.strangers += 1
                else:
                    hand_over(entry[0], data, entry[1], self.loop, now)
            if len(messages) < BATCH:
                break
        return count

    def _recipient(self, key: bytes, data: bytes) -> tuple[_SharedPort, Address] | None:
        """The call that a STUN message tells by itself, and where it came from."""
        if data[:2] == _STUN_REQUEST:
            port = self._users.get(user_of(data))
        elif data[:1] < b"\x04":
            port = self._asked.pop(data[8:_STUN_HEADER_BYTES], None)
        else:
            return None
        return None if port is None else (port, address_of(key))


def _bind(host: str, number: int) -> socket.socket:
    only = (number, number) if number else None
    sock = bind_udp(host, only, advice="give shared_port a number that is free, or 0 for any")
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return sock


def user_of(request: bytes) -> bytes:
    """The fragment of its receiver in a STUN request's USERNAME; nothing if it has none."""
    at = _STUN_HEADER_BYTES
    if request[4:8] != _STUN_COOKIE:
        return b""
    while at + 4 <= len(request):
        kind, size = struct.unpack_from("!HH", request, at)
        if kind == _STUN_USERNAME:
            return request[at + 4 : at + 4 + size].partition(b":")[0]
        at += 4 + (size + 3 & ~3)
    return b""
