"""Legs: what joins the calls, and the programs of this machine, to a conference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..codecs.base import AudioWishes
from ..engine.local_source import SharedTail
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..errors import InvalidTerminalError, MediaError
from ..events import TerminalEvent
from ..model import Direction, MediaType
from ..pipelines.audio_sender import EncodedAudio
from ..stats import CallStats
from ..terminals.base import CaptureTerminal, RenderTerminal, Samples, Terminal
from ..terminals.faults import as_error, give_back, take
from ..terminals.packets import Outlet, PacketSink, PacketSource, PacketTaker
from ..ticker import AUDIO_TICKS, FAULTS
from .people import Attendee, Role
from .stats import LegStats
from .voices import LocalVoice, RemoteVoice, Voice

if TYPE_CHECKING:
    from ..call import Call
    from ..conference import Conference

PRIMING_BLOCKS = 2
"""What an encoder is primed with: 40 ms, after which a switch to it is not heard."""
MAX_VOICES = 64
"""Sources of sound on one leg; more are not heard."""


Tails = dict[Hashable, SharedTail]
"""What of one packet can be the same for many, by what they have negotiated."""


@dataclass(frozen=True, slots=True)
class Said:
    """Who is in a mix: at most 15 CSRCs (RFC 3550 section 5.1), and how loud each is."""

    csrcs: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    """0 (loudest) .. 127, one for each (RFC 6465)."""


class Leg(ABC):
    """One way into a conference: a call, or a program of this machine."""

    def __init__(self, conference: Conference, identity: str, name: str, role: Role) -> None:
        self.conference = conference
        self.identity = identity
        """Unique in the conference, for logs and for messages."""
        self.name = name
        """Goes before what people on it announce; "" for none."""
        self.role = role
        self.known_as = identity
        """What it was called before its people left."""
        self.attendees: tuple[Attendee, ...] = ()
        """Who is on it, in the order of their coming."""
        self.voices: dict[object, Voice] = {}
        self.row: tuple[tuple[int, float], ...] | None = None
        """What it heard at the end of the latest tick, for the bridge; None: nothing at all."""
        self.active = True
        """Whether it takes part."""
        self.refused = 0
        """Packets of more sources than a leg may have."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity!r} {self.display_name!r}>"

    @property
    def display_name(self) -> str:
        """Of the people on it, or its own; of a leg that is gone, the last one."""
        there = ", ".join(person.name for person in self.attendees)
        return self.name or there or self.known_as

    def stats(self) -> LegStats:
        """What it has counted."""
        voices = self.voices.values()
        return LegStats(
            identity=self.identity,
            name=self.display_name,
            people=len(self.attendees),
            voices=len(voices),
            awake=sum(voice.awake for voice in voices),
            failed=sum(voice.failed for voice in voices),
            refused=self.refused,
            call=self._call_stats(),
        )

    def _call_stats(self) -> CallStats | None:
        return None

    @abstractmethod
    def detach(self) -> None:
        """Give back what takes part here."""

    @property
    @abstractmethod
    def hears(self) -> bool:
        """Whether sound can be sent to it now."""


class CallLeg(Leg):
    """A call that is in a conference."""

    def __init__(
        self, conference: Conference, call: Call, identity: str, name: str, role: Role
    ) -> None:
        super().__init__(conference, identity, name, role)
        self.call = call
        self.inlet = LegInlet(self)
        self.outlet = LegOutlet(self)

    @property
    def hears(self) -> bool:
        return self.outlet.outlet is not None

    def _call_stats(self) -> CallStats:
        return self.call.stats()

    def attach(self) -> None:
        """Take the sound of the call: what it says goes to all, what all say to it.

        Raises as `Stream.select_terminal` does.
        """
        render = self.call.stream(MediaType.AUDIO, Direction.RENDER)
        render.select_terminal(self.inlet)
        try:
            self.call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(self.outlet)
        except Exception:
            render.unselect_terminal(self.inlet)
            raise

    def detach(self) -> None:
        """Give the call back as it was."""
        for terminal in (self.inlet, self.outlet):
            if terminal.in_use:
                self.call.unselect_terminal(terminal)


class LegInlet(PacketSink):
    """Where the sound of a call enters the conference."""

    terminal_class = "conference inlet"

    def __init__(self, leg: CallLeg) -> None:
        super().__init__("conference inlet", MediaType.AUDIO, Direction.RENDER)
        self._leg = leg
        self._bridge = leg.conference.bridge
        self._formats: tuple[PayloadFormat, ...] = ()

    def begin(self, formats: tuple[PayloadFormat, ...]) -> None:
        self._formats = formats

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        voice = self._leg.voices.get(packet.source)
        if voice is None:
            voice = self._admit(packet.source)
            if voice is None:
                return
        voice.take(packet, now)  # type: ignore[attr-defined]

    def taker(self, source: RemoteSource) -> PacketTaker:
        voice = self._leg.voices.get(source)
        return voice.take if isinstance(voice, RemoteVoice) else self.packet_arrived

    def _admit(self, source: RemoteSource | None) -> Voice | None:
        leg = self._leg
        if source is None or len(leg.voices) >= MAX_VOICES:
            leg.refused += 1
            return None
        voice = leg.voices[source] = RemoteVoice(leg, source, self._formats)
        voice.attendee = leg.conference.attendee_of(leg, source)
        return voice

    def source_gone(self, source: RemoteSource) -> None:
        voice = self._leg.voices.pop(source, None)
        if voice is not None:
            voice.sleep()
            self._bridge.forget(voice)

    def end(self) -> None:
        for source in tuple(self._leg.voices):
            self.source_gone(source)  # type: ignore[arg-type]


class LegOutlet(PacketSource):
    """Where the sound of the conference goes out on a call."""

    terminal_class = "conference outlet"

    def __init__(self, leg: CallLeg) -> None:
        super().__init__("conference outlet", MediaType.AUDIO, Direction.CAPTURE)
        self._leg = leg
        self.encoding: tuple[object, ...] = ()
        """Legs of the same one can be sent the same payloads."""
        self.wishes = AudioWishes()
        self.apart = False
        """Whether its packets do not end with the ticks, so that its encoders are its own."""
        self.heard: deque[Samples] = deque(maxlen=PRIMING_BLOCKS)
        """The latest blocks, with which a new encoder is primed."""
        self.moving: tuple[object, int] | None = None
        """The key of an encoder that is its own for a moment, and the last tick of that."""
        self.resting = True
        """Whether nothing was sent of late: the first packet after that is marked (RFC 3551)."""
        self._sharing: Hashable = None

    def begin(self, outlet: Outlet) -> None:
        super().begin(outlet)
        fmt, settings = outlet.format, outlet.settings
        self.wishes = AudioWishes(
            ptime_ms=settings.ptime_ms,
            stereo=settings.opus_stereo,
            fec=settings.opus_fec,
            dtx=settings.opus_dtx,
        )
        self.encoding = (
            fmt.name.lower(), fmt.clock_rate, fmt.channels, tuple(sorted(fmt.parameters.items())),
            self.wishes, settings.audio_bitrate_bps,
        )  # fmt: skip
        self.apart, self.resting, self._sharing = False, True, None
        self.heard.clear()
        self.moving = None
        self._leg.row = None
        self._leg.conference.leg_connected(self._leg, outlet)

    @property
    def loss(self) -> float:
        """Share of the packets that the far end says it lost of late; 0 if it says nothing."""
        return 0.0 if self.outlet is None else self.outlet.reported_loss

    def encoder_key(self, change: object, number: int) -> tuple[object, object]:
        """Which encoder is to be used in a tick: of which encoding, and for whose change.

        Who comes to a mix that others hear already has an encoder of their own while it changes,
        and one tick longer: then both have encoded the same, and the switch is not heard.
        """
        if change is not None:
            self.moving = (change, number + AUDIO_TICKS)
        elif self.moving is not None and number > self.moving[1]:
            self.moving = None
        which = self if self.apart else self.encoding
        return which, None if self.moving is None else self.moving[0]

    def send(self, packet: EncodedAudio, said: Said, tails: Tails, now: float) -> None:
        """Send one packet of a mix; `tails` has what other legs were sent of the same one."""
        way = self.outlet
        if way is None:
            return  # it ended while the others were sent to
        sharing = self._sharing
        if sharing is None:
            sharing = self._sharing = way.sharing
        timestamp = (packet.timestamp + way.first_timestamp) & 0xFFFFFFFF
        marker, self.resting = self.resting, False
        if sharing is None:  # its first packets say more than the others
            way.send(
                packet.payload,
                timestamp,
                now,
                marker=marker,
                level=packet.level,
                csrcs=said.csrcs,
                csrc_levels=said.levels,
            )
            return
        tail = tails.get(sharing)
        if tail is None:
            tail = way.tail(packet.payload, packet.level, said.csrcs, said.levels)
            tails[sharing] = tail
        way.send_shared(tail, timestamp, now, marker)


class LocalLeg(Leg):
    """A leg without network: terminals of this machine take part in the conference.

    What is selected on it speaks, by `CaptureTerminal.read`, or hears what all others say, by
    `RenderTerminal.write`: a `MediaStreamTerminal` for a program's numpy arrays, a clip or a file
    to be played to all, a recorder.
    """

    def __init__(self, conference: Conference, identity: str, name: str, role: Role) -> None:
        super().__init__(conference, identity, name, role)
        self._ears: list[RenderTerminal] = []

    @property
    def owner(self) -> object:
        """The leg itself (terminals.base.TerminalHost)."""
        return self

    @property
    def hears(self) -> bool:
        return bool(self._ears)

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """What is selected on it."""
        mouths = [t for t in self.voices if isinstance(t, Terminal)]
        return tuple(dict.fromkeys([*mouths, *self._ears]))

    def select_terminal(self, terminal: Terminal) -> None:
        """Let a terminal for sound take part, to speak, to hear, or both.

        InvalidTerminalError for others, TerminalInUseError if somebody else has it, and MediaError
        if its device cannot be opened.
        """
        audio = isinstance(terminal, Terminal) and terminal.media_type is MediaType.AUDIO
        if not audio or not isinstance(terminal, CaptureTerminal | RenderTerminal):
            raise InvalidTerminalError(
                f"{getattr(terminal, 'identity', terminal)!r} is no terminal for sound that reads "
                "or writes; give one, or of a file with tracks the one for audio"
            )
        if terminal in self.terminals:
            raise InvalidTerminalError(f"{terminal.identity} is already on {self.identity}")
        error = take(terminal, self)
        if error is not None:
            raise MediaError(f"{terminal.identity} cannot be opened: {error}") from error
        if isinstance(terminal, RenderTerminal) and terminal.direction is not Direction.CAPTURE:
            self._ears.append(terminal)
        if isinstance(terminal, CaptureTerminal) and terminal.direction is not Direction.RENDER:
            voice = self.voices[terminal] = LocalVoice(self, terminal, self.terminal_failed)
            voice.attendee = self.attendees[0] if self.attendees else None

    def unselect_terminal(self, terminal: Terminal) -> None:
        """Take a terminal off; InvalidTerminalError if it is not on.

        One that fails meanwhile is taken off all the same; LegFailed tells it.
        """
        if terminal not in self.terminals:
            raise InvalidTerminalError(f"{terminal.identity} is not selected on {self.identity}")
        if terminal in self._ears:
            self._ears.remove(terminal)
        voice = self.voices.pop(terminal, None)
        if voice is not None:
            self.conference.bridge.forget(voice)
        error = give_back(terminal, self)
        if error is not None:
            self.conference.terminal_failed(self, terminal, error)

    def hear(self, samples: Samples, at: float) -> None:
        """Give 20 ms to all terminals that hear, due at `at`."""
        samples.flags.writeable = False  # several may keep it
        for ear in tuple(self._ears):
            try:
                ear.render(self, samples, at)
            except FAULTS as exc:  # a terminal is anybody's code
                self.terminal_failed(ear, as_error(ear, exc))

    def terminal_failed(self, terminal: Terminal, error: Exception) -> None:
        """A terminal does not work: it is taken off, and told (terminals.base.TerminalHost)."""
        if terminal in self.terminals:
            self.unselect_terminal(terminal)
            self.conference.terminal_failed(self, terminal, error)

    def terminal_event(self, kind: type[TerminalEvent], **fields: Any) -> None:
        """A terminal tells something (terminals.base.TerminalHost)."""
        self.conference.terminal_event(self, kind, **fields)

    def detach(self) -> None:
        """Give the terminals back."""
        for terminal in self.terminals:
            self.unselect_terminal(terminal)
