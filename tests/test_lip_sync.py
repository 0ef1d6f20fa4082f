"""Sound and pictures of one person belong together, by the sender reports (RFC 3550, 6.4.1).

What they say of the time of media is when it was captured, and media of one instant are rendered
together, whatever the network does to either.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from peers import scenario
from senses import AUDIO as SOUND
from senses import VIDEO as PICTURES
from sessions import AUDIO, EXTENSIONS, OPUS, VIDEO, VP8, next_report, of_type, session
from stream_lab import PCMU, SILENCE, Lab, Window, decoders
from video_lab import VP8 as VP8_FORMAT
from video_lab import picture, vp8_payload

from ipconf.calls.channel import Channel
from ipconf.engine.lip_sync import MAX_HELD, Pace
from ipconf.engine.local_source import LocalSource
from ipconf.engine.reception import NTP_UNIX_OFFSET_S, RemoteSource
from ipconf.engine.rtcp_wire import SenderReport
from ipconf.engine.rtp_wire import RtpPacket, parse_rtp
from ipconf.engine.session import RtpSession
from ipconf.model import CallSettings, Direction, GoneReason, MediaType, SdesType
from ipconf.participants import Roster
from ipconf.pipelines.media_clock import MediaClock
from ipconf.streams.making import make_capture_stream, make_render_stream
from ipconf.terminals.base import CaptureTerminal
from ipconf.transports.negotiation import Agreed

STEP_S = 0.005
TICK_STEPS = 4
ENCODING_STEPS = 15
"""A picture takes 75 ms."""
UNIX_OFFSET_S = 1_800_000_000.0


class Input(CaptureTerminal):
    """Gives a block whenever it is read, or two pictures in each fifth of a second."""

    def __init__(self, media_type):
        super().__init__("input", media_type, Direction.CAPTURE)
        self.captured_at = []
        self._reads = 0

    def read(self, now):
        self._reads += 1
        if self.media_type is MediaType.VIDEO and self._reads % 10 > 1:
            return None
        self.captured_at.append(now)
        if self.media_type is MediaType.AUDIO:
            return np.full((960, 1), 1000, np.int16)
        return picture(self._reads)


class Wire:
    """A transport that keeps the RTP timestamps that pass."""

    def __init__(self):
        self.sink = None
        self.timestamps = []

    def send(self, datagram):
        timestamp = parse_rtp(datagram, EXTENSIONS).timestamp
        if timestamp not in self.timestamps:
            self.timestamps.append(timestamp)

    def hold(self, backlog):
        assert backlog is None, "a stream that only sends lets nothing wait"


class House:
    """A call around a capture stream, on a virtual clock; its pool takes time to encode."""

    def __init__(self, **settings):
        self.settings = CallSettings(**settings)
        self.roster = Roster(lambda *args, **fields: None)
        self.local_participant = None
        self.ticker = SimpleNamespace(add=lambda tick, every=1: setattr(self, "tick", tick))
        self.steps = 10_000
        self.pool = []

    def now(self):
        return self.steps * STEP_S

    def post(self, kind, **fields):
        """Nobody listens."""

    def submit(self, work, done):
        self.pool.append((self.steps + ENCODING_STEPS, work, done))

    def run(self, seconds):
        for _ in range(round(seconds / STEP_S)):
            self.steps += 1
            if self.pool and self.pool[0][0] == self.steps:
                _, work, done = self.pool.pop(0)
                done(work())
            if self.steps % TICK_STEPS == 0:
                self.tick(self.now(), 0)


def captured(rtp: RtpSession, source: LocalSource, rate: int, timestamps):
    """When media with those timestamps was captured by the next sender report."""
    _, packets = next_report(rtp)
    (report,) = of_type(packets, SenderReport)
    assert report.ssrc == source.ssrc
    at = report.ntp / 2**32 - NTP_UNIX_OFFSET_S - UNIX_OFFSET_S
    ticks = ((t - report.rtp_timestamp + (1 << 31)) % (1 << 32) - (1 << 31) for t in timestamps)
    return [at + tick / rate for tick in ticks]


@pytest.mark.parametrize(
    ("section", "payload_type", "settings", "blocks"),
    [
        (AUDIO, OPUS, {}, 1),
        (AUDIO, OPUS, {"ptime_ms": 60}, 3),
        (VIDEO, VP8, {}, 1),
    ],
)
@scenario()
async def test_sender_reports_name_the_instants_of_capture(section, payload_type, settings, blocks):
    sending = next(f for f in section.formats if f.payload_type == payload_type)
    house, wire, entry = House(**settings), Wire(), Input(section.medium)
    rtp = session(sections=(section,), now=house.now(), unix_offset_s=UNIX_OFFSET_S)
    stream = make_capture_stream(house, section.medium)
    channel = Channel(wire, rtp, house.roster, {}, {section.mid: stream})
    agreed = (0, section.mid, section.medium, (), sending, (), True, True, {}, {}, {}, None, None)
    stream.connect(channel, Agreed(*agreed))
    stream.select_terminal(entry)
    house.run(2.0)
    begins = entry.captured_at[::blocks][: len(wire.timestamps)]
    assert len(begins) >= 15
    heard = captured(rtp, rtp.local(section.mid), sending.clock_rate, wire.timestamps)
    assert heard == pytest.approx(begins, abs=0.001)
    channel.lost(GoneReason.CLOSED)


SYNC_S = 0.040
SETTLED_S = 10.0
PACKET_S, PICTURE_S = 0.02, 0.04
BEEP_EVERY, BEEP_PACKETS = 26, 10
"""In packets: a beep of 0.2 s in about every half a second, which begins with a picture."""
BEEP = bytes([0x80, 0x00] * 80)
AT_ONCE_S = 0.001


@dataclass(frozen=True)
class Way:
    """What happens to one medium."""

    delay_s: float = 0.02
    jitter_s: float = 0.0
    loss: float = 0.0
    drift: float = 0.0
    """How much faster the clock of its timestamps runs than the sender's wall clock."""
    ntp: Callable[[float], float] = lambda now: now + UNIX_OFFSET_S + NTP_UNIX_OFFSET_S
    """What the reports say is the time."""


class TimedWindow(Window):
    """Keeps for when it got what."""

    def write(self, media: Any, at: float) -> None:
        self.got.append((media, at))


class Feed:
    """One source of Alice's, with its reports."""

    def __init__(self, room: Room, medium: MediaType, way: Way, ssrc: int) -> None:
        lab = self.lab = room.lab
        self.room, self.way = room, way
        self.format = PCMU if medium is SOUND else VP8_FORMAT
        self.began = lab.now()
        self.arrivals: dict[int, float] = {}
        self.random = random.Random(ssrc)
        self.sequence = 65_000
        self.jump = 0
        self.sends: Callable[[int], bool] = lambda number: True
        self.stream = make_render_stream(lab, medium)
        self.out = TimedWindow(medium)
        lab.stream, lab.formats = self.stream, (self.format,)
        lab.connect()
        self.stream.select_terminal(self.out)
        source = self.source = RemoteSource(ssrc, self.began)
        source.medium, source.mid = medium, medium.value
        source.clock_rate = self.format.clock_rate
        source.items[SdesType.CNAME] = "alice"
        lab.channel.session.sources[ssrc] = source
        lab.roster.source_heard(source, self.began)
        self._report()
        self._next(0)

    @property
    def receiver(self) -> Any:
        """What decodes it."""
        substream = self.stream.substream_of(self.source)
        return substream and self.stream.receivers.get(substream)

    def waits_s(self) -> dict[int, float]:
        """How long each picture was held, by its number."""
        return {number: at - self.arrivals[number] for number, at in self.out.got}

    def _timestamp(self) -> int:
        ticks = (self.lab.now() - self.began) * self.format.clock_rate * (1 + self.way.drift)
        return (round(ticks) - 5_000 + self.jump) & 0xFFFFFFFF

    def _report(self) -> None:
        now = self.lab.now()
        report = int(self.way.ntp(now) * 2**32), self._timestamp(), now
        self.lab.loop.call_at(now + 0.05, lambda: setattr(self.source, "last_sr", report))
        self.lab.loop.call_at(now + self.room.report_s, self._report)

    def _next(self, number: int) -> None:
        now, way, sound = self.lab.now(), self.way, self.format is PCMU
        if self.sends(number):
            beeps = number % BEEP_EVERY < BEEP_PACKETS
            payload = (BEEP if beeps else SILENCE) if sound else vp8_payload(number, key=True)
            packet = RtpPacket(
                self.format.payload_type,
                self.sequence & 0xFFFF,
                self._timestamp(),
                self.source.ssrc,
                payload,
                True,
            )
            packet.source = self.source
            self.sequence += 1
            if self.random.random() >= way.loss:
                delay_s = way.delay_s + self.random.random() * way.jitter_s
                self.lab.loop.call_at(now + delay_s, partial(self._arrive, number, packet))
        # A sound card paces what it gives, a camera goes by the time.
        step_s = PACKET_S / (1 + way.drift) if sound else PICTURE_S
        at = self.began + (number + 1) * step_s
        self.lab.loop.call_at(at, lambda: self._next(number + 1))

    def _arrive(self, number: int, packet: RtpPacket) -> None:
        if self.source.ssrc not in self.lab.channel.session.sources:
            return
        now = self.source.last_rtp = self.lab.now()
        self.arrivals[number] = now
        self.stream.packet_arrived(packet, now)


class Room:
    """Alice beeps and flashes, and is heard and seen here; on a virtual clock."""

    def __init__(self, sound: Way, pictures: Way, *, report_s: float = 1.0) -> None:
        self.lab = Lab()
        self.report_s = report_s
        self.sound = Feed(self, SOUND, sound, 1)
        self.pictures = Feed(self, PICTURES, pictures, 2)

    def run(self, seconds: float) -> None:
        self.lab.run(seconds)

    def leave(self) -> None:
        """Alice says goodbye."""
        self.lab.channel.session.sources.clear()
        for feed in (self.sound, self.pictures):
            feed.stream.source_gone(feed.source, GoneReason.BYE)
            self.lab.roster.source_gone(feed.source, GoneReason.BYE, "", self.lab.now())

    def apart_s(self, since: float = SETTLED_S) -> list[float]:
        """How much later than its flash each beep was heard, from so long after the start."""
        shown = {number * PICTURE_S: at for number, at in self.pictures.out.got}
        step_s = BEEP_EVERY * PACKET_S / (1 + self.sound.way.drift)
        apart = []
        for begins in self._beeps():
            at = begins - self.sound.began
            captured_at = at // step_s * step_s
            flash_at = min(shown, key=lambda flash: abs(flash - captured_at))
            if at >= since and abs(flash_at - captured_at) < PICTURE_S:
                apart.append(begins - captured_at - (shown[flash_at] - flash_at))
        return apart

    def _beeps(self) -> Iterator[float]:
        silent_since = -1.0
        for block, at in self.sound.out.got:
            loud = np.flatnonzero(np.abs(block[:, 0].astype(int)) > 5_000) / 48_000
            if len(loud):
                if at + loud[0] - silent_since > 0.15:
                    yield at + loud[0]
                silent_since = at + loud[-1]


@pytest.fixture
def enter() -> Iterator[Callable[..., Room]]:
    """Makes rooms."""
    with decoders():
        yield Room


@pytest.mark.parametrize(("drift", "report_s"), [(2e-4, 5.0), (-2e-4, 1.0)])
@pytest.mark.parametrize("trouble", [{}, {"jitter_s": 0.04}, {"jitter_s": 0.04, "loss": 0.05}])
@pytest.mark.parametrize("delays_s", [(0.02, 0.02), (0.02, 0.1), (0.02, 0.22), (0.22, 0.02)])
def test_a_flash_and_a_beep_are_together(
    enter: Callable[..., Room],
    delays_s: tuple[float, float],
    trouble: dict[str, float],
    drift: float,
    report_s: float,
) -> None:
    sound = Way(delays_s[0], **trouble, drift=drift)
    pictures = Way(delays_s[1], **trouble, drift=-drift)
    room = enter(sound, pictures, report_s=report_s)
    room.run(25.0)
    apart = room.apart_s()
    assert len(apart) > 20
    assert np.abs(apart).max() < SYNC_S
    assert min(room.pictures.waits_s().values()) >= 0.0


def test_sound_that_was_stretched_and_shrunk_is_where_it_is_heard(
    enter: Callable[..., Room],
) -> None:
    room = enter(Way(jitter_s=0.04, drift=1e-3), Way())
    room.run(40.0)
    assert room.sound.receiver.stats().shrunk_s > 0.01
    assert np.abs(room.apart_s()).max() < 0.01


def test_timestamps_that_jump_belong_together_again_after_the_next_report(
    enter: Callable[..., Room],
) -> None:
    room = enter(Way(0.1), Way())
    room.run(5.0)
    for feed in (room.sound, room.pictures):
        feed.jump = 1_234_567_890
    room.run(20.0)
    apart = room.apart_s()
    assert len(apart) > 20 and np.abs(apart).max() < SYNC_S
    assert list(room.pictures.waits_s().values())[-1] > 0.08


def test_pictures_that_wait_follow_sound_that_is_stretched_meanwhile(
    enter: Callable[..., Room],
) -> None:
    room = enter(Way(0.2), Way())
    room.run(9.0)
    room.sound.way = replace(room.sound.way, jitter_s=0.18)
    room.run(6.0)
    assert room.sound.receiver.stats().stretched_s > 0.03
    assert np.abs(room.apart_s(4.0)).max() < SYNC_S
    assert min(np.diff([at for _, at in room.pictures.out.got])) >= 0.0


def test_late_ticks_do_not_part_one_block_of_sound_from_the_next() -> None:
    pace, chance = Pace(), random.Random(1)
    dues = [pace.tick(n * PACKET_S + chance.choice((0.0, 0.0, 0.03, 0.06))) for n in range(500)]
    assert np.diff(dues[50:]) == pytest.approx(PACKET_S, abs=0.01)
    assert dues[-1] == pytest.approx(500 * PACKET_S, abs=0.01)
    assert pace.tick(500 * PACKET_S + 0.3) == pytest.approx(501 * PACKET_S + 0.3)  # time was lost


def test_pictures_stay_in_order_and_even_while_they_wait(enter: Callable[..., Room]) -> None:
    room = enter(Way(), Way(jitter_s=0.035))
    room.run(20.0)
    numbers, times = zip(*room.pictures.out.got[250:], strict=True)
    assert numbers == tuple(range(numbers[0], numbers[0] + len(numbers)))
    assert np.diff(times) == pytest.approx(PICTURE_S, abs=0.03)
    assert np.mean(np.abs(np.diff(times) - PICTURE_S)) < 0.005  # the network's are ten times that


def test_sound_does_not_wait_for_pictures_that_are_in_time(enter: Callable[..., Room]) -> None:
    alone, together = enter(Way(jitter_s=0.03), Way()), enter(Way(jitter_s=0.03), Way())
    alone.pictures.sends = lambda number: False
    for room in (alone, together):
        room.run(10.0)
    assert len(together.pictures.out.got) > 200
    for (block, at), (other, other_at) in zip(
        alone.sound.out.got, together.sound.out.got, strict=True
    ):
        assert at == other_at and np.array_equal(block, other)


def test_sound_waits_for_slow_pictures_only_as_long_as_there_are_any(
    enter: Callable[..., Room],
) -> None:
    room = enter(Way(), Way(0.2))
    room.run(5.0)
    last = round(5.0 / PICTURE_S)
    assert room.sound.receiver.delay_s > 0.12
    room.pictures.sends = lambda number: number < last
    room.run(4.0)
    assert room.sound.receiver.delay_s > 0.12  # they may just be lost
    room.run(5.0)
    assert room.sound.receiver.delay_s < 0.07


def test_sound_gains_slowly_what_faster_pictures_leave(enter: Callable[..., Room]) -> None:
    room = enter(Way(), Way(0.2))
    room.run(5.0)
    before_s = room.sound.receiver.delay_s
    assert before_s > 0.12
    room.pictures.way = replace(room.pictures.way, delay_s=0.02)
    room.run(4.5)
    assert room.sound.receiver.delay_s > before_s - 0.01
    room.run(10.5)
    assert room.sound.receiver.delay_s < 0.07
    assert np.abs(room.apart_s()).max() < SYNC_S


def test_sound_does_not_wait_longer_than_people_can_talk(enter: Callable[..., Room]) -> None:
    room = enter(Way(), Way(0.7))
    room.run(10.0)
    assert 0.2 < room.sound.receiver.delay_s < 0.3
    assert max(list(room.pictures.waits_s().values())[100:]) < AT_ONCE_S


def test_few_pictures_show_no_lips_to_wait_for(enter: Callable[..., Room]) -> None:
    """Slides, and again after a film."""
    room = enter(Way(), Way(0.2))
    for film_s, slides_s in ((0.0, 10.0), (5.0, 9.0)):
        room.pictures.sends = lambda number: True
        room.run(film_s)
        assert not film_s or room.sound.receiver.delay_s > 0.12
        room.pictures.sends = lambda number: number % 25 == 0
        room.pictures.out.got.clear()
        room.run(slides_s)
        assert len(room.pictures.out.got) > 8 and room.sound.receiver.delay_s < 0.07


@pytest.mark.parametrize(
    "ntp", [lambda now: now, lambda now: now + 3.9e9, lambda now: (now * 7919) % 4e9]
)
def test_reports_that_cannot_be_true_change_nothing(
    enter: Callable[..., Room], ntp: Callable[[float], float]
) -> None:
    room = enter(Way(), Way(0.1, ntp=ntp))
    room.run(10.0)
    assert len(room.pictures.out.got) > 200
    assert max(room.pictures.waits_s().values()) < AT_ONCE_S
    assert room.sound.receiver.delay_s < 0.07


def test_a_sender_without_a_clock_reports_zero(enter: Callable[..., Room]) -> None:
    """RFC 3550 section 6.4.1."""
    room = enter(Way(0.1, ntp=lambda now: 0.0), Way(ntp=lambda now: 0.0))
    room.run(5.0)
    assert max(room.pictures.waits_s().values()) < AT_ONCE_S


@pytest.mark.parametrize("way", [Way(0.02), Way(0.15)])
def test_pauses_of_sound_do_not_part_it_from_pictures(enter: Callable[..., Room], way: Way) -> None:
    room = enter(Way(jitter_s=0.02), way)
    # Three of four times there is silence instead, of which a packet comes each half a second.
    turn = 4 * BEEP_EVERY
    room.sound.sends = lambda number: number % turn < BEEP_EVERY or number % BEEP_EVERY == 20
    room.run(30.0)
    apart = room.apart_s()
    assert len(apart) > 8 and np.abs(apart).max() < SYNC_S


def _mute(room: Room) -> None:
    (person,) = room.lab.roster.participants
    person.set_enabled(room.sound.stream, False)


def _unselect(room: Room) -> None:
    room.sound.stream.unselect_terminal(room.sound.out)


def _pause(room: Room) -> None:
    room.sound.stream.pause()


def _fall_silent(room: Room) -> None:
    room.sound.sends = lambda number: False


@pytest.mark.parametrize("end", [_mute, _unselect, _pause, _fall_silent])
def test_without_sound_pictures_are_shown_at_once(
    enter: Callable[..., Room], end: Callable[[Room], None]
) -> None:
    room = enter(Way(0.1), Way())
    room.run(5.0)
    assert list(room.pictures.waits_s().values())[-1] > 0.08
    end(room)
    room.run(8.0)
    assert max(list(room.pictures.waits_s().values())[-50:]) < AT_ONCE_S


def _leave(room: Room) -> None:
    room.leave()


def _mute_pictures(room: Room) -> None:
    (person,) = room.lab.roster.participants
    person.set_enabled(room.pictures.stream, False)


def _pause_pictures(room: Room) -> None:
    room.pictures.stream.pause()


@pytest.mark.parametrize("end", [_leave, _mute_pictures, _pause_pictures])
def test_nobody_sees_pictures_that_waited_when_they_were_ended(
    enter: Callable[..., Room], end: Callable[[Room], None]
) -> None:
    room = enter(Way(0.2), Way())
    room.run(5.0)
    receiver = room.pictures.receiver
    assert 3 <= len(receiver.held) <= MAX_HELD
    end(room)
    seen = len(room.pictures.out.got)
    room.run(1.0)
    assert len(room.pictures.out.got) == seen and len(receiver.held) == 0


def test_a_window_of_ones_own_gets_the_same_pictures_at_the_same_time(
    enter: Callable[..., Room],
) -> None:
    room = enter(Way(0.1), Way())
    room.run(5.0)
    own = TimedWindow(PICTURES)
    substream = room.pictures.stream.substream_of(room.pictures.source)
    substream.select_terminal(own)
    room.run(5.0)
    room.pictures.out.got += own.got  # the stream's window is free for others
    assert len(own.got) > 100
    assert np.abs(room.apart_s(2.0)).max() < SYNC_S


def test_more_pictures_than_can_wait_are_shown_early(enter: Callable[..., Room]) -> None:
    """100 of them in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.PICTURE_S", 0.01)
        room = enter(Way(0.4), Way())
        room.run(5.0)
        assert len(room.pictures.receiver.held) == MAX_HELD
        assert len(room.pictures.out.got) > 450


def test_a_place_in_time_leads_back_to_the_timestamp_of_its_format() -> None:
    clock = MediaClock()
    ways = [(48_000, 2**32 - 500), (8_000, 77), (90_000, 3_000_000_000)]
    for sequence, (rate_hz, timestamp) in enumerate(ways):
        packet = RtpPacket(0, sequence, timestamp, 1, b"")
        place = clock.place(packet, rate_hz, 960, sequence * 0.02)
        assert place is not None and clock.original(place) == timestamp
        later = clock.original(place + 480)
        assert later == (timestamp + rate_hz // 100) & 0xFFFFFFFF
