"""Provider-specific controls, asked for by type: `call.query(ParticipantControl)`.

What QueryInterface is in COM, `InterfaceHost.query` is here: calls and streams are hosts, and each
offers one object per interface. The controls of this module are views: they keep no state of their
own, they ask the roster and the streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar, cast

from .engine.windows import Windows
from .errors import (
    ConfigurationError,
    InterfaceNotFoundError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    InvalidStateError,
    InvalidStreamError,
    InvalidTerminalError,
    NoItemError,
)
from .model import Direction, LoopbackMode, MediaType, name_of
from .participants import LocalParticipant, Participant, Roster

if TYPE_CHECKING:
    from .rtp_streams import Stream
    from .streams.sent_digits import SentDigits
    from .streams.substreams import SubStream
    from .terminals.base import Terminal

T = TypeVar("T")


class InterfaceHost:
    """An object that has further interfaces (COM: IUnknown).

    A subclass hands over the objects it offers, each found by its class; what has to be found by
    another type, or comes later, it adds with `_offer_interface`.
    """

    def __init__(self, offered: Iterable[object] = ()) -> None:
        self._offered: dict[type, object] = {type(view): view for view in offered}

    def _offer_interface(self, iface: type[T], view: T) -> None:
        self._offered[iface] = view

    def _offer_all(self, views: object) -> None:
        """Offer what a provider of somebody's own has given; ConfigurationError for no objects."""
        given = tuple(views) if isinstance(views, Iterable) else None
        if given is None or any(isinstance(view, type) for view in given):
            raise ConfigurationError(
                f"private_interfaces() gave {views!r}: return the objects to offer, as (Meter(),)"
            )
        self._offered.update({type(view): view for view in given})

    @property
    def interfaces(self) -> tuple[type, ...]:
        """The types that `query` answers here."""
        return tuple(self._offered)

    def query(self, iface: type[T]) -> T:
        """The object of exactly that type; `InterfaceNotFoundError` tells which types there are."""
        if isinstance(iface, type) and iface in self._offered:
            return cast(T, self._offered[iface])
        there = ", ".join(sorted(kind.__name__ for kind in self._offered)) or "none"
        name = iface.__name__ if isinstance(iface, type) else f"{iface!r}, which is no class"
        raise InterfaceNotFoundError(f"{type(self).__name__} has no {name}; it has: {there}")


class ParticipantControl:
    """The people of a call (MSPI: ITParticipantControl)."""

    def __init__(self, roster: Roster, local: LocalParticipant) -> None:
        self._roster = roster
        self._local = local

    @property
    def participants(self) -> tuple[Participant, ...]:
        """The remote people present now, in the order of their coming."""
        return self._roster.participants

    @property
    def local(self) -> LocalParticipant:
        """Ourselves."""
        return self._local

    def find(self, cname: str) -> Participant:
        """The person present under that CNAME; `NoItemError` where nobody is."""
        participant = self._roster.find(cname)
        if participant is None:
            raise NoItemError(f"nobody present has the CNAME {cname!r}")
        return participant


class ParticipantSubStreamControl:
    """Who is on which screen (MSPI: ITParticipantSubStreamControl).

    `streams` gives the streams of the call.
    """

    def __init__(self, streams: Callable[[], Iterable[Stream]]) -> None:
        self._streams = streams

    def substream_of(
        self, participant: Participant, media_type: MediaType = MediaType.VIDEO
    ) -> SubStream:
        """The substream a person is on, a rendered one first; `NoItemError` where there is none.

        `ConfigurationError` for what is no person, `InvalidMediaTypeError` for what is no medium.
        """
        _check_person(participant)
        if not isinstance(media_type, MediaType):
            raise InvalidMediaTypeError(f"{media_type!r} is no MediaType: give MediaType.VIDEO")
        theirs = [s for s in participant.substreams if s.stream.media_type is media_type]
        if not theirs:
            raise NoItemError(f"{participant.name} is on no {media_type.value} substream")
        return next((s for s in theirs if s.terminals), theirs[0])

    def participant_of(self, substream: SubStream) -> Participant:
        """Who is on a substream of this call; `NoItemError` while nobody is."""
        self._check(substream)
        participant: Participant | None = substream.participant
        if participant is None:
            raise NoItemError(f"nobody is on {substream.identity} now")
        return participant

    def switch_terminal(self, terminal: Terminal, substream: SubStream) -> None:
        """Re-aim a render terminal: it leaves what it renders in this call and shows the substream.

        A terminal that is selected nowhere is simply selected. `NoItemError` for a substream that
        nobody is on, `InvalidTerminalError` or `InvalidDirectionError` for a terminal that does
        not fit. Where the substream refuses, the terminal stays where it was.
        """
        self.participant_of(substream)
        if getattr(terminal, "media_type", None) is not substream.stream.media_type:
            raise InvalidTerminalError(f"{name_of(terminal)} does not take {substream.identity}")
        if terminal.direction is Direction.CAPTURE:
            raise InvalidDirectionError(f"{terminal.identity} captures: take a render terminal")
        holder = self._holder(terminal)
        if holder is substream:
            return
        if holder is None:
            substream.select_terminal(terminal)
        else:
            holder.hand_over(terminal, substream)

    @property
    def pinned(self) -> tuple[Participant, ...]:
        """Who keeps a window whoever talks, in the order of pinning; an addition to the MSPI."""
        return self._windows().pinned

    def pin(self, participant: Participant, terminal: Terminal | None = None) -> None:
        """Show a person in one of the video stream's terminals, or in a certain one, for good.

        It holds until `unpin`, and over a timeout from which they are recovered. Nobody needs a pin
        whose substream has a terminal of its own. `InvalidStateError` for somebody who is gone,
        `InvalidTerminalError` for a terminal that is not selected on the stream itself.
        """
        _check_person(participant)
        self._windows().pin(participant, terminal)

    def unpin(self, participant: Participant) -> None:
        """Let others take their window when they talk; `NoItemError` if they are not pinned."""
        _check_person(participant)
        self._windows().unpin(participant)

    def _windows(self) -> Windows:
        for stream in self._streams():
            if Windows in stream.interfaces:
                return stream.query(Windows)
        raise InvalidMediaTypeError("the call has no video; name it in create_call()")

    def _holder(self, terminal: Terminal) -> Stream | SubStream | None:
        """Which arriving stream or substream has it; a sent one may have its other direction."""
        for stream in self._streams():
            if stream.direction is Direction.RENDER and terminal in stream.terminals:
                return stream
            for substream in stream.substreams:
                if terminal in substream.terminals:
                    return substream
        return None

    def _check(self, substream: SubStream) -> None:
        if all(substream not in stream.substreams for stream in self._streams()):
            raise InvalidStreamError(
                f"{name_of(substream)} is no substream of this call: take one of a stream's"
            )


class MulticastControl:
    """What a call does with its multicast group (MSPI: ITMulticastControl).

    Only calls have it that were created with a description.
    """

    def __init__(
        self, get: Callable[[], LoopbackMode], put: Callable[[LoopbackMode], None]
    ) -> None:
        self._get = get
        self._put = put

    @property
    def loopback_mode(self) -> LoopbackMode:
        """What this machine hears of what the call sends; NONE at first.

        It may be set at any time. With FULL one hears oneself as a participant, who is gone as soon
        as the mode is another one. ConfigurationError for what is no `LoopbackMode`,
        InvalidStateError for FULL while the call is in a conference: all would hear themselves.
        """
        return self._get()

    @loopback_mode.setter
    def loopback_mode(self, mode: LoopbackMode) -> None:
        if not isinstance(mode, LoopbackMode):
            raise ConfigurationError(f"{mode!r} is no LoopbackMode: give LoopbackMode.SELECTIVE")
        self._put(mode)


class DigitControl:
    """Sends digits, as the keys of a telephone do (RFC 4733); calls with audio have it.

    What the far end presses comes as `DigitBegan` and `DigitEnded`.
    """

    def __init__(self, digits: SentDigits, connected: Callable[[], bool]) -> None:
        self._digits = digits
        self._connected = connected

    @property
    def accepted(self) -> str:
        """The digits that the far end takes; "" if it takes none, or nothing can be sent now."""
        return self._digits.accepted

    @property
    def pending(self) -> str:
        """What is being sent, and what waits for it."""
        return self._digits.pending

    def send(self, digits: str, duration_s: float = 0.16, gap_s: float = 0.05) -> None:
        """Send digits, after those that wait: 0 to 9, *, #, A to D, and ! for the flash.

        Each is sent for `duration_s` (0.04 to 10), with at least `gap_s` (0.04 to 2) after it, in
        steps of 20 ms. Nothing else is sent on the stream meanwhile; it needs no terminal. They go
        out on a paused stream, too. `DigitsSent` tells when all are out, or had to be given up
        because the call ended or the stream was stopped.

        ConfigurationError for what is no digit and for impossible times; InvalidStateError before
        the call is connected and on a stopped stream; NotSupportedError where the far end takes no
        sound, no telephone events at the clock rate of the codec, or not these; LimitError for
        more than 100 that wait.
        """
        if not self._connected():
            raise InvalidStateError("the call is not connected: digits go the way of its sound")
        self._digits.send(digits, duration_s, gap_s)

    def cancel(self) -> str:
        """Send none of the digits that wait, which are returned; the one that is being sent ends
        at once.
        """
        return self._digits.cancel()


def _check_person(participant: Participant) -> None:
    if not isinstance(participant, Participant):
        raise ConfigurationError(
            f"{participant!r} is no Participant: take one of the call's `participants`"
        )
