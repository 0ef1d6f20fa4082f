"""Digits that arrive: telephone events (RFC 4733) of everybody who sends any, told as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..engine.digit_reader import DigitReader, Pressed, Released
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.telephone_events import is_telephone_event
from ..events import DigitBegan, DigitEnded
from ..rtp_streams import StreamOwner

if TYPE_CHECKING:
    from .substreams import SubStream

CHECK_TICKS = 10
"""Whether an end was lost is looked at every 100 ms, while there is anything to end."""


class HeardDigits:
    """Reads the telephone events of an arriving stream, whether or not it is rendered."""

    def __init__(
        self, owner: StreamOwner, substream_of: Callable[[RemoteSource], SubStream | None]
    ) -> None:
        self.payload_types: frozenset[int] = frozenset()
        """Those of telephone events."""
        self._owner = owner
        self._substream_of = substream_of
        self._rates: dict[int, int] = {}
        self._readers: dict[RemoteSource, DigitReader] = {}
        self._watching = False
        self._past_malformed = 0

    @property
    def malformed(self) -> int:
        """Packets that made no sense."""
        return self._past_malformed + sum(reader.malformed for reader in self._readers.values())

    def renew(self, formats: Iterable[PayloadFormat]) -> None:
        """These formats may arrive from now on."""
        self._rates = {f.payload_type: f.clock_rate for f in formats if is_telephone_event(f)}
        self.payload_types = frozenset(self._rates)

    def take(self, packet: RtpPacket, now: float) -> None:
        """Take a packet of one of the `payload_types`."""
        source = packet.source
        if source is None or not packet.payload:
            return  # a probe
        reader = self._readers.get(source)
        if reader is None:
            reader = self._readers[source] = DigitReader()
        self._tell(source, reader.take(packet, self._rates[packet.payload_type], now))
        if reader.pressed and not self._watching:
            self._watching = True
            self._owner.ticker.add(self._watch, CHECK_TICKS)

    def forget(self, source: RemoteSource) -> None:
        """A source is no more: what it pressed is released."""
        reader = self._readers.pop(source, None)
        if reader is not None:
            self._past_malformed += reader.malformed
            self._tell(source, reader.end())

    def _watch(self, now: float, number: int) -> None:
        pressed = False
        for source, reader in tuple(self._readers.items()):
            self._tell(source, reader.expire(now))
            pressed = pressed or reader.pressed is not None
        if not pressed:
            self._watching = False
            self._owner.ticker.remove(self._watch)

    def _tell(self, source: RemoteSource, news: Iterable[Pressed | Released]) -> None:
        for item in news:
            fields = {
                "participant": self._owner.roster.participant_of(source),
                "substream": self._substream_of(source),
                "digit": item.digit,
            }
            if isinstance(item, Pressed):
                self._owner.post(DigitBegan, **fields)
            else:
                self._owner.post(DigitEnded, **fields, duration_s=item.duration_s)
