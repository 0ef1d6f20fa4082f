"""Where payloads go out that others than the stream have encoded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from ..engine.convoy import Convoy
from ..engine.forwarding import ForwardedPeople
from ..engine.local_source import LocalSource, SharedTail
from ..engine.session_config import PayloadFormat
from ..model import CallSettings, MediaType

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed


class StreamOutlet:
    """The way out of one section of a sent stream (`terminals.packets.Outlet`)."""

    __slots__ = (
        "_began",
        "_channel",
        "_first_timestamp",
        "_payload_type",
        "_pictures",
        "_sent",
        "_taken",
        "_transmit",
        "format",
        "formats",
        "mid",
        "on_bitrate",
        "on_key_frame_request",
        "on_new_ssrc",
        "on_taken",
        "riding",
        "settings",
        "source",
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
        self.formats: tuple[PayloadFormat, ...] = agreed.sendable
        self.riding: tuple[PayloadFormat, ...] = agreed.riding
        self._first_timestamp = first_timestamp
        self._payload_type = agreed.send.payload_type
        self.ssrcs: tuple[int, ...] = channel.session.ssrcs
        self.settings = settings
        self._channel = channel
        self.mid: str = agreed.mid
        self.source: LocalSource = channel.session.local(agreed.mid)
        self.on_key_frame_request: Callable[[], None] = _nobody_asks
        self.on_new_ssrc: Callable[[], None] = _nobody_asks
        self.on_bitrate: Callable[[int, tuple[int, ...]], None] = _nobody_asks
        self.on_taken: Callable[[], None] = _nobody_asks
        self._pictures = agreed.medium is MediaType.VIDEO
        self._transmit = channel.transport.send_rtp
        self._sent = sent
        self._began = False  # whether the stream knows that it sends
        self._taken = False

    @property
    def ssrc(self) -> int:
        """Ours in this section; another one after a collision."""
        return self.source.ssrc

    @property
    def reported_loss(self) -> float:
        """Share of the packets, 0..1, that the far end lost of late, the worst of its reports."""
        reports = self.source.reports.values()
        return max((report.fraction_lost for report in reports), default=0.0)

    def take(self) -> None:
        """Send no payloads until `give_back`: something else has their numbers."""
        self._taken, self._began = True, False
        self.on_taken()

    def give_back(self) -> None:
        """Send them again; the first one is marked."""
        self._taken = False

    def forward(self, people: ForwardedPeople, leg: Hashable) -> None:
        """Tell the far end of the people of a conference, but for those on `leg`."""
        self._channel.forward(people, leg)

    @property
    def sharing(self) -> Hashable:
        """Outlets of which this is equal can send the same tails; None: this one cannot, now."""
        return self.source.sharing if self._began else None

    def tail(
        self, payload: bytes, level: int, csrcs: Sequence[int], csrc_levels: Sequence[int]
    ) -> SharedTail:
        """Everything of a packet that all outlets of equal `sharing` can send."""
        return self.source.tail(payload, level, csrcs, csrc_levels)

    def join(self, convoy: Convoy) -> None:
        """Let what is sent there be sent here, too, instead of anywhere else."""
        if self.source.convoy is not convoy and not self.source.left:
            convoy.join(self.source, self._payload_type, self._first_timestamp, self._transmit)

    def part(self) -> None:
        """Let nothing be sent here that is sent elsewhere; harmless when repeated."""
        if self.source.convoy is not None:
            self.source.convoy.leave(self.source)

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
        captured_at: float | None = None,
    ) -> None:
        """Send one packet now; levels are 0 (loudest) .. 127.

        `captured_at` is the instant that the timestamp stands for, without it now.
        """
        if self._taken:
            return
        stamp = (timestamp + self._first_timestamp) & 0xFFFFFFFF
        if not self._pictures:
            marker = marker or not self._began
        self._channel.send(
            self.mid, self._payload_type, stamp, payload, now,
            marker=marker, level=level, csrcs=csrcs, csrc_levels=csrc_levels,
            captured_at=captured_at,
        )  # fmt: skip
        self._began = True
        if marker or not self._pictures:
            self._sent()

    def transmit(self, datagram: bytes, marker: bool) -> None:
        """Send a packet now that `source` has made; `marker` if a picture ends with it."""
        self._transmit(datagram)
        if marker:
            self._sent()


def _nobody_asks(*asked: object) -> None:
    """What is asked for before somebody listens is nobody's."""
