"""Where payloads go out that others than the stream have encoded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from ..engine.forwarding import ForwardedPeople
from ..engine.local_source import SharedTail
from ..engine.session_config import PayloadFormat
from ..model import CallSettings

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed


class StreamOutlet:
    """The way out of one sent stream over one transport (`terminals.packets.Outlet`)."""

    __slots__ = (
        "_channel",
        "_first_timestamp",
        "_mid",
        "_payload_type",
        "_sent",
        "_source",
        "_transmit",
        "format",
        "riding",
        "settings",
        "ssrcs",
    )

    def __init__(
        self,
        channel: Channel,
        agreed: Agreed,
        settings: CallSettings,
        first_timestamp: int,
        sent: Callable[[], None],
    ) -> None:
        self.format: PayloadFormat = agreed.send
        self.riding: tuple[PayloadFormat, ...] = agreed.riding
        self._first_timestamp = first_timestamp
        self._payload_type = agreed.send.payload_type
        self.ssrcs: tuple[int, ...] = channel.session.ssrcs
        self.settings = settings
        self._channel = channel
        self._mid = agreed.mid
        self._source = channel.session.local(agreed.mid)
        self._transmit = channel.transport.send_rtp
        self._sent = sent

    @property
    def reported_loss(self) -> float:
        """Share of the packets, 0..1, that the far end lost of late, the worst of its reports."""
        reports = self._source.reports.values()
        return max((report.fraction_lost for report in reports), default=0.0)

    def forward(self, people: ForwardedPeople, leg: Hashable) -> None:
        """Tell the far end of the people of a conference, but for those on `leg`."""
        self._channel.forward(people, leg)

    @property
    def sharing(self) -> Hashable:
        """Outlets of which this is equal can send the same tails; None: this one cannot, now."""
        return self._source.sharing

    def tail(
        self, payload: bytes, level: int, csrcs: Sequence[int], csrc_levels: Sequence[int]
    ) -> SharedTail:
        """Everything of a packet that all outlets of equal `sharing` can send."""
        return self._source.tail(payload, level, csrcs, csrc_levels)

    def send_shared(self, tail: SharedTail, timestamp: int, now: float, marker: bool) -> None:
        """Send one packet now; `timestamp` is on the provider's clock, which begins at 0."""
        stamp = (timestamp + self._first_timestamp) & 0xFFFFFFFF
        self._transmit(self._source.send_shared(self._payload_type, stamp, tail, now, marker))
        self._sent()

    def send(
        self,
        payload: bytes,
        timestamp: int,
        now: float,
        *,
        marker: bool = False,
        level: int | None = None,
        csrcs: Sequence[int] = (),
        csrc_levels: Sequence[int] = (),
    ) -> None:
        """Send one packet now; levels are 0 (loudest) .. 127."""
        stamp = (timestamp + self._first_timestamp) & 0xFFFFFFFF
        self._channel.send(
            self._mid, self._payload_type, stamp, payload, now,
            marker=marker, level=level, csrcs=csrcs, csrc_levels=csrc_levels,
        )  # fmt: skip
        self._sent()
