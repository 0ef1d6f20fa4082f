"""What of a conference's description somebody who joins can use, m-line by m-line. Sans-IO.

Nobody answers: what the description says holds for all. Its first format that we have is what we
send, and anybody may send any of them (RFC 8866 section 5.14).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiortc.sdp import MediaDescription

from ..engine.rtp_wire import MID_URI
from ..engine.session_config import PayloadFormat
from ..model import CallSettings, MediaType
from ..sdp import ConferenceDescription, Connection, Media
from ..sdp.keys import Crypto, about, first_usable
from .audio_lines import PACKET_TIMES
from .formats import CommonFormats, in_common
from .group_sockets import DEFAULT_TTL, GroupPlace
from .negotiation import EXTENSIONS, MAX_EXTENSION_ID, TOO_MANY, Agreed, Formats, Refused
from .reading import USABLE_PAYLOAD_TYPES
from .source_filters import IpAddress, Senders, senders_to
from .srtp import suites

DSCP = {MediaType.AUDIO: 46, MediaType.VIDEO: 34}
"""Expedited forwarding (RFC 3246) for sound, AF41 (RFC 2597) for pictures, as RFC 4594 advises."""
PROTOCOLS = ("RTP/AVP", "RTP/AVPF")
SECURE_PROTOCOLS = ("RTP/SAVP", "RTP/SAVPF")
GROUP_FEEDBACK = frozenset({"nack pli", "ccm fir"})
"""What one member may ask for of all: key frames. Repeats and limits would be everybody's."""

_EXTENSION = re.compile(r"([0-9]{1,5})(?:/\w+)?\s+(\S+)(?:\s.*)?")
_PACKET_TIME = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6})?")


class _Unusable(Exception):
    """Why a line cannot be used."""


@dataclass(frozen=True, slots=True)
class GroupLine:
    """An m-line that we take part in."""

    agreed: Agreed
    place: GroupPlace
    bandwidth_bps: int | None
    """Of the line, or else of the session (b=)."""
    crypto: Crypto | None = None
    """What all encrypt with who take part; None: nothing is encrypted."""

    @property
    def is_group(self) -> bool:
        """Whether its address is a multicast group's, and not one far end's."""
        return self.place.group.is_multicast


def agree_on_description(
    description: ConferenceDescription, formats: Formats, settings: CallSettings
) -> list[GroupLine | Refused]:
    """Go through the lines: the first one of sound that can be used is, and `video_sections` ones
    of video.
    """
    limits = {MediaType.AUDIO: 1, MediaType.VIDEO: settings.video_sections}
    lines: list[GroupLine | Refused] = []
    taken: Counter[MediaType] = Counter()
    for index, media in enumerate(description.media):
        known = media.medium in ("audio", "video")
        medium = MediaType(media.medium) if known else None
        try:
            if medium is None:
                raise _Unusable(f"{media.medium} is not supported")
            line = _line(index, media, medium, description, formats, settings)
            if taken[medium] >= limits[medium]:
                raise _Unusable(TOO_MANY[medium])
        except _Unusable as exc:
            lines.append(Refused(index, medium, str(exc)))
        else:
            taken[line.agreed.medium] += 1
            lines.append(line)
    return lines


def _line(
    index: int,
    media: Media,
    medium: MediaType,
    description: ConferenceDescription,
    formats: Formats,
    settings: CallSettings,
) -> GroupLine:
    if medium not in formats:
        raise _Unusable(f"the call was created without {medium.value}")
    _check(media)
    crypto = _crypto(media, description)
    if crypto is None and settings.srtp == "sdes":
        raise _Unusable("it is not encrypted, which the settings want (srtp)")
    place = _place(media, medium, description, settings)
    common = _common(media, formats[medium])
    if common.send is None:
        known = ", ".join(f.name for f in media.payload_formats) or "none that is known here"
        raise _Unusable(f"no codec in common; the description has {known}")
    direction = description.direction_of(media)
    line = MediaDescription(medium.value, media.port, media.protocol, list(media.formats))
    agreed = Agreed(
        index=index,
        mid=str(index),
        medium=medium,
        receive=common.receive,
        send=common.send,
        riding=common.riding,
        sends=direction in ("sendrecv", "sendonly"),
        receives=direction in ("sendrecv", "recvonly"),
        extensions=_extensions(media, medium),
        ssrcs={},
        repair={},
        media=line,
        transport=line,
        content=next(iter(media.values("content")), ""),
        sendable=common.sendable,
    )
    bandwidth_bps = media.bandwidth_bps or description.bandwidth_bps
    return GroupLine(agreed, place, bandwidth_bps, crypto)


def _check(media: Media) -> None:
    if not media.port:
        raise _Unusable("its port is 0: the conference does not use it")
    known = (*PROTOCOLS, *SECURE_PROTOCOLS)
    if media.protocol not in known:
        raise _Unusable(f"its protocol is {media.protocol}; here is {', '.join(known)}")
    if not media.rtcp_port:
        raise _Unusable(f"port {media.port} leaves no port for RTCP")


def _crypto(media: Media, description: ConferenceDescription) -> Crypto | None:
    """What the line is encrypted with; where there is a key that is no use, nothing goes there."""
    crypto, reason = first_usable(media.values("crypto"), suites())
    if crypto is not None:
        return crypto
    if not reason and description.has("crypto"):
        reason = "a=crypto stands above all m-lines; it belongs below one (RFC 4568 section 4)"
    key = media.key or description.key
    if not reason and key is not None:
        reason = about(key)
    if reason:
        raise _Unusable(f"it is encrypted, and not so that we could: {reason}")
    if media.protocol in SECURE_PROTOCOLS:
        raise _Unusable(f"its protocol is {media.protocol}, and no a=crypto tells the key")
    return None


def _place(
    media: Media, medium: MediaType, description: ConferenceDescription, settings: CallSettings
) -> GroupPlace:
    connection: Connection = description.connections_of(media)[0]  # of layers the first one
    address = connection.ip
    if address is None:
        raise _Unusable(f"its address is the name {connection.address}; write the address itself")
    if address.is_unspecified:
        raise _Unusable(f"nobody is at {address}")
    senders = _senders(address, media, description)
    ttl = connection.ttl if settings.multicast_ttl is None else settings.multicast_ttl
    return GroupPlace(
        group=address,
        port=media.port,
        rtcp_port=media.rtcp_port,
        interface=settings.multicast_interface,
        ttl=DEFAULT_TTL if ttl is None else ttl,
        sources=senders.only,
        excluded=senders.excluded,
        dscp=DSCP[medium] if settings.dscp is None else settings.dscp,
    )


def _senders(address: IpAddress, media: Media, description: ConferenceDescription) -> Senders:
    """Who is heard: what the line says of it goes before the session (RFC 4570 section 3)."""
    name = "source-filter"
    values = media.values(name) or description.values(name)
    if values and not address.is_multicast:
        raise _Unusable(f"a=source-filter is obeyed in groups only, and {address} is none")
    try:
        return senders_to(address, values)
    except ValueError as exc:
        raise _Unusable(str(exc)) from None


def _common(media: Media, ours: tuple[PayloadFormat, ...]) -> CommonFormats:
    """The formats that we have as well, in the order of the description."""
    feedback = GROUP_FEEDBACK if media.protocol.endswith("F") else frozenset[str]()
    times = {
        name: value
        for name in PACKET_TIMES
        for value in media.values(name)[:1]
        if _PACKET_TIME.fullmatch(value)
    }
    theirs = tuple(
        replace(f, feedback=f.feedback & feedback, parameters={**times, **f.parameters})
        for f in media.payload_formats
        if f.payload_type in USABLE_PAYLOAD_TYPES and not f.is_rtx
    )
    places: dict[tuple[str, int, int], int] = {}
    for place, fmt in enumerate(theirs):
        places.setdefault(_kind(fmt), place)
    ordered = sorted(ours, key=lambda fmt: places.get(_kind(fmt), len(theirs)))
    return in_common(theirs, tuple(ordered), answering=True)


def _kind(fmt: PayloadFormat) -> tuple[str, int, int]:
    return fmt.name.lower(), fmt.clock_rate, fmt.channels


def _extensions(media: Media, medium: MediaType) -> Mapping[str, int]:
    """Header extensions that the description names and we have (RFC 8285)."""
    found: dict[str, int] = {}
    for value in media.values("extmap"):
        match = _EXTENSION.fullmatch(value)
        if match is None or not 0 < int(match[1]) <= MAX_EXTENSION_ID:
            continue
        uri, number = match[2], int(match[1])
        known = uri in EXTENSIONS[medium] and uri != MID_URI
        if known and uri not in found and number not in found.values():
            found[uri] = number
    return found
