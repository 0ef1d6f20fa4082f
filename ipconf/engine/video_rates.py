"""Who may send pictures at which rate, and which of them each viewer is sent.

A viewer who takes little is sent fewer pictures before the others are sent worse ones. Rates are
bit/s, times are seconds of the caller's clock.
"""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

METER_S = 0.5
"""A meter's measure is of the last one or two of these."""
REMB_LIFE_S = 8.0
"""A viewer's own estimate counts for so long; they come about every second."""
HIGH_LOSS, LOW_LOSS = 0.1, 0.02
"""More loss than that and there is less room; less than that and there may be more."""
GROWTH_PER_S = 1.08
DECREASE_SPACING_S = 0.3
"""One burst of losses is in the reports about all slots: it counts once."""
MIN_ESTIMATE_BPS, MAX_ESTIMATE_BPS = 10_000.0, 100_000_000.0
TOLD_SHARE = 0.9
"""Of what there is room for, as encoders go over what they are told, and headers come on top."""
RELAPSE_S = 10.0
"""Who has too much again so soon after being given more waits for twice as long the next time."""
MAX_RECOVERY_S = 60.0
RISE, RISE_S = 1.02, 1.5
"""Who says so many times more within so many seconds, beyond `overuse_s`, has not too much yet: an
estimate follows what is sent, by 8 % a second (draft-ietf-rmcat-gcc-02 section 5.5)."""
ROOMY = 1.2
"""Whose estimate is so many times what is sent may have room for any amount: receivers do not
reckon with more than 1.5 times what they get."""


@dataclass(frozen=True, slots=True)
class RateSettings:
    """Limits and patience."""

    room_bps: float = math.inf
    """What all senders may send, together."""
    sender_max_bps: float = 2_500_000.0
    sender_floor_bps: float = 150_000.0
    """No viewer makes a sender send less: one who takes less is sent fewer pictures."""
    overuse_s: float = 1.0
    """A picture is taken away when there has been too little room for so long."""
    recovery_s: float = 3.0
    """It is given back when there has been `headroom` times the room for so long."""
    headroom: float = 1.3


class RateMeter:
    """The bit rate of what is added."""

    __slots__ = ("_before", "_begun_at", "_octets")

    def __init__(self) -> None:
        self._begun_at = -math.inf
        self._octets = 0
        self._before = 0.0  # octets in the interval before

    def add(self, octets: int, now: float) -> None:
        """Something went by."""
        if now - self._begun_at >= METER_S:
            self._turn(now)
        self._octets += octets

    def bps(self, now: float) -> float:
        """Of the last half to whole second."""
        if now - self._begun_at >= METER_S:
            self._turn(now)
        elapsed = now - self._begun_at
        return (self._before + self._octets) * 8 / (METER_S + elapsed)

    def _turn(self, now: float) -> None:
        late = now - self._begun_at >= 2 * METER_S
        self._before = 0 if late else self._octets
        self._begun_at = now if late else self._begun_at + METER_S
        self._octets = 0


class ViewerEstimate:
    """What one viewer can be sent: what it says (REMB), less if losses tell otherwise.

    Of one that says nothing it is found by its losses: everything until there are many, then less,
    and more and more again.
    """

    __slots__ = ("_by_loss", "_changed_at", "_decreased_at", "_remb", "_remb_at")

    def __init__(self) -> None:
        self._remb = math.inf
        self._remb_at = -math.inf
        self._by_loss = math.inf  # infinite as long as nothing was lost that says otherwise
        self._changed_at = 0.0
        self._decreased_at = -math.inf

    def note_remb(self, bps: float, now: float) -> None:
        """The viewer's own estimate, for all it is sent."""
        self._remb = max(bps, MIN_ESTIMATE_BPS)
        self._remb_at = now

    def note_loss(self, fraction: float, sent_bps: float, now: float) -> None:
        """A reception report: the share lost of all slots together, of `sent_bps`.

        The rule is that of draft-ietf-rmcat-gcc-02 section 6, but less is counted from what is
        really sent.
        """
        if math.isinf(self._by_loss):
            if fraction <= HIGH_LOSS:
                return  # nothing but its own word holds it back
            self._by_loss = max(sent_bps, MIN_ESTIMATE_BPS)
            self._changed_at = now
        elapsed = max(now - self._changed_at, 0.0)
        self._changed_at = now
        if fraction > HIGH_LOSS:
            if now - self._decreased_at >= DECREASE_SPACING_S:
                self._decreased_at = now
                least = min(self._by_loss, max(sent_bps, MIN_ESTIMATE_BPS))
                self._by_loss = max(least * (1 - 0.5 * fraction), MIN_ESTIMATE_BPS)
        elif fraction < LOW_LOSS:
            self._by_loss = min(self._by_loss * GROWTH_PER_S**elapsed, MAX_ESTIMATE_BPS)

    def bps(self, now: float) -> float:
        """What may be sent; infinite as long as the viewer has said nothing."""
        if now - self._remb_at >= REMB_LIFE_S:
            return self._by_loss
        if self._by_loss >= self._remb:
            self._by_loss = math.inf  # the losses are over: the viewer's word counts again
        return min(self._by_loss, self._remb)


class SlotBudget:
    """Which of its pictures one viewer is sent, and in which layer.

    They are given in steps: each picture in its lowest layer, first things first, then each in the
    next one, and so on. What is too much is taken back from the end.
    """

    __slots__ = (
        "_best",
        "_good_since",
        "_grown_at",
        "_least",
        "_over_since",
        "_recovery_s",
        "_settings",
        "_steps",
    )

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self._steps: int | None = None  # given; None: all there are
        self._over_since: float | None = None
        self._best = 0.0  # that was available since then
        self._good_since: float | None = None
        self._least = 0.0  # that was available since then
        self._recovery_s = settings.recovery_s
        self._grown_at = -math.inf

    def decide(
        self,
        offers: Sequence[Sequence[float]],
        available_bps: float,
        now: float,
        *,
        roomy: bool = False,
    ) -> tuple[int | None, ...]:
        """The layer of each picture, or None for those that are not sent.

        `offers` has the bit rates of the layers of each, ascending, in the order of importance; of
        what is not measured now as it was last. Where `roomy` says that what is available is so
        little only because no more is sent (`ROOMY`), one step more is tried now and then.
        """
        costs = [0.0]
        for picture, layer in _steps(offers):
            before = offers[picture][layer - 1] if layer else 0.0
            costs.append(costs[-1] + max(offers[picture][layer] - before, 0.0))
        given = len(costs) - 1 if self._steps is None else min(self._steps, len(costs) - 1)
        given = self._shrink(costs, given, available_bps, now)
        given = self._grow(costs, given, available_bps, now, roomy)
        layers: list[int | None] = [None] * len(offers)
        for number, (picture, layer) in enumerate(_steps(offers)):
            if number < given:
                layers[picture] = layer
        return tuple(layers)

    def _shrink(self, costs: list[float], given: int, available: float, now: float) -> int:
        if costs[given] <= available:
            self._over_since = None
            return given
        if self._over_since is None:
            self._over_since, self._best = now, available
        elif available > self._best * RISE:
            self._over_since, self._best = now + RISE_S, available
        if now - self._over_since < self._settings.overuse_s:
            return given
        self._over_since = None
        base = self._settings.recovery_s
        if now - self._grown_at < RELAPSE_S:
            self._recovery_s = min(2 * self._recovery_s, max(MAX_RECOVERY_S, base))
        else:
            self._recovery_s = base
        self._grown_at = -math.inf
        self._good_since = None
        self._steps = _affordable(costs, available)
        return self._steps

    def _grow(
        self, costs: list[float], given: int, available: float, now: float, roomy: bool
    ) -> int:
        """Give more when there has been enough room for long; all that fitted all the time."""
        if given == len(costs) - 1:
            self._good_since = None
            return given
        room = available / self._settings.headroom
        if costs[given + 1] > room and not roomy:
            self._good_since = None
            return given
        if self._good_since is None:
            self._good_since, self._least = now, room
        self._least = min(self._least, room)
        if now - self._good_since < self._recovery_s:
            return given
        self._good_since = None
        self._grown_at = now
        fits = _affordable(costs, self._least)
        if fits <= given and costs[given + 1] > room:  # nobody knows: see what becomes of it
            fits = given + 1
            self._over_since, self._best = now + RISE_S, available
        given = max(fits, given)
        self._steps = given if given < len(costs) - 1 else None
        return given


def _steps(offers: Sequence[Sequence[float]]) -> Iterator[tuple[int, int]]:
    """Pictures and layers in the order they are given."""
    for layer in range(max(map(len, offers), default=0)):
        for picture, rates in enumerate(offers):
            if layer < len(rates):
                yield picture, layer


def _affordable(costs: list[float], available: float) -> int:
    return sum(cost <= available for cost in costs[1:])


class Viewer(NamedTuple):
    """Somebody who is sent pictures."""

    capacity_bps: float
    sources: tuple[Hashable, ...]
    """Whose, in the order of importance; also of those that it cannot be sent at the moment."""
    small: Set[Hashable] = frozenset()
    """Of whom the lowest layer is enough."""


def sender_limits(
    viewers: Sequence[Viewer], layered: Container[Hashable], settings: RateSettings
) -> dict[Hashable, float]:
    """What each sender that somebody wants to see is to be told (as REMB).

    One in `layered` sends several layers, each viewer the one that fits: the most it may, because
    nobody's estimate would ever grow to the next layer if that were not sent. But the floor if
    the lowest layer is enough for all. Others as much as the worst viewer takes of them, but for
    those who would take less than the floor of each: they see fewer. What one cannot use of its
    share of the room is for the others.
    """
    limits: dict[Hashable, float] = {}
    for viewer in viewers:
        share, seen = _share(viewer, settings)
        for number, source in enumerate(viewer.sources):
            known = limits.setdefault(source, math.nan)  # wanted, but that limits nobody
            if number >= seen:
                continue
            if source in layered:
                wish = settings.sender_floor_bps if source in viewer.small else math.inf
                limits[source] = wish if math.isnan(known) else max(known, wish)
            else:
                limits[source] = share if math.isnan(known) else min(known, share)
    for source, limit in limits.items():
        wish = settings.sender_floor_bps if math.isnan(limit) else limit
        limits[source] = min(wish, settings.sender_max_bps)
    return _divide(settings.room_bps, limits)


def _share(viewer: Viewer, settings: RateSettings) -> tuple[float, int]:
    """What a viewer takes of each of its first pictures, and of how many."""
    # What is taken away comes back only where there is `headroom`: together they leave so much.
    room = viewer.capacity_bps * TOLD_SHARE / settings.headroom
    seen = len(viewer.sources)
    if room < seen * settings.sender_floor_bps:
        seen = int(room / settings.sender_floor_bps)
    return room / max(seen, 1), seen


def _divide(room_bps: float, wishes: dict[Hashable, float]) -> dict[Hashable, float]:
    """To each what it wishes, or else an equal share of what is left."""
    limits: dict[Hashable, float] = {}
    left = len(wishes)
    for source in sorted(wishes, key=lambda source: wishes[source]):
        limits[source] = min(wishes[source], room_bps / left)
        room_bps -= limits[source]
        left -= 1
    return limits
