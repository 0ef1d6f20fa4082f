"""Every event of the package: frozen, timed, one sentence each.

Events carry the live objects they are about, so that an application can act on them at once;
`to_json()` writes the objects' identities instead. `at` is the provider's clock in seconds
(`MediaServiceProvider.now`), the same for all events of one provider.

    Event
    ├── TspData               for the service provider next door, never for applications
    ├── AddressEvent          TerminalAvailable TerminalUnavailable     (MSPI: MSP_ADDRESS_EVENT)
    ├── ConferenceEvent       LegEvent AttendeeEvent DominantSpeakerChanged MessageReceived
    │                         ConferenceLocked ConferenceEnded SlotChanged PicturesRefused
    │                         RecordingEvent
    └── CallEvent
        ├── CallStateChanged  TextReceived  AuthenticationFailed AuthenticationRecovered
        │                     DigitsSent
        ├── DigitEvent        DigitBegan DigitEnded
        ├── CallMediaEvent    NewStream StreamFailed TerminalFailed StreamNotUsed StreamActive
        │                     StreamInactive                            (MSPI: MSP_CALL_EVENT)
        ├── TerminalEvent     and what your own terminals tell (MSPI: ITPluggableTerminalEventSink)
        │   └── FileTerminalEvent                                       (MSPI: ITFileTerminalEvent)
        └── ParticipantEvent  the 13 of IPConf                          (MSPI: PARTICIPANT_EVENT)
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .model import CallState, Cause, GoneReason, SdesType

if TYPE_CHECKING:
    from .call import Call
    from .conference import Conference
    from .hub.legs import Leg
    from .hub.people import Attendee
    from .hub.recording import ConferenceRecording
    from .participants import Participant
    from .rtp_streams import Stream
    from .streams.substreams import SubStream
    from .terminals.base import Terminal
    from .tsp_data import TspMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened; `at` is when, in seconds of the provider's clock."""

    at: float

    def to_json(self) -> dict[str, Any]:
        """The event as plain values for a log: its class name, and identities for live objects."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return {"event": type(self).__name__, **values}


def _plain(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    identity = getattr(value, "identity", None)
    return identity if isinstance(identity, str) else type(value).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressEvent(Event):
    """Something changed at the provider itself."""

    terminal: Terminal


class TerminalAvailable(AddressEvent):
    """A device was plugged in."""


class TerminalUnavailable(AddressEvent):
    """A device was removed; unselect it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent(Event):
    """Something happened in one call."""

    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStateChanged(CallEvent):
    """The call moved on; `error` says why where it failed."""

    state: CallState
    cause: Cause
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMediaEvent(CallEvent):
    """A stream or terminal changed; `terminal` is set where one is concerned."""

    stream: Stream
    cause: Cause
    terminal: Terminal | None = None
    error: Exception | None = None


class NewStream(CallMediaEvent):
    """The call grew a stream."""


class StreamFailed(CallMediaEvent):
    """A stream could not be set up, would not start, or has no usable terminal left."""


class TerminalFailed(CallMediaEvent):
    """A terminal failed; the stream goes on if it has another."""


class StreamNotUsed(CallMediaEvent):
    """The far end refused the stream; it is not part of the call."""


class StreamActive(CallMediaEvent):
    """Media really flows on the stream now."""


class StreamInactive(CallMediaEvent):
    """Media no longer flows on the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationEvent(CallEvent):
    """Something about whether what a source sends for a stream verifies, where it is encrypted."""

    stream: Stream
    ssrc: int
    """The source, as its packets say; they may be anybody's."""
    text: str


class AuthenticationFailed(AuthenticationEvent):
    """What a source sends does not verify, and is not heard: another key, or it began long ago.

    It is told once for each source, and of five in a minute at most: anybody can send such packets.
    With an SSRC of our own, our key has been used up (RFC 4568 section 6.1) and nothing is sent any
    more.
    """


class AuthenticationRecovered(AuthenticationEvent):
    """What a source sends verifies again, of which AuthenticationFailed was told."""


class FileState(enum.Enum):
    """What a file terminal does (MSPI: TERMINAL_MEDIA_STATE)."""

    IDLE = "idle"
    ACTIVE = "active"
    PAUSED = "paused"


class FileCause(enum.Enum):
    """Why a file terminal changed (MSPI: FT_STATE_EVENT_CAUSE)."""

    NORMAL = "normal"
    END_OF_FILE = "end of file"
    READ_ERROR = "read error"
    WRITE_ERROR = "write error"


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalEvent(CallEvent):
    """Something that a terminal tells; derive your own terminals' events from it.

    A terminal raises it with `Terminal.post`; it reaches the calls in which the terminal is
    selected. Decorate a derived class that has fields of its own as this one is decorated.
    """

    terminal: Terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTerminalEvent(TerminalEvent):
    """A file terminal started, paused, stopped, reached the end of its files, or failed.

    `terminal` is the file terminal, `track` the one of its tracks that is concerned, or None when
    all are. A call that uses several tracks hears of a change once.
    """

    track: Terminal | None = None
    state: FileState
    cause: FileCause
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantEvent(CallEvent):
    """Something about a person; `participant` is None only for LocalTalking and LocalSilent."""

    participant: Participant | None = None


class NewParticipant(ParticipantEvent):
    """A person joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantInfoChanged(ParticipantEvent):
    """A person's identity items changed; `changed` names them."""

    changed: tuple[SdesType, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantLeft(ParticipantEvent):
    """A person left; `text` is the reason they gave in their BYE, often empty."""

    reason: GoneReason = GoneReason.BYE
    text: str = ""


class ParticipantTimedOut(ParticipantEvent):
    """A person vanished without a word and is no longer listed."""


class ParticipantRecovered(ParticipantEvent):
    """A person who had timed out is heard again, on whatever transport."""


class ParticipantActive(ParticipantEvent):
    """A person began to talk; for someone with video only: media began to flow."""


class ParticipantInactive(ParticipantEvent):
    """A person fell silent; for someone with video only: media stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubStreamEvent(ParticipantEvent):
    """Something about one person's share of a stream."""

    substream: SubStream


class NewSubStream(SubStreamEvent):
    """A person contributes to a stream: a substream was added."""


class SubStreamRemoved(SubStreamEvent):
    """A person no longer contributes: the substream was removed."""


class SubStreamMapped(SubStreamEvent):
    """The person is now rendered on a terminal of that substream."""


class SubStreamUnmapped(SubStreamEvent):
    """The person is no longer rendered on a terminal of that substream."""


class LocalTalking(ParticipantEvent):
    """The local party began to talk, muted or not."""


class LocalSilent(ParticipantEvent):
    """The local party fell silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TspData(Event):
    """Data for the telephony service provider, about `call`.

    This provider always names the call; None is for what a provider of your own says of its
    address, and the package's service providers pass it over.
    It reaches only who asks for this class by name: `msp.events(TspData)`.
    """

    call: Call | None
    data: TspMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReceived(CallEvent):
    """The far end sent words; `sender` is who it says wrote them, "" for the far end itself."""

    text: str
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitEvent(CallEvent):
    """Somebody at the far end presses a key of their telephone (RFC 4733).

    It comes whether or not their sound is rendered. `participant` is None while it is not known
    whose source it is.
    """

    participant: Participant | None
    substream: SubStream | None
    """Theirs of the arriving stream; None where there is none for them."""
    digit: str
    """One of 0 to 9, *, #, A to D, or ! for the flash of the hook."""


class DigitBegan(DigitEvent):
    """A key is pressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitEnded(DigitEvent):
    """It is released; `duration_s` is for how long it was pressed, as far as that was heard."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsSent(CallEvent):
    """No more digits wait to be sent (`DigitControl`); `unsent` are those that were given up."""

    unsent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceEvent(Event):
    """Something happened in one conference."""

    conference: Conference


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEvent(ConferenceEvent):
    """Something about a leg: a call, or terminals of this machine."""

    leg: Leg


class LegAdded(LegEvent):
    """A leg takes part from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRemoved(LegEvent):
    """A leg takes part no more: its call ended, or it was removed."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegFailed(LegEvent):
    """A terminal of a local leg does not work, and was taken off."""

    terminal: Terminal
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendeeEvent(ConferenceEvent):
    """Something about a person in a conference."""

    attendee: Attendee


class AttendeeJoined(AttendeeEvent):
    """A person is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendeeLeft(AttendeeEvent):
    """A person is no longer there; `text` is what they, or whoever removed them, said."""

    reason: GoneReason = GoneReason.BYE
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendeePressed(AttendeeEvent):
    """A person presses a key of their telephone: 0 to 9, *, #, A to D, or ! for the flash.

    The others are not told, and do not hear it. `DigitEnded` of their call tells for how long.
    """

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendeeChanged(AttendeeEvent):
    """Something about a person changed; `changed` names it: "name", "muted", "role", "hand" ..."""

    changed: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    """What it is now, by those names."""


class AttendeeTalking(AttendeeEvent):
    """A person began to talk."""


class AttendeeSilent(AttendeeEvent):
    """A person fell silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DominantSpeakerChanged(ConferenceEvent):
    """Another person has the floor; None: whoever had it has left."""

    attendee: Attendee | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotChanged(LegEvent):
    """Somebody else's pictures are seen in a slot of a leg from now on; None: nobody's."""

    slot: int
    """Counted from 0, in the order of the leg's media sections."""
    attendee: Attendee | None
    content: str = ""
    """"slides" for a screen (RFC 4796)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesRefused(LegEvent):
    """A leg cannot be shown somebody, whom it hears all the same: they have no codec in common."""

    attendee: Attendee | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFound(LegEvent):
    """What goes to a leg comes back on it, mixed by somebody else, who is not heard for that.

    So it is where two gateways join the same two groups: end one of them (RFC 3550 section 8.2).
    """

    mixer: Attendee
    """Who mixes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(ConferenceEvent):
    """Somebody wrote something to all, or to one leg."""

    text: str
    sender: Leg | None = None
    to: Leg | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceLocked(ConferenceEvent):
    """Nobody can join any more; or again, where `locked` is False."""

    locked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceEnded(ConferenceEvent):
    """The conference is over for all."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEvent(ConferenceEvent):
    """Something about a recording of a conference."""

    recording: ConferenceRecording


class RecordingStarted(RecordingEvent):
    """What happens is recorded from now on, for the first time or again after a pause."""


class RecordingPaused(RecordingEvent):
    """Nothing is recorded until it is started again."""


class RecordingStopped(RecordingEvent):
    """Nothing more is recorded; the file is complete soon (`wait_complete`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFailed(RecordingEvent):
    """The file cannot be written any more: a full disk, say. What is in it plays."""

    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingIncomplete(RecordingEvent):
    """Something of a person cannot be in the file, as `error` says; all else is recorded."""

    name: str
    error: Exception
