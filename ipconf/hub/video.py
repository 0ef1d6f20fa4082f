"""The video bridge: a media-switching mixer (RFC 7667 section 3.6.2), which decodes nothing.

    a leg's packets ──> Feed: read once ──> each ViewSlot that shows it ──> header, SRTP, send
                          └── asked for key frames and repeats, told what rate is wanted

Who is seen in which slot is settled anew when that may have changed: pins first, then screens, then
those who talked last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..engine.hearing import Hearing
from ..engine.places import MIN_STAY_S, Claim, Rank, rank_of_talk
from ..engine.video_rates import RateSettings, sender_limits
from ..terminals.packets import Outlet
from .legs import Leg
from .people import Attendee, Role
from .video_feeds import Feed
from .video_slots import ViewSlot
from .video_views import LegView

if TYPE_CHECKING:
    from .call_legs import CallLeg

LOOK_TICKS = 10
"""Who is live, and who is seen where, is looked at every 100 ms."""
RATE_TICKS = 50
"""What everybody takes and sends, every 0.5 s."""
SPOTLIGHT, SLIDES_RANK = -100.0, -1000.0
"""Among the chosen, behind the pins of a leg: whom all are to see, then screens."""
EXCESS = 3.0
"""Who sends so many times what anybody may send ..."""
EXCESS_S = 2.0
"""... for so long is shown to nobody until they send less."""


class VideoBridge:
    """Shows the legs of one conference each other's pictures.

    `camera(feed)` is called where a feed comes to life or ends, `seen(slot)` where somebody else is
    seen in a slot, `refused(leg, feed)` where a leg cannot be shown a feed.
    """

    def __init__(
        self,
        hearing: Hearing,
        settings: RateSettings,
        camera: Callable[[Feed], None],
        seen: Callable[[ViewSlot], None],
        refused: Callable[[CallLeg, Feed], None],
    ) -> None:
        self.feeds: dict[Feed, None] = {}
        self.views: dict[Leg, LegView] = {}
        self.spotlight: dict[Attendee, None] = {}
        """Whom everybody is to see."""
        self.hidden: set[Leg | Attendee] = set()
        """Whom nobody is to see."""
        self._hearing = hearing
        self._settings = settings
        self._camera, self._seen, self._refused = camera, seen, refused
        self._talked_at: dict[Attendee, float] = {}
        self._hearing_version = hearing.version
        self._settle_until = -math.inf

    # -- what comes and goes

    def add_feed(self, feed: Feed) -> None:
        """Somebody may send pictures."""
        self.feeds[feed] = None

    def owner_changed(self, feed: Feed, now: float) -> None:
        """It is known whose pictures these are, or what names them to viewers is another number."""
        for looker in feed.lookers:
            looker.rename(feed)
        self._camera(feed)
        self.look_again(now)

    def remove_feed(self, feed: Feed, now: float) -> None:
        """They send none any more."""
        self.feeds.pop(feed, None)
        for view in self.views.values():
            view.forget(feed, now)
        if feed.live:
            feed.live = False
            self._camera(feed)
        self.look_again(now)

    def add_slot(self, leg: CallLeg, outlet: Outlet, now: float) -> None:
        """A leg can be sent one more picture."""
        view = self.view_of(leg)
        view.refused.clear()
        slot = ViewSlot(leg, len(view.slots), outlet, self._seen)
        outlet.on_bitrate = lambda bps, ssrcs: view.estimate.note_remb(bps, leg.conference.now())
        view.slots.append(slot)
        self.look_again(now)

    def remove_slots(self, leg: Leg, now: float) -> None:
        """A leg can be sent no pictures any more."""
        view = self.views.get(leg)
        if view is not None:
            for slot in view.slots:
                slot.show(None, now)
            view.slots.clear()
            view.heights.clear()

    def view_of(self, leg: CallLeg) -> LegView:
        """What a leg is shown."""
        view = self.views.get(leg)
        if view is None:
            view = self.views[leg] = LegView(leg, self._settings)
        return view

    def somebody_came(self, leg: CallLeg, now: float) -> None:
        """Somebody new is in a group, and may have no way to ask for a picture to begin with."""
        view = self.views.get(leg)
        for slot in () if view is None else view.slots:
            slot.begin_anew(now)

    def forget_leg(self, leg: Leg) -> None:
        """A leg is no more; its feeds and slots are gone already."""
        self.views.pop(leg, None)
        self.hidden.discard(leg)

    def forget(self, person: Attendee) -> None:
        """Somebody is no longer here."""
        self._talked_at.pop(person, None)
        self.spotlight.pop(person, None)
        self.hidden.discard(person)
        for view in self.views.values():
            view.pins.pop(person, None)

    # -- what changes

    def talks(self, person: Attendee, talking: bool, now: float) -> None:
        """Somebody began or ended to talk."""
        self._talked_at[person] = math.inf if talking else now
        self.look_again(now)

    def look_again(self, now: float) -> None:
        """Who is to be seen may have changed."""
        self._settle_until = now + MIN_STAY_S + 1.0  # until nobody has to stay any more

    def tick(self, now: float, number: int) -> None:
        """Every 20 ms."""
        for feed in self.feeds:
            feed.tick(now)
        if number % LOOK_TICKS:
            return
        self._watch(now)
        if self._hearing.version != self._hearing_version:
            self._hearing_version = self._hearing.version
            self.look_again(now)
        if now < self._settle_until:
            self._settle(now)
        for view in self.views.values():
            for slot in view.slots:
                slot.tick(now)
        if number % RATE_TICKS == 0:
            self._share(now)

    def _watch(self, now: float) -> None:
        """Notice cameras that are switched on and off, and what else makes a difference."""
        for feed in tuple(self.feeds):
            live = feed.is_live(now) and self._shows(feed)
            noted = (feed.format, feed.is_barren(now))
            if noted != feed.noted:
                feed.noted = noted
                for view in self.views.values():
                    view.refused.discard(feed)
                self.look_again(now)
            if live is not feed.live:
                feed.live = live
                self.look_again(now)
                self._camera(feed)

    def _shows(self, feed: Feed) -> bool:
        if feed.leg.role is Role.LISTENER:
            return False
        return feed.leg not in self.hidden and feed.attendee not in self.hidden

    # -- who is seen

    def _settle(self, now: float) -> None:
        heads = dict.fromkeys(feed.head for feed in self.feeds if feed.live)
        ranks = {feed: self._rank(feed, now) for feed in heads}
        for view in tuple(self.views.values()):
            if view.slots:
                shown = {f: rank for f, rank in ranks.items() if self._may_see(view, f)}
                view.settle(shown, now)

    def _rank(self, feed: Feed, now: float) -> Rank:
        person = feed.attendee
        if all(layer.is_barren(now) for layer in feed.layers):
            return Rank(Claim.IDLE)
        if person in self.spotlight:
            return Rank(Claim.CHOSEN, SPOTLIGHT - list(self.spotlight).index(person))
        if feed.is_slides:
            return Rank(Claim.CHOSEN, SLIDES_RANK + feed.began_at * 1e-9)  # the latest first
        talked_at = self._talked_at.get(person, -math.inf) if person is not None else -math.inf
        return rank_of_talk(talked_at)

    def _may_see(self, view: LegView, feed: Feed) -> bool:
        if feed.leg is view.leg and not view.sees_self:
            return False
        if not self._hearing.meet(view.leg, feed.leg, feed.attendee):
            return False
        if view.can_show(feed):
            return True
        if feed not in view.refused:
            view.refused.add(feed)
            self._refused(view.leg, feed)
        return False

    # -- rates

    def _share(self, now: float) -> None:
        """Find out what everybody takes, and tell who sends."""
        for view in self.views.values():
            view.afford(now)
        settings = self._settings
        viewers = [view.viewer(now) for view in self.views.values() if view.slots]
        # Who is one of several by its rid may be the only one that comes for now.
        layered = {feed.head for feed in self.feeds if feed is not feed.head or feed.source.rid}
        limits = sender_limits(viewers, layered, settings)
        told: dict[CallLeg, list[Feed]] = {}
        for feed in self.feeds:
            if feed.is_live(now) or feed.excessive:  # also whom nobody may see: less will do
                unseen = settings.sender_max_bps if feed.recorded else settings.sender_floor_bps
                feed.limit_bps = float(limits.get(feed.head, unseen))
                self._judge(feed, now)
                told.setdefault(feed.leg, []).append(feed)
        for feeds in told.values():  # what a transport takes in all is what far ends reckon with
            pictures = {feed.head: feed.limit_bps for feed in feeds}
            feeds[0].tell_limit(feeds, int(sum(pictures.values())))

    def _judge(self, feed: Feed, now: float) -> None:
        """Whether it sends more than anybody may.

        More than it was told is no reason to show it to nobody: far ends need not heed that, and
        one viewer who takes little is not to take it from the others.
        """
        too_much = feed.meter.bps(now) > self._settings.sender_max_bps * EXCESS
        feed.excess_at = min(feed.excess_at, now) if too_much else math.inf
        feed.excessive = now - feed.excess_at > EXCESS_S


def seen_by(view: LegView | None) -> tuple[Attendee | None, ...]:
    """Who is seen in each slot."""
    slots: Iterable[ViewSlot] = view.slots if view is not None else ()
    return tuple(slot.seen.attendee if slot.seen is not None else None for slot in slots)
