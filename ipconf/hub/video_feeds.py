"""Feeds: the pictures of somebody in a conference, a camera or a screen, as they come."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from ..codecs.h264_profile import forwarding_base, forwarding_variant
from ..engine.picture_marks import PictureFormat, PictureMark, PictureMarks
from ..engine.reception import RemoteSource
from ..engine.repair import MissingPackets
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.switching import KeyFrameRequests
from ..engine.video_rates import RateMeter
from ..transports.content import SLIDES
from .stats import FeedStats

if TYPE_CHECKING:
    from .call_legs import CallLeg
    from .people import Attendee

LIVE_S = 1.0
"""So long without a packet, and a camera is off: who looks is not to see a frozen face."""
SLIDES_LIVE_S = 3.0
"""The same for a screen, of which a sender may repeat once a second that nothing moves."""
BARREN_S = 3.0
"""Who has been asked for a key frame for so long gives way to anybody else."""


class Upstream(Protocol):
    """Where the sender of a feed is asked for something."""

    def request_key_frame(self, source: RemoteSource) -> None:
        """For a picture that needs no other."""

    def request_resend(self, source: RemoteSource, sequences: Iterable[int]) -> None:
        """For packets that are missing."""

    def limit_bitrate(self, sources: Iterable[RemoteSource], bps: int) -> None:
        """To send no more than that."""


class Looker(Protocol):
    """Somebody who is sent the packets of feeds, or waits to be."""

    @property
    def waits(self) -> bool:
        """Whether nothing can be shown before a key frame begins."""

    def take(self, feed: Feed, packet: RtpPacket, mark: PictureMark, now: float) -> None:
        """A packet has come of a feed that it looks at."""

    def rename(self, feed: Feed) -> None:
        """It is somebody's, or has another CSRC, from now on."""


class Feed:
    """One source of pictures on a leg: all there is of a camera or screen, or one layer of it.

    Layers show the same at different rates (simulcast, RFC 8853). One of them is the `head`, which
    stands for all where it is about who is to be seen.
    """

    def __init__(
        self,
        leg: CallLeg,
        source: RemoteSource,
        formats: Iterable[PayloadFormat],
        content: str,
        upstream: Upstream,
        now: float,
        head: Feed | None = None,
    ) -> None:
        formats = tuple(formats)
        self.head = self if head is None else head
        self.layers: list[Feed] = []
        """Of the head: all, itself included."""
        self.head.layers.append(self)
        self.leg = leg
        self.source = source
        self.content = content
        """`SLIDES` for a screen; anything else is a camera."""
        self.csrc: int = source.ssrc if head is None else head.csrc
        """Names it to viewers, whatever the layer; unique in the conference."""
        self.attendee: Attendee | None = None if head is None else head.attendee
        """Whose it is, once that is known."""
        self.format: PictureFormat | None = None
        """Of the latest key frame; None before any."""
        self.height = 0
        """Lines of its pictures, by the latest key frame that told; 0 before any."""
        self.noted: tuple[PictureFormat | None, bool] = (None, False)
        """Its format, and whether it was barren, when it was looked at last."""
        self.shown_as: Attendee | None = None
        """Of whom it was told that their camera, or screen, is on."""
        self.lookers: dict[Looker, None] = {}
        self.meter = RateMeter()
        self.marks = PictureMarks(picture_formats(formats))
        self.requests = KeyFrameRequests()
        self.live = False
        """Whether pictures come."""
        self.excessive = False
        """Whether it sends so much more than it was told that nobody is sent it."""
        self.excess_at = math.inf
        """Since when it sends more than anybody may."""
        self.limit_bps = math.inf
        """What it was told to send at most."""
        self.retired = False
        """Whether others needed its place: of its next packet a new one begins."""
        self.began_at = now
        self.last_at = -math.inf
        self._asked_at = math.inf  # for a key frame, first, that has not come yet
        self._missing = MissingPackets(any("nack" in f.feedback for f in formats))
        self._highest = source.highest
        self._upstream = upstream

    def __repr__(self) -> str:
        return f"<Feed {self.source.identity} of {self.attendee!r}>"

    @property
    def recorded(self) -> bool:
        """Whether it, or one of its layers, is wanted here, whoever looks."""
        return any(self.leg.records(layer.source) for layer in self.layers)

    def live_layers(self, now: float) -> list[Feed]:
        """The layers of a head that come, the one of the lowest rate first."""
        live = [layer for layer in self.layers if layer.live]
        return sorted(live, key=lambda layer: layer.meter.bps(now)) if len(live) > 1 else live

    def end(self) -> None:
        """It comes no more: if it is the head, another layer is from now on."""
        head = self.head
        head.layers.remove(self)
        if head is self and self.layers:
            heir = self.layers[0]
            heir.layers = self.layers
            for layer in heir.layers:
                layer.head = heir

    @property
    def is_slides(self) -> bool:
        """Whether it is a screen."""
        return SLIDES in self.content.split(",")

    def is_live(self, now: float) -> bool:
        """Whether pictures come that can be shown to somebody."""
        patience_s = SLIDES_LIVE_S if self.is_slides else LIVE_S
        return now - self.last_at < patience_s and not self.excessive

    def is_barren(self, now: float) -> bool:
        """Whether it sends no key frame, so that it can be shown to nobody who comes.

        It is asked for one all the same, until it sends one.
        """
        return now - self._asked_at > BARREN_S

    def take(self, packet: RtpPacket, now: float) -> None:
        """A packet has come: everybody who looks gets it at once."""
        if self.retired and self.leg.video_inlet is not None:
            self.leg.video_inlet.packet_arrived(packet, now)
            return
        if packet.csrcs and self.leg.loops.brings_back(packet, now):
            return
        self.last_at = now
        self.meter.add(len(packet.payload), now)
        ahead = packet.extended - self._highest
        if ahead > 0:
            if ahead > 1 and not self._missing.add(self._highest + 1, packet.extended, now):
                self._missing.clear()
            self._highest = packet.extended
        elif self._missing:
            self._missing.discard(packet.extended)
        mark = self.marks.read(packet)
        if mark is None:
            return
        if mark.key_frame:
            self.format = mark.format
            self.height = mark.height or self.height
            self.requests.came()
            self._asked_at = math.inf
        if not self.excessive:
            for looker in tuple(self.lookers):
                looker.take(self, packet, mark, now)

    def want_key_frame(self, now: float) -> None:
        """Ask for one, as often as it may be."""
        self._asked_at = min(self._asked_at, now)
        if self.requests.ask(now):
            self._upstream.request_key_frame(self.source)

    def tick(self, now: float) -> None:
        """Ask for what is missing; every 20 ms."""
        if self._missing:
            if self._missing.is_hopeless(now):
                self._missing.clear()
            elif missing := self._missing.due(now, self.source.round_trip_s):
                wanted = [sequence & 0xFFFF for sequence in missing]
                self._upstream.request_resend(self.source, wanted)
        if now >= self.requests.deadline:
            if not self.is_barren(now) and not any(looker.waits for looker in self.lookers):
                self.requests.withdraw()
                self._asked_at = math.inf
            elif self.requests.due(now):
                self._upstream.request_key_frame(self.source)

    def stats(self, now: float) -> FeedStats:
        """What it has counted."""
        return FeedStats(
            attendee=None if self.attendee is None else self.attendee.identity,
            content=self.content,
            codec="" if self.format is None else self.format.codec.upper(),
            live=self.live,
            excessive=self.excessive,
            barren=self.is_barren(now),
            bit_rate_bps=self.meter.bps(now),
            told_bps=None if math.isinf(self.limit_bps) else self.limit_bps,
            malformed=self.marks.malformed,
            unknown_format=self.marks.unknown_format,
        )

    def tell_limit(self, feeds: Iterable[Feed], bps: int) -> None:
        """Tell the sender how much is wanted of all these feeds of the leg."""
        self._upstream.limit_bitrate([feed.source for feed in feeds], bps)


def picture_formats(formats: Iterable[PayloadFormat]) -> dict[int, PictureFormat]:
    """What a viewer must take to be sent pictures in these formats, by payload type."""
    return {
        each.payload_type: PictureFormat(each.name.lower(), _variant(each))
        for each in formats
        if not each.is_rtx
    }


def accepted_formats(formats: Iterable[PayloadFormat]) -> dict[PictureFormat, int]:
    """What a viewer takes who has agreed on these formats, and under which payload type."""
    formats = tuple(formats)
    accepted = {fmt: number for number, fmt in reversed(picture_formats(formats).items())}
    for each in formats:
        if each.name.lower() == "h264":
            base = PictureFormat("h264", forwarding_base(each.parameters))
            accepted.setdefault(base, each.payload_type)
    return accepted


def _variant(payload_format: PayloadFormat) -> str:
    name = payload_format.name.lower()
    return forwarding_variant(payload_format.parameters) if name == "h264" else ""
