"""One end of a call without the call: a negotiated transport, and an RTP session on it.

It takes ready-made payloads and keeps what arrives, undecoded: a far end that costs little.

With hundreds of legs in one process that is still too much. Those that only count pass media by
their sessions, which know RTCP alone then: they say who the leg is, but report nothing of media.
"""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import deque
from collections.abc import Hashable, Iterable
from functools import partial
from typing import NamedTuple

from ..calls.bearers import Bearer
from ..calls.negotiator import Negotiator
from ..codecs.registry import offered_formats
from ..engine.outputs import Output, Transmit
from ..engine.rtp_wire import HeaderExtensions, RtpPacket, compose_extension, is_rtcp
from ..engine.session import RtpSession, Section, SessionConfig
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, CallSettings, MediaType, SdesType
from ..transports.base import Loss, SignalledTransport
from ..transports.udp import UdpTransport
from ..transports.webrtc import Certificates, WebRtcTransport

KEPT_PACKETS = 100
SPOKEN_LEVEL = 20
"""-20 dBov."""
MIN_RTCP_INTERVAL_S = {"webrtc": 1.0, "rtp": 5.0}

_HEADER = struct.Struct("!BBHII")
_SEQUENCE = struct.Struct("!xxH")
_certificates = Certificates()


class Arrived(NamedTuple):
    """The media of a packet that came."""

    payload: bytes
    at: float
    """Seconds of `time.monotonic`."""


class Leg:
    """One audio leg; `offer` and `accept`, or `answer`; then wait for `connecting`."""

    def __init__(self, number: int, settings: CallSettings) -> None:
        self.number = number
        self.level = SPOKEN_LEVEL
        """What its packets say of their loudness, 0 (loudest) .. 127 (RFC 6464)."""
        self.loss: Loss | None = None
        """Loses packets of media, both ways, on purpose."""
        self.dropped = 0
        """Packets that came, and were lost on purpose."""
        self.connecting: asyncio.Task[None] | None = None
        self.received = 0
        """RTP packets that came, and were not lost on purpose."""
        self.kept: deque[Arrived] = deque(maxlen=KEPT_PACKETS)
        """The latest of them."""
        self.sent = 0
        """RTP packets made."""
        self.counts = False
        """Whether it only counts what comes."""
        self._first: int | None = None
        self._highest = 0
        self._settings = settings
        self._name = f"leg {number}"
        formats = {MediaType.AUDIO: offered_formats(MediaType.AUDIO, settings)}
        self._negotiator = Negotiator(formats, settings, partial(_transport, settings), self._name)
        self._timer: asyncio.TimerHandle | None = None

    async def offer(self) -> str:
        """Open the transport: what to tell the far end."""
        return await self._negotiator.offer()

    async def answer(self, sdp: str) -> str:
        """Connect to a far end that offers: what to tell it."""
        answer = await self._negotiator.answer(sdp)
        self._connect()
        return answer

    def accept(self, sdp: str) -> None:
        """Connect to a far end that has answered."""
        self._negotiator.accept_answer(sdp)
        self._connect()

    def _connect(self) -> None:
        self.connecting = asyncio.ensure_future(self._negotiator.connect(self._begin))

    def _begin(self, bearer: Bearer) -> None:
        (line,) = bearer.lines
        self._extensions = HeaderExtensions(line.extensions)
        config = SessionConfig(
            sections=(
                Section(
                    line.mid, line.medium, line.receive, line.ssrcs, sent=(line.send,),
                    local_ssrc=self._negotiator.ssrcs[line.mid],
                ),
            ),
            extensions=self._extensions,
            identity={SdesType.CNAME: f"leg{self.number}@load", SdesType.NAME: self._name},
            min_interval_s=MIN_RTCP_INTERVAL_S[self._settings.transport],
            unicast=True,
        )  # fmt: skip
        self._loop = asyncio.get_running_loop()
        self.session = RtpSession(config, random.Random(), self._loop.time())
        self.transport = bearer.transport
        self.transport.sink = self._arrived
        self.format = line.send
        self.payload_type = line.send.payload_type
        self._mid = line.mid
        self._ticks = AUDIO_FRAME_SAMPLES * line.send.clock_rate // AUDIO_RATE_HZ
        self.ssrc = self.session.local(line.mid).ssrc
        self._timer = self._loop.call_at(self.session.next_deadline(), self._on_timer)

    def packet(self, payload: bytes) -> bytes:
        """The next 20 ms as an RTP packet, for `send`; who keeps it back has lost it."""
        self.sent += 1
        timestamp = self.sent * self._ticks & 0xFFFFFFFF
        if self.counts:  # the payload is one of `with_level`
            number = self.sent & 0xFFFF
            header = _HEADER.pack(self._octet, self.payload_type, number, timestamp, self.ssrc)
            return header + payload
        return self.session.send(
            self._mid, self.payload_type, timestamp, payload, self._loop.time(), level=self.level
        )

    def only_count(self) -> None:
        """Be quick instead of complete from now on; before the first packet."""
        self.counts = True
        self._octet = 0x90 if self._extension else 0x80

    @property
    def _extension(self) -> bytes:
        return compose_extension(self._extensions, level=self.level)

    def with_level(self, payloads: Iterable[bytes]) -> list[bytes]:
        """The payloads as `packet` takes them of this leg."""
        extension = self._extension if self.counts else b""
        return [extension + payload for payload in payloads]

    def send(self, packet: bytes) -> None:
        """Let a packet go, unless it is lost on purpose."""
        if self.loss is None or not self.loss.drop():
            self.transport.send(packet)

    @property
    def lost(self) -> int:
        """Packets that the numbers of those that came say are missing, but for those dropped."""
        if self.counts:
            return 0 if self._first is None else self._highest - self._first + 1 - self.received
        return sum(source.lost for source in self.session.sources.values()) - self.dropped

    def _arrived(self, datagram: bytes, now: float, origin: Hashable = None) -> None:
        if not is_rtcp(datagram):
            if self.counts:
                self._count(*_SEQUENCE.unpack_from(datagram))
                return
            if self.loss is not None and self.loss.drop():
                self.dropped += 1
                return
        self._handle(self.session.receive(datagram, now, origin))

    def _count(self, number: int) -> None:
        if self._first is None:
            self._first = self._highest = number
        ahead = (number - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if ahead > 0:
            self._highest += ahead
        self.received += 1

    def _handle(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, RtpPacket):
                self.received += 1
                self.kept.append(Arrived(output.payload, time.monotonic()))
            elif isinstance(output, Transmit):
                self.transport.send(output.datagram)

    def _on_timer(self) -> None:
        self._handle(self.session.handle_timer(self._loop.time()))
        self._timer = self._loop.call_at(self.session.next_deadline(), self._on_timer)

    async def close(self) -> None:
        """Release the transport, without a word."""
        if self._timer is not None:
            self._timer.cancel()
        await self._negotiator.close()


def _transport(settings: CallSettings) -> SignalledTransport:
    if settings.transport == "rtp":
        return UdpTransport(str(settings.rtp_address), settings.port_range, mux=settings.rtcp_mux)
    return WebRtcTransport(settings, _certificates.current())
