"""The media sections of a call: which are offered, and which of its streams each belongs to.

Sound has one section. Video has `CallSettings.video_sections` of them: all that arrive belong to
the one arriving stream. Of those that the far end receives on, each capture stream that an
application has created has one, and the call's own capture stream has all others; the first of
them is where an ordinary terminal is sent.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..model import Direction, MediaType
from ..transports.content import SLIDES

if TYPE_CHECKING:
    from ..rtp_streams import Stream
    from ..streams.capture import CaptureStream
    from ..streams.render import RenderStream
    from ..transports.negotiation import Agreed
    from .channel import Channel


def fresh_ssrcs() -> defaultdict[str, int]:
    """SSRCs by section, drawn as they are asked for; 0 is none, since it means nobody in RTCP."""
    return defaultdict(lambda: 1 + secrets.randbelow(2**32 - 1))


def offered_media(media: Iterable[MediaType], video_sections: int) -> list[MediaType]:
    """The medium of each m-line of an offer."""
    return [m for m in media for _ in range(video_sections if m is MediaType.VIDEO else 1)]


def slides_offered(media: Sequence[MediaType], further: int) -> list[int]:
    """Which m-lines of an offer so many created streams get: the video lines after the first."""
    video = [index for index, medium in enumerate(media) if medium is MediaType.VIDEO]
    return video[1 : 1 + further]


def slides_answered(lines: Iterable[Agreed], further: int) -> list[int]:
    """Which m-lines of a far end's offer so many created streams get, at most.

    Those first that are for slides there as well, then those of which nothing is said. The first
    line that the far end receives on is never one of them.
    """
    video = [line for line in lines if line.medium is MediaType.VIDEO and line.sends]
    ranked = sorted(video[1:], key=_suits_slides)
    return [line.index for line in ranked[:further]]


def _suits_slides(line: Agreed) -> int:
    if SLIDES in line.content.split(","):
        return 0
    return 2 if line.content else 1


class Allotment:
    """Which streams the agreed lines of a call belong to.

    `slides` are the indices of the lines that the streams in `further` have, in their order.
    """

    def __init__(
        self,
        lines: Iterable[Agreed],
        slides: Sequence[int],
        capture: Mapping[MediaType, CaptureStream],
        render: Mapping[MediaType, RenderStream],
        further: Sequence[CaptureStream],
    ) -> None:
        created = dict(zip(slides, further, strict=False))
        self.senders: dict[str, CaptureStream] = {}
        """The sent stream of each section that the far end receives on, by mid."""
        self.receivers: dict[str, RenderStream] = {}
        """The arriving stream of each section on which it sends."""
        self._lead: dict[Stream, str] = {}
        self._media = set[MediaType]()
        for line in sorted(lines, key=lambda line: line.index):
            self._media.add(line.medium)
            if line.sends:
                sender = self.senders[line.mid] = created.get(line.index, capture[line.medium])
                self._lead.setdefault(sender, line.mid)
            if line.receives:
                receiver = self.receivers[line.mid] = render[line.medium]
                self._lead.setdefault(receiver, line.mid)

    def connect(self, stream: Stream, channel: Channel, line: Agreed) -> None:
        """Let a stream use a line of its own, over a transport that has connected."""
        if self._lead[stream] == line.mid:
            stream.connect(channel, line)
        else:
            stream.add_section(channel, line)

    def missing(self, stream: Stream, refused: Mapping[MediaType | None, str]) -> str | None:
        """Why a stream has no section; None if it has one. `refused` are reasons of the lines."""
        if stream in self._lead:
            return None
        medium = stream.media_type
        if medium not in self._media and medium in refused:
            return refused[medium]
        verb = "wants" if stream.direction is Direction.CAPTURE else "sends"
        return f"the far end {verb} no {medium.value}"
