"""Payloads as they come from people, for the tests of what takes them undecoded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
from terminal_lab import BLOCK, RATE_HZ, START_S, sine
from video_lab import FPS, STEP, picture

from ipconf import Payload, PayloadRecorder
from ipconf.codecs.registry import (
    CODEC_FORMATS,
    create_audio_encoder,
    create_video_encoder,
    depacketizer_of,
)
from ipconf.engine.session_config import PayloadFormat
from ipconf.model import AUDIO_FRAME_S
from ipconf.terminals.payload_recording import PayloadTrack

OPUS, PCMU, PCMA, G722 = (CODEC_FORMATS[name][0] for name in ("opus", "PCMU", "PCMA", "G722"))
VP8, H264 = (CODEC_FORMATS[name][0] for name in ("VP8", "H264"))


def sounds(seconds: float, form: PayloadFormat = OPUS, hz: float = 1000.0) -> list[Payload]:
    """A tone, in packets of 20 ms."""
    encoder = create_audio_encoder(form, 64_000)
    wave = sine(seconds, hz)
    payloads = []
    for n in range(len(wave) // BLOCK):
        data = encoder.encode(wave[n * BLOCK : (n + 1) * BLOCK])
        assert data
        timestamp = n * BLOCK * form.clock_rate // RATE_HZ
        payloads.append(Payload(data, form, timestamp, AUDIO_FRAME_S))
    return payloads


def pictures(
    seconds: float,
    form: PayloadFormat = VP8,
    key_frames: tuple[int, ...] = (),
    size: tuple[int, int] = (320, 180),
) -> list[Payload]:
    """Pictures that move, the first of them a key frame."""
    encoder, depacketizer = create_video_encoder(form, 1_000_000), depacketizer_of(form)
    payloads = []
    for n in range(round(seconds * FPS)):
        packets, key = encoder.encode(picture(n, *size), n in (0, *key_frames))
        data = b"".join(map(depacketizer.depayload, packets))
        payloads.append(Payload(data, form, n * STEP, key_frame=key))
    return payloads


def due(payload: Payload) -> float:
    """When that payload is due in the call."""
    return START_S + payload.timestamp / payload.format.clock_rate


async def give(*given: tuple[PayloadTrack, list[Payload]], at: float = 0.0) -> None:
    """Write payloads in the order in which they are due, `at` seconds later than they say."""
    ordered = sorted(
        ((due(p), track, p) for track, some in given for p in some), key=lambda x: x[0]
    )
    for when, track, payload in ordered:
        track.write_payload(payload, when + at)
        while track.recorder.backlog > 20:  # noqa: ASYNC110 - it is a thread that works
            await asyncio.sleep(0)


async def complete(recorder: PayloadRecorder) -> None:
    """Close it; nothing went wrong."""
    recorder.close()
    await recorder.wait_closed()
    assert recorder.error is None and recorder.dropped == recorder.ignored == 0


def file_packets(path: Path, stream: int = 0) -> list[bytes]:
    """What is in a track of a file, undecoded."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams[stream])
        return [bytes(packet) for packet in packets if packet.size]


def file_codecs(path: Path) -> list[str]:
    """FFmpeg's names of the formats in a file."""
    with av.open(str(path)) as container:
        return [stream.codec_context.codec.canonical_name for stream in container.streams]
