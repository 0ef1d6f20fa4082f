"""What two ends agree on, m-line by m-line (RFC 3264, RFC 8843, RFC 8842). Sans-IO.

A line that cannot be used is refused by itself, with the reason; it never fails the others.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from aiortc.sdp import MediaDescription, SessionDescription

from ..engine.rtp_wire import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    CSRC_LEVEL_URI,
    MID_URI,
    RID_URI,
)
from ..engine.session_config import PayloadFormat
from ..errors import NegotiationError
from ..model import MediaType
from ..sdp.keys import Crypto
from .bundling import transport_line
from .far_address import is_nowhere
from .formats import CommonFormats, common_formats
from .line_keys import LineKey, is_secure
from .reading import UnreadableLine
from .simulcast import LAYER_EXTENSIONS, Layer, Simulcast

EXTENSIONS: dict[MediaType, dict[str, int]] = {
    MediaType.AUDIO: {AUDIO_LEVEL_URI: 1, CSRC_LEVEL_URI: 2, MID_URI: 4},
    MediaType.VIDEO: {ABS_SEND_TIME_URI: 3, MID_URI: 4},
}
"""Header extensions that we offer, with our numbers: one number per URI in a BUNDLE group.

Sound has no send times: bandwidth is estimated for pictures, and a level alone is cheap to read.
Those that tell the layers of a picture apart are taken of offers with simulcast.
"""

MAX_EXTENSION_ID = 14
"""What one-byte element headers can say; larger ids need a=extmap-allow-mixed (RFC 8285)."""
MAX_MID_BYTES = 16
"""What fits an element with a one-byte header; longer mids are told by nothing but SSRCs."""

TOO_MANY = {
    MediaType.AUDIO: "a second audio line; sound has one stream each way",
    MediaType.VIDEO: "more video lines than video_sections",
}
"""Why a line is refused that could be used."""

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
    riding: tuple[PayloadFormat, ...]
    """What may be sent besides, with the same clock: comfort noise, telephone events."""
    sends: bool
    receives: bool
    extensions: Mapping[str, int]
    ssrcs: Mapping[int, str]
    """Sources that the far end announced, with their CNAMEs."""
    repair: Mapping[int, int]
    """Its retransmission sources, each with the source it repairs (RFC 4588 section 8.8)."""
    media: MediaDescription
    """The far end's line itself."""
    transport: MediaDescription
    """The far end's line that describes the transport; lines of a bundle have the same one."""
    content: str = ""
    """What the far end says that it shows there (RFC 4796); "" where it does not."""
    sendable: tuple[PayloadFormat, ...] = ()
    """`send`, and the other codecs that could be sent in its place, each as the far end has it."""
    layers: tuple[Layer, ...] = ()
    """Encodings of the far end's picture that may arrive at the same time, as it ranks them."""
    crypto: Crypto | None = None
    """What the far end encrypts with on plain RTP, if it does."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An m-line that is not part of the call, and why."""

    index: int
    medium: MediaType | None
    reason: str


def agree_on_offer(
    offer: SessionDescription,
    formats: Formats,
    *,
    webrtc: bool,
    video_sections: int = 1,
    contents: Sequence[str] = (),
    simulcasts: Sequence[Simulcast] = (),
    keys: LineKey | None = None,
) -> list[Agreed | Refused]:
    """Go through an offer's lines: of those that can be used, the first one of sound is taken, and
    so many of video. `contents`, `simulcasts` and `keys` are those of the lines, if known.
    """
    given = (_mids(offer), video_sections, contents, simulcasts, keys)
    return _agree(offer, formats, *given, webrtc=webrtc, answering=True)


def _mids(offer: SessionDescription) -> list[str]:
    """The mid of each line; one that has none gets one that no other has."""
    taken = {media.rtp.muxId for media in offer.media}
    mids = []
    for index, media in enumerate(offer.media):
        mid = media.rtp.muxId or str(index)
        while not media.rtp.muxId and mid in taken:
            mid += "+"
        mids.append(mid)
    return mids


def agree_on_answer(
    answer: SessionDescription,
    offered: Formats,
    mids: Sequence[str],
    *,
    webrtc: bool,
    video_sections: int = 1,
    contents: Sequence[str] = (),
    keys: LineKey | None = None,
) -> list[Agreed | Refused]:
    """Go through the answer to an offer of ours that had one line for each of `mids`."""
    if len(answer.media) != len(mids):
        raise NegotiationError(
            f"the answer has {len(answer.media)} media lines where the offer had {len(mids)}; "
            "the far end must answer every line (RFC 3264 section 6)"
        )
    given = (mids, video_sections, contents, (), keys)
    return _agree(answer, offered, *given, webrtc=webrtc, answering=False)


def _agree(
    remote: SessionDescription,
    formats: Formats,
    mids: Sequence[str],
    video_sections: int,
    contents: Sequence[str],
    simulcasts: Sequence[Simulcast],
    keys: LineKey | None,
    *,
    webrtc: bool,
    answering: bool,
) -> list[Agreed | Refused]:
    lines: list[Agreed | Refused] = []
    taken: Counter[MediaType] = Counter()
    extensions: dict[int, dict[str, int]] = {}  # by transport
    for index, media in enumerate(remote.media):
        if media.kind not in ("audio", "video"):
            lines.append(Refused(index, None, f"{media.kind} is not supported"))
            continue
        medium = MediaType(media.kind)
        transport = transport_line(remote, media, offer=answering)
        problem = _unusable(media, transport, webrtc=webrtc)
        crypto = None
        if problem is None and not webrtc:
            crypto, problem = _key(remote, transport, keys)
        if taken[medium] >= (video_sections if medium is MediaType.VIDEO else 1):
            problem = TOO_MANY[medium]
        if mids[index] in mids[:index]:
            problem = f"another line has its mid, {mids[index]!r}"
        common = common_formats(media, formats.get(medium, ()), answering)
        if common.send is None and problem is None:
            names = ", ".join(c.name for c in media.rtp.codecs) or "nothing"
            problem = f"no common codec; the far end has {names}"
        if common.send is None or problem is not None:
            lines.append(Refused(index, medium, problem or ""))
            continue
        taken[medium] += 1
        layers = _layers(simulcasts[index], media, common) if simulcasts else ()
        uris = EXTENSIONS[medium].keys() | (LAYER_EXTENSIONS if layers else ())
        agreed = _extensions(media, uris, mids[index], extensions.setdefault(id(transport), {}))
        line = _agreed(index, mids[index], medium, media, common, agreed, transport)
        if RID_URI in agreed:  # without, nobody could tell layers apart
            line = replace(line, layers=layers)
        if crypto is not None:
            line = replace(line, crypto=crypto)
        if not webrtc and is_nowhere(transport.host):
            line = replace(line, sends=False)
        lines.append(replace(line, content=contents[index]) if contents else line)
    return lines


def _key(
    remote: SessionDescription, transport: MediaDescription, keys: LineKey | None
) -> tuple[Crypto | None, str | None]:
    """The far end's key on that transport; else why it cannot be used, if so."""
    if keys is None:
        return None, "it wants keys (SRTP)" if is_secure(transport.profile) else None
    index = next(i for i, media in enumerate(remote.media) if media is transport)
    return keys(index, transport.profile)


def _layers(
    simulcast: Simulcast, media: MediaDescription, common: CommonFormats
) -> tuple[Layer, ...]:
    if media.kind != "video" or media.direction not in ("sendrecv", "sendonly"):
        return ()
    return simulcast.agreed({f.payload_type for f in common.receive if not f.is_rtx})


def _unusable(media: MediaDescription, transport: MediaDescription, *, webrtc: bool) -> str | None:
    """Why a line cannot be used, or None."""
    if isinstance(media, UnreadableLine):
        return media.problem
    if transport.port == 0:
        return "the far end refused it"
    if not (is_secure(media.profile) if webrtc else "TLS" not in media.profile):
        return f"the profile is {media.profile}; this call speaks " + (
            "DTLS-SRTP" if webrtc else "plain RTP"
        )
    if webrtc:
        if transport.dtls is None or not transport.dtls.fingerprints:
            return "it has no DTLS fingerprint or no a=setup"
        ice = transport.ice
        if ice is None or not _is_ice_text(ice.usernameFragment, ice.password):
            return "it has no ICE credentials"
        if not (media.rtcp_mux or transport.rtcp_mux):
            return "it does not multiplex RTP and RTCP (a=rtcp-mux)"
    return None


def _is_ice_text(*values: str | None) -> bool:
    return all(value and value.isascii() for value in values)


def _extensions(
    media: MediaDescription, uris: Collection[str], mid: str, taken: dict[str, int]
) -> dict[str, int]:
    """Those of these header extensions that the far end has, too.

    In a bundle an id has one meaning (RFC 8843 section 9.2): `taken` holds what the lines before
    this one on the same transport agreed on.
    """
    agreed: dict[str, int] = {}
    for extension in media.rtp.headerExtensions:
        uri, number = extension.uri, extension.id
        if uri not in uris or not 0 < number <= MAX_EXTENSION_ID:
            continue
        if uri == MID_URI and not (mid.isascii() and len(mid) <= MAX_MID_BYTES):
            continue
        if taken.get(uri) == number or (uri not in taken and number not in taken.values()):
            taken[uri] = agreed[uri] = number
    return agreed


def _agreed(
    index: int,
    mid: str,
    medium: MediaType,
    media: MediaDescription,
    common: CommonFormats,
    extensions: Mapping[str, int],
    transport: MediaDescription,
) -> Agreed:
    assert common.send is not None  # the line would not be part of the call
    repair = {
        group.items[1]: group.items[0]
        for group in media.ssrc_group
        if group.semantic == "FID" and len(group.items) == 2
    }
    return Agreed(
        index=index,
        mid=mid,
        medium=medium,
        receive=common.receive,
        send=common.send,
        riding=common.riding,
        sends=media.direction in ("sendrecv", "recvonly"),
        receives=media.direction in ("sendrecv", "sendonly"),
        extensions=extensions,
        ssrcs={s.ssrc: s.cname or "" for s in media.ssrc if s.ssrc not in repair},
        repair={int(rtx): int(original) for rtx, original in repair.items()},
        media=media,
        transport=transport,
        sendable=common.sendable,
    )
