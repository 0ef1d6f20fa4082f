"""What two ends agree on, m-line by m-line (RFC 3264, RFC 8843, RFC 8842). Sans-IO.

A line that cannot be used is refused by itself, with the reason; it never fails the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiortc.sdp import MediaDescription, SessionDescription

from ..engine.rtp_wire import ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, CSRC_LEVEL_URI, MID_URI
from ..engine.session_config import PayloadFormat
from ..errors import NegotiationError
from ..model import MediaType
from .description import codec_format

EXTENSIONS: dict[MediaType, dict[str, int]] = {
    MediaType.AUDIO: {AUDIO_LEVEL_URI: 1, CSRC_LEVEL_URI: 2, ABS_SEND_TIME_URI: 3, MID_URI: 4},
    MediaType.VIDEO: {ABS_SEND_TIME_URI: 3, MID_URI: 4},
}
"""Header extensions that we offer, with our numbers: one number per URI in a BUNDLE group."""

AUXILIARY_FORMATS = frozenset({"telephone-event", "cn", "rtx"})
"""Formats that ride along with a codec and can never be a stream's only one."""

Formats = Mapping[MediaType, tuple[PayloadFormat, ...]]


@dataclass(frozen=True, slots=True)
class Agreed:
    """An m-line both ends can use."""

    index: int
    mid: str
    medium: MediaType
    receive: tuple[PayloadFormat, ...]
    """Formats that may arrive, with our parameters."""
    send: PayloadFormat
    """The format that we send, with the far end's parameters."""
    sends: bool
    receives: bool
    extensions: Mapping[str, int]
    ssrcs: Mapping[int, str]
    """Sources that the far end announced, with their CNAMEs."""
    repair: Mapping[int, int]
    """Its retransmission sources, each with the source it repairs (RFC 4588 section 8.8)."""
    transport: MediaDescription
    """The far end's line that describes the transport; lines of a bundle have the same one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An m-line that is not part of the call, and why."""

    index: int
    medium: MediaType | None
    reason: str


def agree_on_offer(
    offer: SessionDescription, formats: Formats, *, webrtc: bool
) -> list[Agreed | Refused]:
    """Go through an offer's lines; the first line of each medium is taken if it can be."""
    return _agree(offer, formats, webrtc=webrtc, answering=True)


def agree_on_answer(
    answer: SessionDescription, offered: Formats, mids: Sequence[str], *, webrtc: bool
) -> list[Agreed | Refused]:
    """Go through the answer to an offer of ours that had one line for each of `mids`."""
    if len(answer.media) != len(mids):
        raise NegotiationError(
            f"the answer has {len(answer.media)} media lines where the offer had {len(mids)}; "
            "the far end must answer every line (RFC 3264 section 6)"
        )
    return _agree(answer, offered, webrtc=webrtc, answering=False, mids=mids)


def _agree(
    remote: SessionDescription,
    formats: Formats,
    *,
    webrtc: bool,
    answering: bool,
    mids: Sequence[str] = (),
) -> list[Agreed | Refused]:
    lines: list[Agreed | Refused] = []
    taken: set[MediaType] = set()
    for index, media in enumerate(remote.media):
        if media.kind not in ("audio", "video"):
            lines.append(Refused(index, None, f"{media.kind} is not supported"))
            continue
        medium = MediaType(media.kind)
        transport = _transport_line(remote, media)
        problem = _unusable(media, transport, webrtc=webrtc)
        if medium in taken:
            problem = f"a second {medium.value} line; this call has one stream each way"
        receive, send = _common_formats(media, formats.get(medium, ()), answering)
        if send is None and problem is None:
            names = ", ".join(c.name for c in media.rtp.codecs) or "nothing"
            problem = f"no common codec; the far end has {names}"
        if send is None or problem is not None:
            lines.append(Refused(index, medium, problem or ""))
            continue
        mid = media.rtp.muxId or (mids[index] if mids else str(index))
        taken.add(medium)
        lines.append(_agreed(index, mid, medium, media, receive, send, transport))
    return lines


def _transport_line(remote: SessionDescription, media: MediaDescription) -> MediaDescription:
    """The line that describes the transport of `media`: the first usable one of its bundle.

    Lines of a bundle but the first may have port 0 and no transport of their own (`bundle-only`);
    a refused line is in no bundle (RFC 8843 section 7).
    """
    for group in remote.group:
        if group.semantic == "BUNDLE" and media.rtp.muxId and media.rtp.muxId in group.items:
            for line in remote.media:
                if line.rtp.muxId in group.items and line.port != 0:
                    return line
    return media


def _unusable(media: MediaDescription, transport: MediaDescription, *, webrtc: bool) -> str | None:
    """Why a line cannot be used, or None."""
    if transport.port == 0:
        return "the far end refused it"
    if ("SAVP" in media.profile) != webrtc:
        return f"the profile is {media.profile}; this call speaks " + (
            "DTLS-SRTP" if webrtc else "plain RTP"
        )
    if webrtc:
        if transport.dtls is None or not transport.dtls.fingerprints:
            return "it has no DTLS fingerprint or no a=setup"
        if not transport.ice or not transport.ice.usernameFragment or not transport.ice.password:
            return "it has no ICE credentials"
        if not media.rtcp_mux:
            return "it does not multiplex RTP and RTCP (a=rtcp-mux)"
    return None


def _common_formats(
    media: MediaDescription, ours: tuple[PayloadFormat, ...], answering: bool
) -> tuple[tuple[PayloadFormat, ...], PayloadFormat | None]:
    """What may arrive and what to send: our order of preference, the offerer's numbers."""
    theirs = [codec_format(codec) for codec in media.rtp.codecs]
    receive: list[PayloadFormat] = []
    send: PayloadFormat | None = None
    numbers: dict[int, int] = {}  # our payload type -> the agreed one
    for own in ours:
        if own.apt is not None:
            continue
        match = next((t for t in theirs if _same_codec(own, t)), None)
        if match is None:
            continue
        number = match.payload_type if answering else own.payload_type
        numbers[own.payload_type] = number
        agreed_feedback = own.feedback & match.feedback
        receive.append(_renumbered(own, number, None, agreed_feedback))
        if send is None and own.name.lower() not in AUXILIARY_FORMATS:
            send = _renumbered(match, match.payload_type, None, agreed_feedback)
    for own in ours:
        if own.apt is None or own.apt not in numbers:
            continue
        for repair in theirs:
            if repair.name.lower() == "rtx" and repair.apt == numbers[own.apt]:
                number = repair.payload_type if answering else own.payload_type
                receive.append(_renumbered(own, number, repair.apt, frozenset()))
    return tuple(receive), send


def _same_codec(own: PayloadFormat, other: PayloadFormat) -> bool:
    return (
        own.name.lower() == other.name.lower()
        and own.clock_rate == other.clock_rate
        and own.channels == other.channels
    )


def _renumbered(
    fmt: PayloadFormat, number: int, apt: int | None, feedback: frozenset[str]
) -> PayloadFormat:
    parameters = dict(fmt.parameters)
    if apt is not None:
        parameters["apt"] = str(apt)
    return PayloadFormat(
        payload_type=number,
        name=fmt.name,
        clock_rate=fmt.clock_rate,
        channels=fmt.channels,
        parameters=parameters,
        feedback=feedback,
        apt=apt,
    )


def _agreed(
    index: int,
    mid: str,
    medium: MediaType,
    media: MediaDescription,
    receive: tuple[PayloadFormat, ...],
    send: PayloadFormat,
    transport: MediaDescription,
) -> Agreed:
    direction = media.direction or "sendrecv"
    known = EXTENSIONS[medium]
    repair = {
        group.items[1]: group.items[0]
        for group in media.ssrc_group
        if group.semantic == "FID" and len(group.items) == 2
    }
    return Agreed(
        index=index,
        mid=mid,
        medium=medium,
        receive=receive,
        send=send,
        sends=direction in ("sendrecv", "recvonly"),
        receives=direction in ("sendrecv", "sendonly"),
        extensions={x.uri: x.id for x in media.rtp.headerExtensions if x.uri in known},
        ssrcs={s.ssrc: s.cname or "" for s in media.ssrc if s.ssrc not in repair},
        repair={int(rtx): int(original) for rtx, original in repair.items()},
        transport=transport,
    )


def answer_role(offered: str, preference: str) -> str:
    """Our DTLS role against an offer's: the server, unless the offer is one (RFC 8842 section 5).

    Servers connect to every peer we know of; as a client we would have to like the certificate's
    key type. `preference` ("auto", "client", "server") counts only where the offer leaves it open.
    """
    if offered == "server":
        return "client"
    if offered == "client":
        return "server"
    return "server" if preference == "auto" else preference


def offer_role(answered: str) -> str:
    """Our DTLS role after the answer to our offer."""
    return "client" if answered == "server" else "server"
