"""The RTP session: packets in, packets out, and who is there (RFC 3550). Sans-IO.

One session serves one transport with one media section or several (BUNDLE). Feed it datagrams with
`receive`, ask `next_deadline` when to call `handle_timer`, and act on the outputs of every call:
send what `Transmit` holds, play the `RtpPacket`s, tell the roster about the sources. Time is
seconds of any monotonic clock. Nothing that arrives raises.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType

from ..errors import ClosedError, ConfigurationError, WireError
from ..model import SdesType
from .forwarding import ForwardedPeople
from .local_source import LocalSource, ReceptionReport
from .outputs import Output
from .reception import Arrival, RemoteSource
from .rtcp_receiver import RtcpReceiver
from .rtcp_sender import RtcpSender
from .rtcp_timing import LOWER_LAYER_OCTETS
from .rtp_receiver import RtpReceiver
from .rtp_wire import RtpPacket, is_rtcp, parse_rtp
from .session_config import PayloadFormat, Section, SessionConfig, SessionStats
from .session_parts import SessionParts
from .skimming import Skimming

__all__ = [
    "ForwardedPeople",
    "LocalSource",
    "PayloadFormat",
    "ReceptionReport",
    "RtpSession",
    "Section",
    "SessionConfig",
    "SessionStats",
]

_GOOD = Arrival.GOOD


class RtpSession:
    """One RTP session seen from one end.

    `sources` are the remote SSRCs that passed validation, contributors included; `stats` counts
    what happened.
    """

    def __init__(self, config: SessionConfig, rng: random.Random, now: float) -> None:
        """`ConfigurationError` for a configuration without sections, bandwidth or CNAME."""
        self._parts = parts = SessionParts(config, rng, now)
        self._rtp = RtpReceiver(parts)
        self._rtcp = RtcpReceiver(parts)
        self._extensions = config.extensions
        self._heard: Mapping[int, RemoteSource] = parts.members.sources  # nobody, once we leave
        self._sender = RtcpSender(parts)
        self.skimming = Skimming(config, parts.members.sources, parts.stats)
        """Takes packets before `receive` does, where somebody wants them unparsed."""
        self.sources: Mapping[int, RemoteSource] = MappingProxyType(parts.members.sources)
        self.stats = parts.stats

    def local(self, mid: str) -> LocalSource:
        """Our SSRC of that media section; `ConfigurationError` when there is no such section."""
        source = self._parts.local.by_mid.get(mid)
        if source is None:
            known = ", ".join(self._parts.local.by_mid)
            raise ConfigurationError(f"the session has no section {mid!r}; it has {known}")
        return source

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """All of ours, retransmissions included."""
        return tuple(self._parts.local.by_ssrc)

    @property
    def left(self) -> bool:
        """Whether the BYE is out; from there on the session does nothing."""
        return self._sender.left

    # -- in ---------------------------------------------------------------------------------

    def receive(self, datagram: bytes, now: float, origin: Hashable = None) -> Sequence[Output]:
        """Take an RTP or RTCP datagram (RFC 5761), from the sender address `origin` if known.

        Media comes out as `RtpPacket`s of validated sources, in order of arrival. Never raises.
        """
        if is_rtcp(datagram):
            return self._receive_rtcp(datagram, now, origin)
        try:
            packet = parse_rtp(datagram, self._extensions)
        except WireError:
            self.stats.malformed += 1
            return ()
        source = self._heard.get(packet.ssrc)
        if source is None or source.rtp_origin != origin:
            return self._receive_odd(packet, now, origin)
        rate = source.rates.get(packet.payload_type)
        if rate is None or (packet.mid is not None and packet.mid != source.mid):
            return self._receive_odd(packet, now, origin)
        self.stats.rtp_received += 1
        verdict = source.accept(packet, rate, now)
        if verdict is _GOOD and packet.payload and not packet.csrcs:
            return (packet,)
        outputs: list[Output] = []
        self._rtp.settle(source, packet, verdict, now, outputs)
        return outputs

    def _receive_odd(self, packet: RtpPacket, now: float, origin: Hashable) -> Sequence[Output]:
        if self._sender.leaving:
            return ()
        self.stats.rtp_received += 1
        return self._rtp.receive(packet, now, origin)

    def _receive_rtcp(self, datagram: bytes, now: float, origin: Hashable) -> Sequence[Output]:
        if self._sender.left:
            return ()
        if not self._sender.leaving:
            return self._rtcp.receive(datagram, now, origin)
        # Our BYE waits for its turn: only the others' count (RFC 3550 section 6.3.7).
        compound = self._rtcp.parse(datagram, now, origin)
        if compound is not None and compound.leaving:
            self._parts.timer.bye_heard(len(datagram) + LOWER_LAYER_OCTETS)
        return ()

    def forget_ourselves(self, now: float) -> list[Output]:
        """What we send does not come back any more (`SessionConfig.own_origin`)."""
        outputs: list[Output] = []
        self._parts.members.forget_ourselves(now, outputs)
        return outputs

    # -- out --------------------------------------------------------------------------------

    def send(
        self,
        mid: str,
        payload_type: int,
        timestamp: int,
        payload: bytes,
        now: float,
        *,
        marker: bool = False,
        level: int | None = None,
        voice: bool = False,
        csrcs: Sequence[int] = (),
        csrc_levels: Sequence[int] = (),
        captured_at: float | None = None,
    ) -> bytes:
        """Compose the next RTP packet of our source in section `mid`.

        `timestamp` is 32 bits of the format's clock, `level` and `csrc_levels` are dBov as 0
        (loudest) to 127, sent where negotiated. `captured_at` is the instant of the session clock
        that the timestamp stands for, without it `now`; sender reports say so.

        `ClosedError` after `leave`, `ConfigurationError` for a section or payload type that was not
        negotiated.
        """
        if self._sender.leaving:
            raise ClosedError("the session said goodbye; make a new one to send")
        datagram = self.local(mid).send(
            payload_type,
            timestamp,
            payload,
            now,
            marker=marker,
            level=level,
            voice=voice,
            csrcs=csrcs,
            csrc_levels=csrc_levels,
            captured_at=captured_at,
        )
        self.stats.rtp_sent += 1
        return datagram

    def resend(self, mid: str, sequence: int, now: float) -> bytes | None:
        """A packet that was sent before, by its 16-bit number, to answer a `ResendRequested`.

        As a retransmission where that is negotiated (RFC 4588), else as it was. None when it is
        not kept (any more), was repeated a moment ago, or too much is repeated already
        (`stats.resends_refused`).
        """
        datagram = self.local(mid).resend(sequence, now) if not self._sender.leaving else None
        if datagram is not None:
            self.stats.rtp_sent += 1
        return datagram

    # -- RTCP of ours -----------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When to call `handle_timer` next, in seconds of the session clock; infinity: never."""
        return self._sender.next_deadline()

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due: reports, time-outs, a BYE that waited. Early calls do no harm."""
        return self._sender.handle_timer(now)

    def describe(
        self, items: Mapping[SdesType, str], private: Mapping[str, str], now: float
    ) -> list[Output]:
        """Change our SDES items; the others hear of it as soon as RTCP's bandwidth allows.

        `ConfigurationError` without a CNAME, or when a text does not fit an SDES item.
        """
        return self._sender.describe(items, private, now)

    def forward(
        self,
        people: ForwardedPeople,
        leg: Hashable,
        wake: Callable[[], None],
        now: float,
    ) -> None:
        """For a mixer: tell this session who the people of its conference are (section 7).

        All but those whose leg is `leg`, all the time and as they come, change and go, until
        `leave`. `wake` is called from `people.put` and `people.remove` when `next_deadline` may
        have come closer: plan the timer anew then, and after this call.

        `ClosedError` after `leave`, `ConfigurationError` when it forwards others already.
        """
        self._sender.forward(people, leg, wake, now)

    def request_key_frame(self, ssrc: int, now: float) -> list[Output]:
        """Ask a remote source for a key frame, by PLI or FIR as negotiated; at most twice a second.

        Nothing happens where the source is gone or its section has neither.
        """
        return self._sender.request_key_frame(ssrc, now)

    def request_resend(self, ssrc: int, sequences: Iterable[int], now: float) -> list[Output]:
        """Ask a remote source for packets that are missing, by 16-bit numbers (NACK).

        Nothing happens where the source is gone or its section has no NACK.
        """
        return self._sender.request_resend(ssrc, sequences, now)

    def limit_bitrate(self, ssrcs: Iterable[int], bps: int, now: float) -> list[Output]:
        """Ask for no more than `bps` of these remote sources together (REMB).

        Nothing happens where none of their sections has negotiated it.
        """
        return self._sender.limit_bitrate(ssrcs, bps, now)

    def leave(self, reason: str, now: float) -> list[Output]:
        """Say goodbye for all our SSRCs; `reason` is cut at 255 bytes of UTF-8.

        In a group (not `unicast`) of 50 members or more the BYE waits for its turn (section
        6.3.7): it comes from `handle_timer`, and `left` says when. Who never sent anything leaves
        silently.
        """
        self._heard = {}
        self.skimming.skimmers.clear()
        return self._sender.leave(reason, now)
