"""Where payloads go out that others than the stream have encoded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from ..engine.forwarding import ForwardedPeople
from ..engine.session_config import PayloadFormat
from ..model import CallSettings

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed


class StreamOutlet:
    """The way out of one sent stream over one transport (`terminals.packets.Outlet`)."""

    __slots__ = (
        "_channel",
        "_mid",
        "_sent",
        "first_timestamp",
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
        self.first_timestamp = first_timestamp
        self.ssrcs: tuple[int, ...] = channel.session.ssrcs
        self.settings = settings
        self._channel = channel
        self._mid = agreed.mid
        self._sent = sent

    @property
    def reported_loss(self) -> float:
        """Share of the packets, 0..1, that the far end lost of late, the worst of its reports."""
        reports = self._channel.session.local(self._mid).reports.values()
        return max((report.fraction_lost for report in reports), default=0.0)

    def forward(self, people: ForwardedPeople, leg: Hashable) -> None:
        """Tell the far end of the people of a conference, but for those on `leg`."""
        self._channel.forward(people, leg)

    def send(
        self,
        payload: bytes,
        timestamp: int,
        now: float,
        *,
        payload_type: int,
        marker: bool = False,
        level: int | None = None,
        csrcs: Sequence[int] = (),
        csrc_levels: Sequence[int] = (),
    ) -> None:
        """Send one packet now; `timestamp` has 32 bits, levels are 0 (loudest) .. 127."""
        self._channel.send(
            self._mid, payload_type, timestamp, payload, now,
            marker=marker, level=level, csrcs=csrcs, csrc_levels=csrc_levels,
        )  # fmt: skip
        self._sent()
