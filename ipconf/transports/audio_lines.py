"""What descriptions say of audio, and aiortc's grammar does not read: formats that have their
payload type by standing agreement (RFC 3551 section 6), and packet times (RFC 8866 section 6.4).
"""

import re
from collections.abc import Iterable, Sequence

from aiortc import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription

from ..engine.session_config import PayloadFormat

STATIC_FORMATS = {
    0: ("PCMU", 8_000, 1),
    8: ("PCMA", 8_000, 1),
    9: ("G722", 8_000, 1),
    10: ("L16", 44_100, 2),
    11: ("L16", 44_100, 1),
    13: ("CN", 8_000, 1),
}
"""Name, clock and channels by payload type; no a=rtpmap need say them."""
FIRST_DYNAMIC_TYPE = 35
"""Below are formats by standing agreement, or none at all."""
PACKET_TIMES = ("ptime", "maxptime")
"""Attributes of a line that are parameters of each of its formats here (RFC 4855 section 3)."""

_MAPPING = re.compile("a=rtpmap:([0-9]{1,3}) ")
_PARAMETERS = re.compile("a=fmtp:([0-9]{1,3}) ")
_PACKET_TIME = re.compile(r"a=(ptime|maxptime):\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*")


def readable_lines(lines: Sequence[str]) -> list[str]:
    """The lines without parameters of static formats that no line maps: the grammar fails there."""
    mapped = {match[1] for line in lines if (match := _MAPPING.match(line))}
    return [
        line
        for line in lines
        if not (match := _PARAMETERS.match(line))
        or match[1] in mapped
        or int(match[1]) >= FIRST_DYNAMIC_TYPE
    ]


def complete(media: MediaDescription, lines: Iterable[str]) -> None:
    """Add static formats and packet times to an audio line that the grammar has read."""
    named = {codec.payloadType for codec in media.rtp.codecs}
    for number in media.fmt:
        if number in STATIC_FORMATS and number not in named:
            name, clock_rate, channels = STATIC_FORMATS[number]
            codec = RTCRtpCodecParameters(
                mimeType=f"audio/{name}",
                clockRate=clock_rate,
                channels=channels,
                payloadType=number,
            )
            media.rtp.codecs.append(codec)
    for line in lines:
        match = _PACKET_TIME.fullmatch(line)
        if match:
            for codec in media.rtp.codecs:
                codec.parameters.setdefault(match[1], match[2])


def packet_time_lines(formats: Iterable[PayloadFormat]) -> str:
    """The attributes that say the packet times of these formats, if they have any."""
    times: dict[str, str] = {}
    for payload_format in formats:
        for name in PACKET_TIMES:
            if name in payload_format.parameters:
                times.setdefault(name, payload_format.parameters[name])
    return "".join(f"a={name}:{value}\r\n" for name, value in times.items())
