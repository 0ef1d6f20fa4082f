"""What sender reports say of the time of media is when it was captured (RFC 3550 section 6.4.1)."""

from types import SimpleNamespace

import numpy as np
import pytest
from peers import scenario
from sessions import AUDIO, EXTENSIONS, OPUS, VIDEO, VP8, next_report, of_type, session
from video_lab import picture

from ipconf.capture_streams import make_capture_stream
from ipconf.channel import Channel
from ipconf.engine.local_source import LocalSource
from ipconf.engine.reception import NTP_UNIX_OFFSET_S
from ipconf.engine.rtcp_wire import SenderReport
from ipconf.engine.rtp_wire import parse_rtp
from ipconf.engine.session import RtpSession
from ipconf.model import CallSettings, Direction, GoneReason, MediaType
from ipconf.participants import Roster
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
