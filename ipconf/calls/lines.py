"""Our m-lines, as our offers and answers have them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..engine.session_config import PayloadFormat
from ..model import CallSettings, MediaType
from ..transports.content import SLIDES
from ..transports.description import MediaLine
from ..transports.negotiation import EXTENSIONS, Agreed, Refused
from ..transports.reading import formats_of
from .sections import fresh_ssrcs, offered_media, slides_offered

if TYPE_CHECKING:
    from aiortc.sdp import MediaDescription

Formats = Mapping[MediaType, tuple[PayloadFormat, ...]]


class OurLines:
    """What we say of each m-line; `further` capture streams of video are there besides the first.

    `formats` are those of the media of the call.
    """

    def __init__(
        self, formats: Formats, settings: CallSettings, cname: str, further: int = 0
    ) -> None:
        self.formats = formats
        self.offered = offered_media(formats, settings.video_sections)
        """The medium of each line of an offer."""
        self.mids = [str(index) for index in range(len(self.offered))]
        """Their mids."""
        self.ssrcs = fresh_ssrcs()
        """Our SSRC of each section, by its mid."""
        self.repair_ssrcs = fresh_ssrcs()
        """Our retransmission SSRCs, likewise."""
        self.slides = slides_offered(self.offered, further)
        """The lines, by index, of the further capture streams, in their order."""
        self._cname = cname
        self._stream = secrets.token_hex(8)

    def offer(self, index: int) -> MediaLine:
        """That line of an offer."""
        medium = self.offered[index]
        own = (index, self.mids[index], medium, self.formats[medium], EXTENSIONS[medium])
        return self._line(*own)

    def answer(self, line: Agreed | Refused, media: MediaDescription) -> MediaLine | None:
        """Our side of a line of an offer, or None to refuse it.

        A line of a medium that this call does not have stays, inactive, on a bundle that there is
        anyhow: that costs nothing, and aiortc fails all of an answer in which a line has port 0.
        """
        if isinstance(line, Agreed):
            own = (line.index, line.mid, line.medium, line.receive, line.extensions)
            return self._line(*own, line)
        formats = formats_of(media)
        if line.medium is None or line.medium in self.formats or not formats:
            return None
        return MediaLine("", line.medium, formats, sends=False, receives=False, answered=media)

    def _line(
        self,
        index: int,
        mid: str,
        medium: MediaType,
        formats: tuple[PayloadFormat, ...],
        extensions: Mapping[str, int],
        agreed: Agreed | None = None,
    ) -> MediaLine:
        repairs = any(fmt.is_rtx for fmt in formats)
        return MediaLine(
            mid=mid,
            medium=medium,
            formats=formats,
            sends=agreed is None or agreed.sends,
            receives=agreed is None or agreed.receives,
            extensions=extensions,
            ssrc=self.ssrcs[mid],
            repair_ssrc=self.repair_ssrcs[mid] if repairs else None,
            cname=self._cname,
            stream=self._stream,
            answered=None if agreed is None else agreed.media,
            track=f"{medium.value}{index}",
            content=SLIDES if index in self.slides else "",
            layers=() if agreed is None else agreed.layers,
        )
