"""Sockets for RTP in a multicast group: what arrives in it, and one that all is sent from."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from ..errors import TransportError
from .binding import RECEIVE_BUFFER_BYTES
from .ports import Address

if sys.platform == "linux":
    import fcntl

DEFAULT_TTL = 1
"""No router, where neither description nor settings say more."""
_LINUX_MULTICAST_ALL = ((socket.IPPROTO_IP, 49), (socket.IPPROTO_IPV6, 29))
"""With 0 a socket gets only what comes to interfaces on which it has joined itself."""
_LINUX_BLOCK_SOURCE, _LINUX_ADD_SOURCE_MEMBERSHIP = 38, 39
_LINUX_BLOCK_SOURCE_IPV6, _LINUX_JOIN_SOURCE_GROUP = 43, 46
_LINUX_GET_ADDRESS = 0x8915  # SIOCGIFADDR, netdevice(7)
_STORAGE_BYTES = 128  # of a sockaddr_storage
_ADDRESSES = Path("/proc/net/if_inet6")
"""Linux: address, interface index and more of each IPv6 address, in hexadecimal."""
_NAME_IT = "name an interface of this machine in multicast_interface, as 'eth0' or by its address"
_ADVICE = {
    errno.ENODEV: _NAME_IT,
    errno.EADDRNOTAVAIL: _NAME_IT,
    errno.ENETUNREACH: _NAME_IT,
    errno.EACCES: "choose ports above 1023",
    errno.EADDRINUSE: "another program has the port to itself; end that one",
}


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """A group, and how to take part in it."""

    group: IPv4Address | IPv6Address
    port: int
    rtcp_port: int
    """The same as `port` where RTP and RTCP share it (RFC 5761)."""
    interface: str | None = None
    """A name, or a local address; None leaves it to the system's routes."""
    ttl: int = DEFAULT_TTL
    """Hop limit with IPv6."""
    sources: tuple[IPv4Address | IPv6Address, ...] = ()
    """Who alone is received (RFC 4607); () is anybody."""
    excluded: tuple[IPv4Address | IPv6Address, ...] = ()
    """Who is not (RFC 4570)."""
    dscp: int = 0
    """The mark of what is sent (RFC 2474)."""

    def __str__(self) -> str:
        where = f" on {self.interface}" if self.interface else ""
        return f"the group {self.group}, port {self.port}{where}"


class GroupSockets:
    """All sockets for one place: `receiving` those of its ports, `sending` the one to send from.

    What is sent comes from `own`, which no other socket of this machine has: by that it is known
    when it comes back. TransportError says why there are none.
    """

    def __init__(self, place: GroupPlace) -> None:
        self._open: list[socket.socket] = []
        try:
            self._take(place)
        except OSError as exc:
            self.close()
            advice = _ADVICE.get(exc.errno or 0, "look at the routes and interfaces here")
            raise TransportError(f"cannot take part in {place}: {exc}; {advice}") from exc

    def _take(self, place: GroupPlace) -> None:
        self._six = place.group.version == 6
        self._level = socket.IPPROTO_IPV6 if self._six else socket.IPPROTO_IP
        self._index = _index_of(place.interface) if self._six else 0
        ports = dict.fromkeys((place.port, place.rtcp_port))
        with self._sender(place) as probe:  # says from which address packets go there
            probe.connect(self.address(place, place.port))
            self._local: str = probe.getsockname()[0]
        self.receiving = [self._receiver(place, port) for port in ports]
        self.sending = self._sender(place)
        self._open.append(self.sending)
        self.sending.bind(self._address(self._local, 0))
        self.sending.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # nobody reads there
        self.own: tuple[str, int] = self.sending.getsockname()[:2]

    def address(self, place: GroupPlace, port: int) -> Address:
        """The group with that port, to send to."""
        return self._address(str(place.group), port)

    def loop(self, on: bool) -> None:
        """Whether this machine hears what is sent. Linux always does on `lo`."""
        option = socket.IPV6_MULTICAST_LOOP if self._six else socket.IP_MULTICAST_LOOP
        self.sending.setsockopt(self._level, option, int(on))

    def close(self) -> None:
        """Release all that have been opened."""
        for sock in self._open:
            sock.close()

    def _address(self, host: str, port: int) -> Address:
        return (host.partition("%")[0], port, 0, self._index) if self._six else (host, port)

    def _sender(self, place: GroupPlace) -> socket.socket:
        sock = self._socket()
        try:
            if self._six:
                sock.setsockopt(self._level, socket.IPV6_MULTICAST_IF, self._index)
                sock.setsockopt(self._level, socket.IPV6_MULTICAST_HOPS, place.ttl)
                sock.setsockopt(self._level, socket.IPV6_TCLASS, place.dscp << 2)
            else:
                if place.interface is not None:
                    request = _ipv4_address_of(place.interface, sock).packed
                    sock.setsockopt(self._level, socket.IP_MULTICAST_IF, request)
                sock.setsockopt(self._level, socket.IP_MULTICAST_TTL, place.ttl)
                sock.setsockopt(self._level, socket.IP_TOS, place.dscp << 2)
        except OSError:
            sock.close()
            raise
        return sock

    def _receiver(self, place: GroupPlace, port: int) -> socket.socket:
        sock = self._socket()
        self._open.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        # Bound to the group, it is not troubled by what comes to the port of other addresses.
        host = str(place.group) if sys.platform != "win32" else ""
        sock.bind(self._address(host, port))
        if sys.platform == "linux":
            with suppress(OSError):  # with IPv6 since Linux 4.20
                sock.setsockopt(*_LINUX_MULTICAST_ALL[self._six], 0)
        for source in place.sources:
            self._join_source(sock, place, source)
        if not place.sources:
            self._join(sock, place)
            self._block(sock, place)
        return sock

    def _block(self, sock: socket.socket, place: GroupPlace) -> None:
        """Leave it to the kernel to drop what the excluded send, as far as it takes so many."""
        option = _LINUX_BLOCK_SOURCE_IPV6 if self._six else _LINUX_BLOCK_SOURCE
        with suppress(OSError):
            for source in place.excluded if sys.platform == "linux" else ():
                sock.setsockopt(self._level, option, self._about_source(place, source))

    def _join(self, sock: socket.socket, place: GroupPlace) -> None:
        if self._six:
            request = place.group.packed + struct.pack("@I", self._index)
            sock.setsockopt(self._level, socket.IPV6_JOIN_GROUP, request)
        else:
            request = place.group.packed + IPv4Address(self._local).packed
            sock.setsockopt(self._level, socket.IP_ADD_MEMBERSHIP, request)

    def _join_source(
        self, sock: socket.socket, place: GroupPlace, source: IPv4Address | IPv6Address
    ) -> None:
        option = _LINUX_JOIN_SOURCE_GROUP if self._six else _LINUX_ADD_SOURCE_MEMBERSHIP
        sock.setsockopt(self._level, option, self._about_source(place, source))

    def _about_source(self, place: GroupPlace, source: IPv4Address | IPv6Address) -> bytes:
        """struct group_source_req, or ip_mreq_source."""
        if self._six:
            request = struct.pack("@Q", self._index)  # which has padding behind it
            return request + _storage(place.group) + _storage(source)
        return place.group.packed + IPv4Address(self._local).packed + source.packed

    def _socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if self._six else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        return sock


def _storage(address: IPv4Address | IPv6Address) -> bytes:
    head = struct.pack("@HHI", socket.AF_INET6, 0, 0)  # family, port, flow
    return (head + address.packed).ljust(_STORAGE_BYTES, b"\0")


def _ipv4_address_of(interface: str, sock: socket.socket) -> IPv4Address:
    """The address of an interface that is given by that or by its name; `sock` is any socket."""
    with suppress(ValueError):
        return IPv4Address(interface)
    _index_named(interface)
    if sys.platform != "linux":
        raise OSError(errno.ENODEV, "interfaces have no names here: give an address")
    request = struct.pack("@256s", interface.encode()[:15])
    return IPv4Address(fcntl.ioctl(sock.fileno(), _LINUX_GET_ADDRESS, request)[20:24])


def _index_of(interface: str | None) -> int:
    """The number of an interface for IPv6; 0 leaves it to the routes."""
    if interface is None:
        return 0
    address, _, zone = interface.partition("%")
    if ":" not in address:
        return _index_named(interface)
    if zone:
        return _index_named(zone)
    for line in _ADDRESSES.read_text().splitlines() if _ADDRESSES.exists() else ():
        local, index, *_ = line.split()
        if bytes.fromhex(local) == IPv6Address(address).packed:
            return int(index, 16)
    raise OSError(errno.EADDRNOTAVAIL, f"no interface has the address {interface}")


def _index_named(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise OSError(errno.ENODEV, f"there is no interface {name!r}") from None
