"""Sound on a virtual clock: speech-like signals, packets with chosen arrivals, a player."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ipconf.codecs.opus import create_opus_encoder
from ipconf.codecs.registry import FORMATS
from ipconf.engine.jitter import AudioJitterBuffer, Playout
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.model import AUDIO_FRAME_S, AUDIO_RATE_HZ, MediaType
from ipconf.pipelines.audio_receiver import AudioReceiver

RATE = AUDIO_RATE_HZ
BLOCK = 960
OPUS = FORMATS[MediaType.AUDIO][0]
TICKS_PER_BYTE = 48
"""For `millisecond_payload`: one byte of payload plays 1 ms."""


def tone(seconds: float, hz: float = 440.0, peak: int = 8000, channels: int = 1) -> NDArray:
    wave = np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE) * peak
    return np.repeat(wave.astype(np.int16)[:, np.newaxis], channels, axis=1)


def vowels(seconds: float) -> NDArray:
    """Something like a voice: harmonics of a pitch that glides, in syllables."""
    at = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(140 * (1 + 0.1 * np.sin(2 * np.pi * 3 * at))) / RATE
    wave = sum(np.sin(k * phase + k) / k for k in range(1, 25))
    wave *= 0.55 + 0.45 * np.sin(2 * np.pi * 4 * at)
    return (wave / np.abs(wave).max() * 12000).astype(np.int16)[:, np.newaxis]


def level_db(samples: NDArray) -> float:
    """RMS in dB against full scale."""
    power = np.mean(np.square(samples.astype(np.float64)))
    return float(10 * np.log10(power / 32767**2)) if power else -200.0


def pitch_hz(samples: NDArray) -> float:
    """The strongest frequency of the first channel."""
    wave = samples[:, 0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 18))
    return float(np.argmax(spectrum) * RATE / (1 << 18))


def millisecond_payload(duration_ms: int) -> bytes:
    """A payload for `plain_buffer`."""
    return bytes(duration_ms)


def plain_buffer() -> AudioJitterBuffer:
    """A buffer for payloads of `millisecond_payload`."""
    return AudioJitterBuffer(RATE, lambda packet: len(packet.payload) * TICKS_PER_BYTE)


@cache
def opus_payloads(hz: float = 200.0) -> tuple[bytes, ...]:
    """A second of a steady tone."""
    encoder = create_opus_encoder(1, 32_000)
    sound = tone(2.0, hz)
    payloads = [encoder.encode(sound[i : i + BLOCK]) or b"" for i in range(0, len(sound), BLOCK)]
    return tuple(payloads[50:])


@dataclass
class Source:
    """Makes packets of 20 ms or another duration; sequence and timestamp may begin anywhere."""

    sequence: int = 100
    timestamp: int = 5000
    duration_ms: int = 20
    payloads: Sequence[bytes] = ()
    sent: int = 0

    def next(self) -> RtpPacket:
        if self.payloads:
            payload = self.payloads[self.sent % len(self.payloads)]
        else:
            payload = millisecond_payload(self.duration_ms)
        sequence, timestamp = self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF
        self.sequence += 1
        self.timestamp += self.duration_ms * TICKS_PER_BYTE
        self.sent += 1
        return RtpPacket(OPUS.payload_type, sequence, timestamp, 7, payload)

    def pause(self, milliseconds: int) -> None:
        """Silence suppression: time passes without packets."""
        self.timestamp += milliseconds * TICKS_PER_BYTE


Arrival = tuple[float, RtpPacket]


def schedule(
    source: Source,
    count: int,
    delay_s: Callable[[int], float | None] = lambda index: 0.0,
    start: float = 0.0,
    clock: float = 1.0,
) -> list[Arrival]:
    """`count` packets, each sent at its time and arriving `delay_s(index)` later; None: lost.

    The sender's clock runs `clock` times as fast as ours.
    """
    arrivals = []
    for index in range(count):
        sent_at = start + index * source.duration_ms / 1000 / clock
        packet = source.next()
        delay = delay_s(index)
        if delay is not None:
            arrivals.append((sent_at + delay, packet))
    return sorted(arrivals, key=lambda arrival: arrival[0])


@dataclass
class Played:
    """What came out of a buffer or receiver, tick by tick."""

    sequences: list[int] = field(default_factory=list)
    """Of the packets played."""
    blocks: list[NDArray | None] = field(default_factory=list)
    delays_s: list[tuple[float, float]] = field(default_factory=list)
    """When, and how much."""
    concealed: int = 0
    """How often the answer was to conceal."""
    empty: int = 0

    def delay_at(self, at: float) -> float:
        return next(delay for when, delay in reversed(self.delays_s) if when <= at)

    def worst_delay(self, begin: float, end: float) -> float:
        return max(delay for when, delay in self.delays_s if begin <= when <= end)

    def least_delay(self, begin: float, end: float) -> float:
        return min(delay for when, delay in self.delays_s if begin <= when <= end)

    def sound(self) -> NDArray:
        """All blocks together."""
        return np.concatenate([block for block in self.blocks if block is not None])


def ticks(begin: float, end: float, phase: float = 0.007) -> list[float]:
    return [begin + phase + k * AUDIO_FRAME_S for k in range(round((end - begin) / AUDIO_FRAME_S))]


def play(buffer: AudioJitterBuffer, arrivals: Iterable[Arrival], until: float) -> Played:
    """Push what arrives and pull 960 ticks every 20 ms, as a player without scaling does."""
    played = Played()
    waiting = deque(arrivals)
    held = 0
    for now in ticks(0, until):
        while waiting and waiting[0][0] <= now:
            at, packet = waiting.popleft()
            buffer.push(packet, at)
        while held < BLOCK:
            answer = buffer.pull(now, BLOCK - held)
            assert buffer.span > 0
            held += buffer.span
            if answer is Playout.CONCEAL:
                played.concealed += 1
            elif answer is Playout.EMPTY:
                played.empty += 1
            else:
                played.sequences.append(answer.sequence)
        played.delays_s.append((now, buffer.delay_s))
        held -= BLOCK
    return played


def listen(receiver: AudioReceiver, arrivals: Iterable[Arrival], when: Iterable[float]) -> Played:
    """Push what arrives and pull a block at each of the times."""
    played = Played()
    waiting = deque(arrivals)
    for now in when:
        while waiting and waiting[0][0] <= now:
            at, packet = waiting.popleft()
            receiver.push(packet, at)
        block = receiver.pull(now)
        played.blocks.append(block)
        if block is None:
            played.empty += 1
        played.delays_s.append((now, receiver.stats().delay_s))
    return played
