"""Our offers and answers as text, written with aiortc's SDP grammar (RFC 8866, RFC 8829).

What the grammar does not print (`bundle-only`, `rtcp-rsize`, the rejected line) is added here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiortc import (
    RTCIceCandidate,
    RTCIceParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpParameters
from aiortc.sdp import (
    GroupDescription,
    MediaDescription,
    SessionDescription,
    SsrcDescription,
    candidate_to_sdp,
)

from ..codecs import h264_profile
from ..engine.session_config import PayloadFormat
from ..model import MediaType
from .audio_lines import PACKET_TIMES, packet_time_lines
from .base import PlainLine, WebRtcLine
from .simulcast import Layer, layer_lines

WEBRTC_PROFILE = "UDP/TLS/RTP/SAVPF"
PLAIN_PROFILE, SECURE_PROFILE = "RTP/AVP", "RTP/SAVP"
DISCARD_PORT = 9
"""The port of a line whose real address ICE will find (RFC 8840 section 4.1.1)."""
NOT_WRITTEN = frozenset({*PACKET_TIMES, h264_profile.SETS})
"""Parameters that are told in other attributes, or that describe what the far end sends."""
DIRECTIONS = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}
"""The direction attribute by (we send, we receive)."""


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One m-line of a description that we write."""

    mid: str
    medium: MediaType
    formats: tuple[PayloadFormat, ...]
    sends: bool
    receives: bool
    extensions: Mapping[str, int] = field(default_factory=dict)
    ssrc: int | None = None
    repair_ssrc: int | None = None
    cname: str = ""
    stream: str = ""
    """Lines with the same name here are played in sync (msid, RFC 8830); no spaces."""
    answered: MediaDescription | None = None
    """The offer's line that this one answers; None in an offer."""
    track: str = ""
    """What tells it apart from other lines of its stream; without one its medium does."""
    content: str = ""
    """What we show there, if anything is to be said of it (RFC 4796)."""
    layers: tuple[Layer, ...] = ()
    """Encodings of the far end's picture that may arrive (RFC 8853)."""


def write_description(
    lines: Sequence[tuple[MediaLine, WebRtcLine | PlainLine] | MediaDescription],
    bundles: Sequence[Sequence[str]],
    *,
    session_id: int,
    reduced_size: bool,
) -> str:
    """Write an offer or answer; a `MediaDescription` in `lines` is one of the offer's, refused.

    `bundles` groups mids that share a transport (RFC 8843). In an offer all but the first of a
    group are marked bundle-only, so that an answerer which cannot bundle refuses just those.
    `session_id` has up to 63 random bits (RFC 8829 section 5.2.1); `reduced_size` allows RTCP
    feedback without a report (RFC 5506).
    """
    session = SessionDescription()
    session.origin = f"- {session_id} 1 IN IP4 0.0.0.0"
    session.group = [GroupDescription("BUNDLE", list(mids)) for mids in bundles if mids]
    followers = {mid for mids in bundles for mid in mids[1:]}
    text = str(session)
    for line in lines:
        if isinstance(line, MediaDescription):
            text += _refused(line)
            continue
        media, transport = line
        description = _media(media, transport)
        extra = packet_time_lines(media.formats)
        if media.sends and media.content:
            extra += f"a=content:{media.content}\r\n"
        extra += layer_lines(media.layers)
        if isinstance(transport, WebRtcLine):
            if reduced_size:
                extra += "a=rtcp-rsize\r\n"
            if media.answered is None and media.mid in followers:
                description.port = 0
                extra += "a=bundle-only\r\n"
        else:
            extra += "".join(f"a=crypto:{key.to_value()}\r\n" for key in transport.crypto)
        text += str(description) + extra
    return text


def _media(line: MediaLine, transport: WebRtcLine | PlainLine) -> MediaDescription:
    webrtc, mux = isinstance(transport, WebRtcLine), True
    profile, mid = (WEBRTC_PROFILE, line.mid) if webrtc else (PLAIN_PROFILE, "")
    if isinstance(transport, PlainLine) and transport.crypto:
        profile = SECURE_PROFILE
    if line.answered is not None:  # an answer says no more than the offer did (RFC 3264)
        profile, mid = line.answered.profile, line.answered.rtp.muxId
        mux = line.answered.rtcp_mux
    description = MediaDescription(
        kind=line.medium.value,
        port=DISCARD_PORT,
        profile=profile,
        fmt=[f.payload_type for f in line.formats],
    )
    description.direction = DIRECTIONS[line.sends, line.receives]
    description.rtp = RTCRtpParameters(
        codecs=[_codec(line.medium, f) for f in line.formats],
        headerExtensions=[
            RTCRtpHeaderExtensionParameters(id=number, uri=uri)
            for uri, number in line.extensions.items()
        ],
        muxId=mid,
    )
    description.ice = RTCIceParameters()
    if isinstance(transport, WebRtcLine):
        description.host = description.rtcp_host = "0.0.0.0"
        description.rtcp_port, description.rtcp_mux = DISCARD_PORT, True
        description.ice = transport.ice
        description.ice_candidates = list(transport.candidates)
        description.ice_candidates_complete = True
        description.dtls = transport.dtls
    else:
        description.host, description.port = transport.host, transport.port
        description.rtcp_port = transport.rtcp_port
        description.rtcp_mux = mux and transport.rtcp_port == transport.port
    if line.sends and line.ssrc is not None:
        sources = [line.ssrc] if line.repair_ssrc is None else [line.ssrc, line.repair_ssrc]
        cname = "".join(filter(str.isprintable, line.cname))  # it must not end its line
        description.ssrc = [SsrcDescription(ssrc=s, cname=cname) for s in sources]
        if line.repair_ssrc is not None:
            description.ssrc_group = [GroupDescription("FID", list(sources))]
        description.msid = f"{line.stream} {line.track or line.medium.value}"
    return description


def _codec(medium: MediaType, fmt: PayloadFormat) -> RTCRtpCodecParameters:
    feedback = [value.split(" ", 1) for value in sorted(fmt.feedback)]
    return RTCRtpCodecParameters(
        mimeType=f"{medium.value}/{fmt.name}",
        clockRate=fmt.clock_rate,
        channels=fmt.channels if medium is MediaType.AUDIO else None,
        payloadType=fmt.payload_type,
        rtcpFeedback=[RTCRtcpFeedback(f[0], f[1] if len(f) > 1 else None) for f in feedback],
        parameters={k: v or None for k, v in fmt.parameters.items() if k not in NOT_WRITTEN},
    )


def _refused(offered: MediaDescription) -> str:
    """Port zero, the offer's formats, nothing else but its mid (RFC 3264 section 6)."""
    line = f"m={offered.kind} 0 {offered.profile} {' '.join(map(str, offered.fmt))}\r\n"
    line += "c=IN IP4 0.0.0.0\r\na=inactive\r\n"
    return line + (f"a=mid:{offered.rtp.muxId}\r\n" if offered.rtp.muxId else "")


def write_candidate(candidate: RTCIceCandidate) -> str:
    """A candidate as it travels by trickle, with its "candidate:" prefix."""
    return "candidate:" + candidate_to_sdp(candidate)
