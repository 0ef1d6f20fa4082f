"""Sources that are not believed in yet (RFC 3550 section 6.2.1 and appendix A.1)."""

from __future__ import annotations

from collections.abc import Hashable

from .reception import MAX_MISORDER
from .rtp_wire import RtpPacket

MIN_SEQUENTIAL = 2
"""RTP packets in sequence that make a source valid (RFC 3550 appendix A.1)."""
MIN_COMPOUNDS = 2
"""RTCP datagrams that make a source without CNAME valid (RFC 3550 section 6.2.1)."""
MAX_HELD_PACKETS = 16
"""RTP packets kept per candidate, to be delivered once it is valid."""


class _Candidate:
    __slots__ = ("compounds", "held", "last_heard", "origin", "run")

    def __init__(self, now: float) -> None:
        self.origin: Hashable = None
        self.last_heard = now
        self.held: list[RtpPacket] = []
        self.run = 0
        self.compounds = 0


class Probation:
    """The candidates, at most `limit`: a new one pushes out the one that came first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._candidates: dict[int, _Candidate] = {}

    def __len__(self) -> int:
        return len(self._candidates)

    def add_packet(self, packet: RtpPacket, now: float, origin: Hashable) -> list[RtpPacket]:
        """Hold a packet. Once its source is valid: all that is held of it, in order of sequence."""
        candidate = self._candidate(packet.ssrc, now)
        if candidate.origin != origin:
            candidate.origin = origin
            candidate.held = []
        held = candidate.held
        in_sequence = held and packet.sequence == (held[-1].sequence + 1) & 0xFFFF
        candidate.run = candidate.run + 1 if in_sequence else 1
        packet.arrival = now
        held.append(packet)
        if candidate.run < MIN_SEQUENTIAL:
            if len(held) > MAX_HELD_PACKETS:
                del held[0]
            return []
        del self._candidates[packet.ssrc]
        return _neighbours(held, packet.sequence)

    def add_compound(self, ssrc: int, now: float) -> bool:
        """Count an RTCP datagram; whether there were enough of them, even without a CNAME."""
        candidate = self._candidate(ssrc, now)
        candidate.compounds += 1
        return candidate.compounds >= MIN_COMPOUNDS

    def _candidate(self, ssrc: int, now: float) -> _Candidate:
        candidate = self._candidates.get(ssrc)
        if candidate is None:
            if len(self._candidates) >= self._limit:
                del self._candidates[next(iter(self._candidates))]
            candidate = self._candidates[ssrc] = _Candidate(now)
        candidate.last_heard = now
        return candidate

    def discard(self, ssrc: int) -> None:
        """Forget that candidate, if it is one."""
        self._candidates.pop(ssrc, None)

    def expire(self, before: float) -> None:
        """Forget the candidates that were not heard since `before`."""
        for ssrc in [s for s, c in self._candidates.items() if c.last_heard < before]:
            del self._candidates[ssrc]


def _neighbours(held: list[RtpPacket], sequence: int) -> list[RtpPacket]:
    near = [(((p.sequence - sequence + 0x8000) & 0xFFFF) - 0x8000, p) for p in held]
    near.sort(key=lambda pair: pair[0])
    return [p for distance, p in near if abs(distance) <= MAX_MISORDER]
