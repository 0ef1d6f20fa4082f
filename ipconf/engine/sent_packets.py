"""Packets that were sent, and may be asked for again (RFC 4585 section 6.2.1)."""

from __future__ import annotations

from typing import NamedTuple

from .session_config import SessionStats

HISTORY_PACKETS = 512
"""Video packets kept for repeats: some seconds at 500 kbit/s."""
RESEND_SPACING_S = 0.02
"""A packet is not repeated more often: several people may miss the same one."""
RESEND_SHARE = 0.25
"""Octets repeated for each octet sent: who loses more needs a lower bit rate, not repeats."""
RESEND_BURST_OCTETS = 100 * 1200
"""Octets that may be repeated beyond that, after a time in which nobody asked."""


class SentPacket(NamedTuple):
    """One of them, in parts.

    Put together again it is the very same, as it has to be under one number (RFC 3711 section
    3.3.1).
    """

    sequence: int
    payload_type: int
    timestamp: int
    marker: bool
    front: bytes
    """All of it before the body."""
    head: bytes
    """What of that is payload."""
    body: bytes
    """The rest of the payload, which others may share."""


class SentPackets:
    """The latest packets of one source, and how much of them may be repeated."""

    __slots__ = ("_allowed", "_kept", "_resent_at", "_stats")

    def __init__(self, stats: SessionStats) -> None:
        self._stats = stats
        self._allowed: float = RESEND_BURST_OCTETS
        self._kept: list[SentPacket | None] = [None] * HISTORY_PACKETS
        # By place: which packet was repeated, and when.
        self._resent_at: dict[int, tuple[SentPacket, float]] = {}

    def keep(self, packet: SentPacket) -> None:
        """It is sent now; another one is forgotten for it."""
        self._kept[packet[0] % HISTORY_PACKETS] = packet
        earned = self._allowed + (len(packet[4]) + len(packet[6])) * RESEND_SHARE
        self._allowed = earned if earned < RESEND_BURST_OCTETS else RESEND_BURST_OCTETS

    def has(self, sequence: int) -> bool:
        """Whether the packet of that 16-bit number is kept."""
        kept = self._kept[sequence % HISTORY_PACKETS]
        return kept is not None and kept[0] == sequence

    def repeat(self, sequence: int, now: float) -> SentPacket | None:
        """The packet of that number, to be sent once more; None if it may not be, or is not kept.

        It may not if it was sent within `RESEND_SPACING_S`, or if repeats take more than
        `RESEND_SHARE` of what is sent.
        """
        place = sequence % HISTORY_PACKETS
        packet = self._kept[place]
        if packet is None or packet.sequence != sequence:
            return None
        repeated, at = self._resent_at.get(place, (None, 0.0))
        if repeated is packet and now < at + RESEND_SPACING_S:
            return None
        size = len(packet.front) + len(packet.body)
        if self._allowed < size:
            self._stats.resends_refused += 1
            return None
        self._allowed -= size
        self._resent_at[place] = (packet, now)
        return packet
