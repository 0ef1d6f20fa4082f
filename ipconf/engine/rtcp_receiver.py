"""What RTCP from the others does to a session (RFC 3550 sections 6.3.3, 6.4 to 6.6, RFC 4585)."""

from __future__ import annotations

from collections.abc import Hashable

from ..errors import WireError
from .compound import Compound, cname_of
from .local_source import ReceptionReport
from .outputs import BitrateLimited, KeyFrameRequested, Output, ResendRequested
from .reception import RemoteSource
from .rtcp_feedback import Feedback
from .rtcp_timing import LOWER_LAYER_OCTETS
from .rtcp_wire import (
    App,
    ExtendedReport,
    FullIntra,
    Goodbye,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    ReportBlock,
    SdesChunk,
    SenderReport,
    SourceDescription,
    parse_compound,
)
from .session_parts import SessionParts

MAX_ROUND_TRIP_S = 60.0
"""A report that claims more does not answer a sender report of ours."""
MAX_RESEND_SEQUENCES = 256
"""Packets of one request that are looked at."""
_CLOCK_SLACK = 65536 // 20  # a round trip may come out negative by so much and count as 0
_MAX_INTRA_NUMBERS = 64


_Spoken = SenderReport | ReceiverReport | Goodbye | App | ExtendedReport | Feedback


class RtcpReceiver:
    """Takes compounds apart and tells the owners of the state what they say."""

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._sources = parts.members.sources
        self._intra_numbers: dict[tuple[int, int], int] = {}

    def receive(self, datagram: bytes, now: float, origin: Hashable) -> list[Output]:
        """Deal with an RTCP datagram, reduced-size ones included (RFC 5506)."""
        compound = self.parse(datagram, now, origin)
        if compound is None:
            return []
        # One SSRC's share of what arrived (RFC 8108 section 5.3). Of a mixer's it is the share of
        # each it speaks for: its packets are longer because it represents them (section 7.3).
        octets = len(datagram) + LOWER_LAYER_OCTETS
        self._parts.timer.received(octets / max(1, len(compound.voices)))
        for packet in compound.packets:
            if isinstance(packet, SourceDescription):  # first, so that newcomers have their names
                for chunk in packet.chunks:
                    self._describe(chunk, compound)
        for packet in compound.packets:
            if not isinstance(packet, SourceDescription):
                self._handle(packet, compound)
        return compound.outputs

    def parse(self, datagram: bytes, now: float, origin: Hashable) -> Compound | None:
        """The datagram taken apart and counted; None when it is no RTCP, or our own."""
        parts = self._parts
        try:
            packets, malformed = parse_compound(datagram)
        except WireError:
            parts.stats.malformed += 1
            return None
        parts.stats.rtcp_received += 1
        parts.stats.malformed_rtcp += malformed
        if datagram in parts.reporter.recent and not parts.is_own(origin):
            parts.stats.own_ssrc += 1
            return None
        return Compound(packets, now, origin)

    def _handle(self, packet: _Spoken, compound: Compound) -> None:
        if isinstance(packet, SenderReport):
            source = self._reporter(packet.ssrc, compound)
            if source is not None:
                source.last_sr = (packet.ntp, packet.rtp_timestamp, compound.now)
            self._read_blocks(packet, source, compound)
        elif isinstance(packet, ReceiverReport):
            source = self._reporter(packet.ssrc, compound)
            self._read_blocks(packet, source, compound)
        elif isinstance(packet, Goodbye):
            for ssrc in packet.ssrcs:
                self._say_goodbye(ssrc, packet.reason, compound)
        elif isinstance(packet, App | ExtendedReport):
            self._known(packet.ssrc, compound)
        else:
            source = self._known(packet.sender, compound)
            if not self._sources or not self._is_stranger(packet.sender, source, compound):
                self._take_feedback(packet, compound)

    def _known(self, ssrc: int, compound: Compound) -> RemoteSource | None:
        # The source, if it may speak from that address (RFC 3550 section 8.2).
        source = self._sources.get(ssrc)
        if source is None:
            return None
        if not self._parts.members.accept_rtcp_origin(source, compound.origin, compound.now):
            return None
        source.last_heard = compound.now
        return source

    def _reporter(self, ssrc: int, compound: Compound) -> RemoteSource | None:
        source = self._sources.get(ssrc)
        if source is not None:
            if source.contributing and ssrc not in compound.leaving:
                members = self._parts.members
                if not members.accept_directly(source, compound.origin, compound.now):
                    return None
                source.speak_directly()
            source = self._known(ssrc, compound)
        elif (
            self._may_join(ssrc, compound)
            and self._parts.probation.add_compound(ssrc, compound.now)
            and not self._is_sideline(compound.origin)
        ):
            source = self._parts.members.admit(ssrc, compound.now, compound.outputs)
        else:
            return None
        if source is not None:
            self._parts.members.origins.set_rtcp(source, compound.origin)
        return source

    def _describe(self, chunk: SdesChunk, compound: Compound) -> None:
        members = self._parts.members
        if chunk.ssrc in compound.leaving:
            return  # nobody needs to know any more
        if chunk.ssrc in self._sources:
            source = self._known(chunk.ssrc, compound)
            if source is not None:
                if source.mixer is None and source.contributing:
                    source.speak_through(self._mixer(chunk.ssrc, compound))
                members.describe(source, chunk.items, compound.outputs)
        elif self._may_join(chunk.ssrc, compound) and cname_of(chunk):
            members.admit(
                chunk.ssrc,
                compound.now,
                compound.outputs,
                items=chunk.items,
                contributing=chunk.ssrc not in compound.reporters,
                mixer=self._mixer(chunk.ssrc, compound),
            )

    def _mixer(self, ssrc: int, compound: Compound) -> RemoteSource | None:
        # Who speaks here for a source that does not report itself; None when that is nobody known.
        if compound.reporter is None or ssrc in compound.reporters:
            return None
        mixer = self._sources.get(compound.reporter)
        if mixer is None or mixer.contributing:
            return None
        allowed = self._parts.members.accept_rtcp_origin(mixer, compound.origin, compound.now)
        return mixer if allowed else None

    def _may_join(self, ssrc: int, compound: Compound) -> bool:
        # Whether an SSRC that is no source may become one.
        parts = self._parts
        if ssrc in parts.local.by_ssrc and not parts.is_own(compound.origin):
            if compound.cname(ssrc) == parts.sdes.cname:
                parts.stats.own_ssrc += 1
                return False
            if not parts.resolve_conflict(ssrc, compound.origin, compound.now, compound.outputs):
                return False
        return not (
            ssrc in compound.leaving
            or ssrc in parts.repairs
            or parts.members.just_left(ssrc, compound.now)
        )

    def _is_sideline(self, origin: Hashable) -> bool:
        # Browsers report under an SSRC of its own where they only receive; without CNAME and
        # beside real sources it stands for nobody new.
        return origin in self._parts.members.origins

    def _is_stranger(self, ssrc: int, source: RemoteSource | None, compound: Compound) -> bool:
        # How we are received is told by members and by SSRCs beside them, not from elsewhere.
        return source is None and (ssrc in self._sources or not self._is_sideline(compound.origin))

    def _read_blocks(
        self,
        packet: SenderReport | ReceiverReport,
        source: RemoteSource | None,
        compound: Compound,
    ) -> None:
        now = compound.now
        for block in packet.reports:
            local = self._parts.local.by_ssrc.get(block.ssrc)
            if local is None or local.ssrc != block.ssrc:
                continue
            if self._is_stranger(packet.ssrc, source, compound):
                return
            round_trip_s = self._round_trip_s(block, now)
            if source is not None and round_trip_s is not None:
                source.round_trip_s = round_trip_s
            report = ReceptionReport(
                block.fraction_lost / 256,
                block.cumulative_lost,
                block.highest_sequence,
                local.jitter_s(block.jitter),
                round_trip_s,
                now,
            )
            local.note_report(packet.ssrc, report)

    def _round_trip_s(self, block: ReportBlock, now: float) -> float | None:
        # RFC 3550 section 6.4.1, in 1/65536 s.
        if not block.last_sr:
            return None
        instant = self._parts.reporter.ntp(now) >> 16 & 0xFFFFFFFF
        round_trip = (instant - block.last_sr - block.delay_since_sr) & 0xFFFFFFFF
        if round_trip >= 0x100000000 - _CLOCK_SLACK:
            return 0.0
        seconds = round_trip / 65536
        return seconds if seconds <= MAX_ROUND_TRIP_S else None

    def _say_goodbye(self, ssrc: int, reason: str, compound: Compound) -> None:
        parts = self._parts
        if ssrc in parts.local.by_ssrc and not parts.is_own(compound.origin):
            parts.stats.own_ssrc += 1
            return
        parts.probation.discard(ssrc)
        source = self._known(ssrc, compound)
        if source is not None:
            parts.repairs.forget(ssrc)
            parts.members.goodbye(source, reason, compound.now, compound.outputs)

    def _take_feedback(self, packet: Feedback, compound: Compound) -> None:
        ours = self._parts.local.by_ssrc
        outputs = compound.outputs
        if isinstance(packet, PictureLoss) and packet.media in ours:
            outputs.append(KeyFrameRequested(packet.media))
        elif isinstance(packet, Nack) and packet.media in ours:
            sequences = tuple(dict.fromkeys(packet.sequences[:MAX_RESEND_SEQUENCES]))
            outputs.append(ResendRequested(packet.media, sequences))
        elif isinstance(packet, FullIntra):
            for ssrc, number in packet.entries:
                if ssrc in ours and self._is_new_intra((packet.sender, ssrc), number):
                    outputs.append(KeyFrameRequested(ssrc))
        elif isinstance(packet, Remb):
            limited = tuple(ssrc for ssrc in packet.ssrcs if ssrc in ours)
            if limited:
                outputs.append(BitrateLimited(packet.bitrate_bps, limited))
        elif isinstance(packet, PictureLoss | Nack) and packet.sender not in ours:
            self._parts.early.heard(packet)

    def _is_new_intra(self, key: tuple[int, int], number: int) -> bool:
        # RFC 5104 section 4.3.1.2: the same number again is the same request again.
        if self._intra_numbers.get(key) == number:
            return False
        if len(self._intra_numbers) >= _MAX_INTRA_NUMBERS:
            self._intra_numbers.clear()
        self._intra_numbers[key] = number
        return True
