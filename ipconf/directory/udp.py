"""SAP over UDP: the announcer and the listener, their sockets and their one timer.

Each group has a socket that is bound to it, so that nothing else comes in there; one more socket
sends. All are on one interface, which is named: a machine has several, and which of them multicast
takes is otherwise the kernel's guess.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address
from random import Random
from typing import Self

from ..errors import ClosedError, ConfigurationError, TransportError
from ..sdp import ConferenceDescription
from .bandwidth import SapSettings
from .heard import SapNews
from .sap_announcer import Outgoing, SapAnnouncer, SessionKey
from .sap_listener import SapListener
from .scopes import LISTENED_IPV4, LISTENED_IPV6, SAP_PORT, Group
from .sockets import listening_socket, send_to_group, sending_socket

RECEIVE_BYTES = 65_536
MAX_AT_ONCE = 64
"""Datagrams that are read before others have their turn."""


class SapPort:
    """Announces and listens on one interface, from entering to leaving `async with`.

    `interface` is an IP address of this machine, for IPv6 perhaps with its zone ("fe80::1%eth0").
    What is announced when it is left is withdrawn. `on_news` is told what becomes of others'
    conferences; what it raises goes to the loop's exception handler.
    """

    def __init__(
        self,
        interface: str,
        *,
        groups: Iterable[Group] | None = None,
        settings: SapSettings | None = None,
        on_news: Callable[[SapNews], None] | None = None,
        port: int = SAP_PORT,
        random: Random | None = None,
    ) -> None:
        try:
            self.interface = ip_address(interface)
        except ValueError:
            raise ConfigurationError(
                f"{interface!r} is no IP address: name the interface by its address"
            ) from None
        usual = LISTENED_IPV4 if self.interface.version == 4 else LISTENED_IPV6
        self.groups = usual if groups is None else tuple(groups)
        if any(group.version != self.interface.version for group in self.groups):
            raise ConfigurationError(
                f"{self.interface} is IPv{self.interface.version}, and not all groups are"
            )
        self.settings = settings or SapSettings()
        self.port = port
        self.unsent = 0
        """Datagrams that the kernel did not take."""
        self._on_news = on_news
        self._random = random or Random()
        self._sockets: list[socket.socket] = []
        self._sender: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        unix_offset_s = time.time() - self._loop.time()
        self.listener = SapListener(self.settings, unix_offset_s=unix_offset_s)
        source = str(self.interface).partition("%")[0]
        self.announcer = SapAnnouncer(source, self.settings, self._random, self.listener.count_in)
        try:
            self._sender = sending_socket(self.interface)
            for group in self.groups:
                sock = listening_socket(group, self.interface, self.port)
                self._sockets.append(sock)
                self._loop.add_reader(sock.fileno(), partial(self._readable, sock, group))
        except OSError as exc:
            self._close()
            raise TransportError(
                f"SAP cannot use {self.interface} with port {self.port}: {exc.strerror or exc}"
            ) from exc
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._send(self.announcer.withdraw_all())
        self._close()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def announce(
        self, description: ConferenceDescription, *, ttl: int, group: Group | None = None
    ) -> None:
        """Announce a conference, or a new edition of it, until it is withdrawn or over.

        ConfigurationError if it is over already: listeners would not take it up.
        """
        now, ends = self._now(), description.ends_at
        until = None if ends is None else now + ends - time.time()
        if until is not None and until <= now:
            raise ConfigurationError(f"{description.name!r} is over: give it later times")
        self._send(self.announcer.announce(description, now, ttl=ttl, group=group, until=until))
        self._arm()

    def withdraw(self, key: SessionKey) -> None:
        """Announce a conference no longer (`Origin.identity`); NoItemError if it is not."""
        self._now()
        self._send(self.announcer.withdraw(key))
        self._arm()

    def _now(self) -> float:
        if self._sender is None:
            raise ClosedError("this SAP port is not open: use it inside of `async with`")
        return self._loop.time()

    def _readable(self, sock: socket.socket, group: Group) -> None:
        for _ in range(MAX_AT_ONCE):
            try:
                datagram, sender = sock.recvfrom(RECEIVE_BYTES)
            except OSError:  # nothing left, or an ICMP error that is nobody's
                break
            if self.announcer.is_ours(datagram):
                continue
            address = str(sender[0]).partition("%")[0]
            self._tell(self.listener.receive(datagram, address, group, self._loop.time()))
        self._arm()

    def _on_timer(self) -> None:
        now = self._loop.time()
        self._tell(self.listener.handle_timer(now))
        self._send(self.announcer.handle_timer(now))
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadlines = (self.announcer.next_deadline(), self.listener.next_deadline())
        due = min((d for d in deadlines if d is not None), default=None)
        if due is not None and self._sender is not None:
            self._timer = self._loop.call_at(due, self._on_timer)

    def _tell(self, news: list[SapNews]) -> None:
        if self._on_news is None:
            return
        for item in news:
            try:
                self._on_news(item)
            except Exception as exc:
                context = {"message": f"{self._on_news} failed", "exception": exc}
                self._loop.call_exception_handler(context)

    def _send(self, outgoing: list[Outgoing]) -> None:
        for out in outgoing:
            if self._sender is None:
                return
            try:
                send_to_group(
                    self._sender, out.datagram, (out.group, self.port), self.interface, out.ttl
                )
            except OSError:  # no route, no buffer: the next repetition may get through
                self.unsent += 1
