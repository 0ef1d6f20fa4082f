"""What sends and takes packets on several video sections, as a conference does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from peers import eventually
from senses import CAPTURE, RENDER, VIDEO, Picture, paint

from ipconf.codecs.vp8 import Vp8Encoder
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.engine.session_config import PayloadFormat
from ipconf.terminals.packets import Outlet, PacketSink, PacketSource


class Slots(PacketSource):
    """Sends a still picture on each section, every one of them a key frame."""

    def __init__(self) -> None:
        super().__init__("slots", VIDEO, CAPTURE)
        self.outlets: list[Outlet] = []
        self.asked: list[str] = []
        """The mids of the sections of which key frames were asked for."""
        self.limits: list[tuple[str, int, tuple[int, ...]]] = []
        self._payloads: dict[int, list[bytes]] = {}

    def begin(self, outlet: Outlet) -> None:
        super().begin(outlet)
        self._add(outlet)

    def extend(self, outlet: Outlet) -> None:
        self._add(outlet)

    def _add(self, outlet: Outlet) -> None:
        outlet.on_key_frame_request = lambda: self.asked.append(outlet.mid)
        outlet.on_bitrate = lambda bps, ssrcs: self.limits.append((outlet.mid, bps, ssrcs))
        self.outlets.append(outlet)

    def end(self) -> None:
        super().end()
        self.outlets.clear()

    def send(
        self, now: float, pictures: Sequence[Picture], csrcs: Mapping[int, int] | None = None
    ) -> None:
        """A picture on each section; `csrcs` are the contributors by slot, if there are some."""
        for slot, (outlet, picture) in enumerate(zip(self.outlets, pictures, strict=False)):
            assert outlet.format.name == "VP8"
            payloads = self._payloads.get(slot) or _encoded(picture)
            self._payloads[slot] = payloads
            names = [csrcs[slot]] if csrcs and slot in csrcs else []
            for payload in payloads:
                outlet.send(
                    payload,
                    round(now * 90_000),
                    now,
                    marker=payload is payloads[-1],
                    level=None,
                    csrcs=names,
                    csrc_levels=(),
                )

    async def until(
        self,
        condition: Callable[[], object],
        now: Callable[[], float],
        pictures: Sequence[Picture],
        csrcs: Mapping[int, int] | None = None,
    ) -> Any:
        """Send until something is so."""

        def send_and_look() -> object:
            self.send(now(), pictures, csrcs)
            return condition()

        return await eventually(send_and_look)


def _encoded(picture: Picture) -> list[bytes]:
    payloads, key_frame = Vp8Encoder(2_000_000).encode(paint(picture), True)
    assert key_frame
    return payloads


class Inlet(PacketSink):
    """Keeps what it is told of sections, and packets, and counts them by their mid."""

    def __init__(self) -> None:
        super().__init__("inlet", VIDEO, RENDER)
        self.sections: dict[str, str] = {}
        self.taken: dict[str, int] = {}
        self.packets: list[RtpPacket] = []

    def section(self, mid: str, formats: tuple[PayloadFormat, ...], content: str) -> None:
        assert formats
        self.sections[mid] = content

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        assert packet.source is not None and packet.source.mid in self.sections
        mid = packet.source.mid
        self.taken[mid] = self.taken.get(mid, 0) + 1
        self.packets.append(packet)
