"""The members of a session that are not this end: who is there, who left (RFC 3550 section 6.2.1).

The one owner of the table of sources. Changes are reported into the caller's list of outputs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

from ..model import MAX_SDES_BYTES, GoneReason, SdesType
from .described import take_items
from .local_sources import LocalSources
from .naming import Naming
from .origins import Origins
from .outputs import Output, SourceDescribed, SourceGone, SourceHeard
from .reception import Origin, RemoteSource
from .rtcp_timing import RtcpTimer
from .rtcp_wire import SdesItem
from .rtp_wire import RtpPacket
from .session_config import SessionConfig, SessionStats

BYE_LINGER_S = 0.5
"""Packets of a source that overtook one another around its BYE do not bring it back (6.2.1)."""
ORIGIN_QUIET_S = 2.0
"""Media silent at its address for so long may go on at another one (section 8.2)."""
ORIGIN_QUIET_INTERVALS = 2
"""RTCP intervals for which nothing is heard of a source before its reports may do so."""
MAX_DEPARTED = 256
MAX_EXPIRED = 100
"""Sources that time out in one go; the others have their turn at once, but after what arrived."""
_CHECKS_PER_TIMEOUT = 20


class Members:
    """The table of sources; `timer` is kept informed of their number."""

    def __init__(
        self,
        config: SessionConfig,
        local: LocalSources,
        timer: RtcpTimer,
        stats: SessionStats,
    ) -> None:
        self.sources: dict[int, RemoteSource] = {}
        self.origins = Origins()
        """Where they send from."""
        self.next_check = math.inf
        """When somebody may have timed out."""
        self.newcomer_since = math.inf
        """When somebody came who speaks for themselves and was not greeted yet."""
        self._limit = config.max_sources
        self._fixed_timeout_s = config.member_timeout_s
        self._cnames = {
            ssrc: SdesItem(SdesType.CNAME, _cut(cname))
            for section in config.sections
            for ssrc, cname in section.ssrcs.items()
        }
        self.naming = Naming(config.one_person, (item.text for item in self._cnames.values()))
        """Whose sources without CNAME are."""
        self._local = local
        self._timer = timer
        self._stats = stats
        self._departed: dict[int, float] = {}
        self._expiring_s: float | None = None  # the time-out while many are removed

    def admit(
        self,
        ssrc: int,
        now: float,
        outputs: list[Output],
        *,
        items: Sequence[SdesItem] = (),
        contributing: bool = False,
        mixer: RemoteSource | None = None,
    ) -> RemoteSource | None:
        """A new source with what is known of it; None when the session is full.

        A contributing one is spoken for by `mixer`, if that is known.
        """
        if len(self.sources) >= self._limit:
            self._stats.refused_sources += 1
            return None
        source = self.sources[ssrc] = RemoteSource(ssrc, now, contributing=contributing)
        source.speak_through(mixer)
        if not contributing:
            self.newcomer_since = min(self.newcomer_since, now)
        announced = self._cnames.get(ssrc)
        if take_items(source, items if announced is None else (announced, *items)):
            self.naming.named(source, outputs)
        self._timer.members += 1
        self.next_check = min(self.next_check, now + self.timeout_s())
        outputs.append(SourceHeard(source))
        return source

    def greeted(self) -> None:
        """All who are here were told what newcomers have to know."""
        self.newcomer_since = math.inf

    def describe(
        self, source: RemoteSource, items: Sequence[SdesItem], outputs: list[Output]
    ) -> None:
        """Take over SDES items; what changed is reported."""
        if changed := take_items(source, items):
            outputs.append(SourceDescribed(source, changed))
        if SdesType.CNAME in changed:
            self.naming.named(source, outputs)
        elif any(item.type == SdesType.CNAME and not item.text for item in items):
            self.naming.unnamed(source, outputs)

    def contribute(self, packet: RtpPacket, now: float, outputs: list[Output]) -> None:
        """The contributors of a packet are members too (section 6.2.1)."""
        levels = packet.csrc_levels
        for index, csrc in enumerate(packet.csrcs):
            source = self.sources.get(csrc)
            if source is None:
                if csrc in self._local.by_ssrc:
                    self._stats.own_ssrc += 1
                    continue
                if self.just_left(csrc, now):
                    continue
                source = self.admit(csrc, now, outputs, contributing=True, mixer=packet.source)
                if source is None:
                    continue
            elif source.mixer is None and source.contributing:
                source.speak_through(packet.source)
            source.last_heard = now
            if levels:
                source.level = levels[index]

    def accept_rtp_origin(self, source: RemoteSource, origin: Hashable, now: float) -> bool:
        """Whether media of a source may come from `origin` (section 8.2)."""
        if source.rtp_origin in (origin, Origin.UNKNOWN):
            return True
        last = source.last_rtp
        return self._has_moved(last is None or now - last >= ORIGIN_QUIET_S)

    def accept_rtcp_origin(self, source: RemoteSource, origin: Hashable, now: float) -> bool:
        """Whether RTCP of a source may come from `origin`, as it may from where its media does.

        Of a contributing one it comes from where its mixer is.
        """
        source = source.mixer or source
        if origin in (source.rtcp_origin, source.rtp_origin):
            return True
        if source.rtcp_origin is Origin.UNKNOWN:
            return self._has_moved(not self.origins.is_somebody_elses(origin, source))
        if not self._has_moved(now - source.last_heard >= self._quiet_s()):
            return False
        self.origins.set_rtcp(source, origin)  # now, as the rest of the compound comes from there
        return True

    def accept_directly(self, source: RemoteSource, origin: Hashable, now: float) -> bool:
        """Whether somebody for whom a mixer speaks may do so themselves from `origin`.

        From elsewhere than the mixer only once it has not named them for a while: of two who use
        one SSRC the first is kept (section 8.2).
        """
        mixer = source.mixer
        if mixer is None or origin in (mixer.rtp_origin, mixer.rtcp_origin):
            return True
        return self._has_moved(now - source.last_heard >= self._quiet_s())

    def _quiet_s(self) -> float:
        # So long nothing comes by RTCP of somebody who is no longer where they were.
        intervals_s = ORIGIN_QUIET_INTERVALS * self._timer.deterministic_interval_s()
        return max(ORIGIN_QUIET_S, intervals_s)

    def _has_moved(self, moved: bool) -> bool:
        self._stats.foreign_collisions += not moved
        return moved

    def just_left(self, ssrc: int, now: float) -> bool:
        """Whether that source said BYE so recently that packets of it may still be under way."""
        left_at = self._departed.get(ssrc)
        return left_at is not None and now < left_at + BYE_LINGER_S

    def goodbye(self, source: RemoteSource, text: str, now: float, outputs: list[Output]) -> None:
        """That source said BYE."""
        self.remove(source, GoneReason.BYE, text, now, outputs)
        self._departed.pop(source.ssrc, None)
        if len(self._departed) >= MAX_DEPARTED:
            del self._departed[next(iter(self._departed))]
        self._departed[source.ssrc] = now

    def remove(
        self,
        source: RemoteSource,
        reason: GoneReason,
        text: str,
        now: float,
        outputs: list[Output],
    ) -> None:
        """That source is no longer a member (section 6.3.4), nor is anybody it spoke for."""
        del self.sources[source.ssrc]
        self.origins.forget(source)
        self.naming.forget(source)
        self._local.forget_reporter(source.ssrc)
        self._timer.members_left(self._timer.members - 1, now)
        outputs.append(SourceGone(source, reason, text))
        source.forgo_mixer()
        for person in tuple(source.mixed or ()):
            self.remove(person, reason, text, now, outputs)

    def forget_ourselves(self, now: float, outputs: list[Output]) -> None:
        """Our own packets come back no more: we are no sources of ourselves."""
        for source in [s for s in self.sources.values() if s.ssrc in self._local.by_ssrc]:
            self.remove(source, GoneReason.CLOSED, "", now, outputs)

    def timeout_s(self) -> float:
        """Silence after which a source is gone, in seconds (section 6.3.5)."""
        fixed = self._fixed_timeout_s
        return fixed if fixed is not None else self._timer.member_timeout_s()

    def expire(self, now: float, outputs: list[Output]) -> None:
        """Remove the sources that were silent for too long, and plan the next check.

        No more than `MAX_EXPIRED` of them, and those whom they spoke for.
        """
        timeout_s = self._expiring_s or self.timeout_s()
        silent = [s for s in self.sources.values() if now >= s.alive_at + timeout_s]
        silent.sort(key=lambda s: s.alive_at)
        for source in silent[:MAX_EXPIRED]:
            if source.ssrc in self.sources:  # it has not gone with its mixer
                self.remove(source, GoneReason.TIMEOUT, "", now, outputs)
        if len(silent) > MAX_EXPIRED:
            # By the same time-out, which gets shorter as the group does: too short for those who
            # are still there, and report as rarely as they had to.
            self._expiring_s, self.next_check = timeout_s, now
            return
        self._expiring_s = None
        oldest = min((s.alive_at for s in self.sources.values()), default=math.inf)
        self.next_check = max(oldest + timeout_s, now + timeout_s / _CHECKS_PER_TIMEOUT)

    def count_senders(self, since: float) -> int:
        """Sources that sent RTP since then (section 6.3.5)."""
        return sum(s.last_rtp is not None and s.last_rtp >= since for s in self.sources.values())

    def are_one_peer(self) -> bool:
        """Whether all that talk to us sit at one address: then nobody else needs our feedback."""
        sources = self.sources.values()
        known = _two_of(s.rtcp_origin for s in sources) or _two_of(s.rtp_origin for s in sources)
        return len(known) <= 1


def _two_of(origins: Iterable[Hashable]) -> set[Hashable]:
    """Up to two different addresses among them."""
    found: set[Hashable] = set()
    for origin in origins:
        if origin is not Origin.UNKNOWN:
            found.add(origin)
        if len(found) == 2:
            break
    return found


def _cut(text: str) -> str:
    # Whatever a description holds, as it would fit an SDES item.
    return text.encode(errors="replace")[:MAX_SDES_BYTES].decode(errors="ignore")
