"""Which payload formats two ends have in common (RFC 3264 section 6.1, RFC 4588). Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiortc.sdp import MediaDescription

from ..codecs import h264_profile
from ..engine.session_config import PayloadFormat
from .reading import formats_of

AUXILIARY_FORMATS = frozenset({"telephone-event", "cn", "rtx"})
"""Formats that ride along with a codec and can never be a stream's only one."""


@dataclass(frozen=True, slots=True)
class CommonFormats:
    """What the two ends of an m-line have in common, best first by our taste."""

    receive: tuple[PayloadFormat, ...] = ()
    """What may arrive, under the agreed numbers, with our parameters."""
    send: PayloadFormat | None = None
    """The codec that we send, with the far end's number and parameters."""
    riding: tuple[PayloadFormat, ...] = ()
    """What may be sent besides, with the clock of `send`, likewise the far end's."""
    sendable: tuple[PayloadFormat, ...] = ()
    """`send`, and the other codecs that could be sent in its place."""


def common_formats(
    media: MediaDescription, ours: tuple[PayloadFormat, ...], answering: bool
) -> CommonFormats:
    """Match our formats with a remote line's: our order of preference, the offerer's numbers.

    A format of theirs is matched once. What is left of ours is not part of the call.
    """
    return in_common(formats_of(media), ours, answering)


def in_common(
    theirs: tuple[PayloadFormat, ...], ours: tuple[PayloadFormat, ...], answering: bool
) -> CommonFormats:
    """The same for formats that somebody has read already."""
    matches = _matches(ours, theirs, answering)
    receive: list[PayloadFormat] = []
    send: list[PayloadFormat] = []
    numbers: dict[int, int] = {}  # our payload type -> the agreed one
    for own in ours:
        match = matches.get(own.payload_type)
        if match is None:
            continue
        number = match.payload_type if answering else own.payload_type
        numbers[own.payload_type] = number
        said, heard = _parameters(own, match)
        feedback = own.feedback & match.feedback
        receive.append(replace(own, payload_type=number, parameters=said, feedback=feedback))
        send.append(replace(match, parameters=heard, feedback=feedback, apt=None))
    for own in ours:
        repaired = None if own.apt is None else matches.get(own.apt)
        if own.apt is None or repaired is None:
            continue
        apt = numbers[own.apt]
        repair = next((t for t in theirs if t.is_rtx and t.apt == repaired.payload_type), None)
        if repair is not None:
            number = repair.payload_type if answering else own.payload_type
            parameters = {**own.parameters, "apt": str(apt)}
            receive.append(replace(own, payload_type=number, parameters=parameters, apt=apt))
    codecs = tuple(f for f in send if f.name.lower() not in AUXILIARY_FORMATS)
    if not codecs:
        return CommonFormats(tuple(receive))
    codec = codecs[0]
    clock = codec.clock_rate
    riding = (f for f in send if f.name.lower() in AUXILIARY_FORMATS and f.clock_rate == clock)
    return CommonFormats(tuple(receive), codec, tuple(riding), codecs)


def _matches(
    ours: tuple[PayloadFormat, ...], theirs: tuple[PayloadFormat, ...], answering: bool
) -> dict[int, PayloadFormat]:
    """Which of theirs belongs to each payload type of ours: the best pairs find each other first.

    In an answer the same number is the best sign, since answers repeat the offer's.
    """
    pairs = []
    for i, own in enumerate(ours):
        for j, other in enumerate(theirs):
            likeness = 0 if own.is_rtx else _likeness(own, other)
            if likeness:
                same_number = not answering and own.payload_type == other.payload_type
                pairs.append((not same_number, -likeness, i, j))
    matches: dict[int, PayloadFormat] = {}
    taken: set[int] = set()
    for *_, i, j in sorted(pairs):
        if j not in taken and ours[i].payload_type not in matches:
            matches[ours[i].payload_type] = theirs[j]
            taken.add(j)
    return matches


def _likeness(own: PayloadFormat, other: PayloadFormat) -> int:
    """0 for formats that have nothing to do with each other, else more for more likeness."""
    if (
        own.name.lower() != other.name.lower()
        or own.clock_rate != other.clock_rate
        or own.channels != other.channels
    ):
        return 0
    if own.name.lower() == "h264":
        return h264_profile.likeness(own.parameters, other.parameters)
    return 1


def _parameters(
    own: PayloadFormat, match: PayloadFormat
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The parameters of what may arrive and of what may be sent."""
    if own.name.lower() != "h264":
        return own.parameters, match.parameters
    pair = own.parameters, match.parameters
    return h264_profile.received_parameters(*pair), h264_profile.sent_parameters(*pair)
