"""A roster with stand-ins around it, and a log of what it posts."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from ipconf.errors import InvalidTerminalError, MaxTerminalsError
from ipconf.events import ParticipantEvent
from ipconf.model import Direction, GoneReason, MediaType, SdesType
from ipconf.participants import Participant, Roster

AUDIO, VIDEO = MediaType.AUDIO, MediaType.VIDEO
CNAME, NAME, NOTE, PRIV = SdesType.CNAME, SdesType.NAME, SdesType.NOTE, SdesType.PRIV
BYE, TIMEOUT, CLOSED, MERGED = (
    GoneReason.BYE,
    GoneReason.TIMEOUT,
    GoneReason.CLOSED,
    GoneReason.MERGED,
)
LOUD, QUIET = 20, 90
_ssrcs = itertools.count(0x1000)


@dataclass(eq=False)
class FakeSource:
    """What a roster and a participant read of a `RemoteSource`."""

    ssrc: int
    items: dict[SdesType, str] = field(default_factory=dict)
    private: dict[str, str] = field(default_factory=dict)
    medium: MediaType | None = AUDIO
    contributing: bool = False
    last_rtp: float | None = 0.0
    packets: int = 0
    octets: int = 0
    lost: int = 0
    fraction_lost: float = 0.0
    jitter_s: float = 0.0
    round_trip_s: float | None = None
    level: int | None = None
    rid: str | None = None

    @property
    def identity(self) -> str:
        return f"ssrc {self.ssrc:08x}"


def source(cname: str = "", name: str = "", **fields: Any) -> FakeSource:
    """A source with the items it has told so far, of a fresh SSRC."""
    fields.setdefault("ssrc", next(_ssrcs))
    items = {kind: text for kind, text in ((CNAME, cname), (NAME, name)) if text}
    return FakeSource(items=items, **fields)


@dataclass(eq=False)
class FakeTerminal:
    identity: str = "window"
    media_type: MediaType = VIDEO
    direction: Direction = Direction.RENDER


class Holder:
    """The terminals of a stream or substream, one at most."""

    def __init__(self) -> None:
        self.terminals: tuple[FakeTerminal, ...] = ()

    def select_terminal(self, terminal: FakeTerminal) -> None:
        if self.terminals:
            raise MaxTerminalsError("one terminal is all it takes")
        self.terminals = (terminal,)

    def unselect_terminal(self, terminal: FakeTerminal) -> None:
        if terminal not in self.terminals:
            raise InvalidTerminalError("not selected here")
        self.terminals = ()

    def hand_over(self, terminal: FakeTerminal, to: "Holder") -> None:
        self.unselect_terminal(terminal)
        try:
            to.select_terminal(terminal)
        except MaxTerminalsError:
            self.select_terminal(terminal)
            raise


class FakeStream(Holder):
    def __init__(self, identity: str = "audio render", media_type: MediaType = AUDIO) -> None:
        super().__init__()
        self.identity = identity
        self.media_type = media_type
        self.direction = Direction.RENDER
        self.substreams: tuple[FakeSubStream, ...] = ()


class FakeSubStream(Holder):
    """A substream that tells its roster who is mapped onto a terminal, as real ones do."""

    def __init__(self, stream: FakeStream, of: FakeSource | None, house: "House") -> None:
        super().__init__()
        self.stream = stream
        self.source = of
        self.house = house
        self.identity = f"{stream.identity} #{len(stream.substreams) + 1}"
        stream.substreams += (self,)

    @property
    def participant(self) -> Participant | None:
        return self.house.roster.participant_of(self.source)

    def select_terminal(self, terminal: FakeTerminal) -> None:
        super().select_terminal(terminal)
        self.house.roster.substream_mapped(self, self.house.now)

    def unselect_terminal(self, terminal: FakeTerminal) -> None:
        super().unselect_terminal(terminal)
        self.house.roster.substream_unmapped(self, self.house.now)


class House:
    """A roster on a virtual clock; `told()` gives the events since the last time it was asked."""

    def __init__(self, **settings: Any) -> None:
        self.now = 100.0
        self.events: list[ParticipantEvent] = []
        self._lines: list[tuple[Any, ...]] = []
        self.roster = Roster(self._post, **settings)
        self.call = object()

    def _post(self, kind, at, person, /, **fields):
        assert at == self.now
        event = kind(at=at, call=self.call, participant=person, **fields)
        self.events.append(event)
        self._lines.append(_line(event))  # now, because identities change

    def told(self) -> list[tuple[Any, ...]]:
        """Each event as its class name, the identity of the person, and what else it says."""
        lines, self._lines = self._lines, []
        self.events.clear()
        return lines

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and call the roster whenever it asked to be called."""
        end = self.now + seconds
        while self.roster.next_deadline() <= end:
            assert self.roster.next_deadline() > self.now - 1e-9
            self.now = max(self.now, self.roster.next_deadline())
            self.roster.handle_timer(self.now)
        self.now = end
        self.roster.handle_timer(self.now)

    def hear(self, cname: str = "", name: str = "", **fields: Any) -> FakeSource:
        """A new source is heard."""
        new = source(cname, name, **fields)
        self.roster.source_heard(new, self.now)
        return new

    def describe(self, of: FakeSource, **items: str) -> None:
        """A source tells items, such as NAME="Ann"."""
        told = {SdesType[kind]: text for kind, text in items.items()}
        of.items.update(told)
        self.roster.source_described(of, tuple(told), self.now)

    def tell_private(self, of: FakeSource, **items: str) -> None:
        of.private.update(items)
        self.roster.source_described(of, (PRIV,), self.now)

    def gone(self, who: FakeSource, reason: GoneReason = BYE, text: str = "") -> None:
        self.roster.source_gone(who, reason, text, self.now)

    def carry(self, of: FakeSource | None, stream: FakeStream | None = None) -> FakeSubStream:
        """A new substream carries the source."""
        new = FakeSubStream(stream or FakeStream(), of, self)
        self.roster.substream_added(new, self.now)
        return new

    def talk(self, who: FakeSource, seconds: float = 0.1, level: int = LOUD) -> None:
        """Sound of one level for a while, a packet every 20 ms."""
        for _ in range(round(seconds / 0.02)):
            self.roster.source_level(who, level, self.now)
            self.pass_time(0.02)

    def show(self, who: FakeSource, seconds: float = 0.1) -> None:
        """Video for a while, 25 frames per second."""
        for _ in range(round(seconds / 0.04)):
            self.roster.source_media(who, self.now)
            self.pass_time(0.04)

    @property
    def present(self) -> list[str]:
        return [p.identity for p in self.roster.participants]


def _line(event: ParticipantEvent) -> tuple[Any, ...]:
    said = [type(event).__name__, event.participant and event.participant.identity]
    if substream := getattr(event, "substream", None):
        said.append(substream.identity)
    said += [getattr(event, name) for name in ("changed", "reason", "text") if hasattr(event, name)]
    return tuple(said)
