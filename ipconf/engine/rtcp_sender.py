"""What this end says by RTCP, and when (RFC 3550 sections 6.2, 6.3 and 6.6, RFC 4585)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..errors import LimitError
from ..model import SdesType
from .early_feedback import KEY_FRAME_SPACING_S, MAX_NACK_SEQUENCES
from .local_sources import CONFLICT_MEMORY_INTERVALS
from .outputs import Output, Transmit
from .rtcp_feedback import Feedback
from .rtcp_timing import BYE_BACKOFF_MEMBERS, LOWER_LAYER_OCTETS
from .rtcp_wire import FullIntra, Nack, PictureLoss
from .sdes import SdesSchedule
from .session_parts import SessionParts


class RtcpSender:
    """Reports, early feedback and the BYE; the methods are those of `RtpSession`."""

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._farewell = b""
        self.leaving = False
        """`leave` was called; the BYE may still wait for its turn."""
        self.left = False
        """The BYE is out."""

    def next_deadline(self) -> float:
        """When something is due."""
        if self.left:
            return math.inf
        parts = self._parts
        if self.leaving:
            return parts.timer.tn
        return min(parts.timer.tn, parts.early.due, parts.members.next_check)

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due."""
        outputs: list[Output] = []
        if self.left:
            return outputs
        parts = self._parts
        if self.leaving:
            if now >= parts.timer.tn and parts.timer.expired(now):
                self.left = True
                outputs.append(Transmit(self._farewell))
            return outputs
        if now >= parts.members.next_check:
            parts.members.expire(now, outputs)
        if now >= parts.timer.tn:
            self._report(now, outputs)
        if now >= parts.early.due:
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
        """Change our SDES items and plan to say so."""
        parts = self._parts
        if self.leaving or not parts.sdes.change(items, private):
            return []
        parts.early.add_description(now, one_peer=parts.members.are_one_peer())
        return self._early_outputs(now)

    def describe_contributor(
        self, ssrc: int, items: Mapping[SdesType, str], private: Mapping[str, str], now: float
    ) -> list[Output]:
        """Describe somebody whose media we mix (section 7.1)."""
        parts = self._parts
        contributors = parts.reporter.contributors
        known = contributors.get(ssrc)
        if known is not None:
            if not known.change(items, private):
                return []
        elif len(contributors) >= parts.config.max_sources:
            raise LimitError(f"a session describes up to {parts.config.max_sources} contributors")
        parts.reporter.put_contributor(ssrc, known or SdesSchedule(items, private))
        if self.leaving:
            return []
        parts.early.add_description(now, one_peer=parts.members.are_one_peer())
        return self._early_outputs(now)

    def drop_contributor(self, ssrc: int, reason: str) -> list[Output]:
        """Pass on a contributor's BYE (section 7.3)."""
        parts = self._parts
        if parts.reporter.contributors.pop(ssrc, None) is None or self.leaving:
            return []
        speaker = next(iter(parts.local.by_mid.values())).ssrc
        return [Transmit(parts.reporter.goodbye(speaker, (ssrc,), reason))]

    def request_key_frame(self, ssrc: int, now: float) -> list[Output]:
        """Ask for a key frame by PLI (RFC 4585) or FIR (RFC 5104)."""
        parts = self._parts
        source = parts.members.sources.get(ssrc)
        if source is None or source.mid is None or self.leaving:
            return []
        asked_at = source.key_frame_asked_at
        if asked_at is not None and now < asked_at + KEY_FRAME_SPACING_S:
            return []
        ours = parts.local.by_mid[source.mid]
        request: Feedback
        if "nack pli" in ours.feedback:
            request = PictureLoss(ours.ssrc, ssrc)
        elif "ccm fir" in ours.feedback:
            source.intra_number = (source.intra_number + 1) & 0xFF
            request = FullIntra(ours.ssrc, ((ssrc, source.intra_number),))
        else:
            return []
        source.key_frame_asked_at = now
        return self._give_feedback(request, now)

    def request_resend(self, ssrc: int, sequences: Iterable[int], now: float) -> list[Output]:
        """Ask for packets again (NACK, RFC 4585)."""
        parts = self._parts
        source = parts.members.sources.get(ssrc)
        if source is None or source.mid is None or self.leaving:
            return []
        ours = parts.local.by_mid[source.mid]
        wanted = tuple(dict.fromkeys(sequences))[:MAX_NACK_SEQUENCES]
        if "nack" not in ours.feedback or not wanted:
            return []
        parts.repairs.note_request(ssrc, wanted)
        return self._give_feedback(Nack(ours.ssrc, ssrc, wanted), now)

    def _give_feedback(self, packet: Feedback, now: float) -> list[Output]:
        parts = self._parts
        parts.early.add(packet, now, one_peer=parts.members.are_one_peer())
        return self._early_outputs(now)

    def leave(self, reason: str, now: float) -> list[Output]:
        """Say goodbye, at once or in a large group when it is our turn (section 6.3.7)."""
        if self.leaving:
            return []
        parts = self._parts
        ssrcs = [s.ssrc for s in parts.local.by_mid.values()] + list(parts.reporter.contributors)
        silent = not parts.stats.rtp_sent and not parts.stats.rtcp_sent
        self.leaving = True
        self._farewell = parts.reporter.goodbye(ssrcs[0], ssrcs, reason)
        # One far end may tell us of hundreds of people: a flood of BYEs needs hundreds of senders.
        crowd = parts.timer.members >= BYE_BACKOFF_MEMBERS and not parts.config.unicast
        if not silent and crowd:
            parts.timer.begin_bye(len(self._farewell) + LOWER_LAYER_OCTETS, now)
            return []
        self.left = True
        return [] if silent else [Transmit(self._farewell)]
