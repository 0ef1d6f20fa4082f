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
from .state import SlotState
from .stats import SlotStats
from .video_feeds import Feed, accepted_formats

if TYPE_CHECKING:
    from ..engine.local_source import ReceptionReport
    from .call_legs import CallLeg
    from .people import Attendee

BLANKS = 3
"""A slot that is empty says so as often: any of these packets may be lost."""
BLANK_S = 0.3
"""From one to the next."""
MAX_REPORTED = 1 << 16
"""No two reports have more packets between them."""


class ViewSlot:
    """One slot of a leg; `changed(slot)` is called whenever somebody else is seen in it.

    Pictures of which nobody knows whose they are count as nobody's.
    """

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
        self._report: ReceptionReport | None = None
        self._told: tuple[Attendee | None, str] = (None, "")
        self._broken = False  # the far end cannot go on with what it has
        outlet.on_key_frame_request = self._asked

    @property
    def mid(self) -> str:
        """The media section that it is, as the far end's description calls it (a=mid)."""
        return self._outlet.mid

    @property
    def waits(self) -> bool:
        """Whether nothing can be shown before a key frame begins."""
        return self.slot.wants_key_frame or self._broken

    def losses(self) -> tuple[int, int]:
        """How many packets the far end has missed of how many, since this was asked last."""
        reports = self._outlet.source.reports.values()
        latest = max(reports, key=lambda report: report.at, default=None)
        before, self._report = self._report, latest
        if latest is None or before is None:
            return 0, 0
        sent = (latest.highest_sequence - before.highest_sequence) & 0xFFFFFFFF
        if sent >= MAX_REPORTED:  # it counts anew
            return 0, 0
        return max(latest.lost - before.lost, 0), sent

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
            self._tell()

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

    def state(self) -> SlotState:
        """What is seen in it now, as `changed` was told."""
        attendee, content = self._told
        return SlotState(mid=self.mid, attendee=attendee, content=content)

    def stats(self, now: float) -> SlotStats:
        """What it has counted."""
        who = self.seen.attendee if self.seen is not None else None
        return SlotStats(
            attendee=None if who is None else who.identity,
            bit_rate_bps=self.meter.bps(now),
            forwarded=self.forwarded,
            switches=self.slot.switches,
            mismatched=self.slot.mismatched,
            dropped=self.slot.dropped,
        )

    @property
    def _csrcs(self) -> tuple[int, ...]:
        """Whose pictures they are; their own are nobody's to a far end.

        It would take its SSRC in a packet of ours for a loop (RFC 3550 section 8.2).
        """
        feed = self.feed
        return () if feed is None or feed.leg is self.leg else (feed.csrc,)

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
        self._tell()

    def _tell(self) -> None:
        seen = self.seen
        who = None if seen is None else seen.attendee
        told = (who, "" if seen is None or who is None else seen.content)
        if told != self._told:
            self._told = told
            self._changed(self)

    def _asked(self) -> None:
        """The far end needs a key frame."""
        self.begin_anew(self.leg.conference.now())

    def begin_anew(self, now: float) -> None:
        """Send a key frame as soon as there is one."""
        if self.seen is not None:
            self._broken = True
        self._want_key_frames(now)

    def _want_key_frames(self, now: float) -> None:
        """Of who is to be seen next, and of who is seen if the far end has lost the thread."""
        if self.feed is not None and self.slot.wants_key_frame:
            self.feed.want_key_frame(now)
        if self.seen is not None and self._broken:
            self.seen.want_key_frame(now)
