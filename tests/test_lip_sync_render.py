"""Sound and pictures of one person are rendered together, whatever the network does to either."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from senses import AUDIO, VIDEO
from stream_lab import PCMU, SILENCE, Lab, Window, decoders
from video_lab import VP8, vp8_payload

from ipconf.engine.reception import NTP_UNIX_OFFSET_S, RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.model import GoneReason, MediaType, SdesType
from ipconf.render_streams import make_render_stream

SYNC_S = 0.040
BEEP_EVERY, BEEP_PACKETS = 25, 10
"""In packets of 20 ms: every half a second, for 0.2 s. Each begins with a picture."""
LOUD = bytes([0x80, 0x00] * 80)
UNIX_S = 1_800_000_000.0


@dataclass
class Path:
    """What happens to one medium on its way."""

    delay_s: float = 0.02
    jitter_s: float = 0.0
    loss: float = 0.0
    drift: float = 0.0
    """How much faster the RTP clock runs than the sender's wall clock."""
    rate_hz: int = 8000


class Terminal(Window):
    """Keeps when it got what."""

    def write(self, media: Any, at: float) -> None:
        self.got.append((media, at))


class Room:
    """Somebody who beeps and flashes, as we hear and see them; on a virtual clock."""

    def __init__(self, sound: Path, pictures: Path, *, report_s: float = 1.0, seed: int = 1) -> None:
        self.lab = Lab(AUDIO)
        self.random = random.Random(seed)
        self.lab.formats = (PCMU,)
        self.audio = self.lab.stream
        self.lab.connect()
        self.video = make_render_stream(self.lab, MediaType.VIDEO)
        self.lab.formats = (VP8,)
        self.lab.stream = self.video
        self.lab.connect()
        self.ear, self.eye = Terminal(AUDIO), Terminal(VIDEO)
        self.audio.select_terminal(self.ear)
        self.video.select_terminal(self.eye)
        pictures.rate_hz = 90_000
        self.began = self.lab.now()
        self.paths = {AUDIO: sound, VIDEO: pictures}
        self.sources = {AUDIO: self._source(AUDIO, 1), VIDEO: self._source(VIDEO, 2)}
        self.report_s = report_s
        self.pauses: Callable[[int], bool] = lambda number: False
        self.ntp_error_s = {AUDIO: 0.0, VIDEO: 0.0}
        self._sound(0)
        self._picture(0)
        self._report(AUDIO)
        self._report(VIDEO)

    def _source(self, medium: MediaType, ssrc: int) -> RemoteSource:
        source = RemoteSource(ssrc, self.began)
        source.medium, source.mid = medium, medium.value
        source.items[SdesType.CNAME] = "alice"
        source.clock_rate = self.paths[medium].rate_hz
        self.lab.channel.session.sources[ssrc] = source
        self.lab.roster.source_heard(source, self.began)
        return source

    def _timestamp(self, medium: MediaType, at: float) -> int:
        path = self.paths[medium]
        ticks = (at - self.began) * path.rate_hz * (1 + path.drift)
        return (round(ticks) + (1 << 32) - 5_000) & 0xFFFFFFFF

    def _report(self, medium: MediaType) -> None:
        now = self.lab.now()
        ntp_s = now + UNIX_S + NTP_UNIX_OFFSET_S + self.ntp_error_s[medium]
        report = int(ntp_s * 2**32), self._timestamp(medium, now), now
        def arrives() -> None:
            self.sources[medium].last_sr = report
        self.lab.loop.call_at(now + 0.05, arrives)
        self.lab.loop.call_at(now + self.report_s, lambda: self._report(medium))

    def _sound(self, number: int) -> None:
        payload = LOUD if number % BEEP_EVERY < BEEP_PACKETS else SILENCE
        if not self.pauses(number):
            self._send(AUDIO, number, payload)
        # The clock of a sound card paces sound, timestamps follow the blocks.
        self.lab.loop.call_at(
            self.began + (number + 1) * 0.02 / (1 + self.paths[AUDIO].drift),
            lambda: self._sound(number + 1),
        )

    def _picture(self, number: int) -> None:
        self._send(VIDEO, number, vp8_payload(number, key=True))
        self.lab.loop.call_at(
            self.began + (number + 1) * 0.04, lambda: self._picture(number + 1)
        )

    def _send(self, medium: MediaType, number: int, payload: bytes) -> None:
        path, source, now = self.paths[medium], self.sources[medium], self.lab.now()
        if self.random.random() < path.loss:
            return
        payload_type = (PCMU if medium is AUDIO else VP8).payload_type
        timestamp = self._timestamp(medium, now)
        packet = RtpPacket(payload_type, number & 0xFFFF, timestamp, source.ssrc, payload, True)
        packet.source = source
        stream = self.audio if medium is AUDIO else self.video

        def arrives() -> None:
            if source.ssrc in self.lab.channel.session.sources:
                source.last_rtp = self.lab.now()
                stream.packet_arrived(packet, self.lab.now())

        self.lab.loop.call_at(now + path.delay_s + self.random.random() * path.jitter_s, arrives)

    def leave(self) -> None:
        self.lab.channel.session.sources.clear()
        for medium, source in self.sources.items():
            stream = self.audio if medium is AUDIO else self.video
            stream.source_gone(source, GoneReason.BYE)
            self.lab.roster.source_gone(source, GoneReason.BYE, "", self.lab.now())

    def beeps(self) -> Iterator[tuple[float, float]]:
        """When each beep began at the sender, and here."""
        before = -1.0
        for block, at in self.ear.got:
            loud = np.flatnonzero(np.abs(block[:, 0].astype(int)) > 5000)
            if len(loud):
                begins = at + loud[0] / 48_000
                if begins - before > 0.2:
                    yield begins
                before = at + loud[-1] / 48_000

    def apart(self, since: float) -> list[float]:
        """How much later than its picture each beep was heard from then on."""
        shown = {number: at - self.began - number * 0.04 for number, at in self.eye.got}
        step = BEEP_EVERY * 0.02 / (1 + self.paths[AUDIO].drift)
        found = []
        for begins in self.beeps():
            if begins - self.began < since:
                continue
            turn = int((begins - self.began) / step)
            captured = turn * step
            number = round(captured / 0.04)
            near = [shown[n] for n in (number - 1, number, number + 1) if n in shown]
            if near:
                found.append((begins - self.began - captured) - float(np.median(near)))
        return found


@pytest.fixture(autouse=True)
def _decoders() -> Iterator[None]:
    with decoders():
        yield


def both(room: Room, seconds: float, since: float) -> list[float]:
    room.lab.run(seconds)
    apart = room.apart(since)
    assert len(apart) > (seconds - since) * 1.5
    return apart

if __name__ == "__main__":
    with decoders():
        for a, v in [(0.02,0.02),(0.02,0.07),(0.02,.12),(0.02,.22),(.07,.02),(.22,.02)]:
            for kw in [{}, dict(jitter_s=.04), dict(jitter_s=0.04, loss=.05)]:
                for drift in (-2e-4, 0, 2e-4):
                    for rep in (1.0, 5.0):
                        room = Room(Path(a, drift=drift, **kw), Path(v, **kw), report_s=rep)
                        room.lab.run(40)
                        ap = np.array(room.apart(12))
                        rec = dict(room.audio.receivers.items()).popitem()[1]
                        print(a, v, kw, drift, rep, len(ap), "ms", (ap*1000).round().min(), (ap*1000).round().max(), rec.delay_s, rec._hold_back._floor_s, room.audio.receivers and rec._buffer.target_s)
