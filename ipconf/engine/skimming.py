"""Packets that nobody plays now: counted and their level read, but not taken apart.

Of all that comes to a conference, most is the noise of people who are silent. A packet that is
simply the next one of such a person is left as it came.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping
from typing import Protocol

from .reception import RemoteSource
from .rtp_wire import SHORT_BLOCK, SHORT_BLOCK_END, RtpPacket, parse_rtp
from .session_config import SessionConfig, SessionStats
from .speakers import TALK_LEVEL

# The fixed header, and an extension that has the audio level and no more (RFC 6464 section 3).
_unpack_plain = struct.Struct("!BBHIIIBBH").unpack_from


class Skimmer(Protocol):
    """Takes packets of one source unparsed, while it does not want them whole."""

    awake: bool
    """Whether it wants whole packets now."""

    def skim(self, datagram: bytes, level: int, now: float) -> None:
        """A packet came that is this loud, 0 (loudest) .. 127; `restore` takes it apart."""


class Skimming:
    """What of a session's packets is skimmed: those of `skimmers`, by SSRC."""

    __slots__ = ("_extensions", "_sources", "_stats", "skimmers")

    def __init__(
        self, config: SessionConfig, sources: Mapping[int, RemoteSource], stats: SessionStats
    ) -> None:
        self.skimmers: dict[int, Skimmer] = {}
        self._extensions = config.extensions
        self._sources = sources
        self._stats = stats

    def take(self, datagram: bytes, now: float, origin: Hashable) -> bool:
        """Count a packet and hand it to its skimmer; False: it wants `RtpSession.receive`.

        Skimmed is what is soft, in order, and has a level but nothing else that is worth a look.
        """
        if len(datagram) <= SHORT_BLOCK_END:
            return False
        first, second, sequence, timestamp, ssrc, block, head, octet, rest = _unpack_plain(datagram)
        skimmer = self.skimmers.get(ssrc)
        level = octet & 0x7F
        if (
            skimmer is None
            or skimmer.awake
            or level <= TALK_LEVEL
            or first != 0x90
            or block != SHORT_BLOCK
            or head != self._extensions.level_head
            or rest
        ):
            return False
        source = self._sources.get(ssrc)
        if source is None or source.rtp_origin != origin:
            return False
        octets = len(datagram) - SHORT_BLOCK_END
        if not source.accept_next(second, sequence, timestamp, octets, now):
            return False
        source.level = level
        self._stats.rtp_received += 1
        skimmer.skim(datagram, level, now)
        return True

    def restore(self, datagram: bytes, source: RemoteSource, arrival: float) -> RtpPacket:
        """The packet that was skimmed from `source` a moment ago, as `receive` gives them."""
        packet = parse_rtp(datagram, self._extensions)
        packet.extended = source.highest - ((source.highest - packet.sequence) & 0xFFFF)
        packet.arrival = arrival
        packet.source = source
        return packet
