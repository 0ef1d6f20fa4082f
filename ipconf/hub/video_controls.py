"""What can be set for pictures in a conference: who is seen by whom."""

from __future__ import annotations

from ..engine.video_rates import RateSettings
from ..errors import ConfigurationError, InvalidStreamError
from ..events import AttendeeChanged, PicturesRefused, SlotChanged
from ..model import ConferenceSettings
from .call_legs import CallLeg
from .controls import Controls, Who
from .legs import Leg
from .people import Attendee
from .state import SlotState
from .video import VideoBridge, seen_by
from .video_feeds import Feed
from .video_slots import ViewSlot
from .video_views import LegView


class VideoControls(Controls):
    """The part of a conference that shows people to each other.

    Each leg has as many slots as media sections on which its far end receives pictures. Those who
    are pinned are seen in them first, then screens, then who talked last; nobody sees themselves.
    """

    def __init__(self, settings: ConferenceSettings) -> None:
        super().__init__()
        rates = RateSettings(
            room_bps=settings.video_room_bps, sender_max_bps=settings.video_sender_bps
        )
        self.video = VideoBridge(
            self._hearing, rates, self._camera_changed, self._slot_changed, self._pictures_refused
        )

    # -- who sees whom

    def seen(self, leg: Leg) -> tuple[Attendee | None, ...]:
        """Who is seen in each slot of a leg now; None: nobody, or somebody not known yet."""
        self._check(leg)
        return seen_by(self.video.views.get(leg))

    def slots(self, leg: Leg) -> tuple[SlotState, ...]:
        """The slots of a leg in the order of its media sections, and what is seen in them now."""
        self._check(leg)
        view = self.video.views.get(leg)
        return tuple(slot.state() for slot in view.slots) if view is not None else ()

    def set_slots(self, leg: Leg, count: int | None) -> None:
        """Show a leg so many people at most; None: as many as it can take.

        ConfigurationError for a negative number, InvalidStreamError for a leg without pictures.
        """
        if count is not None and count < 0:
            raise ConfigurationError(f"a leg cannot have {count} slots; give 0 or more, or None")
        self.video.view_of(self._viewer(leg)).wanted = count
        self.video.look_again(self.now())

    def set_slot_height(self, leg: Leg, slot: int, height: int | None) -> None:
        """So many lines of a picture are of use in a leg's slot: its window is no larger.

        Of who sends several sizes (simulcast) the smallest is shown that has as many; None: the
        largest that the leg can take. InvalidStreamError for a leg without pictures,
        ConfigurationError for a slot it has not, or a height that is none.
        """
        if height is not None and height < 1:
            raise ConfigurationError(f"a slot cannot be {height} lines high; give 1 or more")
        view = self._view_with(leg, slot)
        if height is None:
            view.heights.pop(slot, None)
        else:
            view.heights[slot] = height
        self.video.look_again(self.now())

    def pin(self, who: Attendee, viewer: Leg | None = None, slot: int | None = None) -> None:
        """Let somebody be seen whoever talks: by all, or by one leg, in any slot or a certain one.

        InvalidStreamError for a viewer without pictures, ConfigurationError for a slot it has not.
        """
        self._check(who, viewer)
        if viewer is None:
            self.video.spotlight[who] = None
            self._changed(who, "pinned", True)
        else:
            view = self._view_with(viewer, slot)
            for other, theirs in view.pins.items():
                if slot is not None and theirs == slot:
                    view.pins[other] = None
            view.pins[who] = slot
        self.video.look_again(self.now())

    def unpin(self, who: Attendee, viewer: Leg | None = None) -> None:
        """Let them lose their slot to who talks; harmless if they are not pinned."""
        self._check(who, viewer)
        if viewer is not None:
            self.video.view_of(self._viewer(viewer)).pins.pop(who, None)
        elif who in self.video.spotlight:
            del self.video.spotlight[who]
            self._changed(who, "pinned", False)
        self.video.look_again(self.now())

    def hide(self, who: Who, hidden: bool = True) -> None:
        """Let nobody see their pictures, or again."""
        self._check(who)
        if hidden is not (who in self.video.hidden):
            (self.video.hidden.add if hidden else self.video.hidden.discard)(who)
            self._changed(who, "hidden", hidden)

    def show_self(self, leg: Leg, shown: bool = True) -> None:
        """Let a leg see its own pictures among the others', or not; InvalidStreamError as above."""
        self.video.view_of(self._viewer(leg)).sees_self = shown
        self.video.look_again(self.now())

    def _view_with(self, leg: Leg, slot: int | None) -> LegView:
        """A leg's view, which has that slot."""
        view = self.video.view_of(self._viewer(leg))
        if slot is not None and not 0 <= slot < len(view.slots):
            raise ConfigurationError(
                f"{leg.identity} has {len(view.slots)} slots, counted from 0: none is {slot}"
            )
        return view

    def _viewer(self, leg: Leg) -> CallLeg:
        self._check(leg)
        if not isinstance(leg, CallLeg) or leg.video_outlet is None:
            raise InvalidStreamError(
                f"{leg.identity} takes no pictures; create its call with video"
            )
        return leg

    # -- what the bridge tells

    def _camera_changed(self, feed: Feed) -> None:
        before, feed.shown_as = feed.shown_as, feed.attendee
        what = "screen" if feed.is_slides else "camera"
        for person in dict.fromkeys((before, feed.attendee)):
            if person is None:
                continue
            on = any(
                each.live and each.attendee is person and each.is_slides is feed.is_slides
                for each in self.video.feeds
            )
            if getattr(person, what) is not on:
                setattr(person, what, on)
                if person.present:
                    self._post(AttendeeChanged, attendee=person, changed=(what,), values={what: on})

    def _slot_changed(self, slot: ViewSlot) -> None:
        seen = slot.seen
        self._post(
            SlotChanged,
            leg=slot.leg,
            slot=slot.number,
            attendee=None if seen is None else seen.attendee,
            content="" if seen is None else seen.content,
        )

    def _pictures_refused(self, leg: CallLeg, feed: Feed) -> None:
        codec = feed.format.codec.upper() if feed.format is not None else "an unknown codec"
        view = self.video.view_of(leg)
        taken = sorted({fmt.codec.upper() for slot in view.slots for fmt in slot.formats})
        reason = f"it sends {codec}, and {leg.display_name} takes {' or '.join(taken)}"
        self._post(PicturesRefused, leg=leg, attendee=feed.attendee, reason=reason)
