"""What it costs to record one person as they came, beside decoding and encoding them anew.

Ready-made packets, Opus 50 times a second and VP8 640x360 at 30 pictures a second, go into the
arriving streams of a call as fast as they can be taken, on a clock of their own, whose ticks of
10 ms count as well; there is no network. The CPU is that of all threads. What handing out packets
costs by itself is measured with streams that have no terminal, and subtracted.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, TypeVar

import av

from ipconf import FileRecorder, Identity, PayloadRecorder
from ipconf.codecs.registry import FORMATS, create_video_encoder
from ipconf.engine.reception import NTP_UNIX_OFFSET_S, RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.model import AUDIO_FRAME_S, CallSettings, MediaType, SdesType
from ipconf.participants import LocalParticipant, Roster
from ipconf.streams.making import make_render_stream
from ipconf.ticker import Ticker

from .bench_media import BITRATE_BPS, FRAMES_PER_S, pictures
from .report import Broken, Plan, Row
from .sounds import encode, tone

GOAL_CORES = 0.01
RUNS = 3
WHOLE = 0.95
"""Share of the pictures and the sound that must be in the file."""
CAPTURED_AT = 1_700_000_000
"""Unix time of the first packets."""

BACKLOG = 50
"""Blocks and pictures that may wait for the recorder's thread ..."""
PAUSE_S = 0.001
"""... which is then given so much time."""

T = TypeVar("T")
Recorder = PayloadRecorder | FileRecorder
Packets = list[tuple[float, MediaType, bytes, bool]]
"""What is sent: seconds from the beginning, medium, payload, marker."""


class _Clock:
    """As much of an event loop as a `Ticker` needs, in which time passes when it is told to."""

    def __init__(self) -> None:
        self._now = 0.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, action: Callable[[], object]) -> SimpleNamespace:
        entry = (when, next(self._numbers), action)
        heapq.heappush(self._due, entry)
        return SimpleNamespace(cancel=lambda: self._due.remove(entry))

    def run_until(self, end: float) -> None:
        while self._due and self._due[0][0] <= end:
            self._now, _, action = heapq.heappop(self._due)
            action()
        self._now = max(self._now, end)


class _Call:
    """As much of a call as arriving streams need; pictures are decoded on the spot."""

    def __init__(self) -> None:
        self.clock = _Clock()
        self.now = self.clock.time
        self.settings = CallSettings()
        self.local_participant = LocalParticipant(Identity(cname="us"))
        self.ticker = Ticker(self.clock)  # type: ignore[arg-type]
        self.roster = Roster(lambda *args, **fields: None)
        channel = SimpleNamespace(
            session=SimpleNamespace(sources={}),
            request_key_frame=lambda ssrc, now: None,
            request_resend=lambda ssrc, sequences, now: None,
        )
        self.streams = {medium: make_render_stream(self, medium) for medium in FORMATS}
        self.sources = {medium: self._source(medium) for medium in FORMATS}
        for medium, stream in self.streams.items():
            agreed = SimpleNamespace(mid=medium.value, receive=FORMATS[medium])
            stream.connect(channel, agreed)  # type: ignore[arg-type]

    def post(self, kind: type[object], **fields: Any) -> None:
        """Nobody is told."""

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        done(work())

    def record(self, recorder: Recorder) -> None:
        """Select a track for each medium of the person who is to come."""
        for medium, stream in self.streams.items():
            stream.create_substream().select_terminal(recorder.create_track(medium))

    def _source(self, medium: MediaType) -> RemoteSource:
        source = RemoteSource(1 + len(medium.value), self.now())
        source.medium, source.clock_rate = medium, FORMATS[medium][0].clock_rate
        source.items[SdesType.CNAME] = "them"
        source.last_sr = (CAPTURED_AT + NTP_UNIX_OFFSET_S << 32, 0, self.now())
        self.roster.source_heard(source, self.now())
        return source


def _packets(seconds: int) -> Packets:
    """So much of a call, in the order in which it is sent."""
    sounds = itertools.cycle(encode(tone(440)))
    packets: Packets = [
        (n * AUDIO_FRAME_S, MediaType.AUDIO, next(sounds), False)
        for n in range(round(seconds / AUDIO_FRAME_S))
    ]
    encoder = create_video_encoder(FORMATS[MediaType.VIDEO][0], BITRATE_BPS)
    for number, frame in enumerate(pictures(seconds * FRAMES_PER_S)):
        payloads, _ = encoder.encode(frame, number == 0)
        for payload in payloads:
            at_s = number / FRAMES_PER_S
            packets.append((at_s, MediaType.VIDEO, payload, payload is payloads[-1]))
    packets.sort(key=lambda packet: packet[0])
    return packets


async def _send(call: _Call, packets: Packets, recorder: Recorder | None) -> None:
    """Let the packets arrive when they are due; the recorder's thread keeps up."""
    numbers = {medium: itertools.count() for medium in FORMATS}
    for at_s, medium, payload, marker in packets:
        call.clock.run_until(at_s)
        form, source = FORMATS[medium][0], call.sources[medium]
        timestamp = round(at_s * form.clock_rate)
        packet = RtpPacket(
            form.payload_type, next(numbers[medium]), timestamp, source.ssrc, payload, marker
        )
        packet.source, source.last_rtp = source, at_s
        source.packets += 1
        source.octets += len(payload)
        call.streams[medium].packet_arrived(packet, at_s)
        while recorder is not None and recorder.backlog > BACKLOG:  # noqa: ASYNC110 - a thread works
            await asyncio.sleep(PAUSE_S)


async def _cores(packets: Packets, recorder: Recorder | None) -> float:
    """The CPU of handing the packets out, and of recording them if they are."""
    call = _Call()
    if recorder is not None:
        call.record(recorder)
        recorder.start()
    cpu = time.process_time()
    await _send(call, packets, recorder)
    if recorder is not None:
        recorder.close()
        await recorder.wait_closed()
    cpu = time.process_time() - cpu
    for stream in call.streams.values():
        stream.close()
    return cpu / packets[-1][0]


def _check(path: Path, packets: Packets) -> None:
    """Broken unless nearly all is in the file."""
    with av.open(str(path)) as container:
        shown = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        heard_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    seconds = packets[-1][0]
    if shown < WHOLE * seconds * FRAMES_PER_S or heard_s < WHOLE * seconds:
        raise Broken(f"{path.name} holds {shown} pictures and {heard_s:.1f} s of {seconds:.1f} s")


def _recorders(folder: Path) -> Iterator[tuple[str, list[float], Callable[[], Recorder]]]:
    yield "as they came", [], lambda: PayloadRecorder(folder / "payloads.webm")
    yield "encoded anew", [], lambda: FileRecorder(folder / "encoded.webm")


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Both kinds of recorders, in turns."""
    packets = _packets(plan.pick(30, 5))
    with tempfile.TemporaryDirectory() as folder:
        kinds = list(_recorders(Path(folder)))
        for _ in range(plan.pick(RUNS, 1)):
            alone = await _cores(packets, None)
            for _, values, make in kinds:
                recorder = make()
                values.append(await _cores(packets, recorder) - alone)
                _check(recorder.path, packets)
    for name, values, _ in kinds:
        goal = GOAL_CORES if values is kinds[0][1] else None
        note = f"{min(values):.4f} to {max(values):.4f} in {len(values)} runs"
        what = f"recording one person {name}, Opus and VP8: share of a core"
        yield Row(what, median(values), "cores", goal, note)
