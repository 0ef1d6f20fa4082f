"""Which payload formats two ends have in common (RFC 3264 section 6.1, RFC 4588). Sans-IO."""

from aiortc.sdp import MediaDescription

from ..engine.session_config import PayloadFormat
from .reading import formats_of

AUXILIARY_FORMATS = frozenset({"telephone-event", "cn", "rtx"})
"""Formats that ride along with a codec and can never be a stream's only one."""


def common_formats(
    media: MediaDescription, ours: tuple[PayloadFormat, ...], answering: bool
) -> tuple[tuple[PayloadFormat, ...], PayloadFormat | None]:
    """What may arrive and what to send: our order of preference, the offerer's numbers."""
    theirs = formats_of(media)
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
        apt = None if own.apt is None else numbers.get(own.apt)
        repair = next((t for t in theirs if t.is_rtx and t.apt == apt), None)
        if apt is not None and repair is not None:
            number = repair.payload_type if answering else own.payload_type
            receive.append(_renumbered(own, number, apt, frozenset()))
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
