"""A simulated network on a virtual clock, seeded: whatever happens, happens again.

`SimNet` carries datagrams between any number of endpoints that join it, everyone hearing everyone
else, as in a multicast group; two endpoints make a unicast link. Each direction of each pair may
have its own `Link`. An endpoint is anything with `receive`, `next_deadline` and `handle_timer`;
`SessionEnd` makes one of an `RtpSession` and keeps what it said.
"""

import heapq
import math
import random
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol

from ipconf.engine.outputs import Output, SourceDescribed, SourceGone, SourceHeard, Transmit
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.engine.session import RtpSession


@dataclass(frozen=True, slots=True)
class Link:
    """How one direction behaves; times in seconds, the rest are probabilities per datagram."""

    delay_s: float = 0.02
    jitter_s: float = 0.0
    """Each datagram is late by up to this, evenly spread; more than its spacing reorders."""
    loss: float = 0.0
    burst: float = 0.0
    """A burst of losses begins."""
    burst_length: float = 5.0
    """Mean number of datagrams lost in a burst."""
    duplicate: float = 0.0
    reorder: float = 0.0
    """A datagram is held back by `reorder_s`."""
    reorder_s: float = 0.05


class Endpoint(Protocol):
    """What can join; it sends through the `Port` that joining gives it."""

    def receive(self, datagram: bytes, now: float, origin: Hashable) -> None: ...
    def next_deadline(self) -> float: ...
    def handle_timer(self, now: float) -> None: ...


class Port:
    """An endpoint's place in the network."""

    def __init__(self, net: "SimNet", name: str, endpoint: Endpoint) -> None:
        self.net = net
        self.name = name
        self.endpoint = endpoint
        self.connected = True
        """False is a crash or a dead cable: nothing goes out, nothing comes in, no timer runs."""
        self.armed = math.inf

    def send(self, datagram: bytes) -> None:
        if self.connected:
            for other in self.net.ports.values():
                if other is not self:
                    self.net.carry(self, other, datagram)

    def disconnect(self) -> None:
        self.connected = False

    def reconnect(self) -> None:
        self.connected = True
        self.net.arm(self)


class SimNet:
    """The network and its clock, `now` in seconds."""

    def __init__(self, seed: int, link: Link | None = None) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self.ports: dict[str, Port] = {}
        self.lost = 0
        self.duplicated = 0
        self._link = link or Link()
        self._links: dict[tuple[str, str], Link] = {}
        self._burst_left: dict[tuple[str, str], int] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def join(self, name: str, endpoint: Endpoint) -> Port:
        port = self.ports[name] = Port(self, name, endpoint)
        self.arm(port)
        return port

    def set_link(self, sender: str, receiver: str, link: Link) -> None:
        self._links[sender, receiver] = link

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (max(when, self.now), self._order, action))

    def every(self, interval_s: float, action: Callable[[], None], *, count: int) -> None:
        """Call `action` `count` times from now on."""
        for turn in range(count):
            self.at(self.now + turn * interval_s, action)

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until

    def carry(self, sender: Port, receiver: Port, datagram: bytes) -> None:
        pair = (sender.name, receiver.name)
        link = self._links.get(pair, self._link)
        if self._is_lost(pair, link):
            self.lost += 1
            return
        copies = 1
        if self.random.random() < link.duplicate:
            self.duplicated += 1
            copies = 2
        for _ in range(copies):
            delay_s = link.delay_s + self.random.random() * link.jitter_s
            if self.random.random() < link.reorder:
                delay_s += link.reorder_s
            self.at(self.now + delay_s, lambda: self._deliver(sender, receiver, datagram))

    def _is_lost(self, pair: tuple[str, str], link: Link) -> bool:
        if self._burst_left.get(pair, 0) > 0:
            self._burst_left[pair] -= 1
            return True
        if self.random.random() < link.burst:
            self._burst_left[pair] = int(self.random.expovariate(1 / link.burst_length))
            return True
        return self.random.random() < link.loss

    def _deliver(self, sender: Port, receiver: Port, datagram: bytes) -> None:
        if receiver.connected:
            receiver.endpoint.receive(datagram, self.now, sender.name)
            self.arm(receiver)

    def arm(self, port: Port) -> None:
        """Plan the endpoint's timer anew; call it after using an endpoint directly."""
        deadline = port.endpoint.next_deadline()
        if port.connected and deadline < port.armed:
            port.armed = deadline
            self.at(deadline, lambda: self._expire(port, deadline))

    def _expire(self, port: Port, deadline: float) -> None:
        if port.armed != deadline:
            return  # an earlier one has been planned since
        port.armed = math.inf
        if port.connected:
            if port.endpoint.next_deadline() <= self.now:
                port.endpoint.handle_timer(self.now)
            self.arm(port)


class SessionEnd:
    """An RTP session in the network; `origins` tells it who sent what."""

    def __init__(
        self, net: SimNet, name: str, session: RtpSession, *, origins: bool = True
    ) -> None:
        self.net = net
        self.session = session
        self.media: list[RtpPacket] = []
        self.said: list[tuple[float, Output]] = []
        """All outputs but media and datagrams, with their times."""
        self.transmitted: list[tuple[float, bytes]] = []
        """RTCP of ours."""
        self._origins = origins
        self.port = net.join(name, self)

    def receive(self, datagram: bytes, now: float, origin: Hashable) -> None:
        self.take(self.session.receive(datagram, now, origin if self._origins else None))

    def next_deadline(self) -> float:
        return self.session.next_deadline()

    def handle_timer(self, now: float) -> None:
        self.take(self.session.handle_timer(now))

    def take(self, outputs: Iterable[Output]) -> None:
        """Act on what the session returned."""
        for output in outputs:
            if isinstance(output, RtpPacket):
                self.media.append(output)
            elif isinstance(output, Transmit):
                self.transmitted.append((self.net.now, output.datagram))
                self.port.send(output.datagram)
            else:
                self.said.append((self.net.now, output))
        self.net.arm(self.port)

    def send(self, mid: str, payload_type: int, timestamp: int, payload: bytes) -> None:
        now = self.net.now
        self.port.send(self.session.send(mid, payload_type, timestamp & 0xFFFFFFFF, payload, now))

    def talk(self, seconds: float, mid: str = "a", payload_type: int = 111) -> None:
        """Send 20 ms audio packets from now on; timestamps follow the clock."""
        begin = self.net.now

        def packet() -> None:
            if not self.session.left and self.port.connected:
                ticks = round((self.net.now - begin) * 48000) + 960
                self.send(mid, payload_type, ticks, bytes(80))

        self.net.every(0.02, packet, count=round(seconds * 50))

    def heard(self) -> list[SourceHeard]:
        return [o for _, o in self.said if isinstance(o, SourceHeard)]

    def described(self) -> list[SourceDescribed]:
        return [o for _, o in self.said if isinstance(o, SourceDescribed)]

    def gone(self) -> list[SourceGone]:
        return [o for _, o in self.said if isinstance(o, SourceGone)]
