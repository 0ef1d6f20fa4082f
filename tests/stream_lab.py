"""Streams without a call or a network: packets, people and terminals on a virtual clock.

`Lab` is what a stream needs of its call. A `Sender` is one source of a person: it sends every 20 ms
for as long as it is told to, with real PCMU, or with payloads that only look like VP8 and come out
of a stand-in for the decoder as they are.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from senses import AUDIO, RENDER, VIDEO
from video_lab import VP8, vp8_payload

from ipconf.codecs.registry import CODEC_FORMATS
from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.errors import MediaError
from ipconf.events import CallEvent, CallMediaEvent, ParticipantEvent, SubStreamEvent
from ipconf.model import AUDIO_FRAME_S, CallSettings, GoneReason, Identity, MediaType, SdesType
from ipconf.participants import LocalParticipant, Participant, Roster
from ipconf.private_ifaces import ParticipantSubStreamControl
from ipconf.streams.making import make_render_stream
from ipconf.streams.render import RenderStream
from ipconf.streams.substreams import SubStream
from ipconf.terminals.base import RenderTerminal
from ipconf.ticker import Ticker

PCMU = CODEC_FORMATS["PCMU"][0]
LOUD, QUIET = 20, 90
SILENCE = bytes([0xFF]) * 160
_ssrcs = itertools.count(0x1000)


class VirtualLoop:
    """As much of an event loop as a `Ticker` needs."""

    def __init__(self) -> None:
        self.now = 100.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self.troubles: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, action: Callable[[], object]) -> SimpleNamespace:
        entry = (when, next(self._numbers), action)
        heapq.heappush(self._due, entry)

        def cancel() -> None:
            self._due.remove(entry)
            heapq.heapify(self._due)

        return SimpleNamespace(cancel=cancel)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.troubles.append(context)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            when, _, action = heapq.heappop(self._due)
            self.now = max(self.now, when)
            action()
        self.now = end
        assert not self.troubles, self.troubles


class Window(RenderTerminal):
    """Keeps what it is given, and fails when told to."""

    def __init__(self, medium: MediaType = VIDEO, name: str = "window") -> None:
        super().__init__(name, medium, RENDER)
        self.got: list[Any] = []
        self.broken = False

    def write(self, media: Any, at: float) -> None:
        if self.broken:
            raise OSError("the screen is dark")
        self.got.append(media)

    def shows(self) -> int | None:
        """The number of whoever was shown last, and forget it."""
        number = self.got[-1] if self.got else None
        self.got.clear()
        return number


class Lab:
    """The call of a stream, and its log of events."""

    def __init__(self, medium: MediaType = VIDEO, **settings: Any) -> None:
        self.loop = VirtualLoop()
        self.settings = CallSettings(**settings)
        self.local_participant = LocalParticipant(Identity(cname="us"))
        self.ticker = Ticker(self.loop)  # type: ignore[arg-type]
        self.roster = Roster(self._post_person)
        self.events: list[CallEvent] = []
        self.key_frames: list[int] = []
        self.channel = SimpleNamespace(
            session=SimpleNamespace(sources={}, skimming=SimpleNamespace(skimmers={})),
            look_again=lambda sources: None,
            request_key_frame=lambda ssrc, now: self.key_frames.append(ssrc),
            request_resend=lambda ssrc, sequences, now: None,
        )
        self.formats = (PCMU,) if medium is AUDIO else (VP8,)
        self.stream: RenderStream = make_render_stream(self, medium)
        self.control = ParticipantSubStreamControl(lambda: [self.stream])
        self.ticker.add(self._tick)

    def now(self) -> float:
        return self.loop.now

    def post(self, kind: type[CallEvent], **fields: Any) -> None:
        self.events.append(kind(at=self.now(), call=self, **fields))

    def _post_person(
        self, kind: type[ParticipantEvent], at: float, person: Participant | None, /, **fields: Any
    ) -> None:
        self.events.append(kind(at=at, call=self, participant=person, **fields))

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        try:
            result = work()
        except Exception as exc:
            result = exc
        done(result)

    def connect(self) -> None:
        self.stream.connect(
            self.channel, SimpleNamespace(mid="0", receive=self.formats, content="")
        )

    def run(self, seconds: float) -> None:
        self.loop.run(seconds)

    def _tick(self, now: float, number: int) -> None:
        if self.roster.next_deadline() <= now:
            self.roster.handle_timer(now)
        if number % 100 == 0:
            self.stream.measure(now)

    def told(self, *kinds: type[CallEvent]) -> list[Any]:
        """The events of these classes since the last question, as short as they can be said."""
        told = [e for e in self.events if not kinds or isinstance(e, kinds)]
        self.events.clear()
        return [_short(event) for event in told]

    def windows(self, count: int) -> list[Window]:
        """Terminals of the stream itself."""
        made = [Window(self.stream.media_type) for _ in range(count)]
        for window in made:
            self.stream.select_terminal(window)
        return made

    def join(self, cname: str, **options: Any) -> Sender:
        """Somebody comes, and sends from now on."""
        return Sender(self, cname, **options)


def _short(event: CallEvent) -> tuple[Any, ...]:
    kind = type(event).__name__
    if isinstance(event, CallMediaEvent):
        return kind, event.cause
    if isinstance(event, SubStreamEvent):
        return kind, event.participant and event.participant.identity
    return (kind,)


class Sender:
    """One source of somebody, sending every 20 ms; `level` goes with each packet, unless None."""

    def __init__(
        self, lab: Lab, cname: str, *, level: int | None = QUIET, payload: bytes | None = None
    ) -> None:
        self.lab = lab
        self.level = level
        self.sends = True
        self.source = RemoteSource(next(_ssrcs), lab.now())
        self.source.medium, self.source.mid = lab.stream.media_type, "0"
        self.source.items[SdesType.CNAME] = cname
        self.number = self.source.ssrc
        self.payload = payload
        self._sequence = self._timestamp = 0
        lab.channel.session.sources[self.source.ssrc] = self.source
        lab.roster.source_heard(self.source, lab.now())
        self._next()

    @property
    def person(self) -> Participant:
        person = self.lab.roster.participant_of(self.source)
        assert person is not None
        return person

    @property
    def substream(self) -> SubStream:
        substream = self.lab.stream.substream_of(self.source)
        assert substream is not None
        return substream

    def talk(self, seconds: float) -> None:
        """Be loud for a while."""
        self.level = LOUD
        self.lab.run(seconds)
        self.level = QUIET

    def leave(self, reason: GoneReason = GoneReason.BYE) -> None:
        self.sends = False
        now = self.lab.now()
        self.lab.stream.source_gone(self.source, reason)
        self.lab.roster.source_gone(self.source, reason, "", now)

    def _next(self) -> None:
        if self.source.ssrc not in self.lab.channel.session.sources:
            return
        if self.sends:
            self.send()
        self.lab.loop.call_at(self.lab.now() + AUDIO_FRAME_S, self._next)

    def send(self) -> None:
        now, source = self.lab.now(), self.source
        audio = source.medium is AUDIO
        payload = self.payload
        if payload is None:
            payload = SILENCE if audio else vp8_payload(self.number, key=True)
        packet = RtpPacket(
            self.lab.formats[0].payload_type, self._sequence, self._timestamp, source.ssrc,
            payload, True,
        )  # fmt: skip
        packet.source = source
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp += 160 if audio else 1800
        source.packets += 1
        source.octets += len(payload)
        source.last_rtp = now
        if audio and self.level is not None:
            packet.level = source.level = self.level
        elif self.level is not None:  # of their sound, which comes by another way
            self.lab.roster.source_level(source, self.level, now)
        self.lab.stream.packet_arrived(packet, now)


class FakeDecoder:
    """Decodes what `vp8_payload` made to the number in it."""

    def decode(self, data: bytes) -> list[int]:
        return [int.from_bytes(data[6:10], "big")]


class NoDecoder:
    """Decodes nothing."""

    def decode(self, data: bytes) -> list[int]:
        raise MediaError("these bits are no picture")


@contextmanager
def decoders(make: Callable[..., Any] = lambda payload_format: FakeDecoder()) -> Iterator[None]:
    """Pictures are decoded by that until the end of the block."""
    with patch("ipconf.pipelines.video_receiver.create_video_decoder", make):
        yield


def loudness(terminal: Window) -> float:
    """Mean level of the samples a terminal has got, and forget them."""
    got = [np.abs(block).mean() for block in terminal.got]
    terminal.got.clear()
    return float(np.mean(got)) if got else 0.0
