"""SDES and BYE packets about many sources, filled as far as there is room (RFC 3550 6.5, 6.6)."""

from __future__ import annotations

from ..model import MAX_SDES_BYTES
from .rtcp_wire import MAX_COUNT, Goodbye, SourceDescription, compose, frame

_HEADER_OCTETS = 4
_SSRC_OCTETS = 4


def cut_reason(text: str) -> str:
    """A reason for leaving as it fits a BYE, cut between letters."""
    return text.encode(errors="replace")[:MAX_SDES_BYTES].decode(errors="ignore")


class ChunkPacker:
    """SDES packets about many sources.

    What is added are packets of one chunk, which are made once for all who are told of a source.
    They go out so with `single`, else up to 31 of them as one packet. A source that is there
    already is not said twice.
    """

    __slots__ = ("_packets", "_room", "_single")

    def __init__(self, room_octets: float, *, single: bool) -> None:
        self._room = room_octets
        self._single = single
        self._packets: dict[int, bytes] = {}

    def __len__(self) -> int:
        """How many sources are described."""
        return len(self._packets)

    def add(self, ssrc: int, packet: bytes) -> bool:
        """Describe a source; False when there is no room."""
        packets = self._packets
        if ssrc in packets:
            return True
        octets = len(packet)
        if not self._single and len(packets) % MAX_COUNT:
            octets -= _HEADER_OCTETS
        if octets > self._room:
            return False
        self._room -= octets
        packets[ssrc] = packet
        return True

    def packets(self) -> bytes:
        """All that was added."""
        if self._single:
            return b"".join(self._packets.values())
        chunks = [packet[_HEADER_OCTETS:] for packet in self._packets.values()]
        groups = [chunks[start : start + MAX_COUNT] for start in range(0, len(chunks), MAX_COUNT)]
        return b"".join(
            frame(SourceDescription.packet_type, len(group), b"".join(group)) for group in groups
        )


class ByePacker:
    """BYE packets, those who leave for one reason together."""

    __slots__ = ("_groups", "_room", "_sources")

    def __init__(self, room_octets: float) -> None:
        self._room = room_octets
        self._groups: dict[str, list[int]] = {}
        self._sources: set[int] = set()

    def add(self, ssrc: int, reason: str) -> bool:
        """Say that a source leaves; False when there is no room."""
        if ssrc in self._sources:
            return True
        group = self._groups.get(reason, [])
        octets = _SSRC_OCTETS
        if len(group) % MAX_COUNT == 0:
            text = len(reason.encode())
            octets += _HEADER_OCTETS + (text + 4 & ~3 if text else 0)
        if octets > self._room:
            return False
        self._room -= octets
        self._groups.setdefault(reason, group).append(ssrc)
        self._sources.add(ssrc)
        return True

    def packets(self) -> bytes:
        """All that was added."""
        return b"".join(
            compose(Goodbye(tuple(group[start : start + MAX_COUNT]), reason))
            for reason, group in self._groups.items()
            for start in range(0, len(group), MAX_COUNT)
        )
