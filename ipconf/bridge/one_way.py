"""Offers of those who only publish (WHIP) or only play (WHEP): which are taken. Sans-IO.

offer ──> readable? ──> only that way? ──> every m-line usable? ──> the offer for the call
           400            422                422, with the reasons
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from ..codecs.registry import offered_formats
from ..errors import NegotiationError
from ..model import CallSettings, MediaType
from ..transports.description import DIRECTIONS
from ..transports.negotiation import Refused as RefusedLine
from ..transports.negotiation import agree_on_offer
from ..transports.reading import read_description
from .refusals import Refused

if TYPE_CHECKING:
    from aiortc.sdp import SessionDescription

    from .guests import Kind

_DIRECTION_LINES = frozenset(f"a={direction}" for direction in DIRECTIONS.values())


class Way(enum.Enum):
    """Which way media goes."""

    PUBLISH = enum.auto()
    """From the client to us (RFC 9725)."""
    PLAY = enum.auto()
    """From us to the client (draft-ietf-wish-whep)."""

    @property
    def kind(self) -> Kind:
        """What a guest speaks who comes that way; so do the paths begin."""
        return "whip" if self is Way.PUBLISH else "whep"

    @property
    def direction(self) -> str:
        """What the client's offer should say."""
        return "sendonly" if self is Way.PUBLISH else "recvonly"


def one_way_offer(offer: str, way: Way, settings: CallSettings) -> str:
    """The offer as the call should read it: every m-line has the one direction.

    "sendrecv" may stand in such offers, and the answer still has to be one-way (RFC 9725 section
    4.2). Raises Refused: 400 for what is no SDP, 422 for what cannot be used as a whole, because a
    session that half works misleads people (section 4.4.3).
    """
    try:
        description = read_description(offer)
    except NegotiationError as exc:
        raise Refused(400, "bad-sdp", str(exc)) from exc
    for media in description.media:
        if media.direction not in (way.direction, "sendrecv", None):  # None: told of below
            raise Refused(
                422,
                "wrong-direction",
                f"an m={media.kind} line is {media.direction}; over {way.kind.upper()} each is "
                f"{way.direction}",
            )
    _check_lines(description, settings)
    return _directed(offer, way.direction)


def name_in(offer: str) -> str:
    """What a client calls its session (s=, RFC 8866 section 5.3); "" where it says nothing."""
    name = next((line[2:] for line in offer.splitlines() if line.startswith("s=")), "").strip()
    return "" if name == "-" else name


def _check_lines(description: SessionDescription, settings: CallSettings) -> None:
    """Refuse an offer of which a line could not be used."""
    lines = agree_on_offer(
        description,
        {medium: offered_formats(medium, settings) for medium in MediaType},
        webrtc=settings.transport == "webrtc",
        video_sections=settings.video_sections,
    )
    problems = [
        f"m-line {line.index + 1} ({description.media[line.index].kind}): {line.reason}"
        for line in lines
        if isinstance(line, RefusedLine)
    ]
    if problems:
        raise Refused(422, "unusable-offer", "; ".join(problems))


def _directed(offer: str, direction: str) -> str:
    """The same offer with this direction in each section and none before them."""
    lines: list[str] = []
    for line in offer.splitlines():
        if line.strip() not in _DIRECTION_LINES:
            lines.append(line)
        if line.startswith("m="):
            lines.append(f"a={direction}")
    return "".join(f"{line}\r\n" for line in lines)
