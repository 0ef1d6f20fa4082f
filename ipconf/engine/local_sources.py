"""Our SSRCs, and what to do when somebody else uses one of them (RFC 3550 section 8.2)."""

from __future__ import annotations

import random
from collections.abc import Container, Hashable, Mapping

from .local_source import LocalSource
from .session_config import SessionConfig, SessionStats

CONFLICT_MEMORY_INTERVALS = 10
"""RTCP intervals for which a conflicting address is remembered (RFC 3550 section 8.2)."""
MAX_CONFLICTS = 64
"""Conflicting addresses remembered."""
CHANGE_SPACING_S = 1.0
"""Our SSRCs do not change more often, whatever strangers send."""


class LocalSources:
    """This end's SSRCs, one per media section, and the addresses they are in conflict with."""

    def __init__(self, config: SessionConfig, rng: random.Random, stats: SessionStats) -> None:
        self.by_mid: Mapping[str, LocalSource] = {
            section.mid: LocalSource(section, config.extensions, stats)
            for section in config.sections
        }
        self.by_ssrc: dict[int, LocalSource] = {}
        """Retransmission SSRCs included."""
        self._rng = rng
        self._conflicts: dict[Hashable, float] = {}
        self._changed_at: float | None = None
        signalled = {ssrc for s in config.sections for ssrc in (*s.ssrcs, *s.repair)}
        for section in config.sections:
            announced = (section.local_ssrc, section.local_repair_ssrc)
            self._start(self.by_mid[section.mid], signalled, *announced)

    def _start(
        self,
        source: LocalSource,
        taken: Container[int],
        ssrc: int | None = None,
        repair_ssrc: int | None = None,
    ) -> None:
        ssrc = ssrc or self._free_ssrc(taken)
        self.by_ssrc[ssrc] = source  # before the other one is drawn
        source.start(ssrc, repair_ssrc or self._free_ssrc(taken), self._rng)
        if source.rtx_ssrc is not None:
            self.by_ssrc[source.rtx_ssrc] = source

    def _free_ssrc(self, taken: Container[int]) -> int:
        # 0 is left out: it means "nobody" in RTCP feedback.
        while not (ssrc := self._rng.getrandbits(32)) or ssrc in taken or ssrc in self.by_ssrc:
            pass
        return ssrc

    def collide(
        self, ssrc: int, origin: Hashable, now: float, taken: Container[int]
    ) -> tuple[int, int] | None:
        """Somebody at `origin` sent under our `ssrc`, and it is no echo of ours: change it.

        The old and the new SSRC; the caller says BYE for the old one. Or None when there is
        nothing to do: the address is known for that, so packets of ours run in a circle.
        """
        if origin in self._conflicts:
            self._conflicts[origin] = now
            return None
        if self._changed_at is not None and now < self._changed_at + CHANGE_SPACING_S:
            return None
        if len(self._conflicts) >= MAX_CONFLICTS:
            del self._conflicts[next(iter(self._conflicts))]
        self._conflicts[origin] = self._changed_at = now
        source = self.by_ssrc[ssrc]
        old = source.ssrc
        del self.by_ssrc[old]
        if source.rtx_ssrc is not None:
            del self.by_ssrc[source.rtx_ssrc]
        self._start(source, taken)
        return old, source.ssrc

    def forget_conflicts(self, before: float) -> None:
        """Drop the addresses that have caused no conflict since `before`."""
        for origin in [o for o, at in self._conflicts.items() if at < before]:
            del self._conflicts[origin]

    def forget_reporter(self, ssrc: int) -> None:
        """That remote source is gone, and what it reported about our SSRCs with it."""
        for source in self.by_mid.values():
            source.reports.pop(ssrc, None)

    def count_senders(self, since: float) -> int:
        """SSRCs of ours that sent RTP since then."""
        for source in self.by_mid.values():
            source.settle()
        return sum(s.last_sent is not None and s.last_sent >= since for s in self.by_mid.values())
