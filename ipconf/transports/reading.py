"""Offers and answers of far ends, read with aiortc's SDP grammar (RFC 8866, RFC 8829).

What the grammar raises on text that it does not like becomes a NegotiationError with a sentence;
where only one m-line is the trouble, that line alone is marked unusable.
"""

import re

from aiortc import RTCIceCandidate, RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp, grouplines

from ..engine.session_config import PayloadFormat
from ..errors import NegotiationError
from .audio_lines import complete, readable_lines
from .description import DIRECTIONS

MAX_DESCRIPTION_CHARACTERS = 100_000
MAX_MEDIA_LINES = 64
MAX_SESSION_LINES = 500
"""Read again for each m-line."""
MAX_FORMAT_LINES = 1000
"""Of one m-line; the grammar compares each with each."""
USABLE_PAYLOAD_TYPES = frozenset((*range(64), *range(96, 128)))
"""Seven bits, and none that looks like RTCP when the marker is set (RFC 5761 section 4)."""

_FORMAT_LINES = ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:")
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
    session, lines = grouplines(text)
    if not 0 < len(lines) <= MAX_MEDIA_LINES:
        raise NegotiationError(
            f"the far end's description has {len(lines)} media lines; "
            f"1 to {MAX_MEDIA_LINES} can be used"
        )
    if len(session) > MAX_SESSION_LINES:
        raise NegotiationError(f"the far end's description begins with {len(session)} lines")
    try:
        description = SessionDescription.parse("\r\n".join(session))
        description.media = [_read_line(session, line) for line in lines]
    except Exception as exc:  # the grammar asserts, looks up and converts as it goes
        raise NegotiationError(f"the far end's description {_complaint(exc)}") from exc
    return description


def _read_line(session: list[str], lines: list[str]) -> MediaDescription:
    """One m-line with its attributes, and those of the session where it has none of its own."""
    try:
        if sum(line.startswith(_FORMAT_LINES) for line in lines) > MAX_FORMAT_LINES:
            raise ValueError("too many formats")
        audio = lines[0].startswith("m=audio ")
        readable = readable_lines(lines) if audio else lines
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
    if audio:
        complete(media, lines)
    shared = [line[2:] for line in session if line[2:] in DIRECTIONS.values()]
    media.host = media.host or description.host
    media.direction = media.direction or (shared[0] if shared else "sendrecv")
    return media


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
