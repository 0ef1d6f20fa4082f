"""Views: who is seen in which slot of a leg."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..engine.places import Claim, Places, Rank
from ..engine.video_rates import ROOMY, RateSettings, SlotBudget, Viewer, ViewerEstimate
from .stats import FeedStats, PictureStats
from .video_feeds import Feed
from .video_slots import ViewSlot

if TYPE_CHECKING:
    from .call_legs import CallLeg
    from .people import Attendee

UNTOLD_BPS = 200_000.0
"""What a feed is taken for that has not been measured yet."""
MEANINGFUL_PACKETS = 200
"""Of few packets more than one in ten are lost now and then where only one in twenty is, and there
is room enough: of 20 once in a dozen times, of so many once in six hundred."""


class LegView:
    """What one leg is shown."""

    def __init__(self, leg: CallLeg, settings: RateSettings) -> None:
        self.leg = leg
        self.slots: list[ViewSlot] = []
        self.wanted: int | None = None
        """How many slots it wants; None: all it has."""
        self.pins: dict[Attendee, int | None] = {}
        """Who is to be seen whoever talks, in which slot or in any."""
        self.heights: dict[int, int] = {}
        """How many lines of a picture are of use in a slot, where the far end has told."""
        self.sees_self = False
        self.estimate = ViewerEstimate()
        self.refused: set[Feed] = set()
        """What it cannot be shown, for want of a common codec."""
        self._budget = SlotBudget(settings)
        self._places: Places[int, Feed] = Places()
        self._ranks: dict[Feed, Rank] = {}
        self._layers: dict[Feed, int] = {}  # which one of each it can be sent; the best if none
        self._paused: frozenset[Feed] = frozenset()
        self._lost = self._sent = 0  # packets, of which the estimate does not know yet

    @property
    def paused(self) -> int:
        """How many slots are empty because the far end takes too little."""
        return sum(feed in self._paused for feed in self._places.held.values())

    def can_show(self, feed: Feed) -> bool:
        """Whether it takes what the feed sends, as far as that is known."""
        formats = {layer.format for layer in feed.layers}
        return None in formats or any(formats & slot.formats.keys() for slot in self.slots)

    def settle(self, ranks: Mapping[Feed, Rank], now: float) -> None:
        """Give the slots to these feeds, of which `ranks` tells how they deserve it."""
        count = len(self.slots) if self.wanted is None else min(self.wanted, len(self.slots))
        ranked: dict[Feed, Rank] = {}
        fixed: dict[int, Feed] = {}
        order = {person: -float(number) for number, person in enumerate(self.pins)}
        for feed, rank in ranks.items():
            person = feed.attendee
            if person in order:
                rank = Rank(Claim.CHOSEN, order[person])
                number = self.pins[person]
                if number is not None and (number not in fixed or feed.is_slides):
                    fixed[number] = feed
            ranked[feed] = rank
        self._ranks = ranked
        self._places.settle(range(count), ranked, now, fixed)
        self._show(now)

    def _show(self, now: float) -> None:
        for slot in self.slots:
            feed = self._places.held.get(slot.number)
            if feed is None or feed in self._paused:
                slot.show(None, now)
            else:
                layers = self._useful_layers(feed, slot.number, now)
                best = len(layers) - 1
                slot.show(layers[min(self._layers.get(feed, best), best)], now)

    def _useful_layers(self, feed: Feed, number: int, now: float) -> list[Feed]:
        """The layers of a head up to the first that is high enough for that slot."""
        layers = feed.live_layers(now) or [feed]
        wanted = self.heights.get(number)
        if wanted is not None:
            for count, layer in enumerate(layers, 1):
                if layer.height >= wanted:
                    return layers[:count]
        return layers

    def afford(self, now: float) -> None:
        """Send no more pictures than the far end takes; a few times a second."""
        self._listen(now)
        numbers = self._by_importance()
        feeds = [self._places.held[number] for number in numbers]
        offers = [
            [layer.meter.bps(now) or UNTOLD_BPS for layer in self._useful_layers(feed, n, now)]
            for n, feed in zip(numbers, feeds, strict=True)
        ]
        takes_bps = self.estimate.bps(now)
        roomy = takes_bps >= ROOMY * self._sent_bps(now)
        chosen = self._budget.decide(offers, takes_bps, now, roomy=roomy)
        before = (self._layers, self._paused)
        given = zip(feeds, chosen, strict=True)
        self._layers = {feed: layer for feed, layer in given if layer is not None}
        self._paused = frozenset(feeds) - self._layers.keys()
        if (self._layers, self._paused) != before:
            self._show(now)

    def stats(self, feeds: tuple[FeedStats, ...], now: float) -> PictureStats:
        """What it has counted; `feeds` are what the leg shows."""
        takes_bps = self.estimate.bps(now)
        return PictureStats(
            feeds=feeds,
            slots=tuple(slot.stats(now) for slot in self.slots),
            paused_slots=self.paused,
            takes_bps=None if math.isinf(takes_bps) else takes_bps,
        )

    def viewer(self, now: float) -> Viewer:
        """What it takes, for the limits of the senders."""
        numbers = self._by_importance()
        feeds = tuple(self._places.held[number] for number in numbers)
        given = zip(feeds, numbers, strict=True)
        small = {feed for feed, number in given if self._is_small(feed, number, now)}
        return Viewer(self.estimate.bps(now), feeds, small)

    def _is_small(self, feed: Feed, number: int, now: float) -> bool:
        """Whether the lowest layer of a head is high enough for that slot."""
        wanted = self.heights.get(number)
        lowest = feed.live_layers(now)[:1]
        return wanted is not None and any(layer.height >= wanted for layer in lowest)

    def _sent_bps(self, now: float) -> float:
        """What the far end gets, sound included."""
        return self.leg.sound_bps + sum(slot.meter.bps(now) for slot in self.slots)

    def forget(self, feed: Feed, now: float) -> None:
        """A feed is no more."""
        self.refused.discard(feed)
        self._ranks.pop(feed, None)
        for slot in self.slots:
            slot.forget(feed, now)

    def _by_importance(self) -> list[int]:
        """The numbers of the slots that somebody has, first things first."""
        held, ranks = self._places.held, self._ranks
        numbers = sorted(held, key=lambda n: (ranks.get(held[n], Rank(Claim.IDLE)), -n))
        return numbers[::-1]

    def _listen(self, now: float) -> None:
        """Take in what the far end says it lost, once that is enough to mean something."""
        for slot in self.slots:
            lost, sent = slot.losses()
            self._lost += lost
            self._sent += sent
        if self._sent >= MEANINGFUL_PACKETS:
            sent_bps = sum(slot.meter.bps(now) for slot in self.slots)
            self.estimate.note_loss(min(self._lost / self._sent, 1.0), sent_bps, now)
            self._lost = self._sent = 0
