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
    """SDES packets of chunks that are packed already; one chunk in each with `single`.

    A source that is there already is not said twice.
    """

    __slots__ = ("sources", "_chunks", "_per_packet", "_room")

    def __init__(self, room_octets: float, *, single: bool) -> None:
        self.sources: set[int] = set()
        """Who is described."""
        self._room = room_octets
        self._per_packet = 1 if single else MAX_COUNT
        self._chunks: list[bytes] = []

    def add(self, ssrc: int, chunk: bytes) -> bool:
        """Describe a source; False when there is no room."""
        if ssrc in self.sources:
            return True
        octets = len(chunk)
        if len(self._chunks) % self._per_packet == 0:
            octets += _HEADER_OCTETS
        if octets > self._room:
            return False
        self._room -= octets
        self._chunks.append(chunk)
        self.sources.add(ssrc)
        return True

    def packets(self) -> bytes:
        """All that was added."""
        size = self._per_packet
        starts = range(0, len(self._chunks), size)
        groups = [self._chunks[start : start + size] for start in starts]
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
