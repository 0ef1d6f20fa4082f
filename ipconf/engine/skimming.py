"""Packets that nobody plays now: counted and their level read, but not taken apart.

Of all that comes to a conference, most is the noise of people who are silent. A packet that is
simply the next one of such a person is left as it came.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Protocol

from .reception import RemoteSource
from .rtp_wire import SHORT_BLOCK, SHORT_BLOCK_END, RtpPacket, parse_rtp
from .session_config import SessionConfig, SessionStats
from .speakers import TALK_LEVEL
from .telephone_events import is_telephone_event

# The fixed header, and an extension that has the audio level and no more (RFC 6464 section 3).
_unpack_plain = struct.Struct("!BBHIIIBBH").unpack_from
_pack_mark = struct.Struct("!IIB").pack


Timed = tuple[bytes, float]
"""A datagram, and when it came, in seconds of the session clock."""


class Skimmer(Protocol):
    """Takes packets of one source unparsed, while it does not want them whole."""

    awake: bool
    """Whether it wants whole packets now."""
    quiet_level: int
    """It may be told a little later of packets that are softer than this."""

    def skim(self, run: Sequence[Timed], levels: Sequence[int]) -> None:
        """Packets came, each so loud, 0 (loudest) .. 127; `restore` takes one apart."""


class Skimming:
    """What of a session's packets is skimmed: those of `skimmers`, by SSRC."""

    __slots__ = ("_extensions", "_sources", "_stats", "catch_up", "prompt", "skimmers")

    def __init__(
        self, config: SessionConfig, sources: Mapping[int, RemoteSource], stats: SessionStats
    ) -> None:
        self.skimmers: dict[int, Skimmer] = {}
        self.catch_up: Callable[[], None] = lambda: None
        """Takes what has come and waits."""
        events = [
            f.payload_type for s in config.sections for f in s.formats if is_telephone_event(f)
        ]
        self.prompt = frozenset((*events, *(number | 0x80 for number in events)))
        """Second octets of packets that are looked at when they come: digits are not silence."""
        self._extensions = config.extensions
        self._sources = sources
        self._stats = stats

    def take(self, run: Sequence[Timed], origin: Hashable) -> int:
        """Count packets of one sender and hand them to its skimmer, until one is of another kind.

        How many they were; the next one wants `RtpSession.receive`. Skimmed is what is soft, in
        order, and has a level but nothing else that is worth a look.
        """
        datagram, now = run[0]
        if len(datagram) <= SHORT_BLOCK_END:
            return 0
        _, kind, number, _, ssrc, *_ = _unpack_plain(datagram)
        skimmer, source = self.skimmers.get(ssrc), self._sources.get(ssrc)
        if skimmer is None or skimmer.awake or source is None or source.rtp_origin != origin:
            return 0
        if kind in self.prompt:
            return 0
        usual, stamps, levels, octets = self._extensions.level_head, [], [], 0
        expected = number
        for datagram, now in run:
            if len(datagram) <= SHORT_BLOCK_END:
                break
            first, second, sequence, stamp, sender, block, head, octet, rest = _unpack_plain(
                datagram
            )
            level = octet & 0x7F
            if (
                first != 0x90
                or second != kind
                or sequence != expected
                or sender != ssrc
                or block != SHORT_BLOCK
                or head != usual
                or rest
                or level <= TALK_LEVEL
            ):
                break
            expected = sequence + 1 & 0xFFFF
            stamps.append((stamp, now))
            levels.append(level)
            octets += len(datagram) - SHORT_BLOCK_END
        if not stamps or not source.accept_run(kind, number, stamps, octets):
            return 0
        source.level = levels[-1]
        self._stats.rtp_received += len(stamps)
        skimmer.skim(run[: len(stamps)], levels)
        return len(stamps)

    def mark(self, ssrc: int) -> bytes | None:
        """What the octets 8 to 16 of a source's packets are, if they can be skimmed at all."""
        head = self._extensions.level_head
        return None if head < 0 else _pack_mark(ssrc, SHORT_BLOCK, head)

    def restore(self, datagram: bytes, source: RemoteSource, arrival: float) -> RtpPacket:
        """The packet that was skimmed from `source` a moment ago, as `receive` gives them."""
        packet = parse_rtp(datagram, self._extensions)
        packet.extended = source.highest - ((source.highest - packet.sequence) & 0xFFFF)
        packet.arrival = arrival
        packet.source = source
        return packet
