"""One end of a call without the call: a negotiated DTLS-SRTP transport, and an RTP session on it.

It takes ready-made payloads and keeps what arrives, undecoded: a far end that costs little.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Hashable, Iterable
from functools import partial

from ipconf.calls.negotiator import Bearer, Negotiator
from ipconf.codecs.registry import FORMATS
from ipconf.engine.outputs import Output, Transmit
from ipconf.engine.rtp_wire import HeaderExtensions, RtpPacket
from ipconf.engine.session import RtpSession, Section, SessionConfig
from ipconf.model import AUDIO_FRAME_SAMPLES, CallSettings, MediaType, SdesType
from ipconf.transports.webrtc import Certificates, WebRtcTransport

SETTINGS = CallSettings.model_validate({"ice_addresses": ["127.0.0.1"]})
"""Everything here stays on this machine."""
KEPT_PAYLOADS = 100
SPOKEN_LEVEL = 20
"""-20 dBov, what the tones of `sounds` have about."""

_certificates = Certificates()


class Leg:
    """One audio leg; `offer` and `accept`, or `answer`; then wait for `connected`."""

    def __init__(self, number: int) -> None:
        self._cname = f"leg{number}@benchmark"
        make = partial(WebRtcTransport, SETTINGS, _certificates.current())
        formats = {MediaType.AUDIO: FORMATS[MediaType.AUDIO]}
        self._negotiator = Negotiator(formats, SETTINGS, make, self._cname)
        self.connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.received = 0
        """RTP packets that the session let through."""
        self.kept: deque[bytes] = deque(maxlen=KEPT_PAYLOADS)
        """The latest payloads."""
        self.sent = 0
        """RTP packets made."""

    async def offer(self) -> str:
        return await self._negotiator.offer()

    async def answer(self, sdp: str) -> str:
        answer = await self._negotiator.answer(sdp)
        self._connect()
        return answer

    def accept(self, sdp: str) -> None:
        self._negotiator.accept_answer(sdp)
        self._connect()

    def _connect(self) -> None:
        self.connecting = asyncio.ensure_future(self._negotiator.connect(self._begin))

    def _begin(self, bearer: Bearer) -> None:
        (line,) = bearer.lines
        config = SessionConfig(
            sections=(
                Section(
                    line.mid, line.medium, line.receive, line.ssrcs, sent=(line.send,),
                    local_ssrc=self._negotiator.ssrcs[line.medium],
                ),
            ),
            extensions=HeaderExtensions(line.extensions),
            identity={SdesType.CNAME: self._cname, SdesType.NAME: self._cname},
            min_interval_s=1.0,
        )  # fmt: skip
        self._loop = asyncio.get_running_loop()
        self.session = RtpSession(config, random.Random(), self._loop.time())
        self.transport = bearer.transport
        self.transport.sink = self._arrived
        self._mid, self.payload_type = line.mid, line.send.payload_type
        self.ssrc = self.session.local(line.mid).ssrc
        self._timer = self._loop.call_at(self.session.next_deadline(), self._on_timer)

    def packet(self, payload: bytes) -> bytes:
        """The next 20 ms as an RTP packet, for `send`; who keeps it back has lost it."""
        self.sent += 1
        timestamp = self.sent * AUDIO_FRAME_SAMPLES & 0xFFFFFFFF
        return self.session.send(
            self._mid, self.payload_type, timestamp, payload, self._loop.time(),
            level=SPOKEN_LEVEL,
        )  # fmt: skip

    def send(self, packet: bytes) -> None:
        self.transport.send(packet)

    def _arrived(self, datagram: bytes, now: float, origin: Hashable = None) -> None:
        self._handle(self.session.receive(datagram, now, origin))

    def _handle(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, RtpPacket):
                self.received += 1
                self.kept.append(output.payload)
            elif isinstance(output, Transmit):
                self.transport.send(output.datagram)

    def _on_timer(self) -> None:
        self._handle(self.session.handle_timer(self._loop.time()))
        self._timer = self._loop.call_at(self.session.next_deadline(), self._on_timer)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._negotiator.close()
