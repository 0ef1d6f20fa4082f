"""What media cost without any network: levels, mixing, codecs; beside aiortc's where it has them.

One process; times are CPU of all its threads. The pictures move and have some noise, as cameras'.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from fractions import Fraction
from statistics import median

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from ipconf.codecs.registry import (
    FORMATS,
    create_audio_decoder,
    create_video_encoder,
    offered_formats,
)
from ipconf.engine.session_config import PayloadFormat
from ipconf.engine.speakers import levels_of
from ipconf.model import AUDIO_FRAME_S, CallSettings, MediaType
from ipconf.pipelines.mixing import mix
from ipconf.terminals.pictures import TestPictureTerminal

from .gauges import cpu_us_each
from .report import Broken, Plan, Row
from .sounds import encode, tone, tone_hz

SOURCES = 40
MIX_GOAL_US = 100.0
DECODED_STREAMS = 20
DECODE_GOAL_CORES = 0.12
H264_GOAL_MS = 2.6
WIDTH, HEIGHT, FRAMES_PER_S = 640, 360, 30
BITRATE_BPS = 1_000_000
RUNS = 5


def _mixing(plan: Plan) -> Row:
    blocks = [tone(tone_hz(n))[:960] // SOURCES for n in range(SOURCES)]
    if mix(blocks).shape != (960, 1) or len(levels_of(blocks)) != SOURCES:
        raise Broken("forty sources could not be mixed")

    def work() -> int:
        for _ in range(count):
            levels_of(blocks)
            mix(blocks)
        return count

    count = plan.pick(2000, 100)
    values = [cpu_us_each(work) for _ in range(RUNS)]
    note = f"{min(values):.0f} to {max(values):.0f} us in {RUNS} runs"
    return Row(f"levels and mix of {SOURCES} sources, CPU", median(values), "us", MIX_GOAL_US, note)


def _decoding(plan: Plan) -> Row:
    opus = FORMATS[MediaType.AUDIO][0]
    streams = [
        (create_audio_decoder(opus), encode(tone(tone_hz(n)))) for n in range(DECODED_STREAMS)
    ]

    def work() -> int:
        for index in range(ticks):
            for decoder, payloads in streams:
                decoder.decode(payloads[index % len(payloads)])
        return ticks

    ticks = plan.pick(500, 50)
    cores = median(cpu_us_each(work) for _ in range(RUNS)) / 1e6 / AUDIO_FRAME_S
    name = f"decoding {DECODED_STREAMS} Opus streams in turn, share of a core"
    return Row(name, cores, "cores", DECODE_GOAL_CORES)


def pictures(count: int) -> list[av.VideoFrame]:
    """A moving picture with some noise in it, as cameras have."""
    terminal = TestPictureTerminal("benchmark", width=WIDTH, height=HEIGHT, fps=FRAMES_PER_S)
    rng = np.random.default_rng(1)
    frames = []
    for number in range(count):
        picture = terminal.read(number / FRAMES_PER_S)
        if not isinstance(picture, av.VideoFrame):
            continue
        planes = picture.to_ndarray(format="yuv420p").astype(np.int16)
        noisy = np.clip(planes + rng.integers(-3, 4, planes.shape), 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(noisy, format="yuv420p")
        frame.pts, frame.time_base = number * 90_000 // FRAMES_PER_S, Fraction(1, 90_000)
        frames.append(frame)
    return frames


def _cpu_ms(
    encode_one: Callable[[av.VideoFrame, bool], object], frames: list[av.VideoFrame]
) -> float:
    """CPU of one picture, all threads; the first ones, which set the encoder up, do not count."""
    for index, frame in enumerate(frames[:FRAMES_PER_S]):
        encode_one(frame, index == 0)
    rest = frames[FRAMES_PER_S:]
    cpu = time.process_time()
    for frame in rest:
        encode_one(frame, False)
    return (time.process_time() - cpu) / len(rest) * 1e3


def _encoding(plan: Plan) -> Iterator[Row]:
    frames = pictures(plan.pick(300, 60))
    video = offered_formats(MediaType.VIDEO, CallSettings(video_codecs=("VP8", "H264")))
    rivals: dict[str, Callable[[], H264Encoder | Vp8Encoder]] = {
        "VP8": Vp8Encoder,
        "H264": H264Encoder,
    }
    for name, rival in rivals.items():
        fmt = next(f for f in video if f.name.upper() == name)
        ours, theirs = [], []
        for _ in range(plan.pick(3, 1)):
            ours.append(_our_encoder_ms(fmt, frames))
            stock = rival()
            stock.target_bitrate = BITRATE_BPS
            theirs.append(_cpu_ms(lambda frame, key, s=stock: s.encode(frame, key), frames))  # type: ignore[misc]
        what = f"{name} {WIDTH}x{HEIGHT}: encoding a picture, CPU"
        goal = H264_GOAL_MS if name == "H264" else None
        yield Row(what, median(ours), "ms", goal, f"aiortc's encoder: {median(theirs):.1f} ms")


def _our_encoder_ms(fmt: PayloadFormat, frames: list[av.VideoFrame]) -> float:
    encoder = create_video_encoder(fmt, BITRATE_BPS)
    octets = 0

    def encode_one(frame: av.VideoFrame, key_frame: bool) -> None:
        nonlocal octets
        payloads, _ = encoder.encode(frame, key_frame)
        octets += sum(map(len, payloads))

    cpu_ms = _cpu_ms(encode_one, frames)
    if octets * 8 * FRAMES_PER_S / len(frames) < BITRATE_BPS / 20:
        raise Broken(f"{fmt.name} encoded next to nothing: {octets} octets")
    return cpu_ms


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Sound first."""
    yield _mixing(plan)
    yield _decoding(plan)
    for row in _encoding(plan):
        yield row
