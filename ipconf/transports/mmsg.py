"""Many datagrams of one socket in one system call: recvmmsg and sendmmsg of Linux.

What costs with many calls is the way into the kernel and back, and what is done in Python for each
packet. Here the headers of all messages are prepared once; lengths come and go as arrays. Where the
system has no such calls, `OneByOne` does the same by those that every system has.

A *name* is an address as the kernel has it (sockaddr), a *key* the part of it that tells far ends
apart: IPv6 without the zone.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import socket
import struct
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

BATCH = 128
"""Datagrams in one call."""
SLOT_BYTES = 2048
"""Room for one that arrives; as with SRTP, nobody sends longer ones on purpose."""

FEW = 8
"""So many are sent sooner by a system call each than they are put together for one."""
MAX_NAMES = 4096
"""Addresses whose names are remembered."""

Address = tuple[Any, ...]
Message = tuple[bytes, bytes]
"""The key of who sent it, and the datagram."""

_NAME_BYTES = {socket.AF_INET: 16, socket.AF_INET6: 28}
_KEY_BYTES = {socket.AF_INET: 8, socket.AF_INET6: 24}
_NO_ROOM = (errno.EAGAIN, errno.ENOBUFS)
_HEADER = np.dtype(
    {
        "names": ["name", "namelen", "vector", "vectors", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u4"],
        "offsets": [0, 8, 16, 24, 56],
        "itemsize": 64,
    }
)
"""struct mmsghdr where pointers have 64 bits."""
_VECTOR = np.dtype([("base", "u8"), ("length", "u8")])
"""struct iovec."""


class MessageSocket(Protocol):
    """Receives and sends datagrams in batches."""

    def receive(self) -> list[Message]:
        """Up to `BATCH` of what has arrived; too long ones, `SLOT_BYTES` or more, are left out."""

    def send(self, datagrams: Sequence[bytes], addresses: Sequence[Address]) -> list[int]:
        """Send each, `BATCH` at most, to its address: the indices of those that were not sent."""


def message_socket(sock: socket.socket) -> MessageSocket:
    """The best that this system has for a bound, non-blocking UDP socket."""
    calls = _system_calls()
    return OneByOne(sock) if calls is None else Mmsg(sock, *calls)


@functools.cache
def _system_calls() -> tuple[Any, Any] | None:
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        receive, send = library.recvmmsg, library.sendmmsg
    except (AttributeError, OSError, TypeError):  # macOS and Windows
        return None
    send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    receive.argtypes = (*send.argtypes, ctypes.c_void_p)
    return receive, send


class OneByOne:
    """By recvfrom and sendto."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def receive(self) -> list[Message]:
        sock, messages = self._socket, []
        for _ in range(BATCH):
            try:
                data, address = sock.recvfrom(SLOT_BYTES)
            except OSError:
                break
            name = name_of(sock.family, address)
            if name is not None and len(data) < SLOT_BYTES:
                messages.append((key_of(name), data))
        return messages

    def send(self, datagrams: Sequence[bytes], addresses: Sequence[Address]) -> list[int]:
        failed = []
        for index, data in enumerate(datagrams):
            try:
                self._socket.sendto(data, addresses[index])
            except (OSError, OverflowError):
                failed.append(index)
        return failed


class Mmsg(OneByOne):
    """By recvmmsg and sendmmsg, each with buffers of its own."""

    def __init__(self, sock: socket.socket, receive: Any, send: Any) -> None:
        super().__init__(sock)
        self._names: dict[Address, bytes] = {}
        self._number = sock.fileno()
        self._recvmmsg, self._sendmmsg = receive, send
        self._name_bytes, self._key_bytes = _NAME_BYTES[sock.family], _KEY_BYTES[sock.family]
        self._room: Any = ctypes.create_string_buffer(BATCH * SLOT_BYTES)
        self._came_from, self._came, _ = self._headers()
        self._came_at = self._came.ctypes.data
        self._slots = np.zeros(BATCH, _VECTOR)
        self._slots["base"] = ctypes.addressof(self._room) + np.arange(BATCH) * SLOT_BYTES
        self._slots["length"] = SLOT_BYTES
        self._came["vector"] = self._slots.ctypes.data + np.arange(BATCH) * _VECTOR.itemsize
        self._lengths = self._came["length"]
        self._goes_to, self._going, self._goes_to_at = self._headers()
        self._going_at = self._going.ctypes.data
        vectors = np.zeros(BATCH, _VECTOR)
        self._going["vector"] = vectors.ctypes.data + np.arange(BATCH) * _VECTOR.itemsize
        self._bases, self._sizes = vectors["base"], vectors["length"]

    def _headers(self) -> tuple[Any, np.ndarray[Any, Any], int]:
        """Room for names, headers that point to it, and where it is."""
        names = ctypes.create_string_buffer(BATCH * self._name_bytes)
        at = ctypes.addressof(names)
        headers = np.zeros(BATCH, _HEADER)
        headers["name"] = at + np.arange(BATCH) * self._name_bytes
        headers["namelen"] = self._name_bytes
        headers["vectors"] = 1
        return names, headers, at

    def receive(self) -> list[Message]:
        count = self._recvmmsg(self._number, self._came_at, BATCH, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return []
        names, room, key_bytes = self._came_from, self._room, self._key_bytes
        ats = range(0, count * self._name_bytes, self._name_bytes)
        slots = range(0, count * SLOT_BYTES, SLOT_BYTES)
        return [
            (names[at : at + key_bytes], room[slot : slot + length])
            for at, slot, length in zip(ats, slots, self._lengths[:count].tolist(), strict=True)
            if length < SLOT_BYTES
        ]

    def send(self, datagrams: Sequence[bytes], addresses: Sequence[Address]) -> list[int]:
        count = len(datagrams)
        if count <= FEW:
            return super().send(datagrams, addresses)
        known = self._names
        names = [known.get(address) or self._name(address) for address in addresses]
        payload, joined = ctypes.c_char_p(b"".join(datagrams)), b"".join(names)
        ctypes.memmove(self._goes_to_at, joined, len(joined))
        sizes = np.fromiter(map(len, datagrams), np.uint64, count)
        self._sizes[:count] = sizes
        first = ctypes.cast(payload, ctypes.c_void_p).value or 0
        self._bases[:count] = sizes.cumsum() - sizes + np.uint64(first)
        failed: list[int] = []
        done = 0
        while done < count:
            at = self._going_at + done * _HEADER.itemsize
            sent = self._sendmmsg(self._number, at, count - done, socket.MSG_DONTWAIT)
            if sent > 0:
                done += sent
            elif ctypes.get_errno() in _NO_ROOM:
                return [*failed, *range(done, count)]
            elif ctypes.get_errno() != errno.EINTR:  # this one cannot be sent, others can
                failed.append(done)
                done += 1
        return failed

    def _name(self, address: Address) -> bytes:
        """The name of an address that was not used lately; of none, one that cannot be sent to."""
        name = name_of(self._socket.family, address) or b"\xff" * self._name_bytes
        if len(self._names) >= MAX_NAMES:
            self._names.clear()
        self._names[address] = name
        return name


def name_of(family: int, address: Address) -> bytes | None:
    """The sockaddr of an IP address and port; None if they are none of this family."""
    try:
        host = socket.inet_pton(family, address[0])
        head = struct.pack("=H", family) + struct.pack("!H", address[1])
    except (OSError, struct.error):
        return None
    if family == socket.AF_INET:
        return head + host + bytes(8)
    return head + bytes(4) + host + struct.pack("=I", address[3] if len(address) > 3 else 0)


def key_of(name: bytes) -> bytes:
    """The part of a name that tells far ends apart."""
    return name[: 8 if len(name) == 16 else 24]


def address_of(name: bytes) -> tuple[str, int]:
    """The IP address and port of a name or key."""
    (port,) = struct.unpack_from("!H", name, 2)
    if len(name) in (8, 16):
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    return socket.inet_ntop(socket.AF_INET6, name[8:24]), port
