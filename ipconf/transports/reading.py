"""Offers and answers of far ends, read with aiortc's SDP grammar (RFC 8866, RFC 8829).

What the grammar raises on text that it does not like becomes a NegotiationError with a sentence;
where only one m-line is the trouble, that line alone is marked unusable.
"""

import re

from aiortc import RTCIceCandidate, RTCRtpCodecParameters
from aiortc.sdp import (
    SSRC_INFO_ATTRS,
    MediaDescription,
    SessionDescription,
    SsrcDescription,
    candidate_from_sdp,
    grouplines,
)

from ..engine.session_config import PayloadFormat
from ..errors import NegotiationError
from .audio_lines import complete, readable_lines
from .description import DIRECTIONS

MAX_DESCRIPTION_CHARACTERS = 100_000
MAX_MEDIA_LINES = 64
MAX_LINES = 5000
MAX_SESSION_LINES = 100
"""Read again for each m-line."""
MAX_FORMAT_LINES = 1000
"""Of one m-line; the grammar compares each with each, ..."""
MAX_COMPARISONS = 100_000
"""... which are so many in a description; browsers' have less than a tenth."""
MAX_LISTED_LINES = 300
"""Of one m-line and one kind of `_LISTED`; 255 header extensions are the most that have numbers."""
MAX_LISTED_LINES_IN_ALL = 2000
MAX_SOURCE_LINES = 4000
"""In a description, up to four for each source."""
USABLE_PAYLOAD_TYPES = frozenset((*range(64), *range(96, 128)))
"""Seven bits, and none that looks like RTCP when the marker is set (RFC 5761 section 4)."""

_FORMATS = ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:")
_LISTED = ("a=candidate:", "a=extmap:", "a=fingerprint:", "a=msid:", "a=ssrc-group:")
"""Of which a line may have several."""
_SOURCE = "a=ssrc:"
_MEDIA_LINE = re.compile(r"m=(\S+) \d+\S* (\S+) (\S.*)")


class UnreadableLine(MediaDescription):
    """An m-line that the grammar refused; its port is 0, `problem` says why."""

    def __init__(self, kind: str, profile: str, formats: list[str], problem: str) -> None:
        super().__init__(kind, 0, profile, formats)
        self.problem = problem


def read_description(text: str) -> SessionDescription:
    """Parse a remote offer or answer; NegotiationError says what is wrong with it."""
    if len(text) > MAX_DESCRIPTION_CHARACTERS:
        raise NegotiationError(
            f"the far end's description has {len(text)} characters; "
            f"at most {MAX_DESCRIPTION_CHARACTERS} are read"
        )
    number = len(text.splitlines())
    if number > MAX_LINES:
        raise NegotiationError(
            f"the far end's description has {number} lines; at most {MAX_LINES} are read"
        )
    session, lines = grouplines(text)
    if not 0 < len(lines) <= MAX_MEDIA_LINES:
        raise NegotiationError(
            f"the far end's description has {len(lines)} media lines; "
            f"1 to {MAX_MEDIA_LINES} can be used"
        )
    if len(session) > MAX_SESSION_LINES:
        raise NegotiationError(f"the far end's description begins with {len(session)} lines")
    _check_size(lines)
    try:
        description = SessionDescription.parse("\r\n".join(session))
        description.media = [_read_line(session, line) for line in lines]
    except Exception as exc:  # the grammar asserts, looks up and converts as it goes
        raise NegotiationError(f"the far end's description {_complaint(exc)}") from exc
    return description


def _check_size(lines: list[list[str]]) -> None:
    """NegotiationError where reading that would take much longer than what far ends send does."""
    flat = [line for section in lines for line in section]
    usable = [section for section in lines if _count(section, *_FORMATS) <= MAX_FORMAT_LINES]
    for what, number, most in (
        ("sources (a=ssrc)", _count(flat, _SOURCE), MAX_SOURCE_LINES),
        ("candidates, extensions and the like", _count(flat, *_LISTED), MAX_LISTED_LINES_IN_ALL),
        ("pairs of formats and lines about one", sum(map(_comparisons, usable)), MAX_COMPARISONS),
    ):
        if number > most:
            text = f"the far end's description has {number} {what}; at most {most} are taken"
            raise NegotiationError(text)


def _comparisons(lines: list[str]) -> int:
    """How often the grammar looks at a format of an m-line; what is for all formats costs more."""
    mapped, about = _count(lines, "a=rtpmap:"), _count(lines, "a=fmtp:", "a=rtcp-fb:")
    return mapped * (about + 15 * _count(lines, "a=rtcp-fb:*"))


def _count(lines: list[str], *kinds: str) -> int:
    return sum(line.startswith(kinds) for line in lines)


def _check_line(lines: list[str]) -> None:
    """ValueError where one m-line has too much of something."""
    if _count(lines, *_FORMATS) > MAX_FORMAT_LINES:
        raise ValueError("too many formats")
    for kind in _LISTED if _count(lines, *_LISTED) > MAX_LISTED_LINES else ():
        if _count(lines, kind) > MAX_LISTED_LINES:
            raise ValueError(f"too many lines {kind.rstrip(':')}")


def _read_line(session: list[str], lines: list[str]) -> MediaDescription:
    """One m-line with its attributes, and those of the session where it has none of its own."""
    try:
        _check_line(lines)
        audio = lines[0].startswith("m=audio ")
        sources = _read_sources(lines)
        readable = [line for line in lines if not line.startswith(_SOURCE)]
        readable = readable_lines(readable) if audio else readable
        description = SessionDescription.parse("\r\n".join([*session, *readable]))
    except Exception as exc:
        match = _MEDIA_LINE.fullmatch(lines[0].rstrip())
        if match is None:
            raise
        kind, profile, formats = match.groups()
        unreadable = UnreadableLine(kind, profile, formats.split(), f"it {_complaint(exc)}")
        mids = [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
        unreadable.rtp.muxId = mids[0] if mids else ""
        return unreadable
    media = description.media[0]
    media.ssrc = sources
    if audio:
        complete(media, lines)
    shared = [line[2:] for line in session if line[2:] in DIRECTIONS.values()]
    media.host = media.host or description.host
    media.direction = media.direction or (shared[0] if shared else "sendrecv")
    return media


def _read_sources(lines: list[str]) -> list[SsrcDescription]:
    """The sources of an m-line (RFC 5576), in the order in which they are named first.

    The grammar looks for each among all before it. Raises ValueError for what is none.
    """
    sources: dict[int, SsrcDescription] = {}
    for line in lines:
        if line.startswith(_SOURCE):
            number, about = line.removeprefix(_SOURCE).split(" ", 1)
            name, value = about.split(":", 1)
            source = sources.setdefault(int(number), SsrcDescription(ssrc=int(number)))
            if name in SSRC_INFO_ATTRS:
                setattr(source, name, value)
    return list(sources.values())


def _complaint(exc: Exception) -> str:
    return f"is not SDP that we understand ({type(exc).__name__}: {str(exc)[:200]})"


def read_candidate(text: str) -> RTCIceCandidate:
    """Parse a trickled candidate, with or without its "candidate:" prefix (RFC 8840)."""
    value = text.removeprefix("a=").removeprefix("candidate:")
    try:
        return candidate_from_sdp(value)
    except Exception as exc:
        raise NegotiationError(f"not an ICE candidate: {text[:200]!r}") from exc


def formats_of(media: MediaDescription) -> tuple[PayloadFormat, ...]:
    """The formats of a remote m-line in our terms, without payload types that nobody can use."""
    formats: dict[int, PayloadFormat] = {}
    for codec in media.rtp.codecs:
        number = -1 if codec.payloadType is None else codec.payloadType
        if number in USABLE_PAYLOAD_TYPES and number in media.fmt and number not in formats:
            formats[number] = _format(number, codec)
    return tuple(formats.values())


def _format(number: int, codec: RTCRtpCodecParameters) -> PayloadFormat:
    parameters = {
        key.strip(): "" if value is None else str(value).strip()
        for key, value in codec.parameters.items()
        if key.strip()
    }
    apt = parameters.get("apt", "")
    return PayloadFormat(
        payload_type=number,
        name=codec.name,
        clock_rate=codec.clockRate,
        channels=codec.channels or 1,
        parameters=parameters,
        feedback=frozenset(
            f"{f.type} {f.parameter}" if f.parameter else f.type for f in codec.rtcpFeedback
        ),
        apt=int(apt) if re.fullmatch("[0-9]{1,3}", apt) else None,
    )
