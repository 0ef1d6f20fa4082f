"""What this end says by RTCP, and when (RFC 3550 sections 6.2, 6.3 and 6.6, RFC 4585)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from functools import partial

from ..errors import ClosedError, ConfigurationError
from ..model import MediaType, SdesType
from .early_feedback import KEY_FRAME_SPACING_S, MAX_NACK_SEQUENCES
from .forwarder import Forwarder
from .forwarding import ForwardedPeople, Wake
from .local_sources import CONFLICT_MEMORY_INTERVALS
from .outputs import Output, Transmit
from .rtcp_feedback import Feedback
from .rtcp_timing import BYE_BACKOFF_MEMBERS, LOWER_LAYER_OCTETS, MIN_INTERVAL_S
from .rtcp_wire import FullIntra, Nack, PictureLoss, Remb
from .session_parts import SessionParts

FAREWELL_SOURCES = 60
"""Others of whom one datagram says that they leave with us, also with a long reason."""


class RtcpSender:
    """Reports, early feedback and the BYE; the methods are those of `RtpSession`."""

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._farewells: list[bytes] = []
        self._forwarder: Forwarder | None = None
        self._only_sound = all(s.medium is MediaType.AUDIO for s in parts.config.sections)
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
        due = min(parts.timer.tn, parts.early.due, parts.members.next_check)
        return due if self._forwarder is None else min(due, self._forwarder.due)

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due."""
        outputs: list[Output] = []
        if self.left:
            return outputs
        parts = self._parts
        if self.leaving:
            if now >= parts.timer.tn and parts.timer.expired(now):
                self.left = True
                outputs.extend(map(Transmit, self._farewells))
            return outputs
        if self._forwarder is not None:
            self._forwarder.count_members()
        if now >= parts.members.next_check:
            parts.members.expire(now, outputs)
        if now >= parts.timer.tn:
            self._report(now, outputs)
        if now >= parts.early.due:
            self._send_early(now, outputs)
        if self._forwarder is not None and now >= self._forwarder.due:
            self._send_news(self._forwarder, now, outputs)
        return outputs

    def forward(self, people: ForwardedPeople, leg: Hashable, wake: Wake, now: float) -> None:
        """Tell of the people of a conference from now on (section 7)."""
        parts = self._parts
        if self.leaving:
            raise ClosedError("the session said goodbye; make a new one to tell of others")
        if self._forwarder is not None:
            if self._forwarder.people is people:
                return  # it never stopped
            raise ConfigurationError("the session tells of the people of a conference already")
        self._forwarder = Forwarder(
            people, leg, wake, parts.config, parts.local, parts.members, parts.timer, now
        )

    def _send_news(self, forwarder: Forwarder, now: float, outputs: list[Output]) -> None:
        parts = self._parts
        news = partial(forwarder.take_news, now)
        datagram = parts.reporter.about_others(news, self._senders_since(now), now)
        if datagram:
            octets = len(datagram) + LOWER_LAYER_OCTETS
            parts.timer.received(octets / (1 + forwarder.described))
            outputs.append(Transmit(datagram))

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
        timer.relaxed = self._is_quiet(now)
        if not timer.expired(now):
            return
        feedback, _ = parts.early.take()
        voices = len(parts.local.by_mid)
        if self._forwarder is None:
            datagram = parts.reporter.regular(since, now, feedback)
        else:
            turn = partial(self._forwarder.take_turn, now)
            datagram = parts.reporter.regular(since, now, feedback, turn)
            voices += self._forwarder.described
        timer.sent((len(datagram) + LOWER_LAYER_OCTETS) / voices, now)
        parts.early.sent_regular()
        outputs.append(Transmit(datagram))

    def _is_quiet(self, now: float) -> bool:
        """Whether a mixer's report would say nothing that somebody waits for.

        No sound has come for a while, there are no pictures to play in sync, and all that the
        others are was said and repeated. In a large conference that is nearly every leg.
        """
        if self._forwarder is None or not self._only_sound or not self._forwarder.settled:
            return False
        before = now - MIN_INTERVAL_S
        sources = self._parts.members.sources.values()
        return not any(
            s.has_news or (s.last_rtp is not None and s.last_rtp > before) for s in sources
        )

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

    def limit_bitrate(self, ssrcs: Iterable[int], bps: int, now: float) -> list[Output]:
        """Ask for no more than `bps` of all these sources together (REMB)."""
        parts = self._parts
        limited: list[int] = []
        speakers: list[int] = []
        for ssrc in ssrcs:
            source = parts.members.sources.get(ssrc)
            ours = parts.local.by_mid.get(source.mid or "") if source is not None else None
            if ours is not None and "goog-remb" in ours.feedback:
                limited.append(ssrc)
                speakers.append(ours.ssrc)
        if not limited or self.leaving:
            return []
        return self._give_feedback(Remb(speakers[0], bps, tuple(limited)), now)

    def _give_feedback(self, packet: Feedback, now: float) -> list[Output]:
        parts = self._parts
        parts.early.add(packet, now, one_peer=parts.members.are_one_peer())
        return self._early_outputs(now)

    def leave(self, reason: str, now: float) -> list[Output]:
        """Say goodbye, at once or in a large group when it is our turn (section 6.3.7)."""
        if self.leaving:
            return []
        parts = self._parts
        for source in parts.local.by_mid.values():
            source.leave()
        silent = not parts.stats.rtp_sent and not parts.stats.rtcp_sent
        self.leaving = True
        self._farewells = self._say_farewell(reason)
        # One far end may tell us of hundreds of people: a flood of BYEs needs hundreds of senders.
        members = parts.timer.members + parts.timer.represented
        crowd = members >= BYE_BACKOFF_MEMBERS and not parts.config.unicast
        if not silent and crowd:
            octets = sum(len(datagram) + LOWER_LAYER_OCTETS for datagram in self._farewells)
            parts.timer.begin_bye(octets, now)
            return []
        self.left = True
        return [] if silent else [Transmit(datagram) for datagram in self._farewells]

    def _say_farewell(self, reason: str) -> list[bytes]:
        # A mixer that leaves takes all it speaks for along (section 6.6), itself last.
        reporter = self._parts.reporter
        ours = [source.ssrc for source in self._parts.local.by_mid.values()]
        others: list[int] = []
        if self._forwarder is not None:
            others = self._forwarder.everybody()
            self._forwarder.detach()
        datagrams = []
        while len(others) > FAREWELL_SOURCES:
            datagrams.append(reporter.goodbye(ours[0], others[:FAREWELL_SOURCES], reason))
            del others[:FAREWELL_SOURCES]
        return [*datagrams, reporter.goodbye(ours[0], ours + others, reason)]
