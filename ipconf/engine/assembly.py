"""From the RTP packets of one video source to whole pictures, each only if it can be decoded.

Packets are put in the order of their sequence numbers. What is missing is asked for a few times; if
it does not come in time, nothing is handed on until the next key frame, and one is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import WireError
from .repair import MissingPackets
from .rtp_wire import RtpPacket

if TYPE_CHECKING:
    from ..codecs.base import VideoDepacketizer

MAX_PACKETS = 2048
"""Held at most, about 2.4 MB; the key frame of any camera fits several times."""
MAX_STEP = 3000
"""A larger step in the sequence numbers is a new beginning (RFC 3550 appendix A.1)."""
KEY_FRAME_RETRY_S = 0.5
"""A request, the round trip and the key frame's own way usually take less."""

_SEQUENCE_MASK = (1 << 16) - 1


class AssembledFrame(NamedTuple):
    """One encoded picture."""

    data: bytes
    timestamp: int
    """32-bit RTP timestamp."""
    key_frame: bool
    arrival: float
    """When the packet came that completed it."""


class VideoAssembler:
    """Assembles the pictures of one source; every picture is taken to need the one before.

    `repairable` says that the far end resends what `missing` lists.
    """

    def __init__(self, depacketizer: VideoDepacketizer, repairable: bool = True) -> None:
        self._depacketizer = depacketizer
        self._packets: dict[int, RtpPacket] = {}
        self._missing = MissingPackets(repairable)
        # Sequence numbers in here are extended: they do not wrap around. _start is where the next
        # picture begins, None while only a key frame helps. From there to before _scanned
        # everything is there, and belongs to the picture of _timestamp. Before _done everything
        # was handed on.
        self._highest: int | None = None
        self._done = 0
        self._start: int | None = None
        self._scanned = 0
        self._timestamp: int | None = None
        self._arrived = False
        self._asked_at: float | None = None
        self.broken = 0
        """Times that pictures were given up because something was missing or malformed."""
        self.late = 0
        """Packets that came when their picture was done or given up."""
        self.duplicates = 0

    @property
    def held(self) -> int:
        """Packets waiting for others."""
        return len(self._packets)

    def push(self, packet: RtpPacket, now: float) -> list[AssembledFrame]:
        """Take a packet, in any order; the pictures that became complete by it, in order.

        A packet without payload only fills its place in the sequence.
        """
        self._arrived = True
        sequence = self._extend(packet.sequence)
        packets = self._packets
        if sequence < (self._done if self._start is None else self._start):
            self.late += 1
            return []
        if sequence in packets:
            self.duplicates += 1
            return []
        if len(packets) >= MAX_PACKETS:
            packets.clear()
            self.require_key_frame()
        packets[sequence] = packet
        self._advance_highest(sequence, now)
        if sequence != self._scanned or self._start is None:
            self._look_for_key_frame(sequence, packet, now)
        return self._collect(now)

    def missing(self, now: float, round_trip_s: float | None = None) -> list[int]:
        """Sequence numbers (16 bits) to ask for now; call it every 10 to 20 ms."""
        if not self._missing:
            return []
        if self._missing.is_hopeless(now):
            self._give_up()
            return []
        return [s & _SEQUENCE_MASK for s in self._missing.due(now, round_trip_s)]

    def needs_key_frame(self, now: float, wanted: bool = False) -> bool:
        """Whether to ask for a key frame now: at once, then every 0.5 s while packets come.

        `wanted` says that somebody needs one, though the pictures are handed on.
        """
        if self._missing and self._missing.is_hopeless(now):
            self._give_up()
        if not self._arrived or (self._start is not None and not wanted):
            return False
        if self._asked_at is not None and now - self._asked_at < KEY_FRAME_RETRY_S:
            return False
        self._asked_at = now
        self._arrived = False
        return True

    def require_key_frame(self) -> None:
        """Hand on nothing before the next key frame: what was handed on could not be decoded."""
        self._start = None
        self._missing.clear()

    def _extend(self, sequence: int) -> int:
        """The 16-bit sequence number without wrap-around."""
        highest = self._highest
        if highest is None:
            self._highest = sequence
            self._done = sequence - MAX_STEP
            return sequence
        ahead = (sequence - highest) & _SEQUENCE_MASK
        step = ahead - (ahead >> 15 << 16)  # signed difference modulo 2**16
        if not -MAX_STEP < step < MAX_STEP:
            self._packets.clear()
            self.require_key_frame()
            self._highest = highest + step
            self._done = highest + step - MAX_STEP
        return highest + step

    def _advance_highest(self, sequence: int, now: float) -> None:
        highest = self._highest
        assert highest is not None
        if sequence <= highest:
            if self._missing:
                self._missing.discard(sequence)
            return
        self._highest = sequence
        if (
            sequence > highest + 1
            and self._start is not None
            and not self._missing.add(highest + 1, sequence, now)
        ):
            self._give_up()

    def _look_for_key_frame(self, sequence: int, packet: RtpPacket, now: float) -> None:
        """Go on with a key frame where the pictures before it are stuck."""
        if not self._depacketizer.is_key_frame(packet.payload):
            return
        if self._start is not None and packet.timestamp == self._timestamp:
            return  # a part of it: several packets of H.264 can look like the first
        packets = self._packets
        for old in [s for s in packets if s < sequence]:
            del packets[old]
        self._begin_at(sequence)
        self._missing.forget_before(sequence)
        assert self._highest is not None
        gaps = [s for s in range(sequence, self._highest) if s not in packets]
        for gap in gaps:
            if not self._missing.add(gap, gap + 1, now):
                self._give_up()
                break

    def _begin_at(self, sequence: int) -> None:
        self._start = self._scanned = sequence
        self._timestamp = None

    def _give_up(self) -> None:
        self.broken += 1
        self.require_key_frame()

    def _collect(self, now: float) -> list[AssembledFrame]:
        """Scan on, and take out the pictures that are complete."""
        frames: list[AssembledFrame] = []
        while self._start is not None:
            packet = self._packets.get(self._scanned)
            if packet is None:
                break
            if packet.payload:
                if self._timestamp is None:
                    self._timestamp = packet.timestamp
                elif packet.timestamp != self._timestamp:  # the marker was never set
                    self._take(frames, now)
                    continue
            self._scanned += 1
            if packet.marker:
                self._take(frames, now)
        return frames

    def _take(self, frames: list[AssembledFrame], now: float) -> None:
        """Hand on the picture that ends before `_scanned`."""
        assert self._start is not None
        taken = [self._packets.pop(s).payload for s in range(self._start, self._scanned)]
        payloads = [payload for payload in taken if payload]
        timestamp = self._timestamp
        self._done = self._scanned
        self._begin_at(self._scanned)
        if timestamp is None:
            return
        depacketizer = self._depacketizer
        try:
            data = b"".join([depacketizer.depayload(payload) for payload in payloads])
        except WireError:
            self._give_up()
            return
        if not depacketizer.is_start(payloads[0]):
            self._give_up()
            return
        key_frame = depacketizer.is_key_frame(payloads[0])
        frames.append(AssembledFrame(data, timestamp, key_frame, now))
