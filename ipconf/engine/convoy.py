"""Sources of ours that send the same sound in step: hundreds of listeners of one mix.

Their packets differ in the header alone, and there by amounts that stay the same: sequence numbers,
timestamps and SSRCs begin at random (RFC 3550 section 5.1) and go on alike. So a packet is made for
each by adding to what all have in common, and nothing is written down for each. A source takes in
what was sent for it once somebody asks (`LocalSource.settle`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .rtp_wire import pack_header

if TYPE_CHECKING:
    from .local_source import LocalSource, SharedTail

RECENT_PACKETS = 1024
"""Of which timestamps are kept: by those a source knows its own packets when they come back."""


class _Member(NamedTuple):
    """What makes a packet that of one source."""

    payload_type: int
    sequence: int
    """Of the convoy's packet 0."""
    timestamp: int
    """Of the sender's instant 0."""
    ssrc: int
    transmit: Callable[[bytes], None]


class SentRun(NamedTuple):
    """Packets that were sent one after the other for one source."""

    last: int
    """Number of the last one, 16 bits."""
    packets: int
    stamps: tuple[int, ...]
    """Of these and earlier ones, less `offset`."""
    offset: int

    def has(self, sequence: int, timestamp: int) -> bool:
        """Whether such a packet is among them."""
        age = self.last - sequence & 0xFFFF
        if age >= self.packets:
            return False
        return self.stamps[-1 - age] + self.offset & 0xFFFFFFFF == timestamp


class Convoy:
    """Sends each packet for all of its members; all can send the same tails."""

    __slots__ = (
        "_at",
        "_counted",
        "_joined_at",
        "_kept",
        "_kept_at",
        "_members",
        "_octets",
        "_packets",
        "_stamps",
    )

    def __init__(self) -> None:
        self._members: dict[LocalSource, _Member] = {}
        self._counted: dict[LocalSource, tuple[int, int]] = {}  # packets and octets of ours
        self._joined_at: dict[LocalSource, int] = {}  # packets of ours
        self._packets = self._octets = 0
        self._stamps: deque[int] = deque(maxlen=RECENT_PACKETS)
        self._kept: tuple[int, ...] = ()  # the stamps, as of so many packets
        self._kept_at = 0
        self._at = 0.0

    def __contains__(self, source: LocalSource) -> bool:
        return source in self._members

    def join(
        self,
        source: LocalSource,
        payload_type: int,
        timestamp: int,
        transmit: Callable[[bytes], None],
    ) -> None:
        """Send for this source, too; `timestamp` is added to those that `send` is given."""
        if source.convoy is not None:
            source.convoy.leave(source)
        source.convoy = self
        sequence = source.sequence - self._packets & 0xFFFF
        self._members[source] = _Member(payload_type, sequence, timestamp, source.ssrc, transmit)
        self._counted[source] = (self._packets, self._octets)
        self._joined_at[source] = self._packets

    def leave(self, source: LocalSource) -> None:
        """Send for it no more; harmless when repeated."""
        if source in self._members:
            self.settle(source)
            source.remember(self.sent_for(source))
            source.convoy = None
            del self._members[source], self._counted[source], self._joined_at[source]

    def settle(self, source: LocalSource) -> None:
        """Let a source count what was sent for it."""
        packets, octets = self._counted[source]
        count = self._packets - packets
        if count:
            member = self._members[source]
            self._counted[source] = (self._packets, self._octets)
            stamp = self._stamps[-1] + member.timestamp & 0xFFFFFFFF
            source.advance(count, self._octets - octets, stamp, member.payload_type, self._at)

    def sent_for(self, source: LocalSource) -> SentRun:
        """The latest packets that were sent for a member."""
        if self._kept_at != self._packets:  # made once for all who leave at the same time
            self._kept, self._kept_at = tuple(self._stamps), self._packets
        member = self._members[source]
        count = min(self._packets - self._joined_at[source], len(self._kept))
        last = self._packets - 1 + member.sequence & 0xFFFF
        return SentRun(last, count, self._kept, member.timestamp)

    def send(self, tail: SharedTail, timestamp: int, now: float, marker: bool) -> None:
        """Send one packet for each; `timestamp` is of the sender's clock, which begins at 0."""
        first, data, count = tail.first, tail.data, self._packets
        mark = 0x80 if marker else 0
        self._packets += 1
        self._octets += tail.octets
        self._stamps.append(timestamp)
        self._at = now
        for payload_type, sequence, begin, ssrc, transmit in tuple(self._members.values()):
            transmit(
                pack_header(
                    first,
                    payload_type | mark,
                    count + sequence & 0xFFFF,
                    timestamp + begin & 0xFFFFFFFF,
                    ssrc,
                )
                + data
            )
