"""Sessions and packets for the session tests."""

import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ipconf.engine.outputs import Output, Transmit
from ipconf.engine.rtcp_wire import (
    RtcpPacket,
    SdesChunk,
    SdesItem,
    SourceDescription,
    parse_compound,
)
from ipconf.engine.rtp_wire import (
    AUDIO_LEVEL_URI,
    CSRC_LEVEL_URI,
    MID_URI,
    HeaderExtensions,
    RtpPacket,
    compose_rtp,
)
from ipconf.engine.session import PayloadFormat, RtpSession, Section, SessionConfig
from ipconf.model import MediaType, SdesType

OPUS, VP8, RTX = 111, 96, 97
EXTENSIONS = HeaderExtensions({AUDIO_LEVEL_URI: 1, MID_URI: 2, CSRC_LEVEL_URI: 3})
AUDIO = Section("a", MediaType.AUDIO, (PayloadFormat(OPUS, "opus", 48000, 2),))
VIDEO = Section(
    "v",
    MediaType.VIDEO,
    (
        PayloadFormat(VP8, "VP8", 90000, feedback=frozenset({"nack", "nack pli", "ccm fir"})),
        PayloadFormat(RTX, "rtx", 90000, apt=VP8),
    ),
)


def config(cname: str = "us", sections: Sequence[Section] = (AUDIO,), **values: object):
    """A configuration; `values` go over the defaults."""
    defaults: dict[str, object] = {
        "sections": tuple(sections),
        "extensions": EXTENSIONS,
        "identity": {SdesType.CNAME: cname, SdesType.NAME: f"Name of {cname}"},
        "unix_offset_s": 1_800_000_000.0,
    }
    return SessionConfig(**(defaults | values))  # type: ignore[arg-type]


def session(cname: str = "us", seed: int = 1, now: float = 0.0, **values: object) -> RtpSession:
    """A session of its own; `values` as for `config`."""
    return RtpSession(config(cname, **values), random.Random(seed), now)


def rtp(
    ssrc: int,
    sequence: int,
    timestamp: int | None = None,
    payload: bytes = b"media",
    payload_type: int = OPUS,
    **values: object,
) -> bytes:
    """A packet of somebody else, by default with the timestamp of an even 20 ms stream."""
    ticks = sequence * 960 if timestamp is None else timestamp
    return compose_rtp(
        payload_type,
        sequence & 0xFFFF,
        ticks & 0xFFFFFFFF,
        ssrc,
        payload,
        **values,  # type: ignore[arg-type]
    )


def sdes(ssrc: int, *items: tuple[int, str] | tuple[int, str, str]) -> SourceDescription:
    """One chunk; items are (type, text) or (type, text, prefix)."""
    return SourceDescription((SdesChunk(ssrc, tuple(SdesItem(*item) for item in items)),))


def hear(
    ours: RtpSession, ssrc: int, now: float, sequence: int = 1, count: int = 2, **values: object
) -> list[Output]:
    """Let `count` packets of a source arrive, 20 ms apart; all outputs."""
    outputs: list[Output] = []
    for turn in range(count):
        outputs += ours.receive(rtp(ssrc, sequence + turn, **values), now + turn * 0.02)
    return outputs


def media(outputs: Iterable[Output]) -> list[int]:
    """The 16-bit sequence numbers of the media among outputs."""
    return [o.sequence for o in outputs if isinstance(o, RtpPacket)]


def sent(outputs: Iterable[Output]) -> list[list[RtcpPacket]]:
    """The compounds among outputs, taken apart; every one must be wholly understood."""
    compounds = []
    for output in outputs:
        if isinstance(output, Transmit):
            packets, malformed = parse_compound(output.datagram)
            assert not malformed
            assert len(output.datagram) <= 1200
            compounds.append(packets)
    return compounds


def next_report(ours: RtpSession, limit: int = 100) -> tuple[float, list[RtcpPacket]]:
    """Run the session's timer until it sends RTCP: when, and what."""
    for _ in range(limit):
        now = ours.next_deadline()
        compounds = sent(ours.handle_timer(now))
        if compounds:
            return now, compounds[0]
    raise AssertionError("no report was sent")


T = TypeVar("T")


def of_type(packets: Iterable[object], kind: type[T]) -> list[T]:
    """Those of a kind."""
    return [packet for packet in packets if isinstance(packet, kind)]
