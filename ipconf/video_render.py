"""Pictures that arrive: each terminal shows one person.

The terminals of the stream are windows for the people who have none of their own; where there are
fewer of them than people, `windows` says who is shown.
"""

from __future__ import annotations

import av

from .model import MediaType
from .pipelines.video_receiver import VideoReceiver
from .places import Claim, Rank
from .receivers import Receivers
from .render_base import CROWD_TICKS, MEDIA_TIMEOUT_S, RenderStream
from .rtp_streams import StreamOwner
from .substreams import SubStream
from .windows import Windows


class VideoRenderStream(RenderStream):
    """Shows people in windows; `query(Windows)` tells who is in which, and pins."""

    receivers: Receivers[VideoReceiver]

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.VIDEO)
        self.receivers = Receivers(self._make_receiver, self.report_stream_failure)
        self._windows = Windows(self, self._map, owner.roster.may_return)
        self._offer_interface(Windows, self._windows)

    def _make_receiver(self, substream: SubStream) -> VideoReceiver:
        assert self._agreed is not None  # the stream runs

        def show(frame: av.VideoFrame, timestamp: int) -> None:
            self._show(substream, frame, timestamp)

        return VideoReceiver(self._agreed.receive, self._owner.submit, show)

    def _rendered(self, now: float) -> list[SubStream]:
        people = [s for s in self._seating.by_source.values() if s.running]
        windows = self._usable()
        waiting = {s: self._rank(s, now) for s in people if not s.usable_terminals}
        self._windows.settle(windows, waiting, now)
        self._crowded = 0 < len(windows) < len(waiting)
        shown = set(self._windows.shown.values())
        return [s for s in people if s.usable_terminals or s in shown]

    def _rank(self, substream: SubStream, now: float) -> Rank:
        if self._windows.is_pinned(substream.participant):
            return Rank(Claim.CHOSEN)
        return super()._rank(substream, now)

    def _show(self, substream: SubStream, frame: av.VideoFrame, timestamp: int) -> None:
        """Render a decoded picture; `timestamp` is its RTP timestamp."""
        now = self._owner.now()
        if not self._running or not substream.enabled:
            return
        for terminal in substream.usable_terminals:
            self._write(substream, terminal, frame, now)
        for terminal, shown in self._windows.shown.items():
            if shown is substream:
                self._write(self, terminal, frame, now)

    def _tick(self, now: float, number: int) -> None:
        self._watch(now, number)
        channel = self._channel
        if channel is None:
            return
        if number % CROWD_TICKS == 0:
            for source in self._seating.by_source:
                if source.last_rtp is not None and now - source.last_rtp < MEDIA_TIMEOUT_S:
                    self._owner.roster.source_media(source, source.last_rtp)
        for substream, receiver in self.receivers.items():
            assert substream.source is not None  # who is decoded sends
            ssrc = substream.source.ssrc
            missing = receiver.missing(now)
            if missing:
                channel.request_resend(ssrc, missing, now)
            if receiver.needs_key_frame(now):
                channel.request_key_frame(ssrc, now)
