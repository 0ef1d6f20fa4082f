"""The state of one RTP session, each piece with one owner, put together in one place."""

from __future__ import annotations

import random
from collections.abc import Hashable

from ..errors import ConfigurationError
from .early_feedback import EarlyFeedback
from .local_sources import LocalSources
from .members import Members
from .outputs import LocalSsrcChanged, Output, Transmit
from .probation import Probation
from .reporting import Reporter
from .routing import Repairs, Routes
from .rtcp_timing import RtcpTimer
from .sdes import SdesSchedule
from .session_config import SessionConfig, SessionStats


class SessionParts:
    """What the parts of a session share; for the session and its receivers only."""

    __slots__ = (
        "config",
        "early",
        "local",
        "members",
        "probation",
        "repairs",
        "reporter",
        "routes",
        "sdes",
        "stats",
        "timer",
    )

    def __init__(self, config: SessionConfig, rng: random.Random, now: float) -> None:
        if not config.sections or config.bandwidth_bps <= 0 or config.min_interval_s <= 0:
            raise ConfigurationError(
                "an RTP session needs a media section, and a bandwidth and an RTCP interval above 0"
            )
        self.config = config
        self.stats = SessionStats()
        self.sdes = SdesSchedule(config.identity, config.private)
        self.local = LocalSources(config, rng, self.stats)
        self.timer = RtcpTimer(
            config.bandwidth_bps,
            rng,
            now,
            min_interval_s=config.min_interval_s,
            members=len(self.local.by_mid),
            at_once=config.unicast,
        )
        self.members = Members(config, self.local, self.timer, self.stats)
        self.probation = Probation(config.max_sources)
        self.routes = Routes(config.sections)
        self.repairs = Repairs(config.sections)
        self.reporter = Reporter(
            self.local, self.members.sources, self.sdes, config.unix_offset_s, self.stats
        )
        self.early = EarlyFeedback(self.timer, rng, now)

    def is_own(self, origin: Hashable) -> bool:
        """Whether what comes from there is ours, and wanted back."""
        return origin is not None and origin == self.config.own_origin

    def resolve_conflict(
        self, ssrc: int, origin: Hashable, now: float, outputs: list[Output]
    ) -> bool:
        """Somebody else uses our `ssrc` (RFC 3550 section 8.2): leave it to them if need be.

        Whether it is theirs now; otherwise the packet is to be dropped.
        """
        change = self.local.collide(ssrc, origin, now, self.members.sources)
        if change is None:
            self.stats.own_ssrc += 1
            return False
        old, new = change
        self.stats.collisions += 1
        self.early.take()  # it names the old SSRC; what still matters is asked for again
        outputs.append(Transmit(self.reporter.goodbye(old, (old,), "SSRC collision")))
        outputs.append(LocalSsrcChanged(old, new))
        return True
