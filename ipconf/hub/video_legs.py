"""Where the pictures of a call enter a conference, and where those of others leave it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..model import Direction, MediaType
from ..streams.video_render import VideoRenderStream
from ..terminals.packets import Outlet, PacketSink, PacketSource, PacketTaker
from .legs import longest_quiet
from .video_feeds import Feed

if TYPE_CHECKING:
    from .call_legs import CallLeg

MAX_FEEDS = 64
"""Sources of pictures on one leg at a time; more are shown to nobody."""


class VideoInlet(PacketSink):
    """Takes the pictures of a call as they come."""

    terminal_class = "conference video inlet"

    def __init__(self, leg: CallLeg) -> None:
        super().__init__("conference video inlet", MediaType.VIDEO, Direction.RENDER)
        self._leg = leg
        self._sections: dict[str | None, tuple[tuple[PayloadFormat, ...], str]] = {}
        self._feeds: dict[RemoteSource, Feed] = {}

    @property
    def feeds(self) -> Iterable[Feed]:
        """What comes on the call."""
        return self._feeds.values()

    def section(self, mid: str, formats: tuple[PayloadFormat, ...], content: str) -> None:
        self._sections[mid] = (formats, content)

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        feed = self._feeds.get(packet.source)  # type: ignore[arg-type]
        if feed is None:
            feed = self._admit(packet.source, now)
        if feed is not None:
            feed.take(packet, now)

    def taker(self, source: RemoteSource) -> PacketTaker:
        feed = self._feeds.get(source)
        return self.packet_arrived if feed is None else feed.take

    def _admit(self, source: RemoteSource | None, now: float) -> Feed | None:
        leg = self._leg
        if source is None or (len(self._feeds) >= MAX_FEEDS and not self._make_room(now)):
            leg.refused += 1
            return None
        formats, content = self._sections.get(source.mid, ((), ""))
        feed = Feed(leg, source, formats, content, self, now, self._head_of(source))
        self._feeds[source] = feed
        leg.conference.feed_came(feed)
        return feed

    def _make_room(self, now: float) -> bool:
        """Do without somebody who has sent nothing for some time; False: there is nobody."""
        quiet = longest_quiet((s for s, feed in self._feeds.items() if not feed.live), now)
        if quiet is None:
            return False
        self._feeds[quiet].retired = True
        self._remove(self._feeds[quiet])
        return True

    def _head_of(self, source: RemoteSource) -> Feed | None:
        """What has come already of that of which the source is a layer."""
        if source.rid is None:
            return None
        pictures = (f for f in self._feeds.values() if f.source.rid is not None)
        return next((f.head for f in pictures if f.source.mid == source.mid), None)

    def source_gone(self, source: RemoteSource) -> None:
        self._leg.loops.forget(source)
        if source in self._feeds:
            self._remove(self._feeds[source])

    def _remove(self, feed: Feed) -> None:
        del self._feeds[feed.source]
        feed.end()
        self._leg.conference.feed_gone(feed)

    def end(self) -> None:
        for source in tuple(self._feeds):
            self.source_gone(source)
        self._sections.clear()

    # -- upstream

    @property
    def _stream(self) -> VideoRenderStream:
        stream = self._leg.call.stream(MediaType.VIDEO, Direction.RENDER)
        return cast(VideoRenderStream, stream)

    def request_key_frame(self, source: RemoteSource) -> None:
        """As of `Upstream`."""
        self._stream.request_key_frame(source)

    def request_resend(self, source: RemoteSource, sequences: Iterable[int]) -> None:
        """As of `Upstream`."""
        self._stream.request_resend(source, sequences)

    def limit_bitrate(self, sources: Iterable[RemoteSource], bps: int) -> None:
        """As of `Upstream`."""
        self._stream.limit_bitrate(sources, bps)


class VideoOutlet(PacketSource):
    """Sends pictures on a call: a slot for each section that the far end receives on."""

    terminal_class = "conference video outlet"

    def __init__(self, leg: CallLeg) -> None:
        super().__init__("conference video outlet", MediaType.VIDEO, Direction.CAPTURE)
        self._leg = leg

    def begin(self, outlet: Outlet) -> None:
        super().begin(outlet)
        self._add(outlet)

    def extend(self, outlet: Outlet) -> None:
        self._add(outlet)

    def _add(self, outlet: Outlet) -> None:
        conference = self._leg.conference
        conference.leg_connected(self._leg, outlet)
        conference.video.add_slot(self._leg, outlet, conference.now())

    def end(self) -> None:
        conference = self._leg.conference
        conference.video.remove_slots(self._leg, conference.now())
        super().end()
