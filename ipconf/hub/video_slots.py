"""Slots: the pictures that a leg is sent, each an SSRC of ours that shows one feed at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine.picture_marks import PictureMark
from ..engine.rtp_wire import RtpPacket
from ..engine.switching import Slot
from ..engine.video_rates import RateMeter
from ..errors import UsageError
from ..terminals.packets import Outlet
from .video_feeds import Feed, accepted_formats

if TYPE_CHECKING:
    from .call_legs import CallLeg

BLANKS = 3
"""A slot that is empty says so as often: any of these packets may be lost."""
BLANK_S = 0.3
"""From one to the next."""


class ViewSlot:
    """One slot of a leg; `changed(slot)` is called whenever somebody else is seen in it."""

    def __init__(
        self, leg: CallLeg, number: int, outlet: Outlet, changed: Callable[[ViewSlot], None]
    ) -> None:
        self.leg = leg
        self.number = number
        self.formats = accepted_formats(outlet.formats)
        """What can be shown in it."""
        self.feed: Feed | None = None
        """Who is to be seen."""
        self.seen: Feed | None = None
        """Who is."""
        self.meter = RateMeter()
        """Of what goes out."""
        self.forwarded = 0
        self.slot = Slot(outlet.source, self.formats)
        self._outlet = outlet
        self._changed = changed
        self._blanks = 0
        self._blank_at = math.inf
        self._broken = False  # the far end cannot go on with what it has
        outlet.on_key_frame_request = self._asked

    @property
    def waits(self) -> bool:
        """Whether nothing can be shown before a key frame begins."""
        return self.slot.wants_key_frame or self._broken

    @property
    def loss(self) -> tuple[float, float] | None:
        """The share of packets that the far end lost of late, 0..1, and when it said so."""
        reports = self._outlet.source.reports.values()
        latest = max(reports, key=lambda report: report.at, default=None)
        return None if latest is None else (latest.fraction_lost, latest.at)

    def show(self, feed: Feed | None, now: float) -> None:
        """Let this feed be seen from its next key frame on; None: nobody, at once."""
        if feed is not self.feed:
            before, self.feed = self.feed, feed
            keep = self.seen is not None and self.seen.live
            self.slot.show(feed, self._csrcs, keep=keep)
            for other in (before, self.seen):
                if other is not None and other is not feed and other is not self.slot.shown:
                    other.lookers.pop(self, None)
            if feed is not None:
                feed.lookers[self] = None
            self._look(now)
        self._want_key_frames(now)

    def rename(self, feed: Feed) -> None:
        """It is somebody's, or has another CSRC, from now on."""
        if feed is self.feed:
            self.slot.show(feed, self._csrcs)
        if feed is self.seen:
            self._changed(self)

    def forget(self, feed: Feed, now: float) -> None:
        """It is no more."""
        self.slot.forget(feed)
        if self.feed is feed:
            self.feed = None
        feed.lookers.pop(self, None)
        self._look(now)

    def take(self, feed: Feed, packet: RtpPacket, mark: PictureMark, now: float) -> None:
        """A packet has come of a feed that it shows, or is to show."""
        slot = self.slot
        try:
            datagram = slot.forward(feed, packet, mark, now)
        except UsageError:  # the call is saying goodbye
            return
        if datagram is not None:
            self._outlet.transmit(datagram, packet.marker)
            self.meter.add(len(datagram), now)
            self.forwarded += 1
            if mark.key_frame:
                self._broken = False
        if slot.shown is not self.seen:
            self._look(now)

    def tick(self, now: float) -> None:
        """Show nobody who has gone; say once more that nobody is seen, if so; every 100 ms."""
        if self.seen is not None and not self.seen.live:
            self.slot.show(self.feed, self._csrcs, keep=False)
            self._look(now)
        self._want_key_frames(now)
        self._say_blank(now)

    def _say_blank(self, now: float) -> None:
        if now >= self._blank_at:
            self._blanks -= 1
            self._blank_at = now + BLANK_S if self._blanks else math.inf
            try:
                datagram = self.slot.blank(now)
            except UsageError:
                return
            if datagram is not None:
                self._outlet.transmit(datagram, False)

    @property
    def _csrcs(self) -> tuple[int, ...]:
        return () if self.feed is None else (self.feed.csrc,)

    def _look(self, now: float) -> None:
        """Find out who is seen now."""
        seen = self.slot.shown
        if seen is self.seen:
            return
        before, self.seen = self.seen, seen if isinstance(seen, Feed) else None
        if before is not None and before is not self.feed:
            before.lookers.pop(self, None)
        if self.seen is None:
            self._broken = False
            self._blanks, self._blank_at = BLANKS, now
            self._say_blank(now)
        else:
            self._blank_at = math.inf
        self._changed(self)

    def _asked(self) -> None:
        """The far end needs a key frame."""
        if self.seen is not None:
            self._broken = True
        self._want_key_frames(self.leg.conference.now())

    def _want_key_frames(self, now: float) -> None:
        """Of who is to be seen next, and of who is seen if the far end has lost the thread."""
        if self.feed is not None and self.slot.wants_key_frame:
            self.feed.want_key_frame(now)
        if self.seen is not None and self._broken:
            self.seen.want_key_frame(now)
