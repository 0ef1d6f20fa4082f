"""The RTP session: packets in, packets out, and who is there (RFC 3550). Sans-IO.

One session serves one transport with one media section or several (BUNDLE). Feed it datagrams with
`receive`, ask `next_deadline` when to call `handle_timer`, and act on the outputs of every call:
send what `Transmit` holds, play the `RtpPacket`s, tell the roster about the sources. Time is
seconds of any monotonic clock. Nothing that arrives raises.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType

from ..errors import ClosedError, ConfigurationError, LimitError, WireError
from ..model import SdesType
from .early_feedback import KEY_FRAME_SPACING_S, MAX_NACK_SEQUENCES
from .local_source import LocalSource, ReceptionReport
from .local_sources import CONFLICT_MEMORY_INTERVALS
from .outputs import Output, Transmit
from .reception import RemoteSource
from .reception import Sequence as Verdict
from .rtcp_receiver import RtcpReceiver
from .rtcp_timing import BYE_BACKOFF_MEMBERS, LOWER_LAYER_OCTETS
from .rtcp_wire import FullIntra, Nack, PictureLoss, RtcpPacket
from .rtp_receiver import RtpReceiver
from .rtp_wire import parse_rtp
from .sdes import SdesSchedule
from .session_config import PayloadFormat, Section, SessionConfig, SessionStats
from .session_parts import SessionParts

__all__ = [
    "LocalSource",
    "PayloadFormat",
    "ReceptionReport",
    "RtpSession",
    "Section",
    "SessionConfig",
    "SessionStats",
]

_GOOD = Verdict.GOOD


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
        self._sources = parts.members.sources
        self._farewell: bytes | None = None
        self._left = False
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
    def left(self) -> bool:
        """Whether the BYE is out; from there on the session does nothing."""
        return self._left

    # -- in ---------------------------------------------------------------------------------

    def receive(self, datagram: bytes, now: float, origin: Hashable = None) -> Sequence[Output]:
        """Take an RTP or RTCP datagram (RFC 5761), from the sender address `origin` if known.

        Media comes out as `RtpPacket`s of validated sources, in order of arrival. Never raises.
        """
        if len(datagram) > 1 and 192 <= datagram[1] <= 223:
            return self._receive_rtcp(datagram, now, origin)
        try:
            packet = parse_rtp(datagram, self._extensions)
        except WireError:
            self.stats.malformed += 1
            return ()
        if self._farewell is not None:
            return ()
        self.stats.rtp_received += 1
        source = self._sources.get(packet.ssrc)
        if source is None or source.rtp_origin != origin:
            return self._rtp.receive(packet, now, origin)
        rate = source.rates.get(packet.payload_type)
        if rate is None or (packet.mid is not None and packet.mid != source.mid):
            return self._rtp.receive(packet, now, origin)
        verdict = source.accept(packet, rate, now)
        if verdict is _GOOD and packet.payload and not packet.csrcs:
            return (packet,)
        outputs: list[Output] = []
        self._rtp.settle(source, packet, verdict, now, outputs)
        return outputs

    def _receive_rtcp(self, datagram: bytes, now: float, origin: Hashable) -> Sequence[Output]:
        if self._left:
            return ()
        if self._farewell is None:
            return self._rtcp.receive(datagram, now, origin)
        # Our BYE waits for its turn: only the others' count (RFC 3550 section 6.3.7).
        compound = self._rtcp.parse(datagram, now, origin)
        if compound is not None and compound.leaving:
            self._parts.timer.bye_heard(len(datagram) + LOWER_LAYER_OCTETS)
        return ()

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
    ) -> bytes:
        """Compose the next RTP packet of our source in section `mid`.

        `timestamp` is 32 bits of the format's clock, `level` and `csrc_levels` are dBov as 0
        (loudest) to 127, sent where negotiated. `ClosedError` after `leave`,
        `ConfigurationError` for a section or payload type that was not negotiated.
        """
        if self._farewell is not None:
            raise ClosedError("the session said goodbye; make a new one to send")
        self.stats.rtp_sent += 1
        return self.local(mid).send(
            payload_type,
            timestamp,
            payload,
            now,
            marker=marker,
            level=level,
            voice=voice,
            csrcs=csrcs,
            csrc_levels=csrc_levels,
        )

    def resend(self, mid: str, sequence: int, now: float) -> bytes | None:
        """A packet that was sent before, by its 16-bit number, to answer a `ResendRequested`.

        As a retransmission where that is negotiated (RFC 4588), else as it was. None when it is
        not kept (any more) or was repeated a moment ago.
        """
        datagram = self.local(mid).resend(sequence, now) if self._farewell is None else None
        if datagram is not None:
            self.stats.rtp_sent += 1
        return datagram

    # -- RTCP of ours -----------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When to call `handle_timer` next, in seconds of the session clock; infinity: never."""
        if self._left:
            return math.inf
        parts = self._parts
        if self._farewell is not None:
            return parts.timer.tn
        return min(parts.timer.tn, parts.early.due, parts.members.next_check)

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due: reports, time-outs, a BYE that waited. Early calls do no harm."""
        outputs: list[Output] = []
        if self._left:
            return outputs
        parts = self._parts
        if self._farewell is not None:
            if now >= parts.timer.tn and parts.timer.expired(now):
                self._left = True
                outputs.append(Transmit(self._farewell))
            return outputs
        if now >= parts.members.next_check:
            parts.members.expire(now, outputs)
        if now >= parts.timer.tn:
            self._report(now, outputs)
        elif now >= parts.early.due:
            self._send_early(now, outputs)
        return outputs

    def _senders_since(self, now: float) -> float:
        return now - self._parts.timer.sender_timeout_s()

    def _report(self, now: float, outputs: list[Output]) -> None:
        parts = self._parts
        timer = parts.timer
        since = self._senders_since(now)
        ours = parts.local.count_senders(since)
        timer.we_sent = ours > 0
        timer.senders = ours + parts.members.count_senders(since)
        timeout_s = parts.members.timeout_s()
        parts.probation.expire(now - timeout_s)
        parts.local.forget_conflicts(
            now - CONFLICT_MEMORY_INTERVALS * timer.deterministic_interval_s()
        )
        if not timer.expired(now):
            return
        feedback, _ = parts.early.take()
        datagram = parts.reporter.regular(since, now, feedback)
        timer.sent((len(datagram) + LOWER_LAYER_OCTETS) / len(parts.local.by_mid), now)
        parts.early.sent_regular()
        outputs.append(Transmit(datagram))

    def _send_early(self, now: float, outputs: list[Output]) -> None:
        parts = self._parts
        feedback, describe = parts.early.take()
        datagram = parts.reporter.early(
            feedback,
            self._senders_since(now),
            now,
            describe=describe,
            reduced_size=parts.config.reduced_size,
        )
        parts.early.sent_early(len(datagram), one_peer=parts.members.are_one_peer())
        outputs.append(Transmit(datagram))

    def _early_outputs(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        if now >= self._parts.early.due:
            self._send_early(now, outputs)
        return outputs

    def describe(
        self, items: Mapping[SdesType, str], private: Mapping[str, str], now: float
    ) -> list[Output]:
        """Change our SDES items; the others hear of it as soon as RTCP's bandwidth allows.

        `ConfigurationError` without a CNAME, or when a text does not fit an SDES item.
        """
        parts = self._parts
        if self._farewell is not None or not parts.sdes.change(items, private):
            return []
        parts.early.add_description(now, one_peer=parts.members.are_one_peer())
        return self._early_outputs(now)

    def describe_contributor(
        self, ssrc: int, items: Mapping[SdesType, str], private: Mapping[str, str], now: float
    ) -> list[Output]:
        """For a mixer: tell this session who `ssrc` is, which stands in our CSRC lists (7.1).

        The person is described over and over until `drop_contributor`. Errors as in `describe`;
        `LimitError` beyond `max_sources` people.
        """
        parts = self._parts
        contributors = parts.reporter.contributors
        known = contributors.get(ssrc)
        if known is not None:
            if not known.change(items, private):
                return []
        elif len(contributors) >= parts.config.max_sources:
            raise LimitError(f"a session describes up to {parts.config.max_sources} contributors")
        parts.reporter.put_contributor(ssrc, known or SdesSchedule(items, private))
        if self._farewell is not None:
            return []
        parts.early.add_description(now, one_peer=parts.members.are_one_peer())
        return self._early_outputs(now)

    def drop_contributor(self, ssrc: int, reason: str) -> list[Output]:
        """For a mixer: that contributor left; its BYE is passed on (section 7.3)."""
        reporter = self._parts.reporter
        if reporter.contributors.pop(ssrc, None) is None or self._farewell is not None:
            return []
        return [Transmit(reporter.goodbye((ssrc,), reason))]

    def request_key_frame(self, ssrc: int, now: float) -> list[Output]:
        """Ask a remote source for a key frame, by PLI or FIR as negotiated; at most twice a second.

        Nothing happens where the source is gone or its section has neither.
        """
        source = self._sources.get(ssrc)
        if source is None or source.mid is None or self._farewell is not None:
            return []
        asked_at = source.key_frame_asked_at
        if asked_at is not None and now < asked_at + KEY_FRAME_SPACING_S:
            return []
        ours = self.local(source.mid)
        request: RtcpPacket
        if "nack pli" in ours.feedback:
            request = PictureLoss(ours.ssrc, ssrc)
        elif "ccm fir" in ours.feedback:
            source.intra_number = (source.intra_number + 1) & 0xFF
            request = FullIntra(ours.ssrc, ((ssrc, source.intra_number),))
        else:
            return []
        source.key_frame_asked_at = now
        return self._give_feedback(request, now)

    def request_resend(self, ssrc: int, sequences: Sequence[int], now: float) -> list[Output]:
        """Ask a remote source for packets that are missing, by 16-bit numbers (NACK).

        Nothing happens where the source is gone or its section has no NACK.
        """
        source = self._sources.get(ssrc)
        if not sequences or source is None or source.mid is None or self._farewell is not None:
            return []
        ours = self.local(source.mid)
        if "nack" not in ours.feedback:
            return []
        wanted = tuple(dict.fromkeys(sequences))[:MAX_NACK_SEQUENCES]
        self._parts.repairs.note_request(ssrc, wanted)
        return self._give_feedback(Nack(ours.ssrc, ssrc, wanted), now)

    def _give_feedback(self, packet: RtcpPacket, now: float) -> list[Output]:
        parts = self._parts
        parts.early.add(packet, now, one_peer=parts.members.are_one_peer())
        return self._early_outputs(now)

    def leave(self, reason: str, now: float) -> list[Output]:
        """Say goodbye for all our SSRCs; `reason` is cut at 255 bytes of UTF-8.

        In a session of 50 members or more the BYE waits for its turn (section 6.3.7): it comes
        from `handle_timer`, and `left` says when. Who never sent anything leaves silently.
        """
        if self._farewell is not None:
            return []
        parts = self._parts
        ssrcs = [s.ssrc for s in parts.local.by_mid.values()] + list(parts.reporter.contributors)
        silent = not self.stats.rtp_sent and not self.stats.rtcp_sent
        self._farewell = parts.reporter.goodbye(ssrcs, reason)
        if not silent and parts.timer.members >= BYE_BACKOFF_MEMBERS:
            parts.timer.begin_bye(len(self._farewell) + LOWER_LAYER_OCTETS, now)
            return []
        self._left = True
        return [] if silent else [Transmit(self._farewell)]
