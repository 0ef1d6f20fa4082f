"""What one packet costs the RTP session: parse, validate, count, route. No network, one process.

The packets are those of another session of this package, with the header extensions that calls
negotiate; aiortc's parsers, which only parse, run on the same bytes for comparison.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from statistics import median

from aiortc import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap
from aiortc.rtp import RtcpPacket as AiortcRtcp
from aiortc.rtp import RtpPacket as AiortcRtp

from ipconf.codecs.registry import FORMATS
from ipconf.engine.outputs import Transmit
from ipconf.engine.rtp_wire import HeaderExtensions, RtpPacket
from ipconf.engine.session import RtpSession, Section, SessionConfig
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, MediaType, SdesType
from ipconf.transports.negotiation import EXTENSIONS

from .gauges import cpu_us_each
from .report import Broken, Plan, Row

RTP_GOAL_US = 8.0
RTCP_GOAL_US = 30.0
AUDIO = MediaType.AUDIO
OPUS = FORMATS[AUDIO][0]
PAYLOAD = bytes(80)
"""Of a size that 32 kbit/s makes."""


def _session(cname: str, seed: int) -> RtpSession:
    config = SessionConfig(
        sections=(Section("0", AUDIO, FORMATS[AUDIO]),),
        extensions=HeaderExtensions(EXTENSIONS[AUDIO]),
        identity={SdesType.CNAME: cname, SdesType.NAME: "Somebody", SdesType.TOOL: "ipconf"},
        min_interval_s=1.0,
        unix_offset_s=1.8e9,
    )
    return RtpSession(config, random.Random(seed), 0.0)


class Conversation:
    """Two sessions that talk to each other on a clock of their own, 20 ms at a time."""

    def __init__(self) -> None:
        self.near = _session("near@example", 1)
        self.far = _session("far@example", 2)
        self.now = 0.0
        self._sent = 0

    def media(self) -> bytes:
        """The far end's next packet; the near end sends one too, so that there are reports."""
        self.now += AUDIO_FRAME_S
        self._sent += 1
        timestamp = self._sent * AUDIO_FRAME_SAMPLES & 0xFFFFFFFF
        level = 20 + self._sent % 40
        self.far.receive(self._packet(self.near, timestamp, level), self.now)
        return self._packet(self.far, timestamp, level)

    def _packet(self, sender: RtpSession, timestamp: int, level: int) -> bytes:
        return sender.send("0", OPUS.payload_type, timestamp, PAYLOAD, self.now, level=level)

    def reports(self) -> list[bytes]:
        """What the far end says by RTCP now; what the near end says, it hears."""
        for output in self.near.handle_timer(self.now):
            if isinstance(output, Transmit):
                self.far.receive(output.datagram, self.now)
        outputs = self.far.handle_timer(self.now)
        return [output.datagram for output in outputs if isinstance(output, Transmit)]


def _measure_rtp(conversation: Conversation, count: int) -> tuple[float, float]:
    """Microseconds of `RtpSession.receive`, and of aiortc's parser, for each RTP packet."""
    near = conversation.near
    packets = [(conversation.media(), conversation.now) for _ in range(count)]
    delivered: list[RtpPacket] = []

    def receive() -> int:
        for datagram, now in packets:
            for output in near.receive(datagram, now):
                delivered.append(output)  # type: ignore[arg-type]
        return count

    ours = cpu_us_each(receive)
    whole = all(p.source is not None and p.level is not None for p in delivered)
    if len(delivered) != count or not whole or near.stats.malformed:
        raise Broken(f"{len(delivered)} of {count} RTP packets came out of the session")
    extensions = HeaderExtensionsMap()
    extensions.configure(
        RTCRtpParameters(
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=number, uri=uri)
                for uri, number in EXTENSIONS[AUDIO].items()
            ]
        )
    )

    def parse() -> int:
        for datagram, _ in packets:
            AiortcRtp.parse(datagram, extensions)
        return count

    return ours, cpu_us_each(parse)


def _measure_rtcp(conversation: Conversation, count: int) -> tuple[float, float]:
    """The same for each compound of SR with a report block, and SDES."""
    near = conversation.near
    compounds: list[tuple[bytes, float]] = []
    while len(compounds) < count:
        for _ in range(100):
            near.receive(conversation.media(), conversation.now)
        compounds += [(datagram, conversation.now) for datagram in conversation.reports()]
    heard = near.stats.rtcp_received

    def receive() -> int:
        for datagram, now in compounds:
            near.receive(datagram, now)
        return len(compounds)

    ours = cpu_us_each(receive)
    source = next(iter(near.sources.values()))
    understood = near.stats.rtcp_received - heard == len(compounds) and source.last_sr is not None
    if not understood or source.round_trip_s is None or near.stats.malformed_rtcp:
        raise Broken("the RTCP compounds were not understood")

    def parse() -> int:
        for datagram, _ in compounds:
            AiortcRtcp.parse(datagram)
        return len(compounds)

    return ours, cpu_us_each(parse)


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Both kinds of packet in turns, on one session that lives through all of it."""
    conversation = Conversation()
    near = conversation.near
    for _ in range(3):  # probation
        near.receive(conversation.media(), conversation.now)
    measures: dict[str, tuple[Callable[[Conversation, int], tuple[float, float]], float, int]] = {
        "an RTP packet": (_measure_rtp, RTP_GOAL_US, plan.pick(5000, 1000)),
        "an SR+SDES compound": (_measure_rtcp, RTCP_GOAL_US, plan.pick(300, 50)),
    }
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in measures}
    for _ in range(plan.pick(9, 3)):
        for name, (measure, _, count) in measures.items():
            results[name].append(measure(conversation, count))
    for name, (_, goal, _) in measures.items():
        ours, theirs = (median(column) for column in zip(*results[name], strict=True))
        note = f"aiortc's parser alone: {theirs:.1f} us"
        yield Row(f"RtpSession.receive of {name}, CPU", ours, "us", goal, note)
