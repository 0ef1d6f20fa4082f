"""Who is in a conference: legs that come and go, the people on them, what becomes of theirs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from ..call import Call
from ..engine.dominance import DominantSpeaker
from ..engine.forwarding import ForwardedPeople
from ..engine.reception import RemoteSource
from ..errors import (
    ClosedError,
    ConferenceFullError,
    ConfigurationError,
    InvalidMediaTypeError,
    InvalidStateError,
    InvalidStreamError,
    NoItemError,
)
from ..events import (
    AttendeePressed,
    CallStateChanged,
    ConferenceLocked,
    DigitBegan,
    Event,
    FileCause,
    LegAdded,
    LegFailed,
    LegRemoved,
    ParticipantActive,
    ParticipantEvent,
    ParticipantInactive,
    ParticipantInfoChanged,
    ParticipantLeft,
    ParticipantTimedOut,
    TerminalEvent,
    TextReceived,
)
from ..model import MAX_SDES_BYTES, CallState, ConferenceSettings, GoneReason, MediaType
from ..terminals.base import CaptureTerminal, Samples, Terminal
from ..terminals.packets import Outlet
from ..ticker import AUDIO_TICKS
from .announcements import Utterance
from .attendance import Attendance
from .audio import AudioBridge
from .call_legs import CallLeg
from .controls import Who
from .legs import Leg
from .local_legs import LocalLeg
from .people import Attendee, Role
from .video_controls import VideoControls
from .video_feeds import Feed

if TYPE_CHECKING:
    from ..conference import Conference
    from ..msp import MediaServiceProvider


class Membership(VideoControls):
    """The part of a conference that lets legs in and out."""

    def __init__(self, provider: MediaServiceProvider, settings: ConferenceSettings) -> None:
        super().__init__(settings)
        self.settings = settings
        self._provider = provider
        self._speakers = DominantSpeaker()
        self.bridge = AudioBridge(self._hearing, self._speakers, settings.max_talkers)
        self._attendance = Attendance(
            self._post,
            self._csrc_changed,
            self._legs,
            provider.identity.cname,
            settings.max_people_per_leg,
        )
        self._by_call: dict[Call, CallLeg] = {}
        self._numbers = count(1)
        self._announcements: dict[Leg, CaptureTerminal] = {}
        self._locked = False
        self._ended = False

    # -- who is there

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The calls and local terminals that take part, in the order of their coming."""
        return tuple(self._legs.values())

    @property
    def attendees(self) -> tuple[Attendee, ...]:
        """Everybody present, in the order of their coming."""
        return self._attendance.people

    @property
    def locked(self) -> bool:
        """Whether nobody can join but moderators."""
        return self._locked

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended

    def __contains__(self, call: object) -> bool:
        """Whether a call takes part."""
        return call in self._by_call

    def leg_of(self, call: Call) -> CallLeg:
        """The leg of a call; NoItemError if it is not in the conference."""
        if call not in self._by_call:
            raise NoItemError(f"{call!r} is not in {self.identity}; add() it")
        return self._by_call[call]

    # -- coming and going

    def add(
        self,
        call: Call,
        name: str = "",
        role: Role = Role.SPEAKER,
        *,
        one_person: bool = False,
    ) -> CallLeg:
        """Let a call take part, connected or not; it leaves when it ends.

        `name` goes before what the far end says of itself, for those that say nothing. `one_person`
        says that there is never more than one person at the far end, who stays the same for the
        conference over a change of transports, as a browser does not for the CNAME. The call
        gives its sound to the conference: it must have no terminals for audio of its own. Raises
        ConferenceFullError, InvalidStateError while the conference is locked, but for a moderator,
        or when the call is in one already, InvalidStreamError for another provider's call,
        InvalidMediaTypeError for one without audio, InvalidTerminalError if terminals are in the
        way, ConfigurationError for a name of more than 255 bytes. InvalidStateError as well for a
        call in a group that hears itself (`LoopbackMode.FULL`).
        """
        self._check_room(role)
        _check_name(name)
        if call not in self._provider.calls:
            raise InvalidStreamError(f"{call!r} is no open call of the conference's provider")
        if MediaType.AUDIO not in call.media_types:
            raise InvalidMediaTypeError(f"{call.identity} has no audio; create it with audio")
        if call in self._by_call:
            raise InvalidStateError(f"{call.identity} is in {self.identity} already")
        if call.hears_itself:
            raise InvalidStateError(
                f"{call.identity} has LoopbackMode.FULL, with which the mix of {self.identity} "
                "would come back to everybody in it: set SELECTIVE or NONE first"
            )
        leg = CallLeg(self._whole, call, f"leg {next(self._numbers)}", name, role)
        leg.one_person = one_person
        self._by_call[call] = leg
        self._enter(leg)
        try:
            leg.attach()
        except Exception:
            self._exit(leg)
            raise
        call.watch(self._call_event)
        self._post(LegAdded, leg=leg)
        self._refresh(leg, GoneReason.BYE)
        return leg

    def add_local(self, name: str, *terminals: Terminal, role: Role = Role.SPEAKER) -> LocalLeg:
        """Let terminals of this machine take part as a person of that name.

        Raises ConferenceFullError, InvalidStateError, ConfigurationError for a name of more than
        255 bytes, and what `LocalLeg.select_terminal` raises.
        """
        self._check_room(role)
        _check_name(name)
        leg = LocalLeg(self._whole, f"leg {next(self._numbers)}", name, role)
        self._enter(leg)
        self._post(LegAdded, leg=leg)
        self._attendance.add_local(leg, self.now())
        try:
            for terminal in terminals:
                leg.select_terminal(terminal)
        except Exception:
            self._drop(leg, "")
            raise
        return leg

    def announce(
        self, sound: CaptureTerminal | Samples, to: Iterable[Who] | None = None
    ) -> LocalLeg:
        """Play something to all, in all rooms, or only to these legs; its leg goes when it ends.

        Sound is int16 (n, 1 or 2) at 48 kHz, or a terminal, for a file its track, which ends with
        the file; `remove` ends it early. It is nobody: no person is listed for it. Raises what
        `add_local` raises, ConfigurationError for other sound, NotSupportedError for one of several
        people on a leg.
        """
        terminal = sound if isinstance(sound, CaptureTerminal) else Utterance(sound)
        listeners = None if to is None else [self._whole_leg(who) for who in to]
        self._check_room()
        leg = LocalLeg(self._whole, f"leg {next(self._numbers)}", "Announcement", Role.SPEAKER)
        self._enter(leg)
        try:
            leg.select_terminal(terminal)
        except Exception:
            self._exit(leg)
            raise
        self._hearing.broadcast(leg)
        self._hearing.whisper(leg, listeners)
        self._announcements[leg] = terminal
        self._post(LegAdded, leg=leg)
        return leg

    async def remove(self, who: Who, reason: str = "") -> None:
        """End somebody's leg: the call is disconnected with that reason, local terminals freed.

        NoItemError if they are not here; NotSupportedError for one of several people on a leg,
        behind a mixer or in a group: nobody can be sent away from there alone.
        """
        leg = self._whole_leg(who)
        self._drop(leg, reason)
        if isinstance(leg, CallLeg):
            await leg.call.disconnect(reason)

    def lock(self, locked: bool = True) -> None:
        """Let nobody join from now on but moderators, or let everybody again.

        That is about legs: who joins a group, or comes to a mixer, that is a leg already cannot be
        kept out.
        """
        if locked != self._locked:
            self._locked = locked
            self._post(ConferenceLocked, locked=locked)

    def now(self) -> float:
        """The provider's clock in seconds."""
        return self._provider.now()

    # -- for legs

    @property
    def told(self) -> ForwardedPeople:
        """What each leg is told of the people on all others."""
        return self._attendance.told

    def attendee_of(self, leg: Leg, source: RemoteSource) -> Attendee | None:
        """Whose source that is, once it is known."""
        return self._attendance.of(leg, source)

    def leg_connected(self, leg: Leg, outlet: Outlet) -> None:
        """A leg can be sent to: tell its far end of the others."""
        for ssrc in outlet.ssrcs:
            self._attendance.vacate(ssrc, leg, self.now())
        outlet.forward(self._attendance.told, leg)

    def feed_came(self, feed: Feed) -> None:
        """A source of pictures is there."""
        self.video.add_feed(feed)
        self._own(feed)

    def feed_gone(self, feed: Feed) -> None:
        """A source of pictures is no more."""
        self.video.remove_feed(feed, self.now())
        if feed.attendee is not None and not feed.head.layers:
            self._attendance.hide(feed.attendee, feed.csrc, self.now())

    def terminal_failed(self, leg: Leg, terminal: Terminal, error: Exception) -> None:
        """A terminal of a local leg does not work."""
        self._post(LegFailed, leg=leg, terminal=terminal, error=error)

    def terminal_event(self, leg: Leg, kind: type[TerminalEvent], **fields: Any) -> None:
        """A terminal of a local leg tells something: what is announced from a file ends with it."""
        if leg in self._announcements and fields.get("cause") is FileCause.END_OF_FILE:
            self._drop(leg, "")

    # -- inside

    @property
    def _whole(self) -> Conference:
        return cast("Conference", self)  # which is the only one made of this

    @abstractmethod
    def _tick(self, now: float, number: int) -> None:
        """The next 20 ms; called while there are legs."""

    @abstractmethod
    def _said(self, leg: CallLeg, text: str) -> None:
        """A far end has written something to all."""

    @abstractmethod
    def _person_gone(self, person: Attendee) -> None:
        """Somebody is no longer here."""

    def _check_room(self, role: Role = Role.SPEAKER) -> None:
        if self._ended:
            raise ClosedError(f"{self.identity} is over; create a new conference")
        if self._locked and role is not Role.MODERATOR:
            raise InvalidStateError(f"{self.identity} is locked; lock(False) opens it")
        if len(self._legs) >= self.settings.max_legs:
            raise ConferenceFullError(
                f"{self.identity} has its {self.settings.max_legs} legs; raise max_legs, or remove "
                "somebody"
            )

    def _enter(self, leg: Leg) -> None:
        if not self._legs:
            self._provider.ticker.add(self._tick, AUDIO_TICKS)
        self._legs[leg.identity] = leg
        self.bridge.add(leg)
        self._hearing.silence(leg, leg.role is Role.LISTENER)

    def _exit(self, leg: Leg) -> None:
        leg.active = False
        del self._legs[leg.identity]
        self.bridge.remove(leg)
        if isinstance(leg, CallLeg):
            self._by_call.pop(leg.call, None)
        self._hearing.forget(leg)
        if not self._legs:
            self._provider.ticker.remove(self._tick)

    def _drop(self, leg: Leg, reason: str, gone: GoneReason = GoneReason.CLOSED) -> None:
        if not leg.active:
            return
        people = (*leg.attendees, *self._attendance.forget_absent(leg))
        self._exit(leg)
        self._announcements.pop(leg, None)
        if isinstance(leg, CallLeg):
            leg.call.unwatch(self._call_event)
            self._refresh(leg, gone, reason)
        elif isinstance(leg, LocalLeg):
            self._attendance.remove_local(leg, self.now(), reason)
        for person in people:
            self._forget(person)
        leg.detach()
        self.video.forget_leg(leg)
        self._post(LegRemoved, leg=leg, reason=reason)

    def _own(self, feed: Feed) -> None:
        """Find out whose pictures these are."""
        if feed is not feed.head:
            return  # it is whoever's the head is
        person = self._attendance.of(feed.leg, feed.source)
        if person is feed.attendee:
            return
        before, csrc = feed.attendee, feed.csrc
        if before is not None:
            self._attendance.hide(before, csrc, self.now())
        if person is not None:
            self._attendance.vacate(feed.source.ssrc, feed.leg, self.now())
            csrc = self._attendance.show(person, feed.source, self.now())
        for layer in feed.layers:
            layer.attendee, layer.csrc = person, csrc
            self.video.owner_changed(layer, self.now())

    def _forget(self, person: Attendee, *, for_good: bool = True) -> None:
        if for_good:  # else they are as muted on their return as they were
            self._hearing.forget(person)
            self.video.forget(person)
        self._person_gone(person)

    def _call_event(self, event: Event) -> None:
        match event:
            case TextReceived(call=call, text=text):
                if call in self._by_call:
                    self._said(self._by_call[call], text)
            case CallStateChanged(call=call, state=CallState.DISCONNECTED):
                if call in self._by_call:
                    self._drop(self._by_call[call], "", GoneReason.BYE)
            case DigitBegan():
                self._pressed(event)
            case ParticipantLeft(call=call, reason=reason, text=text):
                self._people_changed(call, reason, text)
            case ParticipantTimedOut(call=call):
                self._people_changed(call, GoneReason.TIMEOUT)
            case ParticipantActive() | ParticipantInactive() | ParticipantInfoChanged() if (
                self._person_changed(event)
            ):
                pass
            case ParticipantEvent(call=call):
                self._people_changed(call, GoneReason.BYE)

    def _mixer_of(self, person: Attendee) -> str | None:
        return self._attendance.mixer_of(person)

    def _refresh(self, leg: CallLeg, reason: GoneReason, text: str = "") -> None:
        """Find out who is on a leg now."""
        for person in self._attendance.refresh(leg, self.now(), reason, text):
            self._forget(person)

    def _pressed(self, event: DigitBegan) -> None:
        leg = self._by_call.get(event.call)
        if leg is None:
            return
        person = self._attendance.person(event.participant)
        if person is None and len(leg.attendees) == 1:
            person = leg.attendees[0]  # nobody else could
        if person is not None:
            self._post(AttendeePressed, attendee=person, digit=event.digit)

    def _person_changed(self, event: ParticipantEvent) -> bool:
        """Somebody's items have changed, say; False where all on their leg are to be looked at."""
        leg, person = self._by_call.get(event.call), event.participant
        if leg is None or person is None:
            return leg is None
        return self._attendance.look_at(leg, person, self.now())

    def _look_again(self) -> None:
        """See whether who was not believed in is to be believed in now."""
        for leg in self._attendance.held_back():
            self._refresh(leg, GoneReason.BYE)

    def _csrc_changed(self, person: Attendee, before: int, after: int) -> None:
        """Pictures of somebody are named by another CSRC from now on."""
        for feed in self.video.feeds:
            if feed.attendee is person and feed.csrc == before:
                feed.csrc = after
                self.video.owner_changed(feed, self.now())

    def _people_changed(self, call: Call, reason: GoneReason, text: str = "") -> None:
        leg = self._by_call.get(call)
        if leg is None:
            return
        before = leg.attendees
        self._refresh(leg, reason, text)
        if leg.is_group and set(leg.attendees) - set(before):
            self.video.somebody_came(leg, self.now())
        for feed in leg.feeds:
            self._own(feed)
        for person in before:
            if not person.present:
                self._forget(person, for_good=reason is not GoneReason.TIMEOUT)

    def _end_announcements(self) -> None:
        """Let those go that are over."""
        for leg, terminal in tuple(self._announcements.items()):
            if isinstance(terminal, Utterance) and terminal.done:
                self._drop(leg, "")


def _check_name(name: str) -> None:
    """ConfigurationError for one that cannot be told to others."""
    octets = len(name.encode(errors="replace"))
    if octets > MAX_SDES_BYTES:
        raise ConfigurationError(
            f"the name {name[:20]!r}... takes {octets} bytes of UTF-8; an SDES item holds "
            f"{MAX_SDES_BYTES}"
        )
