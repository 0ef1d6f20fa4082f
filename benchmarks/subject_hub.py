"""A process to measure: many DTLS-SRTP legs, as in a conference, with nothing above the transport.

Each received packet is only counted, where the session would begin; every 20 ms each leg sends one.
With `--floor` nothing of this package but the reading of sockets is in their way, to see what
cannot be saved on this machine.
`python -m benchmarks.subject_hub [--uvloop] [--floor]`; see `children`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Hashable
from typing import Any

from ipconf.engine.rtp_wire import compose_rtp
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES
from ipconf.transports.ports import Address, Port
from ipconf.transports.webrtc import WebRtcTransport

from .children import Commands, serve
from .legs import Leg
from .sounds import encode, tone, tone_hz


class HubLeg(Leg):
    """A leg whose packets stop at the transport."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.arrived = 0
        self.payloads = encode(tone(tone_hz(number)))

    def take_over(self) -> None:
        """From now on only count what arrives; returns nothing to the session."""
        self.transport.sink = self._took

    def _took(self, datagram: bytes, now: float, origin: Hashable = None) -> None:
        self.arrived += 1

    def emit(self, packet: bytes) -> None:
        """Send a packet that is not the session's."""
        self.transport.send(packet)


class FloorLeg(HubLeg):
    """What a packet costs at the very least: kernel, event loop, cipher, a count.

    The loop is read as ever, ICE goes on as ever; there are no counters and no losses to look for.
    """

    def take_over(self) -> None:
        """Put the shortest way in the place of the transport's."""
        assert isinstance(self.transport, WebRtcTransport)
        pair = self.transport._ice._pair
        into, out = self.transport._srtp_in, self.transport._srtp_out
        assert pair is not None and into is not None and out is not None
        port: Any = pair.protocol.transport
        assert isinstance(port, Port)
        self._protect, self._address = out.protect_rtp, pair.remote_addr
        self._send_to = port.sendto
        unprotect, others = into.unprotect, port.arrived

        def arrived(data: bytes, address: Address) -> None:
            if 127 < data[0] < 192:
                self.arrived += unprotect(data) is not None
            else:
                others(data, address)

        port.arrived = arrived

    def emit(self, packet: bytes) -> None:
        protected = self._protect(packet)
        assert protected is not None
        self._send_to(protected, self._address)


class Hub:
    """Legs in the order of their offers."""

    def __init__(self, make_leg: type[HubLeg]) -> None:
        self._make_leg = make_leg
        self._legs: list[HubLeg] = []
        self._ticking: asyncio.Task[None] | None = None
        self._send_s = 0.0
        self._ticks = 0
        self.commands: Commands = {
            "offer": self.offer,
            "accept": self.accept,
            "tick": self.tick,
            "measure": self.measure,
            "close": self.close,
        }

    async def offer(self) -> str:
        """One more leg: its offer."""
        self._legs.append(self._make_leg(len(self._legs)))
        return await self._legs[-1].offer()

    async def accept(self, sdp: str) -> None:
        """Connect the latest leg."""
        leg = self._legs[-1]
        leg.accept(sdp)
        assert leg.connecting is not None
        await leg.connecting
        leg.take_over()

    async def tick(self) -> None:
        """Send on every leg from now on."""
        self._ticking = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += AUDIO_FRAME_S
            await asyncio.sleep(due - loop.time())
            began = time.thread_time()
            number = self._ticks
            for leg in self._legs:
                leg.emit(
                    compose_rtp(
                        leg.payload_type,
                        number & 0xFFFF,
                        number * AUDIO_FRAME_SAMPLES & 0xFFFFFFFF,
                        leg.ssrc,
                        leg.payloads[number % len(leg.payloads)],
                    )
                )
            self._ticks += 1
            self._send_s += time.thread_time() - began

    async def measure(self, seconds: float) -> dict[str, Any]:
        """Packets and CPU of that time: of sending, and of everything else."""
        send_s, ticks = self._send_s, self._ticks
        before = [leg.arrived for leg in self._legs]
        cpu = time.process_time()
        await asyncio.sleep(seconds)
        cpu = time.process_time() - cpu
        send_s = self._send_s - send_s
        return {
            "cpu": cpu,
            "send cpu": send_s,
            "sent": (self._ticks - ticks) * len(self._legs),
            "arrived": [leg.arrived - b for leg, b in zip(self._legs, before, strict=True)],
            "unauthenticated": sum(leg.transport.counters.unauthenticated for leg in self._legs),
        }

    async def close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        for leg in self._legs:
            await leg.close()


if __name__ == "__main__":
    serve(lambda: Hub(FloorLeg if "--floor" in sys.argv else HubLeg).commands)
