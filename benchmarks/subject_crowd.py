"""A process that is everybody else in a multicast group: it sends what they would, hears nothing.

`python -m benchmarks.subject_crowd`; see `children`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import count

from ipconf.codecs.registry import FORMATS
from ipconf.engine.rtcp_wire import (
    ReceiverReport,
    SdesItem,
    SenderReport,
    compose,
    describe_source,
    pack_item,
)
from ipconf.engine.rtp_wire import compose_rtp
from ipconf.load.sounds import encode, spoken
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, MediaType, SdesType

from .children import Commands, serve
from .rtcp_crowd import Crowd

OPUS = FORMATS[MediaType.AUDIO][0]
FIRST_ADDRESS = IPv4Address("127.1.0.0")
"""Each member has an address of its own."""
PORT = 40_000
INTRODUCTIONS_PER_S = 1_500
BATCH = 30
SCHEDULE_S = 120.0


def _identity(member: int) -> bytes:
    """The items that a member tells of itself, packed."""
    texts = {
        SdesType.CNAME: f"{member * 2654435761 % 2**48:012x}@{FIRST_ADDRESS + member}",
        SdesType.NAME: f"Silent Member {member}",
        SdesType.TOOL: "a program of somebody else 1.0",
    }
    return b"".join(pack_item(SdesItem(kind, text)) for kind, text in texts.items())


class Everybody:
    """Members 1 to `members`, of whom the first `talkers` talk."""

    def __init__(self) -> None:
        self._group = ""
        self._port = self._members = self._talkers = 0
        self._work: asyncio.Task[None] | None = None
        self.commands: Commands = {
            "introduce": self.introduce,
            "go_on": self.go_on,
            "close": self.close,
        }

    async def introduce(self, group: str, port: int, members: int, talkers: int = 0) -> None:
        """Each says by RTCP who it is, one soon after the other."""
        self._group, self._port = group, port
        self._members, self._talkers = members, talkers
        for member in range(1, members + 1):
            report = compose(ReceiverReport(member))
            self._say(member, report + describe_source(member, _identity(member)))
            if member % BATCH == 0:
                await asyncio.sleep(BATCH / INTRODUCTIONS_PER_S)

    async def go_on(self) -> None:
        """Send media and reports from now on, as such a group does that has long been there."""
        self._work = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        crowd = Crowd(self._members, senders=self._talkers)
        crowd.know_everybody()
        crowd.run(SCHEDULE_S)
        reports = iter([(at, member) for at, member, _ in crowd.sent])
        at, member = next(reports)
        media = [self._media(talker) for talker in range(self._talkers)]
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for tick in count():
            now = tick * AUDIO_FRAME_S
            await asyncio.sleep(max(begin + now - loop.time(), 0.0))
            for talker, packets in enumerate(media):
                self._say(talker + 1, next(packets), 0)
            while at <= now:
                self._report(member, now)
                at, member = next(reports)

    def _media(self, talker: int) -> Iterator[bytes]:
        payloads = encode(spoken(talker, self._talkers), OPUS)
        for number in count():
            payload = payloads[number % len(payloads)]
            timestamp = number * AUDIO_FRAME_SAMPLES & 0xFFFFFFFF
            yield compose_rtp(
                OPUS.payload_type, number & 0xFFFF, timestamp, talker + 1, payload
            )  # fmt: skip

    def _report(self, member: int, now: float) -> None:
        report: ReceiverReport | SenderReport = ReceiverReport(member)
        if member <= self._talkers:
            number = round(now / AUDIO_FRAME_S)
            ntp = int((now + 3e9) * 2**32)
            report = SenderReport(member, ntp, number * AUDIO_FRAME_SAMPLES, number, number * 80)
        self._say(member, compose(report) + describe_source(member, _identity(member)))

    def _say(self, member: int, datagram: bytes, port_offset: int = 1) -> None:
        # A socket for each time: ten thousand open ones are more than a process may have.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((str(FIRST_ADDRESS + member), PORT))
            interface = socket.inet_aton("127.0.0.1")
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            sock.sendto(datagram, (self._group, self._port + port_offset))

    async def close(self) -> None:
        """Say no more."""
        if self._work is not None:
            self._work.cancel()


if __name__ == "__main__":
    serve(lambda: Everybody().commands)
