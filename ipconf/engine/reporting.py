"""RTCP compounds: reports, descriptions and farewells put together (RFC 3550 section 6.1).

A compound carries every SSRC of ours: first a report each, then their descriptions. Each SDES
packet has one chunk, because there are receivers that misread several.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from .local_source import LocalSource
from .local_sources import LocalSources
from .reception import NTP_UNIX_OFFSET_S, RemoteSource
from .rtcp_feedback import Feedback
from .rtcp_packing import cut_reason
from .rtcp_wire import (
    MAX_COUNT,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    compose,
    compose_compound,
    describe_source,
)
from .sdes import SdesSchedule
from .session_config import SessionStats

RTCP_MTU_OCTETS = 1200
"""Largest compound; fits every path that carries media."""
DESCRIPTION_OCTETS = 560
"""Room in a compound for descriptions of ours: a CNAME and another item of any length."""
FEEDBACK_OCTETS = 400
"""Room in a compound for feedback; what does not fit is asked for again if it still matters."""
REPORTED_OCTETS = 8 * 24
"""Room that is kept for report blocks, whatever else there is to say."""
_RR_OCTETS = 8
_SR_OCTETS = 28
_BLOCK_OCTETS = 24
_CHUNK_OCTETS = 4 + 4 + 4  # packet header, SSRC, terminator with padding
_REMEMBERED_COMPOUNDS = 8


class Reporter:
    """Composes what this end says by RTCP."""

    def __init__(
        self,
        local: LocalSources,
        sources: Mapping[int, RemoteSource],
        sdes: SdesSchedule,
        unix_offset_s: float,
        stats: SessionStats,
    ) -> None:
        self.recent: deque[bytes] = deque(maxlen=_REMEMBERED_COMPOUNDS)
        """The latest compounds, by which to know them when they come back."""
        self._local = local
        self._sources = sources
        self._sdes = sdes
        self._unix_offset_s = unix_offset_s
        self._stats = stats

    def ntp(self, now: float) -> int:
        """Session time as NTP time, 64 bits (section 4)."""
        return int((now + self._unix_offset_s + NTP_UNIX_OFFSET_S) * 2**32) & (2**64 - 1)

    def regular(
        self,
        senders_since: float,
        now: float,
        feedback: Iterable[Feedback],
        of_others: Callable[[int], bytes] = lambda room: b"",
    ) -> bytes:
        """A whole report; `feedback` that waited goes along.

        SSRCs of ours that sent RTP at or after `senders_since` give sender reports. `of_others`
        gives packets about the people whose media we mix, of so many octets at most.
        """
        ours = list(self._local.by_mid.values())
        room = RTCP_MTU_OCTETS - len(ours) * (_SR_OCTETS + _RR_OCTETS)
        tail = self._descriptions()
        tail += _fitting(feedback, room - len(tail))
        tail += of_others(room - len(tail) - REPORTED_OCTETS)
        blocks = self._report_blocks(max(room - len(tail), 0) // _BLOCK_OCTETS, now)
        packets: list[RtcpPacket] = []
        for source in ours:
            about = blocks.get(source.mid, [])
            packets.append(self._report(source, about[:MAX_COUNT], senders_since, now))
            for start in range(MAX_COUNT, len(about), MAX_COUNT):
                packets.append(ReceiverReport(source.ssrc, tuple(about[start : start + MAX_COUNT])))
        return self._finish(compose_compound(packets) + tail)

    def early(
        self,
        feedback: Sequence[Feedback],
        senders_since: float,
        now: float,
        *,
        describe: bool,
        reduced_size: bool,
    ) -> bytes:
        """What cannot wait: feedback, and with `describe` our items (RFC 4585 section 3.1).

        The reports before it are without blocks, so that the loss intervals stay as they are.
        """
        parts = _fitting(feedback, FEEDBACK_OCTETS)
        if reduced_size and not describe:
            return self._finish(parts)
        ours = list(self._local.by_mid.values())
        if describe:
            descriptions = self._descriptions()
        else:
            speakers = {packet.sender for packet in feedback}
            ours = [source for source in ours if source.ssrc in speakers]
            descriptions = b"".join(describe_source(s.ssrc, self._sdes.packed_cname) for s in ours)
        reports = [self._report(source, (), senders_since, now) for source in ours]
        return self._finish(compose_compound(reports) + descriptions + parts)

    def about_others(
        self, of_others: Callable[[int], bytes], senders_since: float, now: float
    ) -> bytes:
        """News about the people whose media we mix, behind a report without blocks (section 7).

        `of_others` gives the packets, of so many octets at most; without any there is no compound.
        `senders_since` is as for `regular`.
        """
        source = next(iter(self._local.by_mid.values()))
        head = compose(self._report(source, (), senders_since, now))
        head += describe_source(source.ssrc, self._sdes.packed_cname)
        packets = of_others(RTCP_MTU_OCTETS - len(head))
        return self._finish(head + packets) if packets else b""

    def goodbye(self, speaker: int, ssrcs: Sequence[int], reason: str) -> bytes:
        """A farewell for `ssrcs`, said by `speaker` (section 6.6); long reasons are cut."""
        text = cut_reason(reason)
        head = compose(ReceiverReport(speaker)) + describe_source(speaker, self._sdes.packed_cname)
        starts = range(0, len(ssrcs), MAX_COUNT)
        byes = [Goodbye(tuple(ssrcs[start : start + MAX_COUNT]), text) for start in starts]
        return self._finish(head + compose_compound(byes))

    def _finish(self, datagram: bytes) -> bytes:
        self.recent.append(datagram)
        self._stats.rtcp_sent += 1
        return datagram

    def _report(
        self, source: LocalSource, blocks: Sequence[ReportBlock], senders_since: float, now: float
    ) -> SenderReport | ReceiverReport:
        source.settle()
        if source.last_sent is None or source.last_sent < senders_since:
            return ReceiverReport(source.ssrc, tuple(blocks))
        return SenderReport(
            source.ssrc,
            self.ntp(now),
            source.media_time(now),
            source.packets & 0xFFFFFFFF,
            source.octets & 0xFFFFFFFF,
            tuple(blocks),
        )

    def _report_blocks(self, limit: int, now: float) -> dict[str, list[ReportBlock]]:
        # -> by section. Who waited longest for a report comes first where not all fit.
        due = sorted((s for s in self._sources.values() if s.has_news), key=lambda s: s.reported_at)
        blocks: dict[str, list[ReportBlock]] = {}
        for source in due[:limit]:
            if source.mid is not None:
                blocks.setdefault(source.mid, []).append(source.report(now))
        return blocks

    def _descriptions(self) -> bytes:
        # Every SSRC of ours says the same; long items only one of them, each in its turn.
        items = self._sdes.next_items(DESCRIPTION_OCTETS - _CHUNK_OCTETS)
        ours = [source.ssrc for source in self._local.by_mid.values()]
        turn = self._stats.rtcp_sent % len(ours)
        parts = describe_source(ours[turn], items)
        for ssrc in ours[turn + 1 :] + ours[:turn]:
            part = describe_source(ssrc, items)
            fits = len(parts) + len(part) <= DESCRIPTION_OCTETS
            parts += part if fits else describe_source(ssrc, self._sdes.packed_cname)
        return parts


def _fitting(feedback: Iterable[Feedback], room: int) -> bytes:
    parts = b""
    for packet in feedback:
        part = compose(packet)
        if len(parts) + len(part) <= min(room, FEEDBACK_OCTETS):
            parts += part
    return parts
