"""UDP sockets for multicast on one interface, which is named by its address."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .scopes import Group

if sys.platform == "linux":
    import fcntl

_GET_ADDRESS = 0x8915
"""Linux: SIOCGIFADDR, netdevice(7)."""
IP_MULTICAST_ALL = 49
"""Linux: with 0 a socket gets only what comes on interfaces that it joined on itself."""
_ADDRESSES = Path("/proc/net/if_inet6")
"""Linux: address, interface index and more of each IPv6 address, in hexadecimal."""


def sending_socket(interface: Group) -> socket.socket:
    """A socket from which datagrams go out on the interface, and to listeners on this machine."""
    sock = _socket(interface)
    try:
        if isinstance(interface, IPv6Address):
            index = _index_of(interface)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface.packed)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        sock.bind(_socket_address(interface, 0, interface))
    except OSError:
        sock.close()
        raise
    return sock


def listening_socket(group: Group, interface: Group, port: int) -> socket.socket:
    """A socket that gets what comes to the group on the interface."""
    sock = _socket(interface)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(_socket_address(group, port, interface))
        if isinstance(interface, IPv6Address):
            request = group.packed + struct.pack("@I", _index_of(interface))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        else:
            request = group.packed + interface.packed
            if sys.platform == "linux":
                sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    except OSError:
        sock.close()
        raise
    return sock


def send_to_group(
    sock: socket.socket, datagram: bytes, to: tuple[Group, int], interface: Group, ttl: int
) -> None:
    """Send a datagram to a group and port, through at most `ttl` - 1 routers; OSError if not."""
    group, port = to
    if group.version == 4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
    sock.sendto(datagram, _socket_address(group, port, interface))


def address_on(interface: str, version: int) -> Group:
    """The address of an interface that is given by its name, as eth0, or by that address itself.

    ConfigurationError, about the flag --interface, where there is none of that version of IP.
    """
    try:
        address = ip_address(interface)
    except ValueError:
        address = _address_of(interface, version)
    else:
        if address.version != version:
            raise ConfigurationError(
                f"--interface {interface} is an address of IPv{address.version}, and the group is "
                f"one of IPv{version}: give an address of that, or the interface's name"
            )
    try:
        _socket_bound_to(address).close()
    except OSError as exc:
        if exc.errno not in (errno.EADDRNOTAVAIL, errno.EINVAL):
            raise
        raise ConfigurationError(
            f"--interface {interface}: this machine has no such address"
        ) from None
    return address


def _address_of(name: str, version: int) -> Group:
    try:
        index = socket.if_nametoindex(name)
    except (OSError, ValueError):
        raise ConfigurationError(
            f"--interface: there is no interface {name!r}; give its name, as eth0, or an address "
            "of this machine"
        ) from None
    if sys.platform == "linux" and version == 4:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            request = struct.pack("@256s", name.encode()[:15])
            return IPv4Address(fcntl.ioctl(probe.fileno(), _GET_ADDRESS, request)[20:24])
    for line in _ADDRESSES.read_text().splitlines() if version == 6 and _ADDRESSES.exists() else ():
        address, number, *_ = line.split()
        if int(number, 16) == index:
            found = IPv6Address(bytes.fromhex(address))
            return IPv6Address(f"{found}%{name}") if found.is_link_local else found
    raise ConfigurationError(
        f"--interface {name} has no address of IPv{version} that is known; give one of this machine"
    )


def _socket_bound_to(address: Group) -> socket.socket:
    sock = _socket(address)
    try:
        sock.bind(_socket_address(address, 0, address))
    except OSError:
        sock.close()
        raise
    return sock


def _socket(interface: Group) -> socket.socket:
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


def _socket_address(address: Group, port: int, interface: Group) -> tuple[Any, ...]:
    """As the socket wants it; what is local to a link or a machine has the interface with it."""
    if isinstance(address, IPv6Address):
        is_near = address.is_link_local or address.is_multicast
        index = _index_of(interface) if is_near and isinstance(interface, IPv6Address) else 0
        return str(address).partition("%")[0], port, 0, index
    return str(address), port


def _index_of(interface: IPv6Address) -> int:
    """The number of the interface that has an address; 0, the kernel's choice, if unknown."""
    if interface.scope_id:
        with suppress(OSError):
            return socket.if_nametoindex(interface.scope_id)
        return int(interface.scope_id) if interface.scope_id.isdecimal() else 0
    if _ADDRESSES.exists():
        for line in _ADDRESSES.read_text().splitlines():
            address, index, *_ = line.split()
            if bytes.fromhex(address) == interface.packed:
                return int(index, 16)
    return 0
